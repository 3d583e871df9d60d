#pragma once
// Undoes a Content-Encoding in tests, with a second library for gzip: zlib reads what libdeflate
// wrote.

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <string>
#include <string_view>

namespace weft::testing {

inline std::string gunzip(std::string_view bytes, std::size_t size_max) {
    std::string out(size_max, '\0');
    z_stream stream = {};
    EXPECT_EQ(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(stream.avail_in, 0u) << "bytes behind the gzip member";
    out.resize(stream.total_out);
    inflateEnd(&stream);
    return out;
}

inline std::string unzstd(std::string_view bytes, std::size_t size_max) {
    std::string out(size_max, '\0');
    const auto size = ZSTD_decompress(out.data(), out.size(), bytes.data(), bytes.size());
    EXPECT_EQ(ZSTD_isError(size), 0u);
    out.resize(ZSTD_isError(size) != 0 ? 0 : size);
    return out;
}

inline std::string decode_body(
    std::string_view content_encoding, std::string_view body, std::size_t size_max = 64u << 20) {
    if (content_encoding == "gzip") { return gunzip(body, size_max); }
    if (content_encoding == "zstd") { return unzstd(body, size_max); }
    EXPECT_EQ(content_encoding, "");
    return std::string(body);
}

} // namespace weft::testing
