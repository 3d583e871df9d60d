#pragma once
#include <weft/runtime/error.hpp>
#include <weft/runtime/span_context.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// W3C Trace Context, level 2: text in, contexts out, and back. Pure: no carrier, no Asio.
namespace weft::w3c {

inline constexpr std::string_view traceparent_header = "traceparent";
inline constexpr std::string_view tracestate_header = "tracestate";

/// Header names that `inject` may write.
inline constexpr std::array<std::string_view, 2> fields{traceparent_header, tracestate_header};

inline constexpr std::size_t traceparent_chars = 55; ///< Of version 00, the one that is sent.
inline constexpr std::size_t tracestate_members_max = 32;
inline constexpr std::size_t tracestate_key_chars_max = 256;
inline constexpr std::size_t tracestate_value_chars_max = 256;
/// Longest text that a parsed tracestate can have.
inline constexpr std::size_t tracestate_chars_max =
    tracestate_members_max * (tracestate_key_chars_max + 1 + tracestate_value_chars_max + 1) - 1;

/// Reads one traceparent value; blanks around it are allowed. The result is remote, and only the flags that are
/// known here survive. A version above 00 is read as far as it is understood.
/// Errors: header_malformed for anything else, a comma (two values joined) included.
/// Threads: any. Cost: no allocation.
/// Source: W3C Trace Context, "traceparent Header".
[[nodiscard]] Result<SpanContext> parse_traceparent(std::string_view value) noexcept;

/// The value of version 00. Bits that are not known here are sent as 0. No terminator.
/// Threads: any. Cost: no allocation.
[[nodiscard]] std::array<char, traceparent_chars> format_traceparent(
    const SpanContext& context) noexcept;

/// Reads a whole tracestate: one header line, or several in the order in which they came. Empty members are left
/// out, blanks around members too; of members with the same key the first is kept. No members is not an error.
/// Errors: header_malformed if any member is bad or there are more than 32, because half of a vendor's state is
/// worse than none.
/// Threads: any. Cost: one allocation, none when empty.
/// Source: W3C Trace Context level 2, "tracestate Header".
[[nodiscard]] Result<TraceState> parse_tracestate(std::string_view line) noexcept;
[[nodiscard]] Result<TraceState> parse_tracestate(std::span<const std::string_view> lines) noexcept;

/// Takes the lines of a tracestate one by one; `parse_tracestate` in steps, for carriers that are visited.
/// Lifetime: a line is copied before `add_line` returns.
class TraceStateParser {
public:
    // The text is left uninitialised on purpose: 16 KiB that are nearly always unused.
    TraceStateParser() noexcept {} // NOLINT(modernize-use-equals-default)

    void add_line(std::string_view line) noexcept;
    [[nodiscard]] Result<TraceState> finish() const noexcept;

private:
    bool add_member(std::string_view member) noexcept;
    [[nodiscard]] bool has_key(std::string_view key) const noexcept;

    struct Key {
        std::uint16_t offset;
        std::uint16_t chars;
    };
    static_assert(tracestate_chars_max < 65536, "offsets are 16 bits");

    std::size_t members_ = 0; // Duplicates included, for the limit counts what was sent.
    std::size_t keys_ = 0;
    std::size_t chars_ = 0;
    bool bad_ = false;
    std::array<Key, tracestate_members_max> key_;
    std::array<char, tracestate_chars_max> text_;
};

} // namespace weft::w3c
