// How a ledger becomes metrics, by the table "OpenTelemetry SDK metrics".
#include "self_metrics.hpp"

#include <weft/signals/counter.hpp>
#include <weft/testing/metrics_reference.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>

#include <memory>
#include <stdexcept>

namespace weft::testing {
namespace {

using detail::SelfMetrics;
using detail::SelfMetricsSource;
using ::testing::Contains;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

Ledger busy_ledger() {
    Ledger ledger;
    ledger.created = 1000;
    ledger.exported = 700;
    ledger.rejected = 20;
    const auto drop = [&](DropReason reason, std::uint64_t count) {
        ledger.dropped[static_cast<std::size_t>(reason)] = count;
    };
    drop(DropReason::queue_full, 30);
    drop(DropReason::shutdown, 7);
    drop(DropReason::retry_exhausted, 50);
    drop(DropReason::tail_sampled_out, 93);
    ledger.queued = 60;
    ledger.in_flight = 40;
    return ledger;
}

SendOutcome lost(DropReason reason, int status) {
    SendOutcome outcome;
    outcome.dropped = 10;
    outcome.reason = reason;
    outcome.status = status;
    return outcome;
}
SendOutcome taken(std::uint64_t exported, std::uint64_t rejected) {
    SendOutcome outcome;
    outcome.exported = exported;
    outcome.rejected = rejected;
    outcome.status = 200;
    return outcome;
}

class SelfMetricsTest : public ::testing::Test {
protected:
    SelfMetrics::Sources sources() {
        SelfMetrics::Sources made;
        made[0].ledger = [this] { return ledger; };
        return made;
    }
    /// Watching, for a receiver that is told.
    std::unique_ptr<SelfMetrics> watching(
        SelfMetrics::Sources sources, const std::string& address = {}) {
        detail::SelfMetricsOptions options{.provider = &source.provider()};
        for (auto& exporter : options.exporters) {
            exporter.server_address = address;
            exporter.server_port = static_cast<std::uint16_t>(address.empty() ? 0 : 4318);
        }
        options.exporters[0].is_own_sink = to_own_sink;
        auto made = std::make_unique<SelfMetrics>(std::move(options));
        made->watch(std::move(sources));
        return made;
    }
    MetricSource source;
    Ledger ledger = busy_ledger();
    bool to_own_sink = false; // The spans.
};

TEST_F(SelfMetricsTest, ShowTheLedgerAsItIs) {
    ASSERT_TRUE(ledger.is_balanced());
    const auto metrics = watching(sources());
    const auto seen = source.collect();
    const auto value = [&](const char* name) {
        return seen.point(name, "weft.signal", "traces").value;
    };
    EXPECT_EQ(value("weft.ledger.created"), 1000);
    EXPECT_EQ(value("weft.ledger.exported"), 700);
    EXPECT_EQ(value("weft.ledger.rejected"), 20);
    EXPECT_EQ(value("weft.ledger.queued"), 60);
    EXPECT_EQ(value("weft.ledger.in_flight"), 40);
    EXPECT_EQ(value("weft.ledger.spooled"), 0);
    double dropped = 0;
    for (const auto& point : seen["weft.ledger.dropped"].points) { dropped += point.value; }
    EXPECT_EQ(dropped, static_cast<double>(ledger.dropped_total()));
    EXPECT_EQ(seen.point("weft.ledger.dropped", "weft.drop.reason", "queue_full").value, 30);
    EXPECT_THAT(seen["weft.ledger.dropped"].points, SizeIs(4)) << "reasons that occurred";
    EXPECT_TRUE(seen["weft.ledger.created"].is_monotonic);
    EXPECT_FALSE(seen["weft.ledger.queued"].is_monotonic);
}

TEST_F(SelfMetricsTest, ShowTheOneStateThatAnExporterIsIn) {
    SinkState state = SinkState::circuit_open;
    auto given = sources();
    given[0].state = [&] { return state; };
    given[0].others.push_back(
        {{"second", "", ""}, [this] { return ledger; }, [] { return SinkState::parked; }});
    const auto metrics = watching(std::move(given));
    const auto value = [](const testing::MetricSnapshot& seen, std::string_view destination,
                          std::string_view name) {
        for (const auto& point : seen["weft.exporter.state"].points) {
            const bool is_it = point["weft.destination"] == destination;
            if (is_it && point["weft.exporter.state"] == name) { return point.value; }
        }
        return -1.0;
    };

    const auto open = source.collect();
    EXPECT_EQ(value(open, "(absent)", "circuit_open"), 1);
    EXPECT_EQ(value(open, "(absent)", "working"), 0);
    EXPECT_EQ(value(open, "(absent)", "parked"), 0);
    EXPECT_EQ(value(open, "second", "parked"), 1);
    EXPECT_EQ(value(open, "second", "circuit_open"), 0);
    EXPECT_THAT(open["weft.exporter.state"].points, SizeIs(6));

    state = SinkState::working;
    const auto working = source.collect();
    EXPECT_EQ(value(working, "(absent)", "circuit_open"), 0);
    EXPECT_EQ(value(working, "(absent)", "working"), 1);
}

TEST_F(SelfMetricsTest, SaySoInTheConventionsWords) {
    auto given = sources();
    const auto metrics = watching(std::move(given), "collector.example");
    const auto seen = source.collect();
    EXPECT_EQ(seen.point("otel.sdk.processor.span.queue.size").value, 60);
    EXPECT_EQ(
        seen.point("otel.sdk.processor.span.queue.size").attributes,
        (std::map<std::string, std::string>{
            {"otel.component.type", "batching_span_processor"},
            {"otel.component.name", "batching_span_processor/0"}}));
    const auto processed = [&](const char* error) {
        return seen.point("otel.sdk.processor.span.processed", "error.type", error).value;
    };
    EXPECT_EQ(processed("(absent)"), 700 + 20 + 50);
    EXPECT_EQ(processed("queue_full"), 30);
    EXPECT_EQ(processed("already_shutdown"), 7);
    EXPECT_THAT(seen["otel.sdk.processor.span.processed"].points, SizeIs(3))
        << "what tail sampling removed is no failure";

    EXPECT_EQ(seen.point("otel.sdk.exporter.span.inflight").value, 40);
    EXPECT_EQ(seen["otel.sdk.exporter.span.inflight"].unit, "{span}");
    EXPECT_EQ(seen.point("otel.sdk.exporter.span.inflight")["server.port"], "4318");
    const auto exported = [&](const char* error) {
        return seen.point("otel.sdk.exporter.span.exported", "error.type", error);
    };
    EXPECT_EQ(exported("(absent)").value, 700);
    EXPECT_EQ(exported("rejected").value, 20);
    EXPECT_EQ(exported("retry_exhausted").value, 50);
    EXPECT_EQ(exported("retry_exhausted")["server.address"], "collector.example");
    EXPECT_THAT(seen["otel.sdk.exporter.span.exported"].points, SizeIs(3));
}

TEST_F(SelfMetricsTest, CallADestinationOfTheProgramsOwnNoOtlpExporter) {
    to_own_sink = true;
    const auto metrics = watching(sources());
    metrics->settled(Signal::traces, {})(1'000'000, taken(10, 0));
    const auto seen = source.collect();
    EXPECT_EQ(
        seen.point("otel.sdk.exporter.span.inflight").attributes,
        (std::map<std::string, std::string>{
            {"otel.component.type", "weft::Sink"}, {"otel.component.name", "weft::Sink/traces"}}));
    EXPECT_EQ(
        seen.point("otel.sdk.exporter.operation.duration")["otel.component.type"], "weft::Sink");
}

TEST_F(SelfMetricsTest, NeverCountBackWhenAShutdownCutsOffWhatIsInFlight) {
    const auto metrics = watching(sources());
    const auto before =
        source.collect().point("otel.sdk.processor.span.processed", "error.type", "(absent)");
    ledger.dropped[static_cast<std::size_t>(DropReason::shutdown)] += ledger.in_flight;
    ledger.in_flight = 0;
    ASSERT_TRUE(ledger.is_balanced());
    const auto after =
        source.collect().point("otel.sdk.processor.span.processed", "error.type", "(absent)");
    EXPECT_GE(after.value, before.value);
}

TEST_F(SelfMetricsTest, AreSilentAboutSignalsThatAreNotThere) {
    const auto metrics = watching(sources());
    const auto names = source.collect().names();
    EXPECT_THAT(names, Not(Contains(StartsWith("otel.sdk.processor.log"))));
    EXPECT_THAT(names, Not(Contains(StartsWith("otel.sdk.exporter.log"))));
    EXPECT_THAT(names, Not(Contains(StartsWith("otel.sdk.exporter.metric_data_point"))));
    EXPECT_THAT(names, Not(Contains(StartsWith("weft.queue"))));
}

TEST_F(SelfMetricsTest, CountMetricPointsWithoutAProcessor) {
    auto given = sources();
    given[1].ledger = [this] { return ledger; };
    given[1].queue = [] { return SelfMetricsSource::Queue{100, 4096, 0}; };
    const auto metrics = watching(std::move(given));
    const auto seen = source.collect();
    EXPECT_EQ(
        seen.point("otel.sdk.exporter.metric_data_point.exported", "error.type", "(absent)").value,
        700);
    EXPECT_EQ(seen["otel.sdk.exporter.metric_data_point.exported"].unit, "{data_point}");
    EXPECT_EQ(seen.point("weft.queue.usage", "weft.signal", "metrics").value, 100);
    EXPECT_EQ(seen.point("weft.queue.limit", "weft.signal", "metrics").value, 4096);
    EXPECT_THAT(seen["weft.ledger.created"].points, SizeIs(2));
    EXPECT_THAT(seen["otel.sdk.processor.span.queue.size"].points, SizeIs(1));
}

TEST_F(SelfMetricsTest, CountSpansByDecisionAndParent) {
    using detail::ParentOrigin;
    auto given = sources();
    given[0].spans = [] {
        detail::SpanTotals totals;
        const auto at = [](auto value) { return static_cast<std::size_t>(value); };
        auto& sampled = totals.started[at(SamplingDecision::record_and_sample)];
        sampled[at(ParentOrigin::none)] = 5;
        sampled[at(ParentOrigin::local)] = 70;
        sampled[at(ParentOrigin::remote)] = 9;
        totals.started[at(SamplingDecision::drop)][at(ParentOrigin::none)] = 3;
        totals.live[at(SamplingDecision::record_and_sample)] = 4;
        return totals;
    };
    const auto metrics = watching(std::move(given));
    const auto seen = source.collect();
    const auto started = [&](const char* decision, const char* origin) {
        for (const auto& point : seen["otel.sdk.span.started"].points) {
            if (point["otel.span.sampling_result"] == decision &&
                point["otel.span.parent.origin"] == origin) {
                return point.value;
            }
        }
        return -1.0;
    };
    EXPECT_EQ(started("RECORD_AND_SAMPLE", "none"), 5);
    EXPECT_EQ(started("RECORD_AND_SAMPLE", "local"), 70);
    EXPECT_EQ(started("RECORD_AND_SAMPLE", "remote"), 9);
    EXPECT_EQ(started("DROP", "none"), 3);
    EXPECT_THAT(seen["otel.sdk.span.started"].points, SizeIs(4)) << "those that occurred";
    EXPECT_TRUE(seen["otel.sdk.span.started"].is_monotonic);
    constexpr auto live = "otel.sdk.span.live";
    EXPECT_EQ(seen.point(live, "otel.span.sampling_result", "RECORD_AND_SAMPLE").value, 4);
    EXPECT_EQ(seen.point(live, "otel.span.sampling_result", "RECORD_ONLY").value, 0);
    EXPECT_THAT(seen[live].points, SizeIs(2)) << "never of those that are not recorded";
    EXPECT_FALSE(seen[live].is_monotonic);
}

TEST_F(SelfMetricsTest, GiveTheQueuesRoomInRecordsOfTheSizeThatWasSeenLast) {
    auto given = sources();
    SelfMetricsSource::Queue queue{.used_bytes = 0, .capacity_bytes = 4096};
    given[0].queue = [&] { return queue; };
    const auto metrics = watching(std::move(given));
    constexpr auto name = "otel.sdk.processor.span.queue.capacity";
    EXPECT_THAT(source.collect().names(), Not(Contains(name))) << "nothing is known of the size";
    queue.used_bytes = 400;
    queue.records = 2;
    const auto seen = source.collect().point(name);
    EXPECT_EQ(seen.value, 20);
    EXPECT_EQ(seen["otel.component.name"], "batching_span_processor/0");
    queue = {.used_bytes = 0, .capacity_bytes = 4096};
    EXPECT_EQ(source.collect().point(name).value, 20) << "the queue is empty now";
}

TEST_F(SelfMetricsTest, CountWhatTheMetricsThemselvesRefused) {
    const auto metrics = watching(sources());
    const Counter<> counter(Meter("test").bound_to(&source.provider()), "test.counter");
    counter.add(-1);
    EXPECT_EQ(source.collect().point("weft.metrics.refused").value, 1);
    EXPECT_EQ(source.collect().point("weft.metrics.lost").value, 0);
}

TEST_F(SelfMetricsTest, MeasureExports) {
    const auto metrics = watching(sources());
    const auto settled = metrics->settled(Signal::traces, {});
    settled(20'000'000, taken(10, 0));
    settled(5'000'000'000, lost(DropReason::retry_exhausted, 503));
    settled(1'000'000, lost(DropReason::internal_error, 0));
    settled(1'000'000, taken(7, 3));
    const auto seen = source.collect();
    constexpr auto name = "otel.sdk.exporter.operation.duration";
    ASSERT_THAT(seen[name].points, SizeIs(4));
    EXPECT_EQ(seen.point(name, "error.type", "rejected")["http.response.status_code"], "200");
    const auto good = seen.point(name, "error.type", "(absent)");
    EXPECT_EQ(good.sum, 0.02);
    EXPECT_EQ(good["http.response.status_code"], "200");
    EXPECT_EQ(good["otel.component.type"], "otlp_http_span_exporter");
    EXPECT_EQ(
        seen.point(name, "error.type", "retry_exhausted")["http.response.status_code"], "503");
    EXPECT_EQ(
        seen.point(name, "error.type", "internal_error")["http.response.status_code"], "(absent)");
}

TEST_F(SelfMetricsTest, MeasureCollectionsAndWhatBecameOfThem) {
    asio::io_context context;
    MetricSnapshot ignored;
    const auto run = [&](const SelfMetrics::Collect& collect) {
        auto done = asio::co_spawn(context, collect(ignored), asio::use_future);
        context.restart();
        context.run();
        done.get();
    };
    SelfMetrics::Collect good;
    SelfMetrics::Collect bad;
    {
        const auto metrics = watching(sources());
        good = metrics->measured([](MetricVisitor&) -> asio::awaitable<void> { co_return; });
        bad = metrics->measured([](MetricVisitor&) -> asio::awaitable<void> {
            throw std::runtime_error("an encoder without room");
            co_return;
        });
        run(good);
        EXPECT_THROW(run(bad), std::runtime_error);
    }
    run(good); // Though the runtime's metrics have ended.
    const auto seen = source.collect();
    constexpr auto name = "otel.sdk.metric_reader.collection.duration";
    EXPECT_EQ(seen.point(name, "error.type", "(absent)").count, 2U);
    EXPECT_EQ(seen.point(name, "error.type", "_OTHER").count, 1U);
    EXPECT_EQ(
        seen.point(name, "error.type", "_OTHER")["otel.component.name"],
        "periodic_metric_reader/0");
}

TEST_F(SelfMetricsTest, AreThoseOfTheReference) {
    auto given = sources();
    for (auto& signal : given) {
        signal.ledger = [this] { return ledger; };
        signal.queue = [] { return SelfMetricsSource::Queue{100, 4096, 1}; };
        signal.state = [] { return SinkState::working; };
        signal.spans = [] {
            detail::SpanTotals totals;
            totals.started[0][0] = 1;
            return totals;
        };
    }
    const auto metrics = watching(std::move(given), "collector.example");
    metrics->settled(Signal::traces, {})(1'000'000, lost(DropReason::retry_exhausted, 503));
    asio::io_context context;
    MetricSnapshot ignored;
    const auto collect =
        metrics->measured([](MetricVisitor&) -> asio::awaitable<void> { co_return; });
    auto done = asio::co_spawn(context, collect(ignored), asio::use_future);
    context.run();
    done.get();
    const auto seen = source.collect();
    expect_documented(seen);
    expect_complete(seen, "otel.sdk.");
    expect_complete(seen, "weft.");
}

TEST_F(SelfMetricsTest, EndWithTheirObject) {
    { const auto metrics = watching(sources()); }
    EXPECT_TRUE(source.collect().metrics.empty());
}

} // namespace
} // namespace weft::testing
