#include "series_cache.hpp"

#include <algorithm>
#include <cstring>

namespace weft::detail {

const SeriesCache::Entry SeriesCache::nothing[1]{};

bool SeriesCache::equal(const char* a, std::string_view b) noexcept {
    return std::memcmp(a, b.data(), b.size()) == 0;
}

void SeriesCache::insert(
    std::uint64_t hash, const InstrumentState* instrument, std::uint32_t generation,
    std::string_view key, Routes routes) {
    if (used_ >= entries_max / 4 * 3 || chunks_bytes_ > bytes_max) { clear(); }
    if ((used_ + 1) * 4 > storage_.size() * 3) { grow(); }
    char* const kept_key = keep(key.size(), 1);
    std::copy(key.begin(), key.end(), kept_key);
    Series** kept_others = nullptr;
    if (!routes.others.empty()) {
        kept_others = reinterpret_cast<Series**>(
            keep(routes.others.size() * sizeof(Series*), alignof(Series*)));
        std::copy(routes.others.begin(), routes.others.end(), kept_others);
    }
    std::size_t i = hash & mask_;
    while (storage_[i].instrument != nullptr) { // Bound: a quarter is free.
        const auto& have = storage_[i];
        // An older generation's entry: its place is taken over.
        if (have.hash == hash && have.instrument == instrument && have.key_size == key.size() &&
            equal(have.key, key)) {
            --used_;
            break;
        }
        i = (i + 1) & mask_;
    }
    storage_[i] = {hash,       instrument,   kept_key,    static_cast<std::uint32_t>(key.size()),
                   generation, routes.first, kept_others, routes.others.size()};
    ++used_;
}

void SeriesCache::grow() {
    std::vector<Entry> wider(std::max<std::size_t>(64, storage_.size() * 2));
    const std::size_t mask = wider.size() - 1;
    for (const auto& entry : storage_) {
        if (entry.instrument == nullptr) { continue; }
        std::size_t i = entry.hash & mask;
        while (wider[i].instrument != nullptr) {
            i = (i + 1) & mask;
        } // Bound: more than half is free.
        wider[i] = entry;
    }
    storage_ = std::move(wider);
    entries_ = storage_.data();
    mask_ = mask;
}

void SeriesCache::clear() noexcept {
    std::fill(storage_.begin(), storage_.end(), Entry{});
    used_ = 0;
    if (chunks_bytes_ > bytes_max) {
        chunks_.clear();
        chunks_bytes_ = 0;
    }
    chunk_ = 0;
    chunk_used_ = 0;
}

char* SeriesCache::keep(std::size_t bytes, std::size_t alignment) {
    constexpr std::size_t chunk_bytes = 16 * 1024;
    while (chunk_ < chunks_.size()) { // Bound: passes each chunk once between two clears.
        const std::size_t at = (chunk_used_ + alignment - 1) / alignment * alignment;
        if (at + bytes <= chunks_[chunk_].size) {
            chunk_used_ = at + bytes;
            return chunks_[chunk_].bytes.get() + at;
        }
        ++chunk_;
        chunk_used_ = 0;
    }
    const std::size_t size = std::max(chunk_bytes, bytes);
    chunks_.push_back({std::make_unique<char[]>(size), size});
    chunks_bytes_ += size;
    chunk_used_ = bytes;
    return chunks_[chunk_].bytes.get();
}

} // namespace weft::detail
