#include "clock_watch.hpp"

#include <weft/runtime/clock.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/manual_clock.hpp>

#include <gtest/gtest.h>
#include <time.h>

#include <chrono>
#include <cstdint>

namespace weft {
namespace {

using namespace std::chrono_literals;

std::int64_t system_clock_ns(clockid_t id) {
    timespec now{};
    clock_gettime(id, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

TEST(Clock, CountsOnFromTheMonotonicClockWhenItIsCalibrated) {
    const auto before = system_clock_ns(CLOCK_MONOTONIC);
    calibrate_clock();
    const auto now = steady_now_ns();
    const auto after = system_clock_ns(CLOCK_MONOTONIC);

    constexpr std::int64_t slack_ns =
        1'000'000; // The counter's rate is known to a few parts in 100,000.
    EXPECT_GE(now, before - slack_ns);
    EXPECT_LE(now, after + slack_ns);
}

// Goal: the scale is right. Method: both clocks over at least 100 ms; the bound is loose for a busy machine.
TEST(Clock, RunsAtTheRateOfTheMonotonicClock) {
    calibrate_clock();
    const auto reference_start = system_clock_ns(CLOCK_MONOTONIC);
    const auto start = steady_now_ns();
    while (system_clock_ns(CLOCK_MONOTONIC) - reference_start < 100'000'000) {}
    const auto passed = steady_now_ns() - start;
    const auto reference = system_clock_ns(CLOCK_MONOTONIC) - reference_start;

    const double ratio = static_cast<double>(passed) / static_cast<double>(reference);
    EXPECT_LT(ratio, 1.01);
    EXPECT_GT(ratio, 0.9) << "less only where the thread lost the CPU between two readings";
}

TEST(Clock, NeverRunsBackwards) {
    calibrate_clock();
    auto last = steady_now_ns();
    for (int i = 0; i < 1'000'000; ++i) {
        const auto now = steady_now_ns();
        ASSERT_GE(now, last);
        last = now;
    }
}

TEST(Clock, WallTimeIsTheSystemsTime) {
    calibrate_clock();
    refresh_wall_offset();
    const auto before = system_clock_ns(CLOCK_REALTIME);
    const auto now = steady_now_ns() + wall_offset_ns();
    const auto after = system_clock_ns(CLOCK_REALTIME);

    constexpr std::int64_t slack_ns = 5'000'000;
    EXPECT_GE(now, before - slack_ns);
    EXPECT_LE(now, after + slack_ns);
}

TEST(Clock, ACounterThatRestartedBelowItsBaseGivesAnEarlierTimeAndNotGarbage) {
#if defined(__x86_64__)
    // As after a hibernation: the counter is far below the value it was calibrated at.
    detail::ClockSource source;
    source.kind = detail::ClockSource::time_stamp_counter;
    source.base_ticks = __builtin_ia32_rdtsc() + 3'000'000'000;
    source.base_ns = 100'000'000'000;
    source.ns_per_tick_q32 = std::int64_t{1} << 31; // Two ticks a nanosecond.
    const auto* before =
        detail::clock_source.exchange(&source, std::memory_order_acq_rel); // As ManualClock.
    const auto now = steady_now_ns();
    detail::clock_source.store(before, std::memory_order_release); // As above.

    EXPECT_LT(now, source.base_ns);
    EXPECT_GT(now, source.base_ns - 1'600'000'000);
#else
    GTEST_SKIP() << "no time-stamp counter";
#endif
}

constexpr std::int64_t second = 1'000'000'000;

TEST(ClockWatch, FollowsACounterThatNtpOrCalibrationMakeALittleWrong) {
    for (const std::int64_t parts_per_million : {-900L, -10L, 0L, 10L, 900L}) {
        SCOPED_TRACE(parts_per_million);
        detail::ClockWatch watch;
        for (std::int64_t now = 5 * second; now < 3600 * second; now += second) {
            ASSERT_TRUE(watch.agree(now + now / 1'000'000 * parts_per_million, now));
        }
        const auto late = 4000 * second; // As after the process was stopped for some minutes.
        EXPECT_TRUE(watch.agree(late + late / 1'000'000 * parts_per_million, late));
    }
}

TEST(ClockWatch, AllowsTheRateForTheTimeThatPassedAndNotForWholeSecondsOnly) {
    for (const std::int64_t step : {second * 11 / 10, second * 19 / 10}) {
        for (const std::int64_t parts_per_million : {-900L, 900L}) {
            SCOPED_TRACE(::testing::Message() << step << " ns, " << parts_per_million << " ppm");
            detail::ClockWatch watch;
            for (std::int64_t now = 5 * second; now < 600 * second; now += step) {
                ASSERT_TRUE(watch.agree(now + now / 1'000'000 * parts_per_million, now));
            }
        }
        detail::ClockWatch watch;
        EXPECT_TRUE(watch.agree(5 * second, 5 * second));
        const auto allowed = step / 1000;
        EXPECT_FALSE(watch.agree(5 * second + step + allowed + 1, 5 * second + step));
        EXPECT_TRUE(watch.agree(5 * second + step + allowed, 5 * second + step));
    }
}

TEST(ClockWatch, SeesAJumpAndADriftAndKeepsWhatWasAgreedBefore) {
    for (const std::int64_t jump : {-2'000'000L, -1'000'100L, 1'000'100L, 60'000'000'000L}) {
        SCOPED_TRACE(jump);
        detail::ClockWatch watch;
        EXPECT_TRUE(watch.agree(7 * second + 40, 7 * second));
        EXPECT_TRUE(watch.agree(8 * second + 50, 8 * second));
        EXPECT_FALSE(watch.agree(9 * second + 50 + jump, 9 * second));
        EXPECT_FALSE(watch.agree(9 * second + 51 + jump, 9 * second + 1)) << "nor a moment later";
    }
    detail::ClockWatch watch; // Minutes apart: the rate counts.
    EXPECT_TRUE(watch.agree(100 * second, 100 * second));
    EXPECT_FALSE(watch.agree(200 * second + 100 * 1'001'000, 200 * second));
}

TEST(Clock, GoesOnWithTheSystemsWhenTheCounterPartsFromItAndSaysSoOnce) {
#if defined(__x86_64__)
    int reports = 0;
    diagnostics().set_handler([&](const Diagnostic& d) { reports += d.key == "clock"; });
    detail::ClockSource source;
    source.kind = detail::ClockSource::time_stamp_counter;
    source.base_ticks = __builtin_ia32_rdtsc();
    source.base_ns = 100 * second;
    source.ns_per_tick_q32 = 0; // It stands still.
    const auto* before =
        detail::clock_source.exchange(&source, std::memory_order_acq_rel); // As ManualClock.
    check_clock();
    const auto begin = system_clock_ns(CLOCK_MONOTONIC);
    while (system_clock_ns(CLOCK_MONOTONIC) - begin < 2'000'000) {}
    EXPECT_EQ(steady_now_ns(), source.base_ns);
    check_clock();
    const auto now = steady_now_ns();
    EXPECT_GE(now, source.base_ns + 2'000'000) << "from where they last agreed";
    EXPECT_LT(now, source.base_ns + 60 * second);
    check_clock();
    EXPECT_GE(steady_now_ns(), now);
    detail::clock_source.store(before, std::memory_order_release); // As above.
    diagnostics().set_handler({});
    EXPECT_EQ(reports, 1);
#else
    GTEST_SKIP() << "no time-stamp counter";
#endif
}

TEST(ManualClock, IsWhatTheTestSays) {
    ManualClock clock(5'000, 1'000'000);
    EXPECT_EQ(steady_now_ns(), 5'000);
    EXPECT_EQ(wall_offset_ns(), 1'000'000);

    clock.advance(7ns);
    EXPECT_EQ(steady_now_ns(), 5'007);

    clock.step_wall(-1ms);
    EXPECT_EQ(steady_now_ns(), 5'007);
    EXPECT_EQ(wall_offset_ns(), 0);
}

TEST(ManualClock, GivesTheRealClockBackWhenItGoes) {
    calibrate_clock();
    const auto before = steady_now_ns();
    const auto offset_before = wall_offset_ns();
    {
        ManualClock clock(1);
        EXPECT_EQ(steady_now_ns(), 1);
    }
    EXPECT_GE(steady_now_ns(), before);
    EXPECT_EQ(wall_offset_ns(), offset_before);
}

TEST(ManualClock, IsNotDisturbedByCalibrationOrRefresh) {
    ManualClock clock(1, 42);

    calibrate_clock();
    refresh_wall_offset();

    EXPECT_EQ(steady_now_ns(), 1);
    EXPECT_EQ(wall_offset_ns(), 42);
}

TEST(ManualClock, MayStandInsideAnother) {
    ManualClock outer(10, 100);
    {
        ManualClock inner(20, 200);
        EXPECT_EQ(steady_now_ns(), 20);
    }
    EXPECT_EQ(steady_now_ns(), 10);
    EXPECT_EQ(wall_offset_ns(), 100);
}

} // namespace
} // namespace weft
