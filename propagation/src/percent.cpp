#include "percent.hpp"

#include <weft/runtime/ids.hpp>
#include <weft/runtime/utf8.hpp>

#include <algorithm>

namespace weft::detail {
namespace {

constexpr auto token_characters = [] {
    std::array<bool, 256> table{};
    for (unsigned c = '0'; c <= '9'; ++c) { table[c] = true; }
    for (unsigned c = 'a'; c <= 'z'; ++c) { table[c] = true; }
    for (unsigned c = 'A'; c <= 'Z'; ++c) { table[c] = true; }
    for (const char c : std::string_view("!#$%&'*+-.^_`|~")) {
        table[static_cast<unsigned char>(c)] = true;
    }
    return table;
}();

} // namespace

bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return token_characters[static_cast<unsigned char>(c)];
    });
}

std::optional<std::string_view> DecodedText::decode(
    std::string_view text, bool plus_is_space) noexcept {
    BoundedText out(decoded_.data(), decoded_.size());
    for (std::size_t i = 0; i < text.size() && out.fits(); ++i) {
        std::uint8_t byte = 0;
        if (text[i] == '%' && i + 2 < text.size() &&
            read_hex(text.substr(i + 1, 2), &byte, 1, true)) {
            out.put(static_cast<char>(byte));
            i += 2;
        } else {
            out.put(text[i] == '+' && plus_is_space ? ' ' : text[i]);
        }
    }
    if (!out.fits()) { return std::nullopt; }
    return repair({decoded_.data(), out.chars()});
}

std::optional<std::string_view> DecodedText::repair(std::string_view text) noexcept {
    BoundedText out(repaired_.data(), repaired_.size());
    while (!text.empty() && out.fits()) { // Bound: each turn takes a byte or more.
        const auto point = leading_code_point(text);
        out.put(point.is_good ? text.substr(0, point.size) : std::string_view("\xEF\xBF\xBD"));
        text.remove_prefix(point.size);
    }
    if (!out.fits()) { return std::nullopt; }
    return std::string_view(repaired_.data(), out.chars());
}

} // namespace weft::detail
