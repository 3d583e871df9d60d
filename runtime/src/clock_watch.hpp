#pragma once
// Whether a calibrated counter still keeps the kernel's time. Readings are parameters, so a test needs no time.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace weft::detail {

class ClockWatch {
public:
    /// A millisecond in a second or less is a jump; above, 1000 parts per million: NTP may bend the kernel's clock by
    /// that much (500 in frequency and 500 while it slews), which is no fault of the counter.
    static constexpr std::int64_t parted_max_ns = 1'000'000;

    /// Takes readings of both clocks at one moment, nanoseconds; meant for once a second. False: they have parted since
    /// the last time, and what was taken then stays. The first time there is nothing to compare.
    [[nodiscard]] bool agree(std::int64_t counter_ns, std::int64_t kernel_ns) noexcept {
        const auto ahead = counter_ns - kernel_ns;
        const auto seconds = std::max<std::int64_t>((kernel_ns - kernel_ns_) / 1'000'000'000, 1);
        if (begun_ && std::abs(ahead - ahead_ns_) > parted_max_ns * seconds) { return false; }
        begun_ = true;
        ahead_ns_ = ahead;
        kernel_ns_ = kernel_ns;
        return true;
    }
    /// How far the counter was ahead when the two last agreed.
    [[nodiscard]] std::int64_t ahead_ns() const noexcept { return ahead_ns_; }

private:
    bool begun_ = false;
    std::int64_t ahead_ns_ = 0;
    std::int64_t kernel_ns_ = 0;
};

} // namespace weft::detail
