#pragma once
// Time for telemetry: steady nanoseconds at the price of one counter read. They step back at most once, by what the
// counter had got ahead since it was last checked, when it is given up for not keeping time.
// Where the CPU has an invariant time-stamp counter that the kernel itself trusts, steady time is that counter,
// scaled once at calibration; elsewhere, and after the two have parted, it is CLOCK_MONOTONIC. Wall time is steady time plus an offset. A local
// trace takes the offset once, with its root, so that its durations cannot be negative and a step of the wall clock
// cannot tear it; the offset is refreshed about once a second for the traces to come.

#include <atomic>
#include <cstdint>

namespace weft {

namespace detail {

__extension__ using Int128 = __int128;

/// How steady time is read. Immutable once published.
struct ClockSource {
    enum Kind : std::uint8_t { monotonic, time_stamp_counter, manual } kind = monotonic;
    std::uint64_t base_ticks = 0;
    std::int64_t base_ns = 0;         // Of `monotonic`: what is added to CLOCK_MONOTONIC.
    std::int64_t ns_per_tick_q32 = 0; // Fixed point, 32 fraction bits.
    const std::atomic<std::int64_t>* manual_ns = nullptr; // Tests: written by the test, read here.
};

// Written by calibrate_clock, check_clock and tests, read by every span. Null: CLOCK_MONOTONIC.
inline constinit std::atomic<const ClockSource*> clock_source{nullptr};
// Written by refresh_wall_offset, read by root spans. 0: not known yet.
inline constinit std::atomic<std::int64_t> wall_offset{0};

[[nodiscard]] std::int64_t read_slow_clock(const ClockSource* source) noexcept;

[[nodiscard]] inline std::int64_t counter_ns(
    const ClockSource& source, std::uint64_t ticks) noexcept {
    // Signed: a counter below its base (another core's, or after a hibernation) is a little earlier, not far ahead.
    const auto passed = static_cast<std::int64_t>(ticks - source.base_ticks);
    return source.base_ns +
           static_cast<std::int64_t>((Int128{passed} * source.ns_per_tick_q32) >> 32);
}

} // namespace detail

/// Steady time in nanoseconds since an arbitrary point. Threads: any. Cost: one rdtsc and a multiplication.
[[nodiscard]] inline std::int64_t steady_now_ns() noexcept {
    // acquire: pairs with the release in calibrate_clock, for the fields behind the pointer.
    const auto* source = detail::clock_source.load(std::memory_order_acquire);
#if defined(__x86_64__)
    if (source != nullptr && source->kind == detail::ClockSource::time_stamp_counter) [[likely]] {
        return detail::counter_ns(*source, __builtin_ia32_rdtsc());
    }
#endif
    return detail::read_slow_clock(source);
}

/// Chooses and calibrates the steady clock; the first call takes about 2 ms, later ones nothing. Threads: any.
void calibrate_clock() noexcept;

/// Compares the counter with CLOCK_MONOTONIC_RAW. When they have parted by more than a millisecond in a second (a suspended
/// machine, a counter that is not what it says), time goes on from where they last agreed and is read from
/// CLOCK_MONOTONIC for good; that is reported once. Threads: any; meant for once a second. Cost: about 4 us.
void check_clock() noexcept;

/// Reads the wall clock anew for traces that start from now on. Threads: any; meant for once a second.
void refresh_wall_offset() noexcept;

/// Wall time minus steady time, for one local trace. Threads: any.
[[nodiscard]] inline std::int64_t wall_offset_ns() noexcept {
    // relaxed: any recent value is right; the number stands alone.
    auto offset = detail::wall_offset.load(std::memory_order_relaxed);
    if (offset == 0) [[unlikely]] {
        refresh_wall_offset();
        offset = detail::wall_offset.load(std::memory_order_relaxed); // relaxed: as above.
    }
    return offset;
}

} // namespace weft
