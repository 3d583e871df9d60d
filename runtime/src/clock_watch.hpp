#pragma once
// Whether a calibrated counter still keeps the kernel's time. Readings are parameters, so a test needs no time.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace weft::detail {

class ClockWatch {
public:
    /// More than this is a jump, however little time has passed; over more than a second, more than 1000 parts per
    /// million are: the counter was calibrated against a clock that NTP bends by up to 500.
    static constexpr std::int64_t parted_max_ns = 1'000'000;
    static constexpr std::int64_t ns_per_parted_ns = 1'000'000'000 / parted_max_ns;

    /// Takes readings of both clocks at one moment, nanoseconds; meant for once a second. False: they have parted since
    /// the last time, and what was taken then stays. The first time there is nothing to compare.
    [[nodiscard]] bool agree(std::int64_t counter_ns, std::int64_t kernel_ns) noexcept {
        const auto ahead = counter_ns - kernel_ns;
        const auto allowed = std::max(parted_max_ns, (kernel_ns - kernel_ns_) / ns_per_parted_ns);
        if (begun_ && std::abs(ahead - ahead_ns_) > allowed) { return false; }
        begun_ = true;
        ahead_ns_ = ahead;
        kernel_ns_ = kernel_ns;
        return true;
    }

private:
    bool begun_ = false;
    std::int64_t ahead_ns_ = 0;
    std::int64_t kernel_ns_ = 0;
};

} // namespace weft::detail
