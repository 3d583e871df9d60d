#include "otlp_variables.hpp"

#include "signal_sink.hpp"

#include <weft/exporters/url.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace weft::detail {
namespace {

constexpr std::string_view prefix = "OTEL_EXPORTER_OTLP_";

// A signal, the fields that its own variables fill, and how they begin.
struct Destination {
    Signal signal;
    std::string_view infix;
    std::string& endpoint;
    OtlpSignalOptions& own;
};

std::array<Destination, 2> destinations(Options& options) {
    auto& otlp = options.otlp;
    return {
        {{Signal::traces, "TRACES_", otlp.traces_endpoint, otlp.traces},
         {Signal::metrics, "METRICS_", otlp.metrics_endpoint, otlp.metrics}}};
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

std::optional<OtlpEncoding> read_encoding(EnvironmentReader& env, const std::string& variable) {
    const auto protocol = env.choice(variable.c_str(), {"http/protobuf", "http/json"});
    if (!protocol) { return std::nullopt; }
    return *protocol == "http/json" ? OtlpEncoding::json : OtlpEncoding::protobuf;
}

// Every signal's own protocol counts, and the general one if any signal has none of its own.
void read_protocols(EnvironmentReader& env, Options& options) {
    bool all_have_their_own = true;
    for (const auto& destination : destinations(options)) {
        destination.own.encoding = read_encoding(env, of(destination, "PROTOCOL"));
        all_have_their_own = all_have_their_own && destination.own.encoding.has_value();
    }
    if (all_have_their_own) { return; }
    if (const auto it = read_encoding(env, general("PROTOCOL"))) { options.otlp.encoding = *it; }
}

std::string read_file_name(
    EnvironmentReader& env, const std::string& variable, std::string_view what) {
    const auto path = env.text(variable.c_str());
    if (!path) { return {}; }
    if (::access(path->c_str(), R_OK) != 0) {
        // Kept all the same: it may be there in time, and to trust other CAs instead is not what was asked for.
        const std::error_code error(errno, std::generic_category());
        env.report(
            variable, *path,
            fmt::format(
                "{}: allowed is the path of {}; https requests wait for it", error.message(),
                what));
    }
    return *path;
}

template <class Name>
TlsOptions read_files(EnvironmentReader& env, Name name_of) {
    return {
        .ca_file = read_file_name(env, name_of("CERTIFICATE"), "a PEM file of trusted CAs"),
        .certificate_file = read_file_name(
            env, name_of("CLIENT_CERTIFICATE"), "a PEM file of a certificate and its chain"),
        .key_file =
            read_file_name(env, name_of("CLIENT_KEY"), "a PEM file of a key without a password")};
}

bool is_whole(const TlsOptions& tls) {
    return tls.certificate_file.empty() == tls.key_file.empty();
}

void report_half(EnvironmentReader& env, const std::string& variable, const TlsOptions& tls) {
    const bool has_key = tls.certificate_file.empty();
    env.report(
        variable, has_key ? tls.key_file : tls.certificate_file,
        fmt::format(
            "allowed is with {}CLIENT_{} beside it; no certificate is shown to receivers", prefix,
            has_key ? "CERTIFICATE" : "KEY"));
}

// A certificate without its key, or the other way round, is one line and neither. The half that stands in the general
// variables may be made whole by a signal's own.
void read_tls(EnvironmentReader& env, Options& options) {
    auto& shared = options.otlp.tls;
    shared = read_files(env, [](std::string_view what) { return general(what); });
    bool is_shared_used = false;
    const auto all = destinations(options);
    for (const auto& destination : all) {
        auto& own = destination.own.tls;
        own = read_files(env, [&](std::string_view what) { return of(destination, what); });
        const auto both = merged(own, shared);
        if (!is_whole(own) && is_whole(both)) {
            is_shared_used = true;
            own = both;
        } else if (!is_whole(both) && !is_whole(own)) {
            const std::string_view what =
                own.key_file.empty() ? "CLIENT_CERTIFICATE" : "CLIENT_KEY";
            report_half(env, of(destination, what), own);
            own.certificate_file.clear();
            own.key_file.clear();
        }
    }
    if (is_whole(shared)) { return; }
    if (!is_shared_used) {
        report_half(
            env, general(shared.key_file.empty() ? "CLIENT_CERTIFICATE" : "CLIENT_KEY"), shared);
    }
    shared.certificate_file.clear();
    shared.key_file.clear();
}

std::string read_endpoint(EnvironmentReader& env, const std::string& variable) {
    auto text = env.text(variable.c_str());
    if (!text) { return {}; }
    if (parse_url(*text)) { return *std::move(text); }
    env.report(
        variable, printable_url(*text),
        "allowed is an absolute http or https URL such as http://localhost:4318, without a user "
        "name; it counts as unset");
    return {};
}

void read_endpoints(EnvironmentReader& env, Options& options) {
    auto shared = read_endpoint(env, general("ENDPOINT"));
    if (!shared.empty()) { options.otlp.endpoint = std::move(shared); }
    for (const auto& destination : destinations(options)) {
        destination.endpoint = read_endpoint(env, of(destination, "ENDPOINT"));
    }
}

// A variable in lower or, if that is not set, in upper case.
struct ProxyVariable {
    std::string name;
    std::string text;
};
ProxyVariable read_proxy(EnvironmentReader& env, const char* lower, const char* upper) {
    if (auto text = env.text(lower)) { return {lower, *std::move(text)}; }
    if (upper == nullptr) { return {}; }
    return {upper, env.text(upper).value_or("")};
}

// What is not used is not complained about: these variables are meant for every program.
void read_proxies(EnvironmentReader& env, Options& options) {
    auto& proxy = options.otlp.proxy;
    // A CGI program's HTTP_PROXY comes from a request's Proxy header, hence from anybody.
    const bool is_cgi = env.text("REQUEST_METHOD").has_value();
    const auto http = read_proxy(env, "http_proxy", is_cgi ? nullptr : "HTTP_PROXY");
    const auto https = read_proxy(env, "https_proxy", "HTTPS_PROXY");
    proxy = {
        .http = http.text,
        .https = https.text,
        .none_for = read_proxy(env, "no_proxy", "NO_PROXY").text};
    for (const auto& destination : destinations(options)) {
        if (!exports_first(options, destination.signal)) { continue; }
        const auto url = signal_url(options.otlp, destination.signal);
        if (!url || proxy_for(proxy, *url)) { continue; }
        const bool is_https = url->scheme == UrlScheme::https;
        const auto& bad = is_https ? https : http;
        env.report(
            bad.name, printable_url(bad.text),
            "allowed is an http URL such as http://proxy.example:3128; it counts as unset");
        (is_https ? proxy.https : proxy.http).clear();
    }
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
    read_tls(env, options);
    read_endpoints(env, options);
    read_proxies(env, options);
}

} // namespace weft::detail
