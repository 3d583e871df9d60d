#pragma once
// Bounded byte ring from many producer threads to one consumer thread. (The algorithm is widely known from Aeron's
// many-to-one ring buffer.)
//
//   frame:  | length (4) | kind (4) | payload ... | up to a multiple of 8 |      length counts the header, not the pad
//
//   bytes_:   ....[ free ]....|frame|frame|claimed|frame|.......[ free ].......
//                            ^ head                      ^ tail           both only grow; place = value & mask_
//
// A producer claims room by advancing the tail, writes its payload and commits by storing the frame's header. The
// consumer reads frames until it meets one that is not committed, zeroes what it has read, and advances the head.
// Nobody waits: a claim that finds no room is refused.
//
// The tail word also counts frames (26 bits over 38 bits of bytes), so that "how many records were ever accepted" is
// exact without a second atomic on the producers' path.
//
// A ring is one stretch of memory, words first. In memory of a file (see RingFile) it outlives its process, and it
// holds: what the consumer has read stays where it is until `release`, because a process that is killed has lost
// whatever it had merely read. Producers do the same in both.
//
// Threads: `claim`/`commit` any; `consume`, `release` one at a time; `frames_*` and `used_bytes` any.
// I1  tail - head <= capacity, and every byte outside of [head, tail) is zero.
// I2  tail is advanced by producers only (compare-exchange), head by the consumer only.
// I3  Frames do not wrap: a claim that would is preceded by a padding frame to the end of the buffer.
// I4  A claimed frame is committed by the same thread without anything in between that can fail or wait.
// I5  A claimer's first store after the tail is its frame's header, so that the first word that is not zero behind a
//     claim of the dead is a header: see RingImage.
// I6  A ring that holds advances `settled` before it zeroes, and `head` after: whoever finds it reads [settled, tail).
// E1  commit stores the header (release) -> consume loads it (acquire): the payload is visible.
// E2  consume or release stores head (release) -> claim loads head (acquire): zeroed room may be claimed again.
// E3  claim publishes what it saw of head in head_seen (release) -> claim loads it (acquire): as E2, passed on.
// E4  consume stores consumed (release) -> frames_accepted loads it (acquire), then tail: no frame is counted as
//     consumed before it is counted as accepted.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>

namespace weft {

namespace detail {
inline constexpr std::size_t cache_line_bytes = 64;
}
struct ByteRingProbe;

/// The words of a ring, as they lie before its bytes. All zero: empty.
struct RingWords {
    // Producers. A place in bytes, and above it a count of frames: see RingWords::offset_bits.
    alignas(detail::cache_line_bytes) std::atomic<std::uint64_t> tail{0};
    // Producers' last view of head: spares them the consumer's cache line.
    std::atomic<std::uint64_t> head_seen{0};
    // Consumer.
    alignas(detail::cache_line_bytes) std::atomic<std::uint64_t> head{0};
    std::atomic<std::uint64_t> consumed{0};
    std::atomic<std::uint64_t> settled{0}; // As tail; of a ring that holds.

    static constexpr unsigned offset_bits = 38;
    static constexpr std::uint64_t offset_mask = (std::uint64_t{1} << offset_bits) - 1;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && sizeof(RingWords) == 128);

/// The header of a frame: its length in the low half, its kind in the high one.
namespace ring_frame {
inline constexpr std::size_t header_bytes = 8;
inline constexpr std::size_t bytes_min = 16;
inline constexpr std::uint32_t record = 1;
inline constexpr std::uint32_t padding = 2;
inline constexpr std::uint32_t claimed = 3; ///< Being written.

[[nodiscard]] constexpr std::uint64_t header(std::uint32_t kind, std::size_t length) noexcept {
    return std::uint64_t{kind} << 32 | static_cast<std::uint32_t>(length);
}
[[nodiscard]] constexpr std::uint32_t kind(std::uint64_t header) noexcept {
    return static_cast<std::uint32_t>(header >> 32);
}
[[nodiscard]] constexpr std::size_t length(std::uint64_t header) noexcept {
    return static_cast<std::uint32_t>(header);
}
/// Units: bytes of the whole frame, pad included.
[[nodiscard]] constexpr std::size_t bytes(std::size_t payload) noexcept {
    return std::max(bytes_min, (payload + header_bytes + 7) & ~std::size_t{7});
}
} // namespace ring_frame

class ByteRing {
public:
    static constexpr std::size_t frame_header_bytes = ring_frame::header_bytes;
    static constexpr std::size_t capacity_min = 1024;
    static constexpr std::size_t capacity_max = std::size_t{1} << 28;
    /// Where the bytes begin in a ring's memory, behind its words.
    static constexpr std::size_t words_bytes = 4096;

    /// Shape: capacity is rounded up to a power of two within [capacity_min, capacity_max].
    /// Errors: std::bad_alloc. Cost: pages are touched as records first reach them.
    explicit ByteRing(std::size_t capacity)
        : capacity_(rounded(capacity)), mask_(capacity_ - 1), bytes_(map(capacity_)) {}
    /// In a file, from `offset` on: `words_bytes + capacity` bytes of zeros. It holds.
    /// Shape: `offset` a multiple of the page size, `capacity` what rounding leaves as it is.
    /// Errors: std::bad_alloc. Lifetime: the file may be closed. A forked child has none of this memory.
    ByteRing(int file, std::uint64_t offset, std::size_t capacity)
        : capacity_(capacity), mask_(capacity_ - 1), holds_(true),
          bytes_(map(file, offset, capacity_)) {}
    ByteRing(const ByteRing&) = delete;
    ByteRing& operator=(const ByteRing&) = delete;

    /// What a capacity is rounded to.
    [[nodiscard]] static constexpr std::size_t rounded(std::size_t capacity) noexcept {
        return std::bit_ceil(std::clamp(capacity, capacity_min, capacity_max));
    }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    /// Largest payload that is ever accepted: an eighth of the ring, so that one record cannot starve the others.
    [[nodiscard]] std::size_t payload_max() const noexcept {
        return capacity_ / 8 - frame_header_bytes;
    }
    /// Whether what has been read is kept until it is released.
    [[nodiscard]] bool holds() const noexcept { return holds_; }

    /// Room for `size` payload bytes, or null when there is none or `size` is more than `payload_max()`.
    /// The caller writes the payload and commits at once (I4). Threads: any. Cost: one compare-exchange.
    [[nodiscard]] std::byte* claim(std::size_t size) noexcept {
        if (size > payload_max()) { return nullptr; }
        RingWords& at_words = words();
        const std::size_t frame = ring_frame::bytes(size);
        for (;;) { // Bound: another turn means that a producer or the consumer got on.
            // Before the tail, or the consumer might have passed a tail that is already old (I1).
            const std::uint64_t head = at_words.head_seen.load(std::memory_order_acquire); // E3
            // relaxed: a stale tail makes the exchange fail; it is not older than head, by the acquire above.
            std::uint64_t tail = at_words.tail.load(std::memory_order_relaxed);
            const std::uint64_t at = tail & offset_mask;
            const std::size_t place = at & mask_;
            const std::size_t to_end = capacity_ - place;
            const std::size_t padding = frame > to_end ? to_end : 0;
            const std::size_t needed = frame + padding;
            if (used(at, head) + needed > capacity_) {
                const std::uint64_t now = at_words.head.load(std::memory_order_acquire); // E2
                if (now == head) { return nullptr; }
                at_words.head_seen.store(now, std::memory_order_release); // E3
                continue;
            }
            const std::uint64_t next =
                ((at + needed) & offset_mask) | ((tail & count_mask) + count_one);
            // relaxed: claiming orders nothing; what is written afterwards is published by commit (E1).
            if (at_words.tail.compare_exchange_weak(
                    tail, next, std::memory_order_relaxed, std::memory_order_relaxed)) {
                if (padding != 0) {
                    store_header(place, ring_frame::header(ring_frame::padding, padding));
                }
                std::byte* const bytes = bytes_.get() + (padding != 0 ? 0 : place);
                // I5. relaxed: the consumer stops at it as at zero.
                header_at(bytes).store(
                    ring_frame::header(ring_frame::claimed, size + frame_header_bytes),
                    std::memory_order_relaxed);
                // Whoever is killed has done what precedes, if the compiler does not move it.
                std::atomic_signal_fence(std::memory_order_release);
                return bytes + frame_header_bytes;
            }
        }
    }

    /// Makes a claimed frame readable. `payload` and `size` are those of the claim. Threads: the claimer's.
    void commit(std::byte* payload, std::size_t size) noexcept {
        header_at(payload - frame_header_bytes)
            .store(
                ring_frame::header(ring_frame::record, size + frame_header_bytes),
                std::memory_order_release); // E1
    }

    /// Hands committed payloads, oldest first, to `visit(std::span<const std::byte>)` until it returns false (that
    /// frame is not consumed), nothing committed is left, or `bytes_max` bytes have been passed. Returns frames
    /// consumed. What `visit` throws is passed on; its frame is not consumed. Threads: one at a time.
    template <class Visit>
    std::size_t consume(std::size_t bytes_max, Visit&& visit) noexcept(
        noexcept(visit(std::span<const std::byte>()))) {
        // relaxed: I2, own value, never stale.
        const std::uint64_t head = words().head.load(std::memory_order_relaxed);
        const std::uint64_t start = holds_ ? read_ : head;
        Progress done{*this, start};
        while (((done.head - start) & offset_mask) < bytes_max) {
            // What it holds may fill the ring: behind it comes what it has read already.
            if (holds_ && used(done.head, head) == capacity_) { break; }
            std::byte* frame = bytes_.get() + (done.head & mask_);
            const std::uint64_t header = header_at(frame).load(std::memory_order_acquire); // E1
            const std::uint32_t kind = ring_frame::kind(header);
            if (kind != ring_frame::record && kind != ring_frame::padding) { break; }
            const std::size_t length = ring_frame::length(header);
            if (kind == ring_frame::record) {
                if (!visit(std::span<const std::byte>(
                        frame + frame_header_bytes, length - frame_header_bytes))) {
                    break;
                }
                ++done.frames;
            }
            const std::size_t whole = whole_bytes(header);
            if (!holds_) { std::memset(frame, 0, whole); } // I1
            done.head = (done.head + whole) & offset_mask;
        }
        return done.frames;
    }

    /// Gives up the room of the oldest frames that it holds, no more than were read. Threads: the consumer's.
    void release(std::size_t frames) noexcept;

    /// Units: bytes that have been read and not released. Threads: the consumer's.
    [[nodiscard]] std::size_t held_bytes() const noexcept {
        // relaxed: I2, own value.
        return holds_ ? used(read_, words().head.load(std::memory_order_relaxed)) : 0;
    }

    /// Frames ever accepted. Exact between claims. Threads: any.
    [[nodiscard]] std::uint64_t frames_accepted() const noexcept {
        const auto consumed = words().consumed.load(std::memory_order_acquire); // E4
        const auto tail =
            words().tail.load(std::memory_order_relaxed); // E4: read second, so not behind.
        const auto low = (tail >> RingWords::offset_bits) - consumed;
        return consumed + (low & (count_mask >> RingWords::offset_bits));
    }
    /// Frames ever handed to `visit` and accepted by it. Threads: any.
    [[nodiscard]] std::uint64_t frames_consumed() const noexcept {
        return words().consumed.load(std::memory_order_acquire); // E4
    }
    /// True when more than half is taken: time to wake a consumer that sleeps. Threads: producers.
    /// Cost: two loads of the producers' own cache line, the consumer's line about twice a lap.
    [[nodiscard]] bool past_half() noexcept {
        const auto seen =
            words().head_seen.load(std::memory_order_acquire); // E3; before the tail, as in claim.
        // relaxed: a hint; a later push looks again.
        const auto tail = words().tail.load(std::memory_order_relaxed) & offset_mask;
        if (used(tail, seen) <= capacity_ / 2) { return false; }
        const auto head = words().head.load(std::memory_order_acquire); // E2
        words().head_seen.store(head, std::memory_order_release);       // E3
        // The consumer may have passed the tail that was read above: then the ring is nearly empty.
        const auto taken = used(tail, head);
        return taken > capacity_ / 2 && taken <= capacity_;
    }
    /// Gives the pages back to the system and forgets what is in them: for a ring that nobody consumes any more.
    /// A late producer may still claim and write without harm. Threads: the consumer's.
    void discard_pages() noexcept;
    /// As above, of a ring in a file, which is left as it is. The counts begin again.
    void let_go() noexcept;

    /// An empty ring that never held anything, whatever producers and consumer were doing: for a forked child, whose
    /// only thread calls it.
    void reset() noexcept;

    /// Bytes between head and tail. Threads: any; a snapshot.
    [[nodiscard]] std::size_t used_bytes() const noexcept {
        // relaxed tail: a snapshot that may be old by the time it is used. acquire, so that it is not older than head.
        const auto head = words().head.load(std::memory_order_acquire);
        const auto tail = words().tail.load(std::memory_order_relaxed) & offset_mask; // As above.
        return std::min(used(tail, head), capacity_); // Head may have moved on in between.
    }

private:
    friend struct ByteRingProbe; // Tests: looks inside, and starts the counters near their wraps.
    static constexpr std::uint64_t offset_mask = RingWords::offset_mask;
    static constexpr std::uint64_t count_mask = ~offset_mask;
    static constexpr std::uint64_t count_one = std::uint64_t{1} << RingWords::offset_bits;

    struct Unmap {
        std::size_t size = 0;
        void operator()(std::byte* bytes) const noexcept;
    };
    using Bytes = std::unique_ptr<std::byte[], Unmap>;
    // Anonymous zero pages: they cost memory only once a record has reached them.
    static Bytes map(std::size_t capacity);
    static Bytes map(int file, std::uint64_t offset, std::size_t capacity);

    // So few frames fit, also while the consumer empties the ring between two loads, that the short count is unambiguous.
    static_assert(
        capacity_max / ring_frame::bytes_min <
        (std::uint64_t{1} << (64 - RingWords::offset_bits)) / 2);
    static_assert(sizeof(RingWords) <= words_bytes);

    static std::size_t used(std::uint64_t tail, std::uint64_t head) noexcept {
        return static_cast<std::size_t>((tail - head) & offset_mask);
    }
    static std::size_t whole_bytes(std::uint64_t header) noexcept {
        const std::size_t length = ring_frame::length(header);
        return ring_frame::kind(header) == ring_frame::record
                   ? ring_frame::bytes(length - frame_header_bytes)
                   : length;
    }
    // At a constant distance from the bytes, whose address every call needs anyway.
    [[nodiscard]] RingWords& words() const noexcept {
        return *std::launder(reinterpret_cast<RingWords*>(bytes_.get() - words_bytes));
    }
    static std::atomic_ref<std::uint64_t> header_at(std::byte* frame) noexcept {
        return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(frame));
    }
    void store_header(std::size_t place, std::uint64_t header) noexcept {
        header_at(bytes_.get() + place).store(header, std::memory_order_release); // E1
    }

    // Publishes what a call of consume has passed, also when the visitor throws.
    struct Progress {
        ByteRing& ring;
        std::uint64_t head;
        std::size_t frames = 0;
        ~Progress() {
            RingWords& words = ring.words();
            // relaxed: only the consumer writes it. release: E4.
            words.consumed.store(
                words.consumed.load(std::memory_order_relaxed) + frames, std::memory_order_release);
            if (ring.holds_) {
                ring.read_ = head;
            } else {
                words.head.store(head, std::memory_order_release); // E2
            }
        }
    };

    const std::size_t capacity_;
    const std::size_t mask_;
    const bool holds_ = false;
    const Bytes bytes_; // Behind the words.
    // The consumer's: what it has read of a ring that holds. head for others. On a line that producers only read, and
    // written once a call.
    std::uint64_t read_ = 0;
};

} // namespace weft
