#include <weft/signals/probability.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace weft {
namespace {

constexpr int digits_all = 14; // Hex digits of 56 bits.
constexpr std::size_t ot_value_chars_max = 256;
constexpr std::size_t members_max =
    32; // Source: W3C Trace Context, "tracestate Header Field Values".

// Hex digits, lowercase as the specification asks. Null for anything else.
std::optional<std::uint64_t> read_digits(std::string_view text) noexcept {
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c >= '0' && c <= '9') {
            value = value << 4 | static_cast<std::uint64_t>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | static_cast<std::uint64_t>(c - 'a' + 10);
        } else {
            return std::nullopt;
        }
    }
    return value;
}

bool is_sub_key(std::string_view key) noexcept {
    const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
    return !key.empty() && is_letter(key.front()) &&
           std::all_of(key.begin(), key.end(), [&](char c) {
               return is_letter(c) || (c >= '0' && c <= '9');
           });
}

bool is_sub_value(std::string_view value) noexcept {
    return std::all_of(value.begin(), value.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
}

// Cuts the text before the first `separator` off and returns it.
std::string_view take_until(std::string_view& rest, char separator) noexcept {
    const auto at = std::min(rest.find(separator), rest.size());
    const auto taken = rest.substr(0, at);
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return taken;
}

// The `ot` member with its key, or an empty view.
std::string_view find_ot(std::string_view tracestate) noexcept {
    while (!tracestate.empty()) { // Bound: each turn takes one member off.
        const auto member = take_until(tracestate, ',');
        if (member.starts_with("ot=")) { return member; }
    }
    return {};
}

struct SubKey {
    std::string_view text; // Key and value, as they stand.
    std::string_view key;
    std::string_view value;
};

// Calls `visit` for each well-formed sub-key.
template <class Visit>
void for_each_sub_key(std::string_view ot, Visit&& visit) noexcept {
    while (!ot.empty()) { // Bound: each turn takes one sub-key off.
        const auto text = take_until(ot, ';');
        const auto colon = text.find(':');
        if (colon == std::string_view::npos) { continue; }
        const SubKey sub{text, text.substr(0, colon), text.substr(colon + 1)};
        if (is_sub_key(sub.key) && is_sub_value(sub.value)) { visit(sub); }
    }
}

class Writer {
public:
    explicit Writer(TraceStateBuffer& buffer) noexcept : buffer_(buffer) {}
    // Text that does not fit is left out; TraceStateBuffer holds all there can be.
    void put(std::string_view text) noexcept {
        if (text.size() > buffer_.size() - size_) { return; }
        std::memcpy(buffer_.data() + size_, text.data(), text.size());
        size_ += text.size();
    }
    void clear() noexcept { size_ = 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::string_view view() const noexcept { return {buffer_.data(), size_}; }

private:
    TraceStateBuffer& buffer_;
    std::size_t size_ = 0;
};

void put_threshold(Writer& out, std::uint64_t threshold) noexcept {
    char digits[digits_all];
    for (int i = 0; i < digits_all; ++i) {
        digits[i] = "0123456789abcdef"[threshold >> (4 * (digits_all - 1 - i)) & 0xf];
    }
    std::size_t count = digits_all;
    while (count > 1 && digits[count - 1] == '0') { --count; }
    out.put("th:");
    out.put({digits, count});
}

} // namespace

std::uint64_t exact_threshold(double probability) noexcept {
    const double share =
        std::isnan(probability) ? 0.0 : std::fmin(std::fmax(probability, 0.0), 1.0);
    // Not by 1.0 - p, which is 1.0 for a probability below 2^-54.
    const auto kept = static_cast<std::uint64_t>(std::llround(std::ldexp(share, 56)));
    return threshold_never - kept;
}

std::uint64_t threshold_of(double probability) noexcept {
    constexpr int precision = 4;
    const auto exact = exact_threshold(probability);
    if (exact == threshold_never) {
        return probability > 0.0 ? threshold_never - 1 : threshold_never;
    }
    int leading = 0; // f digits: behind them the four digits begin that count.
    while (leading < digits_all - precision &&
           (exact >> (4 * (digits_all - 1 - leading)) & 0xf) == 0xf) {
        ++leading;
    }
    const int dropped_bits = 4 * (digits_all - precision - leading);
    const auto half = dropped_bits == 0 ? 0 : std::uint64_t{1} << (dropped_bits - 1);
    const auto rounded = (exact + half) >> dropped_bits << dropped_bits;
    // Rounding up may carry into 2^56: keep what was asked to be kept.
    return rounded < threshold_never ? rounded : exact;
}

double probability_of(std::uint64_t threshold) noexcept {
    const auto kept = threshold_never - std::min(threshold, threshold_never);
    return std::ldexp(static_cast<double>(kept), -56);
}

double adjusted_count(std::uint64_t threshold) noexcept {
    return threshold >= threshold_never ? 0.0 : 1.0 / probability_of(threshold);
}

SamplingState read_sampling_state(std::string_view tracestate) noexcept {
    SamplingState state;
    auto ot = find_ot(tracestate);
    if (ot.empty()) { return state; }
    ot.remove_prefix(3);
    for_each_sub_key(ot, [&](const SubKey& sub) {
        if (sub.key == "th" && !sub.value.empty() && sub.value.size() <= digits_all) {
            if (const auto digits = read_digits(sub.value)) {
                const auto missing = digits_all - static_cast<int>(sub.value.size());
                state.threshold = *digits << (4 * missing);
            }
        } else if (sub.key == "rv" && sub.value.size() == digits_all) {
            state.randomness = read_digits(sub.value);
        }
    });
    return state;
}

std::string_view with_threshold(
    std::string_view tracestate, std::optional<std::uint64_t> threshold,
    TraceStateBuffer& buffer) noexcept {
    const auto ot = find_ot(tracestate);
    const auto old = ot.empty() ? ot : ot.substr(3);
    // A plain number, for GCC 12 takes comparing optionals for a use of no value under TSan.
    const std::uint64_t wanted = threshold.value_or(threshold_never);
    const bool has_weight = wanted < threshold_never;
    int thresholds = 0;
    for_each_sub_key(old, [&](const SubKey& sub) { thresholds += sub.key == "th" ? 1 : 0; });
    const bool is_right =
        thresholds == (has_weight ? 1 : 0) &&
        (!has_weight || read_sampling_state(ot).threshold.value_or(threshold_never) == wanted);
    if (is_right) { return tracestate; }
    Writer out(buffer);
    out.put("ot=");
    const std::size_t start = out.size();
    if (has_weight) { put_threshold(out, wanted); }
    // `rv` must never get lost: it goes before what may not fit.
    for (const bool randomness : {true, false}) {
        for_each_sub_key(old, [&](const SubKey& sub) {
            if (sub.key == "th" || (sub.key == "rv") != randomness) { return; }
            const bool first = out.size() == start;
            const auto chars = out.size() - start + sub.text.size() + (first ? 0U : 1U);
            if (chars > ot_value_chars_max) { return; }
            if (!first) { out.put(";"); }
            out.put(sub.text);
        });
    }
    std::size_t members = 1;
    if (out.size() == start) { // Nothing is left of it: no member at all.
        out.clear();
        members = 0;
    }
    while (!tracestate.empty() && members < members_max) { // Bound: each turn takes one off.
        const auto member = take_until(tracestate, ',');
        if (member.data() == ot.data()) { continue; }
        if (members++ != 0) { out.put(","); }
        out.put(member);
    }
    return out.view();
}

TraceState with_threshold(
    const TraceState& state, std::optional<std::uint64_t> threshold) noexcept {
    if (state.empty() && !threshold) { return state; }
    TraceStateBuffer buffer;
    const auto before = state.text();
    const auto after = with_threshold(before, threshold, buffer);
    return after.data() == before.data() && after.size() == before.size()
               ? state
               : TraceState::from_validated(after);
}

} // namespace weft
