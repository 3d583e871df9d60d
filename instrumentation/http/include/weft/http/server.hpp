#pragma once
#include <weft/http/request.hpp>
#include <weft/http/response.hpp>
#include <weft/propagation/propagators.hpp>
#include <weft/runtime/executor.hpp>
#include <weft/runtime/host.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace weft::http {

namespace detail {
class ServerCore;
} // namespace detail

/// Answers a request. Lifetime: the request is good until the coroutine is done.
/// A throw becomes 500, and is recorded on the request's span.
using Handler = std::function<Task<Response>(Request&)>;

/// Every limit has an answer: 431 and 413 for sizes, 408 and 503 for times, 503 for connections.
/// A time of zero means no limit. A time-out may come late by an eighth of the shortest time here, at most 500 ms.
struct ServerOptions {
    std::string address = "127.0.0.1"; ///< IPv4 or IPv6, numeric. "::" for all interfaces.
    std::uint16_t port = 0;            ///< 0 takes a free one; see Server::port.
    /// Makes a span for each request, continuing the trace that came with it.
    bool traced = true;
    /// Measures http.server.request.duration of each request, also of those whose span is not sampled. To the process's
    /// default runtime. See docs/metrics-reference.md.
    bool measured = true;
    bool measure_active_requests = false; ///< Measures http.server.active_requests.
    /// Measures http.server.request.body.size and http.server.response.body.size.
    bool measure_body_sizes = false;
    /// The formats in which that trace is read. Unset: the process's, `default_propagators()`.
    std::optional<Propagators> propagators{};
    /// Believes Forwarded and X-Forwarded-*: for the attributes client.address, server.address and url.scheme.
    bool trust_forwarded = true;
    std::size_t header_bytes_max = 16 * 1024; ///< 256 to 1 MiB: start line, and fields. Else 431.
    std::size_t body_bytes_max = 8 * 1024 * 1024; ///< 0 or more. Else 413.
    std::size_t connections_max = 10'000;         ///< At least 1. Further ones get 503 at once.
    std::chrono::milliseconds header_timeout{
        10'000}; ///< From its first byte to the end of the header. Else 408.
    std::chrono::milliseconds body_timeout{30'000};    ///< To read the whole body. Else 408.
    std::chrono::milliseconds handler_timeout{60'000}; ///< Else 503; the handler runs on, unheard.
    std::chrono::milliseconds write_timeout{30'000}; ///< To write the whole response. Else closed.
    std::chrono::milliseconds idle_timeout{60'000};  ///< Between two requests. Else closed.
    /// What a stop through the Host allows requests that are running. Runtime::run() ends the whole stop after its own
    /// Options::stop_grace (5 s), which cuts a longer one short.
    std::chrono::milliseconds stop_grace{10'000};
    /// Request methods known by name; others appear as `_OTHER`. Empty: those of the environment variable
    /// OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS, else those of RFC 9110 and PATCH.
    std::vector<std::string> known_methods{};
    /// Makes the answer to a request that reaches no handler: no route (404, 405), or a body that is refused. Called on
    /// the io_context's threads, when the header is there; the body may not be. Empty, or a throw: a line of plain text.
    std::function<Response(const Request&, int status)> refusal{};
};

/// Counts since the start. Threads: any.
struct ServerStats {
    std::uint64_t connections_accepted = 0;
    std::uint64_t connections_refused = 0; ///< Above connections_max.
    std::size_t connections_open = 0;
    std::uint64_t requests = 0;         ///< With a header that could be read.
    std::uint64_t requests_refused = 0; ///< Malformed, too large or too slow, header or body.
    std::uint64_t handler_timeouts = 0;
    std::uint64_t handler_exceptions = 0;
};

/// A small HTTP/1.1 server: routes, keep-alive, pipelining one after the other, limits, a graceful stop.
/// It listens once it is constructed and serves as soon as its io_context runs; each connection is a coroutine chain.
/// Threads: any, for each member; handlers run on the io_context's.
/// Cost: no timer, lock or allocation of its own per request in the steady state.
class Server {
public:
    /// Errors: boost::system::system_error if it cannot listen, with address and port in the text;
    /// std::invalid_argument for an option out of its range. Lifetime: the host and its io_context outlive the server.
    explicit Server(Host& host, ServerOptions options = {});
    /// As above, without a host's stop hook.
    explicit Server(asio::io_context& context, ServerOptions options = {});
    Server(Server&&) noexcept;
    Server& operator=(Server&&) noexcept;
    /// Stops without grace. Handlers that are running run on and are not heard.
    ~Server();

    /// Adds a route. `{name}` takes one segment of the path, `{name...}` the rest; a written-out segment wins.
    /// HEAD is answered by GET's handler unless it has one, OPTIONS by a list of methods.
    /// Errors: std::invalid_argument that names the pattern, for a bad one or one that is there already.
    /// `where` is what open_spans() shows for its requests: by default the line that adds the route.
    Server& route(
        std::string_view method, std::string_view pattern, Handler handler,
        std::source_location where = std::source_location::current());
    Server& get(
        std::string_view pattern, Handler handler,
        std::source_location where = std::source_location::current()) {
        return route("GET", pattern, std::move(handler), where);
    }
    Server& post(
        std::string_view pattern, Handler handler,
        std::source_location where = std::source_location::current()) {
        return route("POST", pattern, std::move(handler), where);
    }
    Server& put(
        std::string_view pattern, Handler handler,
        std::source_location where = std::source_location::current()) {
        return route("PUT", pattern, std::move(handler), where);
    }
    Server& patch(
        std::string_view pattern, Handler handler,
        std::source_location where = std::source_location::current()) {
        return route("PATCH", pattern, std::move(handler), where);
    }
    Server& del(
        std::string_view pattern, Handler handler,
        std::source_location where = std::source_location::current()) {
        return route("DELETE", pattern, std::move(handler), where);
    }

    [[nodiscard]] std::uint16_t port() const noexcept;
    [[nodiscard]] const std::string& address() const noexcept;
    [[nodiscard]] ServerStats stats() const noexcept;

    /// Accepts no more, closes connections that wait for a request, lets requests that are running finish for up to
    /// `grace` and cuts off the rest. Returns when no connection is left or `grace` is over.
    [[nodiscard]] Task<void> stop(std::chrono::milliseconds grace);

private:
    std::shared_ptr<detail::ServerCore> core_;
    StopHook hook_;
};

} // namespace weft::http
