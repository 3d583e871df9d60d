#pragma once
#include <weft/runtime/error.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace weft {

/// How request bodies are compressed. Every OTLP receiver takes `none` and `gzip`; many take
/// `zstd`, at a smaller price.
enum class Compression : std::uint8_t { none, gzip, zstd };

/// "none", "gzip" or "zstd". The last two are also the Content-Encoding.
[[nodiscard]] std::string_view name(Compression compression) noexcept;

/// Reads a name in any letter case. Anything else: nullopt.
[[nodiscard]] std::optional<Compression> parse_compression(std::string_view text) noexcept;

/// The level used unless another is asked for: fast, since ids and times do not compress whatever
/// the effort.
[[nodiscard]] int default_level(Compression compression) noexcept;

/// Whether a level exists: gzip 0 to 12, zstd -7 to 19; any for none.
[[nodiscard]] bool is_valid_level(Compression compression, int level) noexcept;

/// Compresses one body after another, keeping its working memory in between. Never throws.
/// Threads: one at a time.
class Compressor {
public:
    /// Nothing is allocated before the first use. An invalid level is replaced by the default one.
    Compressor(Compression compression, int level) noexcept;
    ~Compressor();
    Compressor(Compressor&& other) noexcept;
    Compressor& operator=(Compressor&& other) noexcept;

    [[nodiscard]] Compression compression() const noexcept { return compression_; }

    /// The body as a complete gzip member or zstd frame; with `none`, `body` itself.
    /// Lifetime: the result is valid until the next call, and with `none` as long as `body`.
    /// Errors: Errc::encode_failed: no memory.
    [[nodiscard]] Result<std::string_view> compress(std::string_view body) noexcept;

    /// Begins a body that is compressed a piece at a time, for a thread that has other things to do. Ends one that was
    /// begun before. Lifetime: `body` stays until the result has been used.
    void begin(std::string_view body) noexcept { pieces_ = {body, 0, 0}; }
    /// Compresses `bytes_max` more of it; the whole result once there is one. More expensive than compress(), gzip most
    /// of all, for another library does it: docs/tuning.md has the figures. Errors and lifetime: as compress().
    [[nodiscard]] Result<std::optional<std::string_view>> compress_more(
        std::size_t bytes_max) noexcept;

    /// Gives back output memory beyond `bytes_max`, so that a huge body is not remembered for ever.
    void trim(std::size_t bytes_max) noexcept;

private:
    struct Contexts;
    struct Pieces {
        std::string_view body;
        std::size_t taken = 0; // Of the body, and what has come of it.
        std::size_t made = 0;
    };

    Compression compression_;
    int level_;
    std::unique_ptr<Contexts> contexts_;
    Pieces pieces_{};
};

} // namespace weft
