#include "receiver.hpp"

#include <weft/telemetry/runtime.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <malloc.h>

#include <csignal>
#include <future>
#include <thread>

// Options::export_on: the same promises with a thread of ours and without one.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

void expect_no_error(const std::exception_ptr& error) { EXPECT_FALSE(error); }

Options guest_options(const Receiver& receiver) {
    auto options = receiver.options();
    options.export_on = ExportOn::user_executor;
    return options;
}

// A thread that runs an io_context until it is told to end.
class Running {
public:
    explicit Running(asio::io_context& io, int threads = 1) : guard_(io.get_executor()) {
        for (int i = 0; i < threads; ++i) {
            threads_.emplace_back([&io] { io.run(); });
        }
    }
    ~Running() {
        guard_.reset();
        for (auto& thread : threads_) { thread.join(); }
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

private:
    asio::executor_work_guard<asio::io_context::executor_type> guard_;
    std::vector<std::thread> threads_;
};

class ExportOnBoth : public ::testing::TestWithParam<ExportOn> {
protected:
    [[nodiscard]] Options options(const Receiver& receiver) const {
        auto options = receiver.options();
        options.export_on = GetParam();
        return options;
    }
};

INSTANTIATE_TEST_SUITE_P(
    Runtime, ExportOnBoth, ::testing::Values(ExportOn::own_thread, ExportOn::user_executor),
    [](const auto& tested) {
        return tested.param == ExportOn::own_thread ? "OwnThread" : "UserExecutor";
    });

TEST_P(ExportOnBoth, ExportsWhatAProgramMadeAndRunEndsWithItsWork) {
    Receiver receiver;
    Runtime runtime(options(receiver));
    weft::co_spawn(
        runtime,
        [&]() -> Task<void> {
            const Span span("work");
            asio::steady_timer timer(runtime.io_context(), 1ms);
            co_await timer.async_wait(asio::use_awaitable_t<Executor>{});
        },
        expect_no_error);

    EXPECT_EQ(runtime.run(), 0);

    EXPECT_THAT(receiver.names(), ElementsAre("work"));
    EXPECT_EQ(runtime.ledger().exported, 1u);
}

TEST_P(ExportOnBoth, AFlushInACoroutineThatIsAllTheLoopHasIsWaitedFor) {
    Receiver receiver;
    Runtime runtime(options(receiver));
    FlushReport report;
    weft::co_spawn(
        runtime,
        [&]() -> Task<void> {
            Span("work").end();
            report = co_await runtime.flush(10s);
        },
        expect_no_error);

    runtime.io_context().run();

    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.exported, 1u);
}

TEST_P(ExportOnBoth, ABlockingFlushWorksBeforeAnybodyRunsTheLoop) {
    Receiver receiver;
    Runtime runtime(options(receiver));
    bool ran = false;
    asio::post(runtime.io_context(), [&] { ran = true; });
    Span("early").end();

    const auto report = runtime.flush_blocking(10s);

    ASSERT_TRUE(report.has_value());
    EXPECT_TRUE(report->complete);
    EXPECT_EQ(report->exported, 1u);
    EXPECT_FALSE(ran) << "the program's handlers are not ours to run";
}

TEST_P(ExportOnBoth, ABlockingFlushWorksWhileAnotherThreadRunsTheLoop) {
    Receiver receiver;
    asio::io_context io;
    Runtime runtime(io, options(receiver));
    const Running running(io);
    for (int i = 0; i < 50; ++i) {
        Span("s").end();
        const auto report = runtime.flush_blocking(10s);
        ASSERT_TRUE(report.has_value());
        ASSERT_TRUE(report->complete);
        ASSERT_EQ(report->exported, 1u);
    }
    EXPECT_THAT(receiver.names(), SizeIs(50));
}

TEST_P(ExportOnBoth, ABlockingFlushWorksWhileAHandlerHoldsTheLoop) {
    Receiver receiver;
    asio::io_context io;
    Runtime runtime(io, options(receiver));
    std::promise<void> held;
    std::promise<void> let_go;
    asio::post(io, [&] {
        held.set_value();
        let_go.get_future().wait();
    });
    {
        const Running running(io);
        held.get_future().wait();
        Span("s").end();
        EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
        let_go.set_value();
    }
    EXPECT_THAT(receiver.names(), ElementsAre("s"));
}

TEST_P(ExportOnBoth, ManyThreadsMayFlushAtOnceWhileManyRunTheLoop) {
    Receiver receiver;
    asio::io_context io;
    auto wanted = options(receiver);
    wanted.batch.delay = 1ms;
    Runtime runtime(io, wanted);
    constexpr int callers = 4;
    constexpr int turns = 50;
    {
        const Running running(io, 3);
        std::vector<std::thread> threads;
        for (int i = 0; i < callers; ++i) {
            threads.emplace_back([&] {
                for (int turn = 0; turn < turns; ++turn) {
                    Span("s").end();
                    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
                }
            });
        }
        for (auto& thread : threads) { thread.join(); }
    }
    EXPECT_EQ(runtime.ledger().exported, std::uint64_t(callers * turns));
    EXPECT_THAT(receiver.names(), SizeIs(callers * turns));
}

TEST_P(ExportOnBoth, WhatEndsWhileTheLoopRunsIsExportedByItself) {
    Receiver receiver;
    asio::io_context io;
    auto wanted = options(receiver);
    wanted.batch.delay = 1ms;
    Runtime runtime(io, wanted);
    const Running running(io);
    Span("s").end();

    EXPECT_TRUE(wait_for([&] { return runtime.ledger().exported == 1; }));
}

TEST_P(ExportOnBoth, ABurstIsExportedWhole) {
    Receiver receiver;
    asio::io_context io;
    auto wanted = options(receiver);
    wanted.batch.delay = 1ms;
    wanted.batch.queue_bytes = 64u << 20;
    Runtime runtime(io, wanted);
    const Running running(io, 2);
    for (int i = 0; i < 20'000; ++i) { Span("s").end(); }

    EXPECT_TRUE(wait_for([&] { return runtime.ledger().exported == 20'000; }))
        << runtime.ledger_json();
}

// Goal: "deadline-true", also where the loop has one thread and the collector never answers.
TEST_P(ExportOnBoth, AFlushAgainstACollectorThatNeverAnswersKeepsItsDeadline) {
    Receiver receiver;
    receiver.server().set_default(silence());
    asio::io_context io;
    auto wanted = options(receiver);
    wanted.shutdown_timeout = 0ms;
    Runtime runtime(io, wanted);
    Span("s").end();
    constexpr auto limit = 50ms;
    const auto as_coroutine = [&] {
        io.restart();
        const auto begun = Clock::now();
        auto took = Clock::duration::max();
        weft::co_spawn(
            io,
            [&]() -> Task<void> {
                const auto report = co_await runtime.flush(limit);
                took = Clock::now() - begun;
                EXPECT_FALSE(report.complete);
                EXPECT_EQ(report.pending, 1u);
            },
            expect_no_error);
        io.run();
        return took;
    };
    const auto blocking = [&] {
        const auto begun = Clock::now();
        const auto report = runtime.flush_blocking(limit);
        EXPECT_FALSE(report->complete);
        EXPECT_EQ(report->pending, 1u);
        return Clock::now() - begun;
    };

    EXPECT_LE(best_of(limit, as_coroutine, 10ms), limit + 10ms);
    EXPECT_LE(best_of(limit, blocking, 10ms), limit + 10ms);
    receiver.server().close_connections();
}

TEST_P(ExportOnBoth, AShutdownAgainstACollectorThatNeverAnswersKeepsItsDeadline) {
    Receiver receiver;
    receiver.server().set_default(silence());
    constexpr auto limit = 50ms;
    const auto blocking = [&] {
        Runtime runtime(options(receiver));
        Span("s").end();
        const auto begun = Clock::now();
        const auto report = runtime.shutdown_blocking(limit);
        const auto took = Clock::now() - begun;
        EXPECT_FALSE(report->complete);
        EXPECT_EQ(report->dropped, 1u);
        return took;
    };
    const auto as_coroutine = [&] {
        asio::io_context io;
        Runtime runtime(io, options(receiver));
        Span("s").end();
        const auto begun = Clock::now();
        auto took = Clock::duration::max();
        weft::co_spawn(
            io,
            [&]() -> Task<void> {
                const auto report = co_await runtime.shutdown(limit);
                took = Clock::now() - begun;
                EXPECT_EQ(report.dropped, 1u);
            },
            expect_no_error);
        io.run();
        return took;
    };
    const auto destructor = [&] {
        auto wanted = options(receiver);
        wanted.shutdown_timeout = limit;
        std::optional<Runtime> runtime(std::in_place, wanted);
        Span("s").end();
        const auto begun = Clock::now();
        runtime.reset();
        return Clock::now() - begun;
    };

    EXPECT_LE(best_of(limit, blocking, 10ms), limit + 10ms);
    EXPECT_LE(best_of(limit, as_coroutine, 10ms), limit + 10ms);
    EXPECT_LE(best_of(limit, destructor, 10ms), limit + 10ms);
}

// A collector that takes connections into its backlog and nothing more.
TEST_P(ExportOnBoth, ACollectorThatNeverAcceptsCostsTheDeadlineAndNoMore) {
    asio::io_context io;
    asio::ip::tcp::acceptor deaf(io, {asio::ip::address_v4::loopback(), 0});
    constexpr auto limit = 50ms;
    const auto attempt = [&] {
        Options wanted;
        wanted.metrics_exporter = ExporterKind::none;
        wanted.export_on = GetParam();
        wanted.otlp.endpoint = "http://127.0.0.1:" + std::to_string(deaf.local_endpoint().port());
        Runtime runtime(wanted);
        Span("s").end();
        const auto begun = Clock::now();
        EXPECT_EQ(runtime.shutdown_blocking(limit)->dropped, 1u);
        return Clock::now() - begun;
    };

    EXPECT_LE(best_of(limit, attempt, 10ms), limit + 10ms);
}

TEST_P(ExportOnBoth, TheDestructorExportsWhatIsLeftAlsoInAHandlerOfTheLoop) {
    Receiver receiver;
    asio::io_context io;
    auto runtime = std::make_unique<Runtime>(io, options(receiver));
    asio::post(io, [&] {
        Span("last").end();
        runtime.reset();
    });
    io.run();

    EXPECT_THAT(receiver.names(), ElementsAre("last"));
}

TEST_P(ExportOnBoth, TheDestructorExportsWhatIsLeftWhileOthersRunTheLoop) {
    Receiver receiver;
    asio::io_context io;
    const Running running(io, 2);
    for (int i = 0; i < 20; ++i) {
        Runtime runtime(io, options(receiver));
        Span("s").end();
    }
    EXPECT_THAT(receiver.names(), SizeIs(20));
}

TEST_P(ExportOnBoth, AStopSignalEndsRun) {
    Receiver receiver;
    auto wanted = options(receiver);
    wanted.threads = 2;
    Runtime runtime(wanted);
    asio::steady_timer never(runtime.io_context(), 1h);
    never.async_wait([](const boost::system::error_code&) {});
    const auto hook = runtime.host().on_stop([&]() -> Task<void> {
        never.cancel();
        co_return;
    });
    asio::post(runtime.io_context(), [] {
        Span("s").end();
        std::raise(SIGTERM);
    });

    EXPECT_EQ(runtime.run(), 0);
    EXPECT_THAT(receiver.names(), ElementsAre("s"));
}

// Another signal_set may read the pipe that both are told by: see GuestLoop, G3.
TEST_P(ExportOnBoth, AStopSignalEndsRunAlsoBesideASignalSetOfTheProgram) {
    Options wanted;
    wanted.disabled = true;
    wanted.export_on = GetParam();
    wanted.threads = 2;
    Runtime runtime(wanted);
    asio::io_context other;
    asio::signal_set hangup(other, SIGHUP);
    hangup.async_wait([](const boost::system::error_code&, int) {});
    const Running running(other);
    asio::steady_timer never(runtime.io_context(), 1h);
    never.async_wait([](const boost::system::error_code&) {});
    const auto hook = runtime.host().on_stop([&]() -> Task<void> {
        never.cancel();
        co_return;
    });
    asio::post(runtime.io_context(), [] { std::raise(SIGTERM); });

    EXPECT_EQ(runtime.run(), 0);
    hangup.cancel();
}

// A queue that fills quickly, and a collector that can be made to take its time.
Options small_queue(Options options) {
    options.batch.queue_bytes = 64u << 10;
    options.batch.shards = 1;
    options.batch.records_max = 16;
    options.batch.bytes_max = 16u << 10;
    options.batch.waiting_bytes_max = 16u << 10;
    options.batch.delay = 1ms;
    options.shutdown_timeout = 0ms;
    return options;
}

TEST_P(ExportOnBoth, AProducerThatWaitsForRoomLosesNothing) {
    Receiver receiver;
    asio::io_context io;
    Runtime runtime(io, small_queue(options(receiver)));
    constexpr int count = 5000;
    int waits = 0;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            for (int i = 0; i < count; ++i) {
                const Span span("s", {{"filler", std::string(200, 'x')}});
                if (runtime.has_room()) { continue; }
                ++waits;
                EXPECT_TRUE(co_await runtime.ready(Clock::now() + 10s));
            }
            EXPECT_TRUE((co_await runtime.flush(10s)).complete);
        },
        expect_no_error);
    EXPECT_EQ(runtime.run(), 0);

    EXPECT_GT(waits, 0);
    EXPECT_EQ(runtime.ledger().exported, std::uint64_t(count)) << runtime.ledger_json();
}

TEST_P(ExportOnBoth, WithoutRoomReadyIsFalseAtItsDeadlineAndWithRoomTrueAtOnce) {
    Receiver receiver;
    receiver.server().set_default(silence());
    asio::io_context io;
    Runtime runtime(io, small_queue(options(receiver)));
    EXPECT_TRUE(runtime.has_room());
    bool with_room = false;
    bool without = true;
    asio::co_spawn( // A plain coroutine, too.
        io,
        [&]() -> asio::awaitable<void> {
            with_room = co_await runtime.ready<asio::any_io_executor>();
            while (runtime.ledger().dropped_total() == 0) {
                Span("s", {{"filler", std::string(200, 'x')}}).end();
            }
            without = co_await runtime.ready<asio::any_io_executor>(Clock::now() + 20ms);
        },
        expect_no_error);
    io.run();

    EXPECT_TRUE(with_room);
    EXPECT_FALSE(runtime.has_room());
    EXPECT_FALSE(without);
    receiver.server().close_connections();
}

TEST_P(ExportOnBoth, AWaitForRoomEndsWithTheShutdown) {
    Receiver receiver;
    receiver.server().set_default(silence());
    asio::io_context io;
    Runtime runtime(io, small_queue(options(receiver)));
    while (runtime.ledger().dropped_total() == 0) {
        Span("s", {{"filler", std::string(200, 'x')}}).end();
    }
    ASSERT_FALSE(runtime.has_room());
    bool ended = false;
    weft::co_spawn(
        io, [&]() -> Task<void> { ended = co_await runtime.ready(); }, expect_no_error);
    weft::co_spawn(
        io, [&]() -> Task<void> { (void)co_await runtime.shutdown(10ms); }, expect_no_error);
    io.run();

    EXPECT_TRUE(ended) << "nobody waits for ever";
    receiver.server().close_connections();
}

TEST(Runtime, IsReadyWithTelemetryOff) {
    Options wanted;
    wanted.disabled = true;
    Runtime runtime(wanted);
    bool ready = false;
    EXPECT_TRUE(runtime.has_room());
    weft::co_spawn(
        runtime, [&]() -> Task<void> { ready = co_await runtime.ready(); }, expect_no_error);
    EXPECT_EQ(runtime.run(), 0);
    EXPECT_TRUE(ready);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEFT_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEFT_TEST_SANITIZED 1
#endif
#endif
#ifndef WEFT_TEST_SANITIZED
// Goal: a collector that hangs costs no more than memory_max says. Method: what malloc has handed out, and the rings.
TEST_P(ExportOnBoth, AgainstACollectorThatHangsMemoryStaysWithinItsBound) {
    Receiver receiver;
    receiver.server().set_default(silence());
    auto wanted = options(receiver);
    wanted.shutdown_timeout = 0ms;
    wanted.batch.queue_bytes = 1u << 20;
    wanted.batch.bytes_max = 64u << 10;
    wanted.batch.records_max = 1u << 20;
    wanted.batch.waiting_bytes_max = 256u << 10;
    wanted.batch.delay = 1ms;
    const auto bound = memory_max(wanted.batch, wanted.otlp.connections);
    EXPECT_LE(bound, 4u << 20) << "of the order of what was asked for";
    asio::io_context io;
    Runtime runtime(io, wanted);
    const Running running(io);
    const auto before = mallinfo2();
    Ledger ledger;
    const auto made = wait_for([&] {
        for (int i = 0; i < 1000; ++i) { Span("s", {{"filler", std::string(500, 'x')}}).end(); }
        ledger = runtime.ledger();
        return ledger.dropped_total() > 10'000;
    });
    ASSERT_TRUE(made) << ledger.to_json();
    const auto after = mallinfo2();
    const auto taken = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;

    EXPECT_LE(taken + wanted.batch.queue_bytes, bound) << taken;
    EXPECT_GT(taken, wanted.batch.waiting_bytes_max / 2) << "it is measured at all";
    EXPECT_TRUE(ledger.is_balanced());
    receiver.server().close_connections();
}
#endif

TEST(ExportOnUserExecutor, HasNoThreadOfItsOwnOnASingleThreadedLoop) {
    Receiver receiver;
    const auto before = thread_count();
    {
        asio::io_context io(1);
        auto wanted = guest_options(receiver);
        wanted.metrics_exporter = ExporterKind::otlp;
        wanted.metric_reader.interval = 1ms;
        wanted.batch.delay = 1ms;
        Runtime runtime(io, wanted);
        EXPECT_EQ(thread_count(), before);
        std::size_t during = 0;
        weft::co_spawn(
            io,
            [&]() -> Task<void> {
                for (int i = 0; i < 20; ++i) { // Also when there is something to send.
                    Span("s").end();
                    (void)co_await runtime.flush(10s);
                    during = std::max(during, thread_count());
                }
            },
            expect_no_error);
        EXPECT_EQ(runtime.run(), 0);
        EXPECT_EQ(during, before);
        EXPECT_EQ(runtime.ledger().exported, 20u);
        EXPECT_GE(runtime.ledger(Signal::metrics).exported, 1u);
        EXPECT_EQ(thread_count(), before);
    }
    EXPECT_EQ(thread_count(), before);
    EXPECT_TRUE(threads_named("weft-export").empty());
}

TEST(ExportOnUserExecutor, NeedsNoThreadForLocalhost) {
    Receiver receiver;
    const auto before = thread_count();
    auto wanted = guest_options(receiver);
    wanted.otlp.endpoint = "http://localhost:" + std::to_string(receiver.server().port());
    Runtime runtime(wanted);
    Span("s").end();
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
    EXPECT_EQ(thread_count(), before);
}

TEST(ExportOnUserExecutor, RefusesABlockingCallOnEachThreadOfTheLoop) {
    Receiver receiver;
    asio::io_context io;
    Runtime runtime(io, guest_options(receiver));
    Span("s").end();
    std::atomic<int> refused{0};
    std::promise<void> both;
    const auto ask = [&] {
        EXPECT_EQ(runtime.flush_blocking(1h).error(), make_error_code(Errc::wrong_thread));
        EXPECT_EQ(runtime.shutdown_blocking(1h).error(), make_error_code(Errc::wrong_thread));
        if (++refused == 2) { both.set_value(); }
    };
    {
        std::promise<void> met; // Outlives the threads.
        const Running running(io, 2);
        asio::post(io, [&] { // The other thread's turn comes while this one waits.
            ask();
            met.get_future().wait();
        });
        asio::post(io, [&] {
            ask();
            met.set_value();
        });
        both.get_future().wait();
    }
    EXPECT_EQ(runtime.ledger().queued, 1u) << "and nothing was shut down";
    EXPECT_TRUE(runtime.flush_blocking(10s)->complete);
}

TEST(ExportOnUserExecutor, ABorrowedContextRunsOutOfWorkByItsOwnWorkAlone) {
    Receiver receiver;
    receiver.server().set_default(silence());
    asio::io_context io;
    auto wanted = guest_options(receiver);
    wanted.batch.records_max = 1;
    wanted.shutdown_timeout = 0ms;
    Runtime runtime(io, wanted);
    Span("s").end();
    for (int i = 0; i < 3; ++i) { // In flight all the time, and still not the program's work.
        bool ran = false;
        asio::steady_timer timer(io, 5ms);
        timer.async_wait([&](const boost::system::error_code&) { ran = true; });
        io.run();
        EXPECT_TRUE(ran);
        EXPECT_TRUE(io.stopped());
        io.restart();
    }
    receiver.server().close_connections();
}

TEST(ExportOnUserExecutor, AContextMayEndWithHandlersOfARuntimeThatHasGone) {
    Receiver receiver;
    asio::io_context io;
    for (int i = 0; i < 3; ++i) {
        const Runtime runtime(io, guest_options(receiver));
        Span("s").end();
        io.poll();
        io.restart();
    }
    EXPECT_THAT(receiver.names(), SizeIs(3)); // ~io_context finds what was left.
}

TEST(ExportOnUserExecutor, ALoopThatIsNeverRunLosesNothing) {
    Receiver receiver;
    {
        const Runtime runtime(guest_options(receiver));
        for (int i = 0; i < 1000; ++i) { Span("s").end(); }
    }
    EXPECT_THAT(receiver.names(), SizeIs(1000));
}

TEST(ExportOnUserExecutor, ASliceOutOfRangeIsRefusedByName) {
    Options wanted;
    wanted.export_slice = 5us;
    EXPECT_EQ(problem_in(wanted), "Options::export_slice is 5 us: allowed is 10 to 1000000 us");
    wanted.export_slice = 10us;
    EXPECT_EQ(problem_in(wanted), "");
}

} // namespace
} // namespace weft::testing
