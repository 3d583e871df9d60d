#pragma once
// What is in a ring file, for whoever adopts or inspects it. The file is input from outside: no length, place or count in
// it is believed before it has been checked, and whatever it holds, reading it ends.
//
// A ring is read from `settled` to the tail. A record is there when its frame's header says so. What its process was
// writing when it was killed is a frame that is claimed, whose length is known, or one that the claimer had not come to,
// which is zeros up to the next header (ByteRing, I5). How many there are of both follows from the tail's count.

#include <weft/runtime/ring_file.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

class RingImage {
public:
    /// Fills all of `to` from that place of the file on; false when it cannot.
    using ReadAt = std::function<bool(std::uint64_t place, std::span<std::byte> to)>;

    /// Nothing when it is not a ring file that can be read, and `problem` says why. Errors: std::bad_alloc.
    [[nodiscard]] static std::optional<RingImage> read(
        std::uint64_t file_bytes, const ReadAt& read_at, std::string& problem);

    [[nodiscard]] const RingFileHeader& header() const noexcept { return header_; }
    [[nodiscard]] std::string_view service() const noexcept { return text(0, service_end_); }
    [[nodiscard]] std::string_view resource() const noexcept {
        return text(service_end_, resource_end_);
    }
    [[nodiscard]] std::string_view schema_url() const noexcept {
        return text(resource_end_, texts_.size());
    }

    struct Scope {
        std::uint16_t index = 0;
        std::string_view message;
        std::string_view schema_url;
    };
    /// As far as they can be read; of two with one index the later counts. Lifetime: the image's. Errors: std::bad_alloc.
    [[nodiscard]] std::vector<Scope> scopes() const;

    /// The part of a ring that is not settled.
    struct Ring {
        std::uint64_t settled = 0; ///< As RingWords::settled.
        std::uint64_t frames = 0;  ///< That began in it.
        std::vector<std::byte> bytes;
        bool is_damaged = false; ///< Its words contradict each other; nothing is read.
    };
    /// Errors: std::bad_alloc.
    [[nodiscard]] Ring read_ring(std::uint32_t shard, const ReadAt& read_at) const;
    /// Units: bytes of all rings that `read_ring` would read.
    [[nodiscard]] std::uint64_t unsettled_bytes(const ReadAt& read_at) const;
    /// Where RingWords::settled of a ring lies in the file.
    [[nodiscard]] std::uint64_t settled_at(std::uint32_t shard) const noexcept;

    struct Found {
        std::uint64_t committed = 0;
        std::uint64_t half_written = 0; ///< And what lies behind damage.
    };
    /// Calls `visit(payload, settled)` for each committed record, oldest first; `settled` is the ring's word once the
    /// record is done with. Lifetime: the payloads are the ring's.
    template <class Visit>
    Found scan(Ring& ring, Visit&& visit) const;

private:
    struct Step {
        std::span<std::byte> payload; // Null data: none.
        bool more = false;
    };
    // The next frame from `at` on, which it moves behind it, counting into `frames`.
    [[nodiscard]] Step step(Ring& ring, std::size_t& at, std::uint64_t& frames) const noexcept;
    [[nodiscard]] std::string_view text(std::size_t from, std::size_t to) const noexcept {
        return std::string_view(texts_).substr(from, to - from);
    }
    [[nodiscard]] std::uint64_t ring_at(std::uint32_t shard) const noexcept {
        return header_.rings_at + shard * header_.ring_stride;
    }
    [[nodiscard]] bool read_words(
        std::uint32_t shard, const ReadAt& read_at, std::uint64_t& tail,
        std::uint64_t& settled) const;

    RingFileHeader header_;
    std::string texts_;
    std::size_t service_end_ = 0;
    std::size_t resource_end_ = 0;
    std::string scope_bytes_;
};

template <class Visit>
RingImage::Found RingImage::scan(Ring& ring, Visit&& visit) const {
    Found found;
    std::uint64_t frames = 0;
    std::size_t at = 0;
    for (;;) { // Bound: each step moves on by 8 bytes or more.
        const Step next = step(ring, at, frames);
        if (!next.more) { break; }
        if (next.payload.data() == nullptr) { continue; }
        ++found.committed;
        const auto place = (ring.settled + at) & RingWords::offset_mask;
        const auto count = (ring.settled >> RingWords::offset_bits) + frames;
        visit(next.payload, count << RingWords::offset_bits | place);
    }
    found.half_written = ring.frames > found.committed ? ring.frames - found.committed : 0;
    return found;
}

} // namespace weft
