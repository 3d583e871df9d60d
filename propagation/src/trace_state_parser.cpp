#include "grammar.hpp"

#include <weft/propagation/trace_context.hpp>

#include <algorithm>
#include <cstring>

namespace weft::w3c {

namespace detail {

bool is_key(std::string_view key) noexcept {
    if (key.empty() || key.size() > tracestate_key_chars_max) { return false; }
    std::uint8_t allowed = key_other;
    for (const char c : key) { allowed &= member_class[static_cast<unsigned char>(c)]; }
    return allowed != 0 && (member_class[static_cast<unsigned char>(key.front())] & key_first) != 0;
}

bool is_value(std::string_view value) noexcept {
    if (value.empty() || value.size() > tracestate_value_chars_max) { return false; }
    std::uint8_t allowed = value_char;
    for (const char c : value) { allowed &= member_class[static_cast<unsigned char>(c)]; }
    return allowed != 0 && value.back() != ' ';
}

} // namespace detail

// Bound: `line` itself; once a member is bad or the 33rd has come, nothing more is looked at.
void TraceStateParser::add_line(std::string_view line) noexcept {
    while (!bad_ && !line.empty()) {
        const auto comma = std::min(line.find(','), line.size());
        const auto member = detail::trim_blanks(line.substr(0, comma));
        line.remove_prefix(std::min(comma + 1, line.size()));
        if (!member.empty() && !add_member(member)) { bad_ = true; }
    }
}

bool TraceStateParser::add_member(std::string_view member) noexcept {
    if (++members_ > tracestate_members_max) { return false; }
    const auto equals = member.find('=');
    if (equals == std::string_view::npos) { return false; }
    const auto key = member.substr(0, equals);
    if (!detail::is_key(key)) { return false; }
    if (!detail::is_value(member.substr(equals + 1))) { return false; }
    if (has_key(key)) { return true; }

    // Within text_: 32 members of at most 513 characters and the commas between them.
    if (chars_ > 0) { text_[chars_++] = ','; }
    std::memcpy(text_.data() + chars_, member.data(), member.size());
    key_[keys_++] = {static_cast<std::uint16_t>(chars_), static_cast<std::uint16_t>(key.size())};
    chars_ += member.size();
    return true;
}

bool TraceStateParser::has_key(std::string_view key) const noexcept {
    for (std::size_t i = 0; i < keys_; ++i) {
        if (std::string_view(text_.data() + key_[i].offset, key_[i].chars) == key) { return true; }
    }
    return false;
}

Result<TraceState> TraceStateParser::finish() const noexcept {
    if (bad_) { return Errc::header_malformed; }
    return TraceState::from_validated({text_.data(), chars_});
}

Result<TraceState> parse_tracestate(std::string_view line) noexcept {
    TraceStateParser parser;
    parser.add_line(line);
    return parser.finish();
}

Result<TraceState> parse_tracestate(std::span<const std::string_view> lines) noexcept {
    TraceStateParser parser;
    for (const auto line : lines) { parser.add_line(line); }
    return parser.finish();
}

} // namespace weft::w3c
