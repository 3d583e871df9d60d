#include <weft/runtime/ring_image.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace weft {
namespace {

// Far above what we write, far below what would hurt.
constexpr std::uint64_t texts_bytes_max = 16u << 20;
constexpr std::uint64_t scopes_bytes_max = 64u << 20;
constexpr std::uint32_t shards_max = 64;

template <class T>
bool read_value(const RingImage::ReadAt& read_at, std::uint64_t place, T& value) {
    return read_at(place, std::as_writable_bytes(std::span(&value, 1)));
}

bool read_text(const RingImage::ReadAt& read_at, std::uint64_t place, std::string& text) {
    return text.empty() || read_at(place, std::as_writable_bytes(std::span(text)));
}

// What is wrong with it. Each number is bounded before it is used in a sum, so that none wraps.
const char* problem_in(const RingFileHeader& header, std::uint64_t file_bytes) noexcept {
    if (header.magic != RingFileHeader::magic_text) { return "it is no ring file"; }
    if (header.byte_order != RingFileHeader::byte_order_mark) {
        return "it is of a machine with another byte order";
    }
    if (header.version != RingFileHeader::version_now) {
        return "it is of another version of weft";
    }
    if (header.checksum != ring_checksum(&header, offsetof(RingFileHeader, checksum))) {
        return "its header is damaged";
    }
    if (header.file_bytes != file_bytes) { return "its length is not what its header says"; }
    const auto texts =
        std::uint64_t{header.service_bytes} + header.resource_bytes + header.schema_url_bytes;
    const bool is_sound =
        header.signal < all_signals.size() && header.shards >= 1 && header.shards <= shards_max &&
        std::has_single_bit(header.ring_capacity) &&
        header.ring_capacity >= ByteRing::capacity_min &&
        header.ring_capacity <= ByteRing::capacity_max && texts <= texts_bytes_max &&
        header.scopes_bytes <= scopes_bytes_max && header.scopes_at <= file_bytes &&
        header.scopes_at >= RingFileHeader::texts_at + texts && header.rings_at <= file_bytes &&
        header.rings_at >= header.scopes_at + header.scopes_bytes &&
        header.ring_stride <= file_bytes &&
        header.ring_stride >= ByteRing::words_bytes + header.ring_capacity &&
        header.ring_stride * header.shards <= file_bytes - header.rings_at;
    return is_sound ? nullptr : "its header contradicts itself";
}

std::uint64_t offset_of(std::uint64_t word) noexcept { return word & RingWords::offset_mask; }

} // namespace

std::optional<RingImage> RingImage::read(
    std::uint64_t file_bytes, const ReadAt& read_at, std::string& problem) {
    RingImage image;
    const auto refuse = [&problem](const char* why) {
        problem = why;
        return std::nullopt;
    };
    if (file_bytes < RingFileHeader::texts_at || !read_value(read_at, 0, image.header_)) {
        return refuse("it is no ring file");
    }
    const auto& header = image.header_;
    if (const char* why = problem_in(header, file_bytes)) { return refuse(why); }
    image.service_end_ = header.service_bytes;
    image.resource_end_ = image.service_end_ + header.resource_bytes;
    image.texts_.resize(image.resource_end_ + header.schema_url_bytes);
    std::uint64_t used = 0;
    if (!read_text(read_at, RingFileHeader::texts_at, image.texts_) ||
        !read_value(read_at, RingFileHeader::scopes_used_at, used)) {
        return refuse("it cannot be read");
    }
    image.scope_bytes_.resize(std::min(used, header.scopes_bytes));
    if (!read_text(read_at, header.scopes_at, image.scope_bytes_)) {
        return refuse("it cannot be read");
    }
    return image;
}

std::vector<RingImage::Scope> RingImage::scopes() const {
    std::vector<Scope> scopes;
    std::string_view rest = scope_bytes_;
    RingScopeEntry entry;
    while (rest.size() >= sizeof entry) { // Bound: each turn takes an entry off.
        std::memcpy(&entry, rest.data(), sizeof entry);
        rest.remove_prefix(sizeof entry);
        const auto texts = std::uint64_t{entry.message_bytes} + entry.schema_url_bytes;
        if (texts > rest.size() || entry.index > 0xffff) { break; }
        const auto message = rest.substr(0, entry.message_bytes);
        const auto schema_url = rest.substr(entry.message_bytes, entry.schema_url_bytes);
        scopes.push_back({static_cast<std::uint16_t>(entry.index), message, schema_url});
        rest.remove_prefix(std::min<std::size_t>(rest.size(), (texts + 7) / 8 * 8));
    }
    return scopes;
}

std::uint64_t RingImage::settled_at(std::uint32_t shard) const noexcept {
    return ring_at(shard) + offsetof(RingWords, settled);
}

// False when they cannot be right.
bool RingImage::read_words(
    std::uint32_t shard, const ReadAt& read_at, std::uint64_t& tail, std::uint64_t& settled) const {
    if (!read_value(read_at, ring_at(shard) + offsetof(RingWords, tail), tail) ||
        !read_value(read_at, settled_at(shard), settled)) {
        return false;
    }
    const auto bytes = offset_of(tail - settled);
    return bytes <= header_.ring_capacity && bytes % 8 == 0 && settled % 8 == 0;
}

std::uint64_t RingImage::unsettled_bytes(const ReadAt& read_at) const {
    std::uint64_t bytes = 0;
    for (std::uint32_t shard = 0; shard < header_.shards; ++shard) {
        std::uint64_t tail = 0;
        std::uint64_t settled = 0;
        if (read_words(shard, read_at, tail, settled)) { bytes += offset_of(tail - settled); }
    }
    return bytes;
}

RingImage::Ring RingImage::read_ring(std::uint32_t shard, const ReadAt& read_at) const {
    Ring ring;
    std::uint64_t tail = 0;
    ring.is_damaged = true;
    if (!read_words(shard, read_at, tail, ring.settled)) { return ring; }
    ring.bytes.resize(offset_of(tail - ring.settled));
    const auto bytes_at = ring_at(shard) + ByteRing::words_bytes;
    const auto place = ring.settled & (header_.ring_capacity - 1);
    const auto before_end =
        std::min<std::uint64_t>(ring.bytes.size(), header_.ring_capacity - place);
    const auto all = std::span(ring.bytes);
    if ((before_end != 0 && !read_at(bytes_at + place, all.first(before_end))) ||
        (before_end != all.size() && !read_at(bytes_at, all.subspan(before_end)))) {
        ring.bytes.clear();
        return ring;
    }
    ring.is_damaged = false;
    constexpr std::uint64_t count_mask = (std::uint64_t{1} << (64 - RingWords::offset_bits)) - 1;
    // Both words may be nonsense where the places are not: no more frames than fit began in these bytes.
    ring.frames = std::min<std::uint64_t>(
        ((tail >> RingWords::offset_bits) - (ring.settled >> RingWords::offset_bits)) & count_mask,
        ring.bytes.size() / ring_frame::bytes_min);
    return ring;
}

RingImage::Step RingImage::step(Ring& ring, std::size_t& at, std::uint64_t& frames) const noexcept {
    const std::size_t left = ring.bytes.size() - at;
    if (left < ring_frame::header_bytes) { return {}; }
    std::byte* const frame = ring.bytes.data() + at;
    std::uint64_t header = 0;
    std::memcpy(&header, frame, sizeof header);
    if (header == 0) { // Claimed by somebody who did not come to say so.
        at += 8;
        return {{}, true};
    }
    const std::size_t place = (ring.settled + at) & (header_.ring_capacity - 1);
    const std::size_t to_end = header_.ring_capacity - place;
    const std::size_t length = ring_frame::length(header);
    const std::uint32_t kind = ring_frame::kind(header);
    if (kind == ring_frame::padding) {
        if (length != to_end || length > left) { return {}; }
        at += length;
        return {{}, true};
    }
    const bool is_frame = kind == ring_frame::record || kind == ring_frame::claimed;
    if (!is_frame || length < ring_frame::header_bytes || length > header_.ring_capacity / 8) {
        return {};
    }
    const std::size_t whole = ring_frame::bytes(length - ring_frame::header_bytes);
    if (whole > to_end || whole > left) { return {}; }
    at += whole;
    ++frames;
    if (kind == ring_frame::claimed) { return {{}, true}; }
    return {{frame + ring_frame::header_bytes, length - ring_frame::header_bytes}, true};
}

} // namespace weft
