#include "grammar.hpp"
#include "percent.hpp"

#include <weft/propagation/xray.hpp>

#include <algorithm>
#include <utility>

namespace weft::xray {
namespace {

using w3c::detail::trim_blanks;

// 1-5759e988-bd862e3fe1be46a994272793
bool read_root(std::string_view text, TraceId& id) noexcept {
    return text.size() == 35 && text.starts_with("1-") && text[10] == '-' &&
           weft::detail::read_hex(text.substr(2, 8), id.bytes.data(), 4, true) &&
           weft::detail::read_hex(text.substr(11), id.bytes.data() + 4, 12, true) && id.is_valid();
}

bool read_sampled(std::string_view text, std::uint8_t& flags) noexcept {
    if (text == "1") {
        flags = trace_flags::sampled;
    } else if (text == "0") {
        flags = 0;
    } else {
        return text == "?";
    }
    return true;
}

} // namespace

Result<SpanContext> parse(std::string_view value) noexcept {
    SpanContext span;
    span.is_remote = true;
    span.flags = trace_flags::undecided;
    bool has_root = false;
    bool has_parent = false;
    bool has_sampled = false;
    auto rest = value;
    while (!rest.empty()) { // Bound: each turn takes a part off.
        const auto semicolon = std::min(rest.find(';'), rest.size());
        const auto part = trim_blanks(rest.substr(0, semicolon));
        rest.remove_prefix(std::min(semicolon + 1, rest.size()));
        if (part.empty()) { continue; }
        const auto equals = part.find('=');
        if (equals == std::string_view::npos) { return Errc::header_malformed; }
        const auto key = part.substr(0, equals);
        const auto text = part.substr(equals + 1);
        bool good = true;
        if (key == "Root" && !std::exchange(has_root, true)) {
            good = read_root(text, span.trace_id);
        } else if (key == "Parent" && !std::exchange(has_parent, true)) {
            good = weft::detail::read_hex(text, span.span_id.bytes.data(), 8, true) &&
                   span.span_id.is_valid();
        } else if (key == "Sampled" && !std::exchange(has_sampled, true)) {
            good = read_sampled(text, span.flags);
        }
        if (!good) { return Errc::header_malformed; }
    }
    return span;
}

Text::Text(const SpanContext& span) noexcept {
    std::array<char, 32> trace;
    span.trace_id.to_hex(trace.data());
    std::array<char, 16> parent;
    span.span_id.to_hex(parent.data());
    const std::string_view digits(trace.data(), trace.size());
    weft::detail::BoundedText out(text_.data(), text_.size());
    out.put("Root=1-");
    out.put(digits.substr(0, 8));
    out.put('-');
    out.put(digits.substr(8));
    out.put(";Parent=");
    out.put({parent.data(), parent.size()});
    if ((span.flags & trace_flags::undecided) == 0) {
        out.put(span.is_sampled() ? ";Sampled=1" : ";Sampled=0");
    }
    chars_ = out.chars(); // It fits: the array is as long as the longest of these.
}

} // namespace weft::xray
