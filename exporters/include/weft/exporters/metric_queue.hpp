#pragma once
#include <weft/exporters/ledger.hpp>
#include <weft/runtime/record_queue.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>

namespace weft {

/// Metric records on their way to the drain: in its ring, or waiting here for room in it, because a collection comes all
/// at once and need not fit. It counts points, where the ring counts records.
/// Threads: `add_to` any; the others one at a time.
/// Lifetime: `ring` must outlive it.
class MetricQueue {
public:
    /// `waiting_bytes_max`: most bytes that wait for room; what is more is dropped.
    MetricQueue(RecordQueue& ring, std::size_t waiting_bytes_max)
        : ring_(ring), waiting_bytes_max_(waiting_bytes_max) {}

    /// Takes a whole record, header included, of so many points.
    void put(std::span<const std::byte> record, std::uint32_t points) noexcept;
    /// Counts points that the ring has from elsewhere: those it has adopted.
    void adopt(std::uint64_t points) noexcept;
    /// Counts points that became no record.
    void drop(std::uint64_t points, DropReason reason) noexcept;

    /// Moves what waits into the ring, as far as there is room. True when nothing waits any more.
    bool hand_over() noexcept;
    /// Returns how many points that were.
    std::uint64_t drop_waiting(DropReason reason) noexcept;
    /// Nobody drains the ring any more: what waits and what still comes is dropped and counted (DropReason::shutdown).
    void close() noexcept;

    /// Largest record that is ever taken.
    [[nodiscard]] std::size_t record_max() const noexcept { return ring_.record_max(); }

    /// Adds every point that was ever put or dropped: to `created`; those that were taken to `queued`, also when they have
    /// been consumed since, which the drain knows.
    void add_to(Ledger& ledger) const;

private:
    bool push(std::span<const std::byte> record) noexcept;
    [[nodiscard]] bool keep(std::span<const std::byte> record, std::uint32_t points) noexcept;

    RecordQueue& ring_;
    const std::size_t waiting_bytes_max_;
    // Records one after the other, each behind its Frame; those before `next_` have gone. The producer's.
    std::string waiting_;
    std::size_t next_ = 0;
    bool closed_ = false;

    mutable std::mutex mutex_; // Guards what follows: the ledger is read from any thread.
    std::uint64_t taken_ = 0;  // In the ring, through it, or waiting.
    std::array<std::uint64_t, drop_reason_count> dropped_{};
};

} // namespace weft
