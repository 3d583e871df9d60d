#pragma once
#include <weft/telemetry/options.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

/// Typed reading of environment variables by the specification's rules: empty is unset, a bad value is one line and
/// then unset, text is compared in any letter case.
class EnvironmentReader {
public:
    EnvironmentReader(const Environment& environment, std::vector<std::string>& problems)
        : environment_(environment), problems_(problems) {}

    /// Blanks around it are cut off. Longer than the kernel lets a variable be: reported, and unset.
    [[nodiscard]] std::optional<std::string> text(const char* name);
    /// true only for "true"; anything else but "false" is reported.
    [[nodiscard]] bool boolean(const char* name);
    [[nodiscard]] std::optional<std::int64_t> integer(
        const char* name, std::int64_t low, std::int64_t high, std::string_view unit);
    [[nodiscard]] std::optional<double> ratio(const char* name);
    /// One of `allowed`, lowercase.
    [[nodiscard]] std::optional<std::string> choice(
        const char* name, const std::vector<std::string_view>& allowed);

    void report(std::string_view name, std::string_view value, std::string_view remedy);
    void report_line(std::string line) { problems_.push_back(std::move(line)); }

private:
    const Environment& environment_;
    std::vector<std::string>& problems_;
};

[[nodiscard]] std::string lowercase(std::string_view text);

/// A URL, good or bad, for messages: what may be a password or a key is hidden.
[[nodiscard]] std::string printable_url(std::string_view text);

} // namespace weft::detail
