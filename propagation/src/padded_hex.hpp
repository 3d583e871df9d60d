#pragma once
#include <weft/runtime/ids.hpp>

#include <array>
#include <cstddef>
#include <string_view>

namespace weft::detail {

/// Reads an id of one digit or more, in any case, padded on the left with zeros. False for too many and for others.
template <std::size_t N>
[[nodiscard]] bool read_padded_id(std::string_view digits, BasicId<N>& id) noexcept {
    if (digits.empty() || digits.size() > 2 * N) { return false; }
    std::array<char, 2 * N> text;
    text.fill('0');
    digits.copy(text.data() + text.size() - digits.size(), digits.size());
    return read_hex({text.data(), text.size()}, id.bytes.data(), N, true);
}

} // namespace weft::detail
