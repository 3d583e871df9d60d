// weft replay: sends what a file exporter wrote, ours or a Collector's, to a receiver. One line is one request, read, checked
// and sent in the order of the file, a few at a time.
#include "collector.hpp"
#include "commands.hpp"
#include "options.hpp"

#include <weft/exporters/ledger.hpp>
#include <weft/exporters/otlp_http.hpp>
#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/runtime/diagnostics.hpp>
#include <weft/viewer/otlp_codec.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t line_bytes_max = std::size_t{256} << 20;
constexpr std::size_t bad_lines_told_max = 20; // Each with its number; the rest is counted.
constexpr auto stop_grace = 2s;

struct ReplayOptions {
    std::vector<std::string> files;
    std::string to;
    std::vector<HeaderField> headers;
    Compression compression = Compression::gzip;
    std::chrono::seconds retry_for{60};
};

template <class Request>
std::optional<Batch> batch_of(std::string_view line, Signal signal, std::string& why) {
    Request request;
    if (!otlp::from_json(line, request, &why)) { return std::nullopt; }
    Batch batch;
    batch.signal = signal;
    if (!request.SerializeToString(&batch.body)) {
        why = "it cannot be encoded";
        return std::nullopt;
    }
    return batch;
}

template <class Metric>
std::size_t points_of(const Metric& metric) {
    return static_cast<std::size_t>(
        metric.gauge().data_points_size() + metric.sum().data_points_size() +
        metric.histogram().data_points_size() + metric.exponential_histogram().data_points_size() +
        metric.summary().data_points_size());
}

std::size_t records_of(const Batch& batch) {
    std::size_t records = 0;
    const auto each = [&](const auto& resources, auto scopes, auto items) {
        for (const auto& resource : resources) {
            for (const auto& scope : scopes(resource)) { records += items(scope); }
        }
    };
    switch (batch.signal) {
    case Signal::traces: {
        otlp::collector::trace::v1::ExportTraceServiceRequest request;
        request.ParseFromString(batch.body);
        each(
            request.resource_spans(), [](const auto& r) -> auto& { return r.scope_spans(); },
            [](const auto& s) { return static_cast<std::size_t>(s.spans_size()); });
        break;
    }
    case Signal::metrics: {
        otlp::collector::metrics::v1::ExportMetricsServiceRequest request;
        request.ParseFromString(batch.body);
        each(
            request.resource_metrics(), [](const auto& r) -> auto& { return r.scope_metrics(); },
            [](const auto& s) {
                std::size_t points = 0;
                for (const auto& metric : s.metrics()) { points += points_of(metric); }
                return points;
            });
        break;
    }
    case Signal::logs: {
        otlp::collector::logs::v1::ExportLogsServiceRequest request;
        request.ParseFromString(batch.body);
        each(
            request.resource_logs(), [](const auto& r) -> auto& { return r.scope_logs(); },
            [](const auto& s) { return static_cast<std::size_t>(s.log_records_size()); });
        break;
    }
    }
    return records;
}

// The signal of a line is the key that it has: a file of ours holds one, others may mix them.
std::optional<Batch> read_line(std::string_view line, std::string& why) {
    std::optional<Batch> batch;
    if (line.find("\"resourceSpans\"") != std::string_view::npos) {
        batch = batch_of<otlp::collector::trace::v1::ExportTraceServiceRequest>(
            line, Signal::traces, why);
    } else if (line.find("\"resourceMetrics\"") != std::string_view::npos) {
        batch = batch_of<otlp::collector::metrics::v1::ExportMetricsServiceRequest>(
            line, Signal::metrics, why);
    } else if (line.find("\"resourceLogs\"") != std::string_view::npos) {
        batch =
            batch_of<otlp::collector::logs::v1::ExportLogsServiceRequest>(line, Signal::logs, why);
    } else {
        why = "it has neither resourceSpans nor resourceMetrics nor resourceLogs";
    }
    if (batch) { batch->records = records_of(*batch); }
    return batch;
}

class ReplayProgram {
public:
    explicit ReplayProgram(ReplayOptions options) : options_(std::move(options)) {}

    int run() {
        signals_.async_wait([this](const boost::system::error_code& error, int) {
            if (error) { return; }
            stopped_ = true;
            for (auto& [signal, sink] : sinks_) { sink->request_stop(Clock::now() + stop_grace); }
        });
        asio::co_spawn(context_, replay(), [this](const std::exception_ptr& error) {
            signals_.cancel();
            if (error) { std::rethrow_exception(error); }
        });
        context_.run();
        return finish();
    }

private:
    using Clock = std::chrono::steady_clock;

    asio::awaitable<void> replay() {
        for (const auto& file : options_.files) {
            if (file == "-") {
                co_await replay_stream(std::cin, "standard input");
                continue;
            }
            std::ifstream stream(file);
            const bool is_folder = std::filesystem::is_directory(file);
            if (!stream || is_folder) {
                fmt::print(
                    stderr, "weft replay: cannot read {}{}\n", file,
                    is_folder ? ": it is a folder, give its files" : "");
                failed_ = true;
                continue;
            }
            co_await replay_stream(stream, file);
        }
    }

    // Lifetime: the caller awaits at once.
    asio::awaitable<void> replay_stream(std::istream& stream, std::string name) {
        std::string line;
        for (std::uint64_t number = 1; !stopped_ && std::getline(stream, line); ++number) {
            if (!line.empty() && line.back() == '\r') { line.pop_back(); }
            if (line.empty()) { continue; }
            std::string why;
            std::optional<Batch> batch;
            if (line.size() > line_bytes_max) {
                why = fmt::format("it is over {} bytes", line_bytes_max);
            } else {
                batch = read_line(line, why);
            }
            if (!batch) {
                tell_bad_line(name, number, why);
                continue;
            }
            ++lines_;
            co_await send(std::make_shared<const Batch>(*std::move(batch)), name, number);
        }
        if (stopped_ && std::getline(stream, line)) { failed_ = true; }
    }

    asio::awaitable<void> send(
        std::shared_ptr<const Batch> batch, std::string_view name, std::uint64_t number) {
        auto& ledger = ledgers_[batch->signal];
        ledger.created += batch->records;
        auto& sink = sink_for(batch->signal);
        const auto outcome = co_await sink.send(batch);
        ledger.exported += outcome.exported;
        ledger.rejected += outcome.rejected;
        ledger.dropped[static_cast<std::size_t>(outcome.reason)] += outcome.dropped;
        if (outcome.dropped + outcome.rejected != 0) {
            fmt::print(
                stderr, "weft replay: {}:{}: {} of {} {} were not accepted: {}\n", name, number,
                outcome.dropped + outcome.rejected, batch->records, weft::name(batch->signal),
                printable(outcome.detail, 200));
        }
    }

    OtlpHttpSink& sink_for(Signal signal) {
        auto& sink = sinks_[signal];
        if (sink) { return *sink; }
        auto options = sink_to(options_.to, signal);
        options.headers.insert(
            options.headers.end(), options_.headers.begin(), options_.headers.end());
        options.compression = options_.compression;
        options.connections = 1; // In the order of the file.
        options.retry.max_elapsed = options_.retry_for;
        auto made =
            OtlpHttpSink::create(context_.get_executor(), std::move(options), diagnostics());
        if (!made) { throw std::runtime_error("--to: " + made.error().message()); }
        sink = std::move(*made);
        return *sink;
    }

    void tell_bad_line(std::string_view name, std::uint64_t number, std::string_view why) {
        if (bad_lines_++ < bad_lines_told_max) {
            fmt::print(
                stderr, "weft replay: {}:{}: not a line of OTLP/JSON: {}\n", name, number, why);
        }
    }

    int finish() {
        std::uint64_t lost = bad_lines_;
        std::string counts;
        for (const auto& [signal, ledger] : ledgers_) {
            lost += ledger.rejected + ledger.dropped_total();
            counts += fmt::format(", \"{}\": {}", weft::name(signal), ledger.to_json());
        }
        fmt::print("{{\"lines\": {}, \"bad_lines\": {}{}}}\n", lines_, bad_lines_, counts);
        return lost != 0 || failed_ ? exit_failed : exit_done;
    }

    const ReplayOptions options_;
    asio::io_context context_{1};
    asio::signal_set signals_{context_, SIGINT, SIGTERM};
    std::map<Signal, std::unique_ptr<OtlpHttpSink>> sinks_;
    std::map<Signal, Ledger> ledgers_;
    std::uint64_t lines_ = 0;
    std::uint64_t bad_lines_ = 0;
    bool failed_ = false;
    bool stopped_ = false;
};

bool is_endpoint(std::string_view text) { return otlp_endpoint(text, Signal::traces).has_value(); }

std::optional<int> read_options(std::span<const char* const> arguments, ReplayOptions& options) {
    // Files stand before the options or between them.
    std::vector<const char*> rest;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "-" || !argument.starts_with('-')) {
            options.files.emplace_back(argument);
            continue;
        }
        rest.push_back(arguments[i]);
        const bool has_value_behind = argument.find('=') == std::string_view::npos &&
                                      argument != "--help" && argument != "-h";
        if (has_value_behind && i + 1 < arguments.size()) { rest.push_back(arguments[++i]); }
    }
    const std::array<Option, 4> all{{
        {"--to", "URL", "base URL of the receiver; v1/traces and so on is appended",
         [&](std::string_view text) {
             options.to = text;
             return is_endpoint(text);
         },
         "an absolute http or https URL without a user name, such as http://localhost:4318"},
        {"--headers", "LIST", "k=v,k=v to send with each request",
         [&](std::string_view text) {
             auto parsed = parse_header_list(text);
             options.headers = std::move(parsed.fields);
             return parsed.errors.empty();
         },
         "a list such as key=value,key=value", true},
        {"--compression", "NAME", "none, gzip or zstd (default gzip)",
         [&](std::string_view text) {
             const auto compression = parse_compression(text);
             if (compression) { options.compression = *compression; }
             return compression.has_value();
         },
         "none, gzip or zstd"},
        {"--retry", "SECONDS", "how long a line is tried again (default 60)",
         [&](std::string_view text) { return take_number(options.retry_for, text, 0, 604'800); },
         "a number from 0 to 604800"},
    }};
    if (const auto status = parse(
            {.command = "replay",
             .summary = "weft replay FILE... --to URL sends lines of OTLP/JSON, as file exporters "
                        "write them, in the\n"
                        "order of the files; - is standard input. Lines that are none are named "
                        "and counted. The counts are\n"
                        "printed at the end; the exit status is 1 if anything was not accepted.",
             .options = all},
            rest)) {
        return status;
    }
    if (options.files.empty() || options.to.empty()) {
        fmt::print(
            stderr, "weft replay: {}; see 'weft replay --help'\n",
            options.files.empty() ? "no file given"
                                  : "--to is missing: give it the receiver's URL");
        return exit_usage;
    }
    return std::nullopt;
}

} // namespace

int replay(std::span<const char* const> arguments) {
    ReplayOptions options;
    if (const auto status = read_options(arguments, options)) { return *status; }
    std::signal(SIGPIPE, SIG_IGN); // A reader of stdout that goes away must not end it halfway.
    return ReplayProgram(std::move(options)).run();
}

} // namespace weft::cli
