#pragma once
// The W3C baggage header: name=value;metadata,name=value, values percent-encoded.
#include <weft/propagation/carrier.hpp>
#include <weft/propagation/faults.hpp>
#include <weft/runtime/baggage.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>

namespace weft::w3c {

inline constexpr std::string_view baggage_header = "baggage";
/// Longest header that is sent. Every receiver has to take it.
inline constexpr std::size_t baggage_chars_max = 8192;

/// Takes the lines of a baggage one by one. A bad member, and one that does not fit into the bounds of `Baggage`, is
/// left out alone. Of members with the same name the last one is kept. Values are percent-decoded, where a percent
/// sign that begins no escape stands for itself and bad UTF-8 becomes U+FFFD; metadata is kept byte for byte.
/// Lifetime: a line is copied before `add_line` returns. Cost: 8.5 KiB of stack, one allocation in `finish`.
/// Source: W3C Baggage, "Header Content" and "Limits".
class BaggageParser {
public:
    /// Members are laid over the entries of `given`.
    explicit BaggageParser(const Baggage& given = {}) noexcept : entries_(given) {}

    void add_line(std::string_view line) noexcept;
    /// Members that were left out.
    [[nodiscard]] std::size_t dropped() const noexcept { return dropped_; }
    [[nodiscard]] Baggage finish() const noexcept { return entries_.build(); }

private:
    [[nodiscard]] bool add_member(std::string_view member) noexcept;

    std::size_t dropped_ = 0;
    BaggageBuilder entries_;
};

/// One line; bad members are left out. Threads: any. Cost: as BaggageParser.
[[nodiscard]] Baggage parse_baggage(std::string_view line) noexcept;

/// The header's value. Entries whose name is not a token, which the format cannot carry, and those that would make it
/// longer than `baggage_chars_max`, are left out whole. In metadata, what has no place in a header is percent-encoded.
/// Threads: any. Cost: 8 KiB of stack, no allocation.
class BaggageText {
public:
    explicit BaggageText(const Baggage& baggage) noexcept;
    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), chars_}; }
    /// Entries that were left out.
    [[nodiscard]] std::size_t dropped() const noexcept { return dropped_; }

private:
    std::size_t chars_ = 0;
    std::size_t dropped_ = 0;
    std::array<char, baggage_chars_max> text_;
};

namespace detail {

// Out of line, for the parser is large and rarely needed.
template <class Carrier>
[[gnu::noinline]] Baggage read_baggage(const Carrier& carrier, const Baggage& given) {
    BaggageParser parser(given);
    carrier::for_each_value(
        carrier, baggage_header, [&](std::string_view line) { parser.add_line(line); });
    weft::detail::count_fault(weft::detail::FaultyHeader::baggage, parser.dropped());
    return parser.finish();
}

template <class Carrier>
[[gnu::noinline]] void write_baggage(const Baggage& baggage, Carrier& carrier) {
    const BaggageText text(baggage);
    weft::detail::count_fault(weft::detail::FaultyHeader::baggage, text.dropped());
    if (!text.view().empty()) { carrier::set(carrier, baggage_header, text.view()); }
}

} // namespace detail

/// Reads the baggage that came with a message over that of `given`. What cannot be used is left out and counted.
/// Errors: none; it throws only what the carrier throws.
/// Threads: any. Cost: without the header no allocation, else one.
/// Source: W3C Baggage; OpenTelemetry Propagators API, "Extract".
template <carrier::Readable Carrier>
[[nodiscard]] Baggage extract_baggage(const Carrier& carrier, Baggage given = {}) {
    bool found = false;
    carrier::for_each_value(carrier, baggage_header, [&](std::string_view) { found = true; });
    return found ? detail::read_baggage(carrier, given) : given;
}

/// Writes the baggage into a message's headers; an empty one writes nothing.
/// Errors: none; it throws only what the carrier throws.
/// Threads: any. Cost: no allocation but the carrier's.
template <class Carrier>
requires carrier::Writable<std::remove_reference_t<Carrier>>
void inject_baggage(const Baggage& baggage, Carrier&& carrier) {
    if (!baggage.empty()) { detail::write_baggage(baggage, carrier); }
}

} // namespace weft::w3c
