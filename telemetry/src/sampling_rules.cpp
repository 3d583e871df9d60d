#include "sampling_rules.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/adaptive_sampler.hpp>
#include <weft/signals/rate_limit_sampler.hpp>
#include <weft/signals/rule_sampler.hpp>
#include <weft/signals/span.hpp>

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace weft::detail {
namespace {

constexpr std::size_t rules_max = 64; // Each span may be compared with all of them.

std::string_view trim(std::string_view text) noexcept {
    constexpr std::string_view blanks = " \t\r\n";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) { return {}; }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Cuts the text before the first separator off and returns it, without the blanks around.
std::string_view take_until(std::string_view& rest, char separator) noexcept {
    const auto at = std::min(rest.find(separator), rest.size());
    const auto taken = rest.substr(0, at);
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return trim(taken);
}

std::optional<double> read_number(std::string_view text) noexcept {
    double number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end) { return std::nullopt; }
    return number;
}

std::optional<SpanKind> read_kind(std::string_view text) noexcept {
    constexpr std::array<std::pair<std::string_view, SpanKind>, 5> kinds{{
        {"internal", SpanKind::internal},
        {"server", SpanKind::server},
        {"client", SpanKind::client},
        {"producer", SpanKind::producer},
        {"consumer", SpanKind::consumer},
    }};
    for (const auto& [name, kind] : kinds) {
        if (name == text) { return kind; }
    }
    return std::nullopt;
}

// The N of `word(N)`.
std::optional<double> argument_of(std::string_view text, std::string_view word) noexcept {
    if (!text.starts_with(word) || !text.ends_with(')')) { return std::nullopt; }
    return read_number(trim(text.substr(word.size(), text.size() - word.size() - 1)));
}

std::optional<Sampler> read_sampler(std::string_view text, std::string& problem) {
    if (text == "on") { return Sampler::always_on(); }
    if (text == "off") { return Sampler::always_off(); }
    if (const auto target = argument_of(text, "adaptive(")) {
        const AdaptiveSampling options{.target_per_second = *target};
        problem = problem_in(options);
        return problem.empty() ? std::optional(adaptive_sampler(options)) : std::nullopt;
    }
    if (const auto rate = argument_of(text, "rate_limit(")) {
        const RateLimit limit{.per_second = *rate};
        problem = problem_in(limit);
        return problem.empty() ? std::optional(rate_limit_sampler(limit)) : std::nullopt;
    }
    if (const auto ratio = read_number(text); ratio && *ratio >= 0 && *ratio <= 1) {
        return Sampler::probability(*ratio);
    }
    problem = fmt::format(
        "\"{}\" is no sampler: allowed is on, off, a ratio from 0 to 1, adaptive(N), rate_limit(N)",
        printable(text, 100));
    return std::nullopt;
}

bool read_condition(std::string_view text, SamplingRule& rule, std::string& problem) {
    const auto equals = text.find('=');
    const auto key = trim(text.substr(0, equals));
    if (equals == std::string_view::npos || key.empty()) {
        problem = fmt::format(
            "\"{}\" is no condition: allowed is key=pattern, or * alone", printable(text, 100));
        return false;
    }
    const auto value = trim(text.substr(equals + 1));
    if (key == "name") {
        rule.name = value;
    } else if (key == "kind") {
        rule.kind = read_kind(value);
        if (!rule.kind) {
            problem = fmt::format(
                "\"{}\" is no span kind: allowed is internal, server, client, producer, consumer",
                printable(value, 100));
            return false;
        }
    } else {
        rule.attributes.push_back({std::string(key), std::string(value)});
    }
    return true;
}

std::optional<SamplingRule> read_rule(std::string_view text, std::string& problem) {
    constexpr std::string_view arrow = "->";
    const auto at = text.find(arrow);
    if (at == std::string_view::npos) {
        problem = fmt::format("\"{}\" has no ->", printable(text, 100));
        return std::nullopt;
    }
    SamplingRule rule;
    auto conditions = trim(text.substr(0, at));
    if (conditions.empty()) {
        problem = "there is no condition before ->";
        return std::nullopt;
    }
    if (conditions == "*") { conditions = {}; }
    while (!conditions.empty()) { // Bound: each turn takes one condition off.
        if (!read_condition(take_until(conditions, ','), rule, problem)) { return std::nullopt; }
    }
    auto sampler = read_sampler(trim(text.substr(at + arrow.size())), problem);
    if (!sampler) { return std::nullopt; }
    rule.sampler = std::move(*sampler);
    return rule;
}

} // namespace

std::optional<Sampler> parse_sampling_rules(std::string_view text, std::string& problem) {
    std::vector<SamplingRule> rules;
    while (!text.empty()) { // Bound: rules_max.
        const auto part = take_until(text, ';');
        if (part.empty()) { continue; }
        if (rules.size() == rules_max) {
            problem = fmt::format("there are more than {} rules", rules_max);
            return std::nullopt;
        }
        auto rule = read_rule(part, problem);
        if (!rule) {
            problem = fmt::format("rule {}: {}", rules.size() + 1, problem);
            return std::nullopt;
        }
        rules.push_back(std::move(*rule));
    }
    if (rules.empty()) {
        problem = "there is no rule";
        return std::nullopt;
    }
    return rule_sampler(std::move(rules), Sampler::always_on());
}

} // namespace weft::detail
