#pragma once
// B3, Zipkin's format, in both its forms.
//
//   b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1          single; the last part 1, 0, d (debug) or absent
//   X-B3-TraceId, X-B3-SpanId, X-B3-Sampled or X-B3-Flags: 1 (debug)  multi
#include <weft/propagation/carrier.hpp>
#include <weft/propagation/faults.hpp>
#include <weft/propagation/propagated_context.hpp>
#include <weft/runtime/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft::b3 {

inline constexpr std::string_view single_header = "b3";
inline constexpr std::string_view trace_id_header = "X-B3-TraceId";
inline constexpr std::string_view span_id_header = "X-B3-SpanId";
inline constexpr std::string_view parent_span_id_header = "X-B3-ParentSpanId";
inline constexpr std::string_view sampled_header = "X-B3-Sampled";
inline constexpr std::string_view flags_header = "X-B3-Flags";

/// Which headers `inject` writes. `extract` reads both.
enum class Form : std::uint8_t { single, multi };

/// Header names that `inject` may write.
inline constexpr std::array<std::string_view, 1> single_fields{single_header};
inline constexpr std::array<std::string_view, 4> multi_fields{
    trace_id_header, span_id_header, sampled_header, flags_header};

/// Reads the single header; blanks around it are allowed. A 64-bit trace id is padded on the left. Debug sets sampled
/// too; an absent state sets `trace_flags::undecided`. A state without ids is good and gives a context without ids.
/// Errors: header_malformed. Threads: any. Cost: no allocation.
/// Source: B3 propagation, "Single Header".
[[nodiscard]] Result<SpanContext> parse_single(std::string_view value) noexcept;

/// The values of the multi headers; the first of each counts. Views are not kept.
/// Source: B3 propagation, "Multiple Headers".
class MultiParser {
public:
    void trace_id(std::string_view value) noexcept;
    void span_id(std::string_view value) noexcept;
    void sampled(std::string_view value) noexcept; ///< 1, 0, true or false.
    void flags(std::string_view value) noexcept;   ///< 1 is debug, anything else nothing.
    /// A context without ids where neither id was there. Errors: header_malformed, also for one id without the other.
    [[nodiscard]] Result<SpanContext> finish() const noexcept;

private:
    SpanContext span_;
    std::uint8_t state_ = trace_flags::undecided;
    bool debug_ = false;
    bool bad_ = false;
};

/// The single header's value; no terminator. Shape: trace and span id, and the state unless it is undecided.
class SingleText {
public:
    explicit SingleText(const SpanContext& span) noexcept;
    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), chars_}; }

private:
    std::array<char, 32 + 1 + 16 + 2> text_;
    std::size_t chars_ = 0;
};

namespace detail {

template <class Carrier>
[[nodiscard]] std::optional<SpanContext> read_multi(const Carrier& carrier) {
    MultiParser parser;
    bool found = carrier::visit_first(
        carrier, trace_id_header, [&](std::string_view value) { parser.trace_id(value); });
    found |= carrier::visit_first(
        carrier, span_id_header, [&](std::string_view value) { parser.span_id(value); });
    if (!found) { return std::nullopt; }
    carrier::visit_first(
        carrier, sampled_header, [&](std::string_view value) { parser.sampled(value); });
    carrier::visit_first(
        carrier, flags_header, [&](std::string_view value) { parser.flags(value); });
    if (const auto span = parser.finish()) { return *span; }
    weft::detail::count_fault(weft::detail::FaultyHeader::b3);
    return std::nullopt;
}

template <class Carrier>
[[nodiscard]] std::optional<SpanContext> read_single(const Carrier& carrier) {
    std::optional<SpanContext> span;
    carrier::visit_first(carrier, single_header, [&](std::string_view value) {
        if (const auto parsed = parse_single(value)) {
            span = *parsed;
        } else {
            weft::detail::count_fault(weft::detail::FaultyHeader::b3);
        }
    });
    return span;
}

} // namespace detail

/// Reads the single header, else the multi headers. Nothing to use, a bad header and a decision without ids leave
/// `given` as it is; bad ones are counted. See `detail::continued` for a sender of two formats.
/// Errors: none; it throws only what the carrier throws.
/// Threads: any. Cost: no allocation.
/// Source: OpenTelemetry Propagators API, "B3 Requirements".
template <carrier::Readable Carrier>
[[nodiscard]] TraceContext extract(const Carrier& carrier, TraceContext given = {}) {
    auto span = detail::read_single(carrier);
    if (!span) { span = detail::read_multi(carrier); }
    if (!span || !span->is_valid()) { return given; }
    return weft::detail::continued(*span, std::move(given));
}

/// Writes one form; an invalid context writes nothing. The parent's id is never sent.
/// Errors: none; it throws only what the carrier throws.
/// Threads: any. Cost: no allocation but the carrier's.
template <class Carrier>
requires carrier::Writable<std::remove_reference_t<Carrier>>
void inject(const TraceContext& context, Carrier&& carrier, Form form = Form::single) {
    const auto& span = context.span;
    if (!span.is_valid()) { return; }
    const SingleText text(span);
    if (form == Form::single) {
        carrier::set(carrier, single_header, text.view());
        return;
    }
    carrier::set(carrier, trace_id_header, text.view().substr(0, 32));
    carrier::set(carrier, span_id_header, text.view().substr(33, 16));
    // What is there already belonged to another span.
    carrier::unset(carrier, parent_span_id_header);
    carrier::unset(carrier, sampled_header);
    carrier::unset(carrier, flags_header);
    if ((span.flags & trace_flags::debug) != 0) {
        carrier::set(carrier, flags_header, "1");
    } else if ((span.flags & trace_flags::undecided) == 0) {
        carrier::set(carrier, sampled_header, span.is_sampled() ? "1" : "0");
    }
}

} // namespace weft::b3
