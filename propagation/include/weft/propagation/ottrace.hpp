#pragma once
// OpenTracing's basic format; deprecated in favour of W3C trace context.
//
//   ot-tracer-traceid: e1be46a994272793   ot-tracer-spanid: e457b5a2e4d86bd1   ot-tracer-sampled: true
//   ot-baggage-user: 7                    one header for each entry of the baggage
#include <weft/propagation/carrier.hpp>
#include <weft/propagation/faults.hpp>
#include <weft/propagation/prefixed_baggage.hpp>
#include <weft/propagation/propagated_context.hpp>
#include <weft/runtime/error.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::ottrace {

inline constexpr std::string_view trace_id_header = "ot-tracer-traceid";
inline constexpr std::string_view span_id_header = "ot-tracer-spanid";
inline constexpr std::string_view sampled_header = "ot-tracer-sampled";
inline constexpr std::string_view baggage_prefix = "ot-baggage-";

/// Header names that `inject` may write, those of the baggage apart.
inline constexpr std::array<std::string_view, 3> fields{
    trace_id_header, span_id_header, sampled_header};

/// The values of the three headers; views are not kept. A trace id has 16 or 32 digits, a span id 16, in any case.
class Parser {
public:
    void trace_id(std::string_view value) noexcept;
    void span_id(std::string_view value) noexcept;
    void sampled(std::string_view value) noexcept; ///< true, false, 1 or 0.
    /// Undecided without `sampled`. Errors: header_malformed, also where an id is missing.
    [[nodiscard]] Result<SpanContext> finish() const noexcept;

private:
    SpanContext span_;
    std::uint8_t state_ = trace_flags::undecided;
    bool bad_ = false;
};

/// As w3c::extract; bad headers are counted.
template <carrier::Readable Carrier>
[[nodiscard]] TraceContext extract(const Carrier& carrier, TraceContext given = {}) {
    Parser parser;
    bool found = carrier::visit_first(
        carrier, trace_id_header, [&](std::string_view value) { parser.trace_id(value); });
    found |= carrier::visit_first(
        carrier, span_id_header, [&](std::string_view value) { parser.span_id(value); });
    if (!found) { return given; }
    carrier::visit_first(
        carrier, sampled_header, [&](std::string_view value) { parser.sampled(value); });
    const auto span = parser.finish();
    if (!span) {
        weft::detail::count_fault(weft::detail::FaultyHeader::ottrace);
        return given;
    }
    return weft::detail::continued(*span, std::move(given));
}

/// Sends the low half of the trace id: all that the format has room for. One whose low half is zero, and so cannot be
/// sent, writes nothing.
template <class Carrier>
requires carrier::Writable<std::remove_reference_t<Carrier>>
void inject(const TraceContext& context, Carrier&& carrier) {
    const auto& span = context.span;
    SpanId low_half;
    std::copy_n(span.trace_id.bytes.begin() + 8, 8, low_half.bytes.begin());
    if (!span.is_valid() || !low_half.is_valid()) { return; }
    std::array<char, 16> text;
    low_half.to_hex(text.data());
    carrier::set(carrier, trace_id_header, std::string_view(text.data(), text.size()));
    span.span_id.to_hex(text.data());
    carrier::set(carrier, span_id_header, std::string_view(text.data(), text.size()));
    if ((span.flags & trace_flags::undecided) != 0) {
        carrier::unset(carrier, sampled_header);
    } else {
        carrier::set(carrier, sampled_header, span.is_sampled() ? "true" : "false");
    }
}

namespace detail {

template <class Carrier>
[[gnu::noinline]] Baggage read_baggage(const Carrier& carrier, const Baggage& given) {
    weft::detail::PrefixedEntries entries(given);
    weft::detail::add_prefixed(entries, carrier, baggage_prefix, weft::detail::ValueCoding::plain);
    return entries.finish();
}

} // namespace detail

/// Reads the baggage over that of `given`; a getter, which cannot enumerate, has none.
/// Threads: any. Cost: without such headers no allocation, else one.
template <carrier::Readable Carrier>
[[nodiscard]] Baggage extract_baggage(const Carrier& carrier, Baggage given = {}) {
    return weft::detail::has_prefixed(carrier, baggage_prefix)
               ? detail::read_baggage(carrier, given)
               : given;
}

/// One header for each entry, without metadata. What cannot be sent, such as a value that is not printable ASCII, is
/// left out and counted.
template <class Carrier>
requires carrier::Writable<std::remove_reference_t<Carrier>>
void inject_baggage(const Baggage& baggage, Carrier&& carrier) {
    if (baggage.empty()) { return; }
    weft::detail::inject_prefixed(
        baggage, carrier, baggage_prefix, weft::detail::ValueCoding::plain);
}

} // namespace weft::ottrace
