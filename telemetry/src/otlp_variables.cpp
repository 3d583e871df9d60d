#include "otlp_variables.hpp"

#include "signal_sink.hpp"

#include <weft/exporters/url.hpp>

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace weft::detail {
namespace {

constexpr std::string_view prefix = "OTEL_EXPORTER_OTLP_";

// A signal, the fields that its own variables fill, and how they begin.
struct Destination {
    Signal signal;
    std::string_view infix;
    ExporterKind& exporter;
    std::string& endpoint;
    OtlpSignalOptions& own;
};

std::array<Destination, 2> destinations(Options& options) {
    auto& otlp = options.otlp;
    return {
        {{Signal::traces, "TRACES_", options.traces_exporter, otlp.traces_endpoint, otlp.traces},
         {Signal::metrics, "METRICS_", options.metrics_exporter, otlp.metrics_endpoint,
          otlp.metrics}}};
}

std::string general(std::string_view what) { return fmt::format("{}{}", prefix, what); }
std::string of(const Destination& destination, std::string_view what) {
    return fmt::format("{}{}{}", prefix, destination.infix, what);
}

std::optional<std::vector<HeaderField>> read_headers(
    EnvironmentReader& env, const std::string& variable) {
    const auto list = env.text(variable.c_str());
    if (!list) { return std::nullopt; }
    auto parsed = parse_header_list(*list);
    for (const auto& error : parsed.errors) {
        env.report_line(fmt::format("{}: {}", variable, error));
    }
    return std::move(parsed.fields);
}

std::optional<Compression> read_compression(EnvironmentReader& env, const std::string& variable) {
    const auto choice = env.choice(variable.c_str(), {"none", "gzip", "zstd"});
    return choice ? parse_compression(*choice) : std::nullopt;
}

std::optional<std::chrono::milliseconds> read_timeout(
    EnvironmentReader& env, const std::string& variable) {
    return env.milliseconds_up_to(variable.c_str(), 0, day_ms);
}

// Every signal's own protocol counts, and the general one if any signal has none of its own.
void read_protocols(EnvironmentReader& env, Options& options) {
    const auto check = [&](const std::string& variable) {
        const auto protocol = env.text(variable.c_str());
        if (protocol && lowercase(*protocol) != "http/protobuf") {
            env.report(variable, *protocol, "allowed is http/protobuf; that is used");
        }
        return protocol.has_value();
    };
    bool all_have_their_own = true;
    for (const auto& destination : destinations(options)) {
        const bool has_its_own = check(of(destination, "PROTOCOL"));
        all_have_their_own = all_have_their_own && has_its_own;
    }
    if (!all_have_their_own) { check(general("PROTOCOL")); }
}

struct Endpoint {
    std::string variable;
    std::string text;
    UrlScheme scheme;
};

std::optional<Endpoint> read_endpoint(EnvironmentReader& env, std::string variable) {
    auto text = env.text(variable.c_str());
    if (!text) { return std::nullopt; }
    const auto url = parse_url(*text);
    if (!url) {
        env.report(
            variable, printable_url(*text),
            "allowed is an absolute http URL such as http://localhost:4318, without a user name; "
            "it counts as unset");
        return std::nullopt;
    }
    return Endpoint{std::move(variable), std::move(*text), url->scheme};
}

// One line for a variable, whichever signals it was meant for.
void switch_off_https(
    EnvironmentReader& env, const Endpoint& endpoint, const std::vector<Destination*>& users) {
    if (endpoint.scheme != UrlScheme::https || users.empty()) { return; }
    std::vector<std::string> signals;
    for (auto* user : users) {
        user->exporter = ExporterKind::none;
        signals.push_back(fmt::format("no {}", name(user->signal)));
    }
    env.report(
        endpoint.variable, printable_url(endpoint.text),
        fmt::format(
            "https is not built in yet, allowed is an absolute http URL such as "
            "http://localhost:4318; {} are exported",
            fmt::join(signals, " and ")),
        DiagnosticLevel::error);
}

void read_endpoints(EnvironmentReader& env, Options& options) {
    auto all = destinations(options);
    const auto shared = read_endpoint(env, general("ENDPOINT"));
    if (shared) { options.otlp.endpoint = shared->text; }
    std::vector<Destination*> users_of_shared;
    for (auto& destination : all) {
        const auto own = read_endpoint(env, of(destination, "ENDPOINT"));
        if (own) { destination.endpoint = own->text; }
        if (!exports_first(options, destination.signal)) { continue; }
        if (own) {
            switch_off_https(env, *own, {&destination});
        } else {
            users_of_shared.push_back(&destination);
        }
    }
    if (shared) { switch_off_https(env, *shared, users_of_shared); }
}

} // namespace

void read_otlp(EnvironmentReader& env, Options& options) {
    auto& otlp = options.otlp;
    if (auto headers = read_headers(env, general("HEADERS"))) {
        otlp.headers = *std::move(headers);
    }
    if (const auto it = read_compression(env, general("COMPRESSION"))) { otlp.compression = *it; }
    if (const auto it = read_timeout(env, general("TIMEOUT"))) { otlp.timeout = *it; }
    for (const auto& destination : destinations(options)) {
        destination.own.headers = read_headers(env, of(destination, "HEADERS"));
        destination.own.compression = read_compression(env, of(destination, "COMPRESSION"));
        destination.own.timeout = read_timeout(env, of(destination, "TIMEOUT"));
    }
    read_protocols(env, options);
    read_endpoints(env, options);
}

} // namespace weft::detail
