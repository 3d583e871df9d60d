// weft ring inspect: what lies in the files of durable rings. It changes nothing in them, and takes a file's lock for no
// longer than it needs to see whether somebody has it.
#include "commands.hpp"
#include "options.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/orphan_rings.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace weft::cli {
namespace {

struct InspectOptions {
    std::string path; // Of a folder or one file; empty: the default folder.
    bool json = false;
};

struct Inspected {
    std::string name;
    std::string problem{}; // Empty: the rest is known.
    bool is_alive = false;
    std::string service{};
    std::string signal{};
    std::uint64_t pid = 0;
    std::int64_t age_s = 0;
    std::uint64_t records = 0;
    std::uint64_t half_written = 0;
    std::uint64_t unsettled_bytes = 0;
    std::uint64_t room_bytes = 0;
    std::uint64_t file_bytes = 0;
};

Inspected inspect_file(int folder, const std::string& name) {
    Inspected found{.name = name};
    const OrphanFile file(folder, name, OrphanFile::Purpose::inspect);
    if (file.state() == OrphanFile::State::gone) {
        found.problem = "it cannot be opened, or is another user's";
        return found;
    }
    found.is_alive = file.state() == OrphanFile::State::alive;
    found.file_bytes = file.file_bytes();
    const auto read_at = file.reader();
    const auto image = RingImage::read(file.file_bytes(), read_at, found.problem);
    if (!image) { return found; }
    const auto& header = image->header();
    const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    found.service = printable(image->service(), 200);
    found.signal = weft::name(static_cast<Signal>(header.signal));
    found.pid = header.pid;
    found.age_s = (now.count() - header.started_unix_ns) / 1'000'000'000;
    found.room_bytes = header.ring_capacity * header.shards;
    found.unsettled_bytes = image->unsettled_bytes(read_at);
    for (std::uint32_t shard = 0; shard < header.shards; ++shard) {
        auto ring = image->read_ring(shard, read_at);
        const auto counts = image->scan(ring, [](std::span<std::byte>, std::uint64_t) {});
        found.records += counts.committed;
        found.half_written += counts.half_written;
        if (ring.is_damaged && !found.is_alive) { found.problem = "a ring in it is damaged"; }
    }
    return found;
}

void print_text(const Inspected& file) {
    if (file.service.empty() && !file.problem.empty()) {
        fmt::print("{}\n  {}\n", printable(file.name, 255), file.problem);
        return;
    }
    fmt::print(
        "{}\n  {}, {} of {}, process {}, started {} s ago\n"
        "  {} records not settled, {} half written, {} of {} bytes{}{}\n",
        printable(file.name, 255), file.is_alive ? "alive" : "dead", file.signal, file.service,
        file.pid, file.age_s, file.records, file.half_written, file.unsettled_bytes,
        file.room_bytes, file.problem.empty() ? "" : "; ", file.problem);
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : printable(text, 255)) {
        if (c == '"' || c == '\\') { out += '\\'; }
        out += c;
    }
    return out + '"';
}

void print_json(const Inspected& file) {
    fmt::print(
        "{{\"file\": {}, \"problem\": {}, \"owner\": \"{}\", \"service\": {}, \"signal\": \"{}\", "
        "\"pid\": {}, \"age_s\": {}, \"records\": {}, \"half_written\": {}, \"unsettled_bytes\": "
        "{}, "
        "\"room_bytes\": {}, \"file_bytes\": {}}}\n",
        quoted(file.name), quoted(file.problem), file.is_alive ? "alive" : "dead",
        quoted(file.service), file.signal, file.pid, file.age_s, file.records, file.half_written,
        file.unsettled_bytes, file.room_bytes, file.file_bytes);
}

// On stderr: what reads the JSON lines wants nothing else.
void tell_empty(const std::string& directory) {
    fmt::print(stderr, "weft ring: no ring files in {}\n", printable(directory, 200));
}

int inspect(const InspectOptions& options) {
    const std::string path = options.path.empty() ? default_ring_directory() : options.path;
    std::string directory = path;
    std::vector<std::string> names;
    if (path.ends_with(".ring")) {
        const auto slash = path.rfind('/');
        directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
        names.push_back(slash == std::string::npos ? path : path.substr(slash + 1));
    }
    const int folder = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        if (errno == ENOENT && options.path.empty()) { // Nobody has any yet.
            tell_empty(directory);
            return exit_done;
        }
        fmt::print(
            stderr,
            "weft ring: cannot open {}: {}; give a folder with ring files, or one of them\n",
            printable(directory, 200), std::system_category().message(errno));
        return exit_failed;
    }
    bool failed = false;
    if (names.empty()) {
        names = ring_file_names(folder);
        if (names.empty()) { tell_empty(directory); }
    } else if (faccessat(folder, names[0].c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
        fmt::print(stderr, "weft ring: there is no file {}\n", printable(path, 200));
        failed = true;
        names.clear();
    }
    for (const auto& name : names) {
        const auto found = inspect_file(folder, name);
        options.json ? print_json(found) : print_text(found);
    }
    close(folder);
    return failed ? exit_failed : exit_done;
}

} // namespace

int ring(std::span<const char* const> arguments) {
    InspectOptions options;
    std::vector<const char*> named; // All but the subcommand and the path.
    bool has_command = false;
    for (const char* argument : arguments) {
        const std::string_view text = argument;
        if (text.starts_with('-')) {
            named.push_back(argument);
        } else if (!has_command) {
            if (text != "inspect") {
                fmt::print(
                    stderr, "weft ring: unknown subcommand '{}'; there is inspect\n",
                    printable(text, 200));
                return exit_usage;
            }
            has_command = true;
        } else if (options.path.empty()) {
            options.path = text;
        } else {
            fmt::print(stderr, "weft ring: one folder or file at a time; see 'weft ring --help'\n");
            return exit_usage;
        }
    }
    const std::array<Option, 1> all{{
        {"--json", "", "one JSON object a line for each file",
         [&](std::string_view) { return options.json = true; }},
    }};
    const Usage usage{
        .command = "ring inspect [FOLDER|FILE]",
        .summary =
            "Shows what the files of durable rings hold: whose they are, whether the process "
            "lives, and how\nmany records are not settled. Changes nothing. Without a folder "
            "it is the default one.",
        .options = all};
    if (const auto status = parse(usage, named)) { return *status; }
    if (!has_command) {
        fmt::print(stderr, "weft ring: what is to be done? There is inspect\n");
        return exit_usage;
    }
    return inspect(options);
}

} // namespace weft::cli
