#include "spool_format.hpp"

#include <fmt/format.h>
#include <libdeflate.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <new>

namespace weft::detail {
namespace {

// The first byte of each is neither text nor a common byte of protobuf.
constexpr std::array<std::byte, 4> entry_magic{
    std::byte{0xd7}, std::byte{'W'}, std::byte{'s'}, std::byte{0xe1}};
constexpr std::array<std::byte, 4> cursor_magic{
    std::byte{0xd7}, std::byte{'W'}, std::byte{'c'}, std::byte{0xe1}};
constexpr std::string_view segment_suffix = ".v1";
constexpr std::size_t segment_digits = 16;
constexpr std::size_t salt_digits = 8;

// -1 for requests; here the disk is the next stage and -3 takes two thirds of its time. See docs/decisions/0013-spool.md.
constexpr int stored_level = -3;

class Writer {
public:
    explicit Writer(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}
    template <class Number>
    void put(Number number) noexcept {
        auto value = static_cast<std::uint64_t>(number);
        for (std::size_t i = 0; i < sizeof(Number); ++i, value >>= 8) {
            bytes_[place_++] = static_cast<std::byte>(value);
        }
    }
    void put(std::span<const std::byte> bytes) noexcept {
        std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(place_));
        place_ += bytes.size();
    }

private:
    std::span<std::byte> bytes_;
    std::size_t place_ = 0;
};

class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
    template <class Number>
    void get(Number& number) noexcept {
        std::uint64_t value = 0;
        for (std::size_t i = sizeof(Number); i > 0; --i) {
            value = value << 8 | std::to_integer<std::uint64_t>(bytes_[place_ + i - 1]);
        }
        place_ += sizeof(Number);
        number = static_cast<Number>(value);
    }
    void pass(std::size_t bytes) noexcept { place_ += bytes; }

private:
    std::span<const std::byte> bytes_;
    std::size_t place_ = 0;
};

std::uint32_t crc_of(std::uint32_t seed, std::span<const std::byte> bytes) noexcept {
    return libdeflate_crc32(seed, bytes.data(), bytes.size());
}

bool begins_with(std::span<const std::byte> bytes, std::span<const std::byte> magic) noexcept {
    return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
}

// Magic, checksum of what follows, what follows.
constexpr std::size_t checked_from = 8;

// Whether a header that carries the right checksum also makes sense: somebody else's may not.
bool is_sound(const EntryHeader& header) noexcept {
    return header.sequence < spool_sequence_max && header.body_bytes <= entry_body_bytes_max &&
           header.stored_bytes <= header.body_bytes && header.signal <= Signal::logs &&
           (header.coding == Compression::zstd ||
            (header.coding == Compression::none && header.stored_bytes == header.body_bytes));
}

std::optional<std::uint64_t> parse_hex(std::string_view text) noexcept {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + text.size()) { return std::nullopt; }
    return value;
}

} // namespace

std::uint32_t crc_of(std::span<const std::byte> bytes) noexcept { return crc_of(0, bytes); }

EntryHeaderBytes encode(const EntryHeader& header, std::uint32_t salt) noexcept {
    EntryHeaderBytes bytes{};
    Writer fields{std::span(bytes).subspan(checked_from)};
    fields.put(header.sequence);
    fields.put(header.records_before);
    fields.put(header.time_ns);
    fields.put(header.stored_bytes);
    fields.put(header.body_bytes);
    fields.put(header.records);
    fields.put(header.stored_crc);
    fields.put(static_cast<std::uint8_t>(header.signal));
    fields.put(static_cast<std::uint8_t>(header.coding));
    Writer front{std::span(bytes)};
    front.put(std::span<const std::byte>(entry_magic));
    front.put(crc_of(salt, std::span(bytes).subspan(checked_from)));
    return bytes;
}

std::optional<EntryHeader> decode_entry_header(
    std::span<const std::byte> bytes, std::uint32_t salt) noexcept {
    if (bytes.size() < entry_header_bytes || !begins_with(bytes, entry_magic)) {
        return std::nullopt;
    }
    Reader fields(bytes.first(entry_header_bytes));
    fields.pass(entry_magic.size());
    std::uint32_t crc = 0;
    fields.get(crc);
    if (crc != crc_of(salt, bytes.subspan(checked_from, entry_header_bytes - checked_from))) {
        return std::nullopt;
    }
    EntryHeader header;
    std::uint8_t signal = 0;
    std::uint8_t coding = 0;
    fields.get(header.sequence);
    fields.get(header.records_before);
    fields.get(header.time_ns);
    fields.get(header.stored_bytes);
    fields.get(header.body_bytes);
    fields.get(header.records);
    fields.get(header.stored_crc);
    fields.get(signal);
    fields.get(coding);
    header.signal = static_cast<Signal>(signal);
    header.coding = static_cast<Compression>(coding);
    if (!is_sound(header)) { return std::nullopt; }
    return header;
}

std::optional<EntryScanner::Found> EntryScanner::next() {
    const std::uint64_t start = offset_;
    std::uint64_t place = start;
    while (place + entry_header_bytes <= segment_.bytes) { // Bound: the segment.
        constexpr std::size_t header_ahead = 4096;
        const auto header =
            decode_entry_header(look(place, entry_header_bytes, header_ahead), segment_.salt);
        if (header) {
            Found found{*header, place};
            found.is_whole = found.end() <= segment_.bytes;
            skipped_ = place - start;
            offset_ = found.is_whole ? found.end() : segment_.bytes;
            return found;
        }
        place = find_magic(place + 1);
    }
    skipped_ = segment_.bytes > start ? segment_.bytes - start : 0;
    offset_ = std::max(start, segment_.bytes);
    return std::nullopt;
}

// At least `bytes` from an offset, which the segment has. Reads `ahead` of them if it must read.
std::span<const std::byte> EntryScanner::look(
    std::uint64_t offset, std::size_t bytes, std::size_t ahead) {
    if (offset < window_begin_ || offset + bytes > window_begin_ + window_.size()) {
        const auto size = std::min<std::uint64_t>(ahead, segment_.bytes - offset);
        window_.assign(static_cast<std::size_t>(size), std::byte{});
        window_begin_ = offset;
        read_(offset, window_);
    }
    return std::span<const std::byte>(window_).subspan(
        static_cast<std::size_t>(offset - window_begin_));
}

// Where the next header may begin, or the end of the segment.
std::uint64_t EntryScanner::find_magic(std::uint64_t from) {
    constexpr std::size_t search_ahead = 64u << 10;
    while (from + entry_header_bytes <= segment_.bytes) { // Bound: the segment, a window at a time.
        const auto window = look(from, entry_magic.size(), search_ahead);
        const auto found =
            std::search(window.begin(), window.end(), entry_magic.begin(), entry_magic.end());
        if (found != window.end()) {
            return from + static_cast<std::uint64_t>(found - window.begin());
        }
        from += window.size() - (entry_magic.size() - 1); // It may lie across two windows.
    }
    return segment_.bytes;
}

CursorBytes encode(const SpoolCursor& cursor) noexcept {
    CursorBytes bytes{};
    Writer fields{std::span(bytes).subspan(checked_from)};
    fields.put(cursor.generation);
    fields.put(cursor.sequence);
    fields.put(cursor.records_before);
    fields.put(cursor.next_sequence);
    fields.put(cursor.records_total);
    Writer front{std::span(bytes)};
    front.put(std::span<const std::byte>(cursor_magic));
    front.put(crc_of(std::span(bytes).subspan(checked_from)));
    return bytes;
}

std::optional<SpoolCursor> decode_cursor(std::span<const std::byte> bytes) noexcept {
    if (bytes.size() < cursor_slot_bytes || !begins_with(bytes, cursor_magic)) {
        return std::nullopt;
    }
    Reader fields(bytes);
    fields.pass(cursor_magic.size());
    std::uint32_t crc = 0;
    fields.get(crc);
    if (crc != crc_of(bytes.subspan(checked_from, cursor_slot_bytes - checked_from))) {
        return std::nullopt;
    }
    SpoolCursor cursor;
    fields.get(cursor.generation);
    fields.get(cursor.sequence);
    fields.get(cursor.records_before);
    fields.get(cursor.next_sequence);
    fields.get(cursor.records_total);
    const bool is_sound = cursor.sequence <= cursor.next_sequence &&
                          cursor.next_sequence < spool_sequence_max &&
                          cursor.records_before <= cursor.records_total;
    if (!is_sound) { return std::nullopt; }
    return cursor;
}

std::string to_string(const SegmentName& name) {
    return fmt::format("{:016x}-{:08x}{}", name.first, name.salt, segment_suffix);
}

std::optional<SegmentName> parse_segment_name(std::string_view text) noexcept {
    constexpr std::size_t size = segment_digits + 1 + salt_digits + segment_suffix.size();
    if (text.size() != size || !text.ends_with(segment_suffix) || text[segment_digits] != '-') {
        return std::nullopt;
    }
    const auto first = parse_hex(text.substr(0, segment_digits));
    const auto salt = parse_hex(text.substr(segment_digits + 1, salt_digits));
    if (!first || !salt || *first >= spool_sequence_max) { return std::nullopt; }
    return SegmentName{*first, static_cast<std::uint32_t>(*salt)};
}

bool is_foreign_segment(std::string_view text) noexcept {
    constexpr std::size_t stem = segment_digits + 1 + salt_digits;
    return text.size() > stem && text.substr(stem).starts_with(".v") &&
           !text.ends_with(segment_suffix) && text[segment_digits] == '-';
}

struct BodyCoder::Contexts {
    struct Free {
        void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
    };
    std::unique_ptr<ZSTD_DCtx, Free> zstd;
};

BodyCoder::BodyCoder()
    : compressor_(Compression::zstd, stored_level), contexts_(std::make_unique<Contexts>()) {}
BodyCoder::~BodyCoder() = default;

// A body that does not shrink, or for which there is no memory, is stored as it is.
BodyCoder::Stored BodyCoder::store(std::string_view body) noexcept {
    const auto compressed = compressor_.compress(body);
    if (compressed && compressed->size() < body.size()) {
        return {std::as_bytes(std::span(*compressed)), Compression::zstd};
    }
    return {std::as_bytes(std::span(body)), Compression::none};
}

bool BodyCoder::restore(
    const EntryHeader& header, std::span<const std::byte> stored, std::string& body) {
    if (stored.size() != header.stored_bytes || crc_of(stored) != header.stored_crc) {
        return false;
    }
    if (header.coding == Compression::none) {
        body.assign(reinterpret_cast<const char*>(stored.data()), stored.size());
        return true;
    }
    // What the frame itself says comes first: a forged header must not have us fill memory.
    if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != header.body_bytes) {
        return false;
    }
    if (!contexts_->zstd) { contexts_->zstd.reset(ZSTD_createDCtx()); }
    if (!contexts_->zstd) { throw std::bad_alloc(); }
    body.resize(header.body_bytes);
    const std::size_t size = ZSTD_decompressDCtx(
        contexts_->zstd.get(), body.data(), body.size(), stored.data(), stored.size());
    return ZSTD_isError(size) == 0 && size == header.body_bytes;
}

} // namespace weft::detail
