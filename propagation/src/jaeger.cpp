#include "grammar.hpp"
#include "padded_hex.hpp"

#include <weft/propagation/jaeger.hpp>

#include <algorithm>
#include <optional>

namespace weft::jaeger {
namespace {

constexpr unsigned sampled_bit = 1;
constexpr unsigned debug_bit = 2;

// What is before the next colon, plain or percent-encoded; `rest` goes behind it. nullopt: there is no colon.
std::optional<std::string_view> take_part(std::string_view& rest) noexcept {
    for (std::size_t i = 0; i < rest.size(); ++i) {
        const bool encoded = carrier::same_name(rest.substr(i, 3), "%3a");
        if (rest[i] != ':' && !encoded) { continue; }
        const auto part = rest.substr(0, i);
        rest.remove_prefix(i + (encoded ? 3 : 1));
        return part;
    }
    return std::nullopt;
}

} // namespace

Result<SpanContext> parse(std::string_view value) noexcept {
    auto rest = w3c::detail::trim_blanks(value);
    const auto trace = take_part(rest);
    const auto span_id = take_part(rest);
    const auto parent = take_part(rest);
    if (!trace || !span_id || !parent || rest.empty() || rest.size() > 2) {
        return Errc::header_malformed;
    }
    SpanContext span;
    SpanId ignored;
    SpanId flags; // Two digits read as a number; the last byte.
    if (!weft::detail::read_padded_id(*trace, span.trace_id) ||
        !weft::detail::read_padded_id(*span_id, span.span_id) ||
        !weft::detail::read_padded_id(*parent, ignored) ||
        !weft::detail::read_padded_id(rest, flags) || !span.is_valid()) {
        return Errc::header_malformed;
    }
    span.is_remote = true;
    if ((flags.bytes.back() & sampled_bit) != 0) {
        span.flags = trace_flags::sampled;
        if ((flags.bytes.back() & debug_bit) != 0) { span.flags |= trace_flags::debug; }
    }
    return span;
}

std::array<char, trace_chars> format(const SpanContext& span) noexcept {
    std::array<char, trace_chars> text;
    char* out = text.data();
    span.trace_id.to_hex(out);
    out[32] = ':';
    span.span_id.to_hex(out + 33);
    out[49] = ':';
    out[50] = '0';
    out[51] = ':';
    const bool debug = (span.flags & trace_flags::debug) != 0;
    out[52] = static_cast<char>(
        '0' + (debug               ? sampled_bit | debug_bit
               : span.is_sampled() ? sampled_bit
                                   : 0));
    return text;
}

} // namespace weft::jaeger
