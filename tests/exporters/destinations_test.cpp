#include "drain_fixture.hpp"

#include <weft/exporters/destination.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>

#include <stdexcept>
#include <thread>

// Several destinations of one drain: what each gets, and what one that is slow, dead or broken costs the others.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Throws for every batch.
class BrokenSink : public Sink {
public:
    asio::awaitable<SendOutcome> send(std::shared_ptr<const Batch>) override {
        throw std::runtime_error("broken");
        co_return SendOutcome{};
    }
    asio::awaitable<void> stop(TimePoint) override { co_return; }
    [[nodiscard]] std::size_t connections() const noexcept override { return 1; }
};

// Keeps the batches it is given, and takes its time to stop.
class KeepingSink : public Sink {
public:
    asio::awaitable<SendOutcome> send(std::shared_ptr<const Batch> batch) override {
        kept.push_back(batch);
        SendOutcome outcome;
        outcome.exported = batch->records;
        co_return outcome;
    }
    asio::awaitable<void> stop(TimePoint) override {
        asio::steady_timer timer(co_await asio::this_coro::executor, stop_takes);
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    [[nodiscard]] std::size_t connections() const noexcept override { return 1; }

    std::vector<std::shared_ptr<const Batch>> kept;
    std::chrono::milliseconds stop_takes{0};
};

class DestinationsTest : public DrainTest {
protected:
    [[nodiscard]] DestinationSetup to_second(std::size_t waiting_bytes_max = 1024) {
        auto options = sink_options();
        options.url.port = second.port();
        return {
            .name = "second", .sink = make_sink(options), .waiting_bytes_max = waiting_bytes_max};
    }
    void start_both(BatchOptions batch, DestinationSetup other) {
        std::vector<DestinationSetup> others;
        others.push_back(std::move(other));
        start(batch, make_sink(sink_options()), std::move(others));
    }
    // Rounds of spans that the first destination keeps up with.
    asio::awaitable<void> push_while_the_first_keeps_up(std::size_t rounds) {
        for (std::size_t i = 0; i < rounds; ++i) {
            push_spans(10, 100);
            EXPECT_TRUE(co_await eventually([&] { return server.request_count() == i + 1; }));
        }
    }

    LoopbackServer second{io.get_executor()};
};

TEST_F(DestinationsTest, EachGetsEveryBatchInOrder) {
    start_both(batches_of(10), to_second(1u << 20));
    push_spans(100);

    run(io, [&]() -> asio::awaitable<void> {
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 200u) << "the sum over the destinations";
    });

    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(100));
    EXPECT_EQ(numbers_in(second.requests()), numbers_up_to(100));
    EXPECT_EQ(drain->ledger(0).exported, 100u);
    EXPECT_EQ(drain->ledger(1).exported, 100u);
    EXPECT_EQ(drain->destination_name(1), "second");
}

TEST_F(DestinationsTest, AreGivenTheSameBatchNotACopy) {
    const auto one = std::make_shared<KeepingSink>();
    const auto other = std::make_shared<KeepingSink>();
    std::vector<DestinationSetup> others;
    others.push_back({.name = "other", .sink = other});
    start(batches_of(10), one, std::move(others));
    push_spans(20);

    run(io, [&]() -> asio::awaitable<void> { co_await flush(5s); });

    ASSERT_THAT(one->kept, SizeIs(2));
    EXPECT_EQ(one->kept, other->kept);
}

TEST_F(DestinationsTest, ADeadOneTakesNothingFromALiveOne) {
    second.set_default(silence());
    start_both(batches_of(10), to_second());

    run(io, [&]() -> asio::awaitable<void> { co_await push_while_the_first_keeps_up(50); });

    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(500));
    EXPECT_EQ(refused.load(), 0u) << "no producer has felt it";
    const auto alive = drain->ledger(0);
    const auto dead = drain->ledger(1);
    EXPECT_EQ(alive.dropped_total(), 0u) << alive.to_json();
    EXPECT_GT(dropped(dead, DropReason::queue_full), 400u) << dead.to_json();
    EXPECT_EQ(dropped(dead, DropReason::queue_full), dead.dropped_total());
    EXPECT_TRUE(dead.is_balanced()) << dead.to_json();
}

TEST_F(DestinationsTest, TheFirstMayBeTheDeadOne) {
    server.set_default(silence());
    auto batch = batches_of(10);
    batch.waiting_bytes_max = 1024;
    start_both(batch, to_second(1u << 20));

    run(io, [&]() -> asio::awaitable<void> {
        for (std::size_t i = 0; i < 20; ++i) {
            push_spans(10, 100);
            EXPECT_TRUE(co_await eventually([&] { return second.request_count() == i + 1; }));
        }
    });

    EXPECT_EQ(numbers_in(second.requests()), numbers_up_to(200));
    EXPECT_GT(dropped(drain->ledger(0), DropReason::queue_full), 100u);
    EXPECT_EQ(drain->ledger(1).dropped_total(), 0u);
}

TEST_F(DestinationsTest, WhileNoneHasRoomTheRingsAreLeftToFillAndNothingIsLost) {
    server.set_default(answer(200).hold());
    second.set_default(answer(200).hold());
    auto batch = batches_of(10);
    batch.waiting_bytes_max = 1024;
    start_both(batch, to_second());
    push_spans(300, 100);

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually(
            [&] { return server.request_count() == 1 && second.request_count() == 1; }));
        co_await settle();
        EXPECT_GT(queue->used_bytes(), 0u);
        server.release();
        second.release();
        const auto report = co_await flush(10s);
        EXPECT_TRUE(report.complete);
    });

    // Once one of them has room again, it may be ahead of the other: then the other's policy counts.
    for (std::size_t i = 0; i < 2; ++i) {
        const auto ledger = drain->ledger(i);
        EXPECT_EQ(ledger.exported + dropped(ledger, DropReason::queue_full), 300u)
            << ledger.to_json();
    }
    EXPECT_EQ(refused.load(), 0u);
}

// What is in flight when it begins goes out; then one batch fits into the kilobyte that may wait.
TEST_F(DestinationsTest, DropNewestKeepsWhatHasWaited) {
    second.set_default(answer(200).hold());
    start_both(batches_of(10), to_second());

    run(io, [&]() -> asio::awaitable<void> {
        co_await push_while_the_first_keeps_up(10);
        second.release();
        EXPECT_TRUE((co_await flush(5s)).complete);
    });

    EXPECT_EQ(numbers_in(second.requests()), numbers_up_to(20));
    EXPECT_EQ(dropped(drain->ledger(1), DropReason::queue_full), 80u);
}

TEST_F(DestinationsTest, DropOldestKeepsWhatIsNew) {
    second.set_default(answer(200).hold());
    auto other = to_second();
    other.when_full = WhenFull::drop_oldest;
    start_both(batches_of(10), std::move(other));

    run(io, [&]() -> asio::awaitable<void> {
        co_await push_while_the_first_keeps_up(10);
        second.release();
        EXPECT_TRUE((co_await flush(5s)).complete);
    });

    const auto requests = second.requests();
    ASSERT_THAT(requests, SizeIs(2));
    EXPECT_EQ(numbers_in(requests[0]).front(), 0u);
    EXPECT_EQ(numbers_in(requests[1]).front(), 90u);
    EXPECT_EQ(dropped(drain->ledger(1), DropReason::queue_full), 80u);
}

TEST_F(DestinationsTest, AFilterKeepsBatchesFromOneDestinationAlone) {
    auto other = to_second();
    int seen = 0;
    other.filter = [&seen](const Batch& batch) {
        EXPECT_EQ(batch.signal, Signal::traces);
        return seen++ % 2 == 0;
    };
    start_both(batches_of(10), std::move(other));
    push_spans(40);

    run(io, [&]() -> asio::awaitable<void> { EXPECT_TRUE((co_await flush(5s)).complete); });

    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(40));
    EXPECT_THAT(second.requests(), SizeIs(2));
    const auto ledger = drain->ledger(1);
    EXPECT_EQ(ledger.exported, 20u);
    EXPECT_EQ(dropped(ledger, DropReason::filtered), 20u) << ledger.to_json();
}

TEST_F(DestinationsTest, AFilterThatThrowsLetsTheBatchThrough) {
    auto other = to_second();
    other.filter = [](const Batch&) -> bool { throw std::runtime_error("no"); };
    start_both(batches_of(10), std::move(other));
    push_spans(10);

    run(io, [&]() -> asio::awaitable<void> { EXPECT_TRUE((co_await flush(5s)).complete); });

    EXPECT_EQ(drain->ledger(1).exported, 10u);
}

TEST_F(DestinationsTest, OneThatThrowsIsCountedAndTheOthersGoOn) {
    std::vector<DestinationSetup> others;
    others.push_back({.name = "broken", .sink = std::make_shared<BrokenSink>()});
    start(batches_of(10), make_sink(sink_options()), std::move(others));
    push_spans(30);

    run(io, [&]() -> asio::awaitable<void> { EXPECT_TRUE((co_await flush(5s)).complete); });

    EXPECT_EQ(drain->ledger(0).exported, 30u);
    EXPECT_EQ(dropped(drain->ledger(1), DropReason::internal_error), 30u);
}

TEST_F(DestinationsTest, AFlushWaitsForTheSlowest) {
    second.set_default(answer(200).hold());
    start_both(batches_of(10), to_second());
    push_spans(10);

    run(io, [&]() -> asio::awaitable<void> {
        const auto early = co_await flush(60ms);
        EXPECT_FALSE(early.complete);
        EXPECT_EQ(early.exported, 10u);
        EXPECT_EQ(early.pending, 10u);
        second.release();
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 10u);
    });
}

TEST_F(DestinationsTest, AShutdownReturnsByItsDeadlineAndSaysWhatEachHasLost) {
    second.set_default(silence());
    std::vector<std::string> lines;
    Diagnostics told(
        {.handler = [&](const Diagnostic& line) { lines.emplace_back(line.message); }});
    std::vector<DestinationSetup> others;
    others.push_back(to_second(1u << 20));
    drain = std::make_unique<Drain>(Drain::Setup{
        .executor = io.get_executor(),
        .signal = Signal::traces,
        .queue = *queue,
        .resource = {},
        .sink = make_sink(sink_options()),
        .batch = batches_of(10),
        .producer_counts = {},
        .housekeeping = {},
        .log = told,
        .destinations = std::move(others)});
    asio::co_spawn(io, drain->run(), [this](const std::exception_ptr&) { drain_ended = true; });
    push_spans(25);

    const auto began = Clock::now();
    run(io, [&]() -> asio::awaitable<void> {
        const auto report = co_await shutdown(100ms);
        EXPECT_FALSE(report.complete);
        EXPECT_EQ(report.exported, 25u);
        EXPECT_EQ(report.dropped, 25u);
        EXPECT_TRUE(co_await eventually([&] { return drain_ended; }));
    });
    EXPECT_LT(Clock::now() - began, 2s);

    EXPECT_EQ(drain->ledger(0).exported, 25u);
    EXPECT_EQ(dropped(drain->ledger(1), DropReason::shutdown), 25u);
    EXPECT_THAT(lines, ::testing::Contains(HasSubstr("traces to \"second\": 25 records dropped")));
    drain.reset();
}

// It stops all of them at one time, and gives up on what does not.
TEST_F(DestinationsTest, AShutdownWaitsForTheStopsOfAllAtOnce) {
    const auto one = std::make_shared<KeepingSink>();
    const auto other = std::make_shared<KeepingSink>();
    one->stop_takes = 300ms;
    other->stop_takes = 1h;
    std::vector<DestinationSetup> others;
    others.push_back({.name = "other", .sink = other});
    start(batches_of(10), one, std::move(others));
    push_spans(10);

    const auto began = Clock::now();
    run(io, [&]() -> asio::awaitable<void> { EXPECT_TRUE((co_await shutdown(5s)).complete); });
    EXPECT_GE(Clock::now() - began, 900ms);
    EXPECT_LT(Clock::now() - began, 4s);
}

TEST_F(DestinationsTest, ADrainWithoutAnyIsRefused) {
    EXPECT_THROW(
        Drain(Drain::Setup{
            .executor = io.get_executor(),
            .signal = Signal::traces,
            .queue = *queue,
            .resource = {},
            .batch = batches_of(10),
            .producer_counts = {},
            .housekeeping = {},
            .log = log}),
        std::invalid_argument);
}

// Goal: every ledger balances at any moment, also while one destination loses and another stops and goes. Method: two
// producers, the drain on its own thread, the ledgers read from this one.
TEST_F(DestinationsTest, LedgersBalanceFromAnyThreadAtAnyTime) {
    make_queue(256u << 10, 2);
    second.set_default(silence());
    start_both(batches_of(50), to_second());
    auto guard = std::make_optional(asio::make_work_guard(io));
    std::thread loop([this] { io.run(); });
    std::atomic<std::uint64_t> begun{0};
    std::vector<std::thread> producers;
    for (std::uint64_t p = 0; p < 2; ++p) {
        producers.emplace_back([&, p] {
            for (std::uint64_t i = 0; i < 20'000; ++i) {
                const auto record = span_record(p * 20'000 + i, 100);
                begun.fetch_add(1);
                if (push(*queue, record) != RecordQueue::Push::accepted) { refused.fetch_add(1); }
            }
        });
    }
    for (int i = 0; i < 2000; ++i) {
        for (std::size_t d = 0; d < 2; ++d) {
            const auto ledger = drain->ledger(d);
            EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
            EXPECT_LE(ledger.created, begun.load() + refused.load());
        }
    }
    for (auto& producer : producers) { producer.join(); }
    const auto report = asio::co_spawn(io, flush(200ms), asio::use_future).get();
    EXPECT_FALSE(report.complete) << "one of them never answers";
    guard.reset();
    io.stop();
    loop.join();
    pushed = 40'000;
    EXPECT_EQ(drain->ledger(0).exported + refused.load(), 40'000u);
}

} // namespace
} // namespace weft::testing
