#pragma once
#include <weft/viewer/trace_store.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft::viewer {

/// How a trace is printed.
struct TextOptions {
    bool colour = false;              ///< ANSI escapes; for terminals only.
    std::size_t lines_max = 200;      ///< Spans shown; the rest is counted in a last line.
    std::size_t depth_max = 40;       ///< Levels drawn; deeper spans stay at the last one.
    std::size_t attributes_max = 6;   ///< Per span or event; the rest is counted.
    std::size_t events_max = 8;       ///< Per span; the rest is counted.
    std::size_t name_chars_max = 100; ///< Of a service, a name or an error text.
    std::size_t value_chars_max = 60; ///< Of an attribute's value.
};

/// The trace as a tree across services: a headline, then one line a span with its start within the
/// trace, its duration, service, name, kind, outcome and main attributes, and below it one line for
/// each of its events, recorded exceptions among them. Siblings are in order of start. Control characters are escaped, so that a sender cannot reach the terminal. The same
/// spans give the same text, whatever order they came in.
[[nodiscard]] std::string format_trace(const StoredTrace& trace, const TextOptions& options = {});

/// As people write it, four digits at most: "850 ns", "12.3 us", "1.25 s".
[[nodiscard]] std::string format_duration(std::uint64_t nanoseconds);

/// Valid UTF-8 without control characters, of at most `chars_max` characters; longer text ends in
/// "...".
[[nodiscard]] std::string printable(std::string_view text, std::size_t chars_max);

} // namespace weft::viewer
