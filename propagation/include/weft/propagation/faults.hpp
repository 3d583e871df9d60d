#pragma once
#include <cstddef>
#include <cstdint>

namespace weft {

/// What came in and could not be used, by header; each time the request went on without it. A sender is at fault.
/// Source: docs/propagation.md, "Bad headers".
struct PropagationFaults {
    std::uint64_t traceparent = 0; ///< Malformed, or there more than once: a new trace.
    std::uint64_t tracestate = 0;  ///< Malformed: dropped as a whole.
    std::uint64_t baggage = 0; ///< Entries of any baggage header, dropped one by one, in and out.
    std::uint64_t b3 = 0;      ///< Single or multi.
    std::uint64_t jaeger = 0;
    std::uint64_t xray = 0;
    std::uint64_t ottrace = 0;
};

/// Totals of this process. Threads: any.
[[nodiscard]] PropagationFaults propagation_faults() noexcept;

namespace detail {

enum class FaultyHeader : std::uint8_t {
    traceparent,
    tracestate,
    baggage,
    b3,
    jaeger,
    xray,
    ottrace
};
inline constexpr std::size_t faulty_headers = 7;

void count_fault(FaultyHeader header, std::uint64_t times = 1) noexcept;

} // namespace detail

} // namespace weft
