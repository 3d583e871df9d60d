#pragma once
// Takes metrics that scripts post, whatever server they come through. With weft::http:
//
//     weft::CustomMetricsHandler custom({.authorization = {.bearer_tokens = {token}}});
//     server.post("/metrics/custom", [&](weft::http::Request& request) -> weft::Task<weft::http::Response> {
//         co_return weft::as_response<weft::http::Response>(custom.handle(weft::custom_metrics_request(request)));
//     });

#include <weft/custom_metrics/options.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

/// What a handler needs of a request. Headers that are not there are empty.
/// Lifetime: all views until handle() has returned.
struct CustomMetricsRequest {
    std::string_view method;
    std::string_view content_type{};
    std::string_view content_encoding{};
    std::string_view authorization{};
    std::string_view body{};
};

/// What to send back, with content type application/json. Headers that are empty are not sent.
struct CustomMetricsResponse {
    unsigned status = 200;
    /// `{"accepted": 3}`, or `{"error": {"index": 3, "field": "labels.user", "reason": "..."}}`; index and field are left
    /// out where no item is at fault.
    std::string body{};
    std::string allow{};            ///< Allow, with 405.
    std::string retry_after{};      ///< Retry-After, with 429 and 503.
    std::string www_authenticate{}; ///< WWW-Authenticate, with 401.
};

/// What a handler has answered, since its beginning.
struct CustomMetricsStats {
    std::uint64_t accepted = 0;     ///< Requests.
    std::uint64_t items = 0;        ///< Measurements of these.
    std::uint64_t unauthorized = 0; ///< 401.
    std::uint64_t rate_limited = 0; ///< 429.
    std::uint64_t refused = 0;      ///< Any other 4xx.
    std::uint64_t unavailable = 0;  ///< 503: there was nobody to take measurements.
    std::size_t names = 0;          ///< Known now.
};

/// Turns posted JSON into measurements. The body is one object or an array of them:
///
///     {"name": "backup.bytes", "type": "counter", "value": 1048576, "labels": {"host": "db1"},
///      "unit": "By", "description": "Written by backups.", "timestamp": 1700000000}
///
/// `type` is counter (what has been added), gauge, histogram (one value) or updowncounter (what has been added, or taken
/// away); labels are texts, numbers and booleans; labels, unit, description and timestamp may be left out. All numbers are
/// doubles: sums are exact up to 2^53.
///
/// A request is taken whole or not at all: the first fault is answered, and nothing has been recorded. (Its measurements are
/// recorded one after the other: a collection in between sees a part of them.)
/// A name keeps the type and the unit it came with first, letter case apart; another type or unit is 409.
/// `timestamp`, in seconds since 1970, only serves to refuse what is stale or of the future: points carry the time at
/// which they are collected, as everybody's do.
/// Attribute sets are bounded as for any instrument, by MetricOptions::cardinality_limit.
/// Authentication comes first, so that nothing else can be learnt; requests that fail it take nothing of the rate.
/// Threads: any.
class CustomMetricsHandler {
public:
    /// Errors: std::invalid_argument: see problem_in(), or a password file that cannot be read.
    explicit CustomMetricsHandler(CustomMetricsOptions options);
    ~CustomMetricsHandler();
    CustomMetricsHandler(CustomMetricsHandler&&) noexcept;
    CustomMetricsHandler& operator=(CustomMetricsHandler&&) noexcept;

    /// The answer to one request. Errors: std::bad_alloc, and nothing has been recorded.
    [[nodiscard]] CustomMetricsResponse handle(const CustomMetricsRequest& request);
    [[nodiscard]] CustomMetricsStats stats() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The parts of a weft::http::Request, or of what looks like one (`method()`, `header(name)`, `body()`).
/// Lifetime: of the request.
template <class Request>
[[nodiscard]] CustomMetricsRequest custom_metrics_request(const Request& request) {
    CustomMetricsRequest result{};
    result.method = request.method();
    result.content_type = request.header("Content-Type");
    result.content_encoding = request.header("Content-Encoding");
    result.authorization = request.header("Authorization");
    result.body = request.body();
    return result;
}

/// A weft::http::Response, or what looks like one (`json(status, body)`, `set_header(name, value)`).
template <class Response>
[[nodiscard]] Response as_response(CustomMetricsResponse answer) {
    auto response = Response::json(static_cast<int>(answer.status), std::move(answer.body));
    if (!answer.allow.empty()) { response.set_header("Allow", answer.allow); }
    if (!answer.retry_after.empty()) { response.set_header("Retry-After", answer.retry_after); }
    if (!answer.www_authenticate.empty()) {
        response.set_header("WWW-Authenticate", answer.www_authenticate);
    }
    return response;
}

} // namespace weft
