#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace weft::otlp {

/// Base64 of the standard alphabet with padding.
[[nodiscard]] std::string to_base64(std::string_view bytes);
/// Standard or URL-safe alphabet, with padding or without, as proto3 JSON asks of readers.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

/// Lowercase hex.
[[nodiscard]] std::string to_hex(std::string_view bytes);
/// An even number of hex digits of any case; empty text is empty bytes.
[[nodiscard]] std::optional<std::string> from_hex(std::string_view text);

/// The whole text as a number, "NaN", "Infinity" or "-Infinity".
[[nodiscard]] std::optional<double> double_from_text(std::string_view text) noexcept;
/// The whole text as a decimal integer that fits.
template <class Integer>
[[nodiscard]] std::optional<Integer> integer_from_text(std::string_view text) noexcept;

} // namespace weft::otlp
