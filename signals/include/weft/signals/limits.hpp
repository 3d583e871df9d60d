#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>

namespace weft {

/// How much one span may hold. What goes over is discarded or cut, and counted in the span's `dropped_*` fields.
/// Source: OpenTelemetry Trace SDK, "Span Limits", and common, "Attribute Limits".
struct SpanLimits {
    static constexpr std::uint32_t unlimited = std::numeric_limits<std::uint32_t>::max();

    std::uint32_t attribute_count = 128;
    /// Units: code points of strings, bytes of byte arrays; inside arrays and maps too.
    std::uint32_t attribute_value_length = unlimited;
    /// The top value is depth 1; at most 64. Each level is up to three messages on the wire, and receivers with
    /// Protobuf's default limit, 100 nested messages, refuse a whole request for one value of more than 31 levels.
    std::uint32_t attribute_value_depth = 30;
    std::uint32_t event_count = 128;
    std::uint32_t link_count = 128;
    std::uint32_t event_attribute_count = 128;
    std::uint32_t link_attribute_count = 128;
};

} // namespace weft
