#pragma once
// Spans for the store's tests, without Protobuf.
#include <weft/viewer/trace_store.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace weft::testing {

template <std::size_t N>
[[nodiscard]] BasicId<N> numbered(std::uint64_t number) {
    BasicId<N> id;
    for (std::size_t i = 0; i < 8; ++i) {
        id.bytes[N - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    return id;
}
[[nodiscard]] inline TraceId trace_id(std::uint64_t number) { return numbered<16>(number); }
[[nodiscard]] inline SpanId span_id(std::uint64_t number) { return numbered<8>(number); }

/// Times in microseconds from an arbitrary moment.
[[nodiscard]] inline viewer::StoredSpan stored(
    std::uint64_t id, std::uint64_t parent, std::uint64_t start_us = 0,
    std::uint64_t duration_us = 1000) {
    constexpr std::uint64_t epoch_ns = 1'700'000'000'000'000'000;
    viewer::StoredSpan span;
    span.id = span_id(id);
    span.parent = span_id(parent);
    span.start_ns = epoch_ns + start_us * 1000;
    span.end_ns = span.start_ns + duration_us * 1000;
    span.kind = 1;
    span.service = "shop";
    span.name = "span " + std::to_string(id);
    return span;
}

[[nodiscard]] inline viewer::StoredSpan failed(viewer::StoredSpan span, std::string error = {}) {
    span.status = 2;
    span.error = std::move(error);
    return span;
}

/// A moment of the store's clock.
[[nodiscard]] inline viewer::TraceStore::Clock::time_point at(std::chrono::milliseconds time) {
    return viewer::TraceStore::Clock::time_point(std::chrono::hours(1) + time);
}

} // namespace weft::testing
