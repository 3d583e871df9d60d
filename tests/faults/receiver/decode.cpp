#include "decode.hpp"

#include <protozero/pbf_reader.hpp>
#include <zlib.h>

#include <algorithm>
#include <optional>

namespace weft::faults {
namespace {

constexpr std::size_t plain_bytes_max = 256u << 20;

using protozero::pbf_wire_type;
constexpr auto message = [](std::uint32_t field) {
    return protozero::tag_and_type(field, pbf_wire_type::length_delimited);
};

std::string_view view(protozero::pbf_reader& reader) {
    const auto bytes = reader.get_view();
    return {bytes.data(), bytes.size()};
}

// KeyValue{key, value: AnyValue{int_value}}: the number, if the key is "n".
std::optional<std::uint64_t> number_of(std::string_view attribute) {
    protozero::pbf_reader pair(attribute.data(), attribute.size());
    while (pair.next()) {
        switch (static_cast<std::uint32_t>(pair.tag_and_type())) {
        case message(1):
            if (view(pair) != "n") { return std::nullopt; }
            break;
        case message(2): {
            protozero::pbf_reader value(pair.get_view());
            if (!value.next(3, pbf_wire_type::varint)) { return std::nullopt; }
            return static_cast<std::uint64_t>(value.get_int64());
        }
        default:
            pair.skip();
        }
    }
    return std::nullopt;
}

} // namespace

bool Decoder::inflate(std::string_view body) {
    z_stream stream{};
    if (inflateInit2(&stream, 15 + 16) != Z_OK) { return false; }
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream.avail_in = static_cast<uInt>(body.size());
    plain_.resize(std::max<std::size_t>(plain_.capacity(), 64u << 10));
    std::size_t size = 0;
    int status = Z_OK;
    while (status == Z_OK && size < plain_bytes_max) {
        if (size == plain_.size()) { plain_.resize(plain_.size() * 2); }
        stream.next_out = reinterpret_cast<Bytef*>(plain_.data() + size);
        stream.avail_out = static_cast<uInt>(plain_.size() - size);
        status = ::inflate(&stream, Z_NO_FLUSH);
        size = plain_.size() - stream.avail_out;
    }
    inflateEnd(&stream);
    plain_.resize(size);
    return status == Z_STREAM_END;
}

bool Decoder::expand_zstd(std::string_view body) {
    const auto size = ZSTD_getFrameContentSize(body.data(), body.size());
    if (size > plain_bytes_max) { return false; } // Also unknown, and no frame at all.
    if (!zstd_) { zstd_.reset(ZSTD_createDCtx()); }
    plain_.resize(size);
    return ZSTD_decompressDCtx(zstd_.get(), plain_.data(), size, body.data(), body.size()) == size;
}

void Decoder::read_span(std::string_view bytes, Store& store) {
    protozero::pbf_reader span(bytes.data(), bytes.size());
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::optional<std::uint64_t> number;
    while (span.next()) {
        switch (static_cast<std::uint32_t>(span.tag_and_type())) {
        case protozero::tag_and_type(7, pbf_wire_type::fixed64):
            start = span.get_fixed64();
            break;
        case protozero::tag_and_type(8, pbf_wire_type::fixed64):
            end = span.get_fixed64();
            break;
        case message(9):
            if (number) {
                span.skip();
            } else {
                number = number_of(view(span));
            }
            break;
        default:
            span.skip();
        }
    }
    if (end < start) { store.add(Count::backwards); }
    earliest_ = std::min(earliest_, start);
    latest_ = std::max(latest_, end);
    if (number) {
        numbers.push_back(*number);
    } else {
        store.add(Count::unnumbered);
    }
}

bool Decoder::decode(std::string_view encoding, std::string_view body, Store& store) {
    numbers.clear();
    earliest_ = UINT64_MAX;
    latest_ = 0;
    store.add(Count::body_bytes, body.size());
    if (encoding == "gzip" || encoding == "zstd") {
        if (!(encoding == "gzip" ? inflate(body) : expand_zstd(body))) { return false; }
        body = plain_;
    } else if (!encoding.empty() && encoding != "identity") {
        return false;
    }
    store.add(Count::record_bytes, body.size());
    try {
        protozero::pbf_reader request(body.data(), body.size());
        while (request.next(1)) { // resource_spans
            protozero::pbf_reader resource(request.get_view());
            while (resource.next(2)) { // scope_spans
                protozero::pbf_reader scope(resource.get_view());
                while (scope.next(2)) { read_span(view(scope), store); }
            }
        }
        if (latest_ != 0) { store.widen(earliest_, latest_); }
        return true;
    } catch (const protozero::exception&) { return false; }
}

} // namespace weft::faults
