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

std::shared_ptr<Sink> own_sink(const Options& options, Signal signal) noexcept {
    switch (signal) {
    case Signal::traces:
        return options.sink;
    case Signal::metrics:
        return options.metrics_sink;
    case Signal::logs:
        break;
    }
    return nullptr;
}

bool exports_first(const Options& options, Signal signal) noexcept {
    if (options.disabled) { return false; }
    if (own_sink(options, signal) != nullptr) { return true; }
    switch (signal) {
    case Signal::traces:
        return options.traces_exporter == ExporterKind::otlp;
    case Signal::metrics:
        // A program that keeps its spans to itself does not send its metrics to the network.
        return options.sink == nullptr && options.metrics_exporter == ExporterKind::otlp;
    case Signal::logs:
        break;
    }
    return false;
}

Result<Url> signal_url(const OtlpOptions& otlp, Signal signal) {
    const auto& own = own_options(otlp, signal).endpoint;
    return own.empty() ? otlp_endpoint(otlp.endpoint, signal) : otlp_signal_endpoint(own);
}

TlsOptions merged(const TlsOptions& own, const TlsOptions& general) {
    const auto pick = [](const std::string& first, const std::string& second) {
        return first.empty() ? second : first;
    };
    return {
        .ca_file = pick(own.ca_file, general.ca_file),
        .certificate_file = pick(own.certificate_file, general.certificate_file),
        .key_file = pick(own.key_file, general.key_file)};
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
    const auto url = signal_url(otlp, signal);
    SignalSink sink;
    if (!url) {
        sink.problem = fmt::format(
            "{}.{} is \"{}\": allowed is an absolute http or https URL such as "
            "http://localhost:4318",
            field, has_own ? fmt::format("{}_endpoint", name(signal)) : "endpoint",
            printable(printable_url(has_own ? own_endpoint : otlp.endpoint), 200));
        return sink;
    }
    const bool is_https = url->scheme == UrlScheme::https;
    auto proxy = proxy_for(otlp.proxy, *url);
    if (!proxy) {
        sink.problem = fmt::format(
            "{}.proxy.{} is \"{}\": allowed is an http URL such as "
            "http://proxy.example:3128",
            field, is_https ? "https" : "http",
            printable(printable_url(is_https ? otlp.proxy.https : otlp.proxy.http), 200));
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
    options.encoding = own.encoding.value_or(otlp.encoding);
    options.tls = merged(own.tls, otlp.tls);
    options.proxy = *std::move(proxy);
    options.request_bytes_max = otlp.request_bytes_max;
    options.response_bytes_max = otlp.response_bytes_max;
    options.breaker_failures = otlp.breaker_failures;
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
