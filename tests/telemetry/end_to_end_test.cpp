#include "receiver.hpp"

#include <weft/telemetry/runtime.hpp>

#include <set>

// From Span to bytes on a socket and back: threads that end spans, each way of compressing, nothing
// lost, nothing twice.

namespace weft::testing {
namespace {

constexpr int roots_each = 2'000;
constexpr int children = 4;
constexpr std::uint64_t spans_in_all = 2ull * roots_each * (1 + children);

void produce(int thread) {
    for (int i = 0; i < roots_each; ++i) {
        const Span root("root", {{"thread", thread}, {"number", i}});
        for (int j = 0; j < children; ++j) {
            Span child("child", {{"kind", "of work"}, {"j", j}, {"share", 0.5}, {"ok", true}});
            if (j == 2) { child.add_event("half way"); }
        }
    }
}

class EndToEnd : public ::testing::TestWithParam<Compression> {};

TEST_P(EndToEnd, EverySpanOfTwoThreadsArrivesOnceUnderItsParent) {
    Receiver receiver;
    auto options = receiver.options();
    options.otlp.compression = GetParam();
    options.batch.queue_bytes = 16u << 20; // Room for all: this is not about a full queue.
    Runtime runtime(options);

    std::thread other([] { produce(1); });
    produce(0);
    other.join();
    const auto report = runtime.shutdown_blocking(30s);

    ASSERT_TRUE(report);
    EXPECT_TRUE(report->complete);
    const auto ledger = runtime.ledger();
    EXPECT_EQ(ledger.created, spans_in_all) << ledger.to_json();
    EXPECT_EQ(ledger.exported, spans_in_all) << ledger.to_json();
    std::map<std::string, std::string> trace_of; // By span id.
    const auto spans = receiver.spans();
    EXPECT_EQ(spans.size(), spans_in_all);
    for (const auto& span : spans) {
        EXPECT_TRUE(trace_of.emplace(span.span_id(), span.trace_id()).second) << "arrived twice";
    }
    std::set<std::pair<std::int64_t, std::int64_t>> roots;
    for (const auto& span : spans) {
        if (span.name() == "root") {
            EXPECT_EQ(span.parent_span_id(), "");
            roots.emplace(
                span.attributes(0).value().int_value(), span.attributes(1).value().int_value());
        } else {
            EXPECT_EQ(trace_of[span.parent_span_id()], span.trace_id());
            EXPECT_EQ(span.attributes_size(), 4);
        }
        EXPECT_LE(span.start_time_unix_nano(), span.end_time_unix_nano());
    }
    EXPECT_EQ(roots.size(), 2u * roots_each);
    const auto encoding = receiver.server().requests()[0].header("content-encoding");
    EXPECT_EQ(encoding, GetParam() == Compression::none ? "" : std::string(name(GetParam())));
}

INSTANTIATE_TEST_SUITE_P(
    Compressions, EndToEnd,
    ::testing::Values(Compression::none, Compression::gzip, Compression::zstd),
    [](const auto& tested) { return std::string(name(tested.param)); });

// Goal: the ledger is true at every moment of a run with a full queue and a receiver that comes and
// goes.
TEST(EndToEndLedger, BalancesAtEveryMomentUnderLoadAndLoss) {
    Receiver receiver;
    for (int i = 0; i < 30; ++i) {
        receiver.server().script({answer(200), answer(503), reset(), answer(200), answer(400)});
    }
    auto options = receiver.options();
    options.batch.queue_bytes = 64u << 10;
    options.batch.waiting_bytes_max = 64u << 10;
    Runtime runtime(options);
    std::atomic<bool> stop{false};
    std::string wrong;
    std::thread watch([&] {
        Ledger before;
        while (!stop.load()) {
            const auto ledger = runtime.ledger();
            const bool grows =
                ledger.created >= before.created && ledger.exported >= before.exported;
            if (!ledger.is_balanced() || !grows || ledger.queued > spans_in_all) {
                wrong = ledger.to_json();
            }
            before = ledger;
        }
    });

    std::thread other([] { produce(1); });
    produce(0);
    other.join();
    const auto report = runtime.shutdown_blocking(30s);
    stop.store(true);
    watch.join();

    EXPECT_EQ(wrong, "");
    EXPECT_TRUE(report->complete);
    const auto ledger = runtime.ledger();
    EXPECT_TRUE(ledger.is_balanced());
    EXPECT_EQ(ledger.created, spans_in_all);
    EXPECT_EQ(ledger.queued + ledger.in_flight, 0u);
    EXPECT_GT(ledger.exported, 0u);
}

} // namespace
} // namespace weft::testing
