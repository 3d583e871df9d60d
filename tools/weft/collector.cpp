#include "collector.hpp"

#include "signal_sink.hpp"

#include <weft/exporters/header_list.hpp>
#include <weft/exporters/url.hpp>
#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/ids.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace weft::cli {
namespace {

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                          std::chrono::system_clock::now().time_since_epoch())
                                          .count());
}

template <class Resource>
void name_service(Resource& resource, std::string_view command) {
    auto& attribute = *resource.add_attributes();
    attribute.set_key("service.name");
    attribute.mutable_value()->set_string_value(fmt::format("weft-{}", command));
}

template <class Record>
void add_attributes(Record& record, std::size_t number) {
    const auto text = [&](const char* key, std::string value) {
        auto& attribute = *record.add_attributes();
        attribute.set_key(key);
        attribute.mutable_value()->set_string_value(std::move(value));
    };
    text("http.request.method", number % 3 == 0 ? "POST" : "GET");
    text("http.route", fmt::format("/orders/{{id}}/items/{}", number % 17));
    text("server.address", "shop.example");
    auto& status = *record.add_attributes();
    status.set_key("http.response.status_code");
    status.mutable_value()->set_int_value(number % 50 == 0 ? 404 : 200);
}

std::string spans(std::size_t count, std::string_view command) {
    otlp::collector::trace::v1::ExportTraceServiceRequest request;
    auto& all = *request.add_resource_spans();
    name_service(*all.mutable_resource(), command);
    auto& scope = *all.add_scope_spans();
    scope.mutable_scope()->set_name("weft");
    const auto end = now_ns();
    for (std::size_t i = 0; i < count; ++i) {
        auto& span = *scope.add_spans();
        const auto trace_id = random_trace_id();
        const auto span_id = random_span_id();
        span.set_trace_id(trace_id.bytes.data(), trace_id.bytes.size());
        span.set_span_id(span_id.bytes.data(), span_id.bytes.size());
        span.set_name(fmt::format("weft {} {}", command, i % 17));
        span.set_kind(otlp::trace::v1::Span::SPAN_KIND_INTERNAL);
        span.set_start_time_unix_nano(end - 1'000'000 - i * 1000);
        span.set_end_time_unix_nano(end - i * 1000);
        add_attributes(span, i);
    }
    return request.SerializeAsString();
}

std::string points(std::size_t count, std::string_view command) {
    otlp::collector::metrics::v1::ExportMetricsServiceRequest request;
    auto& all = *request.add_resource_metrics();
    name_service(*all.mutable_resource(), command);
    auto& scope = *all.add_scope_metrics();
    scope.mutable_scope()->set_name("weft");
    auto& metric = *scope.add_metrics();
    metric.set_name(fmt::format("weft.{}", command));
    metric.set_description("A sample that says nothing.");
    const auto now = now_ns();
    for (std::size_t i = 0; i < count; ++i) {
        auto& point = *metric.mutable_gauge()->add_data_points();
        point.set_time_unix_nano(now);
        point.set_as_int(1);
        add_attributes(point, i);
    }
    return request.SerializeAsString();
}

std::string log_records(std::size_t count, std::string_view command) {
    otlp::collector::logs::v1::ExportLogsServiceRequest request;
    auto& all = *request.add_resource_logs();
    name_service(*all.mutable_resource(), command);
    auto& scope = *all.add_scope_logs();
    scope.mutable_scope()->set_name("weft");
    const auto now = now_ns();
    for (std::size_t i = 0; i < count; ++i) {
        auto& record = *scope.add_log_records();
        record.set_time_unix_nano(now);
        record.set_observed_time_unix_nano(now);
        record.set_severity_text("INFO");
        record.mutable_body()->set_string_value(fmt::format("a sample of weft {}", command));
        add_attributes(record, i);
    }
    return request.SerializeAsString();
}

} // namespace

Collector Collector::from_environment() {
    Collector collector;
    auto options =
        options_from_env([](const char* name) { return std::getenv(name); }, collector.problems);
    collector.otlp = std::move(options.otlp);
    return collector;
}

OtlpHttpOptions sink_to(const std::string& url, Signal signal) {
    auto otlp = Collector::from_environment().otlp;
    otlp.endpoint = url;
    otlp.traces_endpoint.clear();
    otlp.metrics_endpoint.clear();
    auto made = detail::signal_sink(otlp, signal);
    if (!made.problem.empty()) { throw std::runtime_error(made.problem); }
    return std::move(made.options);
}

std::vector<Option> Collector::options() {
    return {
        {"--endpoint", "URL",
         "base URL of the collector (default OTEL_EXPORTER_OTLP_ENDPOINT, else "
         "http://localhost:4318)",
         [this](std::string_view text) {
             otlp.endpoint = text;
             otlp.traces_endpoint.clear();
             otlp.metrics_endpoint.clear();
             return parse_url(text).has_value();
         },
         "an absolute http or https URL such as http://localhost:4318"},
        {"--header", "KEY=VALUE",
         "sent with each request; may be given more than once (default "
         "OTEL_EXPORTER_OTLP_HEADERS)",
         [this](std::string_view text) {
             const auto equals = text.find('=');
             if (equals == std::string_view::npos) { return false; }
             HeaderField field{
                 std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
             if (!problem_in(field).empty()) { return false; }
             otlp.headers.push_back(std::move(field));
             otlp.traces.headers.reset(); // What is said here is said for all.
             otlp.metrics.headers.reset();
             return true;
         },
         "a header name, '=' and a value of printable characters", true},
        {"--json", "", "print the result as one line of JSON",
         [this](std::string_view) { return json = true; }},
    };
}

std::shared_ptr<const Batch> make_sample(
    Signal signal, std::size_t records, std::string_view command) {
    auto batch = std::make_shared<Batch>();
    batch->signal = signal;
    batch->records = records;
    switch (signal) {
    case Signal::traces:
        batch->body = spans(records, command);
        break;
    case Signal::metrics:
        batch->body = points(records, command);
        break;
    case Signal::logs:
        batch->body = log_records(records, command);
        break;
    }
    return batch;
}

std::string json_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : printable(text, 4096)) { // No control characters are left.
        if (c == '"' || c == '\\') { out += '\\'; }
        out += c;
    }
    return out + '"';
}

} // namespace weft::cli
