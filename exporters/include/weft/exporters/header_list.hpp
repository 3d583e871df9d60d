#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct HeaderField {
    std::string name;
    std::string value;

    friend bool operator==(const HeaderField&, const HeaderField&) = default;
};

/// What a header list said, and what was wrong with it.
struct HeaderList {
    /// In order of first appearance; the last value of a repeated name wins.
    std::vector<HeaderField> fields;
    /// One line for each pair left out. Names the key, never the value.
    std::vector<std::string> errors;
};

/// Reads `name1=value1,name2=value2`, the format of OTEL_EXPORTER_OTLP_HEADERS: blanks around names
/// and values are trimmed, values are percent-decoded. A bad pair is left out and reported; the
/// others are kept. Reported are: no '=', a name that is not an HTTP token, a name that the
/// exporter sets itself, a bad percent sequence, an unencoded ';', control characters in the value,
/// and everything beyond 64 headers or 16 KiB of text.
/// Source: OTLP exporter specification, "Specifying headers via environment variables".
[[nodiscard]] HeaderList parse_header_list(std::string_view text);

/// The first reason why a header may not be sent, or empty. Never holds the value.
[[nodiscard]] std::string problem_in(const HeaderField& field);

namespace detail {

/// Text with each %XX replaced by its byte; nothing where a '%' begins no such sequence. Source: RFC 3986, 2.1.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

} // namespace detail

} // namespace weft
