#include <weft/exporters/compression.hpp>

#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>

namespace weft {
namespace {

constexpr std::array<std::string_view, 3> names{"none", "gzip", "zstd"};

struct FreeDeflate {
    void operator()(libdeflate_compressor* context) const noexcept {
        libdeflate_free_compressor(context);
    }
};
struct FreeZstd {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
};
// deflateInit2 and deflateReset, as one.
struct FreeZlib {
    void operator()(z_stream* stream) const noexcept {
        deflateEnd(stream);
        delete stream;
    }
};
constexpr int gzip_window_bits = 15 + 16; // The largest window, and gzip's header and trailer.
constexpr int zlib_level_max = 9;

} // namespace

std::string_view name(Compression compression) noexcept {
    const auto index = static_cast<std::size_t>(compression);
    return index < names.size() ? names[index] : "unknown";
}

std::optional<Compression> parse_compression(std::string_view text) noexcept {
    for (std::size_t i = 0; i < names.size(); ++i) {
        const bool same = std::equal(
            text.begin(), text.end(), names[i].begin(), names[i].end(), [](char c, char n) {
                return (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == n;
            });
        if (same) { return static_cast<Compression>(i); }
    }
    return std::nullopt;
}

// On batches of 512 spans and of log lines zstd -1 takes 60 % of the time of level 1 for 2 to 7 %
// more bytes; gzip below 1 does not compress, and 6 takes 2.5 times as long for 5 to 8 % fewer.
int default_level(Compression compression) noexcept {
    return compression == Compression::zstd ? -1 : 1;
}

bool is_valid_level(Compression compression, int level) noexcept {
    switch (compression) {
    case Compression::none:
        return true;
    case Compression::gzip:
        return level >= 0 && level <= 12;
    case Compression::zstd:
        return level >= -7 && level <= 19;
    }
    return false;
}

struct Compressor::Contexts {
    std::unique_ptr<libdeflate_compressor, FreeDeflate> gzip;
    std::unique_ptr<ZSTD_CCtx, FreeZstd> zstd;
    std::unique_ptr<z_stream, FreeZlib> zlib; // For gzip in pieces, which libdeflate does not do.
    std::unique_ptr<char[]> output;           // Not a string: growing one would write zeros first.
    std::size_t output_capacity = 0;

    void reserve(std::size_t bytes) {
        if (bytes <= output_capacity) { return; }
        output.reset();
        output_capacity = 0;
        output = std::make_unique_for_overwrite<char[]>(bytes);
        output_capacity = bytes;
    }

    bool start_zlib(std::size_t bytes, int level) {
        if (zlib) {
            if (deflateReset(zlib.get()) != Z_OK) { return false; }
        } else {
            auto fresh = std::make_unique<z_stream>();
            if (deflateInit2(
                    fresh.get(), std::min(level, zlib_level_max), Z_DEFLATED, gzip_window_bits, 8,
                    Z_DEFAULT_STRATEGY) != Z_OK) {
                return false;
            }
            zlib.reset(fresh.release());
        }
        reserve(deflateBound(zlib.get(), static_cast<uLong>(bytes)));
        return true;
    }

    bool start_zstd(std::size_t bytes, std::size_t pieces, int level) {
        if (!zstd) { zstd.reset(ZSTD_createCCtx()); }
        if (!zstd) { return false; }
        constexpr std::size_t piece_bytes =
            64; // More than the header of a block, which each piece ends.
        reserve(ZSTD_compressBound(bytes) + pieces * piece_bytes);
        ZSTD_CCtx_reset(zstd.get(), ZSTD_reset_session_and_parameters);
        return ZSTD_isError(ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_compressionLevel, level)) ==
                   0 &&
               ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(zstd.get(), bytes)) == 0;
    }

    bool more_gzip(std::string_view piece, bool last, std::size_t& made) {
        // The interface is C's; the input is not written to.
        zlib->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
        zlib->avail_in = static_cast<uInt>(piece.size());
        zlib->next_out = reinterpret_cast<Bytef*>(output.get() + made);
        zlib->avail_out = static_cast<uInt>(output_capacity - made);
        const int status = deflate(zlib.get(), last ? Z_FINISH : Z_NO_FLUSH);
        made = output_capacity - zlib->avail_out;
        return last ? status == Z_STREAM_END : status == Z_OK && zlib->avail_in == 0;
    }

    // Flushed, for zstd would else gather 128 KiB and compress them at one go.
    bool more_zstd(std::string_view piece, bool last, std::size_t& made) {
        ZSTD_outBuffer to{output.get(), output_capacity, made};
        ZSTD_inBuffer from{piece.data(), piece.size(), 0};
        const auto left =
            ZSTD_compressStream2(zstd.get(), &to, &from, last ? ZSTD_e_end : ZSTD_e_flush);
        made = to.pos;
        return left == 0 && from.pos == from.size; // Else an error, or no room.
    }

    // Answers the compressed size, or 0 if there was no memory.
    std::size_t compress_gzip(std::string_view body, int level) {
        if (!gzip) { gzip.reset(libdeflate_alloc_compressor(level)); }
        if (!gzip) { return 0; }
        reserve(libdeflate_gzip_compress_bound(gzip.get(), body.size()));
        return libdeflate_gzip_compress(
            gzip.get(), body.data(), body.size(), output.get(), output_capacity);
    }

    std::size_t compress_zstd(std::string_view body, int level) {
        if (!zstd) { zstd.reset(ZSTD_createCCtx()); }
        if (!zstd) { return 0; }
        reserve(ZSTD_compressBound(body.size()));
        const std::size_t size = ZSTD_compressCCtx(
            zstd.get(), output.get(), output_capacity, body.data(), body.size(), level);
        return ZSTD_isError(size) != 0 ? 0 : size;
    }
};

Compressor::Compressor(Compression compression, int level) noexcept
    : compression_(compression),
      level_(is_valid_level(compression, level) ? level : default_level(compression)) {}
Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&& other) noexcept = default;
Compressor& Compressor::operator=(Compressor&& other) noexcept = default;

Result<std::string_view> Compressor::compress(std::string_view body) noexcept {
    if (compression_ == Compression::none) { return body; }
    try {
        if (!contexts_) { contexts_ = std::make_unique<Contexts>(); }
        const std::size_t size = compression_ == Compression::gzip
                                     ? contexts_->compress_gzip(body, level_)
                                     : contexts_->compress_zstd(body, level_);
        if (size == 0) { return Errc::encode_failed; }
        return std::string_view(contexts_->output.get(), size);
    } catch (...) { return Errc::encode_failed; }
}

Result<std::optional<std::string_view>> Compressor::compress_more(std::size_t bytes_max) noexcept {
    constexpr std::size_t zlib_bytes_max = std::size_t{1} << 31; // Of its 32-bit counts.
    auto& [body, taken, made] = pieces_;
    if (compression_ == Compression::none) { return std::optional(body); }
    const bool gzip = compression_ == Compression::gzip;
    try {
        if (!contexts_) { contexts_ = std::make_unique<Contexts>(); }
        bytes_max = std::max<std::size_t>(bytes_max, 1);
        bool good = true;
        if (taken == 0) {
            good = gzip ? body.size() < zlib_bytes_max && contexts_->start_zlib(body.size(), level_)
                        : contexts_->start_zstd(body.size(), body.size() / bytes_max + 1, level_);
        }
        const auto piece = body.substr(taken, bytes_max);
        const bool last = taken + piece.size() == body.size();
        good = good && (gzip ? contexts_->more_gzip(piece, last, made)
                             : contexts_->more_zstd(piece, last, made));
        if (!good) { return Errc::encode_failed; }
        taken += piece.size();
        if (!last) { return std::optional<std::string_view>(); }
        return std::optional(std::string_view(contexts_->output.get(), made));
    } catch (...) { return Errc::encode_failed; }
}

void Compressor::trim(std::size_t bytes_max) noexcept {
    if (contexts_ && contexts_->output_capacity > bytes_max) {
        contexts_->output.reset();
        contexts_->output_capacity = 0;
    }
}

} // namespace weft
