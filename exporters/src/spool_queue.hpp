#pragma once
#include "account.hpp"

#include <weft/exporters/spool.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

namespace weft::detail {

/// A destination's spool, and what the drain must know of the batches in it: which records they hold, and where those are
/// in the account.
///
/// Batches are numbered in the order in which they enter: those resumed first. The ones that wait are always the last of
/// them, for whatever leaves, sent, deleted or unreadable, leaves at the front. So numbers need not be kept on disk.
/// Threads: one at a time.
class SpoolQueue {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    struct Entry {
        std::uint64_t id = 0;
        std::shared_ptr<const Batch> batch;
        std::uint64_t first_record = 0; ///< No later than its first, as Destination::take's.
    };

    /// What it resumes is counted as created. Lifetime: `account` outlives this.
    SpoolQueue(std::shared_ptr<Spool> spool, Account& account);

    /// True: the batch is on disk, and its records have gone from `from` to spooled. Errors: std::bad_alloc.
    [[nodiscard]] bool append(
        const std::shared_ptr<const Batch>& batch, std::uint64_t first_record,
        std::uint64_t Account::Counts::*from, TimePoint now);
    /// The oldest that waits; its records are in flight now. Errors: std::bad_alloc.
    [[nodiscard]] std::optional<Entry> next();
    /// It is to be sent again, before those that are younger. Its records are spooled already. Without memory that is left
    /// to the next start.
    void put_back(Entry entry) noexcept;
    /// It needs no sending any more. Its records are accounted for by the caller.
    void acknowledge(std::uint64_t id, TimePoint now);

    /// Records of those put back that are in memory alone: their copies on disk have made room for others.
    [[nodiscard]] std::uint64_t records_in_memory() const noexcept;

    [[nodiscard]] bool empty() const noexcept { return put_back_.empty() && waiting() == 0; }
    /// The number of the oldest that waits, and of the next that is appended.
    [[nodiscard]] std::uint64_t front_number() const noexcept {
        return put_back_.empty() ? end_number() - waiting() : 0;
    }
    [[nodiscard]] std::uint64_t end_number() const noexcept;
    /// Every record before this one has left; at most `consumed`.
    [[nodiscard]] std::uint64_t resolved_until(std::uint64_t consumed) const noexcept;

    [[nodiscard]] std::uint64_t disk_bytes() const noexcept { return spool_->counts().disk_bytes; }
    [[nodiscard]] std::optional<TimePoint> sync_due() const noexcept { return spool_->sync_due(); }
    void sync_if_due(TimePoint now) { spool_->sync_if_due(now); }

private:
    struct First {
        std::uint64_t number;
        std::uint64_t record;
    };

    [[nodiscard]] std::uint64_t waiting() const noexcept {
        return spool_->counts().waiting.batches;
    }
    // What the spool has done to its batches by itself.
    void settle(Account::Counts& counts);

    const std::shared_ptr<Spool> spool_;
    Account& account_;
    std::deque<Entry> put_back_;     // By id. Bound: as many as were being sent.
    std::uint64_t seen_waiting_ = 0; // Of the spool's counts, accounted for.
    std::uint64_t seen_dropped_ = 0;
    std::uint64_t seen_lost_ = 0;
    // Of those that wait, each that is before all behind it: the front is the least of all. Without tail sampling, that is
    // 16 bytes for a batch on disk.
    std::deque<First> firsts_;
};

} // namespace weft::detail
