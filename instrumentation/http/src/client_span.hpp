#pragma once
#include "client_connection.hpp"
#include "client_url.hpp"
#include "known_methods.hpp"
#include "request_metrics.hpp"

#include <weft/runtime/error.hpp>
#include <weft/signals/span.hpp>

#include <source_location>
#include <string_view>

namespace weft::http::detail {

namespace asio = boost::asio;

/// The span and the measurements of one attempt, by the conventions for HTTP clients. Each does nothing unless wanted.
/// Threads: in the caller's chain, where the span is current while it lives.
/// Source: OpenTelemetry semantic conventions 1.44, "HTTP client span".
class ClientSpan {
public:
    struct Wanted {
        bool traced = true;
        Measured measured{};
    };

    ClientSpan() noexcept = default;
    ClientSpan(const ClientSpan&) = delete;
    ClientSpan& operator=(const ClientSpan&) = delete;
    /// A chain that is destroyed or left half-way was cancelled.
    ~ClientSpan() {
        if (measurement_.is_under_way()) { end(0, {}); }
    }

    /// Lifetime: `method` and `url` outlive it.
    void start(
        const Tracer& tracer, const KnownMethods& known, std::string_view method,
        const ClientUrl& url, int resend_count, const Wanted& wanted,
        std::source_location where) noexcept;

    /// What goes into the headers: the span, or what is current where there is no runtime.
    [[nodiscard]] TraceContext context() const noexcept;
    /// Notes the peer, unless the connection is gone already.
    void connected(const TcpSocket& socket) noexcept;
    void request_body(std::size_t bytes) noexcept { measurement_.request_body(bytes); }
    void response_body(std::size_t bytes) noexcept { measurement_.response_body(bytes); }
    void finish(int status, int version) noexcept;
    /// No answer. A cancelled call is not an error.
    void fail(const boost::system::error_code& error) noexcept;

private:
    void end(int status, std::string_view error_type) noexcept;

    Span span_;
    ClientMeasurement measurement_;
    std::string_view protocol_version_; // Static. Empty: no answer yet.
};

} // namespace weft::http::detail
