#include "request_metrics.hpp"

#include "attribute_list.hpp"

#include <weft/http/headers.hpp>
#include <weft/runtime/clock.hpp>
#include <weft/signals/counter.hpp>
#include <weft/signals/histogram.hpp>

#include <array>
#include <utility>

namespace weft::http::detail {
namespace {

constexpr Meter server_meter(
    "weft.http.server", WEFT_VERSION, "https://opentelemetry.io/schemas/1.44.0");
constexpr Meter client_meter(
    "weft.http.client", WEFT_VERSION, "https://opentelemetry.io/schemas/1.44.0");

constexpr std::array duration_buckets{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                      0.5,   0.75, 1.0,   2.5,  5.0,   7.5, 10.0};
// Ours, for the conventions name none: powers of four from 64 bytes to 64 MiB.
constexpr std::array size_buckets{0.0,     64.0,     256.0,     1024.0,    4096.0,     16384.0,
                                  65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0, 67108864.0};

constinit const Histogram<double> server_duration(
    server_meter, "http.server.request.duration",
    {.unit = "s",
     .description = "Duration of HTTP server requests.",
     .boundaries = duration_buckets});
constinit const UpDownCounter<std::int64_t> server_active(
    server_meter, "http.server.active_requests",
    {.unit = "{request}", .description = "Number of active HTTP server requests."});
constinit const Histogram<std::int64_t> server_request_size(
    server_meter, "http.server.request.body.size",
    {.unit = "By",
     .description = "Size of HTTP server request bodies.",
     .boundaries = size_buckets});
constinit const Histogram<std::int64_t> server_response_size(
    server_meter, "http.server.response.body.size",
    {.unit = "By",
     .description = "Size of HTTP server response bodies.",
     .boundaries = size_buckets});

constinit const Histogram<double> client_duration(
    client_meter, "http.client.request.duration",
    {.unit = "s",
     .description = "Duration of HTTP client requests.",
     .boundaries = duration_buckets});
constinit const UpDownCounter<std::int64_t> client_active(
    client_meter, "http.client.active_requests",
    {.unit = "{request}", .description = "Number of active HTTP client requests."});
constinit const Histogram<std::int64_t> client_request_size(
    client_meter, "http.client.request.body.size",
    {.unit = "By",
     .description = "Size of HTTP client request bodies.",
     .boundaries = size_buckets});
constinit const Histogram<std::int64_t> client_response_size(
    client_meter, "http.client.response.body.size",
    {.unit = "By",
     .description = "Size of HTTP client response bodies.",
     .boundaries = size_buckets});

using Attributes = AttributeList<7>;

void add_outcome(Attributes& attributes, const Outcome& outcome) noexcept {
    if (outcome.status != 0) { attributes.add("http.response.status_code", outcome.status); }
    if (!outcome.error_type.empty()) { attributes.add("error.type", outcome.error_type); }
    if (!outcome.protocol_version.empty()) {
        attributes.add("network.protocol.version", outcome.protocol_version);
    }
}

std::int64_t signed_size(std::size_t bytes) noexcept { return static_cast<std::int64_t>(bytes); }

} // namespace

std::string_view metric_scheme(std::string_view claimed) noexcept {
    if (claimed.empty() || same_name(claimed, "http")) { return "http"; }
    if (same_name(claimed, "https")) { return "https"; }
    return "_OTHER";
}

void ServerMeasurement::start(
    const Measured& measured, std::string_view method, std::string_view scheme,
    std::string_view route) noexcept {
    measured_ = measured;
    method_ = method;
    scheme_ = scheme;
    route_ = route;
    if (measured.active) {
        server_active.add(1, {{"http.request.method", method_}, {"url.scheme", scheme_}});
    }
    start_ns_ = steady_now_ns();
}

void ServerMeasurement::finish(const Outcome& outcome) noexcept {
    const auto measured = std::exchange(measured_, {});
    if (!measured.anything()) { return; }
    if (measured.active) {
        server_active.add(-1, {{"http.request.method", method_}, {"url.scheme", scheme_}});
    }
    if (!measured.duration && !measured.body_sizes) { return; }
    Attributes attributes;
    attributes.add("http.request.method", method_);
    attributes.add("url.scheme", scheme_);
    if (!route_.empty()) { attributes.add("http.route", route_); }
    add_outcome(attributes, outcome);
    if (measured.duration) {
        server_duration.record(static_cast<double>(outcome.elapsed_ns) / 1e9, attributes.view());
    }
    if (measured.body_sizes) {
        server_request_size.record(signed_size(request_bytes_), attributes.view());
        server_response_size.record(signed_size(response_bytes_), attributes.view());
    }
}

void ClientMeasurement::start(
    const Measured& measured, std::string_view method, std::string_view address,
    std::uint16_t port) noexcept {
    measured_ = measured;
    method_ = method;
    address_ = address;
    port_ = port;
    if (measured.active) {
        client_active.add(
            1, {{"http.request.method", method_},
                {"server.address", address_},
                {"server.port", port_}});
    }
    start_ns_ = steady_now_ns();
}

void ClientMeasurement::finish(const Outcome& outcome) noexcept {
    const auto measured = std::exchange(measured_, {});
    if (!measured.anything()) { return; }
    if (measured.active) {
        client_active.add(
            -1, {{"http.request.method", method_},
                 {"server.address", address_},
                 {"server.port", port_}});
    }
    if (!measured.duration && !measured.body_sizes) { return; }
    Attributes attributes;
    attributes.add("http.request.method", method_);
    attributes.add("server.address", address_);
    attributes.add("server.port", port_);
    add_outcome(attributes, outcome);
    if (measured.duration) {
        client_duration.record(static_cast<double>(outcome.elapsed_ns) / 1e9, attributes.view());
    }
    if (measured.body_sizes) {
        client_request_size.record(signed_size(request_bytes_), attributes.view());
        client_response_size.record(signed_size(response_bytes_), attributes.view());
    }
}

} // namespace weft::http::detail
