#pragma once
#include <weft/runtime/baggage.hpp>
#include <weft/runtime/span_context.hpp>

#include <utility>

namespace weft {

/// All that travels with a message: what `extract` gives and `inject` takes.
/// B3's debug flag is a bit of `trace.span.flags` and not a field here, so that it follows the spans from the request
/// that came in to the requests that go out, like every other flag.
struct PropagatedContext {
    TraceContext trace;
    Baggage baggage;
};

namespace detail {

/// What was read from a format that knows neither tracestate nor the random flag, after `given`, which an earlier
/// propagator may have read. Where both name the same span, a sender spoke two formats: what only the other one can
/// say is kept.
[[nodiscard]] inline TraceContext continued(const SpanContext& span, TraceContext given) noexcept {
    if (given.span.trace_id != span.trace_id || given.span.span_id != span.span_id) {
        return {span, {}};
    }
    const auto random = static_cast<std::uint8_t>(given.span.flags & trace_flags::random);
    given.span = span;
    given.span.flags |= random;
    return given;
}

} // namespace detail

} // namespace weft
