#pragma once
#include <weft/runtime/clock.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace weft {

/// For tests: while alive, steady and wall time are what the test says. Threads: one at a time.
class ManualClock {
public:
    explicit ManualClock(
        std::int64_t steady_ns = 1'000'000'000,
        std::int64_t wall_offset_ns = 1'600'000'000'000'000'000);
    ManualClock(const ManualClock&) = delete;
    ManualClock& operator=(const ManualClock&) = delete;
    ~ManualClock();
    void advance(std::chrono::nanoseconds by) noexcept;
    void step_wall(std::chrono::nanoseconds by) noexcept;

private:
    std::atomic<std::int64_t> now_ns_;
    detail::ClockSource source_;
    const detail::ClockSource* before_;
    std::int64_t offset_before_;
};

} // namespace weft
