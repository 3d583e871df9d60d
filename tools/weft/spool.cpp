// weft spool inspect: what lies in a spool. Reads only, so that it works while a program owns it.
#include "spool.hpp"

#include "commands.hpp"
#include "options.hpp"

#include <weft/exporters/spool_inspection.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

namespace weft::cli {
namespace {

struct InspectOptions {
    std::string directory;
    bool json = false;
};

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : printable(text, 4096)) {
        if (c == '"' || c == '\\') { out += '\\'; }
        out += c;
    }
    return out + '"';
}

std::string time_text(std::int64_t ns) {
    return fmt::format(
        "{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(ns / 1'000'000'000)));
}

std::string json_of(const SpoolAmount& amount) {
    return fmt::format(R"({{"batches":{},"records":{}}})", amount.batches, amount.records);
}

std::string json_of(const SpoolInspection& spool) {
    std::string segments;
    for (const auto& segment : spool.segments) {
        segments += fmt::format(
            R"({}{{"name":{},"bytes":{},"waiting":{},"settled":{},"corrupt_ranges":{},"corrupt_bytes":{}}})",
            segments.empty() ? "" : ",", quoted(segment.name), segment.bytes,
            json_of(segment.waiting), json_of(segment.settled), segment.corrupt_ranges,
            segment.corrupt_bytes);
    }
    std::string signals;
    for (const Signal signal : all_signals) {
        signals += fmt::format(
            R"({}{}:{})", signals.empty() ? "" : ",", quoted(name(signal)),
            json_of(spool.waiting_by_signal[static_cast<std::size_t>(signal)]));
    }
    return fmt::format(
        R"({{"directory":{},"owner":{},"bytes":{},"waiting":{},"waiting_by_signal":{{{}}},"lost":{},)"
        R"("corrupt_ranges":{},"corrupt_bytes":{},"torn_bytes":{},"cursor_readable":{},)"
        R"("oldest_unix_ns":{},"segments":[{}]}})",
        quoted(spool.directory), spool.owner, spool.bytes, json_of(spool.waiting), signals,
        json_of(spool.lost), spool.corrupt_ranges, spool.corrupt_bytes, spool.torn_bytes,
        spool.is_cursor_readable, spool.oldest_ns, segments);
}

void print(const SpoolInspection& spool) {
    fmt::print(
        "{}\n  owner    {}\n", printable(spool.directory, 4096),
        spool.owner != 0 ? fmt::format("process {}", spool.owner) : "none");
    fmt::print("  waiting  {} batches, {} records", spool.waiting.batches, spool.waiting.records);
    for (const Signal signal : all_signals) {
        const auto& amount = spool.waiting_by_signal[static_cast<std::size_t>(signal)];
        if (amount.batches != 0) { fmt::print(", {} {}", name(signal), amount.records); }
    }
    fmt::print("\n");
    if (spool.oldest_ns != 0) { fmt::print("  oldest   {}\n", time_text(spool.oldest_ns)); }
    fmt::print("  on disk  {} bytes in {} segments\n", spool.bytes, spool.segments.size());
    if (spool.lost.batches != 0 || spool.corrupt_ranges != 0) {
        fmt::print(
            "  corrupt  {} places of {} bytes; known to be lost: {} batches, {} records\n",
            spool.corrupt_ranges, spool.corrupt_bytes, spool.lost.batches, spool.lost.records);
    }
    if (spool.torn_bytes != 0) {
        fmt::print("  torn     {} bytes of a write that is not finished\n", spool.torn_bytes);
    }
    if (!spool.is_cursor_readable) {
        fmt::print("  cursor   not readable: what was sent of the oldest segment is sent again\n");
    }
    if (spool.segments.empty()) { return; }
    fmt::print(
        "\n  {:<28}  {:>12}  {:>9}  {:>9}  {:>9}  {:>7}\n", "segment", "bytes", "settled",
        "waiting", "records", "corrupt");
    for (const auto& segment : spool.segments) {
        fmt::print(
            "  {:<28}  {:>12}  {:>9}  {:>9}  {:>9}  {:>7}\n", segment.name, segment.bytes,
            segment.settled.batches, segment.waiting.batches, segment.waiting.records,
            segment.corrupt_ranges);
    }
}

int inspect(std::span<const char* const> arguments) {
    InspectOptions options;
    const std::array<Option, 1> all{{
        {"--json", "", "print JSON, an array with an object a spool",
         [&](std::string_view) { return options.json = true; }},
    }};
    const Usage usage{
        .command = "spool inspect DIR",
        .summary = "Shows what waits in a spool, or in all spools below a directory. Reads only: a "
                   "program may own it.",
        .options = all};
    if (const auto status = parse_with_directory(usage, arguments, options.directory)) {
        return *status;
    }
    const auto directories = find_spools(options.directory);
    if (directories.empty()) { return no_spool("inspect", options.directory); }
    int status = exit_done;
    std::string json;
    for (const auto& directory : directories) {
        const auto spool = inspect_spool(directory);
        if (!spool) {
            fmt::print(
                stderr, "weft spool inspect: cannot read {}: {}\n", directory,
                spool.error().message());
            status = exit_failed;
        } else if (options.json) {
            json += (json.empty() ? "" : ",\n ") + json_of(*spool);
        } else {
            if (&directory != &directories.front()) { fmt::print("\n"); }
            print(*spool);
        }
    }
    if (options.json) { fmt::print("[{}]\n", json); }
    return status;
}

void print_help() {
    fmt::print("usage: weft spool COMMAND DIR [options]\n\ncommands:\n"
               "  inspect  show what waits in a spool\n"
               "  replay   send it all to an OTLP/HTTP receiver\n\n"
               "'weft spool COMMAND --help' lists a command's options\n");
}

} // namespace

std::optional<int> parse_with_directory(
    const Usage& usage, std::span<const char* const> arguments, std::string& directory) {
    std::vector<const char*> rest;
    for (const char* argument : arguments) {
        // A value of an option never comes first, and the directory always does.
        if (rest.empty() && directory.empty() && *argument != '-') {
            directory = argument;
        } else {
            rest.push_back(argument);
        }
    }
    if (const auto status = parse(usage, rest)) { return status; }
    if (!directory.empty()) { return std::nullopt; }
    fmt::print(stderr, "weft {}: no directory given; name it before all options\n", usage.command);
    return exit_usage;
}

int no_spool(std::string_view command, std::string_view directory) {
    fmt::print(
        stderr,
        "weft spool {}: there is no spool in {}; give the directory that the program was told to "
        "use\n",
        command, printable(directory, 4096));
    return exit_failed;
}

int spool(std::span<const char* const> arguments) {
    const std::string_view name = arguments.empty() ? "" : arguments.front();
    if (name == "inspect") { return inspect(arguments.subspan(1)); }
    if (name == "replay") { return replay_spool(arguments.subspan(1)); }
    if (name == "--help" || name == "-h") {
        print_help();
        return exit_done;
    }
    fmt::print(
        stderr, "weft spool: {}; see 'weft spool --help'\n",
        name.empty() ? std::string("inspect or replay?")
                     : fmt::format("unknown command '{}'", printable(name, 200)));
    return exit_usage;
}

} // namespace weft::cli
