#pragma once
#include <weft/propagation/carrier.hpp>
#include <weft/propagation/faults.hpp>
#include <weft/propagation/trace_context.hpp>

#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::w3c {

namespace detail {

// Out of line, for the parser takes 16 KiB of stack and is rarely needed.
template <class Carrier>
[[gnu::noinline]] TraceState extract_state(const Carrier& carrier) {
    TraceStateParser parser;
    carrier::for_each_value(
        carrier, tracestate_header, [&](std::string_view line) { parser.add_line(line); });
    auto state = parser.finish();
    if (state) { return *std::move(state); }
    weft::detail::count_fault(weft::detail::FaultyHeader::tracestate);
    return {};
}

} // namespace detail

/// Reads the trace context that came with a message. What cannot be used leaves `given` as it is: no traceparent,
/// a bad one, more than one (then tracestate is not even looked at). A bad tracestate is dropped alone. What is bad is
/// counted in `propagation_faults`.
/// Errors: none; it throws only what the carrier throws.
/// Threads: any. Cost: no allocation, one if there is a tracestate.
/// Source: W3C Trace Context, "Processing Model"; OpenTelemetry Propagators API, "Extract".
template <carrier::Readable Carrier>
[[nodiscard]] TraceContext extract(const Carrier& carrier, TraceContext given = {}) {
    SpanContext span;
    std::size_t values = 0;
    carrier::for_each_value(carrier, traceparent_header, [&](std::string_view value) {
        if (++values != 1) { return; }
        if (const auto parsed = parse_traceparent(value)) { span = *parsed; }
    });
    if (values != 1 || !span.is_valid()) {
        if (values != 0) { weft::detail::count_fault(weft::detail::FaultyHeader::traceparent); }
        return given;
    }
    return {span, detail::extract_state(carrier)};
}

/// Writes a trace context into a message's headers; an invalid one writes nothing. Without a trace state it removes
/// a tracestate that is there already, because that belonged to another trace.
/// Errors: none; it throws only what the carrier throws.
/// Threads: any. Cost: no allocation but the carrier's.
/// Source: W3C Trace Context, "Processing Model"; OpenTelemetry Propagators API, "Inject".
template <class Carrier>
requires carrier::Writable<std::remove_reference_t<Carrier>>
void inject(const TraceContext& context, Carrier&& carrier) {
    if (!context.is_valid()) { return; }
    const auto text = format_traceparent(context.span);
    carrier::set(carrier, traceparent_header, std::string_view(text.data(), text.size()));
    if (context.state.empty()) {
        carrier::unset(carrier, tracestate_header);
    } else {
        carrier::set(carrier, tracestate_header, context.state.text());
    }
}

} // namespace weft::w3c
