#include "ascii.hpp"

#include <weft/exporters/header_list.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace weft {
namespace detail {
namespace {

int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') { return c - '0'; }
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

} // namespace

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i]);
            continue;
        }
        if (i + 2 >= text.size()) { return std::nullopt; }
        const int high = hex_value(text[i + 1]);
        const int low = hex_value(text[i + 2]);
        if (high < 0 || low < 0) { return std::nullopt; }
        out.push_back(static_cast<char>(high * 16 + low));
        i += 2;
    }
    return out;
}

} // namespace detail

namespace {

constexpr std::size_t text_bytes_max = 16 * 1024;
constexpr std::size_t fields_max = 64;
constexpr std::size_t name_bytes_shown = 64;

// Set by the exporter itself, or they would change how the message is framed.
constexpr std::array<std::string_view, 11> reserved_names{"connection",     "content-encoding",
                                                          "content-length", "content-type",
                                                          "expect",         "host",
                                                          "keep-alive",     "te",
                                                          "trailer",        "transfer-encoding",
                                                          "upgrade"};

using detail::lower;
using detail::percent_decode;
using detail::same_name;

std::string_view trim(std::string_view text) noexcept {
    constexpr std::string_view blanks = " \t";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) { return {}; }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// RFC 9110, "Tokens".
bool is_token(std::string_view text) noexcept {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [marks](char c) noexcept {
        return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
               marks.find(c) != std::string_view::npos;
    });
}

// Only a name that can be one is shown: anything else may be the tail of a value that held a comma.
std::string quoted(std::string_view name) {
    if (!is_token(name)) { return "header"; }
    return "header \"" + printable(name, name_bytes_shown) + "\"";
}

// Reads one pair into `list`. Answers what is wrong with it, or nothing.
std::string read_pair(std::string_view pair, HeaderList& list) {
    const auto equals = pair.find('=');
    // The text of a pair without '=' is not shown: it is likely the tail of a value that held a
    // comma.
    if (equals == std::string_view::npos) { return "no '=' (a ',' inside a value is written %2C)"; }
    const std::string_view key = trim(pair.substr(0, equals));
    const std::string_view raw = trim(pair.substr(equals + 1));
    if (raw.find(';') != std::string_view::npos) {
        return quoted(key) + ": ';' has no meaning here; inside a value it is written %3B";
    }
    auto value = percent_decode(raw);
    if (!value) {
        return quoted(key) +
               ": '%' is not followed by two hex digits; a literal '%' is written %25";
    }
    HeaderField field{std::string(key), std::move(*value)};
    if (auto problem = problem_in(field); !problem.empty()) { return problem; }
    for (auto& known : list.fields) {
        if (same_name(known.name, field.name)) {
            known.value = std::move(field.value);
            return {};
        }
    }
    if (list.fields.size() == fields_max) { return quoted(key) + ": more than 64 headers"; }
    list.fields.push_back(std::move(field));
    return {};
}

} // namespace

std::string problem_in(const HeaderField& field) {
    // Not shown: it may be the tail of a value that held a comma.
    if (!is_token(field.name)) { return "the text before '=' is not a valid header name"; }
    for (const auto reserved : reserved_names) {
        if (same_name(field.name, reserved)) {
            return quoted(field.name) + ": set by the exporter itself";
        }
    }
    const bool plain = std::all_of(field.value.begin(), field.value.end(), [](char c) noexcept {
        return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    });
    if (!plain) { return quoted(field.name) + ": control characters in the value"; }
    return {};
}

HeaderList parse_header_list(std::string_view text) {
    HeaderList list;
    if (text.size() > text_bytes_max) {
        list.errors.emplace_back("more than 16 KiB of headers");
        return list;
    }
    std::size_t number = 0;
    for (std::size_t begin = 0; begin <= text.size();) { // Each round moves past one comma.
        const auto end = std::min(text.find(',', begin), text.size());
        const std::string_view pair = trim(text.substr(begin, end - begin));
        ++number;
        begin = end + 1;
        if (pair.empty()) { continue; } // "a=1,,b=2" and a trailing comma are harmless.
        if (auto problem = read_pair(pair, list); !problem.empty()) {
            list.errors.push_back("pair " + std::to_string(number) + ": " + problem);
        }
    }
    return list;
}

} // namespace weft
