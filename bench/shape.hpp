// What the cases handle, the same for every library that is measured, so that figures of one case
// can be compared.
#pragma once
#include <cstdint>
#include <string_view>

namespace weft::bench::shape {

/// Operations of a burst: what a consumer is likely to find after one of its sleeps.
inline constexpr std::uint64_t burst_spans = 512;

/// The span with four attributes: a server's, with two strings that are short, one that is not, and
/// an integer.
inline constexpr const char* root_name = "operation";
inline constexpr const char* child_name = "GET /orders/{id}";
inline constexpr const char* method_key = "http.request.method";
inline constexpr const char* method = "GET";
inline constexpr const char* route_key = "http.route";
inline constexpr const char* route = "/orders/{id}";
inline constexpr const char* status_key = "http.response.status_code";
inline constexpr std::int64_t status = 200;
inline constexpr const char* address_key = "server.address";
inline constexpr const char* address = "127.0.0.1";

/// Metrics: three attributes of a measurement are method, route and status above; a histogram's values spread over its
/// buckets, which have the bounds that the specification gives by default.
inline double measured(std::uint64_t i) noexcept { return static_cast<double>(i * 7919 % 9973); }
inline constexpr double boundaries[] = {0,   5,   10,   25,   50,   75,   100,  250,
                                        500, 750, 1000, 2500, 5000, 7500, 10000};

/// 10 000 series, as 10 instruments of 1000, because a limit of 2000 for each is common.
inline constexpr int instruments = 10;
inline constexpr int series_each = 1000;
inline constexpr int series = instruments * series_each;

/// Trace context headers.
inline constexpr std::string_view traceparent =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
inline constexpr std::string_view tracestate = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

/// Case coroutine_children_in_right_trace: together a thousand children.
inline constexpr int coroutine_count = 100;
inline constexpr int children_each = 10;
static_assert(coroutine_count * children_each == 1000);

} // namespace weft::bench::shape
