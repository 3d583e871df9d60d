#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weft::cli {

/// Exit statuses that every command shares.
inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

/// One option of a command.
struct Option {
    std::string_view name;  ///< "--port"
    std::string_view value; ///< What the help calls its value; empty for a switch.
    std::string_view help;
    /// Takes the value, which is empty for a switch. False when it is not one of `allowed`.
    std::function<bool(std::string_view)> take;
    std::string_view allowed = {}; ///< For the error: "a number from 0 to 65535".
    bool is_secret =
        false; ///< The error does not repeat the value; of any other it hides a URL's password.
};

/// A command's name, what it is for, and its options.
struct Usage {
    std::string_view command;
    std::string_view summary;
    std::span<const Option> options;
};

/// Reads `--name value`, `--name=value` and `--name`. Returns what to exit with, or nothing to go
/// on: after --help, which goes to stdout, and after a mistake, which is named on stderr in one
/// line together with its remedy.
[[nodiscard]] std::optional<int> parse(const Usage& usage, std::span<const char* const> arguments);

/// A number within bounds; the whole text or nothing.
[[nodiscard]] std::optional<std::uint64_t> number(
    std::string_view text, std::uint64_t lowest, std::uint64_t highest);

/// As Option::take wants it: a number within bounds goes to `target`, which anything else leaves as it is.
template <class Target>
[[nodiscard]] bool take_number(
    Target& target, std::string_view text, std::uint64_t lowest, std::uint64_t highest) {
    const auto value = number(text, lowest, highest);
    if (value) { target = static_cast<Target>(*value); }
    return value.has_value();
}

} // namespace weft::cli
