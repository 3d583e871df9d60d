#pragma once
// What one runtime knows of its metrics.
//
//   MeterProvider ── by instrument ──▶ InstrumentState ──▶ Stream (one for each view) ──▶ Series (one for each attribute set)
//                                                              ▲                             ▲
//                             collections, one at a time ──────┘     recording threads, through their SeriesCache
//
// I1  A provider, its states, streams and series are never freed: caches, handles and late threads may refer to them.
//     A series that has expired is used for another attribute set once nobody can be adding to it any more.
// I2  Everything about a stream but its table of series is fixed when it is made.
// I3  `collecting` is held by the one collection that runs; `mutex` of a stream guards its table, for a look-up or two.

#include "attribute_key.hpp"
#include "exemplars.hpp"
#include "instrument_table.hpp"
#include "key_sketch.hpp"
#include "series_cache.hpp"

#include <weft/signals/bound_instrument.hpp>
#include <weft/signals/cardinality.hpp>
#include <weft/signals/metric_points.hpp>
#include <weft/signals/metric_view.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::detail {

/// Finds the bucket of a value by its exponent and the first two bits of its fraction, then by comparing.
class BucketIndex {
public:
    BucketIndex() = default;
    /// `boundaries`: strictly increasing; they outlive the index. Errors: std::bad_alloc.
    explicit BucketIndex(std::span<const double> boundaries);
    /// The number of boundaries below `value`, which is no NaN. Cost: one table look-up and nearly always one or two
    /// comparisons.
    [[nodiscard]] std::size_t operator()(double value) const noexcept {
        const std::int64_t slot = std::clamp<std::int64_t>(
            (std::bit_cast<std::int64_t>(value) >> 50) - base_, 0, last_slot_);
        std::size_t bucket = first_[static_cast<std::size_t>(slot)];
        while (bucket < boundaries_.size() && value > boundaries_[bucket]) { ++bucket; }
        return bucket;
    }

private:
    std::span<const double> boundaries_;
    std::int64_t base_ = 0;
    std::int64_t last_slot_ = 0;
    std::vector<std::uint16_t> first_; // By slot: the lowest bucket that a value of it can be in.
};

/// Words of a histogram's cell behind the header, whose high half is a sequence number: odd while the words change.
namespace histogram_cell {
inline constexpr std::size_t sum = 1; // Bits of the instrument's type.
inline constexpr std::size_t min = 2; // Of `interval`. Bits of a double.
inline constexpr std::size_t max = 3;
inline constexpr std::size_t interval =
    4; // Low half: which interval min and max are of; high half: the one before.
inline constexpr std::size_t min_before = 5;
inline constexpr std::size_t max_before = 6;
inline constexpr std::size_t buckets =
    7; // Explicit: a count each. Exponential: see ExponentialCell.
} // namespace histogram_cell

struct MinMax {
    double min = 0;
    double max = 0;
    bool known = false;
    void add(double low, double high) noexcept {
        min = known ? std::min(min, low) : low;
        max = known ? std::max(max, high) : high;
        known = true;
    }
    void add(const MinMax& other) noexcept {
        if (other.known) { add(other.min, other.max); }
    }
};

inline constexpr std::size_t readers_max = 8;

struct Series : SeriesTarget, MetricSeries {
    Stream* owner = nullptr;
    std::string key; // Canonical. The table's.
    std::uint64_t hash = 0;
    std::uint32_t number = 0;       // Its place in what readers remember.
    std::uint32_t incarnation = 0;  // Changes when the series is used for another attribute set.
    std::uint32_t pins = 0;         // Bound handles. Guarded by the stream's mutex.
    std::int64_t start_unix_ns = 0; // Of a series in use: the collection's (I3).
    std::int64_t start_ns = 0;      // Steady.
    CellRef place;                  // As `cell`, also while it is hidden.
    bool is_hidden =
        false; // About to expire, see Stream::expire_idle. Guarded by the stream's mutex.
    bool is_refusal = false;  // Stands for what is rejected: nothing is added to it. Fixed.
    bool is_recalled = false; // Looked up while hidden: it stays. Guarded by the stream's mutex.
    // The collection's (I3):
    std::uint64_t last_total = 0;   // A digest of what was there, to see whether it is idle.
    std::uint64_t last_seen = 0;    // Gauges: the value that was handed out last.
    std::int64_t hidden_at_ns = 0;  // Steady.
    std::int64_t changed_at_ns = 0; // Steady: when it was last seen to change.
    struct Ends {
        MinMax lifetime;
        std::array<MinMax, readers_max> since_read; // By delta reader.
    };
    std::unique_ptr<Ends> ends; // Histograms only: most series are none.
    Reservoir exemplars;
};

struct InstrumentState;

struct Stream {
    enum class Form : std::uint8_t {
        sum_integer,
        sum_floating,
        last,
        histogram_integer,
        histogram_floating,
        exponential_integer,
        exponential_floating
    };

    // Fixed (I2):
    InstrumentState* instrument = nullptr;
    Form form = Form::sum_integer;
    MetricStream identity; // Views into the texts below; `temporality` is set for each reader.
    std::string name;
    std::string description;
    std::vector<double> boundaries;
    BucketIndex bucket_of;
    std::uint32_t size_max = 0;
    std::int32_t scale_max = 0;
    bool takes_negative = false;
    bool records_min_max = true;
    bool has_exemplars = false;
    std::size_t cell_words = 2;
    std::vector<std::string> include; // Sorted.
    bool includes_all = true;
    std::vector<std::string> exclude; // Sorted.
    std::size_t limit = 2000;
    OverflowMode overflow_mode = OverflowMode::aggregate;
    std::uint8_t readers = 0; // Bit set: which readers it is for.
    std::int64_t start_unix_ns = 0;

    // Bumped by each collection: which interval min and max are of. Written by collections, read when recording.
    std::atomic<std::uint32_t> interval{1};
    // Measurements that found no place of their own. relaxed: counters.
    std::atomic<std::uint64_t> overflowed{0};
    std::atomic<std::uint64_t> rejected{0};

    mutable std::mutex mutex; // Guards the rest.
    std::deque<Series> storage;
    std::vector<Series*> free;
    std::vector<Series*> retired; // Expired in the last collection: free in the next.
    std::vector<Series*> table;   // Open addressing by hash of the canonical key; null: free.
    std::vector<Series*> active;  // In order of creation; the overflow series first of all.
    std::size_t count = 0;        // In the table.
    // Written once, under the mutex. Measurements through handles only compare with it; relaxed: a handle's own series
    // was found after it had been written.
    std::atomic<Series*> overflow{nullptr};
    Series* refusal = nullptr;
    KeySketch sketch;

    [[nodiscard]] bool keeps(std::string_view attribute_key) const noexcept;
    /// The series of this attribute set, made if there is room; else the overflow series, or null when rejecting or
    /// without memory. `pin`: it does not expire until unpinned.
    [[nodiscard]] Series* find_or_create(
        std::string_view given_key, bool pin, bool& overflowed) noexcept;
    void unpin(Series& series) noexcept;
    /// As find_or_create with `pin`, for handles: they count what overflows and is rejected when they are used. Null only
    /// without memory.
    [[nodiscard]] Series* find_for_handle(std::string_view given_key) noexcept;
    /// Forgets series that have not changed since `idle_since_ns` (steady), but for sums that go both ways and are not 0:
    /// what they count is still there. In three collections, because a thread may be about to add to one: the first
    /// hides it, so that whoever records for it comes to `find_or_create` and brings it back; another, some time later
    /// and if nothing has changed, takes it out of the table; the one after that makes it free.
    /// For the collection (I3), after `last_total` and `changed_at_ns` have been brought up to date.
    void expire_idle(std::int64_t idle_since_ns, std::int64_t now_ns) noexcept;

    /// In a forked child, with `mutex`: every series is as new, whatever other threads were doing to it.
    void begin_anew() noexcept;

private:
    void show(Series& series) noexcept;
    void erase(Series& series) noexcept;
    [[nodiscard]] bool has_short_path() const noexcept;
    Series* create(std::string canonical, std::uint64_t hash);
    Series* overflow_series();
    void insert(Series& series);
};

struct InstrumentState {
    const InstrumentDescriptor* descriptor = nullptr;
    MeterProvider* provider = nullptr;
    std::vector<std::unique_ptr<Stream>> streams; // Fixed. Empty: every view drops it.
    // Written by collections when a series expires: what caches remember of this instrument is void.
    std::atomic<std::uint32_t> generation{1};
    // Without attributes and with one stream: the series, once it exists. Written under the stream's mutex, so that one
    // that has expired cannot be put back.
    std::atomic<Series*> plain{nullptr};
    std::atomic<bool> has_reported_value{false}; // Of a value that is refused.
};

/// Tells of an attribute set that is beyond AttributeKey::bytes_max.
void report_too_large(const InstrumentBase& instrument) noexcept;

/// Adds a bound handle's measurement to this thread's cell of the series. `key`: all its attributes, for exemplars.
void add_measurement(Series& series, std::uint64_t bits, std::string_view key) noexcept;

/// False, counted and reported once, for a value that the instrument does not take.
[[nodiscard]] bool is_acceptable(InstrumentState& state, std::uint64_t bits) noexcept;

class MeterProvider {
public:
    explicit MeterProvider(MetricOptions options);

    /// The state of a registered instrument; made by the first measurement. Null: closed, out of memory or table space.
    [[nodiscard]] InstrumentState* state(std::uint32_t instrument) noexcept {
        auto* const chunk = chunks_[instrument / chunk_size].load(std::memory_order_acquire); // E1
        if (chunk != nullptr) [[likely]] {
            auto* const known =
                (*chunk)[instrument % chunk_size].load(std::memory_order_acquire); // E1
            if (known != nullptr) [[likely]] { return known; }
        }
        return make_state(instrument);
    }

    // Cleared for good when the runtime ends. relaxed: a measurement that slips through is in no collection.
    std::atomic<bool> accepting{true};
    // Measurements whose value no instrument takes. relaxed: a counter.
    std::atomic<std::uint64_t> refused_values{0};
    // Measurements lost for want of memory. relaxed: a counter.
    std::atomic<std::uint64_t> lost{0};

    const MetricOptions options;
    std::mutex collecting; // I3. Held by a collection from its first series to its last.

    /// A place for a reader's memory. Errors: std::length_error with readers_max of them.
    std::size_t add_reader(bool exponential_histograms);
    void remove_reader(std::size_t reader) noexcept;

    /// When each reader has last collected, steady; the others have the largest number. For the collection (I3).
    std::array<std::int64_t, readers_max> collected_at_ns;

    /// All streams now, in order of creation. Errors: std::bad_alloc.
    [[nodiscard]] std::vector<Stream*> streams() const;
    [[nodiscard]] std::vector<InstrumentState*> states() const;

    // Around a fork. A child begins at zero: what was recorded before is its parent's to export.
    void lock_for_fork() noexcept;
    void unlock_after_fork() noexcept;
    void begin_anew() noexcept;

private:
    static constexpr std::size_t chunk_size = 256;
    using Chunk = std::array<std::atomic<InstrumentState*>, chunk_size>;

    InstrumentState* make_state(std::uint32_t instrument) noexcept;
    std::unique_ptr<InstrumentState> resolve(const InstrumentDescriptor& descriptor);
    void add_stream(InstrumentState& state, const View& view);
    void check_conflict(const InstrumentState& state, const Stream& stream);

    // E1: a state (release) -> its users (acquire): it is complete.
    std::array<std::atomic<Chunk*>, instruments_max / chunk_size> chunks_{};
    mutable std::mutex mutex_; // Guards the rest.
    std::vector<std::unique_ptr<Chunk>> owned_chunks_;
    std::vector<std::unique_ptr<InstrumentState>> owned_states_;
    std::uint8_t reader_bits_ = 0;
    std::uint8_t exponential_readers_ = 0;
    // Warnings to be given once the mutex is free, by key: a handler may measure.
    std::vector<std::pair<std::string, std::string>> warnings_;
};

} // namespace weft::detail
