// A collection: callbacks, then stream by stream and series by series what all threads have added up.

#include "exponential_histogram.hpp"
#include "metric_store.hpp"
#include "observations.hpp"

#include <weft/runtime/clock.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/metric_reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <thread>
#include <unordered_map>

namespace weft {
namespace detail {
namespace {

// What a histogram's series has counted in all.
struct HistogramTotals {
    std::vector<std::uint64_t> buckets;
    std::uint64_t integer_sum = 0;
    double floating_sum = 0;
    MinMax ended; // The interval that this collection ends.
    MinMax all;   // All that the cells still know.
    bool found = false;
    std::uint64_t digest = 0; // Changes with every measurement.

    void clear(std::size_t bucket_count) {
        buckets.assign(bucket_count, 0);
        integer_sum = 0;
        floating_sum = 0;
        ended = all = {};
        found = false;
        digest = 0;
    }
};

// Reads a cell between two of its owner's changes. After so many tries the owner is taken for asleep amid one, or for too
// busy: then the cell's words may be a few measurements apart, which the next collection makes good.
template <class Read>
void read_unchanged(const CellWord* cell, Read&& read) {
    constexpr int tries = 1000;
    for (int i = 0; i < tries; ++i) {
        const auto before =
            cell->load(std::memory_order_acquire); // E3: Change's end, or its beginning.
        if ((before >> 32) % 2 != 0 && i + 1 < tries) {
            if (i >= tries / 2) {
                std::this_thread::yield();
            } // The owner may be waiting for the CPU.
            continue;
        }
        read();
        // acquire fence: E3, the words were read before the header is looked at again.
        std::atomic_thread_fence(std::memory_order_acquire);
        if (cell->load(std::memory_order_relaxed) == before) {
            return;
        } // relaxed: the fence orders it.
    }
}

// relaxed throughout: read_unchanged orders them.
std::uint64_t word(const CellWord* cell, std::size_t at) noexcept {
    return cell[at].load(std::memory_order_relaxed);
}

struct Ends {
    MinMax ended;
    MinMax all;
};

// `ended`: the number of the interval that this collection ends. A value recorded in the very moment of the last collection
// may belong to neither interval here; it is in `all`.
Ends read_ends(const CellWord* cell, std::uint32_t ended) noexcept {
    namespace at = histogram_cell;
    Ends ends;
    const auto interval = word(cell, at::interval);
    if (interval == 0) { return ends; }
    const auto low = std::bit_cast<double>(word(cell, at::min));
    const auto high = std::bit_cast<double>(word(cell, at::max));
    ends.all.add(low, high);
    if (static_cast<std::uint32_t>(interval) == ended) { ends.ended.add(low, high); }
    if (const auto before = static_cast<std::uint32_t>(interval >> 32); before != 0) {
        const auto low_before = std::bit_cast<double>(word(cell, at::min_before));
        const auto high_before = std::bit_cast<double>(word(cell, at::max_before));
        ends.all.add(low_before, high_before);
        if (before == ended) { ends.ended.add(low_before, high_before); }
    }
    return ends;
}

} // namespace

// What a reader remembers of a stream: per series, what it has handed out.
struct StreamMemory {
    std::int64_t time_unix_ns = 0; // Of the last collection. 0: none.
    std::int64_t steady_ns = 0;
    struct PerSeries {
        std::uint32_t incarnation = 0; // Of the series; another one has handed out nothing.
        std::uint64_t bits = 0;        // Sums, and sums of histograms.
        std::vector<std::uint64_t> buckets;
        ExponentialSnapshot exponential;
        std::uint64_t observed = 0; // Observables: the number of the collection that last saw it.
        std::uint64_t observation = 0;
        std::uint64_t observation_before =
            0;                   // Delta: the observation of the last collection that saw it.
        bool had_before = false; // Something has been handed out.
    };
    std::vector<PerSeries> series;

    PerSeries& of(const Series& which) {
        if (series.size() <= which.number) {
            series.resize(std::max<std::size_t>(which.number + std::size_t{1}, series.size() * 2));
        }
        auto& memory = series[which.number];
        if (memory.incarnation != which.incarnation) {
            memory = {};
            memory.incarnation = which.incarnation;
        }
        return memory;
    }
};

struct ReaderState {
    ReaderState(MeterProvider& provider_, MetricReaderOptions options_)
        : provider(provider_), options(options_),
          slot(provider_.add_reader(options_.exponential_histograms)) {
        const std::lock_guard lock(provider.collecting);
        provider.collected_at_ns[slot] = 0;
    }
    ~ReaderState() {
        {
            const std::lock_guard lock(provider.collecting);
            provider.collected_at_ns[slot] = std::numeric_limits<std::int64_t>::max();
        }
        provider.remove_reader(slot);
    }
    ReaderState(const ReaderState&) = delete;
    ReaderState& operator=(const ReaderState&) = delete;

    MeterProvider& provider;
    const MetricReaderOptions options;
    const std::size_t slot;
    std::mutex one; // Held by this reader's collection while it hands out points.
    std::unordered_map<const Stream*, StreamMemory> memories;
    std::uint64_t collections = 0;
    // Scratch, kept for its memory:
    std::vector<Series*> series;
    HistogramTotals totals;
    ExponentialSnapshot exponential;
    ExponentialSnapshot of_thread;
    std::vector<std::uint64_t> delta_buckets;
    std::vector<Reservoir::Drawn> drawn;
    std::vector<MetricExemplar> exemplars;

    using Batches = std::vector<std::shared_ptr<ObservationBatch>>;
    void hand_out(const Batches& batches, MetricVisitor& visitor);
};

namespace {

// One reader's pass over one stream.
class StreamCollection {
public:
    StreamCollection(
        ReaderState& reader, Stream& stream, StreamMemory& memory, const CellReader& cells,
        std::int64_t now_unix_ns, std::int64_t now_ns, MetricVisitor& visitor)
        : reader_(reader), stream_(stream), memory_(memory), cells_(cells),
          now_unix_ns_(now_unix_ns), now_ns_(now_ns), visitor_(visitor) {
        identity_ = stream.identity;
        identity_.temporality =
            temporality_of(reader.options.temporality, stream.instrument->descriptor->kind);
        is_delta_ = identity_.temporality == Temporality::delta;
    }

    void run() {
        {
            const std::lock_guard lock(stream_.mutex);
            reader_.series.assign(stream_.active.begin(), stream_.active.end());
        }
        interval_ =
            stream_.interval.load(std::memory_order_relaxed); // relaxed: only collections write it.
        stream_.interval.store(
            interval_ + 1 == 0 ? 1 : interval_ + 1, std::memory_order_relaxed); // See Stream.
        if (memory_.time_unix_ns == 0) {
            interval_start_ = std::min(stream_.start_unix_ns, now_unix_ns_);
        } else {
            interval_start_ = memory_.time_unix_ns;
            // The wall clock was set back: the interval keeps its length.
            if (interval_start_ >= now_unix_ns_) {
                interval_start_ = now_unix_ns_ - (now_ns_ - memory_.steady_ns);
            }
        }
        const bool observable = is_observable(stream_.instrument->descriptor->kind);
        for (auto* series : reader_.series) {
            if (observable) {
                observed(*series);
                continue;
            }
            switch (stream_.form) {
            case Stream::Form::sum_integer:
            case Stream::Form::sum_floating:
                sum(*series);
                break;
            case Stream::Form::last:
                last(*series);
                break;
            case Stream::Form::histogram_integer:
            case Stream::Form::histogram_floating:
                histogram(*series);
                break;
            default:
                exponential(*series);
            }
        }
        if (begun_) { visitor_.end(); }
        memory_.time_unix_ns = now_unix_ns_;
        memory_.steady_ns = now_ns_;
    }

private:
    MetricPointTimes times(Series& series) const noexcept {
        // The wall clock was set back, as in run(), or the series is younger than this collection. It stays so.
        if (series.start_unix_ns > now_unix_ns_) {
            series.start_unix_ns =
                now_unix_ns_ - std::max<std::int64_t>(0, now_ns_ - series.start_ns);
        }
        return {is_delta_ ? interval_start_ : series.start_unix_ns, now_unix_ns_};
    }

    void begin() {
        if (!std::exchange(begun_, true)) { visitor_.begin(identity_); }
    }

    void note_change(Series& series, std::uint64_t digest) const noexcept {
        if (series.last_total == digest) { return; }
        series.last_total = digest;
        series.changed_at_ns = now_ns_;
    }

    std::span<const MetricExemplar> exemplars(Series& series) {
        if (series.exemplars.empty()) { return {}; }
        reader_.drawn.clear();
        reader_.exemplars.clear();
        series.exemplars.collect(is_delta_ ? interval_start_ : 0, reader_.drawn);
        for (const auto& one : reader_.drawn) {
            reader_.exemplars.push_back(
                {one.value, one.time_unix_ns, one.trace_id, one.span_id, one.filtered_attributes});
        }
        return reader_.exemplars;
    }

    MetricNumber number(std::uint64_t bits) const noexcept {
        return stream_.instrument->descriptor->is_integer
                   ? MetricNumber::of(static_cast<std::int64_t>(bits))
                   : MetricNumber::of(std::bit_cast<double>(bits));
    }

    std::uint64_t subtract(std::uint64_t now, std::uint64_t before) const noexcept {
        return stream_.instrument->descriptor->is_integer
                   ? now - before
                   : std::bit_cast<std::uint64_t>(
                         std::bit_cast<double>(now) - std::bit_cast<double>(before));
    }

    void sum(Series& series) {
        std::uint64_t integer = 0;
        double floating = 0;
        bool found = false;
        const bool is_integer = stream_.form == Stream::Form::sum_integer;
        cells_.each(series.place, [&](CellWord* cell) {
            found = true;
            const auto bits = word(cell, 1);
            if (is_integer) {
                integer += bits;
            } else {
                floating += std::bit_cast<double>(bits);
            }
            if (stream_.has_exemplars) { draw_soon(cell); }
        });
        if (!found) { return; }
        const auto bits = is_integer ? integer : std::bit_cast<std::uint64_t>(floating);
        note_change(series, bits);
        auto value = bits;
        if (is_delta_) {
            auto& memory = memory_.of(series);
            // A series that is new to this reader is handed out also when its sum is zero.
            const bool is_new = !std::exchange(memory.had_before, true);
            if (!is_new && memory.bits == bits) { return; }
            value = subtract(bits, memory.bits);
            memory.bits = bits;
        }
        begin();
        visitor_.number({series, times(series), number(value), exemplars(series)});
    }

    // Lets the cell's next measurement be an exemplar: an interval may have only one.
    static void draw_soon(CellWord* cell) noexcept {
        auto header = cell->load(std::memory_order_relaxed); // relaxed: a number of its own.
        if (until_exemplar(header) == 0) { return; }
        // The owner may be storing at this moment: then one of both stores is lost, and either is right.
        (void)cell->compare_exchange_strong(
            header, header & 0xffffffff, std::memory_order_relaxed, std::memory_order_relaxed);
    }

    void last(Series& series) {
        // acquire: pairs with set_last's release (E1).
        const bool touched = series.touched.exchange(false, std::memory_order_acquire);
        const auto bits = series.last.load(std::memory_order_relaxed); // It stands alone.
        // Who sets the gauge just now may have found `touched` as it was before: then the value tells.
        if (touched || bits != series.last_seen) {
            ++series.last_total;
            series.changed_at_ns = now_ns_;
            series.last_seen = bits;
        }
        if (series.last_total == 0) { return; } // Bound, and never set.
        if (is_delta_) {
            auto& memory = memory_.of(series);
            if (memory.bits == series.last_total) { return; }
            memory.bits = series.last_total;
        }
        begin();
        visitor_.number({series, times(series), number(bits), exemplars(series)});
    }

    // Adds the ends of this interval to what every reader has to hand out.
    void note_ends(Series& series, const MinMax& ended, const MinMax& all) const noexcept {
        series.ends->lifetime.add(all);
        for (auto& reader : series.ends->since_read) { reader.add(ended); }
    }

    // `is_new`: to this reader, which gets all there is. Its slot may have been another's.
    MinMax ends(Series& series, bool is_new) const noexcept {
        const auto since = std::exchange(series.ends->since_read[reader_.slot], {});
        return is_delta_ && !is_new ? since : series.ends->lifetime;
    }

    void histogram(Series& series) {
        auto& totals = reader_.totals;
        const std::size_t bucket_count = stream_.boundaries.size() + 1;
        totals.clear(bucket_count);
        const bool is_integer = stream_.form == Stream::Form::histogram_integer;
        auto& of_thread = reader_.delta_buckets;
        cells_.each(series.place, [&](const CellWord* cell) {
            std::uint64_t sum_bits = 0;
            Ends ends;
            bool found = false;
            read_unchanged(cell, [&] {
                of_thread.resize(bucket_count);
                for (std::size_t i = 0; i < bucket_count; ++i) {
                    of_thread[i] = word(cell, histogram_cell::buckets + i);
                }
                sum_bits = word(cell, histogram_cell::sum);
                ends = read_ends(cell, interval_);
                found = word(cell, histogram_cell::interval) != 0;
            });
            if (!found) { return; }
            totals.found = true;
            for (std::size_t i = 0; i < bucket_count; ++i) { totals.buckets[i] += of_thread[i]; }
            if (is_integer) {
                totals.integer_sum += sum_bits;
            } else {
                totals.floating_sum += std::bit_cast<double>(sum_bits);
            }
            totals.ended.add(ends.ended);
            totals.all.add(ends.all);
        });
        if (!totals.found) { return; }
        std::uint64_t count = 0;
        for (const auto bucket : totals.buckets) { count += bucket; }
        note_change(series, count);
        note_ends(series, totals.ended, totals.all);
        bool is_new = false;
        auto sum_bits =
            is_integer ? totals.integer_sum : std::bit_cast<std::uint64_t>(totals.floating_sum);
        if (is_delta_) {
            auto& memory = memory_.of(series);
            memory.buckets.resize(bucket_count);
            is_new = !std::exchange(memory.had_before, true);
            count = 0;
            for (std::size_t i = 0; i < bucket_count; ++i) {
                const auto now = totals.buckets[i];
                totals.buckets[i] = now - std::exchange(memory.buckets[i], now);
                count += totals.buckets[i];
            }
            const auto before = std::exchange(memory.bits, sum_bits);
            sum_bits = subtract(sum_bits, before);
            if (count == 0) { return; }
        }
        const auto min_max = ends(series, is_new);
        begin();
        visitor_.histogram(
            {.series = series,
             .times = times(series),
             .count = count,
             .sum = number(sum_bits).as_double(),
             .has_sum = !stream_.takes_negative,
             .has_min_max = stream_.records_min_max && min_max.known,
             .min = min_max.min,
             .max = min_max.max,
             .buckets = totals.buckets,
             .exemplars = exemplars(series)});
    }

    void exponential(Series& series) {
        auto& total = reader_.exponential;
        auto& totals = reader_.totals;
        totals.clear(0);
        total.clear();
        const bool is_integer = stream_.form == Stream::Form::exponential_integer;
        bool in_place = true; // All counts.
        cells_.each(series.place, [&](CellWord* cell) {
            std::uint64_t sum_bits = 0;
            Ends ends;
            bool found = false;
            bool own_in_place = false;
            read_unchanged(cell, [&] {
                found = word(cell, histogram_cell::interval) != 0;
                own_in_place = read(
                    ExponentialCell(
                        cell + histogram_cell::buckets + 1, stream_.size_max,
                        stream_.takes_negative),
                    reader_.of_thread);
                sum_bits = word(cell, histogram_cell::sum);
                ends = read_ends(cell, interval_);
            });
            if (!found) { return; }
            totals.found = true;
            in_place = in_place && own_in_place;
            merge(total, reader_.of_thread, stream_.size_max);
            if (is_integer) {
                totals.integer_sum += sum_bits;
            } else {
                totals.floating_sum += std::bit_cast<double>(sum_bits);
            }
            totals.ended.add(ends.ended);
            totals.all.add(ends.all);
        });
        if (!totals.found) { return; }
        note_ends(series, totals.ended, totals.all);
        // Its owner is asleep amid a change of scale: the next collection has what this one leaves out.
        if (!in_place) { return; }
        note_change(series, total.count());
        bool is_new = false;
        auto sum_bits =
            is_integer ? totals.integer_sum : std::bit_cast<std::uint64_t>(totals.floating_sum);
        if (is_delta_) {
            auto& memory = memory_.of(series);
            reader_.of_thread = total;
            is_new = !std::exchange(memory.had_before, true);
            if (!is_new) { detail::subtract(total, memory.exponential); }
            std::swap(memory.exponential, reader_.of_thread);
            sum_bits = subtract(sum_bits, std::exchange(memory.bits, sum_bits));
            if (total.count() == 0) { return; }
        }
        const auto min_max = ends(series, is_new);
        begin();
        visitor_.exponential_histogram(
            {.series = series,
             .times = times(series),
             .count = total.count(),
             .sum = number(sum_bits).as_double(),
             .has_sum = !stream_.takes_negative,
             .has_min_max = stream_.records_min_max && min_max.known,
             .min = min_max.min,
             .max = min_max.max,
             .scale = total.scale,
             .zero_count = total.zero_count,
             .zero_threshold = 0,
             .positive = {total.positive.offset, total.positive.counts},
             .negative = {total.negative.offset, total.negative.counts},
             .exemplars = exemplars(series)});
    }

    // Only what this collection's callbacks have reported. Source: OpenTelemetry Metrics SDK, "MetricReader".
    void observed(Series& series) {
        auto& memory = memory_.of(series);
        if (memory.observed != reader_.collections) { return; }
        series.changed_at_ns = now_ns_;
        auto value = memory.observation;
        const auto point_times = times(series);
        // To what was handed out last, also when the series has been away (its callback may have been late) ...
        if (is_delta_ && identity_.kind == MetricKind::sum && memory.had_before) {
            const auto grown = subtract(value, memory.observation_before);
            // ... unless what is counted has begun anew.
            if (!identity_.is_monotonic || number(grown).as_double() >= 0) { value = grown; }
        }
        memory.observation_before = memory.observation;
        memory.had_before = true;
        begin();
        visitor_.number({series, point_times, number(value), {}});
    }

    ReaderState& reader_;
    Stream& stream_;
    StreamMemory& memory_;
    const CellReader& cells_;
    const std::int64_t now_unix_ns_;
    const std::int64_t now_ns_;
    MetricVisitor& visitor_;
    MetricStream identity_;
    bool is_delta_ = false;
    bool begun_ = false;
    std::uint32_t interval_ = 0;
    std::int64_t interval_start_ = 0;
};

// Writes what callbacks have reported into the reader's memory. Sums of one attribute set are added up: a view may
// have left out the attribute that told them apart.
void apply(ReaderState& reader, const ObservationBatch& batch) {
    for (const auto& observation : batch.observations) {
        for (const auto& stream : observation.state->streams) {
            bool overflowed = false;
            Series* const series = stream->find_or_create(observation.key, false, overflowed);
            if (series == nullptr) { continue; }
            auto& memory = reader.memories[stream.get()].of(*series);
            const bool again = memory.observed == reader.collections;
            const bool adds = stream->identity.kind == MetricKind::sum;
            if (!again || !adds) {
                memory.observation = observation.bits;
            } else if (observation.state->descriptor->is_integer) {
                memory.observation += observation.bits;
            } else {
                memory.observation = std::bit_cast<std::uint64_t>(
                    std::bit_cast<double>(memory.observation) +
                    std::bit_cast<double>(observation.bits));
            }
            memory.observed = reader.collections;
        }
    }
}

} // namespace

void ReaderState::hand_out(const Batches& batches, MetricVisitor& visitor) {
    const std::lock_guard lock(provider.collecting);
    ++collections;
    for (const auto& batch : batches) {
        const std::lock_guard closing(batch->mutex);
        batch->is_closed = true;
        apply(*this, *batch);
    }
    const CellReader cells;
    refresh_wall_offset();
    const auto now_ns = steady_now_ns();
    const auto now_unix_ns = now_ns + wall_offset_ns();
    const auto bit = static_cast<std::uint8_t>(1U << slot);
    provider.collected_at_ns[slot] = now_ns;
    // What some reader has not handed out yet does not expire.
    auto idle_since =
        *std::min_element(provider.collected_at_ns.begin(), provider.collected_at_ns.end());
    const auto expiry = provider.options.idle_expiry;
    if (expiry.count() > 0) {
        idle_since = std::min(
            idle_since,
            now_ns - std::chrono::duration_cast<std::chrono::nanoseconds>(expiry).count());
    }
    for (auto* stream : provider.streams()) {
        if ((stream->readers & bit) == 0) { continue; }
        StreamCollection(*this, *stream, memories[stream], cells, now_unix_ns, now_ns, visitor)
            .run();
        if (expiry.count() > 0) { stream->expire_idle(idle_since, now_ns); }
    }
}

} // namespace detail

MetricReader::MetricReader(detail::MeterProvider& provider, MetricReaderOptions options)
    : state_(std::make_shared<detail::ReaderState>(provider, options)) {}
MetricReader::MetricReader(MetricReader&&) noexcept = default;
MetricReader& MetricReader::operator=(MetricReader&&) noexcept = default;
MetricReader::~MetricReader() = default;

asio::awaitable<void> MetricReader::collect(MetricVisitor& visitor) {
    const auto state = state_; // The reader may go meanwhile.
    const auto deadline = std::chrono::steady_clock::now() + state->options.callback_timeout;
    detail::ReaderState::Batches batches;
    for (auto& callback : detail::callbacks_of(state->provider)) {
        batches.push_back(std::make_shared<detail::ObservationBatch>());
        batches.back()->provider = &state->provider;
        batches.back()->callback = callback;
        if (callback->plain) {
            detail::call(*callback, batches.back());
        } else {
            co_await detail::ask(callback, batches.back(), deadline, state.get());
        }
    }
    const std::lock_guard lock(state->one);
    state->hand_out(batches, visitor);
}

void MetricReader::collect_now(MetricVisitor& visitor) {
    detail::ReaderState::Batches batches;
    for (auto& callback : detail::callbacks_of(state_->provider)) {
        if (!callback->plain) { continue; }
        batches.push_back(std::make_shared<detail::ObservationBatch>());
        batches.back()->provider = &state_->provider;
        batches.back()->callback = callback;
        detail::call(*callback, batches.back());
    }
    const std::lock_guard lock(state_->one);
    state_->hand_out(batches, visitor);
}

} // namespace weft
