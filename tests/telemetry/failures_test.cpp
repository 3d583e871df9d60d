#include "receiver.hpp"

#include <weft/runtime/manual_clock.hpp>
#include <weft/telemetry/runtime.hpp>

#include <set>

// What goes wrong between a program and its collector: the program goes on, and the ledger says where everything is.

namespace weft::testing {
namespace {

using ::testing::SizeIs;

class Failures : public ::testing::TestWithParam<ExportOn> {
protected:
    [[nodiscard]] Options options(const Receiver& receiver) const {
        auto options = receiver.options();
        options.export_on = GetParam();
        options.batch.delay = 1ms;
        options.batch.records_max = 10;
        return options;
    }

    // A loop that runs as a program's does.
    class Loop {
    public:
        Loop() : thread_([this] { io_.run(); }) {}
        ~Loop() {
            guard_.reset();
            thread_.join();
        }
        Loop(const Loop&) = delete;
        Loop& operator=(const Loop&) = delete;
        [[nodiscard]] asio::io_context& io() noexcept { return io_; }

    private:
        asio::io_context io_{1};
        asio::executor_work_guard<asio::io_context::executor_type> guard_{io_.get_executor()};
        std::thread thread_;
    };
};

INSTANTIATE_TEST_SUITE_P(
    Runtime, Failures, ::testing::Values(ExportOn::own_thread, ExportOn::user_executor),
    [](const auto& tested) {
        return tested.param == ExportOn::own_thread ? "OwnThread" : "UserExecutor";
    });

void make_spans(int count) {
    for (int i = 0; i < count; ++i) { Span("s").end(); }
}

TEST_P(Failures, ACollectorThatRestartsAgainAndAgainCostsNoSpan) {
    Receiver receiver;
    Loop loop;
    Runtime runtime(loop.io(), options(receiver));
    constexpr int rounds = 10;
    for (int round = 0; round < rounds; ++round) {
        make_spans(50);
        receiver.server().script({reset_unread(), close_unread(), hang_up(), reset()});
        receiver.server().close_connections(); // With requests under way, or kept alive.
        make_spans(50);
        const auto report = runtime.flush_blocking(30s);
        ASSERT_TRUE(report.has_value());
        EXPECT_TRUE(report->complete) << runtime.ledger_json();
    }

    const auto ledger = runtime.ledger();
    EXPECT_EQ(ledger.exported, std::uint64_t(rounds * 100)) << ledger.to_json();
    EXPECT_TRUE(ledger.is_balanced());
    std::set<std::string> ids; // One whose answer was lost may have come twice; none never.
    for (const auto& span : receiver.spans()) { ids.insert(span.span_id()); }
    EXPECT_THAT(ids, SizeIs(rounds * 100));
}

// The peer is gone without a word, so that the kept connection looks alive: only time tells.
TEST_P(Failures, AHalfOpenConnectionCostsOneTimeoutAndNoSpan) {
    Receiver receiver;
    Loop loop;
    auto wanted = options(receiver);
    wanted.otlp.timeout = 50ms;
    wanted.otlp.connections = 1;
    Runtime runtime(loop.io(), wanted);
    make_spans(1);
    ASSERT_TRUE(runtime.flush_blocking(10s)->complete);
    receiver.server().script({silence()});

    make_spans(5);
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);

    EXPECT_EQ(runtime.ledger().exported, 6u) << runtime.ledger_json();
    EXPECT_EQ(receiver.server().connections(), 2u);
}

TEST_P(Failures, AnUnknownHostKeepsNobodyWaitingAndIsCounted) {
    Receiver receiver;
    Loop loop;
    auto wanted = options(receiver);
    wanted.otlp.endpoint = "http://no-such-host.invalid:4318";
    Runtime runtime(loop.io(), wanted);
    make_spans(25);
    const auto flush = [&] {
        const auto begun = Clock::now();
        EXPECT_FALSE(runtime.flush_blocking(20ms)->complete);
        return Clock::now() - begun;
    };
    EXPECT_LE(best_of(20ms, flush), 20ms + slack);
    auto ledger = runtime.ledger();
    EXPECT_EQ(ledger.queued + ledger.in_flight, 25u) << ledger.to_json();
    EXPECT_TRUE(ledger.is_balanced());

    EXPECT_EQ(runtime.shutdown_blocking(20ms)->dropped, 25u);

    ledger = runtime.ledger();
    EXPECT_EQ(ledger.dropped_total(), 25u) << ledger.to_json();
    EXPECT_TRUE(ledger.is_balanced());
}

TEST_P(Failures, ACollectorThatComesLateGetsEverything) {
    Receiver receiver;
    asio::io_context later;
    LoopbackServer collector(later.get_executor(), LoopbackServer::Start::refusing);
    Loop loop;
    auto wanted = options(receiver);
    wanted.otlp.endpoint = collector.url("");
    Runtime runtime(loop.io(), wanted);
    make_spans(100);
    EXPECT_FALSE(runtime.flush_blocking(20ms)->complete);
    collector.listen();
    auto running = std::thread([&] { later.run(); });

    EXPECT_TRUE(runtime.flush_blocking(30s)->complete) << runtime.ledger_json();

    EXPECT_EQ(runtime.ledger().exported, 100u);
    later.stop();
    running.join();
}

// While the collector is away, the program is told nothing and waits for nothing; what finds no room is counted.
TEST_P(Failures, ALongOutageFillsTheQueueAndTheLedgerStaysBalanced) {
    Receiver receiver;
    receiver.server().set_default(answer(503));
    Loop loop;
    auto wanted = options(receiver);
    wanted.batch.queue_bytes = 64u << 10;
    wanted.batch.shards = 1;
    wanted.batch.waiting_bytes_max = 16u << 10;
    Runtime runtime(loop.io(), wanted);
    Ledger ledger;
    EXPECT_TRUE(wait_for([&] {
        make_spans(100);
        ledger = runtime.ledger();
        EXPECT_TRUE(ledger.is_balanced());
        return ledger.dropped_total() > 1000;
    }));
    receiver.server().set_default(answer(200));

    EXPECT_TRUE(runtime.flush_blocking(30s)->complete) << runtime.ledger_json();

    ledger = runtime.ledger();
    EXPECT_EQ(ledger.created, ledger.exported + ledger.dropped_total()) << ledger.to_json();
    EXPECT_EQ(
        ledger.dropped_total(), ledger.dropped[static_cast<std::size_t>(DropReason::queue_full)]);
}

// The system's clock is set back by an hour while a trace is under way and exports wait.
TEST_P(Failures, AStepOfTheWallClockTearsNoTraceAndDelaysNoExport) {
    Receiver receiver;
    ManualClock clock;
    Loop loop;
    Runtime runtime(loop.io(), options(receiver));
    {
        const Span outer("outer");
        clock.advance(1ms);
        clock.step_wall(-1h);
        const Span inner("inner");
        clock.advance(1ms);
    }
    const auto begun = Clock::now();
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    EXPECT_LT(Clock::now() - begun, 10s);

    const auto spans = receiver.spans();
    ASSERT_THAT(spans, SizeIs(2));
    EXPECT_EQ(spans[0].name(), "inner");
    EXPECT_EQ(spans[0].start_time_unix_nano(), spans[1].start_time_unix_nano() + 1'000'000);
    EXPECT_EQ(spans[0].end_time_unix_nano(), spans[0].start_time_unix_nano() + 1'000'000);
    EXPECT_EQ(spans[1].end_time_unix_nano(), spans[1].start_time_unix_nano() + 2'000'000);
}

} // namespace
} // namespace weft::testing
