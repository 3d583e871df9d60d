#include "environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace weft::detail {
namespace {

std::string whole_number(std::int64_t low, std::int64_t high, std::string_view unit) {
    return fmt::format("allowed is a whole number from {} to {}{}", low, high, unit);
}

} // namespace

std::string lowercase(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') { c = static_cast<char>(c - 'A' + 'a'); }
    }
    return lower;
}

std::string_view trim(std::string_view text) {
    const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_blank(text.front())) { text.remove_prefix(1); }
    while (!text.empty() && is_blank(text.back())) { text.remove_suffix(1); }
    return text;
}

std::string printable_url(std::string_view text) {
    // Everything before an '@' may be a password, even where the URL is too broken to say so.
    std::string shown;
    if (const auto at = text.rfind('@'); at != std::string_view::npos) {
        const auto colon = text.find(':');
        const bool has_scheme = colon < at && text.substr(colon, 3) == "://";
        shown = std::string(text.substr(0, has_scheme ? colon + 3 : 0)) + "***";
        text.remove_prefix(at);
    }
    const auto query = text.find('?');
    shown += text.substr(0, query);
    if (query != std::string_view::npos) { shown += "?***"; }
    return shown;
}

std::optional<std::string> EnvironmentReader::text(const char* name) {
    constexpr std::size_t bytes_max =
        128 * 1024; // What Linux lets one variable of a new process be.
    const char* value = environment_(name);
    if (value == nullptr) { return std::nullopt; }
    std::string_view trimmed(value);
    if (trimmed.size() > bytes_max) {
        report_line(
            fmt::format("{}: allowed is a value of up to 128 KiB; it counts as unset", name));
        return std::nullopt;
    }
    trimmed = trim(trimmed);
    if (trimmed.empty()) { return std::nullopt; }
    return std::string(trimmed);
}

bool EnvironmentReader::boolean(const char* name) {
    const auto value = text(name);
    if (!value) { return false; }
    const auto lower = lowercase(*value);
    if (lower != "true" && lower != "false") {
        report(name, *value, "allowed is true or false; it counts as false");
    }
    return lower == "true";
}

std::optional<std::int64_t> EnvironmentReader::integer(
    const char* name, std::int64_t low, std::int64_t high, std::string_view unit) {
    const auto value = text(name);
    if (!value) { return std::nullopt; }
    return number(name, *value, low, high, whole_number(low, high, unit));
}

std::optional<std::int64_t> EnvironmentReader::integer_up_to(
    const char* name, std::int64_t low, std::int64_t most, std::string_view unit) {
    const auto value = text(name);
    if (!value) { return std::nullopt; }
    const auto allowed = whole_number(low, most, unit);
    constexpr std::int64_t valid_max = std::numeric_limits<std::int32_t>::max();
    const auto asked = number(name, *value, low, valid_max, allowed);
    if (!asked || *asked <= most) { return asked; }
    report(name, *value, fmt::format("{}; {} is used", allowed, most));
    return most;
}

std::optional<std::chrono::milliseconds> EnvironmentReader::milliseconds_up_to(
    const char* name, std::int64_t low, std::int64_t most) {
    const auto ms = integer_up_to(name, low, most, " ms");
    return ms ? std::optional(std::chrono::milliseconds(*ms)) : std::nullopt;
}

std::optional<std::int64_t> EnvironmentReader::number(
    const char* name, std::string_view text, std::int64_t low, std::int64_t high,
    std::string_view allowed) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end || number < low || number > high) {
        report(name, text, fmt::format("{}; it counts as unset", allowed));
        return std::nullopt;
    }
    return number;
}

std::optional<double> EnvironmentReader::ratio(const char* name) {
    const auto value = text(name);
    if (!value) { return std::nullopt; }
    double number = 0;
    const char* const end = value->data() + value->size();
    const auto parsed = std::from_chars(value->data(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end || !(number >= 0.0 && number <= 1.0)) {
        report(name, *value, "allowed is a number from 0 to 1; 1 is used");
        return std::nullopt;
    }
    return number;
}

double EnvironmentReader::number(const char* name, double low, double high, double fallback) {
    const auto value = text(name);
    if (!value) { return fallback; }
    double number = 0;
    const char* const end = value->data() + value->size();
    const auto parsed = std::from_chars(value->data(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end || !(number >= low && number <= high)) {
        report(
            name, *value,
            fmt::format("allowed is a number from {} to {}; {} is used", low, high, fallback));
        return fallback;
    }
    return number;
}

std::optional<std::string> EnvironmentReader::choice(
    const char* name, const std::vector<std::string_view>& allowed) {
    const auto value = text(name);
    if (!value) { return std::nullopt; }
    auto lower = lowercase(*value);
    if (std::find(allowed.begin(), allowed.end(), lower) == allowed.end()) {
        report(
            name, *value,
            fmt::format("allowed is {}; it counts as unset", fmt::join(allowed, ", ")));
        return std::nullopt;
    }
    return lower;
}

std::optional<std::vector<std::string>> EnvironmentReader::choices(
    const char* name, const std::vector<std::string_view>& allowed) {
    const auto list = text(name);
    if (!list) { return std::nullopt; }
    std::vector<std::string> chosen;
    bool none = false;
    std::string_view rest = *list;
    while (!rest.empty()) { // Bound: each turn takes one name off.
        const auto comma = std::min(rest.find(','), rest.size());
        auto one = lowercase(trim(rest.substr(0, comma)));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        if (one.empty()) { continue; }
        if (one == "none") {
            none = true;
        } else if (std::find(allowed.begin(), allowed.end(), one) == allowed.end()) {
            report(
                name, one,
                fmt::format(
                    "allowed is a list of {}, or none; this name is ignored",
                    fmt::join(allowed, ", ")));
        } else if (std::find(chosen.begin(), chosen.end(), one) == chosen.end()) {
            chosen.push_back(std::move(one));
        }
    }
    if (none && !chosen.empty()) { report(name, *list, "none stands alone; the others are used"); }
    if (chosen.empty() && !none) { return std::nullopt; }
    return chosen;
}

void EnvironmentReader::report(
    std::string_view name, std::string_view value, std::string_view remedy, DiagnosticLevel level) {
    problems_.push_back({fmt::format("{}=\"{}\": {}", name, printable(value, 200), remedy), level});
}

bool wants_ledger() {
    const Environment environment = [](const char* name) { return std::getenv(name); };
    std::vector<EnvironmentReader::Problem> problems;
    const bool wanted =
        EnvironmentReader(environment, problems).choice("WEFT_LEDGER", {"json"}).has_value();
    for (const auto& problem : problems) {
        diagnostics().report(problem.level, "runtime.ledger", problem.line);
    }
    return wanted;
}

} // namespace weft::detail
