#include "circuit_breaker.hpp"

#include <gtest/gtest.h>

namespace weft::detail {
namespace {

using namespace std::chrono_literals;
using Entry = CircuitBreaker::Entry;

std::uint64_t middle() noexcept { return std::uint64_t{1} << 63; } // No jitter either way.

class CircuitBreakerTest : public ::testing::Test {
protected:
    void fail(CircuitBreaker& of, int times) const {
        for (int i = 0; i < times; ++i) { of.failed(of.enter(now), now); }
    }

    const RetryPolicy policy{.initial_backoff = 100ms, .multiplier = 2, .max_backoff = 300ms};
    CircuitBreaker breaker{3, policy, &middle};
    CircuitBreaker::TimePoint now{1h};
};

TEST_F(CircuitBreakerTest, OpensAfterSoManyFailuresInARow) {
    fail(breaker, 2);
    EXPECT_FALSE(breaker.is_open());
    EXPECT_TRUE(breaker.failed(breaker.enter(now), now)) << "the third opens it";
    EXPECT_TRUE(breaker.is_open());
    EXPECT_EQ(breaker.failures(), 3u);
    EXPECT_EQ(breaker.enter(now), Entry::refused);
    EXPECT_EQ(breaker.next_probe_at(), now + 100ms);
}

TEST_F(CircuitBreakerTest, CountsNoFailuresThatASuccessParts) {
    for (int i = 0; i < 10; ++i) {
        fail(breaker, 2);
        EXPECT_FALSE(breaker.succeeded());
    }
    EXPECT_FALSE(breaker.is_open());
}

TEST_F(CircuitBreakerTest, LetsOneProbeThroughAtATime) {
    fail(breaker, 3);
    now += 100ms;
    EXPECT_EQ(breaker.enter(now), Entry::probe);
    EXPECT_EQ(breaker.enter(now), Entry::refused);
    EXPECT_EQ(breaker.enter(now + 1h), Entry::refused) << "the probe may take long";
    EXPECT_EQ(breaker.next_probe_at(), CircuitBreaker::TimePoint::max());
}

TEST_F(CircuitBreakerTest, WaitsLongerAfterEachFailedProbe) {
    fail(breaker, 3);
    for (const auto wait : {100ms, 200ms, 300ms, 300ms}) {
        EXPECT_EQ(breaker.next_probe_at(), now + wait);
        now += wait;
        ASSERT_EQ(breaker.enter(now), Entry::probe);
        EXPECT_FALSE(breaker.failed(Entry::probe, now)) << "it was open already";
    }
}

TEST_F(CircuitBreakerTest, ClosesWithASuccessAndBeginsAnew) {
    fail(breaker, 3);
    now += 100ms;
    ASSERT_EQ(breaker.enter(now), Entry::probe);
    EXPECT_TRUE(breaker.succeeded());
    EXPECT_FALSE(breaker.is_open());
    EXPECT_EQ(breaker.enter(now), Entry::attempt);
    EXPECT_EQ(breaker.enter(now), Entry::attempt);
    fail(breaker, 2);
    EXPECT_FALSE(breaker.is_open());
    fail(breaker, 1);
    EXPECT_EQ(breaker.next_probe_at(), now + 100ms) << "the waits are short again";
}

TEST_F(CircuitBreakerTest, IsClosedByAnAttemptThatBeganBeforeItOpened) {
    const auto early = breaker.enter(now);
    fail(breaker, 3);
    ASSERT_TRUE(breaker.is_open());
    EXPECT_EQ(early, Entry::attempt);
    EXPECT_TRUE(breaker.succeeded());
}

TEST_F(CircuitBreakerTest, IsNotPutOffByAnAttemptThatBeganBeforeItOpened) {
    fail(breaker, 3);
    const auto at = breaker.next_probe_at();
    EXPECT_FALSE(breaker.failed(Entry::attempt, now + 50ms));
    EXPECT_EQ(breaker.next_probe_at(), at);
}

TEST_F(CircuitBreakerTest, GivesAnAbandonedProbeToTheNext) {
    fail(breaker, 3);
    now += 100ms;
    breaker.abandoned(breaker.enter(now));
    EXPECT_EQ(breaker.enter(now), Entry::probe);
}

TEST_F(CircuitBreakerTest, NeverOpensWhenToldSo) {
    CircuitBreaker never(0, policy);
    fail(never, 1000);
    EXPECT_FALSE(never.is_open());
    EXPECT_EQ(never.enter(now), Entry::attempt);
}

} // namespace
} // namespace weft::detail
