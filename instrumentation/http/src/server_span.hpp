#pragma once
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

/// The span of one request, by the conventions for HTTP servers. Does nothing unless started.
/// Threads: in the connection's chain, where it is current while it lives.
/// Source: OpenTelemetry semantic conventions 1.44, "HTTP server span".
class ServerSpan {
public:
    /// Continues the trace that came with the request. `route` is empty if no pattern matched, and
    /// `where` that of the route which answers.
    void start(
        const ServerCore& core, const Request& request, std::string_view route,
        std::source_location where);
    /// An answer was sent.
    void finish(int status) noexcept;
    /// No answer, or not all of it, was sent.
    void abort(std::string_view error_type) noexcept;
    void record_exception(const std::exception_ptr& thrown) noexcept {
        span_.record_exception(thrown);
    }

private:
    std::optional<ContextScope>
        baggage_; // What came with the request. First: it outlives the span.
    Span span_;
};

} // namespace weft::http::detail
