// weft-export-load-otelcpp: what weft-fault-load does, with opentelemetry-cpp: its OTLP/HTTP exporter behind its batch
// processor, both with default options. It has no zstd, and does not compress unless told to.
#include <measure.hpp>
#include <opentelemetry/exporters/otlp/otlp_http_exporter.h>
#include <opentelemetry/sdk/common/global_log_handler.h>
#include <opentelemetry/sdk/trace/batch_span_processor.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <shape.hpp>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

namespace {

std::uint64_t number(const char* text) {
    std::uint64_t value = 0;
    std::from_chars(text, text + std::strlen(text), value);
    return value;
}

} // namespace

int main(int argc, char** argv) {
    namespace sdk = opentelemetry::sdk::trace;
    namespace otlp = opentelemetry::exporter::otlp;
    namespace shape = weft::bench::shape;
    namespace log = opentelemetry::sdk::common::internal_log;
    log::GlobalLogHandler::SetLogLevel(
        log::LogLevel::None); // A line for each span dropped would be most of its cost.
    std::uint64_t spans = 1'000'000;
    std::uint64_t rate = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i];
        if (name == "--spans") { spans = number(argv[i + 1]); }
        if (name == "--rate") { rate = number(argv[i + 1]); }
    }
    unsetenv("OTEL_EXPORTER_OTLP_COMPRESSION"); // "zstd" is not among its values.
    sdk::TracerProvider provider(std::make_unique<sdk::BatchSpanProcessor>(
        std::make_unique<otlp::OtlpHttpExporter>(), sdk::BatchSpanProcessorOptions{}));
    const auto tracer = provider.GetTracer("bench", "1");
    const double cpu_before = weft::faults::cpu_seconds();
    const weft::faults::Pace pace(rate);
    for (std::uint64_t done = 0; done < spans; ++done) {
        pace.wait(done);
        const auto span = tracer->StartSpan(shape::child_name);
        span->SetAttribute("n", static_cast<std::int64_t>(done));
        span->SetAttribute(shape::method_key, shape::method);
        span->SetAttribute(shape::route_key, shape::route);
        span->SetAttribute(shape::address_key, shape::address);
        span->End();
    }
    provider.ForceFlush(std::chrono::seconds(60));
    const double cpu_s = weft::faults::cpu_seconds() - cpu_before;
    provider.Shutdown(std::chrono::seconds(1));
    std::printf(
        "{\"recorded\": %llu, \"cpu_s\": %.4f, \"peak_rss_kib\": %llu}\n",
        static_cast<unsigned long long>(spans), cpu_s,
        static_cast<unsigned long long>(weft::faults::peak_rss_kib()));
    return 0;
}
