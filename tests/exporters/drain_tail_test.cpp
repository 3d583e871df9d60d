#include "drain_fixture.hpp"

#include <weft/exporters/drain.hpp>

#include <random>

// The drain with tail sampling: decisions reach the wire, and the ledger knows about each record at any time.

namespace weft::testing {
namespace {

class DrainTailTest : public DrainTest {
protected:
    void SetUp() override {
        tail.enabled = true;
        tail.probability = 0;
        tail.linger = 0ms;
    }

    // Pushes a trace of so many spans, the root last.
    void push_trace(std::size_t spans, bool error, bool root = true, std::size_t text_bytes = 0) {
        const auto id = random_trace_id();
        for (std::size_t i = 0; i < spans; ++i) {
            auto record = span_record(pushed++, text_bytes);
            RecordHeader header;
            header.trace_id = id;
            if (i + 1 == spans && root) { header.flags |= record_flags::local_root; }
            if (i == 0 && error) { header.flags |= record_flags::error; }
            std::memcpy(record.data(), &header, sizeof header);
            if (push(*queue, record) != RecordQueue::Push::accepted) { ++refused; }
        }
    }
    [[nodiscard]] std::uint64_t sampled_out() const {
        return dropped(drain->ledger(), DropReason::tail_sampled_out);
    }
};

TEST_F(DrainTailTest, ExportsWhatIsKeptAndCountsTheRest) {
    start(batches_of(7), sink_options());
    for (int i = 0; i < 100; ++i) { push_trace(3, i % 10 == 0); }

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return sampled_out() == 270; }));
        EXPECT_TRUE(co_await eventually([&] { return server.request_count() == 4; }));
        EXPECT_TRUE(drain->ledger().is_balanced());
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
    });

    const auto ledger = drain->ledger();
    EXPECT_EQ(ledger.exported, 30u);
    EXPECT_EQ(ledger.dropped_total(), 270u);
    EXPECT_EQ(numbers_in(server.requests()).size(), 30u);
    EXPECT_NE(ledger.to_json().find("\"tail_sampled_out\": 270"), std::string::npos);
}

TEST_F(DrainTailTest, CountsWhatWaitsForItsDecisionAsQueued) {
    tail.linger = 1min;
    start(batches_of(10), sink_options());
    for (int i = 0; i < 20; ++i) { push_trace(2, i % 2 == 0, i % 3 == 0); }

    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return queue->records_consumed() == 40; }));
        co_await settle();
        const auto ledger = drain->ledger();
        EXPECT_EQ(ledger.queued, 40u);
        EXPECT_TRUE(ledger.is_balanced());
        EXPECT_EQ(server.request_count(), 0u);

        const auto report = co_await flush(5s);

        EXPECT_TRUE(report.complete) << "a flush decides, open or not";
        EXPECT_EQ(report.exported, 20u);
        EXPECT_EQ(report.dropped, 20u);
        EXPECT_EQ(report.pending, 0u);
    });
}

TEST_F(DrainTailTest, DecidesATraceWhoseRootNeverEnds) {
    tail.window = 20ms;
    start(batches_of(1), sink_options());
    push_trace(1, true, false);
    push_trace(1, false, false);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return drain->ledger().exported == 1; }));
        EXPECT_TRUE(co_await eventually([&] { return sampled_out() == 1; }));
    });
}

TEST_F(DrainTailTest, WritesTheWeightOntoTheWire) {
    tail.probability = 0.5;
    start(batches_of(100), sink_options());
    for (int i = 0; i < 200; ++i) { push_trace(1, false); }

    run(io, [&]() -> asio::awaitable<void> { co_await flush(5s); });

    std::size_t spans = 0;
    for (const auto& request : server.requests()) {
        TraceRequest message;
        ASSERT_TRUE(message.ParseFromString(request.body));
        for (const auto& span : message.resource_spans(0).scope_spans(0).spans()) {
            EXPECT_EQ(span.trace_state(), "ot=th:8");
            ++spans;
        }
    }
    EXPECT_GT(spans, 50u);
    EXPECT_LT(spans, 150u);
    EXPECT_EQ(spans, drain->ledger().exported);
}

// Goal: a receiver that does not answer costs bounded memory; nothing is lost uncounted, and what was kept arrives.
TEST_F(DrainTailTest, HoldsItsBoundsBehindAReceiverThatDoesNotAnswer) {
    make_queue(64u << 10, 1);
    auto options = batches_of(4);
    options.waiting_bytes_max = 16u << 10;
    tail.bytes_max = 3u << 20;
    server.set_default(answer(200).hold());
    start(options, sink_options());
    std::uint64_t most = 0;

    run(io, [&]() -> asio::awaitable<void> {
        while (refused.load() < 50) {
            push_trace(5, true, true, 900);
            co_await settle();
            const auto ledger = drain->ledger();
            EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
            most = std::max(most, ledger.queued);
        }
        server.release();
        const auto report = co_await flush(5s);
        EXPECT_TRUE(report.complete);
    });

    EXPECT_LT(most * 900, (3u << 20) + (64u << 10) + 2 * (16u << 10));
    EXPECT_EQ(drain->ledger().exported, pushed - refused.load());
    EXPECT_EQ(numbers_in(server.requests()).size(), drain->ledger().exported);
}

// Goal: at shutdown each record finds its reason: decided against, or too late. Method: kept ones cannot be sent.
TEST_F(DrainTailTest, DecidesAtShutdownWhatIsStillOpen) {
    tail.linger = 1min;
    server.set_default(answer(200).hold());
    start(batches_of(10), sink_options());
    for (int i = 0; i < 20; ++i) { push_trace(1, i % 2 == 0, i % 4 < 2); }
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return queue->records_consumed() == 20; }));
        const auto report = co_await shutdown(20ms);
        EXPECT_FALSE(report.complete);
    });
    EXPECT_EQ(sampled_out(), 10u);
    EXPECT_EQ(dropped(drain->ledger(), DropReason::shutdown), 10u);
}

// Goal: a flush waits for what came before it, and not for what comes after. Method: traces of random size keep coming.
TEST_F(DrainTailTest, FlushesInTheMidstOfTraffic) {
    constexpr unsigned seed = 20261120;
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    tail.linger = 1h / 60;
    tail.probability = 1;
    start(batches_of(16), sink_options(2));
    run(io, [&]() -> asio::awaitable<void> {
        for (int round = 0; round < 50; ++round) {
            for (int i = 0; i < 10; ++i) { push_trace(1 + random() % 5, random() % 2 == 0); }
            const auto before = pushed;
            bool flushed = false;
            asio::co_spawn(
                io, flush(5s), [&](const std::exception_ptr&, const FlushReport& report) {
                    flushed = true;
                    EXPECT_TRUE(report.complete);
                    EXPECT_GE(drain->ledger().exported, before);
                });
            push_trace(3, false);
            EXPECT_TRUE(co_await eventually([&] { return flushed; }));
            const auto ledger = drain->ledger();
            EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
        }
    });
}

} // namespace
} // namespace weft::testing
