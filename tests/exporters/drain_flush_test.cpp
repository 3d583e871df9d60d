#include "drain_fixture.hpp"

#include <weft/exporters/drain.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <thread>

// Flush and shutdown: what they promise, by when they return, and what their report says; in every
// state of the drain.

namespace weft::testing {
namespace {

using ::testing::Contains;

// A deadline is kept if it is kept once in a few tries: a busy machine may be late, a wrong drain
// always is.
constexpr auto slack = 50ms;
constexpr int tries = 5;

enum class Peer : std::uint8_t { refused, silent, unread, unavailable, parked, slow };
constexpr Peer peers[] = {Peer::refused,     Peer::silent, Peer::unread,
                          Peer::unavailable, Peer::parked, Peer::slow};

const char* text(Peer peer) {
    switch (peer) {
    case Peer::refused:
        return "refuses connections";
    case Peer::silent:
        return "never answers";
    case Peer::unread:
        return "never reads";
    case Peer::unavailable:
        return "answers 503 for ever";
    case Peer::parked:
        return "asks to come back in an hour";
    case Peer::slow:
        return "answers a byte at a time";
    }
    return "?";
}

// A drain against a peer that does not take the spans.
class Stuck : public DrainTest {
public:
    explicit Stuck(Peer peer) : peer_(peer) {
        auto sink = sink_options(2);
        if (peer == Peer::refused) { sink.url.port = refusing_.port(); }
        sink.retry.initial_backoff = peer == Peer::unavailable ? 1ms : 1h;
        sink.retry.max_backoff = sink.retry.initial_backoff;
        switch (peer) {
        case Peer::refused:
            break;
        case Peer::silent:
            server.set_default(silence());
            break;
        case Peer::unread:
            server.script({never_read(), never_read()});
            break;
        case Peer::unavailable:
            server.set_default(answer(503));
            break;
        case Peer::parked:
            server.set_default(answer(503, {{"Retry-After", "3600"}}));
            break;
        case Peer::slow:
            server.set_default(answer(200).slowly(1h));
            break;
        }
        start(batches_of(10), sink);
    }
    void TestBody() override {}
    void finish() { TearDown(); }

    // Some spans in flight, some waiting, some in the builder.
    asio::awaitable<void> reach() {
        push_spans(45);
        EXPECT_TRUE(co_await eventually([&] { return drain->ledger().in_flight == 20; }))
            << text(peer_);
        co_await settle();
    }

    using DrainTest::drain;
    using DrainTest::flush;
    using DrainTest::io;
    using DrainTest::push_spans;
    using DrainTest::pushed;
    using DrainTest::shutdown;

private:
    Peer peer_;
    LoopbackServer refusing_{io.get_executor(), LoopbackServer::Start::refusing};
};

TEST(DrainFlush, ReturnsByItsDeadlineWhateverThePeer) {
    for (const auto peer : peers) {
        SCOPED_TRACE(text(peer));
        Stuck stuck(peer);
        auto best = Clock::duration::max();
        run(stuck.io, [&]() -> asio::awaitable<void> {
            co_await stuck.reach();
            for (int i = 0; i < tries && best > 60ms + slack; ++i) {
                const auto began = Clock::now();
                const auto report = co_await stuck.flush(60ms);
                best = std::min(best, Clock::now() - began);
                EXPECT_GE(Clock::now() - began, 60ms);
                EXPECT_FALSE(report.complete);
                EXPECT_EQ(report.exported, 0u);
                EXPECT_EQ(report.dropped, 0u);
                EXPECT_EQ(report.pending, stuck.pushed);
            }
        });
        EXPECT_LE(best, 60ms + slack);
        stuck.finish();
    }
}

TEST(DrainShutdown, ReturnsByItsDeadlineWhateverThePeer) {
    for (const auto peer : peers) {
        SCOPED_TRACE(text(peer));
        auto best = Clock::duration::max();
        for (int i = 0; i < tries && best > 60ms + slack; ++i) {
            Stuck stuck(peer);
            run(stuck.io, [&]() -> asio::awaitable<void> {
                co_await stuck.reach();
                const auto began = Clock::now();
                const auto report = co_await stuck.shutdown(60ms);
                best = std::min(best, Clock::now() - began);
                EXPECT_FALSE(report.complete);
                EXPECT_EQ(report.exported, 0u);
                EXPECT_EQ(report.dropped, stuck.pushed);
                EXPECT_EQ(report.pending, 0u);
            });
            const auto ledger = stuck.drain->ledger();
            EXPECT_EQ(dropped(ledger, DropReason::shutdown), stuck.pushed) << ledger.to_json();
            stuck.finish();
        }
        EXPECT_LE(best, 60ms + slack);
    }
}

TEST(DrainShutdown, WithAPassedDeadlineReturnsAtOnceWhateverThePeer) {
    for (const auto peer : peers) {
        SCOPED_TRACE(text(peer));
        Stuck stuck(peer);
        run(stuck.io, [&]() -> asio::awaitable<void> {
            co_await stuck.reach();
            const auto report = co_await stuck.drain->shutdown(Clock::time_point::min());
            EXPECT_EQ(report.dropped, stuck.pushed);
        });
        stuck.finish();
    }
}

TEST_F(DrainTest, FlushOfNothingIsCompleteAtOnce) {
    start(batches_of(10), sink_options());
    FlushReport report;

    run(io, [&]() -> asio::awaitable<void> {
        const auto began = Clock::now();
        report = co_await flush(1h);
        EXPECT_LT(Clock::now() - began, 1s);
    });

    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.exported + report.rejected + report.dropped + report.pending, 0u);
    EXPECT_EQ(server.request_count(), 0u);
}

TEST_F(DrainTest, FlushReportsWhatItExportedItself) {
    start(batches_of(10), sink_options());
    push_spans(10);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return drain->ledger().exported == 10; }));
        push_spans(7);
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 7u);
        EXPECT_EQ(report.pending, 0u);
    });
    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(17));
}

TEST_F(DrainTest, FlushWithAPassedDeadlineReturnsAtOnceAndSaysWhatIsPending) {
    start(batches_of(10), sink_options());
    push_spans(7);
    run(io, [&]() -> asio::awaitable<void> {
        const auto report = co_await drain->flush(Clock::time_point::min());
        EXPECT_FALSE(report.complete);
        EXPECT_EQ(report.pending, 7u);
    });
}

TEST_F(DrainTest, FlushDoesNotWaitForWhatIsPushedAfterIt) {
    server.script({answer(200), silence()});
    start(batches_of(10), sink_options());
    push_spans(10);
    run(io, [&]() -> asio::awaitable<void> {
        FlushReport report;
        bool flushed = false;
        asio::co_spawn(io, flush(1h), [&](const std::exception_ptr&, FlushReport got) {
            report = got;
            flushed = true;
        });
        co_await asio::post(io, asio::use_awaitable);
        push_spans(10);
        EXPECT_TRUE(co_await eventually([&] { return flushed; }));
        EXPECT_TRUE(report.complete);
    });
}

// Goal: a flush covers every span that ended before it, also in a shard that the drain has not
// looked at for a while because another one is never empty. Method: one thread keeps its shard
// filled, two others leave one span each.
TEST_F(DrainTest, FlushCoversEveryShardHoweverBusyTheOthers) {
    constexpr std::uint64_t needle = 1'000'000;
    make_queue(128u << 10, 2);
    start(batches_of(10), sink_options());

    run(io, [&]() -> asio::awaitable<void> {
        bool stop = false;
        const auto top_up = [&] {
            const auto left = queue->records_accepted() - queue->records_consumed();
            if (left < 30) { push_spans(30); }
        };
        asio::co_spawn(
            io,
            [&]() -> asio::awaitable<void> {
                while (!stop) {
                    top_up();
                    co_await asio::post(io, asio::use_awaitable);
                }
            },
            [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() >= 5; }));
        for (std::uint64_t i = 0; i < 2;
             ++i) { // Shards are handed out in turn: one of the two is not ours.
            std::thread([&] {
                ASSERT_EQ(push(*queue, span_record(needle + i)), RecordQueue::Push::accepted);
            }).join();
        }
        pushed += 2;
        const auto report = co_await flush(10s);
        EXPECT_TRUE(report.complete);
        const auto arrived = numbers_in(server.requests());
        stop = true;
        EXPECT_THAT(arrived, Contains(needle));
        EXPECT_THAT(arrived, Contains(needle + 1));
        EXPECT_LT(server.request_count(), 1000u) << "the other shard was starved";
        co_await settle();
    });
}

TEST_F(DrainTest, FlushesAtTheSameTimeEachKeepTheirOwnDeadline) {
    server.set_default(answer(200).hold());
    start(batches_of(10), sink_options());
    push_spans(25);
    run(io, [&]() -> asio::awaitable<void> {
        std::vector<FlushReport> reports(10);
        std::size_t ended = 0;
        for (std::size_t i = 0; i < reports.size(); ++i) {
            const bool patient = i % 2 == 0;
            asio::co_spawn(
                io, flush(patient ? Clock::duration(1h) : Clock::duration(i * 2ms)),
                [&, i](const std::exception_ptr& error, FlushReport report) {
                    EXPECT_FALSE(error);
                    reports[i] = report;
                    ++ended;
                });
        }
        EXPECT_TRUE(co_await eventually([&] { return ended == 5; }));
        co_await settle();
        EXPECT_EQ(ended, 5u) << "the patient ones still wait";
        server.release();
        EXPECT_TRUE(co_await eventually([&] { return ended == 10; }));
        for (std::size_t i = 0; i < reports.size(); ++i) {
            EXPECT_EQ(reports[i].complete, i % 2 == 0) << i;
            EXPECT_EQ(reports[i].exported, i % 2 == 0 ? 25u : 0u) << i;
            EXPECT_EQ(reports[i].pending, i % 2 == 0 ? 0u : 25u) << i;
        }
    });
}

TEST_F(DrainTest, ShutdownOfAnIdleDrainIsCompleteAndEndsIt) {
    start(batches_of(10), sink_options());
    run(io, [&]() -> asio::awaitable<void> {
        co_await settle();
        const auto report = co_await shutdown(1h);
        EXPECT_TRUE(report.complete);
        EXPECT_TRUE(co_await eventually([&] { return drain_ended; }));
    });
}

TEST_F(DrainTest, ShutdownExportsWhatIsBeingBuilt) {
    start(batches_of(100), sink_options());
    push_spans(7);
    run(io, [&]() -> asio::awaitable<void> {
        co_await settle();
        const auto report = co_await shutdown(5s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 7u);
    });
    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(7));
}

TEST_F(DrainTest, ShutdownWithAFullRingCountsTheRest) {
    make_queue(64u << 10, 2);
    server.set_default(silence());
    auto options = batches_of(10);
    options.waiting_bytes_max = 1024;
    start(options, sink_options());
    run(io, [&]() -> asio::awaitable<void> {
        while (refused.load() == 0) {
            push_spans(10, 500);
            co_await settle();
        }
        const auto report = co_await shutdown(20ms);
        EXPECT_FALSE(report.complete);
        EXPECT_EQ(report.dropped + refused.load(), pushed);
        EXPECT_EQ(report.pending, 0u);
    });
    EXPECT_EQ(dropped(drain->ledger(), DropReason::shutdown), pushed - refused.load());
    EXPECT_EQ(queue->records_accepted(), queue->records_consumed());
}

// Goal: what a shutdown loses is told once in full, although each batch's own line may be withheld.
TEST_F(DrainTest, ShutdownSaysInOneLineHowMuchWasLostInAll) {
    std::vector<std::string> lines;
    log.set_handler([&](const Diagnostic& diagnostic) {
        if (diagnostic.message.find("in all") != std::string::npos) {
            lines.push_back(
                std::string(name(diagnostic.level)) + ": " + std::string(diagnostic.message));
        }
    });
    server.set_default(silence());
    start(batches_of(10), sink_options());
    push_spans(45);
    run(io, [&]() -> asio::awaitable<void> {
        co_await settle();
        co_await shutdown(5ms);
        co_await shutdown(5ms);
    });
    EXPECT_THAT(
        lines, ::testing::ElementsAre(
                   "error: traces: 45 records dropped in all while shutting down: 45 shutdown"));
}

TEST_F(DrainTest, ShutdownThatLosesNothingSaysNothing) {
    std::vector<std::string> lines;
    log.set_handler([&](const Diagnostic& diagnostic) { lines.emplace_back(diagnostic.message); });
    start(batches_of(10), sink_options());
    push_spans(45);
    run(io, [&]() -> asio::awaitable<void> { co_await shutdown(5s); });
    EXPECT_THAT(lines, ::testing::IsEmpty());
}

TEST_F(DrainTest, ShutdownLetsAnAnswerArriveInTime) {
    server.set_default(answer(200).hold());
    start(batches_of(10), sink_options());
    push_spans(25);
    run(io, [&]() -> asio::awaitable<void> {
        FlushReport report;
        bool ended = false;
        asio::co_spawn(io, shutdown(1h), [&](const std::exception_ptr&, FlushReport got) {
            report = got;
            ended = true;
        });
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 1; }));
        EXPECT_FALSE(ended);
        server.release();
        EXPECT_TRUE(co_await eventually([&] { return ended; }));
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 25u);
    });
    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(25));
}

TEST_F(DrainTest, ASecondShutdownIsCompleteAndEmpty) {
    start(batches_of(10), sink_options());
    push_spans(25);
    run(io, [&]() -> asio::awaitable<void> {
        co_await shutdown(5s);
        const auto again = co_await shutdown(1h);
        EXPECT_TRUE(again.complete);
        EXPECT_EQ(again.exported + again.dropped + again.pending, 0u);
        const auto flushed = co_await flush(1h);
        EXPECT_TRUE(flushed.complete);
        EXPECT_EQ(flushed.exported + flushed.dropped + flushed.pending, 0u);
    });
}

// The earlier deadline of two wins, and neither caller waits for the other's.
TEST_F(DrainTest, TwoShutdownsAtOnceBothEndByTheEarlierDeadline) {
    server.set_default(silence());
    start(batches_of(10), sink_options());
    push_spans(25);
    run(io, [&]() -> asio::awaitable<void> {
        int ended = 0;
        for (const Clock::duration within : {Clock::duration(1h), Clock::duration(20ms)}) {
            asio::co_spawn(
                io, shutdown(within), [&](const std::exception_ptr& error, FlushReport report) {
                    EXPECT_FALSE(error);
                    EXPECT_EQ(report.pending, 0u);
                    EXPECT_EQ(report.dropped, 25u);
                    ++ended;
                });
        }
        EXPECT_TRUE(co_await eventually([&] { return ended == 2; }));
    });
}

TEST_F(DrainTest, ShutdownEndsAFlushThatWaits) {
    server.set_default(silence());
    start(batches_of(10), sink_options());
    push_spans(25);
    run(io, [&]() -> asio::awaitable<void> {
        bool flushed = false;
        asio::co_spawn(io, flush(1h), [&](const std::exception_ptr& error, const FlushReport&) {
            EXPECT_FALSE(error);
            flushed = true;
        });
        co_await settle();
        EXPECT_FALSE(flushed);
        co_await shutdown(5ms);
        EXPECT_TRUE(co_await eventually([&] { return flushed; }));
    });
}

// Cancelling whoever waits must not leave the drain half stopped.
TEST_F(DrainTest, ACancelledShutdownStillEndsEverything) {
    server.set_default(silence());
    start(batches_of(10), sink_options());
    push_spans(25);
    run(io, [&]() -> asio::awaitable<void> {
        asio::cancellation_signal signal;
        bool ended = false;
        asio::co_spawn(
            io, shutdown(1h),
            asio::bind_cancellation_slot(
                signal.slot(),
                [&](const std::exception_ptr&, const FlushReport&) { ended = true; }));
        co_await settle();
        signal.emit(asio::cancellation_type::terminal);
        EXPECT_TRUE(co_await eventually([&] { return ended; }));
        EXPECT_TRUE(co_await eventually([&] { return drain_ended; }));
    });
    EXPECT_EQ(dropped(drain->ledger(), DropReason::shutdown), 25u);
}

TEST_F(DrainTest, ACancelledFlushLeavesTheOthersAlone) {
    server.set_default(answer(200).hold());
    start(batches_of(10), sink_options());
    push_spans(25);
    run(io, [&]() -> asio::awaitable<void> {
        asio::cancellation_signal signal;
        bool cancelled = false;
        bool flushed = false;
        asio::co_spawn(
            io, flush(1h),
            asio::bind_cancellation_slot(
                signal.slot(),
                [&](const std::exception_ptr&, const FlushReport&) { cancelled = true; }));
        asio::co_spawn(io, flush(1h), [&](const std::exception_ptr&, const FlushReport& report) {
            EXPECT_TRUE(report.complete);
            flushed = true;
        });
        co_await settle();
        signal.emit(asio::cancellation_type::terminal);
        EXPECT_TRUE(co_await eventually([&] { return cancelled; }));
        EXPECT_FALSE(flushed);
        server.release();
        EXPECT_TRUE(co_await eventually([&] { return flushed; }));
    });
    EXPECT_EQ(drain->ledger().exported, 25u);
}

} // namespace
} // namespace weft::testing
