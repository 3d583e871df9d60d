#include "../exporters/metric_model.hpp"

#include <weft/exporters/sink.hpp>
#include <weft/signals/counter.hpp>
#include <weft/telemetry/runtime.hpp>

#include <gmock/gmock.h>

#include <map>
#include <mutex>

// Metrics in the hands of a Sink of the program's own, and a runtime's metrics about its own spans on that way.

namespace weft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Key;

class KeepingSink final : public Sink {
public:
    explicit KeepingSink(std::size_t connections = 1) : connections_(connections) {}

    asio::awaitable<SendOutcome> send(std::shared_ptr<const Batch> batch) override {
        const std::lock_guard lock(mutex_);
        batches_.push_back(batch);
        SendOutcome outcome;
        outcome.exported = batch->records;
        co_return outcome;
    }
    asio::awaitable<void> stop(TimePoint) override { co_return; }
    [[nodiscard]] std::size_t connections() const noexcept override { return connections_; }

    [[nodiscard]] std::size_t records(Signal signal) const {
        const std::lock_guard lock(mutex_);
        std::size_t all = 0;
        for (const auto& batch : batches_) { all += batch->signal == signal ? batch->records : 0; }
        return all;
    }
    /// As they came last, by name.
    [[nodiscard]] std::map<std::string, OurMetrics::Metric> metrics() const {
        const std::lock_guard lock(mutex_);
        std::map<std::string, OurMetrics::Metric> found;
        for (const auto& batch : batches_) {
            if (batch->signal != Signal::metrics) { continue; }
            OurMetrics::Request message;
            EXPECT_TRUE(message.ParseFromString(batch->body));
            for (const auto& scope : message.resource_metrics(0).scope_metrics()) {
                for (const auto& metric : scope.metrics()) { found[metric.name()] = metric; }
            }
        }
        return found;
    }

private:
    const std::size_t connections_;
    mutable std::mutex mutex_; // Guards batches_.
    std::vector<std::shared_ptr<const Batch>> batches_;
};

// The value of the sum's point with these attributes, or -1.
std::int64_t value_of(
    const OurMetrics::Metric& metric, const std::map<std::string, std::string>& attributes) {
    for (const auto& point : metric.sum().data_points()) {
        std::map<std::string, std::string> has;
        for (const auto& attribute : point.attributes()) {
            has[attribute.key()] = attribute.value().string_value();
        }
        if (has == attributes) { return point.as_int(); }
    }
    return -1;
}

class OwnSinkTest : public ::testing::Test {
protected:
    OwnSinkTest() {
        options.service_name = "test";
        options.otlp.endpoint = "not a url"; // Not looked at.
        options.batch.delay = 1h;            // Nothing leaves before it is asked to.
        options.metric_reader.interval = 1h;
    }
    std::shared_ptr<KeepingSink> sink = std::make_shared<KeepingSink>();
    Options options;
};

TEST_F(OwnSinkTest, HasTheMetricsThatARuntimeExports) {
    options.metrics_sink = sink;
    options.traces_exporter = ExporterKind::none;
    Runtime runtime(options);
    const Counter<> cups("own.cups", {.unit = "{cup}"});
    cups.add(3, {{"kind", "oolong"}});
    EXPECT_TRUE(runtime.flush_blocking(60s)->complete);
    const auto metrics = sink->metrics();
    ASSERT_THAT(metrics, Contains(Key("own.cups")));
    EXPECT_EQ(value_of(metrics.at("own.cups"), {{"kind", "oolong"}}), 3);
    EXPECT_EQ(sink->records(Signal::traces), 0u);
    EXPECT_EQ(runtime.ledger(Signal::metrics).exported, sink->records(Signal::metrics));
    EXPECT_TRUE(runtime.ledger(Signal::metrics).is_balanced());
}

TEST_F(OwnSinkTest, MayTakeBothSignalsAndIsToldWhichIsWhich) {
    options.sink = options.metrics_sink = sink;
    Runtime runtime(options);
    { const Span outer("outer"), inner("inner"); }
    const Span open("open");
    EXPECT_TRUE(runtime.flush_blocking(60s)->complete);
    EXPECT_EQ(sink->records(Signal::traces), 2u);
    const auto metrics = sink->metrics();
    const auto started = [&](const char* origin) {
        return value_of(
            metrics.at("otel.sdk.span.started"),
            {{"otel.span.sampling_result", "RECORD_AND_SAMPLE"},
             {"otel.span.parent.origin", origin}});
    };
    ASSERT_THAT(metrics, Contains(Key("otel.sdk.span.started")));
    EXPECT_EQ(started("none"), 2);
    EXPECT_EQ(started("local"), 1);
    ASSERT_THAT(metrics, Contains(Key("otel.sdk.span.live")));
    EXPECT_EQ(
        value_of(
            metrics.at("otel.sdk.span.live"), {{"otel.span.sampling_result", "RECORD_AND_SAMPLE"}}),
        1);
    ASSERT_THAT(metrics, Contains(Key("otel.sdk.exporter.span.inflight")));
    EXPECT_EQ(
        value_of(
            metrics.at("otel.sdk.exporter.span.inflight"),
            {{"otel.component.type", "weft::Sink"}, {"otel.component.name", "weft::Sink/traces"}}),
        0)
        << "no server of the OTLP endpoint, which nobody asks";
}

TEST_F(OwnSinkTest, OfSpansAloneKeepsMetricsOffTheNetwork) {
    options.sink = sink;
    Runtime runtime(options);
    const Counter<> cups("own.cups");
    cups.add(1);
    EXPECT_TRUE(runtime.flush_blocking(60s)->complete);
    EXPECT_EQ(runtime.ledger(Signal::metrics).created, 0u);
    EXPECT_THAT(sink->metrics(), IsEmpty());
}

TEST_F(OwnSinkTest, ServesNoRuntimeThatIsDisabled) {
    options.metrics_sink = sink;
    options.disabled = true;
    Runtime runtime(options);
    const Counter<> cups("own.cups");
    cups.add(1);
    EXPECT_TRUE(runtime.flush_blocking(60s)->complete);
    EXPECT_THAT(sink->metrics(), IsEmpty());
}

TEST_F(OwnSinkTest, WithoutConnectionsIsRefusedByName) {
    options.metrics_sink = std::make_shared<KeepingSink>(0);
    options.traces_exporter = ExporterKind::none;
    EXPECT_EQ(
        problem_in(options), "Options::metrics_sink says connections() is 0: allowed is 1 or more");
    options.sink = std::make_shared<KeepingSink>(0);
    EXPECT_EQ(problem_in(options), "Options::sink says connections() is 0: allowed is 1 or more");
}

} // namespace
} // namespace weft::testing
