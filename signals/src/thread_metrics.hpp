#pragma once
#include "series_cache.hpp"

#include <weft/signals/detail/metric_cells.hpp>

#include <atomic>

namespace weft::detail {

/// What a thread that records metrics has of its own, on lease: when it ends, the next new thread goes on with it.
class ThreadMetrics {
public:
    [[nodiscard]] std::atomic<CellPage*>* pages() noexcept { return pages_; }

    SeriesCache cache; // The leasing thread's.

private:
    std::atomic<CellPage*>
        pages_[cell_pages_max]{}; // Written by the leasing thread, read by collections (E1).
};

/// This thread's, leased by the first call. Null without memory.
[[nodiscard]] ThreadMetrics* thread_metrics() noexcept;

/// For a thread that is past its own thread_local destructors: gives back at once what the call before took.
void end_late_use() noexcept;

} // namespace weft::detail
