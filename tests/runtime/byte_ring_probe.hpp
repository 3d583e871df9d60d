#pragma once
#include <weft/runtime/byte_ring.hpp>

#include <cstdint>

namespace weft {

/// Looks inside a ring, and starts its counters where a test could not get in its lifetime.
/// Threads: one at a time, and nobody else uses the ring meanwhile.
struct ByteRingProbe {
    static constexpr std::uint64_t offset_mask = RingWords::offset_mask;
    static constexpr unsigned offset_bits = RingWords::offset_bits;

    /// As if `frames` frames in `bytes` bytes had gone through. `bytes` is a multiple of 8.
    static void start_at(ByteRing& ring, std::uint64_t bytes, std::uint64_t frames) noexcept {
        const auto offset = bytes & offset_mask;
        ring.words().tail.store(
            offset | (frames << offset_bits), std::memory_order_relaxed); // One thread.
        ring.words().head.store(offset, std::memory_order_relaxed);       // As above.
        ring.words().head_seen.store(offset, std::memory_order_relaxed);  // As above.
        ring.words().consumed.store(frames, std::memory_order_relaxed);   // As above.
    }
    /// As if `frames` more frames of `bytes` bytes in all had been claimed and none consumed.
    static void claim_unseen(ByteRing& ring, std::uint64_t bytes, std::uint64_t frames) noexcept {
        const auto tail = ring.words().tail.load(std::memory_order_relaxed); // One thread.
        const auto offset = (tail + bytes) & offset_mask;
        const auto count = (tail & ~offset_mask) + (frames << offset_bits);
        ring.words().tail.store(offset | count, std::memory_order_relaxed); // As above.
    }
    /// Invariant I1: nothing is left behind outside of [head, tail).
    static bool is_zero_when_empty(const ByteRing& ring) noexcept {
        for (std::size_t i = 0; i < ring.capacity(); ++i) {
            if (ring.bytes_[i] != std::byte{0}) { return false; }
        }
        return true;
    }
};

} // namespace weft
