#pragma once
#include <weft/exporters/header_list.hpp>
#include <weft/exporters/proxy.hpp>
#include <weft/runtime/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

namespace asio = boost::asio;

class TlsClient;

/// Where requests go and what all of them carry.
struct HttpPeer {
    std::string host; ///< Name or address to connect to; IPv6 without brackets.
    std::uint16_t port = 80;
    std::string host_header;  ///< Value of the Host header.
    std::string target = "/"; ///< An absolute URL if a proxy is asked without TLS.
    /// Sent with each request, already checked. Not Host or Content-Length.
    std::vector<HeaderField> headers;
    std::size_t response_bytes_max = 4 * 1024 * 1024; ///< Cap on a response body.
    std::size_t write_bytes_max = 0; ///< Of one write, with other handlers in between. 0: no limit.
    std::shared_ptr<TlsClient> tls;  ///< Null: without TLS.
    std::optional<Proxy> proxy;      ///< With TLS, through a tunnel that it makes.
};

/// What a proxy's refusal means, and what may be done about it.
[[nodiscard]] std::string proxy_words(const Proxy& proxy, int status);

/// Lifetime: the views must outlive the request; nothing is copied.
struct HttpBody {
    std::string_view bytes;
    std::string_view content_encoding; ///< Empty: no such header.
};

struct HttpResponse {
    int status = 0;
    std::string content_type;
    std::string retry_after;
    std::string body;
};

/// One HTTP/1.1 connection, kept alive between requests and made anew, with a fresh name lookup,
/// when it is not there; with TLS also when the certificates of HttpPeer::tls have changed.
/// Threads: one at a time, on the executor given, which must not run two handlers at once (a strand
/// or a one-thread loop).
/// Lifetime: may be destroyed while a request is running; the request then ends as cancelled.
class HttpConnection {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    HttpConnection(asio::any_io_executor executor, std::shared_ptr<const HttpPeer> peer);
    ~HttpConnection();
    HttpConnection(const HttpConnection&) = delete;
    HttpConnection& operator=(const HttpConnection&) = delete;

    /// Sends one POST and reads the whole answer: lookup, connect, proxy, TLS handshake, write and read under one
    /// deadline. One at a time. If a reused connection turns out closed before a byte of the answer
    /// came, a fresh one is tried once at once. Answers 1xx are skipped. Network failures leave the
    /// connection closed. Ends at once on Asio cancellation.
    /// Errors: Errc::timed_out; Errc::cancelled; Errc::connection_closed: the peer hung up before a
    /// whole answer; Errc::response_too_large: header over 16 KiB or body over the cap;
    /// Errc::response_malformed: not HTTP; Errc::certificate_refused, Errc::tls_failed, Errc::tls_files_unusable,
    /// Errc::proxy_refused; or the system's own code (refused, reset, host not found). words() may know more.
    [[nodiscard]] asio::awaitable<Result<HttpResponse>> post(HttpBody body, TimePoint deadline);

    /// Why the last request failed, in words: more than its error's message says. Empty: that is all.
    [[nodiscard]] const std::string& words() const noexcept;

    /// Brings the deadline of a running request forward; never puts it off.
    void limit_deadline(TimePoint deadline);

    /// Closes the connection, at once: TLS says no goodbye. A running request ends with Errc::cancelled.
    void close() noexcept;

    [[nodiscard]] bool is_open() const noexcept;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace weft::detail
