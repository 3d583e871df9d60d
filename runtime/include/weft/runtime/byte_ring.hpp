#pragma once
// Bounded byte ring from many producer threads to one consumer thread. (The algorithm is widely known from Aeron's
// many-to-one ring buffer.)
//
//   frame:  | length (4) | kind (4) | payload ... | up to a multiple of 8 |      length counts the header, not the pad
//
//   bytes_:   ....[ free ]....|frame|frame|claimed|frame|.......[ free ].......
//                            ^ head                      ^ tail           both only grow; place = value & mask_
//
// A producer claims room by advancing the tail, writes its payload and commits by storing the frame's length. The
// consumer reads frames until it meets a length of zero, zeroes what it has read, and advances the head. Nobody
// waits: a claim that finds no room is refused.
//
// The tail word also counts frames (26 bits over 38 bits of bytes), so that "how many records were ever accepted" is
// exact without a second atomic on the producers' path.
//
// Threads: `claim`/`commit` any; `consume` one at a time; `frames_*` and `used_bytes` any.
// I1  tail - head <= capacity, and every byte outside of [head, tail) is zero.
// I2  tail_ is advanced by producers only (compare-exchange), head_ by the consumer only.
// I3  Frames do not wrap: a claim that would is preceded by a padding frame to the end of the buffer.
// I4  A claimed frame is committed by the same thread without anything in between that can fail or wait.
// E1  commit stores length (release) -> consume loads length (acquire): the payload is visible.
// E2  consume stores head_ (release) -> claim loads head_ (acquire): zeroed room may be claimed again.
// E3  claim publishes what it saw of head_ in head_seen_ (release) -> claim loads it (acquire): as E2, passed on.
// E4  consume stores consumed_ (release) -> frames_accepted loads it (acquire), then tail_: no frame is counted as
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

class ByteRing {
public:
    static constexpr std::size_t frame_header_bytes = 8;
    static constexpr std::size_t capacity_min = 1024;
    static constexpr std::size_t capacity_max = std::size_t{1} << 28;

    /// Shape: capacity is rounded up to a power of two within [capacity_min, capacity_max].
    /// Errors: std::bad_alloc. Cost: pages are touched as records first reach them.
    explicit ByteRing(std::size_t capacity)
        : capacity_(std::bit_ceil(std::clamp(capacity, capacity_min, capacity_max))),
          mask_(capacity_ - 1), bytes_(map(capacity_)) {}
    ByteRing(const ByteRing&) = delete;
    ByteRing& operator=(const ByteRing&) = delete;

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    /// Largest payload that is ever accepted: an eighth of the ring, so that one record cannot starve the others.
    [[nodiscard]] std::size_t payload_max() const noexcept {
        return capacity_ / 8 - frame_header_bytes;
    }

    /// Room for `size` payload bytes, or null when there is none or `size` is more than `payload_max()`.
    /// The caller writes the payload and commits at once (I4). Threads: any. Cost: one compare-exchange.
    [[nodiscard]] std::byte* claim(std::size_t size) noexcept {
        if (size > payload_max()) { return nullptr; }
        const std::size_t frame = frame_bytes(size);
        for (;;) { // Bound: another turn means that a producer or the consumer got on.
            // Before the tail, or the consumer might have passed a tail that is already old (I1).
            const std::uint64_t head = head_seen_.load(std::memory_order_acquire); // E3
            // relaxed: a stale tail makes the exchange fail; it is not older than head, by the acquire above.
            std::uint64_t tail = tail_.load(std::memory_order_relaxed);
            const std::uint64_t at = tail & offset_mask;
            const std::size_t place = at & mask_;
            const std::size_t to_end = capacity_ - place;
            const std::size_t padding = frame > to_end ? to_end : 0;
            const std::size_t needed = frame + padding;
            if (used(at, head) + needed > capacity_) {
                const std::uint64_t now = head_.load(std::memory_order_acquire); // E2
                if (now == head) { return nullptr; }
                head_seen_.store(now, std::memory_order_release); // E3
                continue;
            }
            const std::uint64_t next =
                ((at + needed) & offset_mask) | ((tail & count_mask) + count_one);
            // relaxed: claiming orders nothing; what is written afterwards is published by commit (E1).
            if (tail_.compare_exchange_weak(
                    tail, next, std::memory_order_relaxed, std::memory_order_relaxed)) {
                if (padding != 0) { store_length(place, padding, kind_padding); }
                return bytes_.get() + (padding != 0 ? 0 : place) + frame_header_bytes;
            }
        }
    }

    /// Makes a claimed frame readable. `payload` and `size` are those of the claim. Threads: the claimer's.
    void commit(std::byte* payload, std::size_t size) noexcept {
        const auto place = static_cast<std::size_t>(payload - bytes_.get()) - frame_header_bytes;
        store_length(place, size + frame_header_bytes, kind_record);
    }

    /// Hands committed payloads, oldest first, to `visit(std::span<const std::byte>)` until it returns false (that
    /// frame is not consumed), nothing committed is left, or `bytes_max` bytes have been passed. Returns frames
    /// consumed. What `visit` throws is passed on; its frame is not consumed. Threads: one at a time.
    template <class Visit>
    std::size_t consume(std::size_t bytes_max, Visit&& visit) noexcept(
        noexcept(visit(std::span<const std::byte>()))) {
        const std::uint64_t start =
            head_.load(std::memory_order_relaxed); // I2: own value, never stale.
        Progress done{*this, start};
        while (((done.head - start) & offset_mask) < bytes_max) {
            const std::size_t place = done.head & mask_;
            const std::uint32_t length = length_at(place).load(std::memory_order_acquire); // E1
            if (length == 0) { break; }
            std::byte* frame = bytes_.get() + place;
            std::uint32_t kind;
            std::memcpy(&kind, frame + 4, sizeof kind);
            if (kind == kind_record) {
                if (!visit(std::span<const std::byte>(
                        frame + frame_header_bytes, length - frame_header_bytes))) {
                    break;
                }
                ++done.frames;
            }
            const std::size_t whole =
                kind == kind_record ? frame_bytes(length - frame_header_bytes) : length;
            std::memset(frame, 0, whole); // I1
            done.head = (done.head + whole) & offset_mask;
        }
        return done.frames;
    }

    /// Frames ever accepted. Exact between claims. Threads: any.
    [[nodiscard]] std::uint64_t frames_accepted() const noexcept {
        const auto consumed = consumed_.load(std::memory_order_acquire); // E4
        const auto tail = tail_.load(std::memory_order_relaxed); // E4: read second, so not behind.
        const auto low = (tail >> offset_bits) - consumed;
        return consumed + (low & (count_mask >> offset_bits));
    }
    /// Frames ever handed to `visit` and accepted by it. Threads: any.
    [[nodiscard]] std::uint64_t frames_consumed() const noexcept {
        return consumed_.load(std::memory_order_acquire); // E4
    }
    /// True when more than half is taken: time to wake a consumer that sleeps. Threads: producers.
    /// Cost: two loads of the producers' own cache line, the consumer's line about twice a lap.
    [[nodiscard]] bool past_half() noexcept {
        const auto seen =
            head_seen_.load(std::memory_order_acquire); // E3; before the tail, as in claim.
        // relaxed: a hint; a later push looks again.
        const auto tail = tail_.load(std::memory_order_relaxed) & offset_mask;
        if (used(tail, seen) <= capacity_ / 2) { return false; }
        const auto head = head_.load(std::memory_order_acquire); // E2
        head_seen_.store(head, std::memory_order_release);       // E3
        // The consumer may have passed the tail that was read above: then the ring is nearly empty.
        const auto taken = used(tail, head);
        return taken > capacity_ / 2 && taken <= capacity_;
    }
    /// Gives the pages back to the system and forgets what is in them: for a ring that nobody consumes any more.
    /// A late producer may still claim and write without harm. Threads: the consumer's.
    void discard_pages() noexcept;

    /// An empty ring that never held anything, whatever producers and consumer were doing: for a forked child, whose
    /// only thread calls it.
    void reset() noexcept;

    /// Bytes between head and tail. Threads: any; a snapshot.
    [[nodiscard]] std::size_t used_bytes() const noexcept {
        // relaxed tail: a snapshot that may be old by the time it is used. acquire, so that it is not older than head.
        const auto head = head_.load(std::memory_order_acquire);
        const auto tail = tail_.load(std::memory_order_relaxed) & offset_mask; // As above.
        return std::min(used(tail, head), capacity_); // Head may have moved on in between.
    }

private:
    friend struct ByteRingProbe; // Tests: looks inside, and starts the counters near their wraps.
    static constexpr unsigned offset_bits = 38;
    static constexpr std::uint64_t offset_mask = (std::uint64_t{1} << offset_bits) - 1;
    static constexpr std::uint64_t count_mask = ~offset_mask;
    static constexpr std::uint64_t count_one = std::uint64_t{1} << offset_bits;
    static constexpr std::uint32_t kind_record = 1;
    static constexpr std::uint32_t kind_padding = 2;

    struct Unmap {
        std::size_t size = 0;
        void operator()(std::byte* bytes) const noexcept;
    };
    using Bytes = std::unique_ptr<std::byte[], Unmap>;
    // Anonymous zero pages: they cost memory only once a record has reached them.
    static Bytes map(std::size_t size);

    static constexpr std::size_t frame_bytes_min = 16;
    // So few frames fit, also while the consumer empties the ring between two loads, that the short count is unambiguous.
    static_assert(capacity_max / frame_bytes_min < (std::uint64_t{1} << (64 - offset_bits)) / 2);
    static constexpr std::size_t frame_bytes(std::size_t payload) noexcept {
        return std::max(frame_bytes_min, (payload + frame_header_bytes + 7) & ~std::size_t{7});
    }
    static std::size_t used(std::uint64_t tail, std::uint64_t head) noexcept {
        return static_cast<std::size_t>((tail - head) & offset_mask);
    }
    std::atomic_ref<std::uint32_t> length_at(std::size_t place) const noexcept {
        return std::atomic_ref<std::uint32_t>(
            *reinterpret_cast<std::uint32_t*>(bytes_.get() + place));
    }
    void store_length(std::size_t place, std::size_t length, std::uint32_t kind) noexcept {
        std::memcpy(bytes_.get() + place + 4, &kind, sizeof kind);
        length_at(place).store(static_cast<std::uint32_t>(length), std::memory_order_release); // E1
    }

    // Publishes what a call of consume has passed, also when the visitor throws.
    struct Progress {
        ByteRing& ring;
        std::uint64_t head;
        std::size_t frames = 0;
        ~Progress() {
            // relaxed: only the consumer writes it. release: E4.
            ring.consumed_.store(
                ring.consumed_.load(std::memory_order_relaxed) + frames, std::memory_order_release);
            ring.head_.store(head, std::memory_order_release); // E2
        }
    };

    const std::size_t capacity_;
    const std::size_t mask_;
    const Bytes bytes_;
    // Producers.
    alignas(detail::cache_line_bytes) std::atomic<std::uint64_t> tail_{0};
    std::atomic<std::uint64_t> head_seen_{
        0}; // Producers' last view of head_: spares them the consumer's cache line.
    // Consumer.
    alignas(detail::cache_line_bytes) std::atomic<std::uint64_t> head_{0};
    std::atomic<std::uint64_t> consumed_{0};
};

} // namespace weft
