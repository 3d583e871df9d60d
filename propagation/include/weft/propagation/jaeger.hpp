#pragma once
// Jaeger's client format; deprecated in favour of W3C trace context.
//
//   uber-trace-id: 5759e988bd862e3fe1be46a994272793:e457b5a2e4d86bd1:0:1     trace:span:parent:flags
//   uberctx-user: J%C3%BCrgen                                                one header for each entry of the baggage
#include <weft/propagation/carrier.hpp>
#include <weft/propagation/faults.hpp>
#include <weft/propagation/prefixed_baggage.hpp>
#include <weft/propagation/propagated_context.hpp>
#include <weft/runtime/error.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::jaeger {

inline constexpr std::string_view trace_header = "uber-trace-id";
inline constexpr std::string_view baggage_prefix = "uberctx-";
/// Baggage typed in by hand, `k1=v1,k2=v2`; read, never written.
inline constexpr std::string_view baggage_list_header = "jaeger-baggage";

/// Header names that `inject` may write, those of the baggage apart.
inline constexpr std::array<std::string_view, 1> fields{trace_header};

inline constexpr std::size_t trace_chars = 32 + 1 + 16 + 1 + 1 + 1 + 1; ///< Of what is sent.

/// Reads uber-trace-id; blanks around it are allowed, hex digits in any case, ids shorter than 128 and 64 bits, and
/// `%3A` for a colon. Debug counts only together with sampled. The parent has to be there and is not kept.
/// Errors: header_malformed. Threads: any. Cost: no allocation.
/// Source: Jaeger, "Propagation Format".
[[nodiscard]] Result<SpanContext> parse(std::string_view value) noexcept;

/// The header's value, with ids in full length and "0" for the parent. No terminator.
[[nodiscard]] std::array<char, trace_chars> format(const SpanContext& span) noexcept;

/// As w3c::extract; a bad header is counted. A sampling decision that is undecided is sent as "no".
template <carrier::Readable Carrier>
[[nodiscard]] TraceContext extract(const Carrier& carrier, TraceContext given = {}) {
    SpanContext span;
    carrier::visit_first(carrier, trace_header, [&](std::string_view value) {
        if (const auto parsed = parse(value)) {
            span = *parsed;
        } else {
            weft::detail::count_fault(weft::detail::FaultyHeader::jaeger);
        }
    });
    return span.is_valid() ? weft::detail::continued(span, std::move(given)) : given;
}

template <class Carrier>
requires carrier::Writable<std::remove_reference_t<Carrier>>
void inject(const TraceContext& context, Carrier&& carrier) {
    if (!context.is_valid()) { return; }
    const auto text = format(context.span);
    carrier::set(carrier, trace_header, std::string_view(text.data(), text.size()));
}

namespace detail {

template <class Carrier>
[[gnu::noinline]] Baggage read_baggage(const Carrier& carrier, const Baggage& given) {
    weft::detail::PrefixedEntries entries(given);
    carrier::for_each_value(carrier, baggage_list_header, [&](std::string_view list) {
        entries.add_list(list, weft::detail::ValueCoding::percent);
    });
    weft::detail::add_prefixed(
        entries, carrier, baggage_prefix, weft::detail::ValueCoding::percent);
    return entries.finish();
}

} // namespace detail

/// Reads the baggage over that of `given`. Names have the case in which the carrier has them, which HTTP/2 makes
/// lowercase; a getter, which cannot enumerate, has only the list header.
/// Threads: any. Cost: without such headers no allocation, else one.
template <carrier::Readable Carrier>
[[nodiscard]] Baggage extract_baggage(const Carrier& carrier, Baggage given = {}) {
    const bool found =
        carrier::visit_first(carrier, baggage_list_header, [](std::string_view) {}) ||
        weft::detail::has_prefixed(carrier, baggage_prefix);
    return found ? detail::read_baggage(carrier, given) : given;
}

/// One header for each entry, without metadata. What cannot be sent is left out and counted.
template <class Carrier>
requires carrier::Writable<std::remove_reference_t<Carrier>>
void inject_baggage(const Baggage& baggage, Carrier&& carrier) {
    if (baggage.empty()) { return; }
    weft::detail::inject_prefixed(
        baggage, carrier, baggage_prefix, weft::detail::ValueCoding::percent);
}

} // namespace weft::jaeger
