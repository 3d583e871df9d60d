#include <weft/propagation/faults.hpp>

#include <array>
#include <atomic>

namespace weft {
namespace {

// By FaultyHeader. Written by any thread that extracts or injects, read by propagation_faults.
std::array<std::atomic<std::uint64_t>, detail::faulty_headers> counts{};

std::uint64_t count_of(detail::FaultyHeader header) noexcept {
    // relaxed: counters, each for itself.
    return counts[static_cast<std::size_t>(header)].load(std::memory_order_relaxed);
}

} // namespace

void detail::count_fault(FaultyHeader header, std::uint64_t times) noexcept {
    if (times == 0) { return; }
    // relaxed: a counter; nothing depends on its order.
    counts[static_cast<std::size_t>(header)].fetch_add(times, std::memory_order_relaxed);
}

PropagationFaults propagation_faults() noexcept {
    using detail::FaultyHeader;
    return {
        .traceparent = count_of(FaultyHeader::traceparent),
        .tracestate = count_of(FaultyHeader::tracestate),
        .baggage = count_of(FaultyHeader::baggage),
        .b3 = count_of(FaultyHeader::b3),
        .jaeger = count_of(FaultyHeader::jaeger),
        .xray = count_of(FaultyHeader::xray),
        .ottrace = count_of(FaultyHeader::ottrace)};
}

} // namespace weft
