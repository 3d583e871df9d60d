#pragma once
// Several formats at once: `weft::extract(propagators, carrier)` and `weft::inject(propagators, context, carrier)`.
#include <weft/propagation/b3.hpp>
#include <weft/propagation/baggage.hpp>
#include <weft/propagation/carrier.hpp>
#include <weft/propagation/jaeger.hpp>
#include <weft/propagation/ottrace.hpp>
#include <weft/propagation/propagate.hpp>
#include <weft/propagation/propagated_context.hpp>
#include <weft/propagation/propagators.hpp>
#include <weft/propagation/xray.hpp>

#include <string_view>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

// A traceparent cannot say "debug". Where the other format that did names the same span, it stays, and with it sampled.
template <class Carrier>
[[nodiscard]] TraceContext extract_trace_context(const Carrier& carrier, TraceContext given) {
    if ((given.span.flags & trace_flags::debug) == 0) [[likely]] {
        return w3c::extract(carrier, std::move(given));
    }
    const auto before = given.span;
    auto context = w3c::extract(carrier, std::move(given));
    if (context.span.trace_id == before.trace_id && context.span.span_id == before.span_id) {
        context.span.flags |= trace_flags::debug | trace_flags::sampled;
    }
    return context;
}

} // namespace detail

/// Reads what came with a message, format by format; what a later one finds replaces what an earlier one found, and
/// entries of the baggage are laid over those before. What cannot be used leaves `given` as it is and is counted in
/// `propagation_faults`.
/// Errors: none; it throws only what the carrier throws.
/// Threads: any. Cost: no allocation but one for a tracestate and one for a baggage.
/// Source: OpenTelemetry Propagators API, "Composite Extract".
template <carrier::Readable Carrier>
[[nodiscard]] PropagatedContext extract(
    const Propagators& propagators, const Carrier& carrier, PropagatedContext given = {}) {
    auto& [trace, baggage] = given;
    for (const auto propagator : propagators) {
        switch (propagator) {
        case Propagator::tracecontext:
            trace = detail::extract_trace_context(carrier, std::move(trace));
            break;
        case Propagator::baggage:
            baggage = w3c::extract_baggage(carrier, std::move(baggage));
            break;
        case Propagator::b3:
        case Propagator::b3multi:
            trace = b3::extract(carrier, std::move(trace));
            break;
        case Propagator::jaeger:
            trace = jaeger::extract(carrier, std::move(trace));
            baggage = jaeger::extract_baggage(carrier, std::move(baggage));
            break;
        case Propagator::xray:
            trace = xray::extract(carrier, std::move(trace));
            break;
        case Propagator::ottrace:
            trace = ottrace::extract(carrier, std::move(trace));
            baggage = ottrace::extract_baggage(carrier, std::move(baggage));
            break;
        }
    }
    return given;
}

/// Writes the context in every format. An invalid trace and an empty baggage write nothing, each for itself.
/// Errors: none; it throws only what the carrier throws.
/// Threads: any. Cost: no allocation but the carrier's.
/// Source: OpenTelemetry Propagators API, "Composite Inject".
template <class Carrier>
requires carrier::Writable<std::remove_reference_t<Carrier>>
void inject(const Propagators& propagators, const PropagatedContext& context, Carrier&& carrier) {
    const auto& [trace, baggage] = context;
    for (const auto propagator : propagators) {
        switch (propagator) {
        case Propagator::tracecontext:
            w3c::inject(trace, carrier);
            break;
        case Propagator::baggage:
            w3c::inject_baggage(baggage, carrier);
            break;
        case Propagator::b3:
            b3::inject(trace, carrier, b3::Form::single);
            break;
        case Propagator::b3multi:
            b3::inject(trace, carrier, b3::Form::multi);
            break;
        case Propagator::jaeger:
            jaeger::inject(trace, carrier);
            jaeger::inject_baggage(baggage, carrier);
            break;
        case Propagator::xray:
            xray::inject(trace, carrier);
            break;
        case Propagator::ottrace:
            ottrace::inject(trace, carrier);
            ottrace::inject_baggage(baggage, carrier);
            break;
        }
    }
}

/// True for a header that `inject` of this context would replace or remove: not to be copied beside it by those who
/// write headers one after the other. A second traceparent, say, makes the receiver believe neither.
[[nodiscard]] bool replaces(
    const Propagators& propagators, const PropagatedContext& context,
    std::string_view name) noexcept;

} // namespace weft
