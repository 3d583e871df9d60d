#include "grammar.hpp"
#include "hex.hpp"

#include <weft/propagation/trace_context.hpp>

namespace weft::w3c {
namespace {

// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
// 0  3                                36               53
constexpr std::size_t trace_id_at = 3;
constexpr std::size_t span_id_at = 36;
constexpr std::size_t flags_at = 53;

// Two digits in one byte, for the parts that are shorter than read_hex takes. A bad digit leaves `bad` above 15.
inline std::uint8_t read_byte(const char* text, unsigned& bad) noexcept {
    const unsigned high = detail::hex_value[static_cast<unsigned char>(text[0])];
    const unsigned low = detail::hex_value[static_cast<unsigned char>(text[1])];
    bad |= high | low;
    return static_cast<std::uint8_t>((high << 4) | (low & 15));
}

} // namespace

Result<SpanContext> parse_traceparent(std::string_view value) noexcept {
    value = detail::trim_blanks(value);
    if (value.size() < traceparent_chars) { return Errc::header_malformed; }
    const char* text = value.data();
    if (text[2] != '-' || text[span_id_at - 1] != '-' || text[flags_at - 1] != '-') {
        return Errc::header_malformed;
    }

    SpanContext context;
    unsigned bad = 0;
    const auto version = read_byte(text, bad);
    context.flags = read_byte(text + flags_at, bad) & trace_flags::known;
    const auto bad_ids = detail::read_hex(text + trace_id_at, context.trace_id.bytes.data(), 16) |
                         detail::read_hex(text + span_id_at, context.span_id.bytes.data(), 8);
    context.is_remote = true;
    if (bad > 15 || bad_ids != 0 || version == 0xff || !context.is_valid()) {
        return Errc::header_malformed;
    }

    if (value.size() > traceparent_chars) {
        // What a later version appends is its own business, but it starts with a dash, and a comma means that
        // somebody joined two headers: then neither can be trusted.
        if (version == 0 || text[traceparent_chars] != '-' ||
            value.find(',', traceparent_chars) != std::string_view::npos) {
            return Errc::header_malformed;
        }
    }
    return context;
}

std::array<char, traceparent_chars> format_traceparent(const SpanContext& context) noexcept {
    std::array<char, traceparent_chars> text;
    char* out = text.data();
    out[0] = out[1] = '0';
    out[2] = out[span_id_at - 1] = out[flags_at - 1] = '-';
    detail::write_hex(context.trace_id.bytes.data(), 16, out + trace_id_at);
    detail::write_hex(context.span_id.bytes.data(), 8, out + span_id_at);
    out[flags_at] = '0';
    out[flags_at + 1] = static_cast<char>('0' + (context.flags & trace_flags::known));
    return text;
}

} // namespace weft::w3c
