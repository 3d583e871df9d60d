#pragma once
#include <weft/runtime/byte_ring.hpp>
#include <weft/runtime/fork.hpp>
#include <weft/runtime/orphan_rings.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <string_view>
#include <vector>

namespace weft {

/// One signal's records on their way from many threads to one drain: a few byte rings, a thread keeping to its own.
/// Nobody waits: a record that finds no room is refused, and the caller counts it.
/// A forked child finds it empty, its counts at zero: what was in it is the parent's to export.
/// Durable, it keeps its records in a file until they are settled, so that they outlive a process that is killed, and
/// hands out what others left behind so. A child's is in memory until it is made durable for the child.
/// Threads: push any; consume, release, arm and disarm one at a time (the drain's).
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
        // acquire: Q1, the rings are complete.
        ByteRing& ring = *open_.load(std::memory_order_acquire)[thread_shard() & shard_mask_];
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
        const std::size_t sources = source_count();
        for (std::size_t i = 0; i < sources && more; ++i) {
            // Start behind the shard where the last call stopped: none starves when batches are small.
            const std::size_t source = (first_ + i) % sources;
            const auto hand_out = [&](std::span<const std::byte> payload) {
                return more = visit(payload);
            };
            if (durable_) [[unlikely]] {
                count += consume_and_note(source, hand_out);
            } else {
                count += rings_[source]->consume(rings_[source]->capacity(), hand_out);
            }
            if (!more) { first_ = (first_ + i + 1) % sources; }
        }
        return count;
    }

    /// Makes rings of the same size in a file ready, which producers use after `divert_to_file`. Call both before the
    /// drain's first consume in this process; what was pushed before is still handed out. Errors: std::bad_alloc, with
    /// the queue as it was.
    void make_durable(std::unique_ptr<RingFile> file);
    void divert_to_file() noexcept;
    /// Also hands out what others left behind. Of a durable queue; before the drain's first consume.
    void adopt(std::unique_ptr<AdoptedRecords> records) noexcept;
    [[nodiscard]] bool is_durable() const noexcept { return durable_ != nullptr; }
    /// Of a durable queue: the records before `settled`, of all that consume has handed out in this process, need not
    /// outlive it any more. Until then they take up room. Does nothing for another queue.
    void release(std::uint64_t settled) noexcept;
    /// Notes in the file a scope that records may name from now on. Threads: any.
    void add_scope(
        std::uint16_t index, std::string_view message, std::string_view schema_url) noexcept;
    /// Whether the calling thread's ring is half empty or more. Threads: any. Cost: three loads.
    [[nodiscard]] bool has_room() noexcept {
        // acquire: Q1, the rings are complete.
        return !open_.load(std::memory_order_acquire)[thread_shard() & shard_mask_]->past_half();
    }
    /// Whether every ring is. Threads: any.
    [[nodiscard]] bool has_room_for_all() noexcept {
        ByteRing* const* const open = open_.load(std::memory_order_acquire); // Q1, as above.
        return std::none_of(
            open, open + shard_mask_ + 1, [](ByteRing* ring) { return ring->past_half(); });
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
    /// Of the durable queue's file; empty without one. Threads: the drain's.
    [[nodiscard]] std::string path() const;

    /// Readable when a producer wants the drain, at times for nothing: an eventfd. A forked child gets one of its own,
    /// made by the first call. Lifetime: until discard(). Errors: std::system_error. Threads: the drain's.
    [[nodiscard]] int wake_descriptor();
    /// From now on the next producer past the half-full mark signals the descriptor, once. Call before sleeping.
    void arm() noexcept;
    /// Clears the descriptor. Call after waking.
    void disarm() noexcept;
    /// Signals the descriptor if armed. Threads: any.
    void wake() noexcept;

    /// For a queue that nobody drains any more: gives memory and descriptor back; late pushes do no harm. A durable
    /// queue's file is deleted if everything in it is settled, and is the next start's if not.
    void discard() noexcept;

private:
    // Records that were handed out in one go from one source, and are not settled.
    struct Run {
        std::size_t source = 0;
        std::uint64_t records = 0;
    };
    struct Durable {
        std::unique_ptr<RingFile> file; // Guarded by file_mutex_.
        std::vector<std::unique_ptr<ByteRing>> rings;
        std::vector<ByteRing*> open;
        std::unique_ptr<AdoptedRecords> adopted; // Never null.
        // The drain's:
        std::deque<Run> runs;
        std::uint64_t released = 0;
        Durable* next_inherited = nullptr;
    };

    /// This thread's shard, handed out in turn.
    static std::size_t thread_shard() noexcept {
        if (shard_ == 0) [[unlikely]] { shard_ = next_shard(); }
        return shard_;
    }
    static std::size_t next_shard() noexcept;
    // Deletes it, or leaves it to the next start.
    void leave_file() noexcept;
    static void on_fork_in_child(void* queue) noexcept;

    // Sources in order: the rings in memory; of a durable queue also those in its file, and what it has adopted.
    [[nodiscard]] std::size_t source_count() const noexcept {
        return durable_ ? rings_.size() + durable_->rings.size() + 1 : rings_.size();
    }
    template <class Visit>
    std::size_t consume_and_note(std::size_t source, Visit& visit) {
        try { // Before anything is consumed.
            durable_->runs.emplace_back(Run{source, 0});
        } catch (const std::bad_alloc&) { return 0; } // Another time.
        Run& run = durable_->runs.back();
        struct Noted {
            Durable& durable;
            ~Noted() {
                if (durable.runs.back().records == 0) { durable.runs.pop_back(); }
            }
        } const noted{*durable_};
        const auto count = [&](std::span<const std::byte> payload) {
            const bool taken = visit(payload);
            run.records += taken ? 1 : 0;
            return taken;
        };
        if (source < rings_.size()) {
            return rings_[source]->consume(rings_[source]->capacity(), count);
        }
        const std::size_t in_file = source - rings_.size();
        if (in_file == durable_->rings.size()) { return durable_->adopted->consume(count); }
        ByteRing& ring = *durable_->rings[in_file];
        return ring.consume(ring.capacity(), count);
    }
    template <class Visit>
    void for_each_ring(Visit&& visit) const {
        for (const auto& ring : rings_) { visit(*ring); }
        if (!durable_) { return; }
        for (const auto& ring : durable_->rings) { visit(*ring); }
    }

    static inline constinit thread_local std::size_t shard_ = 0; // 0: none yet.
    std::vector<std::unique_ptr<ByteRing>> rings_; // In memory. A power of two of them.
    std::vector<ByteRing*> in_memory_;             // As above, for open_.
    std::size_t shard_mask_ = 0;
    // The rings that producers use. Written by divert_to_file and in a fork's child.
    // Q1  divert_to_file stores it (release) -> push loads it (acquire): the rings are complete.
    std::atomic<ByteRing* const*> open_{nullptr};
    std::size_t first_ = 0; // The drain's.
    // Null: not durable. Set before the drain starts, and left behind in a fork's child.
    std::unique_ptr<Durable> durable_;
    std::mutex file_mutex_; // Guards Durable::file. A forked child makes it anew.
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
