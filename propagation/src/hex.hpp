#pragma once
// Lowercase hex, eight digits at a time in one 64-bit register. Outside input of fixed length is the common case
// here, and a table look-up for each digit took three times as long.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace weft::w3c::detail {

inline constexpr std::uint64_t every_byte = 0x0101010101010101;
inline constexpr std::uint64_t high_bits = every_byte * 0x80;

/// The first character in the lowest byte, whatever the machine.
inline std::uint64_t load_8(const char* text) noexcept {
    std::uint64_t word;
    std::memcpy(&word, text, sizeof word);
    if constexpr (std::endian::native == std::endian::big) { word = __builtin_bswap64(word); }
    return word;
}

/// Non-zero where one of the eight characters is no lowercase hex digit.
inline std::uint64_t not_hex(std::uint64_t text) noexcept {
    // No sum below can carry into the next byte, because the terms are under 0x80 once the high bits are off.
    const auto low = text & ~high_bits;
    const auto digit = low ^ (every_byte * 0x30);  // 0 to 9 if it is a digit.
    const auto letter = low ^ (every_byte * 0x60); // 1 to 6 if it is a to f.
    const auto above_nine = digit + every_byte * (0x80 - 10);
    const auto letter_good =
        (letter + every_byte * (0x80 - 1)) & ~(letter + every_byte * (0x80 - 7));
    return (text | (above_nine & ~letter_good)) & high_bits;
}

/// Four bytes from eight hex digits, the first in the lowest byte.
inline std::uint32_t pack_hex(std::uint64_t text) noexcept {
    auto word = (text & (every_byte * 0x0f)) + ((text >> 6) & every_byte) * 9;
    word = ((word << 4) | (word >> 8)) & 0x00ff00ff00ff00ff;
    word = (word | (word >> 8)) & 0x0000ffff0000ffff;
    return static_cast<std::uint32_t>(word | (word >> 16));
}

/// Eight hex digits from four bytes; the inverse of pack_hex.
inline std::uint64_t unpack_hex(std::uint32_t bytes) noexcept {
    std::uint64_t word = bytes;
    word = (word | (word << 16)) & 0x0000ffff0000ffff;
    word = (word | (word << 8)) & 0x00ff00ff00ff00ff;
    word = ((word >> 4) & 0x000f000f000f000f) | ((word & 0x000f000f000f000f) << 8);
    const auto letter = ((word + every_byte * (0x80 - 10)) >> 7) & every_byte;
    return word + every_byte * 0x30 + letter * ('a' - '0' - 10);
}

/// Reads 2 * `size` digits; `size` is a multiple of 4. Non-zero means that one of them was none.
inline std::uint64_t read_hex(const char* text, std::uint8_t* bytes, std::size_t size) noexcept {
    std::uint64_t bad = 0;
    for (std::size_t i = 0; i < size; i += 4) {
        const auto digits = load_8(text + 2 * i);
        bad |= not_hex(digits);
        auto packed = pack_hex(digits);
        if constexpr (std::endian::native == std::endian::big) {
            packed = __builtin_bswap32(packed);
        }
        std::memcpy(bytes + i, &packed, sizeof packed);
    }
    return bad;
}

/// Writes 2 * `size` digits; `size` is a multiple of 4.
inline void write_hex(const std::uint8_t* bytes, std::size_t size, char* text) noexcept {
    for (std::size_t i = 0; i < size; i += 4) {
        std::uint32_t packed;
        std::memcpy(&packed, bytes + i, sizeof packed);
        if constexpr (std::endian::native == std::endian::big) {
            packed = __builtin_bswap32(packed);
        }
        auto digits = unpack_hex(packed);
        if constexpr (std::endian::native == std::endian::big) {
            digits = __builtin_bswap64(digits);
        }
        std::memcpy(text + 2 * i, &digits, sizeof digits);
    }
}

} // namespace weft::w3c::detail
