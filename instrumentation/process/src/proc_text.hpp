#pragma once
// What the kernel writes into /proc, as numbers. Pure: text in, values out; anything odd is nothing.
// Source: proc(5).

#include <cstdint>
#include <optional>
#include <string_view>

namespace weft::detail {

/// Of `/proc/<pid>/stat`.
struct ProcessStat {
    std::uint64_t threads = 0;
    std::uint64_t start_ticks = 0; ///< Since the machine started.
};
/// The command in the second field may hold anything, parentheses and line ends too.
[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view text) noexcept;

/// Of `/proc/<pid>/statm`.
struct ProcessPages {
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
};
[[nodiscard]] std::optional<ProcessPages> parse_statm(std::string_view text) noexcept;

/// The number behind `name` and a colon or a space, at the beginning of a line: `btime` of `/proc/stat`, `read_bytes` of
/// `/proc/<pid>/io`.
[[nodiscard]] std::optional<std::uint64_t> parse_named_number(
    std::string_view text, std::string_view name) noexcept;

} // namespace weft::detail
