#pragma once
// What a spool's files look like, and how they are read when any byte of them may be wrong. Told in docs/spool.md.
//
//   segment   [entry][entry]...                      named <first sequence>-<salt>.v1, 16 and 8 hexadecimal digits
//   entry     [header, 52 bytes][body as stored]
//   cursor    [slot, 64 bytes] at 0 and at 4096      written in turn; the newest readable one counts
//
// All numbers are little-endian; checksums are the CRC-32 of gzip.

#include <weft/exporters/batch.hpp>
#include <weft/exporters/compression.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::detail {

inline constexpr std::size_t entry_header_bytes = 52;
inline constexpr std::size_t cursor_slot_bytes = 64;
inline constexpr std::uint64_t cursor_slot_distance =
    4096; // Two sectors, so that no torn write takes both.
inline constexpr std::size_t entry_body_bytes_max = 128u << 20;
inline constexpr std::uint64_t spool_sequence_max = std::uint64_t{1} << 62;
inline constexpr std::uint64_t spool_block_bytes = 4096;
/// The directory itself, the cursor's two blocks and the owner's note.
inline constexpr std::uint64_t spool_bookkeeping_bytes = 4 * spool_block_bytes;

/// What precedes a batch.
struct EntryHeader {
    std::uint64_t sequence = 0;       ///< Of the batch: one more than that of the batch before.
    std::uint64_t records_before = 0; ///< In all batches before it: tells what a gap held.
    std::int64_t time_ns = 0;         ///< Wall time of the append.
    std::uint32_t stored_bytes = 0;   ///< Following the header.
    std::uint32_t body_bytes = 0;     ///< As it was before compression.
    std::uint32_t records = 0;
    std::uint32_t stored_crc = 0;
    Signal signal = Signal::traces;
    Compression coding = Compression::none; ///< none or zstd.
};

using EntryHeaderBytes = std::array<std::byte, entry_header_bytes>;

/// The salt of the segment enters the checksum: so no bytes that somebody had us store can pass for a header.
[[nodiscard]] EntryHeaderBytes encode(const EntryHeader& header, std::uint32_t salt) noexcept;
/// Nothing if it is not a header of this segment.
[[nodiscard]] std::optional<EntryHeader> decode_entry_header(
    std::span<const std::byte> bytes, std::uint32_t salt) noexcept;

[[nodiscard]] std::uint32_t crc_of(std::span<const std::byte> bytes) noexcept;

/// Finds the entries of a segment, the readable ones among whatever else. Looks at headers only.
class EntryScanner {
public:
    /// Fills `into` from an offset. What it cannot read it leaves as zeros.
    using Read = std::function<void(std::uint64_t offset, std::span<std::byte> into)>;

    struct Segment {
        std::uint64_t bytes = 0;
        std::uint32_t salt = 0;
    };
    struct Found {
        EntryHeader header;
        std::uint64_t offset = 0; ///< Of the header.
        bool is_whole = true;     ///< False: the segment ends before the body does.
        [[nodiscard]] std::uint64_t end() const noexcept {
            return offset + entry_header_bytes + header.stored_bytes;
        }
    };

    EntryScanner(Read read, Segment segment, std::uint64_t offset = 0)
        : read_(std::move(read)), segment_(segment), offset_(offset) {}

    /// The next entry, or nothing at the end of the segment.
    [[nodiscard]] std::optional<Found> next();
    /// Bytes that the last next() passed over because nothing in them was readable.
    [[nodiscard]] std::uint64_t skipped_bytes() const noexcept { return skipped_; }
    /// Where the next entry would begin.
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

private:
    [[nodiscard]] std::span<const std::byte> look(
        std::uint64_t offset, std::size_t bytes, std::size_t ahead);
    [[nodiscard]] std::uint64_t find_magic(std::uint64_t from);

    Read read_;
    Segment segment_;
    std::uint64_t offset_;
    std::uint64_t skipped_ = 0;
    std::vector<std::byte> window_;
    std::uint64_t window_begin_ = 0;
};

/// How far the batches of a spool are settled.
struct SpoolCursor {
    std::uint64_t generation = 0;
    std::uint64_t sequence =
        0; ///< The oldest batch that is not settled; `next_sequence` if there is none.
    std::uint64_t records_before = 0; ///< As in its header.
    std::uint64_t next_sequence = 0;  ///< Of the next batch appended, at this writing.
    std::uint64_t records_total = 0;  ///< Its `records_before`.
};

using CursorBytes = std::array<std::byte, cursor_slot_bytes>;
[[nodiscard]] CursorBytes encode(const SpoolCursor& cursor) noexcept;
[[nodiscard]] std::optional<SpoolCursor> decode_cursor(std::span<const std::byte> bytes) noexcept;
[[nodiscard]] inline std::uint64_t cursor_slot_offset(std::uint64_t generation) noexcept {
    return generation % 2 * cursor_slot_distance;
}

/// A segment's name: the sequence of its first batch, and its salt.
struct SegmentName {
    std::uint64_t first = 0;
    std::uint32_t salt = 0;
    [[nodiscard]] auto operator<=>(const SegmentName&) const noexcept = default;
};
[[nodiscard]] std::string to_string(const SegmentName& name);
/// Nothing if it is no segment's.
[[nodiscard]] std::optional<SegmentName> parse_segment_name(std::string_view text) noexcept;
/// Whether a file looks like a segment of a format that is not this one.
[[nodiscard]] bool is_foreign_segment(std::string_view text) noexcept;

/// Bodies as they are stored, and back.
class BodyCoder {
public:
    BodyCoder();
    ~BodyCoder();
    BodyCoder(const BodyCoder&) = delete;
    BodyCoder& operator=(const BodyCoder&) = delete;

    struct Stored {
        std::span<const std::byte> bytes;
        Compression coding = Compression::none;
    };
    /// Lifetime: until the next call, and no longer than `body`.
    [[nodiscard]] Stored store(std::string_view body) noexcept;
    /// Gives back memory that only a huge body needed.
    void trim() noexcept { compressor_.trim(1u << 20); }

    /// Checks checksum and sizes. False: it is not what was stored. Throws std::bad_alloc.
    [[nodiscard]] bool restore(
        const EntryHeader& header, std::span<const std::byte> stored, std::string& body);

private:
    struct Contexts;
    Compressor compressor_;
    std::unique_ptr<Contexts> contexts_;
};

} // namespace weft::detail
