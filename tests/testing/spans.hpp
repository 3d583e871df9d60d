#pragma once
// Spans written by hand, for tests of what looks at spans.

#include <weft/testing/finished_span.hpp>

#include <cstdint>
#include <string>

namespace weft::testing {

template <std::size_t N>
[[nodiscard]] BasicId<N> id_of(std::uint8_t number) {
    BasicId<N> id;
    id.bytes.back() = number;
    return id;
}

/// Span `number` of trace 1, below span `parent` (0: a root), from `start_ms` for `duration_ms`.
[[nodiscard]] inline FinishedSpan span_of(
    std::string name, std::uint8_t number, std::uint8_t parent = 0, std::int64_t start_ms = 0,
    std::int64_t duration_ms = 1) {
    FinishedSpan span;
    span.name = std::move(name);
    span.trace_id = id_of<16>(1);
    span.span_id = id_of<8>(number);
    if (parent != 0) { span.parent_id = id_of<8>(parent); }
    span.flags = 0x101;
    span.start_unix_ns = 1'700'000'000'000'000'000 + start_ms * 1'000'000;
    span.end_unix_ns = span.start_unix_ns + duration_ms * 1'000'000;
    return span;
}

} // namespace weft::testing
