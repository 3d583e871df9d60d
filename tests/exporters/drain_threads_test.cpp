#include "drain_fixture.hpp"

#include <weft/exporters/drain.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>

#include <random>
#include <thread>

// Producers on two threads, the drain on its own, the ledger read from a fourth: what TSan and
// arithmetic say to it.

namespace weft::testing {
namespace {

class ThreadedDrainTest : public DrainTest {
protected:
    void SetUp() override { make_queue(256u << 10, 2); }

    void begin() {
        guard_.emplace(io.get_executor());
        thread_ = std::thread([this] { io.run(); });
    }
    // Back to one thread, so that the fixture's own end can run the context.
    void end() {
        guard_.reset();
        io.stop();
        thread_.join();
    }

    // Each thread ends `count` spans as fast as it can; what the queue refuses is counted.
    void produce(std::uint64_t first, std::uint64_t count, std::size_t text_bytes) {
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto record = span_record(first + i, text_bytes);
            begun.fetch_add(1);
            if (push(*queue, record) != RecordQueue::Push::accepted) { refused.fetch_add(1); }
        }
    }

    FlushReport flush_from_outside(Clock::duration within) {
        return asio::co_spawn(io, flush(within), asio::use_future).get();
    }

    std::atomic<std::uint64_t> begun{0};

private:
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard_;
    std::thread thread_;
};

// Reads the ledger until told to stop, and looks for any moment at which it is wrong.
class LedgerWatch {
public:
    LedgerWatch(const Drain& drain, const std::atomic<std::uint64_t>& begun)
        : thread_([&drain, &begun, this] {
              Ledger before;
              while (!stop_.load()) {
                  const auto ledger = drain.ledger();
                  const auto begun_since = begun.load();
                  ++looks_;
                  const bool grows = ledger.created >= before.created &&
                                     ledger.exported >= before.exported &&
                                     ledger.dropped_total() >= before.dropped_total();
                  // created, queued and in flight are unsigned: a negative one would be huge.
                  const bool fits = ledger.created <= begun_since && ledger.queued <= begun_since &&
                                    ledger.in_flight <= begun_since;
                  if (!ledger.is_balanced() || !grows || !fits) { wrong_ = ledger.to_json(); }
                  before = ledger;
              }
          }) {}
    LedgerWatch(const LedgerWatch&) = delete;
    LedgerWatch& operator=(const LedgerWatch&) = delete;
    ~LedgerWatch() {
        stop_.store(true);
        thread_.join();
        EXPECT_EQ(wrong_, "");
        EXPECT_GT(looks_, 100u);
    }

private:
    std::atomic<bool> stop_{false};
    std::string wrong_;
    std::uint64_t looks_ = 0;
    std::thread thread_;
};

TEST_F(ThreadedDrainTest, ExportsEverySpanOnceWhileTheLedgerBalancesAtEveryMoment) {
    constexpr std::uint64_t each = 20'000;
    start(batches_of(512), sink_options(2));
    begin();
    FlushReport report;
    {
        const LedgerWatch watch(*drain, begun);
        std::thread other([&] { produce(each, each, 50); });
        produce(0, each, 50);
        other.join();
        report = flush_from_outside(15s);
    }
    pushed = 2 * each;
    end();

    EXPECT_TRUE(report.complete);
    const auto ledger = drain->ledger();
    EXPECT_EQ(ledger.created, pushed);
    EXPECT_EQ(ledger.exported, pushed - refused.load());
    auto numbers = numbers_in(server.requests());
    EXPECT_EQ(numbers.size(), ledger.exported);
    std::sort(numbers.begin(), numbers.end());
    EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end()), numbers.end()) << "sent twice";
}

// Goal: as above when the receiver is slow, fails and comes back. Method: random answers, printed
// seed.
TEST_F(ThreadedDrainTest, BalancesWithAReceiverThatFailsNowAndThen) {
    constexpr unsigned seed = 611;
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    for (int i = 0; i < 100; ++i) {
        switch (random() % 6) {
        case 0:
            server.script({answer(503)});
            break;
        case 1:
            server.script({reset()});
            break;
        case 2:
            server.script({answer(400)});
            break;
        case 3:
            server.script({answer(200).cut_to(10).then_close()});
            break;
        default:
            server.script({answer(200)});
            break;
        }
    }
    start(batches_of(100), sink_options(4));
    begin();
    FlushReport report;
    {
        const LedgerWatch watch(*drain, begun);
        std::thread other([&] { produce(5'000, 5'000, 100); });
        produce(0, 5'000, 100);
        other.join();
        report = flush_from_outside(15s);
    }
    pushed = 10'000;
    end();

    EXPECT_TRUE(report.complete);
    const auto ledger = drain->ledger();
    EXPECT_EQ(ledger.created, pushed);
    EXPECT_EQ(ledger.exported + ledger.dropped_total(), pushed);
    EXPECT_EQ(
        ledger.dropped_total(),
        dropped(ledger, DropReason::rejected_by_status) + dropped(ledger, DropReason::queue_full));
}

TEST_F(ThreadedDrainTest, RecoversFromAReceiverThatWasAway) {
    server.set_default(answer(200).hold());
    auto options = batches_of(64);
    options.waiting_bytes_max = 64u << 10;
    start(options, sink_options(2));
    begin();
    {
        const LedgerWatch watch(*drain, begun);
        std::thread other([&] { produce(10'000, 10'000, 100); });
        produce(0, 10'000, 100);
        other.join();
        EXPECT_GT(refused.load(), 0u) << "the test needs a full ring";
        server.release();
        EXPECT_TRUE(flush_from_outside(15s).complete);
        const auto refused_before = refused.load();
        produce(20'000, 100, 100);
        EXPECT_TRUE(flush_from_outside(15s).complete);
        EXPECT_EQ(refused.load(), refused_before);
    }
    pushed = 20'100;
    end();

    EXPECT_EQ(drain->ledger().exported, pushed - refused.load());
    EXPECT_EQ(numbers_in(server.requests()).size(), pushed - refused.load());
}

TEST_F(ThreadedDrainTest, FlushesFromManyThreadsWhileSpansEnd) {
    start(batches_of(50), sink_options(2));
    begin();
    {
        const LedgerWatch watch(*drain, begun);
        std::thread producer([&] { produce(0, 10'000, 20); });
        std::vector<std::thread> flushers;
        for (int i = 0; i < 3; ++i) {
            flushers.emplace_back([&] {
                for (int j = 0; j < 20; ++j) { EXPECT_TRUE(flush_from_outside(15s).complete); }
            });
        }
        for (auto& flusher : flushers) { flusher.join(); }
        producer.join();
        EXPECT_TRUE(flush_from_outside(15s).complete);
    }
    pushed = 10'000;
    end();
    EXPECT_EQ(drain->ledger().exported, pushed - refused.load());
}

TEST_F(ThreadedDrainTest, ShutsDownWhileSpansStillEnd) {
    start(batches_of(50), sink_options(2));
    begin();
    {
        const LedgerWatch watch(*drain, begun);
        std::thread producer([&] { produce(0, 20'000, 20); });
        while (begun.load() < 1'000) { std::this_thread::yield(); }
        asio::co_spawn(io, shutdown(15s), asio::use_future).get();
        producer.join();
    }
    end();
    // What came too late stays in the queue, and the ledger says so; there is nobody to take it
    // out.
    const auto ledger = drain->ledger();
    EXPECT_TRUE(ledger.is_balanced());
    EXPECT_EQ(ledger.created, begun.load());
    EXPECT_EQ(ledger.queued, queue->records_accepted() - queue->records_consumed());
    drain.reset();
}

} // namespace
} // namespace weft::testing
