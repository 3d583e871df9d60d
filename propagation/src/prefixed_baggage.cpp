#include "grammar.hpp"
#include "percent.hpp"

#include <weft/propagation/prefixed_baggage.hpp>

#include <algorithm>
#include <cstring>

namespace weft::detail {
namespace {

// RFC 3986, "Unreserved Characters": what every decoder of a URL leaves alone.
constexpr bool is_unreserved(unsigned char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

// Blanks at the ends would be lost on the way.
bool is_plain(std::string_view value) noexcept {
    return w3c::detail::trim_blanks(value).size() == value.size() &&
           std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

} // namespace

void PrefixedEntries::add(
    std::string_view name, std::string_view value, ValueCoding coding) noexcept {
    DecodedText text;
    value = w3c::detail::trim_blanks(value);
    const auto decoded =
        coding == ValueCoding::percent ? text.decode(value, true) : text.repair(value);
    if (!is_token(name) || !decoded || !entries_.set(name, *decoded)) { ++dropped_; }
}

void PrefixedEntries::add_list(std::string_view list, ValueCoding coding) noexcept {
    while (!list.empty()) { // Bound: each turn takes a member off.
        const auto comma = std::min(list.find(','), list.size());
        const auto member = w3c::detail::trim_blanks(list.substr(0, comma));
        list.remove_prefix(std::min(comma + 1, list.size()));
        if (member.empty()) { continue; }
        const auto equals = member.find('=');
        if (equals == std::string_view::npos) {
            ++dropped_;
        } else {
            add(w3c::detail::trim_blanks(member.substr(0, equals)), member.substr(equals + 1),
                coding);
        }
    }
}

Baggage PrefixedEntries::finish() const noexcept {
    count_fault(FaultyHeader::baggage, dropped_);
    return entries_.build();
}

bool PrefixedHeader::assign(
    std::string_view prefix, const Baggage::Entry& entry, ValueCoding coding) noexcept {
    if (!is_token(entry.name) || entry.name.size() > name_chars_max) { return false; }
    if (coding == ValueCoding::plain && !is_plain(entry.value)) { return false; }
    BoundedText name(name_.data(), name_.size());
    name.put(prefix);
    name.put(entry.name);
    BoundedText value(value_.data(), value_.size());
    if (coding == ValueCoding::plain) {
        value.put(entry.value);
    } else {
        value.put_encoded(entry.value, is_unreserved);
    }
    name_chars_ = name.chars();
    value_chars_ = value.chars();
    return name.fits() && value.fits();
}

} // namespace weft::detail
