#include "proc_text.hpp"

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

std::optional<std::uint64_t> parse_named_number(
    std::string_view text, std::string_view name) noexcept {
    while (!text.empty()) { // Bound: each turn takes a line off.
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
        if (!line.starts_with(name)) { continue; }
        line.remove_prefix(name.size());
        if (line.empty() || (line.front() != ':' && line.front() != ' ')) { continue; }
        line.remove_prefix(1);
        return number(next_word(line));
    }
    return std::nullopt;
}

} // namespace weft::detail
