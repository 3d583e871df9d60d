#pragma once
// An instrument with its attributes settled: the cheapest way to record.
//
// A handle knows its series and adds to this thread's cell of it. It may be made before a runtime begins and kept after
// one has ended: all handles of the process are in a list, and a runtime that begins or ends gives them their series.

#include <weft/signals/detail/metric_cells.hpp>
#include <weft/signals/instrument.hpp>

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

namespace weft::detail {

struct Stream;

/// What recording reads of a series.
struct SeriesTarget {
    // Written by collections: cleared when the series expires, and recording looks for another. Read by every
    // measurement. relaxed: a late reader's cell is still looked at for a while; the words behind it are the thread's own.
    std::atomic<CellRef> cell{CellRef{}};
    [[nodiscard]] CellRef cell_now() const noexcept {
        return cell.load(std::memory_order_relaxed); // See above.
    }
    const Stream* stream = nullptr; // Null: several streams, or nothing that an inline path may do.
    // Gauges: one place for all threads, for the last value wins. relaxed: it stands alone.
    std::atomic<std::uint64_t> last{0};
    // Set by every measurement of a gauge, cleared by collections. relaxed on `last`'s side, release here: E1.
    std::atomic<bool> touched{false};
};
static_assert(std::atomic<CellRef>::is_always_lock_free);

/// Threads: record any; make, move and destroy one at a time. Cost: making one takes a mutex and a look-up.
class BoundBase {
public:
    /// `common`: see record_integer.
    BoundBase(
        const InstrumentBase& instrument, std::span<const Attribute> attributes,
        std::string_view common = {}) noexcept;
    BoundBase(BoundBase&& other) noexcept;
    BoundBase& operator=(BoundBase&& other) noexcept;
    ~BoundBase();

protected:
    // acquire: pairs with the release of whoever set it, which publishes the series. Null: nobody is interested.
    [[nodiscard]] SeriesTarget* target() const noexcept {
        return target_.load(std::memory_order_acquire);
    }
    /// All that the inline paths do not do: the first time on a thread, several streams, exemplars, histograms.
    void record(std::uint64_t bits) const noexcept;
    /// A finite value of 0 or more into a histogram. False: it is one for `record`.
    [[nodiscard]] bool add_to_histogram(SeriesTarget& target, double value) const noexcept;
    [[nodiscard]] bool add_to_histogram(SeriesTarget& target, std::int64_t value) const noexcept;
    /// Nanoseconds in the instrument's unit.
    [[nodiscard]] double in_unit(std::int64_t elapsed_ns) const noexcept;

private:
    friend struct BoundRegistration;
    void take(BoundBase& other) noexcept;
    void drop() noexcept;
    std::atomic<SeriesTarget*> target_{
        nullptr}; // Written under the list's mutex, read by recording threads.
    struct BoundRegistration* registration_ = nullptr; // Null: without memory, or moved from.
};

} // namespace weft::detail
