#pragma once
#include <weft/runtime/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace weft::detail {

/// True when every byte is below 0x80: valid UTF-8 whose code points are its bytes. Cost: eight
/// bytes a step.
[[nodiscard]] inline bool is_ascii(std::string_view text) noexcept {
    const char* const p = text.data();
    const std::size_t size = text.size();
    std::uint64_t seen = 0;
    if (size >= 8) {
        std::uint64_t word;
        for (std::size_t i = 0; i + 8 < size; i += 8) {
            std::memcpy(&word, p + i, 8);
            seen |= word;
        }
        std::memcpy(&word, p + size - 8, 8); // The last eight overlap what came before.
        seen |= word;
    } else {
        for (const char c : text) { seen |= static_cast<unsigned char>(c); }
    }
    return (seen & 0x8080808080808080) == 0;
}

/// Copies a short text and says whether it was ASCII, in one pass. Cost: one step for each eight
/// bytes; a call to memcpy with a length known only at run time would cost more than the copy.
[[nodiscard]] inline bool copy_ascii(char* out, const char* text, std::size_t size) noexcept {
    std::uint64_t seen = 0;
    if (size >= 8) {
        std::uint64_t word;
        for (std::size_t i = 0; i + 8 < size; i += 8) {
            std::memcpy(&word, text + i, 8);
            std::memcpy(out + i, &word, 8);
            seen |= word;
        }
        std::memcpy(&word, text + size - 8, 8); // The last eight overlap what came before.
        std::memcpy(out + size - 8, &word, 8);
        seen |= word;
    } else if (size >= 4) {
        std::uint32_t head;
        std::uint32_t tail;
        std::memcpy(&head, text, 4);
        std::memcpy(&tail, text + size - 4, 4);
        std::memcpy(out, &head, 4);
        std::memcpy(out + size - 4, &tail, 4);
        seen = head | tail;
    } else {
        for (std::size_t i = 0; i < size; ++i) {
            out[i] = text[i];
            seen |= static_cast<unsigned char>(text[i]);
        }
    }
    return (seen & 0x8080808080808080) == 0;
}

inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD"; // U+FFFD

/// How many bytes copy_repaired writes.
[[nodiscard]] inline std::size_t repaired_size(
    std::string_view text, std::uint32_t code_points_max) noexcept {
    std::size_t size = 0;
    for (std::uint32_t count = 0; !text.empty() && count < code_points_max; ++count) {
        const auto point = leading_code_point(text);
        size += point.is_good ? point.size : replacement_character.size();
        text.remove_prefix(point.size);
    }
    return size;
}

/// Copies at most `code_points_max` code points of `text` to `out`, each maximal bad sequence
/// replaced by U+FFFD, so that receivers, which refuse a whole message for one bad byte, take it.
/// Room: repaired_size bytes. Returns the end of what was written.
inline char* copy_repaired(
    std::string_view text, std::uint32_t code_points_max, char* out) noexcept {
    for (std::uint32_t count = 0; !text.empty() && count < code_points_max; ++count) {
        const auto point = leading_code_point(text);
        const auto good = point.is_good ? text.substr(0, point.size) : replacement_character;
        out = std::copy(good.begin(), good.end(), out);
        text.remove_prefix(point.size);
    }
    return out;
}

/// Whether copy_repaired makes the same of both.
[[nodiscard]] inline bool are_equal_repaired(std::string_view a, std::string_view b) noexcept {
    const auto next = [](std::string_view& text) noexcept {
        const auto point = leading_code_point(text);
        const auto good = point.is_good ? text.substr(0, point.size) : replacement_character;
        text.remove_prefix(point.size);
        return good;
    };
    while (!a.empty() && !b.empty()) {
        if (next(a) != next(b)) { return false; }
    }
    return a.empty() && b.empty();
}

} // namespace weft::detail
