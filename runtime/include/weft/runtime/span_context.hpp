#pragma once
#include <weft/runtime/ids.hpp>
#include <weft/runtime/trace_state.hpp>

#include <cstdint>

namespace weft {

/// Bits of the W3C trace-flags byte, and behind `known` two of ours that other formats speak of: those ride along in a
/// context but never stand in a traceparent or in exported spans. Test bits, never the whole byte.
namespace trace_flags {
inline constexpr std::uint8_t sampled = 0x01;
inline constexpr std::uint8_t random =
    0x02; ///< The trace id's low 7 bytes are uniformly random (level 2).
inline constexpr std::uint8_t known = sampled | random;
/// B3's and Jaeger's "debug": sampled, and whoever comes next must be told so.
inline constexpr std::uint8_t debug = 0x80;
/// The sender left the sampling decision to the receiver (B3 without a state, X-Ray's "?"). Only in remote contexts.
inline constexpr std::uint8_t undecided = 0x40;
} // namespace trace_flags

/// Identity of a span as it crosses process boundaries.
/// Shape: 16-byte trace id, 8-byte span id, network order; valid when neither is all zero.
/// Source: W3C Trace Context, "traceparent Header Field Values".
struct SpanContext {
    TraceId trace_id;
    SpanId span_id;
    std::uint8_t flags = 0;
    bool is_remote = false; ///< True for every context extracted from a carrier.

    [[nodiscard]] bool is_valid() const noexcept {
        return trace_id.is_valid() && span_id.is_valid();
    }
    [[nodiscard]] bool is_sampled() const noexcept { return (flags & trace_flags::sampled) != 0; }
    friend bool operator==(const SpanContext&, const SpanContext&) noexcept = default;
};

/// What a propagator extracts and injects: the span's identity and the vendors' state that rides along.
struct TraceContext {
    SpanContext span;
    TraceState state;

    [[nodiscard]] bool is_valid() const noexcept { return span.is_valid(); }
};

} // namespace weft
