#include "thread_metrics.hpp"

#include <weft/runtime/fork.hpp>
#include <weft/signals/detail/metric_cells.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <utility>

namespace weft::detail {
namespace {

struct Threads {
    std::mutex mutex; // Guards the rest. Passing a lease through it orders its writers (I1).
    std::vector<ThreadMetrics*> all;
    std::vector<ThreadMetrics*> free;
};

// Never destroyed: threads record and end until the very end.
Threads& threads() {
    static Threads& instance = *new Threads;
    return instance;
}

struct Space {
    std::mutex mutex; // Guards the rest.
    std::uint32_t next = 1;
    std::uint32_t owner = 0;
    std::map<std::size_t, std::vector<std::uint32_t>> released; // By size in words.

    // Never 0, a page's own, nor that of no cell.
    std::uint32_t next_owner() noexcept {
        if (++owner >= ~std::uint32_t{0}) { owner = 1; }
        return owner;
    }
};

Space& space() {
    static Space& instance = *new Space;
    return instance;
}

// Both exist from here on: a fork may come before the first use.
const ForkGuard threads_at_fork(ForkOrder::leaf, threads().mutex);
const ForkGuard space_at_fork(ForkOrder::leaf, space().mutex);

ThreadMetrics* lease() noexcept {
    try {
        Threads& known = threads();
        const std::lock_guard lock(known.mutex);
        if (!known.free.empty()) {
            auto* const metrics = known.free.back();
            known.free.pop_back();
            return metrics;
        }
        if (known.all.size() == known.all.capacity()) {
            known.all.reserve(std::max<std::size_t>(8, known.all.size() * 2));
        }
        known.free.reserve(known.all.capacity()); // So that giving back cannot fail.
        auto* const metrics = new ThreadMetrics;
        known.all.push_back(metrics);
        return metrics;
    } catch (const std::bad_alloc&) { return nullptr; }
}

void give_back(ThreadMetrics* metrics) noexcept {
    Threads& known = threads();
    const std::lock_guard lock(known.mutex);
    known.free.push_back(metrics); // Reserved by lease.
}

constinit thread_local ThreadMetrics* leased = nullptr;
constinit thread_local bool thread_ends = false;

struct LeaseGuard {
    ~LeaseGuard() {
        thread_ends = true;
        end_late_use();
    }
};

} // namespace

ThreadMetrics* thread_metrics() noexcept {
    if (leased != nullptr) [[likely]] { return leased; }
    ThreadMetrics* const metrics = lease();
    if (metrics == nullptr) { return nullptr; }
    leased = metrics;
    thread_pages = metrics->pages();
    if (!thread_ends) { [[maybe_unused]] static thread_local LeaseGuard guard; }
    return metrics;
}

ThreadMetrics* thread_metrics_if_leased() noexcept { return leased; }

void end_late_use() noexcept {
    if (!thread_ends || leased == nullptr) { return; }
    thread_pages = no_cell_pages;
    give_back(std::exchange(leased, nullptr));
}

CellWord* claim_cell(CellRef ref, std::size_t words, std::uint32_t high) noexcept {
    ThreadMetrics* const metrics = thread_metrics();
    if (metrics == nullptr) { return nullptr; }
    std::uint64_t header;
    if (CellWord* cell = find_cell(ref, header); cell != nullptr) {
        return cell;
    } // Of an earlier lease.
    auto& place = metrics->pages()[ref.index / cell_page_words];
    CellPage* page = place.load(std::memory_order_relaxed); // relaxed: this thread's own store.
    if (page == nullptr) {
        page = new (std::nothrow) CellPage{};
        if (page == nullptr) { return nullptr; }
        place.store(page, std::memory_order_release); // E1
    }
    CellWord* const cell = page->words + ref.index % cell_page_words;
    // No owner while the words change: a collection that reads on sees that the header has changed.
    cell[0].store(0, std::memory_order_relaxed); // relaxed: E2's store orders what follows.
    for (std::size_t i = 1; i < words; ++i) {
        cell[i].store(0, std::memory_order_relaxed); // relaxed: as above.
    }
    cell[0].store(std::uint64_t{high} << 32 | ref.owner, std::memory_order_release); // E2
    return cell;
}

CellRef CellSpace::renew(CellRef ref) noexcept {
    Space& cells = space();
    const std::lock_guard lock(cells.mutex);
    return {ref.index, cells.next_owner()};
}

CellRef CellSpace::allocate(std::size_t words) noexcept {
    Space& cells = space();
    const std::lock_guard lock(cells.mutex);
    const std::uint32_t owner = cells.next_owner();
    if (const auto found = cells.released.find(words);
        found != cells.released.end() && !found->second.empty()) {
        const CellRef ref{found->second.back(), owner};
        found->second.pop_back();
        return ref;
    }
    const std::size_t left = cell_page_words - cells.next % cell_page_words;
    const std::size_t at = words <= left ? cells.next : cells.next + left;
    if (at + words > cell_page_words * cell_pages_max) { return {}; }
    cells.next = static_cast<std::uint32_t>(at + words);
    return {static_cast<std::uint32_t>(at), owner};
}

void CellSpace::release(CellRef ref, std::size_t words) noexcept {
    Space& cells = space();
    const std::lock_guard lock(cells.mutex);
    try {
        cells.released[words].push_back(ref.index);
    } catch (const std::bad_alloc&) {} // The place is lost, which harms nobody.
}

CellReader::CellReader() {
    Threads& known = threads();
    const std::lock_guard lock(known.mutex);
    threads_.reserve(known.all.size());
    for (auto* metrics : known.all) { threads_.push_back(metrics->pages()); }
}

} // namespace weft::detail
