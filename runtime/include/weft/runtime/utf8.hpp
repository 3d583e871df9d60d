#pragma once
#include <cstddef>
#include <string_view>

namespace weft::detail {

/// The leading code point of `text`: its length, or where it is bad, the length of the part to
/// replace. Source: Unicode, "Well-Formed UTF-8 Byte Sequences" and "U+FFFD Substitution of Maximal
/// Subparts".
struct CodePoint {
    std::size_t size;
    bool is_good;
};
[[nodiscard]] inline CodePoint leading_code_point(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) noexcept { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) { return {1, true}; }
    if (lead < 0xc2 || lead > 0xf4) { return {1, false}; }
    const std::size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    // The second byte decides about overlong forms, surrogates and what is above U+10FFFF.
    const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (text.size() < 2 || byte(1) < low || byte(1) > high) { return {1, false}; }
    for (std::size_t i = 2; i < size; ++i) {
        // What does not continue the sequence is not part of it: it may begin the next one.
        if (i == text.size() || (byte(i) & 0xc0) != 0x80) { return {i, false}; }
    }
    return {size, true};
}

} // namespace weft::detail
