#include "options.hpp"

#include "environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace weft::cli {
namespace {

void print_help(const Usage& usage) {
    fmt::print("usage: weft {} [options]\n{}\n\noptions:\n", usage.command, usage.summary);
    const auto line = [](std::string_view left, std::string_view help) {
        fmt::print("  {:<24}  {}\n", left, help);
    };
    for (const Option& option : usage.options) {
        line(
            option.value.empty() ? std::string(option.name)
                                 : fmt::format("{} {}", option.name, option.value),
            option.help);
    }
    line("--help", "this text");
}

int mistake(const Usage& usage, std::string_view text) {
    fmt::print(stderr, "weft {}: {}; see 'weft {} --help'\n", usage.command, text, usage.command);
    return exit_usage;
}

} // namespace

std::optional<int> parse(const Usage& usage, std::span<const char* const> arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        const auto equals = argument.find('=');
        const std::string_view name = argument.substr(0, equals);
        if (argument == "--help" || argument == "-h") {
            print_help(usage);
            return exit_done;
        }
        const auto option =
            std::find_if(usage.options.begin(), usage.options.end(), [&](const Option& candidate) {
                return candidate.name == name;
            });
        if (option == usage.options.end()) {
            return mistake(usage, fmt::format("unknown option '{}'", argument));
        }
        std::string_view value;
        if (option->value.empty()) {
            if (equals != std::string_view::npos) {
                return mistake(usage, fmt::format("{} takes no value", name));
            }
        } else if (equals != std::string_view::npos) {
            value = argument.substr(equals + 1);
        } else if (i + 1 < arguments.size()) {
            value = arguments[++i];
        } else {
            return mistake(usage, fmt::format("{} needs a value: {}", name, option->allowed));
        }
        if (!option->take(value)) {
            const auto shown = option->is_secret
                                   ? std::string()
                                   : fmt::format("is '{}' and ", detail::printable_url(value));
            return mistake(usage, fmt::format("{} {}must be {}", name, shown, option->allowed));
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> number(
    std::string_view text, std::uint64_t lowest, std::uint64_t highest) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) { return std::nullopt; }
    if (value < lowest || value > highest) { return std::nullopt; }
    return value;
}

} // namespace weft::cli
