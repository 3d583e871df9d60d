#pragma once
// Small text functions of HTTP: characters, numbers, percent-encoding. Pure.
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::http::detail {

/// Characters of a token: field names and methods. Source: RFC 9110, "Tokens".
inline constexpr auto token_char = [] {
    std::array<bool, 256> table{};
    for (unsigned c = '0'; c <= '9'; ++c) { table[c] = true; }
    for (unsigned c = 'a'; c <= 'z'; ++c) { table[c] = table[c - 'a' + 'A'] = true; }
    for (const char c :
         {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
        table[static_cast<unsigned char>(c)] = true;
    }
    return table;
}();

[[nodiscard]] inline bool is_token(std::string_view text) noexcept {
    if (text.empty()) { return false; }
    for (const char c : text) {
        if (!token_char[static_cast<unsigned char>(c)]) { return false; }
    }
    return true;
}

[[nodiscard]] inline std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) { text.remove_suffix(1); }
    return text;
}

/// Cuts off and returns what stands before `separator`, or all of it.
[[nodiscard]] inline std::string_view take_until(std::string_view& text, char separator) noexcept {
    const auto at = text.find(separator);
    const auto part = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return part;
}

/// Decimal digits only, the whole text.
template <class Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text) noexcept {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) { return std::nullopt; }
    return number;
}

inline void append_number(std::string& text, std::uint64_t number) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    text.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
}

[[nodiscard]] inline int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') { return c - '0'; }
    if (c >= 'a' && c <= 'f') { return c - 'a' + 10; }
    if (c >= 'A' && c <= 'F') { return c - 'A' + 10; }
    return -1;
}

/// Appends `text` with %XX decoded, and with + as a space where `plus_is_space`. What is not %XX stays as it is.
inline void append_decoded(std::string& out, std::string_view text, bool plus_is_space) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high >= 0 && low >= 0) {
                out += static_cast<char>(high * 16 + low);
                i += 2;
                continue;
            }
        }
        out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
}

} // namespace weft::http::detail
