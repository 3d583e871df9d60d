#include "grammar.hpp"

#include <weft/propagation/ottrace.hpp>

namespace weft::ottrace {

using w3c::detail::trim_blanks;

void Parser::trace_id(std::string_view value) noexcept {
    value = trim_blanks(value);
    const std::size_t missing = value.size() == 16 ? 8 : 0;
    bad_ |=
        !weft::detail::read_hex(value, span_.trace_id.bytes.data() + missing, 16 - missing, true);
}

void Parser::span_id(std::string_view value) noexcept {
    bad_ |= !weft::detail::read_hex(trim_blanks(value), span_.span_id.bytes.data(), 8, true);
}

void Parser::sampled(std::string_view value) noexcept {
    value = trim_blanks(value);
    if (value == "true" || value == "1") {
        state_ = trace_flags::sampled;
    } else if (value == "false" || value == "0") {
        state_ = 0;
    } else {
        bad_ = true;
    }
}

Result<SpanContext> Parser::finish() const noexcept {
    if (bad_ || !span_.is_valid()) { return Errc::header_malformed; }
    auto span = span_;
    span.flags = state_;
    span.is_remote = true;
    return span;
}

} // namespace weft::ottrace
