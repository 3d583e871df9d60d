#include "../exporters/metric_model.hpp"
#include "metrics_pipeline.hpp"
#include "receiver.hpp"
#include "service_thread.hpp"
#include "traces_pipeline.hpp"

#include <weft/signals/scope.hpp>
#include <weft/viewer/receiver.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <map>
#include <set>

// Metrics from a source of points to a receiver over a socket, beside traces, as a Runtime puts them together.

namespace weft::testing {
namespace {

class PipelinesTest : public ::testing::Test {
protected:
    detail::PipelineSetup setup() {
        options.metrics_exporter = ExporterKind::otlp; // Which the receiver's leave out.
        return {
            .executor = service.io_context().get_executor(),
            .options = options,
            .resource = {},
            .housekeeping = [this] { ++housekept; }};
    }
    void start_metrics(PeriodicReader::Collect collect) {
        pipelines[1] = std::make_shared<detail::MetricsPipeline>(
            setup(), detail::make_metric_ring(options), std::move(collect));
    }
    void start_traces() {
        providers.push_back(std::make_unique<detail::TraceProvider>(
            Sampler::always_on(), SpanLimits{}, options.batch.queue_bytes, 1));
        spans = providers.back().get();
        pipelines[0] = std::make_shared<detail::TracesPipeline>(setup(), *spans);
    }
    FlushReport flush(Clock::duration within) {
        return asio::co_spawn(
                   service.io_context(), detail::flush_all(pipelines, Clock::now() + within),
                   asio::use_future)
            .get();
    }
    FlushReport shutdown(Clock::duration within) {
        return asio::co_spawn(
                   service.io_context(), detail::shutdown_all(pipelines, Clock::now() + within),
                   asio::use_future)
            .get();
    }
    void end_span(std::string_view name) { Span(Tracer("pipelines").bound_to(spans), name).end(); }
    ~PipelinesTest() override { pipelines = {}; } // Before their executor goes.

    std::atomic<int> housekept{0}; // Of the service thread.
    Receiver receiver;
    Options options = receiver.options();
    std::vector<std::unique_ptr<detail::TraceProvider>> providers; // Outlive the service thread.
    detail::ServiceThread service;
    detail::TraceProvider* spans = nullptr;
    detail::Pipelines pipelines;
};

void give_a_counter(MetricVisitor& visitor, std::int64_t value) {
    const MetricSeries series;
    visitor.begin({.name = "jobs", .description = {}, .unit = "{job}", .is_monotonic = true});
    visitor.number({series, {1, 2}, MetricNumber::of(value)});
    visitor.end();
}

// Goal: nothing lost, nothing twice, nothing changed, from points to a socket and back; and `weft receive` counts the same.
// Method: random streams of every kind, in small records and batches; what has arrived is put together by name.
TEST_F(PipelinesTest, EveryPointOfEveryKindArrivesOnce) {
    auto random = Random::seeded("EveryPointOfEveryKindArrivesOnce");
    RandomMetrics metrics(random);
    const std::uint16_t scopes[] = {
        detail::register_scope({.name = "pipelines.0"}),
        detail::register_scope({.name = "pipelines.1"}),
        detail::register_scope({.name = "pipelines.2"})};
    std::vector<ModelStream> streams;
    std::size_t points = 0;
    for (int i = 0; i < 40; ++i) {
        auto& stream = streams.emplace_back(metrics.stream(random.between(1, 100)));
        stream.name = "stream" + std::to_string(i);
        stream.scope = scopes[stream.scope];
        for (auto& point : stream.points) {
            if (point.times.time_unix_ns == 0) { point.times.time_unix_ns = 1; } // Asked for.
        }
        points += stream.points.size();
    }
    options.otlp.compression = Compression::zstd;
    options.otlp.connections = 1; // Keeps the order.
    options.metric_reader.points_max = 50;
    options.batch.queue_bytes = 256u << 10;
    start_metrics([&](MetricVisitor& visitor) -> asio::awaitable<void> {
        for (const auto& stream : streams) { visit(visitor, stream); }
        co_return;
    });

    const auto report = flush(60s);

    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.exported, points);
    EXPECT_EQ(pipelines[1]->ledger().created, points);
    EXPECT_EQ(pipelines[1]->ledger().exported, points);
    std::map<std::string, OurMetrics::Metric> received;
    viewer::Receiver counter;
    for (const auto& request : receiver.server().requests()) {
        EXPECT_EQ(request.target, "/v1/metrics");
        const auto answer = counter.handle(
            {.method = request.method,
             .target = request.target,
             .content_type = request.header("content-type"),
             .content_encoding = request.header("content-encoding"),
             .body = request.body},
            Clock::now());
        EXPECT_EQ(answer.status, 200u);
        OurMetrics::Request message;
        ASSERT_TRUE(message.ParseFromString(
            decode_body(request.header("content-encoding"), request.body, 4u << 20)));
        ASSERT_EQ(message.resource_metrics_size(), 1);
        std::size_t in_request = 0;
        for (const auto& scope : message.resource_metrics(0).scope_metrics()) {
            for (const auto& metric : scope.metrics()) {
                in_request += points_in(metric);
                received[metric.name()].MergeFrom(metric);
            }
        }
        EXPECT_LE(in_request, 50u);
    }
    EXPECT_EQ(counter.counts().metric_points, points);
    EXPECT_EQ(counter.counts().rejected_points, 0u);
    ASSERT_EQ(received.size(), streams.size());
    for (const auto& stream : streams) {
        EXPECT_EQ(
            received[stream.name].SerializeAsString(),
            expected<OurMetrics>(stream).SerializeAsString());
    }
}

TEST_F(PipelinesTest, AFlushIsOfEverySignal) {
    start_traces();
    start_metrics([](MetricVisitor& visitor) -> asio::awaitable<void> {
        give_a_counter(visitor, 7);
        co_return;
    });
    end_span("one");
    end_span("two");

    auto report = flush(20s);

    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.exported, 3u);
    std::multiset<std::string> targets;
    for (const auto& request : receiver.server().requests()) { targets.insert(request.target); }
    EXPECT_EQ(targets, (std::multiset<std::string>{"/v1/metrics", "/v1/traces"}));
    EXPECT_EQ(pipelines[0]->ledger().exported, 2u);
    EXPECT_EQ(pipelines[1]->ledger().exported, 1u);

    report = shutdown(20s);
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.exported, 1u) << "the last collection";
    report = shutdown(20s);
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.exported, 0u);
}

// Goal: one deadline for all: a signal whose receiver is silent takes no time from the other.
TEST_F(PipelinesTest, ASilentReceiverOfOneSignalCostsTheOtherNothing) {
    Receiver silent;
    silent.server().set_default(silence());
    for (const bool traces_are_silent : {true, false}) {
        options = receiver.options();
        (traces_are_silent ? options.otlp.traces_endpoint : options.otlp.metrics_endpoint) =
            silent.url();
        start_traces();
        start_metrics([](MetricVisitor& visitor) -> asio::awaitable<void> {
            give_a_counter(visitor, 7);
            co_return;
        });
        end_span("one");
        const auto begun = Clock::now();

        const auto report = flush(200ms);

        EXPECT_LT(Clock::now() - begun, 5s);
        EXPECT_FALSE(report.complete);
        EXPECT_EQ(report.exported, 1u);
        EXPECT_EQ(report.pending, 1u);
        const auto last = shutdown(50ms);
        EXPECT_FALSE(last.complete);
        EXPECT_EQ(last.pending, 0u);
        EXPECT_EQ(pipelines[0]->ledger().created, 1u);
        for (int i : {0, 1}) {
            const auto& pipeline = pipelines[static_cast<std::size_t>(i)];
            EXPECT_TRUE(pipeline->ledger().is_balanced()) << pipeline->ledger().to_json();
        }
        pipelines = {};
    }
}

TEST_F(PipelinesTest, MetricsHaveTheirOwnEndpointAndHeaders) {
    Receiver own;
    options.otlp.headers = {{"x-for", "all"}};
    options.otlp.metrics_endpoint = own.server().url("/own/path?tenant=1");
    options.otlp.metrics.headers = std::vector<HeaderField>{{"x-own", "metrics"}};
    options.otlp.metrics.compression = Compression::gzip;
    start_traces();
    start_metrics([](MetricVisitor& visitor) -> asio::awaitable<void> {
        give_a_counter(visitor, 7);
        co_return;
    });
    end_span("one");

    EXPECT_TRUE(flush(20s).complete);

    ASSERT_EQ(own.server().request_count(), 1u);
    const auto request = own.server().requests()[0];
    EXPECT_EQ(request.target, "/own/path?tenant=1");
    EXPECT_EQ(request.header("x-own"), "metrics");
    EXPECT_EQ(request.header("x-for"), "");
    ASSERT_EQ(receiver.server().request_count(), 1u);
    EXPECT_EQ(receiver.server().requests()[0].header("x-for"), "all");
}

TEST_F(PipelinesTest, CollectsAtIntervalsWithoutBeingAsked) {
    options.metric_reader.interval = 2ms;
    std::atomic<std::int64_t> collections{0}; // Of the service thread.
    start_metrics([&](MetricVisitor& visitor) -> asio::awaitable<void> {
        give_a_counter(visitor, ++collections);
        co_return;
    });
    EXPECT_TRUE(wait_for([&] { return receiver.server().request_count() >= 3; }));
    EXPECT_TRUE(wait_for([&] { return housekept >= 1; }));
    EXPECT_TRUE(shutdown(20s).complete);
    EXPECT_EQ(pipelines[1]->ledger().exported, static_cast<std::uint64_t>(collections.load()));
}

TEST_F(PipelinesTest, MayGoWhileACollectionHangs) {
    start_metrics([](MetricVisitor& visitor) -> asio::awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        asio::steady_timer never(co_await asio::this_coro::executor, 24h);
        co_await never.async_wait(asio::use_awaitable);
        give_a_counter(visitor, 1);
    });
    EXPECT_FALSE(shutdown(20ms).complete);
}

TEST_F(PipelinesTest, WithoutAnyAFlushIsCompleteAtOnce) {
    EXPECT_TRUE(flush(1h).complete);
    EXPECT_TRUE(shutdown(1h).complete);
}

} // namespace
} // namespace weft::testing
