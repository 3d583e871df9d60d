#include "grammar.hpp"

#include <weft/propagation/trace_context.hpp>
#include <weft/propagation/trace_state_edit.hpp>

#include <array>
#include <cstring>

namespace weft::w3c {
namespace {

constexpr std::size_t long_member_chars = 128;

// A parsed state taken apart. It holds views into the state's text.
struct Members {
    std::array<std::string_view, tracestate_members_max + 1> at;
    std::size_t count = 0;

    // Bound: a state that was parsed has at most 32 members; text beyond that is not looked at.
    explicit Members(std::string_view text) noexcept {
        while (!text.empty() && count < tracestate_members_max) {
            const auto comma = std::min(text.find(','), text.size());
            at[count++] = text.substr(0, comma);
            text.remove_prefix(std::min(comma + 1, text.size()));
        }
    }

    void erase(std::size_t index) noexcept {
        for (std::size_t i = index + 1; i < count; ++i) { at[i - 1] = at[i]; }
        --count;
    }

    [[nodiscard]] std::size_t chars() const noexcept {
        std::size_t sum = count == 0 ? 0 : count - 1;
        for (std::size_t i = 0; i < count; ++i) { sum += at[i].size(); }
        return sum;
    }

    [[nodiscard]] TraceState join() const noexcept {
        std::array<char, tracestate_chars_max> text;
        std::size_t chars = 0;
        for (std::size_t i = 0; i < count && chars + 1 + at[i].size() <= text.size(); ++i) {
            if (i > 0) { text[chars++] = ','; }
            std::memcpy(text.data() + chars, at[i].data(), at[i].size());
            chars += at[i].size();
        }
        return TraceState::from_validated({text.data(), chars});
    }
};

bool has_key(std::string_view member, std::string_view key) noexcept {
    return member.size() > key.size() && member[key.size()] == '=' && member.starts_with(key);
}

} // namespace

std::optional<std::string_view> find_member(
    const TraceState& state, std::string_view key) noexcept {
    const Members members(state.text());
    for (std::size_t i = 0; i < members.count; ++i) {
        if (has_key(members.at[i], key)) { return members.at[i].substr(key.size() + 1); }
    }
    return std::nullopt;
}

Result<TraceState> with_member(
    const TraceState& state, std::string_view key, std::string_view value) noexcept {
    if (!detail::is_key(key) || !detail::is_value(value)) { return Errc::header_malformed; }

    std::array<char, tracestate_key_chars_max + 1 + tracestate_value_chars_max> member;
    std::memcpy(member.data(), key.data(), key.size());
    member[key.size()] = '=';
    std::memcpy(member.data() + key.size() + 1, value.data(), value.size());

    const Members before(state.text());
    Members after{{}};
    after.at[after.count++] = {member.data(), key.size() + 1 + value.size()};
    for (std::size_t i = 0; i < before.count && after.count < tracestate_members_max; ++i) {
        if (!has_key(before.at[i], key)) { after.at[after.count++] = before.at[i]; }
    }
    return after.join();
}

TraceState without_member(const TraceState& state, std::string_view key) noexcept {
    Members members(state.text());
    for (std::size_t i = 0; i < members.count; ++i) {
        if (has_key(members.at[i], key)) {
            members.erase(i);
            return members.join();
        }
    }
    return state;
}

TraceState shortened(const TraceState& state, std::size_t chars_max) noexcept {
    if (state.text().size() <= chars_max) { return state; }
    Members members(state.text());
    for (std::size_t i = members.count; i-- > 0 && members.chars() > chars_max;) {
        if (members.at[i].size() > long_member_chars) { members.erase(i); }
    }
    while (members.count > 0 && members.chars() > chars_max) { members.erase(members.count - 1); }
    return members.join();
}

} // namespace weft::w3c
