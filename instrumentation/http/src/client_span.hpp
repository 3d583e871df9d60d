#pragma once
#include "client_connection.hpp"
#include "client_url.hpp"
#include "known_methods.hpp"

#include <weft/runtime/error.hpp>
#include <weft/signals/span.hpp>

#include <source_location>
#include <string_view>

namespace weft::http::detail {

namespace asio = boost::asio;

/// The span of one attempt, by the conventions for HTTP clients. Does nothing unless started.
/// Threads: in the caller's chain, where it is current while it lives.
/// Source: OpenTelemetry semantic conventions 1.44, "HTTP client span".
class ClientSpan {
public:
    void start(
        const Tracer& tracer, const KnownMethods& known, std::string_view method,
        const ClientUrl& url, int resend_count, std::source_location where) noexcept;

    /// What goes into the headers: the span, or what is current where there is no runtime.
    [[nodiscard]] TraceContext context() const noexcept;
    /// Notes the peer, unless the connection is gone already.
    void connected(const TcpSocket& socket) noexcept;
    void finish(int status, int version) noexcept;
    /// No answer. A cancelled call is not an error.
    void fail(const boost::system::error_code& error) noexcept;

private:
    Span span_;
};

} // namespace weft::http::detail
