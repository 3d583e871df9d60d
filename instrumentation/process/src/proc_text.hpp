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

/// Of `/proc/stat`: what all CPUs have done together, in ticks, and how many are on line.
struct CpuTimes {
    std::uint64_t user = 0; ///< Guests' included.
    std::uint64_t nice = 0; ///< As above.
    std::uint64_t system = 0;
    std::uint64_t idle = 0;
    std::uint64_t iowait = 0;
    std::uint64_t interrupt = 0; ///< Soft ones included.
    std::uint64_t steal = 0;
    std::uint64_t cpus = 0;
};
[[nodiscard]] std::optional<CpuTimes> parse_cpu_times(std::string_view text) noexcept;

/// Of `/proc/meminfo`, in KiB.
struct Memory {
    std::uint64_t total = 0;
    std::uint64_t free = 0;
    std::optional<std::uint64_t> available; ///< Since Linux 3.14.
    std::uint64_t buffers = 0;
    std::uint64_t cached = 0;
    std::uint64_t reclaimable = 0; ///< Of the kernel's own caches; 0 where it does not tell.
    std::uint64_t swap_total = 0;
    std::uint64_t swap_free = 0;
};
[[nodiscard]] std::optional<Memory> parse_memory(std::string_view text) noexcept;

/// Of `/proc/net/dev`.
struct Interface {
    struct Direction {
        std::uint64_t bytes = 0;
        std::uint64_t errors = 0;
        std::uint64_t dropped = 0;
    };
    std::string_view name; ///< In the text.
    Direction received;
    Direction sent;
};
/// The next one; lines that are none, such as the two of the heading, are passed over. `text` becomes what is behind it.
[[nodiscard]] std::optional<Interface> next_interface(std::string_view& text) noexcept;

/// The number behind `name` and a colon or a space, at the beginning of a line: `btime` of `/proc/stat`, `read_bytes` of
/// `/proc/<pid>/io`.
[[nodiscard]] std::optional<std::uint64_t> parse_named_number(
    std::string_view text, std::string_view name) noexcept;

} // namespace weft::detail
