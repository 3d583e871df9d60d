#include "sink_fixture.hpp"

#include <weft/exporters/otlp_http.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>

// How a sink ends: stop, cancellation, destruction, in every state a send can be in; and how it
// works on several threads.

namespace weft::testing {
namespace {

using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

// A port whose queue of connections is full: connecting takes for ever.
struct FullPort {
    explicit FullPort(asio::io_context& io) : acceptor(io), filler(io) {
        acceptor.open(tcp::v4());
        acceptor.bind({asio::ip::address_v4::loopback(), 0});
        acceptor.listen(0);
        filler.connect(acceptor.local_endpoint());
    }
    tcp::acceptor acceptor;
    tcp::socket filler;
};

enum class At : std::uint8_t {
    connecting,
    tunnelling,
    handshaking,
    writing,
    reading,
    backing_off,
    parked,
    waiting_for_a_connection
};

const char* text(At at) {
    switch (at) {
    case At::connecting:
        return "connecting";
    case At::tunnelling:
        return "tunnelling";
    case At::handshaking:
        return "handshaking";
    case At::writing:
        return "writing";
    case At::reading:
        return "reading";
    case At::backing_off:
        return "backing off";
    case At::parked:
        return "parked";
    case At::waiting_for_a_connection:
        return "waiting for a connection";
    }
    return "?";
}

constexpr At all_states[] = {
    At::connecting, At::tunnelling,  At::handshaking, At::writing,
    At::reading,    At::backing_off, At::parked,      At::waiting_for_a_connection};
constexpr At waits[] = {At::backing_off, At::parked};

// A send brought into a state, one per test case and context.
class Scene : public SinkTest {
public:
    explicit Scene(At at)
        : at_(at), full_(io), batch_(make_batch(10, at == At::writing ? 32u << 20 : 5000u)) {
        auto given = options();
        given.connections = 1;
        given.timeout = 20s;
        given.retry = {.initial_backoff = 1h, .max_backoff = 1h, .max_elapsed = 24h};
        if (at == At::connecting) { given.url.port = full_.acceptor.local_endpoint().port(); }
        if (at == At::tunnelling || at == At::handshaking) { given.url.scheme = UrlScheme::https; }
        if (at == At::tunnelling) { given.proxy = Proxy{"127.0.0.1", server.port()}; }
        switch (at) {
        case At::connecting:
            break;
        case At::handshaking:
        case At::writing:
            server.script({never_read()});
            break;
        case At::tunnelling:
        case At::reading:
        case At::waiting_for_a_connection:
            server.script({silence()});
            break;
        case At::backing_off:
            server.script({answer(503)});
            break;
        case At::parked:
            server.script({answer(503, {{"Retry-After", "3600"}})});
            break;
        }
        use(given);
    }
    void TestBody() override {}

    // Starts the send and waits until it has got where it should be.
    asio::awaitable<void> reach() {
        if (at_ == At::waiting_for_a_connection) { start(first_signal_, first_); }
        start(signal, outcome);
        EXPECT_TRUE(co_await eventually([this] { return reached(); })) << text(at_);
        for (int i = 0; i < 20; ++i) { co_await asio::post(io, asio::use_awaitable); }
        EXPECT_FALSE(outcome) << text(at_);
    }

    asio::awaitable<void> end_and_check() {
        EXPECT_TRUE(co_await eventually([this] { return outcome.has_value(); })) << text(at_);
        if (!outcome) { co_return; }
        expect_balanced(*outcome, *batch_);
        EXPECT_EQ(outcome->dropped, batch_->records) << text(at_);
        EXPECT_EQ(outcome->reason, DropReason::shutdown) << text(at_);
    }

    using SinkTest::io;
    using SinkTest::server;
    using SinkTest::sink;
    std::optional<SendOutcome> outcome;
    asio::cancellation_signal signal;

private:
    void start(asio::cancellation_signal& from, std::optional<SendOutcome>& into) {
        asio::co_spawn(
            io, sink->send(batch_),
            asio::bind_cancellation_slot(
                from.slot(), [&into](std::exception_ptr e, SendOutcome got) {
                    EXPECT_FALSE(e);
                    into = std::move(got);
                }));
    }
    bool reached() const {
        switch (at_) {
        case At::connecting:
            return true;
        case At::handshaking:
        case At::writing:
            return server.connections() == 1;
        case At::tunnelling:
        case At::reading:
        case At::waiting_for_a_connection:
            return server.request_count() == 1;
        case At::backing_off:
        case At::parked:
            return reported("trying again");
        }
        return false;
    }

    const At at_;
    FullPort full_;
    std::shared_ptr<const Batch> batch_;
    std::optional<SendOutcome> first_;
    asio::cancellation_signal first_signal_;
};

TEST(OtlpHttpSinkStop, EndsASendInEveryStateAtItsDeadline) {
    for (const auto at : all_states) {
        Scene scene(at);
        run(scene.io, [&]() -> asio::awaitable<void> {
            co_await scene.reach();
            const auto began = Clock::now();
            co_await scene.sink->stop(began + 50ms);
            EXPECT_LT(Clock::now() - began, 5s) << text(at);
            co_await scene.end_and_check();
        });
    }
}

TEST(OtlpHttpSinkStop, EndsASendInEveryStateAtOnceWhenTheDeadlineHasPassed) {
    for (const auto at : all_states) {
        Scene scene(at);
        run(scene.io, [&]() -> asio::awaitable<void> {
            co_await scene.reach();
            co_await scene.sink->stop(Clock::time_point::min());
            co_await scene.end_and_check();
        });
    }
}

TEST(OtlpHttpSinkStop, EndsWaitsAtOnceHoweverFarTheDeadline) {
    for (const auto at : waits) {
        Scene scene(at);
        run(scene.io, [&]() -> asio::awaitable<void> {
            co_await scene.reach();
            const auto began = Clock::now();
            co_await scene.sink->stop(began + 1h);
            EXPECT_LT(Clock::now() - began, 5s) << text(at);
            co_await scene.end_and_check();
        });
    }
}

TEST(OtlpHttpSinkStop, EndsASendInEveryStateByCancellation) {
    for (const auto at : all_states) {
        Scene scene(at);
        run(scene.io, [&]() -> asio::awaitable<void> {
            co_await scene.reach();
            scene.signal.emit(asio::cancellation_type::terminal);
            co_await scene.end_and_check();
            co_await scene.sink->stop(Clock::now());
        });
    }
}

TEST(OtlpHttpSinkStop, EndsASendInEveryStateByDestruction) {
    for (const auto at : all_states) {
        Scene scene(at);
        run(scene.io, [&]() -> asio::awaitable<void> {
            co_await scene.reach();
            scene.sink.reset();
            co_await scene.end_and_check();
        });
    }
}

// Nothing leaks and nothing is used after its end (ASan), although no send ever finishes.
TEST(OtlpHttpSinkStop, SurvivesTheEndOfItsContextInEveryState) {
    for (const auto at : all_states) {
        auto io = std::make_unique<asio::io_context>(1);
        Diagnostics log({.level = DiagnosticLevel::none});
        auto server = std::make_unique<LoopbackServer>(io->get_executor());
        auto full = std::make_unique<FullPort>(*io);
        OtlpHttpOptions given;
        given.url = {UrlScheme::http, "127.0.0.1", server->port(), "/"};
        given.compression = Compression::none;
        given.connections = 1;
        given.retry = {.initial_backoff = 1h, .max_backoff = 1h, .max_elapsed = 24h};
        if (at == At::connecting) { given.url.port = full->acceptor.local_endpoint().port(); }
        server->set_default(
            at == At::writing       ? never_read()
            : at == At::backing_off ? answer(503)
            : at == At::parked      ? answer(503, {{"Retry-After", "60"}})
                                    : silence());
        auto sink = *OtlpHttpSink::create(io->get_executor(), given, log);
        bool ended = false;
        const auto batch = make_batch(10, at == At::writing ? 32u << 20 : 100u);
        for (int i = 0; i < 2; ++i) {
            asio::co_spawn(*io, sink->send(batch), [&](std::exception_ptr, const SendOutcome&) {
                ended = true;
            });
        }
        run(*io, [&]() -> asio::awaitable<void> {
            co_await eventually([&] { return at == At::connecting || server->connections() > 0; });
            for (int i = 0; i < 50; ++i) { co_await asio::post(*io, asio::use_awaitable); }
        });
        sink.reset();
        server.reset();
        full.reset();
        io.reset();
        EXPECT_FALSE(ended) << text(at);
    }
}

TEST(OtlpHttpSinkStop, EndsASendThatIsCancelledBeforeItBegins) {
    Scene scene(At::reading);
    std::optional<SendOutcome> outcome;
    run(scene.io, [&]() -> asio::awaitable<void> {
        asio::co_spawn(
            scene.io,
            [&]() -> asio::awaitable<void> {
                co_await asio::this_coro::throw_if_cancelled(false);
                co_await asio::post(
                    scene.io, asio::use_awaitable); // The signal comes while this is pending.
                outcome = co_await scene.sink->send(make_batch());
            },
            asio::bind_cancellation_slot(scene.signal.slot(), [](std::exception_ptr) {}));
        scene.signal.emit(asio::cancellation_type::terminal);
        EXPECT_TRUE(co_await eventually([&] { return outcome.has_value(); }));
    });
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->reason, DropReason::shutdown);
    EXPECT_EQ(scene.server.connections(), 0u);
}

using OtlpHttpSinkStopTest = SinkTest;

TEST_F(OtlpHttpSinkStopTest, LetsAnAttemptUnderWayFinish) {
    server.script({answer(200).hold()});
    use(options());
    std::optional<SendOutcome> outcome;
    asio::co_spawn(io, sink->send(make_batch()), [&](std::exception_ptr, SendOutcome got) {
        outcome = std::move(got);
    });
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 1; }));
        sink->request_stop(Clock::now() + 10s);
        for (int i = 0; i < 20; ++i) { co_await asio::post(io, asio::use_awaitable); }
        EXPECT_FALSE(outcome);
        server.release();
        co_await sink->stop(Clock::now() + 10s);
        EXPECT_TRUE(co_await eventually([&] { return outcome.has_value(); }));
    });
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->exported, 10u);
}

TEST_F(OtlpHttpSinkStopTest, RetriesNothingAfterAStop) {
    server.script({answer(503).hold()});
    use(options());
    std::optional<SendOutcome> outcome;
    asio::co_spawn(io, sink->send(make_batch()), [&](std::exception_ptr, SendOutcome got) {
        outcome = std::move(got);
    });
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 1; }));
        sink->request_stop(Clock::now() + 10s);
        server.release();
        EXPECT_TRUE(co_await eventually([&] { return outcome.has_value(); }));
    });
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->reason, DropReason::shutdown);
    EXPECT_EQ(outcome->status, 503);
    EXPECT_EQ(server.request_count(), 1u);
}

TEST_F(OtlpHttpSinkStopTest, GivesABatchSentAfterAStopOneAttempt) {
    use(options());
    run(io, [&]() -> asio::awaitable<void> { co_await sink->stop(Clock::now() + 10s); });
    EXPECT_EQ(send().exported, 10u);
    server.set_default(answer(503));
    const auto outcome = send();
    EXPECT_EQ(outcome.reason, DropReason::shutdown);
    EXPECT_EQ(outcome.attempts, 1);
}

TEST_F(OtlpHttpSinkStopTest, SendsNothingOnceTheDeadlineHasPassed) {
    use(options());
    run(io, [&]() -> asio::awaitable<void> { co_await sink->stop(Clock::now()); });
    const auto outcome = send();
    EXPECT_EQ(outcome.reason, DropReason::shutdown);
    EXPECT_EQ(outcome.attempts, 0);
    EXPECT_EQ(server.connections(), 0u);
}

TEST_F(OtlpHttpSinkStopTest, ClosesItsConnections) {
    use(options());
    send();
    run(io, [&]() -> asio::awaitable<void> { co_await sink->stop(Clock::now() + 1s); });
    send();
    EXPECT_EQ(server.connections(), 2u);
}

TEST_F(OtlpHttpSinkStopTest, MayBeCalledTwice) {
    use(options());
    run(io, [&]() -> asio::awaitable<void> {
        co_await sink->stop(Clock::now() + 1h);
        co_await sink->stop(Clock::now());
    });
    EXPECT_EQ(send().attempts, 0);
}

TEST_F(OtlpHttpSinkStopTest, NeverHasMoreConnectionsThanAllowed) {
    auto given = options();
    given.connections = 3;
    use(given);
    server.set_default(answer(200).slowly(1ms));
    int ended = 0;
    for (int i = 0; i < 12; ++i) {
        asio::co_spawn(
            io, sink->send(make_batch()), [&](std::exception_ptr, const SendOutcome& outcome) {
                EXPECT_EQ(outcome.exported, 10u);
                ++ended;
            });
    }
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return ended == 12; }));
    });
    EXPECT_EQ(server.connections(), 3u);
    EXPECT_EQ(server.request_count(), 12u);
}

// Goal: the sink may be used from any thread, and every batch arrives whatever the peer does.
// Method: eight senders on a pool of four threads, a server on a thread of its own whose faults are
// drawn from a printed seed; run under TSan.
TEST(OtlpHttpSinkThreads, DeliversEveryBatchThroughFaults) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    asio::io_context server_io(1);
    const auto work = asio::make_work_guard(server_io);
    LoopbackServer server(server_io.get_executor());
    constexpr int senders = 8;
    constexpr int batches_per_sender = 25;
    for (int i = 0; i < 150; ++i) {
        const Reply faults[] = {
            answer(503),
            answer(429),
            hang_up(),
            reset(),
            answer(200).cut_to(9).then_reset(),
            answer(200).then_close(),
            answer(502),
            raw("garbage\r\n\r\n"),
            answer(200),
            answer(200)};
        server.script({faults[random() % std::size(faults)]});
    }
    std::jthread server_thread([&] { server_io.run(); });
    Diagnostics log({.level = DiagnosticLevel::none});
    asio::thread_pool pool(4);
    OtlpHttpOptions options;
    options.url = {UrlScheme::http, "127.0.0.1", server.port(), "/v1/traces"};
    options.connections = 3;
    options.retry = {.initial_backoff = 1ms, .max_backoff = 2ms};
    auto sink = *OtlpHttpSink::create(pool.get_executor(), options, log);
    std::atomic<std::uint64_t> exported{0};

    for (int s = 0; s < senders; ++s) {
        asio::co_spawn(
            pool,
            [](OtlpHttpSink& to, std::atomic<std::uint64_t>& count,
               int sender) -> asio::awaitable<void> {
                for (int i = 0; i < batches_per_sender; ++i) {
                    auto batch = std::make_shared<Batch>(*make_batch(10, 3000));
                    batch->body +=
                        "sender " + std::to_string(sender) + " batch " + std::to_string(i);
                    const auto outcome = co_await to.send(batch);
                    expect_balanced(outcome, *batch);
                    count += outcome.exported;
                }
            }(*sink, exported, s),
            [](std::exception_ptr error) { EXPECT_FALSE(error); });
    }
    pool.join();
    sink.reset();

    EXPECT_EQ(exported.load(), 10u * senders * batches_per_sender);
    std::set<std::string> bodies; // Retries may duplicate, nothing may be missing.
    for (const auto& request : server.requests()) {
        bodies.insert(decode_body(request.header("content-encoding"), request.body, 1u << 16));
    }
    EXPECT_EQ(bodies.size(), static_cast<std::size_t>(senders * batches_per_sender));
    server_io.stop();
}

// Sends, stops and the destructor meet on several threads; every send still gets an outcome. Run
// under TSan.
TEST(OtlpHttpSinkThreads, StopsWhileOthersSend) {
    for (int round = 0; round < 20; ++round) {
        asio::io_context server_io(1);
        const auto work = asio::make_work_guard(server_io);
        LoopbackServer server(server_io.get_executor());
        server.set_default(round % 2 == 0 ? answer(200) : answer(503));
        std::jthread server_thread([&] { server_io.run(); });
        Diagnostics log({.level = DiagnosticLevel::none});
        asio::thread_pool pool(4);
        OtlpHttpOptions options;
        options.url = {UrlScheme::http, "127.0.0.1", server.port(), "/v1/traces"};
        options.retry = {.initial_backoff = 1ms, .max_backoff = 1ms};
        auto sink = *OtlpHttpSink::create(pool.get_executor(), options, log);
        const auto batch = make_batch(10, 1000);
        std::atomic<int> ended{0};
        for (int i = 0; i < 50; ++i) {
            asio::co_spawn(
                pool, sink->send(batch), [&](std::exception_ptr error, const SendOutcome& outcome) {
                    EXPECT_FALSE(error);
                    expect_balanced(outcome, *batch);
                    ++ended;
                });
        }
        sink->request_stop(Clock::now() + 1s);
        asio::co_spawn(pool, sink->stop(Clock::now() + 20ms), [](std::exception_ptr error) {
            EXPECT_FALSE(error);
        });
        if (round % 3 == 0) { sink.reset(); }
        pool.join();
        EXPECT_EQ(ended.load(), 50);
        sink.reset();
        server_io.stop();
    }
}

} // namespace
} // namespace weft::testing
