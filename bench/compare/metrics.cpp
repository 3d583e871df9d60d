// Metrics: what a measurement costs the caller, and what a collection of 10 000 series costs up to the serialised request.
// The default views, cumulative, one reader.
#include "peer.hpp"

#include <heap.hpp>
#include <opentelemetry/context/context.h>
#include <opentelemetry/exporters/otlp/otlp_metric_utils.h>
#include <opentelemetry/metrics/meter.h>
#include <opentelemetry/metrics/sync_instruments.h>
#include <opentelemetry/sdk/metrics/export/metric_producer.h>
#include <opentelemetry/sdk/metrics/meter_provider.h>
#include <opentelemetry/sdk/metrics/metric_reader.h>

// Generated code includes what it needs only between these two.
#include <opentelemetry/exporters/otlp/protobuf_include_prefix.h>
//
#include <opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h>
//
#include <google/protobuf/arena.h>
#include <opentelemetry/exporters/otlp/protobuf_include_suffix.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace weft::bench::otelcpp {

namespace {

namespace api = opentelemetry::metrics;
namespace sdk = opentelemetry::sdk::metrics;
namespace otlp = opentelemetry::exporter::otlp;
using Request = opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;

class Reader final : public sdk::MetricReader {
public:
    sdk::AggregationTemporality GetAggregationTemporality(
        sdk::InstrumentType) const noexcept override {
        return sdk::AggregationTemporality::kCumulative;
    }

private:
    bool OnForceFlush(std::chrono::microseconds) noexcept override { return true; }
    bool OnShutDown(std::chrono::microseconds) noexcept override { return true; }
};

struct Pipeline {
    Pipeline() {
        provider.AddMetricReader(reader);
        meter = provider.GetMeter("bench", "1");
    }
    sdk::MeterProvider provider;
    std::shared_ptr<Reader> reader = std::make_shared<Reader>();
    opentelemetry::nostd::shared_ptr<api::Meter> meter;
};

api::Meter& meter() {
    static Pipeline pipeline;
    return *pipeline.meter;
}

void add_recording_cases(Suite& suite, const std::string& suffix, int threads) {
    static const auto counter = meter().CreateUInt64Counter("bench.counter");
    static const auto histogram = meter().CreateDoubleHistogram("bench.histogram");
    static const opentelemetry::context::Context no_context;
    const CaseOptions options{.threads = threads};
    suite.add(
        "counter_bound" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) { counter->Add(1); }
        },
        options);
    suite.add(
        "counter_unbound_3_attributes" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                counter->Add(
                    1, {{shape::method_key, shape::method},
                        {shape::route_key, shape::route},
                        {shape::status_key, shape::status}});
            }
        },
        options);
    suite.add(
        "histogram_bound" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                histogram->Record(shape::measured(i), no_context);
            }
        },
        options);
    suite.add(
        "histogram_unbound_3_attributes" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                histogram->Record(
                    shape::measured(i),
                    {{shape::method_key, shape::method},
                     {shape::route_key, shape::route},
                     {shape::status_key, shape::status}},
                    no_context);
            }
        },
        options);
}

// 10 000 series and a reader.
class Many {
public:
    explicit Many(bool histograms) {
        for (int i = 0; i < shape::instruments; ++i) {
            const auto name =
                (histograms ? "many.histogram." : "many.counter.") + std::to_string(i);
            if (histograms) {
                histograms_.push_back(pipeline_.meter->CreateDoubleHistogram(name));
            } else {
                counters_.push_back(pipeline_.meter->CreateUInt64Counter(name));
            }
            for (int id = 0; id < shape::series_each; ++id) {
                if (histograms) {
                    histograms_.back()->Record(
                        shape::measured(static_cast<std::uint64_t>(id)), {{"id", id}},
                        opentelemetry::context::Context{});
                } else {
                    counters_.back()->Add(1, {{"id", id}});
                }
            }
        }
    }

    // In an arena, as the OTLP/HTTP exporter does it. Errors: std::logic_error when some of the series are not there.
    void collect(std::string& body) {
        int points = 0;
        pipeline_.reader->Collect([&](sdk::ResourceMetrics& metrics) {
            google::protobuf::ArenaOptions options;
            options.initial_block_size = 1024;
            options.max_block_size = 65536;
            google::protobuf::Arena arena(options);
            auto* const request = google::protobuf::Arena::CreateMessage<Request>(&arena);
            otlp::OtlpMetricUtils::PopulateRequest(metrics, request);
            request->SerializeToString(&body);
            for (const auto& resource : request->resource_metrics()) {
                for (const auto& scope : resource.scope_metrics()) {
                    for (const auto& metric : scope.metrics()) {
                        points +=
                            metric.sum().data_points_size() + metric.histogram().data_points_size();
                    }
                }
            }
            return true;
        });
        if (points != shape::series) { throw std::logic_error("series are missing"); }
    }

private:
    Pipeline pipeline_;
    std::vector<opentelemetry::nostd::unique_ptr<api::Counter<std::uint64_t>>> counters_;
    std::vector<opentelemetry::nostd::unique_ptr<api::Histogram<double>>> histograms_;
};

Many& counters() {
    static Many many(false);
    return many;
}

double bytes_per_series(bool histograms) {
    std::string body(16u << 20, '\0'); // Not counted: it does not stay.
    const auto before = heap_bytes();
    Many many(histograms);
    many.collect(body);
    return static_cast<double>(heap_bytes() - before) / shape::series;
}

} // namespace

void add_metric_cases(Suite& suite) {
    add_recording_cases(suite, "", 1);
    add_recording_cases(suite, "_2_threads", 2);
    suite.add(
        "collect_10k_counters", "ms",
        [](std::uint64_t iterations) {
            static std::string body;
            for (std::uint64_t i = 0; i < iterations; ++i) { counters().collect(body); }
        },
        {.before = [] { keep(counters()); }});
    suite.add_value("metric_series_bytes_counter", "bytes", [] { return bytes_per_series(false); });
    suite.add_value(
        "metric_series_bytes_histogram", "bytes", [] { return bytes_per_series(true); });
}

} // namespace weft::bench::otelcpp
