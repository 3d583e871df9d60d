#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft::detail {

/// Base64 of the standard alphabet, with padding. Source: RFC 4648, "Base 64 Encoding".
inline void append_base64(std::string& out, std::string_view bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const auto byte = [&](std::size_t i) -> std::uint32_t {
        return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u;
    };
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
        out.push_back(digits[bits >> 18]);
        out.push_back(digits[bits >> 12 & 63]);
        out.push_back(i + 1 < bytes.size() ? digits[bits >> 6 & 63] : '=');
        out.push_back(i + 2 < bytes.size() ? digits[bits & 63] : '=');
    }
}

} // namespace weft::detail
