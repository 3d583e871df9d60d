#pragma once
// AWS X-Ray's format.
//
//   X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1
#include <weft/propagation/carrier.hpp>
#include <weft/propagation/faults.hpp>
#include <weft/propagation/propagated_context.hpp>
#include <weft/runtime/error.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::xray {

inline constexpr std::string_view trace_header = "X-Amzn-Trace-Id";

/// Header names that `inject` may write.
inline constexpr std::array<std::string_view, 1> fields{trace_header};

/// Reads the header: parts in any order, unknown ones ignored, of a repeated one the first. `Sampled=?` and none set
/// `trace_flags::undecided`. Without `Root`, or without `Parent` (what a load balancer sends that starts a trace), the
/// value is good and gives a context without ids, for there is no span to continue.
/// Errors: header_malformed. Threads: any. Cost: no allocation.
/// Source: AWS X-Ray developer guide, "Tracing header".
[[nodiscard]] Result<SpanContext> parse(std::string_view value) noexcept;

/// The header's value; no terminator. An undecided context is sent without `Sampled`.
class Text {
public:
    explicit Text(const SpanContext& span) noexcept;
    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), chars_}; }

private:
    std::array<char, 74> text_;
    std::size_t chars_ = 0;
};

/// As w3c::extract; a bad header is counted.
template <carrier::Readable Carrier>
[[nodiscard]] TraceContext extract(const Carrier& carrier, TraceContext given = {}) {
    SpanContext span;
    carrier::visit_first(carrier, trace_header, [&](std::string_view value) {
        if (const auto parsed = parse(value)) {
            span = *parsed;
        } else {
            weft::detail::count_fault(weft::detail::FaultyHeader::xray);
        }
    });
    return span.is_valid() ? weft::detail::continued(span, std::move(given)) : given;
}

template <class Carrier>
requires carrier::Writable<std::remove_reference_t<Carrier>>
void inject(const TraceContext& context, Carrier&& carrier) {
    if (!context.is_valid()) { return; }
    carrier::set(carrier, trace_header, Text(context.span).view());
}

} // namespace weft::xray
