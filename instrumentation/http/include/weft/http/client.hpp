#pragma once
#include <weft/http/headers.hpp>
#include <weft/http/response.hpp>
#include <weft/propagation/propagators.hpp>
#include <weft/runtime/error.hpp>
#include <weft/runtime/executor.hpp>
#include <weft/runtime/host.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::http {

namespace detail {
class ClientCore;
} // namespace detail

/// A time of zero means no limit. A time-out may come late by an eighth of the shorter time here, at most 100 ms.
struct ClientOptions {
    /// Makes a client span for each attempt, and sends its context along.
    bool traced = true;
    /// Measures http.client.request.duration of each attempt, also of those whose span is not sampled. To the process's
    /// default runtime. See docs/metrics-reference.md.
    bool measured = true;
    bool measure_active_requests = false; ///< Measures http.client.active_requests.
    /// Measures http.client.request.body.size and http.client.response.body.size.
    bool measure_body_sizes = false;
    /// The formats in which it is sent. Unset: the process's, `default_propagators()`. For third parties, who should not
    /// see the baggage: `Propagators{Propagator::tracecontext}`.
    std::optional<Propagators> propagators{};
    /// Name look-up and connecting, for one attempt. The addresses of a name are tried in turn; one that does not answer
    /// is given up after an equal share of what is left, or 2 s if that is longer.
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds timeout{
        30'000}; ///< For the whole call, a repeated attempt included. A nearer weft::Deadline of the chain shortens it.
    std::size_t header_bytes_max = 32 * 1024;      ///< Of a response; 256 to 1 MiB.
    std::size_t body_bytes_max = 64 * 1024 * 1024; ///< Of a response.
    std::size_t idle_connections_max = 16;         ///< Kept open for each host and port.
    std::chrono::milliseconds idle_timeout{
        30'000};              ///< An idle connection that is older is not used again.
    std::string user_agent{}; ///< Empty: "weft/<version>".
    /// As ServerOptions::known_methods.
    std::vector<std::string> known_methods{};
};

/// What to ask. The URL is absolute, http only; credentials in it are sent as basic authentication.
/// A class and not an aggregate, because GCC 12 destroys an aggregate that is made inside a `co_await` expression twice.
class ClientRequest {
public:
    /// `where` is what open_spans() shows for it: by default the line that makes the request.
    ClientRequest(
        std::string_view method, std::string_view url,
        std::source_location where = std::source_location::current())
        : method_(method), url_(url), where_(where) {}

    ClientRequest& set_header(std::string_view name, std::string_view value) & {
        headers_.set(name, value);
        return *this;
    }
    ClientRequest&& set_header(std::string_view name, std::string_view value) && {
        return std::move(set_header(name, value));
    }
    ClientRequest& set_body(std::string body) & {
        body_ = std::move(body);
        return *this;
    }
    ClientRequest&& set_body(std::string body) && { return std::move(set_body(std::move(body))); }
    /// For the whole call, instead of the client's. Zero takes the client's.
    ClientRequest& set_timeout(std::chrono::milliseconds timeout) & {
        timeout_ = timeout;
        return *this;
    }
    ClientRequest&& set_timeout(std::chrono::milliseconds timeout) && {
        return std::move(set_timeout(timeout));
    }

    [[nodiscard]] const std::string& method() const noexcept { return method_; }
    [[nodiscard]] const std::string& url() const noexcept { return url_; }
    [[nodiscard]] const Headers& headers() const noexcept { return headers_; }
    [[nodiscard]] Headers& headers() noexcept { return headers_; }
    [[nodiscard]] const std::string& body() const noexcept { return body_; }
    [[nodiscard]] std::chrono::milliseconds timeout() const noexcept { return timeout_; }
    [[nodiscard]] std::source_location where() const noexcept { return where_; }

private:
    std::string method_;
    std::string url_;
    Headers headers_;
    std::string body_;
    std::chrono::milliseconds timeout_{0};
    std::source_location where_;
};

/// Counts since the start. Threads: any.
struct ClientStats {
    std::uint64_t connections_opened = 0;
    std::uint64_t connections_reused = 0; ///< Requests that were sent on a connection of the pool.
    std::uint64_t attempts = 0;
    std::uint64_t attempts_repeated = 0; ///< Because a pooled connection turned out to be closed.
    std::size_t connections_idle = 0;
};

/// A small HTTP/1.1 client with a pool of connections for each host and port. It follows no redirects and asks for no
/// compression. A method that is safe to repeat (GET, HEAD, PUT, DELETE, OPTIONS, TRACE) is sent once more on a new
/// connection when a pooled one is closed before any byte of an answer.
/// Threads: any, several calls at once. Lifetime: the io_context outlives the client; a call that has been started may
/// outlive it too.
/// Cost: no timer per request; one allocation or two besides those of the response.
class Client {
public:
    explicit Client(Host& host, ClientOptions options = {});
    explicit Client(asio::io_context& context, ClientOptions options = {});
    /// On the io_context of a chain: `Client client(co_await asio::this_coro::executor)`. With options, take the
    /// executor in a statement of its own first (GCC 12, see ClientRequest).
    explicit Client(const Executor& executor);
    Client(const Executor& executor, ClientOptions options);
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();

    /// The response, whatever its status.
    /// Errors: Errc::url_malformed, unsupported_scheme, option_out_of_range (method or header that cannot be sent),
    /// timed_out, cancelled, connection_closed, response_too_large, response_malformed, or the system's (refused,
    /// reset, host not found).
    [[nodiscard]] Task<Result<Response>> request(ClientRequest request) const;

    [[nodiscard]] Task<Result<Response>> get(
        std::string_view url, std::source_location where = std::source_location::current()) const;
    [[nodiscard]] Task<Result<Response>> post(
        std::string_view url, std::string body, std::string_view content_type = "application/json",
        std::source_location where = std::source_location::current()) const;
    [[nodiscard]] Task<Result<Response>> put(
        std::string_view url, std::string body, std::string_view content_type = "application/json",
        std::source_location where = std::source_location::current()) const;
    [[nodiscard]] Task<Result<Response>> del(
        std::string_view url, std::source_location where = std::source_location::current()) const;

    [[nodiscard]] ClientStats stats() const;
    /// Closes the connections that no request is using.
    void close_idle() const;

private:
    std::shared_ptr<detail::ClientCore> core_;
};

} // namespace weft::http
