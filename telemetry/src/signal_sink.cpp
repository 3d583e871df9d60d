#include "signal_sink.hpp"

#include "environment.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace weft::detail {
namespace {

struct Own {
    const std::string& endpoint;
    const OtlpSignalOptions& options;
};

Own own_options(const OtlpOptions& otlp, Signal signal) noexcept {
    static const std::string none;
    static const OtlpSignalOptions nothing;
    switch (signal) {
    case Signal::traces:
        return {otlp.traces_endpoint, otlp.traces};
    case Signal::metrics:
        return {otlp.metrics_endpoint, otlp.metrics};
    case Signal::logs:
        break;
    }
    return {none, nothing};
}

} // namespace

bool exports_first(const Options& options, Signal signal) noexcept {
    if (options.disabled) { return false; }
    // A destination of the program's own takes the spans; no metrics are exported beside it.
    const bool to_sink = options.sink != nullptr;
    switch (signal) {
    case Signal::traces:
        return to_sink || options.traces_exporter == ExporterKind::otlp;
    case Signal::metrics:
        return !to_sink && options.metrics_exporter == ExporterKind::otlp;
    case Signal::logs:
        break;
    }
    return false;
}

bool takes(const DestinationOptions& destination, Signal signal) noexcept {
    const auto& signals = destination.signals;
    return signals.empty() || std::find(signals.begin(), signals.end(), signal) != signals.end();
}

bool exports(const Options& options, Signal signal) noexcept {
    const auto& others = options.destinations;
    return exports_first(options, signal) ||
           (!options.disabled && signal != Signal::logs && // There is nothing that makes them yet.
            std::any_of(others.begin(), others.end(), [&](const DestinationOptions& one) {
                return takes(one, signal);
            }));
}

SignalSink signal_sink(const OtlpOptions& otlp, Signal signal, std::string_view field) {
    const auto [own_endpoint, own] = own_options(otlp, signal);
    const bool has_own = !own_endpoint.empty();
    const auto& text = has_own ? own_endpoint : otlp.endpoint;
    const auto url = has_own ? otlp_signal_endpoint(text) : otlp_endpoint(text, signal);
    SignalSink sink;
    if (!url || url->scheme != UrlScheme::http) {
        sink.problem = fmt::format(
            "{}.{} is \"{}\": {}allowed is an absolute http URL such as "
            "http://localhost:4318",
            field, has_own ? fmt::format("{}_endpoint", name(signal)) : "endpoint",
            printable(printable_url(text), 200), url ? "https is not built in yet, " : "");
        return sink;
    }
    auto& options = sink.options;
    options.url = *url;
    options.headers = otlp.headers;
    options.compression = otlp.compression;
    options.compression_level = otlp.compression_level;
    options.timeout = otlp.timeout;
    options.connections = otlp.connections;
    options.retry = otlp.retry;
    auto problem = problem_in(options);
    if (!problem.empty()) {
        sink.problem = fmt::format("{}.{}", field, problem);
        return sink;
    }
    if (own.headers) { options.headers = *own.headers; }
    if (own.timeout) { options.timeout = *own.timeout; }
    if (own.compression && *own.compression != options.compression) {
        options.compression = *own.compression;
        options.compression_level.reset(); // It was another compression's.
    }
    problem = problem_in(options);
    if (!problem.empty()) { sink.problem = fmt::format("{}.{}.{}", field, name(signal), problem); }
    return sink;
}

} // namespace weft::detail
