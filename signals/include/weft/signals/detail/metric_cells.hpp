#pragma once
// Where measurements are added up: cells of a few 64-bit words, one of each thread for each series.
//
// A series has a place in an address space of words, the same for every thread; a thread backs the pages of it that it
// uses. Recording finds the thread's own cell by two loads and changes it with plain loads and stores, for nobody else
// writes there; a collection reads the cells of all threads and adds them. Nobody waits for anybody.
//
//   CellRef {index, owner} ──▶ thread_pages[index / 1024] ──▶ CellPage ──▶ cell: header | words of the aggregation
//
// I1  A cell is written by the thread that leases its ThreadCells, or, while no thread does, by nobody. The lease passes
//     from thread to thread through a mutex, and the values stay: what an ended thread counted is not lost.
// I2  The low half of a cell's header names the series that it is for. A place may be given to another series once its
//     own has expired; a thread clears its cell when it first records for the new one, so that nothing of the old is seen.
// I3  Pages and ThreadCells are never freed: a collection may read them at any time.
// E1  A thread stores a page's address (release) -> a collection loads it (acquire): the page is zero and readable.
// E2  A thread stores a cell's header with the new owner (release) -> a collection loads it (acquire): the words behind
//     it have been cleared.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::detail {

using CellWord = std::atomic<std::uint64_t>;

inline constexpr std::size_t cell_page_words = 1024;
inline constexpr std::size_t cell_pages_max =
    8192; // 64 MiB a thread at the most, touched as it is used.

struct CellPage {
    CellWord words[cell_page_words];
};

/// Where a series' cells are. Trivially copyable, 8 bytes. By default nowhere: no cell ever has that owner.
struct CellRef {
    std::uint32_t index = 0;
    std::uint32_t owner = ~std::uint32_t{0};
    [[nodiscard]] bool is_none() const noexcept { return owner == ~std::uint32_t{0}; }
};

inline constinit std::atomic<CellPage*> no_cell_pages[cell_pages_max]{};
/// This thread's pages. Its own are written by it and read by collections.
inline constinit thread_local std::atomic<CellPage*>* thread_pages = no_cell_pages;

/// This thread's cell and what its header holds now, or null before it has recorded for the series. Cost: three loads.
[[nodiscard]] inline CellWord* find_cell(CellRef ref, std::uint64_t& header) noexcept {
    // relaxed: this thread's own store.
    CellPage* const page =
        thread_pages[ref.index / cell_page_words].load(std::memory_order_relaxed);
    if (page == nullptr) [[unlikely]] { return nullptr; }
    CellWord* const cell = page->words + ref.index % cell_page_words;
    header = cell->load(std::memory_order_relaxed); // relaxed: as above.
    return static_cast<std::uint32_t>(header) == ref.owner ? cell : nullptr;
}

/// Of a sum's header: how many measurements pass until one is looked at as an exemplar. The eight bits above count how
/// often in a row one was looked at in vain.
[[nodiscard]] constexpr std::uint32_t until_exemplar(std::uint64_t header) noexcept {
    return static_cast<std::uint32_t>(header >> 32) & 0xffffff;
}

/// Makes this thread's cell: header with `owner` and `high`, the other words zero. Null without memory.
[[nodiscard]] CellWord* claim_cell(CellRef ref, std::size_t words, std::uint32_t high) noexcept;

/// Gives out places. Threads: any. Cost: a mutex.
class CellSpace {
public:
    /// A place for `words` in a row and a new owner; none when all are taken. `words` at most cell_page_words.
    [[nodiscard]] static CellRef allocate(std::size_t words) noexcept;
    /// Another owner for a place, so that what its cells hold is forgotten. For a forked child.
    [[nodiscard]] static CellRef renew(CellRef ref) noexcept;
    /// Nobody records there any more: the place may go to another series of as many words.
    static void release(CellRef ref, std::size_t words) noexcept;
};

/// All threads' pages, for one collection.
class CellReader {
public:
    /// Errors: std::bad_alloc.
    CellReader();

    /// Calls `visit(const CellWord* cell)` for each thread that has recorded for the series.
    template <class Visit>
    void each(CellRef ref, Visit&& visit) const {
        const std::size_t page_number = ref.index / cell_page_words;
        for (auto* const pages : threads_) {
            CellPage* const page = pages[page_number].load(std::memory_order_acquire); // E1
            if (page == nullptr) { continue; }
            CellWord* const cell = page->words + ref.index % cell_page_words;
            if (static_cast<std::uint32_t>(cell->load(std::memory_order_acquire)) != ref.owner) {
                continue; // E2
            }
            visit(cell);
        }
    }

private:
    std::vector<std::atomic<CellPage*>*> threads_;
};

} // namespace weft::detail
