// Input: a byte of flags, the header of a ring file, how much of the scopes is used, and bytes that stand where the file
// has scopes, and words and bytes of each ring. Flag 1 mends what the header's checksum guards. Claims: reading ends, stays
// within the file and finds no more than fits; what passes as a span is one field.
#include "wire_check.hpp"

#include <weft/runtime/record.hpp>
#include <weft/runtime/ring_image.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

using namespace weft;

void require(bool claim) {
    if (!claim) { std::abort(); }
}

struct Input {
    std::uint8_t flags = 0;
    RingFileHeader header;
    std::uint64_t scopes_used = 0;
    std::span<const std::uint8_t> rest;
};

// A file of zeros with the input's bytes where something is.
RingImage::ReadAt reader_of(const Input& input) {
    return [&input](std::uint64_t place, std::span<std::byte> to) {
        const auto& header = input.header;
        require(place <= header.file_bytes && to.size() <= header.file_bytes - place);
        for (std::size_t i = 0; i < to.size(); ++i) {
            const std::uint64_t at = place + i;
            std::uint64_t from = input.rest.size();
            if (at < sizeof header) {
                to[i] = reinterpret_cast<const std::byte*>(&header)[at];
                continue;
            }
            if (at - RingFileHeader::scopes_used_at < 8) {
                const auto* used = reinterpret_cast<const std::byte*>(&input.scopes_used);
                to[i] = used[at - RingFileHeader::scopes_used_at];
                continue;
            }
            if (at >= header.rings_at) {
                const std::uint64_t in_ring = (at - header.rings_at) % header.ring_stride;
                if (in_ring < sizeof(RingWords)) { from = in_ring; }
                if (in_ring >= ByteRing::words_bytes) {
                    from = in_ring - ByteRing::words_bytes + sizeof(RingWords);
                }
            } else {
                from = at % 512;
            }
            to[i] = from < input.rest.size() ? std::byte{input.rest[from]} : std::byte{0};
        }
        return true;
    };
}

void check(const RingImage& image, const RingImage::ReadAt& read_at) {
    for (const auto& scope : image.scopes()) { (void)detail::is_scope(scope.message); }
    (void)detail::is_resource(image.resource());
    (void)detail::resource_text(image.resource(), "service.name");
    (void)image.unsettled_bytes(read_at);
    const auto& header = image.header();
    for (std::uint32_t shard = 0; shard < header.shards; ++shard) {
        auto ring = image.read_ring(shard, read_at);
        require(ring.bytes.size() <= header.ring_capacity);
        std::size_t bytes = 0;
        const auto found = image.scan(ring, [&](std::span<std::byte> payload, std::uint64_t word) {
            require(payload.data() >= ring.bytes.data());
            require(payload.data() + payload.size() <= ring.bytes.data() + ring.bytes.size());
            require((word - ring.settled) % 8 == 0);
            bytes += payload.size();
            (void)detail::is_metric_field(payload);
            if (detail::is_span_field(payload)) { require(payload.size() >= 2); }
        });
        require(bytes <= ring.bytes.size());
        require(
            found.committed + found.half_written <=
            ring.bytes.size() / ring_frame::bytes_min + found.committed);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input;
    std::span<const std::uint8_t> rest(data, size);
    const auto take = [&rest](auto& value) {
        if (rest.size() < sizeof value) { return false; }
        std::memcpy(&value, rest.data(), sizeof value);
        rest = rest.subspan(sizeof value);
        return true;
    };
    if (!take(input.flags) || !take(input.header) || !take(input.scopes_used)) { return 0; }
    input.rest = rest;
    auto& header = input.header;
    if ((input.flags & 1) != 0) {
        header.magic = RingFileHeader::magic_text;
        header.version = RingFileHeader::version_now;
        header.byte_order = RingFileHeader::byte_order_mark;
        header.checksum = ring_checksum(&header, offsetof(RingFileHeader, checksum));
    }
    // What memory allows; the reader's own bounds are wider.
    if (header.file_bytes < sizeof header || header.file_bytes > (4u << 20)) { return 0; }
    const auto read_at = reader_of(input);
    std::string problem;
    const auto image = RingImage::read(header.file_bytes, read_at, problem);
    require(image.has_value() == problem.empty());
    if (image) { check(*image, read_at); }
    return 0;
}
