#pragma once
// The characters of W3C trace context, as tables: one load for each character of outside input.
#include <array>
#include <cstdint>
#include <string_view>

namespace weft::w3c::detail {

inline constexpr std::uint8_t bad_digit = 0xff;

/// Value of a lowercase hex digit, or bad_digit.
inline constexpr auto hex_value = [] {
    std::array<std::uint8_t, 256> table{};
    for (auto& entry : table) { entry = bad_digit; }
    for (unsigned i = 0; i < 10; ++i) { table['0' + i] = static_cast<std::uint8_t>(i); }
    for (unsigned i = 0; i < 6; ++i) { table['a' + i] = static_cast<std::uint8_t>(10 + i); }
    return table;
}();

inline constexpr std::uint8_t key_first = 1;
inline constexpr std::uint8_t key_other = 2;
inline constexpr std::uint8_t value_char = 4;

/// Which parts of a tracestate member a character may stand in.
inline constexpr auto member_class = [] {
    std::array<std::uint8_t, 256> table{};
    for (unsigned c = 0x20; c <= 0x7e; ++c) { table[c] = value_char; }
    table[','] = 0;
    table['='] = 0;
    for (unsigned c = '0'; c <= '9'; ++c) { table[c] |= key_first | key_other; }
    for (unsigned c = 'a'; c <= 'z'; ++c) { table[c] |= key_first | key_other; }
    for (const char c : {'_', '-', '*', '/', '@'}) {
        table[static_cast<unsigned char>(c)] |= key_other;
    }
    return table;
}();

inline constexpr std::string_view trim_blanks(std::string_view text) noexcept {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) { text.remove_prefix(1); }
    while (!text.empty() && blank(text.back())) { text.remove_suffix(1); }
    return text;
}

[[nodiscard]] bool is_key(std::string_view key) noexcept;
[[nodiscard]] bool is_value(std::string_view value) noexcept;

} // namespace weft::w3c::detail
