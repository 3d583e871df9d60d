#pragma once
#include "request_metrics.hpp"
#include "semconv.hpp"

#include <weft/http/request.hpp>
#include <weft/runtime/with.hpp>
#include <weft/signals/span.hpp>

#include <exception>
#include <optional>
#include <source_location>
#include <string_view>

namespace weft::http::detail {

class ServerCore;

/// The span and the measurements of one request, by the conventions for HTTP servers. Each does nothing unless wanted.
/// Threads: in the connection's chain, where the span is current while it lives.
/// Source: OpenTelemetry semantic conventions 1.44, "HTTP server span".
class ServerSpan {
public:
    ServerSpan() noexcept = default;
    ServerSpan(const ServerSpan&) = delete;
    ServerSpan& operator=(const ServerSpan&) = delete;
    /// A chain that is destroyed half-way, or left by an exception, sends no answer either.
    ~ServerSpan() {
        if (measurement_.is_under_way()) { abort("_OTHER"); }
    }

    /// Continues the trace that came with the request. `route` is empty if no pattern matched, and
    /// `where` that of the route which answers.
    void start(
        const ServerCore& core, const Request& request, std::string_view route,
        std::source_location where);
    void request_body(std::size_t bytes) noexcept { measurement_.request_body(bytes); }
    void response_body(std::size_t bytes) noexcept { measurement_.response_body(bytes); }
    /// An answer was sent.
    void finish(int status) noexcept;
    /// No answer, or not all of it, was sent.
    void abort(std::string_view error_type) noexcept;
    void record_exception(const std::exception_ptr& thrown) noexcept {
        span_.record_exception(thrown);
    }

private:
    void end(int status, std::string_view error_type) noexcept;

    std::optional<ContextScope>
        baggage_; // What came with the request. First: it outlives the span.
    Span span_;
    ServerMeasurement measurement_;
    std::string_view protocol_version_; // Static.
};

} // namespace weft::http::detail
