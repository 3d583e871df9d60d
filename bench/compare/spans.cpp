// Start and end of a span on the caller's thread, as a burst (the worker asleep, flushed outside of
// the timing) and sustained (the worker encoding and discarding on another processor).
#include "peer.hpp"

#include <opentelemetry/exporters/otlp/otlp_recordable.h>
#include <opentelemetry/exporters/otlp/otlp_recordable_utils.h>
#include <opentelemetry/sdk/trace/batch_span_processor.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/samplers/always_off.h>
#include <opentelemetry/sdk/trace/samplers/always_on.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/tracer.h>

// Generated code includes what it needs only between these two.
#include <opentelemetry/exporters/otlp/protobuf_include_prefix.h>
//
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>
//
#include <opentelemetry/exporters/otlp/protobuf_include_suffix.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace weft::bench::otelcpp {

namespace {

namespace api = opentelemetry::trace;
namespace nostd = opentelemetry::nostd;
namespace otlp = opentelemetry::exporter::otlp;
namespace sdk = opentelemetry::sdk::trace;

// Does what the OTLP/HTTP exporter does with a batch, up to the socket.
class SerialisingExporter final : public sdk::SpanExporter {
public:
    explicit SerialisingExporter(std::shared_ptr<std::atomic<std::uint64_t>> spans)
        : spans_(std::move(spans)) {}

    std::unique_ptr<sdk::Recordable> MakeRecordable() noexcept override {
        return std::make_unique<otlp::OtlpRecordable>();
    }

    opentelemetry::sdk::common::ExportResult Export(
        const nostd::span<std::unique_ptr<sdk::Recordable>>& spans) noexcept override {
        opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest request;
        otlp::OtlpRecordableUtils::PopulateRequest(spans, &request);
        request.SerializeToString(&body_);
        // Relaxed: read only after a flush, whose lock orders it.
        spans_->fetch_add(spans.size(), std::memory_order_relaxed);
        return opentelemetry::sdk::common::ExportResult::kSuccess;
    }

    bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
    bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

private:
    std::shared_ptr<std::atomic<std::uint64_t>> spans_;
    std::string body_;
};

// A provider with its worker, made when the first case that needs it runs.
class Pipeline {
public:
    Pipeline(std::unique_ptr<sdk::Sampler> sampler, std::chrono::milliseconds delay)
        : exported_(std::make_shared<std::atomic<std::uint64_t>>(0)) {
        sdk::BatchSpanProcessorOptions options;
        options.max_queue_size = 1U << 20U;
        options.max_export_batch_size =
            8192; // More than a burst: reaching it would wake the worker.
        options.schedule_delay_millis = delay;
        provider_ = std::make_unique<sdk::TracerProvider>(
            std::make_unique<sdk::BatchSpanProcessor>(
                std::make_unique<SerialisingExporter>(exported_), options),
            opentelemetry::sdk::resource::Resource::Create({}), std::move(sampler));
        tracer_ = provider_->GetTracer("bench", "1");
    }

    api::Tracer& tracer() { return *tracer_; }

    void flush() { provider_->ForceFlush(); }

    // After a flush the worker looks once more for spans before it sleeps; those of a burst must
    // not be there yet.
    void flush_and_let_the_worker_sleep() {
        flush();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }

    // Relaxed: see the exporter.
    std::uint64_t exported() const { return exported_->load(std::memory_order_relaxed); }

private:
    std::shared_ptr<std::atomic<std::uint64_t>> exported_;
    std::unique_ptr<sdk::TracerProvider> provider_;
    nostd::shared_ptr<api::Tracer> tracer_;
};

// Bursts are flushed by hand, so the timer must not; sustained cases have a short delay.
Pipeline& burst_pipeline() {
    static Pipeline pipeline(std::make_unique<sdk::AlwaysOnSampler>(), std::chrono::hours(1));
    return pipeline;
}

Pipeline& sustained_pipeline() {
    static Pipeline pipeline(
        std::make_unique<sdk::AlwaysOnSampler>(), std::chrono::milliseconds(100));
    return pipeline;
}

Pipeline& unsampled_pipeline() {
    static Pipeline pipeline(std::make_unique<sdk::AlwaysOffSampler>(), std::chrono::hours(1));
    return pipeline;
}

void root_spans(api::Tracer& tracer, std::uint64_t iterations) {
    for (std::uint64_t i = 0; i < iterations; ++i) {
        auto span = tracer.StartSpan(shape::root_name);
        span->End();
    }
}

// The child of what is current, made current itself, with four attributes set one by one.
void child_spans(api::Tracer& tracer, std::uint64_t iterations) {
    auto parent = tracer.StartSpan("parent");
    const api::Scope parent_is_current(parent);
    for (std::uint64_t i = 0; i < iterations; ++i) {
        auto span = tracer.StartSpan(shape::child_name);
        const api::Scope current(span);
        span->SetAttribute(shape::method_key, shape::method);
        span->SetAttribute(shape::route_key, shape::route);
        span->SetAttribute(shape::status_key, shape::status);
        span->SetAttribute(shape::address_key, shape::address);
        span->End();
    }
}

// The figures mean nothing if spans vanish, so count some before timing any.
void require_that_spans_arrive() {
    Pipeline& pipeline = burst_pipeline();
    const std::uint64_t before = pipeline.exported();
    root_spans(pipeline.tracer(), 100);
    child_spans(pipeline.tracer(), 100);
    pipeline.flush_and_let_the_worker_sleep();
    // The parent of the children is a span too.
    if (pipeline.exported() - before != 201) { throw std::logic_error("the peer lost spans"); }
}

void begin_burst() {
    static const bool arrived = (require_that_spans_arrive(), true);
    keep(arrived);
    burst_pipeline().flush_and_let_the_worker_sleep();
}

} // namespace

void add_span_cases(Suite& suite) {
    const auto end_burst = [] { burst_pipeline().flush(); };
    suite.add(
        "span_root_0_attributes_burst", "ns",
        [](std::uint64_t iterations) { root_spans(burst_pipeline().tracer(), iterations); },
        {.batch = shape::burst_spans, .before = begin_burst, .after = end_burst});
    suite.add(
        "span_child_4_attributes_current_burst", "ns",
        [](std::uint64_t iterations) { child_spans(burst_pipeline().tracer(), iterations); },
        {.batch = shape::burst_spans, .before = begin_burst, .after = end_burst});

    const auto sustained = [](std::uint64_t iterations) {
        child_spans(sustained_pipeline().tracer(), iterations);
    };
    const auto settle = [] { sustained_pipeline().flush(); };
    suite.add(
        "span_child_4_attributes_current_sustained", "ns", sustained,
        {.before = settle, .after = settle, .seconds_min = 0.3});
    suite.add(
        "span_child_4_attributes_current_2_threads", "ns", sustained,
        {.threads = 2, .before = settle, .after = settle, .seconds_min = 0.3});

    suite.add("span_root_unsampled", "ns", [](std::uint64_t iterations) {
        root_spans(unsampled_pipeline().tracer(), iterations);
    });
}

} // namespace weft::bench::otelcpp
