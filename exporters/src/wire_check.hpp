#pragma once
// Whether bytes that did not come straight from our encoders are what those would have made: fields of the OTLP schema
// only, each of its type, texts in UTF-8, nested no deeper than a receiver takes. One bad record would have the receiver
// refuse the whole request.

#include <cstddef>
#include <span>
#include <string_view>

namespace weft::detail {

/// The `spans` field of a ScopeSpans, tag and length included.
[[nodiscard]] bool is_span_field(std::span<const std::byte> field) noexcept;
/// The `metrics` field of a ScopeMetrics, tag and length included.
[[nodiscard]] bool is_metric_field(std::span<const std::byte> field) noexcept;
[[nodiscard]] bool is_resource(std::string_view message) noexcept;
[[nodiscard]] bool is_scope(std::string_view message) noexcept;
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
/// The text of a resource's attribute; empty when it has none.
[[nodiscard]] std::string_view resource_text(
    std::string_view message, std::string_view key) noexcept;

} // namespace weft::detail
