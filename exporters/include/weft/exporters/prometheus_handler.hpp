#pragma once
// Answers scrapes, whatever server they come through. With Beast:
// `fill(response, co_await handler.handle(prometheus_request(request)))`.

#include <weft/exporters/header_list.hpp>
#include <weft/exporters/prometheus_options.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/metric_points.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

namespace asio = boost::asio;

/// What a handler needs of a request. Headers that are not there are empty.
/// Lifetime: all views until handle() has returned.
struct PrometheusRequest {
    std::string_view method;
    std::string_view target; ///< Path and query, as sent.
    std::string_view accept{};
    std::string_view accept_encoding{};
    std::string_view authorization{};
    std::string_view scrape_timeout{};   ///< X-Prometheus-Scrape-Timeout-Seconds.
    bool has_client_certificate = false; ///< One that was verified.
    std::string_view client_subject{};   ///< Of it, as RFC 2253 writes it.
};

/// What to send back.
struct PrometheusResponse {
    unsigned status = 200;
    std::string content_type;
    std::string content_encoding;     ///< Empty: none.
    std::string body;                 ///< Empty for HEAD.
    std::size_t content_length = 0;   ///< What to say it is, also for HEAD.
    std::vector<HeaderField> headers; ///< Others: WWW-Authenticate, Allow, Retry-After.
};

/// Hands the points of one collection to a visitor, such as MetricReader::collect does. One is under way at a time.
using PrometheusSource = std::function<asio::awaitable<void>(MetricVisitor&)>;

/// What a handler has answered, since its beginning.
struct PrometheusStats {
    std::uint64_t scrapes = 0;        ///< With an exposition.
    std::uint64_t unauthorized = 0;   ///< With 401 or 403.
    std::uint64_t busy = 0;           ///< With 503, as too many were under way.
    std::uint64_t timeouts = 0;       ///< With 503, as time was over.
    std::uint64_t failures = 0;       ///< With 500.
    std::uint64_t points_dropped = 0; ///< See PrometheusText.
};

/// Answers scrapes: each is a collection of its own. Authentication comes first, so that nothing else can be learnt.
/// Threads: any; several requests may be under way.
class PrometheusHandler {
public:
    /// `resource` is an encoded OTLP message Resource. Errors: std::invalid_argument: see problem_in(), or a password
    /// file that cannot be read. Lifetime: `log` must outlive the handler and all scrapes.
    PrometheusHandler(
        PrometheusSource source, std::string resource, PrometheusHandlerOptions options = {},
        Diagnostics& log = diagnostics());
    ~PrometheusHandler();
    PrometheusHandler(PrometheusHandler&&) noexcept;
    PrometheusHandler& operator=(PrometheusHandler&&) noexcept;

    /// The answer to one request. It collects on a strand of the coroutine's executor. A collection whose time is over
    /// is cancelled and left to its end, during which the next one waits.
    [[nodiscard]] asio::awaitable<PrometheusResponse> handle(PrometheusRequest request) const;

    [[nodiscard]] PrometheusStats stats() const noexcept;

private:
    struct State;
    std::shared_ptr<State> state_;
};

namespace detail {
template <class Text>
std::string_view as_view(const Text& text) noexcept {
    return {text.data(), text.size()};
}
} // namespace detail

/// The parts of a Beast request, or of what looks like one (`method_string()`, `target()`, `[]` for headers).
/// Lifetime: of the request.
template <class Request>
[[nodiscard]] PrometheusRequest prometheus_request(const Request& request) {
    using detail::as_view;
    PrometheusRequest result{};
    result.method = as_view(request.method_string());
    result.target = as_view(request.target());
    result.accept = as_view(request["Accept"]);
    result.accept_encoding = as_view(request["Accept-Encoding"]);
    result.authorization = as_view(request["Authorization"]);
    result.scrape_timeout = as_view(request["X-Prometheus-Scrape-Timeout-Seconds"]);
    return result;
}

/// Puts an answer into a Beast response with a string body, or into what looks like one (`result(unsigned)`,
/// `set(name, value)`, `body()`, `content_length()`). Version and keep-alive are the caller's.
template <class Response>
void fill(Response& response, PrometheusResponse answer) {
    response.result(answer.status);
    response.set("Content-Type", answer.content_type);
    if (!answer.content_encoding.empty()) {
        response.set("Content-Encoding", answer.content_encoding);
    }
    for (const auto& field : answer.headers) { response.set(field.name, field.value); }
    response.content_length(answer.content_length);
    response.body() = std::move(answer.body);
}

} // namespace weft
