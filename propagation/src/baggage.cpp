#include "grammar.hpp"
#include "percent.hpp"

#include <weft/propagation/baggage.hpp>

#include <algorithm>
#include <cstring>

namespace weft::w3c {
namespace {

// W3C Baggage, "value": printable ASCII without space, quote, comma, semicolon and backslash.
constexpr bool is_value_octet(unsigned char c) noexcept {
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}
constexpr bool is_sent_as_it_is(unsigned char c) noexcept { return is_value_octet(c) && c != '%'; }

// Nobody here reads metadata, so whatever may stand in a header and does not end the member is kept.
constexpr bool is_metadata_octet(unsigned char c) noexcept {
    return (c >= 0x20 && c < 0x7f && c != ',') || c == '\t';
}

template <class Is>
bool all(std::string_view text, Is is) noexcept {
    return std::all_of(
        text.begin(), text.end(), [&](char c) { return is(static_cast<unsigned char>(c)); });
}

} // namespace

// Bound: `line` itself.
void BaggageParser::add_line(std::string_view line) noexcept {
    while (!line.empty()) {
        const auto comma = std::min(line.find(','), line.size());
        const auto member = detail::trim_blanks(line.substr(0, comma));
        line.remove_prefix(std::min(comma + 1, line.size()));
        if (!member.empty() && !add_member(member)) { ++dropped_; }
    }
}

bool BaggageParser::add_member(std::string_view member) noexcept {
    const auto semicolon = std::min(member.find(';'), member.size());
    const auto pair = member.substr(0, semicolon);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) { return false; }
    const auto name = detail::trim_blanks(pair.substr(0, equals));
    const auto raw = detail::trim_blanks(pair.substr(equals + 1));
    const auto metadata =
        detail::trim_blanks(member.substr(std::min(semicolon + 1, member.size())));
    if (!weft::detail::is_token(name) || !all(raw, is_value_octet) ||
        !all(metadata, is_metadata_octet)) {
        return false;
    }
    weft::detail::DecodedText text;
    const auto value = text.decode(raw, false);
    return value && entries_.set(name, *value, metadata);
}

Baggage parse_baggage(std::string_view line) noexcept {
    BaggageParser parser;
    parser.add_line(line);
    return parser.finish();
}

BaggageText::BaggageText(const Baggage& baggage) noexcept {
    for (const auto entry : baggage) {
        // At the end of what is written, which stays as it is if this one does not fit.
        weft::detail::BoundedText out(text_.data() + chars_, text_.size() - chars_);
        if (chars_ > 0) { out.put(','); }
        out.put(entry.name);
        out.put('=');
        out.put_encoded(entry.value, is_sent_as_it_is);
        if (const auto metadata = detail::trim_blanks(entry.metadata); !metadata.empty()) {
            out.put(';');
            out.put_encoded(metadata, is_metadata_octet);
        }
        if (weft::detail::is_token(entry.name) && out.fits()) {
            chars_ += out.chars();
        } else {
            ++dropped_;
        }
    }
}

} // namespace weft::w3c
