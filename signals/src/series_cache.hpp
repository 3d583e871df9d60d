#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace weft::detail {

struct InstrumentState;
struct Series;

/// The series that one attribute set of one instrument is added to: one for each of the instrument's streams.
struct Routes {
    Series* first = nullptr;
    std::span<Series* const> others{}; // Of further views. Nearly always empty.
};

/// A thread's memory of which series an attribute set belongs to, by the bytes as they were given. A hash only finds
/// the place: the bytes decide. Bounded: when it is full it begins anew.
/// Threads: one at a time, that which leases it.
class SeriesCache {
public:
    static constexpr std::size_t entries_max = std::size_t{1} << 16;
    static constexpr std::size_t bytes_max = std::size_t{8} << 20; // Of keys.

    struct Entry {
        std::uint64_t hash = 0;
        const InstrumentState* instrument = nullptr; // Null: free.
        const char* key = nullptr;
        std::uint32_t key_size = 0;
        std::uint32_t generation = 0; // Of the instrument, when it was made.
        Series* first = nullptr;
        Series* const* others = nullptr;
        std::size_t others_count = 0;
    };

    /// The entry, or null. `generation`: the instrument's now; an older entry is as good as none.
    [[nodiscard]] const Entry* find(
        std::uint64_t hash, const InstrumentState* instrument, std::uint32_t generation,
        std::string_view key) const noexcept {
        for (std::size_t i = hash & mask_;; i = (i + 1) & mask_) { // Bound: a quarter is free.
            const Entry& entry = entries_[i];
            if (entry.hash == hash && entry.instrument == instrument &&
                entry.key_size == key.size() && entry.generation == generation &&
                equal(entry.key, key)) {
                return &entry;
            }
            if (entry.instrument == nullptr) { return nullptr; }
        }
    }

    /// Errors: std::bad_alloc, with the cache as it was.
    void insert(
        std::uint64_t hash, const InstrumentState* instrument, std::uint32_t generation,
        std::string_view key, Routes routes);

private:
    static bool equal(const char* a, std::string_view b) noexcept;
    void grow();
    void clear() noexcept;
    char* keep(std::size_t bytes, std::size_t alignment);

    static const Entry nothing[1];

    const Entry* entries_ = nothing;
    std::size_t mask_ = 0;
    std::size_t used_ = 0;
    std::vector<Entry> storage_;
    struct Chunk {
        std::unique_ptr<char[]> bytes;
        std::size_t size = 0;
    };
    std::vector<Chunk> chunks_; // Keys and lists of series; begun anew by clear().
    std::size_t chunks_bytes_ = 0;
    std::size_t chunk_ = 0;
    std::size_t chunk_used_ = 0;
};

} // namespace weft::detail
