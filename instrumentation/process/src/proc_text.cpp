#include "proc_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace weft::detail {
namespace {

constexpr std::string_view white = " \t\n";

// Cuts off and returns the next word; empty at the end.
std::string_view next_word(std::string_view& text) noexcept {
    const auto begin = text.find_first_not_of(white);
    if (begin == std::string_view::npos) {
        text = {};
        return {};
    }
    text.remove_prefix(begin);
    const auto word = text.substr(0, text.find_first_of(white));
    text.remove_prefix(word.size());
    return word;
}

// Decimal digits only, the whole word.
std::optional<std::uint64_t> number(std::string_view word) noexcept {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (word.empty() || error != std::errc{} || end != word.data() + word.size()) {
        return std::nullopt;
    }
    return value;
}

// Cuts off and returns the next line, without its end.
std::string_view next_line(std::string_view& text) noexcept {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    return line;
}

// Cuts off as many numbers as there is room for. False: there are not so many.
template <std::size_t count>
bool numbers(std::string_view& text, std::array<std::uint64_t, count>& into) noexcept {
    for (auto& each : into) {
        const auto value = number(next_word(text));
        if (!value) { return false; }
        each = *value;
    }
    return true;
}

} // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) noexcept {
    const auto command_end = text.rfind(')');
    if (command_end == std::string_view::npos) { return std::nullopt; }
    text.remove_prefix(command_end + 1);
    constexpr int state = 3; // Fields as proc(5) counts them; this is the first behind the command.
    constexpr int num_threads = 20;
    constexpr int starttime = 22;
    ProcessStat stat;
    for (int field = state; field <= starttime; ++field) {
        const auto word = next_word(text);
        if (word.empty()) { return std::nullopt; }
        if (field != num_threads && field != starttime) { continue; }
        const auto value = number(word);
        if (!value) { return std::nullopt; }
        (field == num_threads ? stat.threads : stat.start_ticks) = *value;
    }
    return stat;
}

std::optional<ProcessPages> parse_statm(std::string_view text) noexcept {
    const auto total = number(next_word(text));
    const auto resident = number(next_word(text));
    if (!total || !resident) { return std::nullopt; }
    return ProcessPages{*total, *resident};
}

std::optional<CpuTimes> parse_cpu_times(std::string_view text) noexcept {
    CpuTimes times;
    bool found = false;
    while (!text.empty()) { // Bound: each turn takes a line off.
        auto line = next_line(text);
        const auto name = next_word(line);
        if (!name.starts_with("cpu")) { continue; }
        if (name.size() > 3) {
            times.cpus += number(name.substr(3)) ? 1 : 0;
            continue;
        }
        std::array<std::uint64_t, 8> ticks; // Later kernels tell more: how much of it guests had.
        if (found || !numbers(line, ticks)) { return std::nullopt; }
        const auto [user, nice, system, idle, iowait, irq, softirq, steal] = ticks;
        times = {user, nice, system, idle, iowait, irq + softirq, steal, times.cpus};
        found = true;
    }
    return found && times.cpus != 0 ? std::optional(times) : std::nullopt;
}

std::optional<Memory> parse_memory(std::string_view text) noexcept {
    const auto value = [text](std::string_view name) { return parse_named_number(text, name); };
    const auto total = value("MemTotal");
    const auto free = value("MemFree");
    const auto buffers = value("Buffers");
    const auto cached = value("Cached");
    const auto swap_total = value("SwapTotal");
    const auto swap_free = value("SwapFree");
    if (!total || !free || !buffers || !cached || !swap_total || !swap_free) {
        return std::nullopt;
    }
    return Memory{*total,      *free,     value("MemAvailable"),
                  *buffers,    *cached,   value("SReclaimable").value_or(0),
                  *swap_total, *swap_free};
}

std::optional<Interface> next_interface(std::string_view& text) noexcept {
    while (!text.empty()) { // Bound: each turn takes a line off.
        auto line = next_line(text);
        const auto name_end = line.rfind(':'); // An alias has one in its name.
        if (name_end == std::string_view::npos) { continue; }
        auto before = line.substr(0, name_end);
        line.remove_prefix(name_end + 1);
        const auto name = next_word(before);
        std::array<std::uint64_t, 16> columns; // Received: bytes, packets, errors, drops, 4 more.
        if (name.empty() || !next_word(before).empty() || !numbers(line, columns)) { continue; }
        return Interface{
            name, {columns[0], columns[2], columns[3]}, {columns[8], columns[10], columns[11]}};
    }
    return std::nullopt;
}

std::optional<std::uint64_t> parse_named_number(
    std::string_view text, std::string_view name) noexcept {
    while (!text.empty()) { // Bound: each turn takes a line off.
        auto line = next_line(text);
        if (!line.starts_with(name)) { continue; }
        line.remove_prefix(name.size());
        if (line.empty() || (line.front() != ':' && line.front() != ' ')) { continue; }
        line.remove_prefix(1);
        return number(next_word(line));
    }
    return std::nullopt;
}

} // namespace weft::detail
