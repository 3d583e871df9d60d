#pragma once
#include <algorithm>
#include <string_view>

namespace weft::detail {

/// Of ASCII letters alone; whatever the locale.
[[nodiscard]] constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Equal but for the case of ASCII letters.
[[nodiscard]] constexpr bool same_name(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) noexcept {
        return lower(x) == lower(y);
    });
}

} // namespace weft::detail
