#pragma once
#include <weft/telemetry/options.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

inline constexpr std::int64_t day_ms = 86'400'000;

/// Typed reading of environment variables by the specification's rules: empty is unset, a bad value is one line and
/// then unset, text is compared in any letter case.
class EnvironmentReader {
public:
    struct Problem {
        std::string line;
        DiagnosticLevel level = DiagnosticLevel::warning;
    };

    EnvironmentReader(const Environment& environment, std::vector<Problem>& problems)
        : environment_(environment), problems_(problems) {}

    /// Blanks around it are cut off. Longer than the kernel lets a variable be: reported, and unset.
    [[nodiscard]] std::optional<std::string> text(const char* name);
    /// true only for "true"; anything else but "false" is reported.
    [[nodiscard]] bool boolean(const char* name);
    [[nodiscard]] std::optional<std::int64_t> integer(
        const char* name, std::int64_t low, std::int64_t high, std::string_view unit);
    /// As above for a number from `low` to 2^31 - 1, of which no more than `most` can be used: more is reported, and is
    /// `most`. Source: environment variable specification, "Type-specific guidance": integers of that size are valid.
    [[nodiscard]] std::optional<std::int64_t> integer_up_to(
        const char* name, std::int64_t low, std::int64_t most, std::string_view unit);
    [[nodiscard]] std::optional<std::chrono::milliseconds> milliseconds_up_to(
        const char* name, std::int64_t low, std::int64_t most);
    [[nodiscard]] std::optional<double> ratio(const char* name);
    /// A number from `low` to `high`; anything else is reported, and `fallback` taken, as it is when unset.
    [[nodiscard]] double number(const char* name, double low, double high, double fallback);
    /// One of `allowed`, lowercase.
    [[nodiscard]] std::optional<std::string> choice(
        const char* name, const std::vector<std::string_view>& allowed);
    /// A list of `allowed`, each once; empty for "none". A name that is not allowed is reported and left out alone; unset
    /// if nothing is left.
    [[nodiscard]] std::optional<std::vector<std::string>> choices(
        const char* name, const std::vector<std::string_view>& allowed);

    void report(
        std::string_view name, std::string_view value, std::string_view remedy,
        DiagnosticLevel level = DiagnosticLevel::warning);
    void report_line(std::string line) { problems_.push_back({std::move(line)}); }

private:
    // What `text` gives as a number within the range; anything else is reported.
    std::optional<std::int64_t> number(
        const char* name, std::string_view text, std::int64_t low, std::int64_t high,
        std::string_view allowed);

    const Environment& environment_;
    std::vector<Problem>& problems_;
};

/// The options, and what is wrong with the variables, each with the level that it deserves in a log.
[[nodiscard]] Options read_options(
    const Environment& environment, std::vector<EnvironmentReader::Problem>& problems);

/// Without blanks around it.
[[nodiscard]] std::string_view trim(std::string_view text);
[[nodiscard]] std::string lowercase(std::string_view text);

/// A URL, good or bad, for messages: what may be a password or a key is hidden.
[[nodiscard]] std::string printable_url(std::string_view text);

/// Whether WEFT_LEDGER asks for the ledger at the end of a run. Ask before it, so that a typing error is known at its start
/// and not by the missing line at its end: what is wrong is reported. Errors: std::bad_alloc.
[[nodiscard]] bool wants_ledger();

} // namespace weft::detail
