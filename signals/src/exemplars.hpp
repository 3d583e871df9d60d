#pragma once
#include <weft/signals/metric_points.hpp>

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

/// The exemplars of one series: one for each slot (a bucket, or a place of a fixed number), drawn evenly from the
/// measurements between two collections. Recording comes here only when a measurement has been drawn.
/// Threads: any; who finds it busy goes on without.
class Reservoir {
public:
    struct Drawn {
        MetricNumber value;
        std::int64_t time_unix_ns = 0;
        TraceId trace_id;
        SpanId span_id;
        std::string filtered_attributes;
    };

    /// Keeps the measurement in `slot`. Returns how many further measurements of the slot pass until the next is drawn, at
    /// most 2^24 - 1: after n measurements the next is the k-th with probability n / (k (k - 1)), so that each has the
    /// same chance.
    std::uint32_t put(std::uint32_t slot, Drawn&& drawn) noexcept;

    /// Copies what was drawn since `since_unix_ns` and begins a new interval.
    /// Errors: std::bad_alloc.
    void collect(std::int64_t since_unix_ns, std::vector<Drawn>& into);

    /// Forgets everything: for a series that is used again.
    void clear() noexcept;

    [[nodiscard]] bool empty() const noexcept {
        return !used_.load(std::memory_order_relaxed); // relaxed: a hint that spares the lock.
    }

private:
    struct Slot {
        std::uint32_t number = 0;
        std::uint64_t seen = 0;    // Measurements in this interval, by what was let pass.
        std::uint32_t passing = 0; // What the last put has returned.
        Drawn drawn;
    };
    [[nodiscard]] bool try_lock() noexcept {
        return !busy_.exchange(
            true, std::memory_order_acquire); // E1: what the last holder did is visible.
    }
    void unlock() noexcept { busy_.store(false, std::memory_order_release); } // E1

    std::atomic<bool> busy_{
        false}; // Guards slots_. Held for a copy of one exemplar, or of all of a series.
    std::atomic<bool> used_{false};
    std::vector<Slot> slots_; // Those that have been drawn for, by number. Few.
};

} // namespace weft::detail
