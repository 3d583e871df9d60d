#include "prometheus_auth.hpp"

#include <weft/exporters/prometheus_options.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <fmt/format.h>

#include <charconv>

namespace weft {
namespace {

using std::chrono::milliseconds;

template <class T>
std::string range_problem(
    std::string_view field, T value, T low, T high, std::string_view unit = {}) {
    if (value >= low && value <= high) { return {}; }
    return fmt::format("{} is {}{}: allowed is {} to {}{}", field, value, unit, low, high, unit);
}

std::string range_problem(
    std::string_view field, milliseconds value, std::int64_t low_ms, std::int64_t high_ms) {
    return range_problem<std::int64_t>(field, value.count(), low_ms, high_ms, " ms");
}

std::string problem_in(const PrometheusAuthOptions& auth) {
    if (auto problem = problem_in(detail::authorization_in(auth), "auth."); !problem.empty()) {
        return problem;
    }
    for (const auto& subject : auth.client_subjects) {
        if (subject.empty()) { return "auth.client_subjects: a subject is empty"; }
    }
    return {};
}

} // namespace

std::string problem_in(const PrometheusHandlerOptions& options) {
    if (!options.path.empty() && !options.path.starts_with('/')) {
        return fmt::format(
            "path is \"{}\": it must begin with '/', or be empty for any",
            printable(options.path, 128));
    }
    for (auto problem :
         {problem_in(options.text), problem_in(options.auth),
          range_problem<std::size_t>("scrapes_max", options.scrapes_max, 1, 64),
          range_problem("scrape_timeout", options.scrape_timeout, 10, 3'600'000),
          range_problem("timeout_margin", options.timeout_margin, 0, 60'000),
          range_problem("gzip_level", options.gzip_level, 1, 12)}) {
        if (!problem.empty()) { return problem; }
    }
    return {};
}

std::string problem_in(const PrometheusServerOptions& options) {
    const auto& tls = options.tls;
    if (options.host.empty()) {
        return "host is empty: name an address, 127.0.0.1 for this machine only, 0.0.0.0 for all";
    }
    if (tls.certificate_file.empty() != tls.key_file.empty()) {
        return "tls.certificate_file and tls.key_file: set both, or none";
    }
    if (!tls.client_ca_file.empty() && !tls.is_set()) {
        return "tls.client_ca_file is set without tls.certificate_file: client certificates need "
               "TLS";
    }
    if (!options.handler.auth.client_subjects.empty() && tls.client_ca_file.empty()) {
        return "auth.client_subjects is set without tls.client_ca_file: no client would have a "
               "certificate";
    }
    constexpr std::int64_t day_ms = 86'400'000;
    for (auto problem :
         {problem_in(options.handler),
          range_problem<std::size_t>("connections_max", options.connections_max, 1, 1024),
          range_problem<std::size_t>("header_bytes_max", options.header_bytes_max, 512, 1u << 20),
          range_problem("header_timeout", options.header_timeout, 1, day_ms),
          range_problem("idle_timeout", options.idle_timeout, 1, day_ms),
          range_problem("write_timeout", options.write_timeout, 1, day_ms)}) {
        if (!problem.empty()) { return problem; }
    }
    return {};
}

std::string read_prometheus_variables(
    std::string_view host, std::string_view port, PrometheusServerOptions& options) {
    if (!host.empty()) { options.host = host; }
    if (port.empty()) { return {}; }
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size()) {
        return fmt::format(
            "OTEL_EXPORTER_PROMETHEUS_PORT is \"{}\": allowed is 0 to 65535; {} is used",
            printable(port, 64), options.port);
    }
    options.port = number;
    return {};
}

} // namespace weft
