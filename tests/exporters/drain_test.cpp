#include "drain_fixture.hpp"

#include <weft/exporters/drain.hpp>
#include <weft/signals/scope.hpp>

#include <poll.h>

#include <map>
#include <random>

// When a batch closes, what is in it, how many are under way, and what happens when nobody takes
// them.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::size_t record_bytes_in(const RecordedRequest& request) {
    TraceRequest message;
    EXPECT_TRUE(message.ParseFromString(request.body));
    std::size_t bytes = 0;
    for (const auto& span : message.resource_spans(0).scope_spans(0).spans()) {
        otlp::trace::v1::ScopeSpans alone;
        *alone.add_spans() = span;
        bytes += alone.ByteSizeLong();
    }
    return bytes;
}

TEST_F(DrainTest, ClosesABatchAtItsNumberOfRecords) {
    start(batches_of(10), sink_options());
    push_spans(25);

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 2; }));
        co_await settle();
    });

    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2u) << "the last five wait for more";
    EXPECT_EQ(numbers_in(requests[0]).size(), 10u);
    EXPECT_EQ(numbers_in(requests), numbers_up_to(20));
    EXPECT_EQ(drain->ledger().queued, 5u);
}

TEST_F(DrainTest, TellsOfEachBatchOnceItIsSettled) {
    server.script({answer(503), answer(200), answer(400)});
    start(batches_of(10), sink_options());
    push_spans(20);

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return settlements.size() == 2; }));
        co_await settle();
    });

    ASSERT_EQ(settlements.size(), 2u) << "a retry is part of its batch";
    EXPECT_EQ(settlements[0].exported, 10u);
    EXPECT_EQ(settlements[0].attempts, 2);
    EXPECT_EQ(settlements[1].dropped, 10u);
    EXPECT_EQ(settlements[1].status, 400);
}

// Goal: no batch is over its bytes, and none closes earlier than it must. Method: records of random
// sizes.
TEST_F(DrainTest, ClosesABatchBeforeItsBytesAreExceeded) {
    constexpr unsigned seed = 20261120;
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    auto options = batches_of(100);
    options.bytes_max = 4096;
    std::vector<std::size_t> sizes;
    for (int i = 0; i < 200; ++i) {
        const std::size_t text = random() % 1000;
        sizes.push_back(span_field(pushed, text).size());
        push_spans(1, text);
    }
    start(options, sink_options());

    run(io, [&]() -> asio::awaitable<void> {
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
    });

    const auto requests = server.requests();
    EXPECT_EQ(numbers_in(requests), numbers_up_to(200));
    std::size_t next = 0;
    for (const auto& request : requests) {
        const auto bytes = record_bytes_in(request);
        next += numbers_in(request).size();
        EXPECT_LE(bytes, options.bytes_max);
        if (next < sizes.size()) { EXPECT_GT(bytes + sizes[next], options.bytes_max); }
    }
}

TEST_F(DrainTest, SendsARecordOverTheByteLimitByItself) {
    auto options = batches_of(100);
    options.bytes_max = 1024;
    push_spans(2);
    push_spans(1, 3000);
    push_spans(2);
    start(options, sink_options());

    run(io, [&]() -> asio::awaitable<void> { co_await flush(5s); });

    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 3u);
    EXPECT_THAT(numbers_in(requests[0]), ElementsAre(0, 1));
    EXPECT_THAT(numbers_in(requests[1]), ElementsAre(2));
    EXPECT_THAT(numbers_in(requests[2]), ElementsAre(3, 4));
}

TEST_F(DrainTest, ClosesABatchWhenItsFirstRecordHasWaitedForTheDelay) {
    auto options = batches_of(100);
    options.delay = 40ms;
    start(options, sink_options());
    const auto began = Clock::now();
    push_spans(3);

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 1; }));
    });

    EXPECT_GE(Clock::now() - began, options.delay);
    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(3));
}

TEST_F(DrainTest, WithoutADelaySendsWhateverAPollFinds) {
    auto options = batches_of(100);
    options.delay = 0ms;
    start(options, sink_options());
    run(io, [&]() -> asio::awaitable<void> {
        for (std::size_t i = 0; i < 3; ++i) {
            push_spans(1);
            EXPECT_TRUE(co_await eventually([&] { return server.request_count() == i + 1; }));
        }
    });
}

TEST_F(DrainTest, IsWokenByAQueuePastHalf) {
    make_queue(64u << 10, 1);
    auto options = batches_of(1);
    options.poll = 10s;
    start(options, sink_options());

    run(io, [&]() -> asio::awaitable<void> {
        co_await settle(); // Asleep now, for ten seconds.
        push_spans(40, 1000);
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 40; }));
    });
}

TEST_F(DrainTest, KeepsSeveralRequestsInFlightAndNoMore) {
    server.set_default(answer(200).hold());
    start(batches_of(10), sink_options(3));
    push_spans(55);

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 3; }));
        co_await settle();
        const auto ledger = drain->ledger();
        EXPECT_EQ(ledger.in_flight, 30u);
        EXPECT_EQ(ledger.queued, 25u);
        EXPECT_EQ(server.request_count(), 3u);
        server.release();
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
        EXPECT_EQ(report.exported, 55u);
    });

    EXPECT_EQ(server.open_connections_max(), 3u);
    auto numbers = numbers_in(server.requests());
    std::sort(numbers.begin(), numbers.end());
    EXPECT_EQ(numbers, numbers_up_to(55));
}

// Goal: a blocked receiver costs bounded memory and counted spans, and all is well again when it
// answers.
TEST_F(DrainTest, LeavesTheQueueAloneWhenEnoughIsWaiting) {
    constexpr std::size_t text = 900;
    constexpr std::size_t record = text + bare_record_bytes;
    make_queue(64u << 10, 1);
    auto options = batches_of(4);
    options.waiting_bytes_max = 16u << 10;
    server.set_default(answer(200).hold());
    start(options, sink_options());

    run(io, [&]() -> asio::awaitable<void> {
        while (refused.load() < 50) {
            push_spans(5, text);
            co_await settle();
        }
        const auto ledger = drain->ledger();
        EXPECT_TRUE(ledger.is_balanced());
        EXPECT_EQ(ledger.in_flight, 4u);
        EXPECT_EQ(ledger.created, pushed);
        EXPECT_EQ(dropped(ledger, DropReason::queue_full), refused.load());
        const auto outside_the_ring =
            ledger.queued - (queue->records_accepted() - queue->records_consumed());
        EXPECT_LE(outside_the_ring * (record - 60), options.waiting_bytes_max + 4 * record);
        EXPECT_GE(outside_the_ring * record, options.waiting_bytes_max - 4 * record);

        server.release();
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
        push_spans(4, text);
        co_await flush(5s);
    });

    const auto ledger = drain->ledger();
    EXPECT_EQ(ledger.exported, pushed - refused.load());
    EXPECT_EQ(ledger.dropped_total(), refused.load());
    EXPECT_EQ(numbers_in(server.requests()).size(), ledger.exported);
}

// Goal: memory outside of the ring is bounded by two options. Method: what has been consumed and
// not sent.
TEST_F(DrainTest, TakesOneBatchMoreThanTheWaitingBytesAtMost) {
    auto options = batches_of(1000);
    options.bytes_max = 10'000;
    options.waiting_bytes_max = 35'000;
    server.set_default(answer(200).hold());
    start(options, sink_options());
    push_spans(300, 900);

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 1; }));
        co_await settle();
    });

    const auto waiting = queue->records_consumed() - drain->ledger().in_flight;
    EXPECT_LE(waiting * 900, options.waiting_bytes_max + options.bytes_max);
    EXPECT_GE(waiting * (900 + bare_record_bytes), options.waiting_bytes_max);
    server.release();
}

TEST_F(DrainTest, SendsABatchLargerThanTheWaitingBytes) {
    auto options = batches_of(10);
    options.waiting_bytes_max = 1024;
    start(options, sink_options());
    push_spans(30, 1000);

    run(io, [&]() -> asio::awaitable<void> {
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
    });

    EXPECT_EQ(numbers_in(server.requests()), numbers_up_to(30));
}

// A drain that cannot take anything would only be woken again and again, at the price of the
// producers' system calls.
TEST_F(DrainTest, DoesNotAskToBeWokenWhileItsSinkIsBlocked) {
    make_queue(64u << 10, 1);
    auto options = batches_of(1);
    options.waiting_bytes_max = 1024;
    options.poll = 10s;
    server.set_default(answer(200).hold());
    start(options, sink_options());

    run(io, [&]() -> asio::awaitable<void> {
        push_spans(200, 900);
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 1; }));
        co_await settle();
        push_spans(200, 900);
        pollfd wake{queue->wake_descriptor(), POLLIN, 0};
        EXPECT_EQ(::poll(&wake, 1, 0), 0) << "a producer was made to signal";
        server.release();
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
    });
    EXPECT_GT(refused.load(), 0u);
}

TEST_F(DrainTest, LooksAfterTheHouseAlsoWhenItNeverRests) {
    auto options = batches_of(1);
    start(options, sink_options(4));

    run(io, [&]() -> asio::awaitable<void> {
        co_await settle();
        const int before = housekept;
        const auto until = Clock::now() + 1100ms;
        while (Clock::now() < until) {
            push_spans(10);
            co_await asio::post(io, asio::use_awaitable);
        }
        EXPECT_GE(before, 1);
        EXPECT_GT(housekept, before);
    });
}

TEST_F(DrainTest, CountsWhatTheReceiverRejects) {
    otlp::collector::trace::v1::ExportTraceServiceResponse partial;
    partial.mutable_partial_success()->set_rejected_spans(3);
    server.script(
        {answer(200, {{"Content-Type", "application/x-protobuf"}}, partial.SerializeAsString()),
         answer(400), answer(503), answer(200)});
    start(batches_of(10), sink_options());
    push_spans(30);

    FlushReport report;
    run(io, [&]() -> asio::awaitable<void> { report = co_await flush(5s); });

    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.exported, 17u);
    EXPECT_EQ(report.rejected, 3u);
    EXPECT_EQ(report.dropped, 10u);
    EXPECT_EQ(report.pending, 0u);
    const auto ledger = drain->ledger();
    EXPECT_EQ(dropped(ledger, DropReason::rejected_by_status), 10u);
    EXPECT_EQ(ledger.exported, 17u);
    EXPECT_EQ(ledger.rejected, 3u);
}

TEST_F(DrainTest, CountsWhatIsGivenUp) {
    server.set_default(answer(503));
    auto sink = sink_options();
    sink.retry.max_elapsed = 5ms;
    start(batches_of(10), sink);
    push_spans(10);

    FlushReport report;
    run(io, [&]() -> asio::awaitable<void> { report = co_await flush(5s); });

    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.dropped, 10u);
    EXPECT_EQ(dropped(drain->ledger(), DropReason::retry_exhausted), 10u);
}

TEST_F(DrainTest, GroupsByScopeAndKeepsTheOrderWithinEach) {
    const auto one = detail::register_scope({.name = "drain.one"});
    const auto two = detail::register_scope({.name = "drain.two"});
    for (std::uint64_t i = 0; i < 20; ++i) {
        ASSERT_EQ(
            push(*queue, span_record(pushed++, 0, i % 3 == 0 ? one : two)),
            RecordQueue::Push::accepted);
    }
    start(batches_of(20), sink_options());

    run(io, [&]() -> asio::awaitable<void> { co_await flush(5s); });

    ASSERT_EQ(server.request_count(), 1u);
    TraceRequest message;
    ASSERT_TRUE(message.ParseFromString(server.requests()[0].body));
    ASSERT_EQ(message.resource_spans_size(), 1);
    std::map<std::string, int> spans;
    for (const auto& scope : message.resource_spans(0).scope_spans()) {
        spans[scope.scope().name()] = scope.spans_size();
        EXPECT_TRUE(std::is_sorted(
            scope.spans().begin(), scope.spans().end(),
            [](const auto& a, const auto& b) { return a.span_id()[0] < b.span_id()[0]; }));
    }
    EXPECT_EQ(spans, (std::map<std::string, int>{{"drain.one", 7}, {"drain.two", 13}}));
}

TEST(DrainOptions, NameTheFieldThatIsOutOfRange) {
    const auto problem_after = [](auto change) {
        BatchOptions options;
        change(options);
        return problem_in(options);
    };
    EXPECT_EQ(problem_in(BatchOptions{}), "");
    EXPECT_THAT(
        problem_after([](auto& o) { o.records_max = 0; }),
        HasSubstr("records_max is 0: allowed is 1 to 1048576"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.records_max = (1u << 20) + 1; }), HasSubstr("records_max"));
    EXPECT_THAT(problem_after([](auto& o) { o.bytes_max = 1023; }), HasSubstr("bytes_max is 1023"));
    EXPECT_THAT(problem_after([](auto& o) { o.bytes_max = 65u << 20; }), HasSubstr("bytes_max"));
    EXPECT_THAT(problem_after([](auto& o) { o.delay = -1ms; }), HasSubstr("delay is -1"));
    EXPECT_THAT(problem_after([](auto& o) { o.delay = 25h; }), HasSubstr("delay"));
    EXPECT_THAT(problem_after([](auto& o) { o.queue_bytes = 1; }), HasSubstr("queue_bytes is 1"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.queue_bytes = 257u << 20; }), HasSubstr("queue_bytes"));
    EXPECT_THAT(
        problem_after([](auto& o) { o.waiting_bytes_max = 0; }), HasSubstr("waiting_bytes_max"));
    EXPECT_THAT(problem_after([](auto& o) { o.poll = 0ms; }), HasSubstr("poll is 0"));
    EXPECT_THAT(problem_after([](auto& o) { o.poll = 11s; }), HasSubstr("poll"));
    EXPECT_THAT(problem_after([](auto& o) { o.shards = 0; }), HasSubstr("shards is 0"));
    EXPECT_THAT(problem_after([](auto& o) { o.shards = 65; }), HasSubstr("shards"));
    EXPECT_THAT(
        problem_after([](auto& o) {
            o.queue_bytes = 64u << 10;
            o.shards = 3;
        }),
        HasSubstr("queue_bytes is 65536 over 3 shards"));
}

} // namespace
} // namespace weft::testing
