#include "sink_fixture.hpp"

#include <weft/exporters/otlp_http.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

// The circuit breaker of a destination: who asks, and who waits.

namespace weft::testing {
namespace {

using Clock = std::chrono::steady_clock;

class CircuitTest : public SinkTest {
protected:
    OtlpHttpOptions breaking(std::size_t failures, std::chrono::milliseconds wait) const {
        auto given = options();
        given.connections = 4;
        given.breaker_failures = failures;
        given.retry = {
            .initial_backoff = wait,
            .multiplier = 1,
            .max_backoff = wait,
            .jitter = 0,
            .max_elapsed = 10s};
        return given;
    }

    void start(std::shared_ptr<const Batch> batch = make_batch()) {
        asio::co_spawn(io, sink->send(batch), [&](std::exception_ptr error, SendOutcome got) {
            EXPECT_FALSE(error);
            outcomes.push_back(std::move(got));
        });
    }

    std::vector<SendOutcome> outcomes;
};

TEST_F(CircuitTest, OpensAfterFailuresInARowAndClosesWithTheFirstSuccess) {
    use(breaking(3, 1ms));
    EXPECT_EQ(sink->state(), SinkState::working);
    server.set_default(answer(503));
    start();

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return sink->state() == SinkState::circuit_open; }));
        EXPECT_TRUE(reported("warning: traces export to "));
        EXPECT_TRUE(reported("3 failures in a row, from now on one request at a time"));
        server.set_default(answer(200));
        EXPECT_TRUE(co_await eventually([&] { return outcomes.size() == 1; }));
    });

    EXPECT_EQ(outcomes.at(0).exported, 10u);
    EXPECT_EQ(sink->state(), SinkState::working);
    EXPECT_TRUE(reported("works again"));
}

TEST_F(CircuitTest, SendsOneProbeAtATimeHoweverManyWait) {
    use(breaking(2, 1ms));
    server.set_default(answer(503));
    start();
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return sink->state() == SinkState::circuit_open; }));
    });
    // From now on each request is left without an answer until it is released.
    server.set_default(answer(503).hold());
    const auto before = server.request_count();
    for (int i = 0; i < 3; ++i) { start(); }

    run(io, [&]() -> asio::awaitable<void> {
        // The probe under way may have been answered already; the next one is held.
        std::size_t seen = 0;
        for (int quiet = 0; quiet < 50; ++quiet) {
            asio::steady_timer pause(io, 1ms);
            co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
            if (server.request_count() != seen) { quiet = 0; }
            seen = server.request_count();
        }
        EXPECT_LE(seen, before + 2) << "one that was under way, and the probe: four batches wait";
        server.set_default(answer(200));
        server.release();
        EXPECT_TRUE(co_await eventually([&] { return outcomes.size() == 4; }));
    });

    for (const auto& outcome : outcomes) { EXPECT_EQ(outcome.exported, 10u); }
}

TEST_F(CircuitTest, GivesUpABatchAtItsOwnLimitWhileOthersProbe) {
    auto given = breaking(1, 20ms);
    given.retry.max_elapsed = 100ms;
    use(given);
    server.set_default(answer(503));
    const auto batch = make_batch();
    for (int i = 0; i < 3; ++i) { start(batch); }

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return outcomes.size() == 3; }));
    });

    for (const auto& outcome : outcomes) {
        expect_balanced(outcome, *batch);
        EXPECT_EQ(outcome.reason, DropReason::retry_exhausted);
        EXPECT_EQ(outcome.detail, "http_503");
    }
}

TEST_F(CircuitTest, TakesARefusalOfTheDataForASignOfLife) {
    use(breaking(2, 1ms));
    for (int i = 0; i < 5; ++i) {
        server.script({answer(503), answer(400)});
        EXPECT_EQ(send().reason, DropReason::rejected_by_status);
        EXPECT_EQ(sink->state(), SinkState::working);
    }
}

TEST_F(CircuitTest, StaysClosedWhereItIsToldTo) {
    use(breaking(0, 1ms));
    std::vector<Reply> many(50, answer(503));
    for (const auto& reply : many) { server.script({reply}); }
    EXPECT_EQ(send().attempts, 51);
    EXPECT_FALSE(reported("failures in a row"));
}

TEST_F(CircuitTest, EndsWaitsForAProbeAtAStop) {
    auto given = breaking(1, 1h);
    given.retry.max_elapsed = 24h;
    use(given);
    server.set_default(answer(503));
    const auto batch = make_batch();
    start(batch);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return sink->state() == SinkState::circuit_open; }));
        start(batch); // Waits for the circuit without an attempt of its own.
        for (int i = 0; i < 20; ++i) { co_await asio::post(io, asio::use_awaitable); }
        EXPECT_EQ(server.request_count(), 1u);
        co_await sink->stop(Clock::now() + 5s);
    });

    ASSERT_EQ(outcomes.size(), 2u);
    for (const auto& outcome : outcomes) {
        expect_balanced(outcome, *batch);
        EXPECT_EQ(outcome.reason, DropReason::shutdown);
        EXPECT_EQ(outcome.attempts, 1) << "one that was never sent has its one attempt";
    }
    EXPECT_EQ(server.request_count(), 2u);
}

TEST_F(CircuitTest, HandsAnAbandonedProbeToTheNext) {
    use(breaking(1, 1ms));
    server.script({answer(503), silence()});
    const auto batch = make_batch();
    asio::cancellation_signal cancel;
    std::optional<SendOutcome> first;
    asio::co_spawn(
        io, sink->send(batch),
        asio::bind_cancellation_slot(
            cancel.slot(), [&](std::exception_ptr, SendOutcome got) { first = std::move(got); }));

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 2; }));
        start(batch);
        for (int i = 0; i < 20; ++i) { co_await asio::post(io, asio::use_awaitable); }
        EXPECT_EQ(server.request_count(), 2u) << "the second waits for the first one's probe";
        cancel.emit(asio::cancellation_type::terminal);
        EXPECT_TRUE(co_await eventually([&] { return outcomes.size() == 1; }));
    });

    ASSERT_TRUE(first);
    EXPECT_EQ(first->reason, DropReason::shutdown);
    EXPECT_EQ(outcomes[0].exported, 10u);
}

TEST_F(CircuitTest, ShowsThatADestinationIsParked) {
    use(breaking(5, 1ms));
    server.script({answer(429, {{"Retry-After", "3600"}})});
    start();
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return sink->state() == SinkState::parked; }));
        co_await sink->stop(Clock::now());
    });
    EXPECT_EQ(name(SinkState::parked), "parked");
}

} // namespace
} // namespace weft::testing
