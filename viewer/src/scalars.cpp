#include "scalars.hpp"

#include <weft/runtime/ids.hpp>

#include <charconv>
#include <cstdint>
#include <limits>

namespace weft::otlp {
namespace {

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Value of a base64 character, or 64.
constexpr std::uint32_t base64_value(char c) noexcept {
    if (c >= 'A' && c <= 'Z') { return static_cast<std::uint32_t>(c - 'A'); }
    if (c >= 'a' && c <= 'z') { return static_cast<std::uint32_t>(c - 'a' + 26); }
    if (c >= '0' && c <= '9') { return static_cast<std::uint32_t>(c - '0' + 52); }
    if (c == '+' || c == '-') { return 62; }
    if (c == '/' || c == '_') { return 63; }
    return 64;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

} // namespace

std::string to_base64(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            group = (group << 8) | (j < count ? static_cast<std::uint8_t>(bytes[i + j]) : 0u);
        }
        for (std::size_t j = 0; j < 4; ++j) {
            text += j <= count ? alphabet[(group >> (18 - 6 * j)) & 63] : '=';
        }
    }
    return text;
}

std::optional<std::string> from_base64(std::string_view text) {
    for (int padding = 0;
         padding < 2 && text.size() % 4 == static_cast<std::size_t>(4 - padding) % 4 &&
         !text.empty() && text.back() == '=';
         ++padding) {
        text.remove_suffix(1);
    }
    if (text.size() % 4 == 1) { return std::nullopt; }
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t group = 0;
    std::uint32_t bits = 0;
    for (const char c : text) {
        const std::uint32_t value = base64_value(c);
        if (value == 64) { return std::nullopt; }
        group = ((group << 6) | value) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes += static_cast<char>((group >> bits) & 0xff);
        }
    }
    return bytes;
}

std::string to_hex(std::string_view bytes) {
    std::string text(2 * bytes.size(), '\0');
    detail::write_hex(
        reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), text.data());
    return text;
}

std::optional<std::string> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) { return std::nullopt; }
    std::string bytes(text.size() / 2, '\0');
    constexpr bool any_case = true;
    if (!detail::read_hex(
            text, reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size(), any_case)) {
        return std::nullopt;
    }
    return bytes;
}

std::optional<double> double_from_text(std::string_view text) noexcept {
    if (text == "NaN") { return std::numeric_limits<double>::quiet_NaN(); }
    if (text == "Infinity") { return std::numeric_limits<double>::infinity(); }
    if (text == "-Infinity") { return -std::numeric_limits<double>::infinity(); }
    // from_chars would also take its own spellings of infinity, and a number without digits before
    // the point.
    const std::size_t first = !text.empty() && text[0] == '-' ? 1 : 0;
    if (first >= text.size() || !is_digit(text[first]) || !is_digit(text.back())) {
        return std::nullopt;
    }
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) { return std::nullopt; }
    return value;
}

template <class Integer>
std::optional<Integer> integer_from_text(std::string_view text) noexcept {
    Integer value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) { return std::nullopt; }
    return value;
}

template std::optional<std::int32_t> integer_from_text(std::string_view text) noexcept;
template std::optional<std::int64_t> integer_from_text(std::string_view text) noexcept;
template std::optional<std::uint32_t> integer_from_text(std::string_view text) noexcept;
template std::optional<std::uint64_t> integer_from_text(std::string_view text) noexcept;

} // namespace weft::otlp
