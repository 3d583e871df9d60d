#include "checks.hpp"
#include "responses.hpp"
#include "span_reader.hpp"
#include "text.hpp"

#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/viewer/receiver.hpp>
#include <weft/viewer/trace_text.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace weft::viewer {
namespace {

using otlp::counted;

constexpr std::size_t traces_asked_max = 20;

std::optional<Signal> signal_of(std::string_view path) noexcept {
    if (path == "/v1/traces") { return Signal::traces; }
    if (path == "/v1/metrics") { return Signal::metrics; }
    if (path == "/v1/logs") { return Signal::logs; }
    return std::nullopt;
}

HttpAnswer text_answer(unsigned status, std::string text) {
    return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(text)};
}

HttpAnswer with_header(HttpAnswer answer, std::string name, std::string value) {
    answer.headers.emplace_back(std::move(name), std::move(value));
    return answer;
}

// Short enough for the small-string buffer: this must not allocate.
HttpAnswer out_of_memory() noexcept {
    HttpAnswer answer;
    answer.status = 500;
    answer.content_type = "text/plain";
    answer.body = "out of memory\n";
    return answer;
}

// What one request brought.
struct Intake {
    std::int64_t refused = 0;
    Problems problems;
};

} // namespace

struct Receiver::State {
    explicit State(const ReceiverOptions& given) : options(given), store(given.store) {}

    HttpAnswer handle(const HttpQuestion& question, Clock::time_point now);
    HttpAnswer refuse(const HttpQuestion& question, unsigned status);
    HttpAnswer take(Signal signal, const HttpQuestion& question, Clock::time_point now);
    HttpAnswer show(std::string_view query) const;
    [[nodiscard]] std::string counts_json() const;
    [[nodiscard]] ReceiverCounts all_counts() const noexcept {
        ReceiverCounts all = counts;
        all.store = store.counts();
        return all;
    }

    void add(
        const otlp::collector::trace::v1::ExportTraceServiceRequest& request, Clock::time_point now,
        Intake& in);
    void add(const otlp::collector::metrics::v1::ExportMetricsServiceRequest& request, Intake& in);
    void add(const otlp::collector::logs::v1::ExportLogsServiceRequest& request, Intake& in);

    ReceiverOptions options;
    TraceStore store;
    ReceiverCounts counts; // counts.store is not kept up; all_counts() fills it in.
    Problems problems;
};

void Receiver::State::add(
    const otlp::collector::trace::v1::ExportTraceServiceRequest& request, Clock::time_point now,
    Intake& in) {
    for (const auto& resource : request.resource_spans()) {
        const std::string service = service_name(resource.resource());
        for (const auto& scope : resource.scope_spans()) {
            for (const auto& span : scope.spans()) {
                if (!check(span, in.problems)) {
                    ++in.refused;
                    continue;
                }
                TraceId trace;
                std::memcpy(trace.bytes.data(), span.trace_id().data(), trace.bytes.size());
                store.add(trace, read_span(span, service), now);
            }
        }
    }
    counts.rejected_spans += static_cast<std::uint64_t>(in.refused);
}

void Receiver::State::add(
    const otlp::collector::metrics::v1::ExportMetricsServiceRequest& request, Intake& in) {
    for (const auto& resource : request.resource_metrics()) {
        for (const auto& scope : resource.scope_metrics()) {
            for (const auto& metric : scope.metrics()) {
                const PointCounts points = check(metric, in.problems);
                counts.metric_points += points.accepted;
                counts.rejected_points += points.refused;
                in.refused += static_cast<std::int64_t>(points.refused);
            }
        }
    }
}

void Receiver::State::add(
    const otlp::collector::logs::v1::ExportLogsServiceRequest& request, Intake& in) {
    for (const auto& resource : request.resource_logs()) {
        for (const auto& scope : resource.scope_logs()) {
            for (const auto& record : scope.log_records()) {
                check(record, in.problems);
                ++counts.log_records;
            }
        }
    }
}

HttpAnswer Receiver::State::take(
    Signal signal, const HttpQuestion& question, Clock::time_point now) {
    const auto type = otlp::media_type(question.content_type);
    const otlp::Payload payload{
        .content_type = question.content_type,
        .content_encoding = question.content_encoding,
        .body = std::as_bytes(std::span(question.body)),
        .body_bytes_max = options.body_bytes_max};
    std::string detail;
    Intake in;
    const auto decoded = [&]() -> Result<void> {
        switch (signal) {
        case Signal::traces: {
            const auto request = otlp::decode_traces(payload, &detail);
            if (!request) { return request.error(); }
            add(*request, now, in);
            break;
        }
        case Signal::metrics: {
            const auto request = otlp::decode_metrics(payload, &detail);
            if (!request) { return request.error(); }
            add(*request, in);
            break;
        }
        case Signal::logs: {
            const auto request = otlp::decode_logs(payload, &detail);
            if (!request) { return request.error(); }
            add(*request, in);
            break;
        }
        }
        return {};
    }();
    if (decoded) {
        problems.add(in.problems);
        return accepted(signal, *type, in.refused, in.problems.text());
    }
    if (decoded.error() == Errc::request_too_large) { return refused(413, type, detail); }
    if (decoded.error() == Errc::unsupported_encoding) {
        auto answer = refused(415, type, detail);
        // RFC 9110: a 415 for the coding says with this header which ones would do.
        return type ? with_header(std::move(answer), "Accept-Encoding", "gzip, zstd, identity")
                    : answer;
    }
    return refused(400, type, detail);
}

HttpAnswer Receiver::State::show(std::string_view query) const {
    const auto equals = query.find('=');
    const auto key = query.substr(0, equals);
    const auto value =
        equals == std::string_view::npos ? std::string_view() : query.substr(equals + 1);
    std::vector<const StoredTrace*> traces;
    if (key == "id") {
        TraceId id;
        if (!weft::detail::read_hex(value, id.bytes.data(), id.bytes.size(), true)) {
            return text_answer(400, "id: give the 32 hex digits of a trace id\n");
        }
        if (const StoredTrace* trace = store.find(id)) { traces.push_back(trace); }
    } else if (key == "slowest" || key == "error") {
        std::size_t count = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
        if (error != std::errc() || end != value.data() + value.size() || count < 1 ||
            count > traces_asked_max) {
            return text_answer(
                400, fmt::format("{}: give a number from 1 to {}\n", key, traces_asked_max));
        }
        traces = key == "slowest" ? store.slowest(count) : store.failed(count);
    } else {
        return text_answer(400, "give slowest=N, error=N or id=HEX\n");
    }
    if (traces.empty()) { return text_answer(404, "no such trace is kept\n"); }
    std::string text;
    for (const StoredTrace* trace : traces) { text += format_trace(*trace); }
    return text_answer(200, std::move(text));
}

HttpAnswer Receiver::State::handle(const HttpQuestion& question, Clock::time_point now) {
    const auto mark = question.target.find('?');
    const auto path = question.target.substr(0, mark);
    const auto query =
        mark == std::string_view::npos ? std::string_view() : question.target.substr(mark + 1);
    const auto type = otlp::media_type(question.content_type);
    if (const auto signal = signal_of(path)) {
        if (question.method != "POST") {
            return with_header(refused(405, type, "only POST is answered here"), "Allow", "POST");
        }
        ++counts.requests;
        auto answer = take(*signal, question, now);
        if (answer.status != 200) { ++counts.refused_requests; }
        return answer;
    }
    if (path != "/_counts" && path != "/_trace") {
        return refused(404, type, "not found; OTLP goes to /v1/traces, /v1/metrics and /v1/logs");
    }
    if (question.method != "GET" && question.method != "HEAD") {
        return with_header(text_answer(405, "only GET is answered here\n"), "Allow", "GET, HEAD");
    }
    if (path == "/_trace") { return show(query); }
    return {.status = 200, .content_type = "application/json", .body = counts_json() + "\n"};
}

HttpAnswer Receiver::State::refuse(const HttpQuestion& question, unsigned status) {
    if (question.method == "POST" &&
        signal_of(question.target.substr(0, question.target.find('?')))) {
        ++counts.requests;
        ++counts.refused_requests;
    }
    return refused(
        status, otlp::media_type(question.content_type),
        status == 413 ? fmt::format("body is larger than {} bytes", options.body_bytes_max)
                      : "body is malformed or came too slowly");
}

std::string Receiver::State::counts_json() const {
    const ReceiverCounts all = all_counts();
    return fmt::format(
        "{{\"received\":{{\"spans\":{},\"traces\":{},\"broken_traces\":{},\"log_records\":{},"
        "\"metric_points\":{},"
        "\"duplicate_spans\":{},\"requests\":{},\"refused_requests\":{},\"rejected_spans\":{},"
        "\"rejected_points\":{},"
        "\"late_spans\":{},\"forgotten_traces\":{}}},\"problems\":{}}}",
        all.store.spans, all.store.traces, all.store.broken_traces, all.log_records,
        all.metric_points, all.store.duplicate_spans, all.requests, all.refused_requests,
        all.rejected_spans, all.rejected_points, all.store.late_spans, all.store.forgotten_traces,
        problems.json());
}

Receiver::Receiver(const ReceiverOptions& options) : state_(std::make_unique<State>(options)) {}
Receiver::~Receiver() = default;
Receiver::Receiver(Receiver&&) noexcept = default;
Receiver& Receiver::operator=(Receiver&&) noexcept = default;

HttpAnswer Receiver::handle(const HttpQuestion& question, Clock::time_point now) noexcept {
    try {
        return state_->handle(question, now);
    } catch (const std::exception&) { return out_of_memory(); }
}

HttpAnswer Receiver::refuse(const HttpQuestion& question, unsigned status) noexcept {
    try {
        return state_->refuse(question, status);
    } catch (const std::exception&) { return out_of_memory(); }
}

ReceiverCounts Receiver::counts() const noexcept { return state_->all_counts(); }
std::string Receiver::counts_json() const { return state_->counts_json(); }
TraceStore& Receiver::store() noexcept { return state_->store; }

std::string Receiver::summary() const {
    const ReceiverCounts all = counts();
    std::string text = fmt::format(
        "received {} in {} ({} broken), {}, {} in {}", counted(all.store.spans, "span"),
        counted(all.store.traces, "trace"), all.store.broken_traces,
        counted(all.metric_points, "metric point"), counted(all.log_records, "log record"),
        counted(all.requests, "request"));
    const auto append = [&](std::uint64_t count, std::string_view noun, std::string_view fate) {
        if (count > 0) { text += fmt::format("; {}{}", counted(count, noun), fate); }
    };
    append(all.store.duplicate_spans, "duplicate span", "");
    append(all.rejected_spans + all.rejected_points, "record", " rejected");
    append(all.refused_requests, "request", " refused");
    append(all.store.forgotten_traces, "trace", " forgotten");
    if (state_->problems.any()) { text += "; problems: " + state_->problems.text(); }
    return text;
}

} // namespace weft::viewer
