#include <weft/exporters/retry.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace weft {
namespace {

using namespace std::chrono_literals;

std::uint64_t least() noexcept { return 0; }
std::uint64_t middle() noexcept { return std::uint64_t{1} << 63; }
std::uint64_t most() noexcept { return ~std::uint64_t{0}; }

TEST(Backoff, GrowsByTheMultiplierUpToTheLongest) {
    Backoff backoff({.initial_backoff = 1000ms, .multiplier = 2, .max_backoff = 5000ms}, &middle);

    EXPECT_EQ(backoff.next(), 1000ms);
    EXPECT_EQ(backoff.next(), 2000ms);
    EXPECT_EQ(backoff.next(), 4000ms);
    EXPECT_EQ(backoff.next(), 5000ms);
    EXPECT_EQ(backoff.next(), 5000ms);
}

TEST(Backoff, VariesByTheJitterBothWays) {
    const RetryPolicy policy{.initial_backoff = 1000ms, .jitter = 0.2};
    EXPECT_EQ(Backoff(policy, &least).next(), 800ms);
    EXPECT_EQ(Backoff(policy, &most).next(), 1200ms);
}

TEST(Backoff, DrawsAnewForEachWait) {
    // One generator for all; equal waits 20 times running would mean that jitter is drawn once or
    // never.
    const RetryPolicy policy{
        .initial_backoff = 10s, .multiplier = 1, .max_backoff = 10s, .jitter = 0.5};
    Backoff backoff(policy);
    auto shortest = backoff.next();
    auto longest = shortest;
    for (int i = 0; i < 20; ++i) {
        const auto wait = backoff.next();
        EXPECT_GE(wait, 5s);
        EXPECT_LE(wait, 15s);
        shortest = std::min(shortest, wait);
        longest = std::max(longest, wait);
    }
    EXPECT_LT(shortest, longest);
}

TEST(Backoff, IsNeverZero) {
    Backoff backoff({.initial_backoff = 1ms, .jitter = 1.0}, &least);
    EXPECT_EQ(backoff.next(), 1ms);
}

TEST(Backoff, StartsOverAfterAReset) {
    Backoff backoff({.initial_backoff = 1000ms, .multiplier = 2}, &middle);
    (void)backoff.next();
    (void)backoff.next();

    backoff.reset();

    EXPECT_EQ(backoff.next(), 1000ms);
}

TEST(Backoff, NeverUndercutsATimeThatTheReceiverNamed) {
    const RetryPolicy policy{.initial_backoff = 1000ms, .jitter = 0.2};
    EXPECT_EQ(Backoff(policy, &least).at_least(60s), 60s);
    EXPECT_EQ(Backoff(policy, &most).at_least(60s), 60s + 199ms);
    EXPECT_EQ(Backoff(policy, &most).at_least(100ms), 119ms);
}

} // namespace
} // namespace weft
