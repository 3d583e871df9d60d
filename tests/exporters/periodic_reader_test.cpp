#include "metrics_fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <optional>
#include <stdexcept>

// When a collection happens, what becomes of its points, and what a source that fails or hangs does.

namespace weft::testing {
namespace {

using ::testing::HasSubstr;

TEST_F(MetricsTest, CollectsAtEachIntervalAndExportsAtOnce) {
    start(points_each_time(3), every(2ms, 20s));
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() >= 4; }));
    });
    auto values = values_in(server.requests());
    EXPECT_EQ(values, values_up_to(static_cast<std::int64_t>(values.size())));
    EXPECT_GE(values.size(), 12u);
    EXPECT_EQ(reader->counts().failed, 0u);
    EXPECT_EQ(reader->counts().late, 0u);
}

TEST_F(MetricsTest, CollectsNothingBeforeTheFirstIntervalIsOver) {
    start(points_each_time(3), on_demand());
    run(io, [&]() -> asio::awaitable<void> { co_await settle(); });
    EXPECT_EQ(reader->counts().collections, 0u);
    EXPECT_EQ(handed_out, 0u);
}

// A collection of 10 ms each 25 ms: from start to start it is never less than the interval, and not the sum of both.
TEST_F(MetricsTest, CountsTheIntervalFromStartToStart) {
    start(
        [&](MetricVisitor&) -> asio::awaitable<void> {
            starts.push_back(Clock::now());
            co_await pause(10ms);
        },
        every(25ms, 20s));
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return starts.size() >= 12; }));
    });
    auto shortest = Clock::duration::max();
    for (std::size_t i = 1; i < starts.size(); ++i) {
        shortest = std::min(shortest, starts[i] - starts[i - 1]);
    }
    EXPECT_LT(shortest, 35ms) << "the interval begins at the collection's end";
    EXPECT_GE(starts.back() - starts.front(), 25ms * (starts.size() - 2));
}

TEST_F(MetricsTest, ACollectionLongerThanTheIntervalIsFollowedAtOnceByOne) {
    start(
        [&](MetricVisitor&) -> asio::awaitable<void> {
            starts.push_back(Clock::now());
            co_await pause(20ms);
            ends.push_back(Clock::now());
        },
        every(5ms, 20s));
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return ends.size() >= 5; }));
    });
    for (std::size_t i = 1; i < starts.size(); ++i) {
        EXPECT_GE(starts[i], ends[i - 1]) << "two at once";
    }
    EXPECT_EQ(reader->counts().left_out, 0u);
}

// Goal: never two at once. Method: sources that take their time, while many flush, in any order.
TEST_F(MetricsTest, NeverCollectsTwiceAtOnce) {
    start(
        [&](MetricVisitor& visitor) -> asio::awaitable<void> {
            most = std::max(most, ++active);
            co_await settle();
            hand_out(visitor, 1);
            co_await settle();
            --active;
        },
        every(1ms, 20s));
    run(io, [&]() -> asio::awaitable<void> {
        int done = 0;
        for (int i = 0; i < 20; ++i) {
            asio::co_spawn(
                io, flush(20s), [&](const std::exception_ptr& error, FlushReport report) {
                    EXPECT_FALSE(error);
                    EXPECT_TRUE(report.complete);
                    ++done;
                });
            if (i % 3 == 0) { co_await settle(); }
        }
        EXPECT_TRUE(co_await eventually([&] { return done == 20; }));
    });
    EXPECT_EQ(most, 1);
}

TEST_F(MetricsTest, AFlushExportsWhatWasMeasuredBeforeIt) {
    start([&](MetricVisitor& visitor) -> asio::awaitable<void> {
        const MetricSeries series;
        visitor.begin({.name = "level", .description = {}, .unit = {}, .is_monotonic = true});
        visitor.number({series, {1, 2}, MetricNumber::of(measured)});
        visitor.end();
        ++handed_out;
        co_await settle(); // The first one is still under way when the flush comes.
    });
    run(io, [&]() -> asio::awaitable<void> {
        bool first_done = false;
        asio::co_spawn(
            io, flush(20s), [&](const std::exception_ptr&, FlushReport) { first_done = true; });
        EXPECT_TRUE(co_await eventually([&] { return handed_out == 1; }));
        measured = 7;
        const auto report = co_await flush(20s);
        EXPECT_TRUE(report.complete);
        EXPECT_THAT(values_in(server.requests()), ::testing::Contains(7));
        EXPECT_TRUE(co_await eventually([&] { return first_done; }));
    });
}

TEST_F(MetricsTest, ManyFlushesShareACollection) {
    start([&](MetricVisitor& visitor) -> asio::awaitable<void> {
        co_await settle();
        hand_out(visitor, 1);
    });
    run(io, [&]() -> asio::awaitable<void> {
        int done = 0;
        for (int i = 0; i < 50; ++i) {
            asio::co_spawn(io, flush(20s), [&](const std::exception_ptr&, FlushReport report) {
                EXPECT_TRUE(report.complete);
                ++done;
            });
        }
        EXPECT_TRUE(co_await eventually([&] { return done == 50; }));
    });
    EXPECT_LE(reader->counts().collections, 2u);
}

TEST_F(MetricsTest, ACollectionLargerThanTheRingWaitsForRoomAndLosesNothing) {
    start(points_each_time(20'000), on_demand(), batches_of(100), 64u << 10);
    run(io, [&]() -> asio::awaitable<void> {
        const auto report = co_await flush(20s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 20'000u);
        EXPECT_EQ(report.dropped, 0u);
    });
    EXPECT_EQ(values_in(server.requests()), values_up_to(20'000));
    for (const auto& request : server.requests()) { EXPECT_LE(values_in(request).size(), 100u); }
}

TEST_F(MetricsTest, DropsAndCountsWhatFindsNoRoomWithinTheTimeout) {
    server.set_default(answer(200).hold());
    auto batch = batches_of(100);
    batch.waiting_bytes_max = 16u << 10;
    start(points_each_time(20'000), every(1h, 50ms), batch, 64u << 10);
    run(io, [&]() -> asio::awaitable<void> {
        bool done = false;
        asio::co_spawn(io, flush(20s), [&](const std::exception_ptr&, FlushReport report) {
            EXPECT_FALSE(report.complete);
            EXPECT_GT(report.dropped, 10'000u);
            EXPECT_EQ(report.dropped + report.exported, 20'000u);
            done = true;
        });
        EXPECT_TRUE(co_await eventually([&] { return drain->ledger().dropped_total() > 0; }));
        EXPECT_EQ(drain->ledger().created, 20'000u);
        server.release();
        EXPECT_TRUE(co_await eventually([&] { return done; }));
    });
    const auto ledger = drain->ledger();
    EXPECT_EQ(dropped(ledger, DropReason::queue_full), ledger.dropped_total());
    EXPECT_EQ(values_in(server.requests()).size(), ledger.exported);
    EXPECT_EQ(reader->counts().late, 1u);
    EXPECT_EQ(reports_with("points dropped, queue_full"), 1u);
}

TEST_F(MetricsTest, AFailingCollectionIsReportedAndCostsOnlyWhatItHadNotCollected) {
    start([&](MetricVisitor& visitor) -> asio::awaitable<void> {
        hand_out(visitor, 2);
        if (++turn == 1) { throw std::runtime_error("the gauge is gone"); }
        co_return;
    });
    run(io, [&]() -> asio::awaitable<void> {
        auto report = co_await flush(20s);
        EXPECT_FALSE(report.complete);
        EXPECT_EQ(report.exported, 2u);
        report = co_await flush(20s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 2u);
    });
    EXPECT_EQ(reader->counts().failed, 1u);
    EXPECT_EQ(reader->counts().collections, 2u);
    EXPECT_EQ(reports_with("a collection failed (the gauge is gone)"), 1u);
}

TEST_F(MetricsTest, ASourceThatThrowsBeforeItIsACoroutineDoesNoHarm) {
    start([](MetricVisitor&) -> asio::awaitable<void> { throw 7; });
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_FALSE((co_await flush(20s)).complete);
        EXPECT_FALSE((co_await flush(20s)).complete);
    });
    EXPECT_EQ(reader->counts().failed, 2u);
    EXPECT_EQ(reports_with("not a std::exception"), 2u);
}

TEST_F(MetricsTest, KeepsCollectingAfterFailures) {
    start(
        [&](MetricVisitor& visitor) -> asio::awaitable<void> {
            hand_out(visitor, 1);
            throw std::runtime_error("always");
            co_return;
        },
        every(1ms, 20s));
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() >= 3; }));
    });
    EXPECT_GE(reader->counts().failed, 3u);
}

TEST_F(MetricsTest, CancelsASourceThatHangsAndGoesOn) {
    start(
        [&](MetricVisitor& visitor) -> asio::awaitable<void> {
            hand_out(visitor, 1);
            if (++turn == 1) { co_await pause(1h); }
        },
        every(1h, 10ms));
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_FALSE((co_await flush(20s)).complete);
        EXPECT_TRUE((co_await flush(20s)).complete);
    });
    EXPECT_EQ(reader->counts().late, 1u);
    EXPECT_EQ(values_in(server.requests()), values_up_to(2));
    EXPECT_EQ(reports_with("not over within its timeout of 10 ms"), 1u);
}

// Goal: a source that will not be cancelled costs collections, not deadlines, and no second one runs beside it.
TEST_F(MetricsTest, ASourceThatNeverEndsKeepsOthersOutButNobodyWaiting) {
    start(
        [&](MetricVisitor& visitor) -> asio::awaitable<void> {
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            ++turn;
            co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
            hand_out(visitor, 1);
        },
        every(1ms, 5ms));
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return reader->counts().left_out >= 3; }));
        EXPECT_EQ(turn, 1);
        EXPECT_EQ(reader->counts().late, 0u) << "it has not ended";
        const auto before = Clock::now();
        EXPECT_FALSE((co_await flush(10ms)).complete);
        EXPECT_LT(Clock::now() - before, 5s);
        EXPECT_EQ(reports_with("none begins before it has ended"), 1u);
        gate.cancel();
        EXPECT_TRUE(co_await eventually([&] { return turn >= 2; }));
        EXPECT_GE(reader->counts().late, 1u);
        gate.cancel();
        // What it hands over after the end of everything is still counted: see TearDown.
        co_await shutdown(0ms);
        gate.cancel();
        co_await settle();
    });
}

TEST_F(MetricsTest, AFlushThatCannotWaitLosesNothing) {
    start([&](MetricVisitor& visitor) -> asio::awaitable<void> {
        co_await settle();
        hand_out(visitor, 5);
    });
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_FALSE((co_await flush(0ms)).complete);
        EXPECT_TRUE(co_await eventually([&] { return drain->ledger().exported == 5; }));
    });
}

TEST_F(MetricsTest, ACancelledFlushEndsAtOnceAndTheCollectionGoesOn) {
    start([&](MetricVisitor& visitor) -> asio::awaitable<void> {
        co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
        hand_out(visitor, 1);
    });
    run(io, [&]() -> asio::awaitable<void> {
        asio::cancellation_signal cancel;
        std::optional<FlushReport> report;
        asio::co_spawn(
            io, flush(1h),
            asio::bind_cancellation_slot(
                cancel.slot(),
                [&](const std::exception_ptr&, FlushReport result) { report = result; }));
        co_await settle();
        cancel.emit(asio::cancellation_type::terminal);
        EXPECT_TRUE(co_await eventually([&] { return report.has_value(); }));
        EXPECT_FALSE(report->complete);
        gate.cancel();
        EXPECT_TRUE(co_await eventually([&] { return drain->ledger().exported == 1; }));
    });
}

TEST_F(MetricsTest, ShutdownCollectsALastTimeAndThenNeverAgain) {
    start(points_each_time(3), every(1h, 20s));
    run(io, [&]() -> asio::awaitable<void> {
        auto report = co_await shutdown(20s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 3u);
        EXPECT_TRUE(co_await eventually([&] { return ended == 2; }));
        report = co_await shutdown(20s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 0u);
        EXPECT_TRUE((co_await flush(20s)).complete);
    });
    EXPECT_EQ(reader->counts().collections, 1u);
    EXPECT_EQ(values_in(server.requests()), values_up_to(3));
}

TEST_F(MetricsTest, SeveralShutdownsAtOnceAreOne) {
    start([&](MetricVisitor& visitor) -> asio::awaitable<void> {
        co_await settle();
        hand_out(visitor, 3);
    });
    run(io, [&]() -> asio::awaitable<void> {
        int complete = 0;
        for (int i = 0; i < 3; ++i) {
            asio::co_spawn(io, shutdown(20s), [&](const std::exception_ptr&, FlushReport report) {
                complete += report.complete;
            });
        }
        EXPECT_TRUE(co_await eventually([&] { return complete == 3; }));
    });
    EXPECT_EQ(reader->counts().collections, 1u);
    EXPECT_EQ(drain->ledger().exported, 3u);
}

TEST_F(MetricsTest, WhatComesAfterShutdownIsCountedAsSuch) {
    start([&](MetricVisitor& visitor) -> asio::awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        hand_out(visitor, 1);
        co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
        hand_out(visitor, 4);
    });
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_FALSE((co_await shutdown(20ms)).complete);
        EXPECT_EQ(drain->ledger().exported, 1u);
        gate.cancel();
        EXPECT_TRUE(co_await eventually([&] { return handed_out == 5; }));
    });
    EXPECT_EQ(dropped(drain->ledger(), DropReason::shutdown), 4u);
}

TEST_F(MetricsTest, ShutdownKeepsItsDeadlineAgainstASilentReceiver) {
    server.set_default(silence());
    start(points_each_time(20'000), on_demand(), batches_of(100), 64u << 10);
    run(io, [&]() -> asio::awaitable<void> {
        const auto before = Clock::now();
        const auto report = co_await shutdown(50ms);
        EXPECT_LT(Clock::now() - before, 5s);
        EXPECT_FALSE(report.complete);
        EXPECT_EQ(report.dropped, 20'000u);
        EXPECT_EQ(report.pending, 0u);
    });
    EXPECT_EQ(dropped(drain->ledger(), DropReason::shutdown), 20'000u);
}

TEST(PeriodicReaderOptions, NameTheFieldThatIsOutOfRange) {
    const auto problem_after = [](auto change) {
        PeriodicReaderOptions options;
        change(options);
        return problem_in(options);
    };
    EXPECT_EQ(problem_in(PeriodicReaderOptions{}), "");
    EXPECT_EQ(PeriodicReaderOptions{}.interval, 60s);
    EXPECT_EQ(PeriodicReaderOptions{}.timeout, 30s);
    EXPECT_THAT(
        problem_after([](auto& o) { o.interval = 0ms; }),
        HasSubstr("interval is 0 ms: allowed is 1 to 86400000 ms"));
    EXPECT_THAT(problem_after([](auto& o) { o.interval = 25h; }), HasSubstr("interval"));
    EXPECT_THAT(problem_after([](auto& o) { o.timeout = 0ms; }), HasSubstr("timeout is 0 ms"));
    EXPECT_THAT(problem_after([](auto& o) { o.timeout = 25h; }), HasSubstr("timeout"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.points_max = 0; }),
        HasSubstr("points_max is 0: allowed is 1 to 1048576"));
    EXPECT_THAT(problem_after([](auto& o) { o.points_max = SIZE_MAX; }), HasSubstr("points_max"));
}

} // namespace
} // namespace weft::testing
