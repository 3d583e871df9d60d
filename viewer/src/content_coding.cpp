#include "content_coding.hpp"

#include "text.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>

namespace weft::otlp {
namespace {

constexpr std::size_t chunk_bytes = std::size_t{64} << 10;
// RFC 9659 holds senders of zstd content to windows of 8 MiB, so that receivers can rely on it.
constexpr int zstd_window_log_max = 23;

// Appends unless the total would pass the cap.
bool append_within(std::string& out, const char* data, std::size_t bytes, std::size_t bytes_max) {
    if (bytes > bytes_max - out.size()) { return false; } // out.size() <= bytes_max always holds.
    out.append(data, bytes);
    return true;
}

class Inflater {
public:
    Inflater() {
        constexpr int gzip_only = 15 + 16;
        if (inflateInit2(&stream_, gzip_only) != Z_OK) { throw std::bad_alloc(); }
    }
    ~Inflater() { inflateEnd(&stream_); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    Result<void> run(std::span<const std::byte> body, std::size_t bytes_max, std::string& out) {
        std::array<char, chunk_bytes> chunk;
        bool at_member_end = false;
        // Ends: each turn consumes input or fills output, and both are bounded; zlib reports a turn
        // that did neither.
        while (!at_member_end || !body.empty()) {
            if (at_member_end && inflateReset(&stream_) != Z_OK) { return Errc::decode_failed; }
            const std::size_t given = std::min(body.size(), std::size_t{1} << 30);
            // zlib's interface is not const-correct; it does not write to its input.
            stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(body.data()));
            stream_.avail_in = static_cast<uInt>(given);
            stream_.next_out = reinterpret_cast<Bytef*>(chunk.data());
            stream_.avail_out = static_cast<uInt>(chunk.size());
            const int code = inflate(&stream_, Z_NO_FLUSH);
            if (code != Z_OK && code != Z_STREAM_END) { return Errc::decode_failed; }
            body = body.subspan(given - stream_.avail_in);
            if (!append_within(out, chunk.data(), chunk.size() - stream_.avail_out, bytes_max)) {
                return Errc::request_too_large;
            }
            at_member_end = code == Z_STREAM_END;
        }
        return {};
    }

private:
    z_stream stream_{};
};

Result<void> undo_zstd(std::span<const std::byte> body, std::size_t bytes_max, std::string& out) {
    const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(
        ZSTD_createDCtx(), &ZSTD_freeDCtx);
    if (context == nullptr) { throw std::bad_alloc(); }
    if (ZSTD_isError(
            ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, zstd_window_log_max)) != 0) {
        return Errc::decode_failed;
    }
    std::array<char, chunk_bytes> chunk;
    ZSTD_inBuffer input{body.data(), body.size(), 0};
    // Ends: each turn consumes input or fills the chunk; input is finite and output capped.
    for (;;) {
        ZSTD_outBuffer output{chunk.data(), chunk.size(), 0};
        const std::size_t rest = ZSTD_decompressStream(context.get(), &output, &input);
        if (ZSTD_isError(rest) != 0) { return Errc::decode_failed; }
        if (!append_within(out, chunk.data(), output.pos, bytes_max)) {
            return Errc::request_too_large;
        }
        if (input.pos < input.size) { continue; }
        if (rest == 0) { return {}; } // At the end of a frame.
        if (output.pos < output.size) {
            return Errc::decode_failed;
        } // Wants input that never came.
    }
}

} // namespace

std::optional<ContentCoding> content_coding(std::string_view header) {
    const std::string name = ascii_lower(trim(header));
    if (name.empty() || name == "identity") { return ContentCoding::identity; }
    if (name == "gzip" || name == "x-gzip") { return ContentCoding::gzip; }
    if (name == "zstd") { return ContentCoding::zstd; }
    return std::nullopt;
}

Result<std::string_view> undo_coding(
    ContentCoding coding, std::span<const std::byte> body, std::size_t bytes_max,
    std::string& buffer) {
    if (body.size() > bytes_max) { return Errc::request_too_large; }
    buffer.clear();
    Result<void> done;
    switch (coding) {
    case ContentCoding::identity:
        return std::string_view(reinterpret_cast<const char*>(body.data()), body.size());
    case ContentCoding::gzip:
        done = Inflater().run(body, bytes_max, buffer);
        break;
    case ContentCoding::zstd:
        // An empty body is no frame at all, which the loop below would take for one that has ended.
        done =
            body.empty() ? Result<void>(Errc::decode_failed) : undo_zstd(body, bytes_max, buffer);
        break;
    }
    if (!done) { return done.error(); }
    return std::string_view(buffer);
}

} // namespace weft::otlp
