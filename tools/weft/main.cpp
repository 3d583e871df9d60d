#include "commands.hpp"
#include "options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>

namespace weft::cli {
namespace {

constexpr std::array<Command, 6> commands{{
    {"doctor", "find out why telemetry does not reach a collector", &doctor},
    {"receive", "receive traces, metrics and logs over OTLP/HTTP and print the traces", &receive},
    {"replay", "send lines of OTLP/JSON from files to a receiver", &replay},
    {"ring", "inspect what the files of durable rings hold", &ring},
    {"spool", "inspect what waits on disk, or send it", &spool},
    {"tune", "measure a collector and propose settings for it", &tune},
}};

void print_help() {
    fmt::print("usage: weft COMMAND [options]\n\ncommands:\n");
    for (const Command& command : commands) {
        fmt::print("  {:<10}  {}\n", command.name, command.summary);
    }
    fmt::print(
        "\n'weft COMMAND --help' lists a command's options; 'weft --version' prints the version\n");
}

int run(std::span<const char* const> arguments) {
    if (arguments.empty()) {
        fmt::print(stderr, "weft: no command given; see 'weft --help'\n");
        return exit_usage;
    }
    const std::string_view name = arguments.front();
    if (name == "--help" || name == "-h" || name == "help") {
        print_help();
        return exit_done;
    }
    if (name == "--version") {
        fmt::print("weft {}\n", WEFT_VERSION);
        return exit_done;
    }
    const auto command =
        std::find_if(commands.begin(), commands.end(), [&](const Command& candidate) {
            return candidate.name == name;
        });
    if (command == commands.end()) {
        fmt::print(
            stderr, "weft: unknown {} '{}'; see 'weft --help'\n",
            name.starts_with('-') ? "option" : "command", name);
        return exit_usage;
    }
    return command->run(arguments.subspan(1));
}

} // namespace
} // namespace weft::cli

int main(int argument_count, char** arguments) {
    try {
        const std::span all(arguments, static_cast<std::size_t>(argument_count));
        return weft::cli::run(all.subspan(all.empty() ? 0 : 1));
    } catch (const std::exception& error) {
        fmt::print(stderr, "weft: {}\n", error.what());
        return weft::cli::exit_failed;
    }
}
