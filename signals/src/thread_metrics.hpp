#pragma once
#include "series_cache.hpp"

#include <weft/signals/detail/metric_cells.hpp>

#include <atomic>
#include <cstddef>
#include <memory>

namespace weft::detail {

/// What a thread that records metrics has of its own, on lease: when it ends, the next new thread goes on with it.
class ThreadMetrics {
public:
    [[nodiscard]] std::atomic<CellPage*>* pages() noexcept { return pages_; }

    // The leasing thread's:
    SeriesCache cache;
    std::unique_ptr<char[]> spare; // Of the last attribute set that needed more than the stack.
    std::size_t spare_bytes = 0;

private:
    std::atomic<CellPage*>
        pages_[cell_pages_max]{}; // Written by the leasing thread, read by collections (E1).
};

/// This thread's, leased by the first call. Null without memory.
[[nodiscard]] ThreadMetrics* thread_metrics() noexcept;

/// As above, but null before that call.
[[nodiscard]] ThreadMetrics* thread_metrics_if_leased() noexcept;

/// For a thread that is past its own thread_local destructors: gives back at once what the call before took.
void end_late_use() noexcept;

} // namespace weft::detail
