#pragma once
// Batches on disk, between the drain and a destination: what waits here outlives the process. A spool is one directory
// with one owner. Batches are appended, handed out in the same order, and forgotten once they are settled; what is not
// settled when the process ends, however it ends, is handed out again by the next one.
//
//   append ──▶ [segment][segment][segment] ──next──▶ sender ──acknowledge──▶ cursor, then segments are deleted
//
// The format, and what survives which accident, is told in docs/spool.md.
//
// Calls block on the disk and never throw for what it does: a failing disk is counted, reported, and tried again about
// once a second. At any time, in records as in batches:
//
//   resumed + written = waiting + handed_out + settled + dropped_full + lost

#include <weft/exporters/batch.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

/// What a spool does with a batch for which it has no room.
enum class WhenFull : std::uint8_t {
    /// Refuses it. What was accepted is kept: the beginning of an outage shows its cause, and a loss is one stretch, from
    /// the moment the spool was full until there was room again.
    drop_newest,
    /// Makes room by deleting the oldest segment with all that waits in it, which is counted.
    drop_oldest
};

/// "drop_newest" or "drop_oldest".
[[nodiscard]] std::string_view name(WhenFull policy) noexcept;

/// One spool: one destination and signal.
struct SpoolOptions {
    /// Made with mode 0700 if missing, parents included. Must belong to the user and be writable by nobody else.
    std::string directory = {};
    /// Most disk space it takes, in blocks of 4 KiB, bookkeeping included. 1 MiB to 1 TiB.
    std::size_t bytes_max = 256u << 20;
    /// Space is given back by the segment. A batch that is larger has one of its own. 16 KiB to a quarter of `bytes_max`;
    /// 0: a sixteenth, and no more than 16 MiB.
    std::size_t segment_bytes = 0;
    /// Longest a written batch, or the note that one is settled, may wait to be forced to disk: what a loss of power can
    /// cost. The death of the process costs nothing either way. 0 to 1 h; 0: before append() returns; unset: when the
    /// system sees fit.
    std::optional<std::chrono::milliseconds> sync = std::chrono::milliseconds(100);
    WhenFull when_full = WhenFull::drop_newest;
    /// Batches just written are also held in memory, up to so many bytes, so that a destination that keeps up costs no
    /// reading back. 0 to 1 GiB.
    std::size_t memory_bytes_max = 4u << 20;
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const SpoolOptions& options);

/// So many batches with so many records in them.
struct SpoolAmount {
    std::uint64_t batches = 0;
    std::uint64_t records = 0;
};

/// Where everything is that was ever put into a spool, since it was opened.
struct SpoolCounts {
    SpoolAmount resumed;    ///< Left by the previous owner, what it is known to have lost included.
    SpoolAmount written;    ///< By append().
    SpoolAmount waiting;    ///< To be handed out. Ledger::spooled.
    SpoolAmount handed_out; ///< By next(), and not acknowledged yet.
    SpoolAmount settled;    ///< Acknowledged.
    SpoolAmount dropped_full; ///< Deleted unsent by WhenFull::drop_oldest.
    SpoolAmount lost;         ///< Destroyed on disk, as far as it is known how many they were.
    std::uint64_t corrupt_ranges = 0; ///< Stretches of a file that held nothing readable.
    std::uint64_t corrupt_bytes = 0;  ///< In them.
    /// At the end of the newest segment, from a write that never finished: no batch that append() had accepted.
    std::uint64_t torn_bytes = 0;
    std::uint64_t io_errors = 0;  ///< Failed calls of the system.
    std::uint64_t disk_bytes = 0; ///< As limited by SpoolOptions::bytes_max.
    std::uint64_t segments = 0;   ///< Files they are in.

    [[nodiscard]] bool is_balanced() const noexcept {
        const auto balanced = [this](std::uint64_t SpoolAmount::*unit) {
            return resumed.*unit + written.*unit == waiting.*unit + handed_out.*unit +
                                                        settled.*unit + dropped_full.*unit +
                                                        lost.*unit;
        };
        return balanced(&SpoolAmount::batches) && balanced(&SpoolAmount::records);
    }
};

/// A queue of batches on disk.
/// Threads: one at a time, which may be another each time. A forked child's copy does nothing.
class Spool {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// What became of an append.
    enum class Append : std::uint8_t {
        written, ///< It is the spool's now, and survives the death of the process.
        full,    ///< No room within `bytes_max`, or for a batch of this size in any event.
        failed ///< The disk is full, read-only or broken. Counted and reported; the batch is still the caller's.
    };

    /// A batch to be sent, and by which name to acknowledge it.
    struct Entry {
        std::uint64_t id = 0; ///< Grows with each append, over restarts too.
        std::shared_ptr<const Batch> batch;
    };

    /// Takes possession of the directory and resumes what is in it; no content of it, however corrupt, is an error.
    /// Errors, each with its remedy in `log`: Errc::option_out_of_range (see problem_in()), `device_or_resource_busy`: in
    /// use by another process or spool, `permission_denied`: not the user's own, or others may write to it; and what the
    /// system says. Lifetime: `log` must outlive the spool.
    [[nodiscard]] static Result<std::unique_ptr<Spool>> open(
        SpoolOptions options, Diagnostics& log = diagnostics());

    /// Forces to disk what is not yet, and gives up possession. What is not acknowledged stays.
    ~Spool();
    Spool(const Spool&) = delete;
    Spool& operator=(const Spool&) = delete;

    /// Puts a batch behind all others.
    [[nodiscard]] Append append(
        const std::shared_ptr<const Batch>& batch,
        TimePoint now = std::chrono::steady_clock::now());

    /// The oldest batch that is not handed out, or nothing if none waits. What turns out to be unreadable is counted and
    /// passed over.
    [[nodiscard]] std::optional<Entry> next();

    /// The batch needs no sending any more: accepted, refused or given up. In any order; an id that is not handed out is
    /// ignored. After the death of the process the next owner begins with the oldest that was not acknowledged, so that
    /// those acknowledged before their elders are sent twice; after a loss of power, also those of the last
    /// `SpoolOptions::sync`.
    void acknowledge(std::uint64_t id, TimePoint now = std::chrono::steady_clock::now());

    /// Whether a batch that is handed out is still on disk. It is not if WhenFull::drop_oldest has made room meanwhile.
    [[nodiscard]] bool holds(std::uint64_t id) const noexcept;

    /// All that is handed out and not acknowledged waits again, ahead of the rest and in its order.
    void put_back_all();

    /// When sync_if_due() has something to do; nothing: not before the next call of another function.
    [[nodiscard]] std::optional<TimePoint> sync_due() const noexcept;
    /// Forces to disk what has waited long enough for it, and deletes segments that are no longer needed.
    void sync_if_due(TimePoint now = std::chrono::steady_clock::now());

    [[nodiscard]] SpoolCounts counts() const noexcept;

    struct State;
    /// For open().
    explicit Spool(std::unique_ptr<State> state) noexcept;

private:
    std::unique_ptr<State> state_;
};

} // namespace weft
