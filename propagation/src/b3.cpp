#include "grammar.hpp"

#include <weft/propagation/b3.hpp>

#include <algorithm>

namespace weft::b3 {
namespace {

using w3c::detail::trim_blanks;

// Lowercase only, and in full, or half as long for a trace id.
bool read_trace_id(std::string_view text, TraceId& id) noexcept {
    const std::size_t missing = text.size() == 16 ? 8 : 0;
    id = {};
    return weft::detail::read_hex(text, id.bytes.data() + missing, 16 - missing, false) &&
           id.is_valid();
}

bool read_span_id(std::string_view text, SpanId& id) noexcept {
    return weft::detail::read_hex(text, id.bytes.data(), 8, false) && id.is_valid();
}

bool read_state(std::string_view text, std::uint8_t& flags) noexcept {
    if (text == "1") {
        flags = trace_flags::sampled;
    } else if (text == "0") {
        flags = 0;
    } else if (text == "d") {
        flags = trace_flags::sampled | trace_flags::debug;
    } else {
        return false;
    }
    return true;
}

// What is before the next dash; `rest` goes behind it.
std::string_view take_part(std::string_view& rest) noexcept {
    const auto dash = std::min(rest.find('-'), rest.size());
    const auto part = rest.substr(0, dash);
    rest.remove_prefix(std::min(dash + 1, rest.size()));
    return part;
}

} // namespace

Result<SpanContext> parse_single(std::string_view value) noexcept {
    value = trim_blanks(value);
    SpanContext span;
    span.is_remote = true;
    if (value.size() == 1) {
        if (!read_state(value, span.flags)) { return Errc::header_malformed; }
        return span;
    }
    if (value.ends_with('-')) { return Errc::header_malformed; }
    auto rest = value;
    if (!read_trace_id(take_part(rest), span.trace_id)) { return Errc::header_malformed; }
    if (!read_span_id(take_part(rest), span.span_id)) { return Errc::header_malformed; }
    span.flags = trace_flags::undecided;
    if (rest.empty()) { return span; }
    if (!read_state(take_part(rest), span.flags)) { return Errc::header_malformed; }
    SpanId parent;
    if (!rest.empty() && !read_span_id(rest, parent)) { return Errc::header_malformed; }
    return span;
}

void MultiParser::trace_id(std::string_view value) noexcept {
    bad_ |= !read_trace_id(trim_blanks(value), span_.trace_id);
}

void MultiParser::span_id(std::string_view value) noexcept {
    bad_ |= !read_span_id(trim_blanks(value), span_.span_id);
}

void MultiParser::sampled(std::string_view value) noexcept {
    value = trim_blanks(value);
    if (value == "1" || value == "true") {
        state_ = trace_flags::sampled;
    } else if (value == "0" || value == "false") {
        state_ = 0;
    } else {
        bad_ = true;
    }
}

void MultiParser::flags(std::string_view value) noexcept { debug_ = trim_blanks(value) == "1"; }

Result<SpanContext> MultiParser::finish() const noexcept {
    auto span = span_;
    span.is_remote = true;
    span.flags = debug_ ? trace_flags::sampled | trace_flags::debug : state_;
    const bool one_id_only = span.trace_id.is_valid() != span.span_id.is_valid();
    if (bad_ || one_id_only) { return Errc::header_malformed; }
    return span;
}

SingleText::SingleText(const SpanContext& span) noexcept {
    char* out = text_.data();
    span.trace_id.to_hex(out);
    out[32] = '-';
    span.span_id.to_hex(out + 33);
    chars_ = 49;
    const bool debug = (span.flags & trace_flags::debug) != 0;
    if (!debug && (span.flags & trace_flags::undecided) != 0) { return; }
    out[chars_++] = '-';
    out[chars_++] = debug ? 'd' : span.is_sampled() ? '1' : '0';
}

} // namespace weft::b3
