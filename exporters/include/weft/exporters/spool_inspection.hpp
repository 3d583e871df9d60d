#pragma once
// A look at spools from outside, also while somebody owns them. Nothing is changed, and no lock is taken.

#include <weft/exporters/spool.hpp>
#include <weft/runtime/error.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// One file of a spool.
struct SpoolSegment {
    std::string name;
    std::uint64_t bytes = 0;
    SpoolAmount settled; ///< In it, as far as readable.
    SpoolAmount waiting; ///< In it, as far as readable.
    std::uint64_t corrupt_ranges = 0;
    std::uint64_t corrupt_bytes = 0;
};

/// What lies in a spool.
struct SpoolInspection {
    std::string directory;
    int owner = 0; ///< Process that owns it, as far as the system tells; 0: none.
    std::vector<SpoolSegment> segments;
    SpoolAmount waiting; ///< Not settled, hence sent by the owner, or the next one.
    std::array<SpoolAmount, all_signals.size()> waiting_by_signal{}; ///< Indexed by Signal.
    SpoolAmount lost;        ///< Destroyed, as far as it is known how many they were.
    std::uint64_t bytes = 0; ///< Of all segments.
    std::uint64_t corrupt_ranges = 0;
    std::uint64_t corrupt_bytes = 0;
    /// After the last entry: a write that never finished, or one under way.
    std::uint64_t torn_bytes = 0;
    bool is_cursor_readable = true;
    std::int64_t oldest_ns =
        0; ///< Wall time at which the oldest waiting batch was appended; 0: none waits.
};

/// Reads all of a spool, checksums included.
/// Errors: what the system says of the directory. What cannot be read in it is counted as corrupt.
[[nodiscard]] Result<SpoolInspection> inspect_spool(const std::string& directory);

/// The spools in a directory: itself, or those up to four levels below it, sorted.
[[nodiscard]] std::vector<std::string> find_spools(const std::string& directory);

} // namespace weft
