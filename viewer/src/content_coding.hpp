#pragma once
#include <weft/runtime/error.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weft::otlp {

enum class ContentCoding { identity, gzip, zstd };

/// Reads a Content-Encoding header: one coding, any case. Nothing when it is not spoken here.
[[nodiscard]] std::optional<ContentCoding> content_coding(std::string_view header);

/// Undoes the coding. The result views `body` or `buffer`.
/// Errors: request_too_large as soon as the output passes `bytes_max`, decode_failed for anything
/// that is not one or more whole gzip members or zstd frames. Cost: at most `bytes_max` and a
/// chunk, and 8 MiB of zstd window.
[[nodiscard]] Result<std::string_view> undo_coding(
    ContentCoding coding, std::span<const std::byte> body, std::size_t bytes_max,
    std::string& buffer);

} // namespace weft::otlp
