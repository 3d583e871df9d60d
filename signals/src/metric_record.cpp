// From a measurement to a cell.

#include "bound_list.hpp"
#include "exponential_histogram.hpp"
#include "metric_store.hpp"
#include "thread_metrics.hpp"

#include <weft/runtime/clock.hpp>
#include <weft/runtime/context.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/histogram.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace weft {
namespace detail {
namespace {

// A number of measurements to let pass, and how often in a row none was drawn: 24 and 8 bits.
constexpr std::uint32_t rarely = 0xffffff; // As good as never.
constexpr std::uint32_t pass_mask = 0xffffff;

// After a measurement that might have been drawn but was made outside of a sampled span: the next look comes after 0, 1, 3, ...
// up to 63 others, so that a program that samples nothing hardly pays for looking.
constexpr std::uint32_t after_looking_in_vain(std::uint32_t before) noexcept {
    constexpr std::uint32_t most = 6;
    const std::uint32_t level = std::min(before >> 24, most);
    return std::min(level + 1, most) << 24 | ((1U << level) - 1);
}

bool is_integer(Stream::Form form) noexcept {
    return form == Stream::Form::sum_integer || form == Stream::Form::histogram_integer ||
           form == Stream::Form::exponential_integer;
}

MetricNumber number_of(const Stream& stream, std::uint64_t bits) noexcept {
    return stream.instrument->descriptor->is_integer
               ? MetricNumber::of(static_cast<std::int64_t>(bits))
               : MetricNumber::of(std::bit_cast<double>(bits));
}

// The attributes of a measurement that its point does not have.
std::string filtered_attributes(const Series& series, std::string_view key) {
    if (key == series.key) { return {}; }
    const auto is_left_out = [&series](std::string_view one) {
        bool has = false;
        for_each_part(series.key, [&](const KeyPart& own) { has = has || own.key == one; });
        return !has;
    };
    return encode_key(canonical_key(key, is_left_out), attributes_tag(MetricKind::sum));
}

// Puts the measurement into the reservoir if it may be an exemplar. Returns how many measurements pass until one may
// again. `before`: what the last call for the slot returned.
std::uint32_t draw(
    Series& series, std::uint32_t slot, std::uint32_t before, std::uint64_t bits,
    std::string_view key) noexcept {
    const auto filter = series.owner->instrument->provider->options.exemplar_filter;
    if (filter == ExemplarFilter::always_off) { return rarely; }
    const SpanContext& span = current_span_context();
    if (filter == ExemplarFilter::trace_based && !span.is_sampled()) {
        return after_looking_in_vain(before);
    }
    try {
        return series.exemplars.put(
            slot, {.value = number_of(*series.owner, bits),
                   .time_unix_ns = steady_now_ns() + wall_offset_ns(),
                   .trace_id = span.trace_id,
                   .span_id = span.span_id,
                   .filtered_attributes = filtered_attributes(series, key)});
    } catch (const std::bad_alloc&) { return rarely; }
}

std::uint64_t get(const CellWord& word) noexcept {
    return word.load(std::memory_order_relaxed); // relaxed: this thread's own store.
}
void put(CellWord& word, std::uint64_t value) noexcept {
    word.store(
        value, std::memory_order_relaxed); // relaxed: a word of its own, or ordered by Change.
}

void add_to_sum(
    Series& series, CellWord* cell, std::uint64_t header, std::uint64_t bits,
    std::string_view key) noexcept {
    const auto before = get(cell[1]);
    put(cell[1], series.owner->form == Stream::Form::sum_integer
                     ? before + bits
                     : std::bit_cast<std::uint64_t>(
                           std::bit_cast<double>(before) + std::bit_cast<double>(bits)));
    auto until_next = static_cast<std::uint32_t>(header >> 32);
    until_next =
        (until_next & pass_mask) != 0 ? until_next - 1 : draw(series, 0, until_next, bits, key);
    put(cell[0], std::uint64_t{until_next} << 32 | static_cast<std::uint32_t>(header));
}

void set_last(Series& series, std::uint64_t bits, std::string_view key) noexcept {
    series.last.store(bits, std::memory_order_relaxed); // relaxed: it stands alone.
    // Looked at first: storing would take the line from other threads that set the gauge each time.
    if (!series.touched.load(std::memory_order_relaxed)) {
        series.touched.store(
            true, std::memory_order_release); // E1: a collection that sees it sees a value.
        if (series.owner->has_exemplars) { (void)draw(series, 0, 0, bits, key); }
    }
}

// The sequence number in a histogram's header is odd while the words change.
class Change {
public:
    Change(CellWord* cell, std::uint64_t header) noexcept : cell_(cell), header_(header) {
        cell_->store(header_ + one, std::memory_order_relaxed); // Ordered by the fence.
        // release fence: E3, the odd number is seen before any of the words that follow.
        std::atomic_thread_fence(std::memory_order_release);
    }
    ~Change() {
        cell_->store(
            header_ + 2 * one, std::memory_order_release); // E3: and the even one after them.
    }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

private:
    static constexpr std::uint64_t one = std::uint64_t{1} << 32;
    CellWord* const cell_;
    const std::uint64_t header_;
};

// True when this is the thread's first measurement of the series in this interval.
inline bool add_to_sum_and_ends(
    const Stream& stream, CellWord* cell, std::uint64_t bits, double value,
    bool integers) noexcept {
    namespace at = histogram_cell;
    const auto sum = get(cell[at::sum]);
    put(cell[at::sum],
        integers ? sum + bits : std::bit_cast<std::uint64_t>(std::bit_cast<double>(sum) + value));
    // relaxed: which interval a measurement beside a collection falls into is nobody's to say.
    const auto now = stream.interval.load(std::memory_order_relaxed);
    const auto seen = get(cell[at::interval]);
    const auto value_bits = std::bit_cast<std::uint64_t>(value);
    if (static_cast<std::uint32_t>(seen) != now) [[unlikely]] {
        put(cell[at::min_before], get(cell[at::min]));
        put(cell[at::max_before], get(cell[at::max]));
        put(cell[at::interval], seen << 32 | now);
        put(cell[at::min], value_bits);
        put(cell[at::max], value_bits);
        return true;
    }
    if (value < std::bit_cast<double>(get(cell[at::min]))) { put(cell[at::min], value_bits); }
    if (value > std::bit_cast<double>(get(cell[at::max]))) { put(cell[at::max], value_bits); }
    return false;
}

// Two thresholds a word: the low 24 bits of the count at which a bucket's next exemplar is drawn, and as in `draw` how often
// in a row it was not.
std::uint32_t threshold(const CellWord* thresholds, std::size_t bucket) noexcept {
    return static_cast<std::uint32_t>(get(thresholds[bucket / 2]) >> (bucket % 2 * 32));
}
void set_threshold(CellWord* thresholds, std::size_t bucket, std::uint32_t value) noexcept {
    const auto shift = bucket % 2 * 32;
    const auto others = get(thresholds[bucket / 2]) & ~(std::uint64_t{0xffffffff} << shift);
    put(thresholds[bucket / 2], others | std::uint64_t{value} << shift);
}

// The number that the bits stand for, where the compiler knows of which kind they are.
inline double value_of(std::uint64_t bits, bool integers) noexcept {
    return integers ? static_cast<double>(static_cast<std::int64_t>(bits))
                    : std::bit_cast<double>(bits);
}

[[gnu::noinline]] void draw_for_bucket(
    Series& series, CellWord* counts, std::size_t bucket, bool first, std::string_view key,
    std::uint64_t bits) noexcept;

inline void add_to_histogram(
    Series& series, const Stream& stream, CellWord* cell, std::uint64_t header, std::uint64_t bits,
    std::string_view key, bool integers) noexcept {
    const double value = value_of(bits, integers);
    const std::size_t bucket = stream.bucket_of(value);
    CellWord* const counts = cell + histogram_cell::buckets;
    bool first = false;
    std::uint64_t count = 0;
    {
        const Change change(cell, header);
        count = get(counts[bucket]) + 1;
        put(counts[bucket], count);
        first = add_to_sum_and_ends(stream, cell, bits, value, integers);
    }
    if (!stream.has_exemplars) { return; }
    const auto next = threshold(counts + stream.boundaries.size() + 1, bucket);
    if (first || ((static_cast<std::uint32_t>(count) ^ next) & pass_mask) == 0) [[unlikely]] {
        draw_for_bucket(series, counts, bucket, first, key, bits);
    }
}

void draw_for_bucket(
    Series& series, CellWord* counts, std::size_t bucket, bool first, std::string_view key,
    std::uint64_t bits) noexcept {
    const Stream& stream = *series.owner;
    CellWord* const thresholds = counts + stream.boundaries.size() + 1;
    const auto count = get(counts[bucket]);
    if (first) { // Each bucket's next measurement is drawn.
        for (std::size_t i = 0; i <= stream.boundaries.size(); ++i) {
            set_threshold(
                thresholds, i, static_cast<std::uint32_t>(get(counts[i]) + 1) & pass_mask);
        }
        set_threshold(thresholds, bucket, static_cast<std::uint32_t>(count) & pass_mask);
    }
    const auto pass =
        draw(series, static_cast<std::uint32_t>(bucket), threshold(thresholds, bucket), bits, key);
    const auto at = static_cast<std::uint32_t>(count) + (pass & pass_mask) + 1;
    set_threshold(thresholds, bucket, (pass & ~pass_mask) | (at & pass_mask));
}

void add_to_exponential(
    Series& series, CellWord* cell, std::uint64_t header, std::uint64_t bits,
    std::string_view key) noexcept {
    const Stream& stream = *series.owner;
    const bool integers = is_integer(stream.form);
    const double value = value_of(bits, integers);
    CellWord* const countdown = cell + histogram_cell::buckets;
    bool first = false;
    {
        const Change change(cell, header);
        ExponentialCell(countdown + 1, stream.size_max, stream.takes_negative).record(value);
        first = add_to_sum_and_ends(stream, cell, bits, value, integers);
    }
    if (!stream.has_exemplars) { return; }
    const auto left = first ? 0 : static_cast<std::uint32_t>(get(*countdown));
    if ((left & pass_mask) != 0) {
        put(*countdown, left - 1);
        return;
    }
    constexpr std::uint32_t slots = 20; // Source: OpenTelemetry Metrics SDK, "Exemplar defaults".
    const auto slot = static_cast<std::uint32_t>(random_u64() % slots);
    // The places fill one by one: of all measurements, each has its share.
    const auto pass = draw(series, slot, left, bits, key);
    put(*countdown, (pass & ~pass_mask) | (pass & pass_mask) / slots);
}

CellWord* claim(Series& series, std::uint64_t& header) noexcept {
    const CellRef place = series.cell_now(); // See SeriesTarget.
    if (place.is_none()) { return nullptr; }
    CellWord* const cell = claim_cell(place, series.owner->cell_words, 0);
    if (cell == nullptr) { return nullptr; }
    if (series.owner->form >= Stream::Form::exponential_integer) {
        if (get(cell[histogram_cell::interval]) == 0) { // New: nothing has been recorded.
            const Change change(cell, cell->load(std::memory_order_relaxed)); // Our own.
            ExponentialCell(
                cell + histogram_cell::buckets + 1, series.owner->size_max,
                series.owner->takes_negative)
                .reset(series.owner->scale_max);
        }
    }
    header = cell->load(std::memory_order_relaxed); // relaxed: our own.
    return cell;
}

// False: the series has expired meanwhile.
bool try_add(Series& series, std::uint64_t bits, std::string_view key) noexcept {
    const Stream& stream = *series.owner;
    if (stream.form == Stream::Form::last) {
        if (series.cell_now().is_none()) { return false; } // See SeriesTarget.
        set_last(series, bits, key);
        return true;
    }
    std::uint64_t header;
    CellWord* cell = find_cell(series.cell_now(), header); // See there.
    if (cell == nullptr) [[unlikely]] {
        cell = claim(series, header);
        if (cell == nullptr) { return false; }
    }
    if (stream.takes_negative && stream.form >= Stream::Form::histogram_integer &&
        !std::isfinite(value_of(bits, is_integer(stream.form)))) { // A gauge's.
        stream.instrument->provider->refused_values.fetch_add(
            1, std::memory_order_relaxed); // A counter.
        return true;
    }
    switch (stream.form) {
    case Stream::Form::sum_integer:
    case Stream::Form::sum_floating:
        add_to_sum(series, cell, header, bits, key);
        break;
    case Stream::Form::histogram_integer:
        add_to_histogram(series, stream, cell, header, bits, key, true);
        break;
    case Stream::Form::histogram_floating:
        add_to_histogram(series, stream, cell, header, bits, key, false);
        break;
    default:
        add_to_exponential(series, cell, header, bits, key);
    }
    return true;
}

struct Added {
    Series* series = nullptr; // Null: the measurement was dropped, and counted.
    bool overflowed = false;
};

Added add_to_stream(Stream& stream, std::uint64_t bits, std::string_view key) noexcept {
    Added added;
    // Bound: a series is hardly ever forgotten between being found and added to, and being found keeps it for a while.
    for (int tries = 0; tries < 3; ++tries) {
        added.series = stream.find_or_create(key, false, added.overflowed);
        if (added.series == nullptr) { break; }
        if (try_add(*added.series, bits, key)) { return added; }
    }
    if (added.series != nullptr || stream.overflow_mode == OverflowMode::aggregate) {
        stream.instrument->provider->lost.fetch_add(1, std::memory_order_relaxed); // A counter.
    }
    return added;
}

// Everything but the usual case: an attribute set that this thread has not seen, or a series that has expired.
[[gnu::noinline]] void record_new(
    InstrumentState& state, std::uint64_t bits, std::string_view key, std::uint64_t hash) noexcept {
    // acquire: pairs with the bump, so that what is found below is newer than what it voided.
    const auto generation = state.generation.load(std::memory_order_acquire);
    ThreadMetrics* const metrics = thread_metrics();
    std::vector<Series*> found;
    bool all_known = metrics != nullptr;
    for (const auto& stream : state.streams) {
        const auto added = add_to_stream(*stream, bits, key);
        // What overflows is not remembered: there is no end of it.
        all_known = all_known && added.series != nullptr && !added.overflowed;
        try {
            found.push_back(added.series);
        } catch (const std::bad_alloc&) { all_known = false; }
    }
    if (!all_known || found.empty()) { return; }
    if (key.empty() && found.size() == 1) { return; } // See InstrumentState::plain.
    try {
        metrics->cache.insert(
            hash, &state, generation, key,
            {found.front(), std::span<Series* const>(found).subspan(1)});
    } catch (const std::bad_alloc&) {} // It is looked up again.
}

void record_bits(
    MeterProvider& provider, const InstrumentBase& instrument, std::uint64_t bits,
    std::span<const Attribute> attributes, std::string_view common) noexcept {
    const auto index = instrument.index();
    if (index == 0) { return; }
    InstrumentState* const state = provider.state(index);
    if (state == nullptr) [[unlikely]] {
        provider.lost.fetch_add(1, std::memory_order_relaxed); // A counter.
        return;
    }
    // relaxed: see MeterProvider::accepting.
    if (!provider.accepting.load(std::memory_order_relaxed)) [[unlikely]] { return; }
    if (state->streams.empty() || !is_acceptable(*state, bits)) { return; }
    if (attributes.empty() && common.empty() && state->streams.size() == 1) {
        // acquire: the series is complete.
        Series* const plain = state->plain.load(std::memory_order_acquire);
        if (plain == nullptr || !try_add(*plain, bits, {})) { record_new(*state, bits, {}, 0); }
        end_late_use();
        return;
    }
    const AttributeKey key(common, attributes);
    if (key.too_large()) [[unlikely]] {
        provider.lost.fetch_add(1, std::memory_order_relaxed); // A counter.
        report_too_large(instrument);
        return;
    }
    const auto hash = hash_bytes(key.bytes(), index);
    ThreadMetrics* const metrics = thread_metrics();
    const SeriesCache::Entry* const entry =
        metrics == nullptr
            ? nullptr
            : metrics->cache.find(
                  // acquire: see record_new.
                  hash, state, state->generation.load(std::memory_order_acquire), key.bytes());
    if (entry == nullptr || !try_add(*entry->first, bits, key.bytes())) [[unlikely]] {
        record_new(*state, bits, key.bytes(), hash);
    } else {
        for (std::size_t i = 0; i < entry->others_count; ++i) {
            // Streams forget their series one by one.
            if (!try_add(*entry->others[i], bits, key.bytes())) [[unlikely]] {
                add_to_stream(*entry->others[i]->owner, bits, key.bytes());
            }
        }
    }
    end_late_use();
}

} // namespace

void add_measurement(Series& series, std::uint64_t bits, std::string_view key) noexcept {
    if (series.is_refusal) {
        series.owner->rejected.fetch_add(1, std::memory_order_relaxed); // A counter.
        return;
    }
    if (&series == series.owner->overflow.load(std::memory_order_relaxed)) { // See there.
        series.owner->overflowed.fetch_add(1, std::memory_order_relaxed);    // A counter.
    }
    if (try_add(series, bits, key)) { return; }
    series.owner->instrument->provider->lost.fetch_add(1, std::memory_order_relaxed); // A counter.
}

void report_too_large(const InstrumentBase& instrument) noexcept {
    diagnostics().report(DiagnosticLevel::warning, "metrics.attributes", [&] {
        return fmt::format(
            "instrument \"{}\" ({}:{}) was given attributes of more than {} KiB; such measurements "
            "are dropped and counted",
            printable(instrument.name(), 255), instrument.where().file_name(),
            instrument.where().line(), AttributeKey::bytes_max / 1024);
    });
}

bool is_acceptable(InstrumentState& state, std::uint64_t bits) noexcept {
    const auto& descriptor = *state.descriptor;
    const bool signed_kind = descriptor.kind == InstrumentKind::up_down_counter ||
                             descriptor.kind == InstrumentKind::observable_up_down_counter;
    const bool gauge = descriptor.kind == InstrumentKind::gauge ||
                       descriptor.kind == InstrumentKind::observable_gauge;
    if (descriptor.is_integer) {
        if (signed_kind || gauge || static_cast<std::int64_t>(bits) >= 0) [[likely]] {
            return true;
        }
    } else {
        const auto value = std::bit_cast<double>(bits);
        if (gauge) {
            return true;
        } // A gauge may say that it does not know, or that there is no end.
        if (std::isfinite(value) && (signed_kind || value >= 0)) [[likely]] { return true; }
    }
    state.provider->refused_values.fetch_add(1, std::memory_order_relaxed); // A counter.
    // relaxed: it only decides who reports.
    if (!state.has_reported_value.exchange(true, std::memory_order_relaxed)) {
        diagnostics().report(
            DiagnosticLevel::warning, fmt::format("metrics.value.{}", descriptor.name), [&] {
                return fmt::format(
                    "instrument \"{}\" ({}:{}) was given {}: {}; such values are dropped and "
                    "counted",
                    descriptor.name, descriptor.file, descriptor.line,
                    descriptor.is_integer ? fmt::format("{}", static_cast<std::int64_t>(bits))
                                          : fmt::format("{}", std::bit_cast<double>(bits)),
                    signed_kind ? "allowed are finite numbers"
                                : "allowed are finite numbers of 0 or more");
            });
    }
    return false;
}

bool BoundBase::add_to_histogram(SeriesTarget& target, double value) const noexcept {
    std::uint64_t header;
    CellWord* const cell = find_cell(target.cell_now(), header); // See there.
    if (cell == nullptr || target.stream == nullptr) [[unlikely]] { return false; }
    detail::add_to_histogram(
        static_cast<Series&>(target), *target.stream, cell, header,
        std::bit_cast<std::uint64_t>(value), registration_->key, false);
    return true;
}

bool BoundBase::add_to_histogram(SeriesTarget& target, std::int64_t value) const noexcept {
    std::uint64_t header;
    CellWord* const cell = find_cell(target.cell_now(), header); // See there.
    if (cell == nullptr || target.stream == nullptr) [[unlikely]] { return false; }
    detail::add_to_histogram(
        static_cast<Series&>(target), *target.stream, cell, header,
        static_cast<std::uint64_t>(value), registration_->key, true);
    return true;
}

void record_integer(
    const InstrumentBase& instrument, std::int64_t value, std::span<const Attribute> attributes,
    std::string_view common) noexcept {
    if (auto* provider = instrument.provider(); provider != nullptr) {
        record_bits(*provider, instrument, static_cast<std::uint64_t>(value), attributes, common);
    }
}

void record_floating(
    const InstrumentBase& instrument, double value, std::span<const Attribute> attributes,
    std::string_view common) noexcept {
    if (auto* provider = instrument.provider(); provider != nullptr) {
        record_bits(*provider, instrument, std::bit_cast<std::uint64_t>(value), attributes, common);
    }
}

bool InstrumentBase::is_enabled() const noexcept {
    auto* const to = provider();
    // relaxed: see MeterProvider::accepting.
    if (to == nullptr || !to->accepting.load(std::memory_order_relaxed) || index() == 0) {
        return false;
    }
    const auto* state = to->state(index());
    return state != nullptr && !state->streams.empty();
}

double in_unit(std::int64_t elapsed_ns, std::string_view unit) noexcept {
    const auto elapsed = static_cast<double>(elapsed_ns);
    if (unit == "ns") { return elapsed; }
    if (unit == "us") { return elapsed / 1e3; }
    if (unit == "ms") { return elapsed / 1e6; }
    return elapsed / 1e9;
}

} // namespace detail

void Timer::stop(std::span<const Attribute> attributes) noexcept {
    const auto* histogram = std::exchange(histogram_, nullptr);
    if (histogram == nullptr || histogram->provider() == nullptr) { return; }
    const double elapsed = detail::in_unit(steady_now_ns() - start_ns_, histogram->options().unit);
    if (histogram->is_integer()) {
        detail::record_integer(*histogram, static_cast<std::int64_t>(elapsed), attributes);
    } else {
        detail::record_floating(*histogram, elapsed, attributes);
    }
}

} // namespace weft
