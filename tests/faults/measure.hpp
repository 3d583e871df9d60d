// What the programs that make load have in common: a pace, and what the process has cost so far. No code of weft.
#pragma once
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>

namespace weft::faults {

/// So many operations a second, in bursts of 10 ms: more wake-ups would be a good part of the processor time measured.
class Pace {
public:
    using Clock = std::chrono::steady_clock;

    explicit Pace(std::uint64_t per_second) noexcept
        : per_second_(per_second), burst_(std::max<std::uint64_t>(per_second / 100, 1)) {}

    /// Before operation `done`, counted from 0. Returns at once when there is no pace.
    void wait(std::uint64_t done) const {
        if (per_second_ == 0 || done % burst_ != 0) { return; }
        std::this_thread::sleep_until(
            began_ + std::chrono::nanoseconds(done * 1'000'000'000 / per_second_));
    }

private:
    std::uint64_t per_second_;
    std::uint64_t burst_;
    Clock::time_point began_ = Clock::now();
};

/// User and system time of the whole process.
inline double cpu_seconds() noexcept {
    rusage used{};
    (void)::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// Highest memory since the program began; getrusage would count what forked it, too. 0 if the system does not say.
inline std::uint64_t peak_rss_kib() noexcept {
    FILE* const file = std::fopen("/proc/self/status", "r");
    if (file == nullptr) { return 0; }
    unsigned long kib = 0;
    for (char line[256]; kib == 0 && std::fgets(line, sizeof line, file) != nullptr;) {
        (void)std::sscanf(line, "VmHWM: %lu kB", &kib);
    }
    std::fclose(file);
    return kib;
}

inline double seconds_since(Pace::Clock::time_point then) noexcept {
    return std::chrono::duration<double>(Pace::Clock::now() - then).count();
}

} // namespace weft::faults
