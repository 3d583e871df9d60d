#include "clock_watch.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/fork.hpp>
#include <weft/runtime/manual_clock.hpp>

#include <time.h>

#include <cstdio>
#include <cstring>
#include <mutex>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace weft {
namespace {

std::int64_t read_clock(clockid_t id) noexcept {
    timespec now{};
    clock_gettime(id, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

#if defined(__x86_64__)

// Invariant by CPUID, and good enough for the kernel (or, in a guest, for the hypervisor's clock built on it).
bool counter_is_usable() noexcept {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(0x80000007, &a, &b, &c, &d) == 0 || (d & (1U << 8)) == 0) { return false; }
    std::FILE* file =
        std::fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (file == nullptr) { return false; }
    char name[32] = {};
    const bool read = std::fgets(name, sizeof name, file) != nullptr;
    std::fclose(file);
    return read && (std::strncmp(name, "tsc", 3) == 0 || std::strncmp(name, "kvm-clock", 9) == 0 ||
                    std::strncmp(name, "hyperv", 6) == 0);
}

struct Pair {
    std::uint64_t ticks;
    std::int64_t ns;
};

// The tightest of a few bracketed readings: an interrupt in between widens the bracket and loses.
Pair read_pair(clockid_t id) noexcept {
    Pair best{};
    std::uint64_t best_width = ~std::uint64_t{0};
    for (int i = 0; i < 32; ++i) {
        const auto before = __builtin_ia32_rdtsc();
        const auto ns = read_clock(id);
        const auto width = __builtin_ia32_rdtsc() - before;
        if (width < best_width) {
            best_width = width;
            best = {before + width / 2, ns};
        }
    }
    return best;
}

detail::ClockSource calibrated() noexcept {
    constexpr std::int64_t span_ns =
        2'000'000; // With readings good to 20 ns: 10 parts per million.
    const Pair first = read_pair(CLOCK_MONOTONIC);
    while (read_clock(CLOCK_MONOTONIC) - first.ns < span_ns) {} // Bound: the clock runs.
    const Pair second = read_pair(CLOCK_MONOTONIC);
    detail::ClockSource source;
    source.kind = detail::ClockSource::time_stamp_counter;
    source.base_ticks = second.ticks;
    source.base_ns = second.ns;
    source.ns_per_tick_q32 = static_cast<std::int64_t>(
        (detail::Int128{second.ns - first.ns} << 32) /
        static_cast<std::int64_t>(second.ticks - first.ticks));
    return source;
}

#endif

} // namespace

std::int64_t detail::read_slow_clock(const ClockSource* source) noexcept {
    if (source != nullptr && source->kind == ClockSource::manual) {
        return source->manual_ns->load(
            std::memory_order_relaxed); // relaxed: a number that stands alone.
    }
    return read_clock(CLOCK_MONOTONIC) + (source != nullptr ? source->base_ns : 0);
}

void calibrate_clock() noexcept {
#if defined(__x86_64__)
    // acquire: pairs with the release below. Done already, or a test's manual clock, which stays.
    if (detail::clock_source.load(std::memory_order_acquire) != nullptr) { return; }
    static std::once_flag once;
    std::call_once(once, [] {
        if (!counter_is_usable()) { return; }
        static detail::ClockSource source;
        source = calibrated();
        detail::clock_source.store(&source, std::memory_order_release); // Pairs with steady_now_ns.
        refresh_wall_offset();
    });
#endif
}

#if defined(__x86_64__)
namespace {
constinit std::mutex watch_mutex; // Guards what check_clock remembers.
[[maybe_unused]] detail::ForkGuard at_fork(detail::ForkOrder::leaf, watch_mutex);

// True when the counter has been given up.
bool has_parted() noexcept {
    static constinit detail::ClockWatch watch;
    static constinit std::int64_t ahead_ns = 0;  // Of CLOCK_MONOTONIC, when the two last agreed.
    static constinit detail::ClockSource kernel; // Written before it is published, and once.
    const std::lock_guard lock(watch_mutex);
    // acquire: see steady_now_ns.
    const auto* source = detail::clock_source.load(std::memory_order_acquire);
    if (source == nullptr || source->kind != detail::ClockSource::time_stamp_counter) {
        return false;
    }
    // Judged by the raw clock: CLOCK_MONOTONIC is bent by NTP and chronyd, at times beyond any tolerance.
    const Pair raw = read_pair(CLOCK_MONOTONIC_RAW);
    const Pair now = read_pair(CLOCK_MONOTONIC);
    if (watch.agree(detail::counter_ns(*source, raw.ticks), raw.ns)) {
        ahead_ns = detail::counter_ns(*source, now.ticks) - now.ns;
        return false;
    }
    kernel.base_ns = ahead_ns;
    watch = {}; // A test may come with another counter.
    // release: pairs with steady_now_ns. A test's clock, should it have come meanwhile, stays.
    return detail::clock_source.compare_exchange_strong(
        source, &kernel, std::memory_order_release, std::memory_order_relaxed);
}
} // namespace
#endif

void check_clock() noexcept {
#if defined(__x86_64__)
    if (has_parted()) { // Reported without the mutex: see ForkOrder::leaf.
        diagnostics().report(
            DiagnosticLevel::warning, "clock",
            "the CPU's time-stamp counter and the system's clock have parted; from now on time is "
            "read from the system, which costs some 20 ns more");
    }
#endif
}

void refresh_wall_offset() noexcept {
    // relaxed: see wall_offset_ns. acquire: see steady_now_ns.
    const auto* source = detail::clock_source.load(std::memory_order_acquire);
    if (source != nullptr && source->kind == detail::ClockSource::manual) { return; }
    detail::wall_offset.store(
        read_clock(CLOCK_REALTIME) - steady_now_ns(), std::memory_order_relaxed);
}

// Orderings of the manual clock are those of the real one; tests run one at a time.
ManualClock::ManualClock(std::int64_t steady_ns, std::int64_t wall)
    : now_ns_(steady_ns), source_{.kind = detail::ClockSource::manual, .manual_ns = &now_ns_},
      before_(detail::clock_source.exchange(&source_, std::memory_order_acq_rel)),
      offset_before_(detail::wall_offset.exchange(wall, std::memory_order_relaxed)) {}

ManualClock::~ManualClock() {
    detail::clock_source.store(before_, std::memory_order_release); // As in calibrate_clock.
    detail::wall_offset.store(
        offset_before_, std::memory_order_relaxed); // As in refresh_wall_offset.
}

void ManualClock::advance(std::chrono::nanoseconds by) noexcept {
    now_ns_.fetch_add(by.count(), std::memory_order_relaxed); // A number that stands alone.
}

void ManualClock::step_wall(std::chrono::nanoseconds by) noexcept {
    detail::wall_offset.fetch_add(by.count(), std::memory_order_relaxed); // As above.
}

} // namespace weft
