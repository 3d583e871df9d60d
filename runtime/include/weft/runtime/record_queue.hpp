#pragma once
#include <weft/runtime/byte_ring.hpp>
#include <weft/runtime/fork.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace weft {

/// One signal's records on their way from many threads to one drain: a few byte rings, a thread keeping to its own.
/// Nobody waits: a record that finds no room is refused, and the caller counts it.
/// A forked child finds it empty, its counts at zero: what was in it is the parent's to export.
/// Threads: push any; consume, arm and disarm one at a time (the drain's).
class RecordQueue {
public:
    /// Shape: `bytes` in all, divided over `shards` rings; their number and the size of each are rounded up to a power
    /// of two.
    /// Errors: std::bad_alloc, std::system_error when no event descriptor is left.
    RecordQueue(std::size_t bytes, unsigned shards);
    RecordQueue(const RecordQueue&) = delete;
    RecordQueue& operator=(const RecordQueue&) = delete;
    ~RecordQueue();

    enum class Push : std::uint8_t { accepted, full, too_large };

    /// Claims `size` bytes, lets `write(std::byte*)` fill them and commits. `write` must not fail.
    /// Cost: one compare-exchange and the copy; a system call only for the record that wakes a sleeping drain.
    template <class Write>
    Push push(std::size_t size, Write&& write) noexcept {
        ByteRing& ring = *rings_[thread_shard() & (rings_.size() - 1)]; // A power of two.
        std::byte* place = ring.claim(size);
        if (place == nullptr) [[unlikely]] {
            if (size > ring.payload_max()) { return Push::too_large; }
            wake();
            return Push::full;
        }
        write(place);
        ring.commit(place, size);
        if (ring.past_half()) [[unlikely]] { wake(); }
        return Push::accepted;
    }

    /// Hands out committed records, shard by shard, until `visit` returns false or nothing is left.
    /// At most one capacity's worth a call, so that fast producers cannot hold the drain for ever.
    template <class Visit>
    std::size_t consume(Visit&& visit) {
        std::size_t count = 0;
        bool more = true;
        for (std::size_t i = 0; i < rings_.size() && more; ++i) {
            // Start behind the shard where the last call stopped: none starves when batches are small.
            ByteRing& ring = *rings_[(first_ + i) % rings_.size()];
            count += ring.consume(ring.capacity(), [&](std::span<const std::byte> payload) {
                return more = visit(payload);
            });
            if (!more) { first_ = (first_ + i + 1) % rings_.size(); }
        }
        return count;
    }

    /// Whether the calling thread's ring is half empty or more. Threads: any. Cost: two loads.
    [[nodiscard]] bool has_room() noexcept {
        return !rings_[thread_shard() & (rings_.size() - 1)]->past_half();
    }
    /// Whether every ring is. Threads: any.
    [[nodiscard]] bool has_room_for_all() noexcept {
        return std::none_of(
            rings_.begin(), rings_.end(), [](const auto& ring) { return ring->past_half(); });
    }

    /// Everything accepted before a moment: a count for each shard.
    using Mark = std::vector<std::uint64_t>;
    /// Threads: any. Errors: std::bad_alloc.
    [[nodiscard]] Mark mark() const;
    /// Whether everything before the mark has been handed out, whatever came after it. Threads: any.
    [[nodiscard]] bool has_consumed(const Mark& mark) const noexcept;

    [[nodiscard]] std::uint64_t records_accepted() const noexcept;
    [[nodiscard]] std::uint64_t records_consumed() const noexcept;
    [[nodiscard]] std::size_t used_bytes() const noexcept;
    [[nodiscard]] std::size_t capacity() const noexcept;
    /// Largest record that is ever accepted.
    [[nodiscard]] std::size_t record_max() const noexcept { return rings_.front()->payload_max(); }

    /// Readable when a producer wants the drain, at times for nothing: an eventfd. A forked child gets one of its own,
    /// made by the first call. Lifetime: until discard(). Errors: std::system_error. Threads: the drain's.
    [[nodiscard]] int wake_descriptor();
    /// From now on the next producer past the half-full mark signals the descriptor, once. Call before sleeping.
    void arm() noexcept;
    /// Clears the descriptor. Call after waking.
    void disarm() noexcept;
    /// Signals the descriptor if armed. Threads: any.
    void wake() noexcept;

    /// For a queue that nobody drains any more: gives memory and descriptor back; late pushes do no harm.
    void discard() noexcept;

private:
    /// This thread's shard, handed out in turn.
    static std::size_t thread_shard() noexcept {
        if (shard_ == 0) [[unlikely]] { shard_ = next_shard(); }
        return shard_;
    }
    static std::size_t next_shard() noexcept;
    static void on_fork_in_child(void* queue) noexcept;

    static inline constinit thread_local std::size_t shard_ = 0; // 0: none yet.
    std::vector<std::unique_ptr<ByteRing>> rings_;
    std::size_t first_ = 0; // The drain's.
    // Written by the drain's side, read by producers that wake it. relaxed throughout: a producer that sees none yet
    // leaves the wake-up to the next one.
    std::atomic<int> event_{-1};
    bool discarded_ = false; // The drain's: event_ now belongs to the queues to come.
    // Set by the drain before it sleeps, cleared by the one producer that wakes it.
    alignas(detail::cache_line_bytes) std::atomic<bool> armed_{false};
    detail::ForkRegistration at_fork_{
        {detail::ForkOrder::leaf, this, nullptr, nullptr, on_fork_in_child}};
};

} // namespace weft
