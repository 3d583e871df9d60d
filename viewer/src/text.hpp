#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace weft::otlp {

/// The letters A to Z in lowercase, whatever the locale.
[[nodiscard]] std::string ascii_lower(std::string_view text);
/// Without spaces and tabs at either end (RFC 9110, "optional whitespace").
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;
/// Appends `text` as a JSON string with quotes. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// One code point at the start of `text`: its length in bytes, or 0 when the bytes are not UTF-8.
/// `text` is not empty.
[[nodiscard]] std::size_t utf8_length(std::string_view text, char32_t& code_point) noexcept;

/// "1 span", "2 spans".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view noun);

} // namespace weft::otlp
