#pragma once
// A file that keeps a queue's rings beyond the life of its process. It is mapped, never written by a system call, so that
// what a thread has stored is there although the process was killed at its next instruction. It is not synchronised to a
// disk: a machine that stops takes it along.
//
//   0         RingFileHeader                    written once, before the file has its name
//   2048      bytes used of the scopes          grows
//   4096      service, resource, schema URL     written once
//   scopes    RingScopeEntry, texts ...         appended, before a record can name the scope
//   rings     RingWords, bytes; one a shard     see ByteRing
//
// W1  The owner holds an exclusive flock on the file for life, and only it: a forked child's copy of the descriptor is
//     closed and its memory not mapped. Whoever gets the lock knows that the owner is dead.
// W2  A file has its final name only once it is complete and locked.
// W3  All room is allocated beforehand: a full file system is an error at the start, and no SIGBUS later.
// W4  Native byte order and layout: files are read by the machine, and the version of weft, that wrote them.

#include <weft/runtime/byte_ring.hpp>
#include <weft/runtime/fork.hpp>
#include <weft/runtime/signal.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

namespace weft {

/// The beginning of a ring file. Units: sizes in bytes; places from the file's beginning.
struct RingFileHeader {
    static constexpr std::array<char, 8> magic_text{'w', 'e', 'f', 't', 'r', 'i', 'n', 'g'};
    static constexpr std::uint32_t version_now = 1;
    static constexpr std::uint32_t byte_order_mark = 0x01020304;

    std::array<char, 8> magic = magic_text;
    std::uint32_t version = version_now;
    std::uint32_t byte_order = byte_order_mark;
    std::uint32_t signal = 0;
    std::uint32_t shards = 0;
    std::uint64_t ring_capacity = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t scopes_at = 0;
    std::uint64_t scopes_bytes = 0;
    std::uint64_t rings_at = 0;
    std::uint64_t ring_stride = 0;
    std::uint32_t service_bytes = 0; // The texts lie one behind the other at `texts_at`.
    std::uint32_t resource_bytes = 0;
    std::uint32_t schema_url_bytes = 0;
    std::uint32_t reserved = 0;
    std::uint64_t id = 0; // Random.
    std::uint64_t pid = 0;
    std::int64_t started_unix_ns = 0;
    std::array<char, 40> boot_id{};
    std::uint64_t checksum = 0; // Of everything before it.

    static constexpr std::uint64_t scopes_used_at = 2048;
    static constexpr std::uint64_t texts_at = 4096;
};
static_assert(std::is_trivially_copyable_v<RingFileHeader> && sizeof(RingFileHeader) == 160);

/// Leads each scope: its encoded message and its schema URL follow, up to a multiple of 8.
struct RingScopeEntry {
    std::uint32_t message_bytes = 0;
    std::uint32_t schema_url_bytes = 0;
    std::uint32_t index = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(RingScopeEntry) == 16);

/// FNV-1a, 64 bits: against accidents, not against people.
[[nodiscard]] std::uint64_t ring_checksum(const void* data, std::size_t bytes) noexcept;

/// `$XDG_RUNTIME_DIR/weft`; where that is not set, a folder of the user's own in /dev/shm, or in /tmp.
[[nodiscard]] std::string default_ring_directory();

/// Opens a folder that is the user's own and nobody else's, and makes it if it is not there (not its parents).
/// Errors: std::system_error, saying what is wrong and what to do.
[[nodiscard]] int open_ring_directory(const std::string& directory);

/// The owner's side of a ring file. Threads: one at a time.
class RingFile {
public:
    struct Setup {
        std::string directory{}; ///< Empty: default_ring_directory().
        Signal signal = Signal::traces;
        std::size_t ring_bytes = 0; ///< In all, divided and rounded as by RecordQueue.
        unsigned shards = 1;
        std::string_view service{};
        std::string_view resource{}; ///< Encoded.
        std::string_view schema_url{};
    };
    /// Errors: std::system_error, naming the folder and what to do; std::bad_alloc.
    explicit RingFile(const Setup& setup);
    RingFile(const RingFile&) = delete;
    RingFile& operator=(const RingFile&) = delete;
    /// Leaves the file to whoever adopts it, unless it was removed.
    ~RingFile();

    /// A ring in the file. Call once for each shard. Errors: std::bad_alloc.
    [[nodiscard]] std::unique_ptr<ByteRing> map_ring(unsigned shard) const;

    /// Notes a scope that records may name from now on. When there is no room left, its records are found without it.
    void add_scope(
        std::uint16_t index, std::string_view message, std::string_view schema_url) noexcept;

    /// Deletes it: nothing in it is wanted any more.
    void remove() noexcept;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::size_t file_bytes() const noexcept { return header_.file_bytes; }

private:
    void fill(const Setup& setup);

    std::string path_;
    RingFileHeader header_;
    int descriptor_ = -1;
    detail::OwnDescriptor own_;
    std::byte* mapped_ = nullptr; // What comes before the rings.
    bool removed_ = false;
};

} // namespace weft
