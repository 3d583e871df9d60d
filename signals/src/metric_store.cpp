#include "metric_store.hpp"

#include "exponential_histogram.hpp"

#include <weft/runtime/clock.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace weft {

std::string problem_in(const MetricOptions& options) {
    if (options.cardinality_limit < 1 || options.cardinality_limit > 1'000'000) {
        return fmt::format(
            "MetricOptions::cardinality_limit is {}: allowed is 1 to 1000000",
            options.cardinality_limit);
    }
    if (options.idle_expiry.count() < 0) {
        return fmt::format(
            "MetricOptions::idle_expiry is {} ms: allowed is 0 (never) or more",
            options.idle_expiry.count());
    }
    for (const auto& view : options.views) {
        const auto name = printable(view.selector.name, 255);
        const bool one_name = view.selector.name.find_first_of("*?") == std::string::npos;
        if (!view.name.empty() && !one_name) {
            return fmt::format(
                "MetricOptions::views: the view on \"{}\" names its stream \"{}\", which several "
                "instruments would share: select one name, or leave View::name empty",
                name, printable(view.name, 255));
        }
        if (view.cardinality_limit > 1'000'000) {
            return fmt::format(
                "View::cardinality_limit for \"{}\" is {}: allowed is 0 to 1000000", name,
                view.cardinality_limit);
        }
        const auto& aggregation = view.aggregation;
        if (aggregation.size_max < 2 || aggregation.size_max > 320) {
            return fmt::format(
                "Aggregation::size_max for \"{}\" is {}: allowed is 2 to 320", name,
                aggregation.size_max);
        }
        if (aggregation.scale_max < -10 || aggregation.scale_max > 20) {
            return fmt::format(
                "Aggregation::scale_max for \"{}\" is {}: allowed is -10 to 20", name,
                aggregation.scale_max);
        }
        if (!aggregation.boundaries) { continue; }
        const auto& bounds = *aggregation.boundaries;
        bool good = bounds.size() <= 512;
        for (std::size_t i = 0; i < bounds.size(); ++i) {
            good = good && std::isfinite(bounds[i]) && (i == 0 || bounds[i - 1] < bounds[i]);
        }
        if (!good) {
            return fmt::format(
                "Aggregation::boundaries for \"{}\": allowed are up to 512 finite numbers, each "
                "larger than the one before",
                name);
        }
    }
    return {};
}

namespace detail {
namespace {

// Source: OpenTelemetry Metrics SDK, "Explicit Bucket Histogram Aggregation".
constexpr double default_boundaries[] = {0,   5,   10,   25,   50,   75,   100,  250,
                                         500, 750, 1000, 2500, 5000, 7500, 10000};

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// `*` any text, `?` any character; letters in any case. Bound: the product of the lengths, both from the program.
bool matches(std::string_view pattern, std::string_view text) noexcept {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t retry = 0;
    while (t < text.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || lower(pattern[p]) == lower(text[t]))) {
            ++p, ++t;
        } else if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            retry = t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') { ++p; }
    return p == pattern.size();
}

bool selects(const InstrumentSelector& selector, const InstrumentDescriptor& instrument) noexcept {
    return matches(selector.name, instrument.name) &&
           (!selector.kind || *selector.kind == instrument.kind) &&
           (!selector.unit || *selector.unit == instrument.unit) &&
           (!selector.meter_name || *selector.meter_name == instrument.meter_name) &&
           (!selector.meter_version || *selector.meter_version == instrument.meter_version) &&
           (!selector.meter_schema_url ||
            *selector.meter_schema_url == instrument.meter_schema_url);
}

Aggregation::Kind default_aggregation(InstrumentKind kind) noexcept {
    switch (kind) {
    case InstrumentKind::histogram:
        return Aggregation::Kind::explicit_histogram;
    case InstrumentKind::gauge:
    case InstrumentKind::observable_gauge:
        return Aggregation::Kind::last_value;
    default:
        return Aggregation::Kind::sum;
    }
}

bool takes_negative(InstrumentKind kind) noexcept {
    return kind != InstrumentKind::counter && kind != InstrumentKind::observable_counter &&
           kind != InstrumentKind::histogram;
}

// What an aggregation cannot be used for. Source: OpenTelemetry Metrics SDK, "Measurement processing".
std::string problem_in(const Aggregation& aggregation, const InstrumentDescriptor& instrument) {
    using Kind = Aggregation::Kind;
    const bool histogram = aggregation.kind == Kind::explicit_histogram ||
                           aggregation.kind == Kind::exponential_histogram;
    const bool gauge = instrument.kind == InstrumentKind::gauge ||
                       instrument.kind == InstrumentKind::observable_gauge;
    if (histogram && is_observable(instrument.kind)) {
        return "a histogram of an observable instrument";
    }
    if (aggregation.kind == Kind::last_value && !gauge) { return "a last value of no gauge"; }
    if (aggregation.kind == Kind::sum && gauge) { return "a sum of a gauge"; }
    return {};
}

Stream::Form form_of(Aggregation::Kind kind, bool is_integer) noexcept {
    switch (kind) {
    case Aggregation::Kind::last_value:
        return Stream::Form::last;
    case Aggregation::Kind::explicit_histogram:
        return is_integer ? Stream::Form::histogram_integer : Stream::Form::histogram_floating;
    case Aggregation::Kind::exponential_histogram:
        return is_integer ? Stream::Form::exponential_integer : Stream::Form::exponential_floating;
    default:
        return is_integer ? Stream::Form::sum_integer : Stream::Form::sum_floating;
    }
}

MetricKind metric_kind(Aggregation::Kind kind) noexcept {
    switch (kind) {
    case Aggregation::Kind::last_value:
        return MetricKind::gauge;
    case Aggregation::Kind::explicit_histogram:
        return MetricKind::histogram;
    case Aggregation::Kind::exponential_histogram:
        return MetricKind::exponential_histogram;
    default:
        return MetricKind::sum;
    }
}

std::size_t threshold_words(std::size_t buckets) noexcept { return (buckets + 1) / 2; }

// Room for `size` + 1 in all, by doubling.
void reserve_one_more(std::vector<Series*>& list, std::size_t size) {
    if (list.capacity() <= size) { list.reserve(std::max<std::size_t>(8, size * 2)); }
}

} // namespace

BucketIndex::BucketIndex(std::span<const double> boundaries) : boundaries_(boundaries) {
    const auto positive =
        std::find_if(boundaries.begin(), boundaries.end(), [](double bound) { return bound > 0; });
    const auto slot_of = [](double value) { return std::bit_cast<std::int64_t>(value) >> 50; };
    if (positive == boundaries.end()) {
        first_.push_back(0);
        return;
    }
    base_ = slot_of(*positive);
    const auto slots = slot_of(boundaries.back()) - base_ + 2;
    first_.resize(static_cast<std::size_t>(slots));
    last_slot_ = slots - 1;
    for (std::int64_t slot = 1; slot < slots; ++slot) {
        const auto low = std::bit_cast<double>((base_ + slot) << 50);
        first_[static_cast<std::size_t>(slot)] = static_cast<std::uint16_t>(
            std::lower_bound(boundaries.begin(), boundaries.end(), low) - boundaries.begin());
    }
}

bool Stream::keeps(std::string_view attribute_key) const noexcept {
    if (!includes_all &&
        !std::binary_search(include.begin(), include.end(), attribute_key, std::less<>())) {
        return false;
    }
    return exclude.empty() ||
           !std::binary_search(exclude.begin(), exclude.end(), attribute_key, std::less<>());
}

// For the usual form of a single stream.
bool Stream::has_short_path() const noexcept {
    if (instrument->streams.size() != 1) { return false; }
    return instrument->descriptor->kind == InstrumentKind::histogram
               ? form == Form::histogram_integer || form == Form::histogram_floating
               : form == Form::sum_integer || form == Form::sum_floating;
}

Series* Stream::create(std::string canonical, std::uint64_t hash) {
    // Gauges have no cells; a place of two words is what a sum takes.
    const CellRef place = CellSpace::allocate(cell_words);
    if (place.is_none()) { throw std::bad_alloc(); }
    Series* made = nullptr;
    try {
        reserve_one_more(active, active.size());
        reserve_one_more(free, storage.size());
        auto attributes = encode_key(canonical, attributes_tag(identity.kind));
        auto ends = form >= Form::histogram_integer ? std::make_unique<Series::Ends>() : nullptr;
        if (free.empty()) {
            made = &storage.emplace_back();
            made->number = static_cast<std::uint32_t>(storage.size() - 1);
            // For good, also when it is used again: recorders of an earlier use may have read it at any time.
            made->owner = this;
            made->SeriesTarget::stream = has_short_path() ? this : nullptr;
        } else {
            made = free.back();
            free.pop_back();
        }
        made->attributes = std::move(attributes);
        made->ends = std::move(ends);
    } catch (...) {
        CellSpace::release(place, cell_words);
        throw;
    }
    for (auto& text : made->text) { text.clear(); }
    made->key = std::move(canonical);
    made->hash = hash;
    ++made->incarnation;
    made->place = place;
    made->start_ns = steady_now_ns();
    made->start_unix_ns = made->start_ns + wall_offset_ns();
    made->last_total = 0;
    made->last_seen = 0;
    made->changed_at_ns = made->start_ns;
    made->is_hidden = false;
    made->is_recalled = false;
    made->pins = 0;
    made->exemplars.clear();
    made->last.store(0, std::memory_order_relaxed);        // relaxed: published by `cell`.
    made->touched.store(false, std::memory_order_relaxed); // As above.
    active.push_back(made);
    // release: whoever finds the series by its cell finds it complete.
    made->cell.store(place, std::memory_order_release);
    return made;
}

void Stream::insert(Series& series) {
    const std::size_t mask = table.size() - 1;
    std::size_t i = series.hash & mask;
    while (table[i] != nullptr) { i = (i + 1) & mask; } // Bound: a quarter is free.
    table[i] = &series;
}

void Stream::erase(Series& series) noexcept {
    const std::size_t mask = table.size() - 1;
    std::size_t hole = series.hash & mask;
    while (table[hole] != &series) {
        if (table[hole] == nullptr) { return; } // The overflow series is in no table.
        hole = (hole + 1) & mask;
    }
    --count;
    // Whoever was pushed past the hole moves up, so that no search ends too early.
    table[hole] = nullptr;
    for (std::size_t i = (hole + 1) & mask; table[i] != nullptr; i = (i + 1) & mask) {
        const std::size_t home = table[i]->hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table[hole] = table[i];
            table[i] = nullptr;
            hole = i;
        }
    }
}

Series* Stream::overflow_series() {
    Series* made = overflow.load(std::memory_order_relaxed); // Written under the mutex.
    if (made == nullptr) {
        const Attribute mark{"otel.metric.overflow", true};
        const AttributeKey key({&mark, 1});
        made = create(std::string(key.bytes()), 0);
        // Not by the short path, which does not count what overflows.
        made->SeriesTarget::stream = nullptr;
        overflow.store(made, std::memory_order_relaxed); // See there.
    }
    return made;
}

Series* Stream::find_for_handle(std::string_view given_key) noexcept {
    bool is_overflow = false;
    Series* const found = find_or_create(given_key, true, is_overflow);
    if (is_overflow) { // Counted as a measurement, which it is not.
        auto& counter = found != nullptr ? overflowed : rejected;
        counter.fetch_sub(1, std::memory_order_relaxed); // A counter.
    }
    if (found != nullptr || !is_overflow) { return found; }
    const std::lock_guard lock(mutex);
    try {
        if (refusal == nullptr) {
            reserve_one_more(free, storage.size());
            refusal = &storage.emplace_back();
            refusal->number = static_cast<std::uint32_t>(storage.size() - 1);
            refusal->owner = this;
            refusal->is_refusal = true;
        }
        ++refusal->pins;
    } catch (const std::bad_alloc&) { return nullptr; }
    return refusal;
}

Series* Stream::find_or_create(std::string_view given_key, bool pin, bool& is_overflow) noexcept {
    is_overflow = false;
    bool first_overflow = false;
    Series* found = nullptr;
    try {
        auto canonical =
            canonical_key(given_key, [this](std::string_view key) { return keeps(key); });
        const auto hash = hash_bytes(canonical, 0);
        const std::lock_guard lock(mutex);
        if (table.empty()) { table.resize(16); }
        const std::size_t mask = table.size() - 1;
        for (std::size_t i = hash & mask; table[i] != nullptr; i = (i + 1) & mask) {
            if (table[i]->hash == hash && table[i]->key == canonical) {
                found = table[i];
                break;
            }
        }
        if (found != nullptr && found->is_hidden) { show(*found); }
        if (found == nullptr && count < limit) {
            if ((count + 1) * 4 > table.size() * 3) {
                auto old = std::vector<Series*>(table.size() * 2);
                old.swap(table);
                for (auto* series : old) {
                    if (series != nullptr) { insert(*series); }
                }
            }
            sketch.add(canonical);
            found = create(std::move(canonical), hash);
            insert(*found);
            ++count;
        } else if (found == nullptr) {
            is_overflow = true;
            sketch.add(canonical);
            first_overflow = overflowed.load(std::memory_order_relaxed) == 0 && // Counters.
                             rejected.load(std::memory_order_relaxed) == 0;     // Likewise.
            if (overflow_mode == OverflowMode::aggregate) { found = overflow_series(); }
        }
        if (found != nullptr && pin) { ++found->pins; }
        if (given_key.empty() && !is_overflow && instrument->streams.size() == 1) {
            instrument->plain.store(
                found, std::memory_order_release); // Read by record_bits (acquire).
        }
    } catch (const std::bad_alloc&) { return nullptr; }
    if (is_overflow) {
        auto& counter = found != nullptr ? overflowed : rejected;
        counter.fetch_add(1, std::memory_order_relaxed); // A counter.
    }
    if (first_overflow) {
        diagnostics().report(
            DiagnosticLevel::warning, fmt::format("metrics.overflow.{}", name), [this] {
                std::vector<KeyCardinality> keys;
                {
                    const std::lock_guard lock(mutex);
                    keys = sketch.report();
                }
                return fmt::format(
                    "instrument \"{}\" ({}:{}) has reached its limit of {} attribute sets; the "
                    "key with most values is \"{}\" with {}; further sets are {}: leave the key "
                    "out by a view, or raise MetricOptions::cardinality_limit",
                    name, instrument->descriptor->file, instrument->descriptor->line, limit,
                    keys.empty() ? std::string() : keys.front().key,
                    keys.empty() ? 0 : keys.front().distinct_values,
                    overflow_mode == OverflowMode::aggregate ? "added up as otel.metric.overflow"
                                                             : "dropped");
            });
    }
    return found;
}

void Stream::unpin(Series& series) noexcept {
    const std::lock_guard lock(mutex);
    --series.pins;
}

void Stream::show(Series& series) noexcept {
    series.is_hidden = false;
    series.is_recalled = true;
    series.cell.store(series.place, std::memory_order_relaxed); // See SeriesTarget.
}

void Stream::expire_idle(std::int64_t idle_since_ns, std::int64_t now_ns) noexcept {
    // Readers may collect in quick succession: whoever found the series before it was hidden gets this long to add.
    constexpr std::int64_t longest_ns = 1'000'000'000;
    const std::int64_t adding_ns = std::min(longest_ns, now_ns - idle_since_ns);
    const std::lock_guard lock(mutex);
    for (auto* series : retired) { free.push_back(series); } // Reserved by create.
    retired.clear();
    bool has_erased = false;
    std::erase_if(active, [&](Series* series) {
        if (std::exchange(series->is_recalled, false)) { series->changed_at_ns = now_ns; }
        const bool idle = series->changed_at_ns < idle_since_ns;
        const bool stands =
            identity.kind == MetricKind::sum && !identity.is_monotonic && series->last_total != 0;
        if (series->is_hidden && !idle) {
            show(*series); // Somebody was just adding.
        } else if (series->is_hidden) {
            if (now_ns - series->hidden_at_ns < adding_ns) { return false; }
            CellSpace::release(series->place, cell_words);
            erase(*series);
            retired.push_back(series); // Reserved below.
            return has_erased = true;
        } else if (
            idle && !stands && series->pins == 0 &&
            series != overflow.load(std::memory_order_relaxed)) { // Written under the mutex.
            try {
                retired.reserve(storage.size());
            } catch (const std::bad_alloc&) { return false; } // It stays.
            series->is_hidden = true;
            series->hidden_at_ns = now_ns;
            series->cell.store(CellRef{}, std::memory_order_relaxed); // See SeriesTarget.
        }
        return false;
    });
    if (!has_erased) { return; }
    // relaxed: whoever still reads the old one finds it without a cell.
    instrument->plain.store(nullptr, std::memory_order_relaxed);
    // release: pairs with record_new's acquire. Caches refer to series that may soon be others'.
    instrument->generation.fetch_add(1, std::memory_order_release);
}

void Stream::begin_anew() noexcept {
    start_unix_ns = steady_now_ns() + wall_offset_ns();
    overflowed.store(0, std::memory_order_relaxed); // Counters; the child has one thread.
    rejected.store(0, std::memory_order_relaxed);
    for (auto* series : active) {
        series->place = CellSpace::renew(series->place);
        series->is_hidden = false;
        series->cell.store(series->place, std::memory_order_relaxed); // One thread, as below.
        series->last.store(0, std::memory_order_relaxed);
        series->touched.store(false, std::memory_order_relaxed);
        series->start_unix_ns = start_unix_ns;
        series->last_total = 0;
        if (series->ends != nullptr) { *series->ends = {}; }
        // Another thread may have been amid it: what it held is left behind.
        new (&series->exemplars) Reservoir;
    }
}

void MeterProvider::lock_for_fork() noexcept {
    collecting.lock();
    mutex_.lock();
    for (const auto& state : owned_states_) {
        for (const auto& stream : state->streams) { stream->mutex.lock(); }
    }
}

void MeterProvider::unlock_after_fork() noexcept {
    for (const auto& state : owned_states_) {
        for (const auto& stream : state->streams) { stream->mutex.unlock(); }
    }
    mutex_.unlock();
    collecting.unlock();
}

void MeterProvider::begin_anew() noexcept {
    refused_values.store(0, std::memory_order_relaxed); // Counters; the child has one thread.
    lost.store(0, std::memory_order_relaxed);
    reader_bits_ = exponential_readers_ = 0; // The parent's readers are left behind.
    collected_at_ns.fill(std::numeric_limits<std::int64_t>::max());
    for (const auto& state : owned_states_) {
        for (const auto& stream : state->streams) { stream->begin_anew(); }
    }
}

MeterProvider::MeterProvider(MetricOptions options_) : options(std::move(options_)) {
    collected_at_ns.fill(std::numeric_limits<std::int64_t>::max());
}

std::size_t MeterProvider::add_reader(bool exponential_histograms) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < readers_max; ++i) {
        const auto bit = static_cast<std::uint8_t>(1U << i);
        if ((reader_bits_ & bit) != 0) { continue; }
        reader_bits_ |= bit;
        if (exponential_histograms) { exponential_readers_ |= bit; }
        return i;
    }
    throw std::length_error(fmt::format("more than {} metric readers", readers_max));
}

void MeterProvider::remove_reader(std::size_t reader) noexcept {
    const std::lock_guard lock(mutex_);
    const auto bit = static_cast<std::uint8_t>(1U << reader);
    reader_bits_ &= static_cast<std::uint8_t>(~bit);
    exponential_readers_ &= static_cast<std::uint8_t>(~bit);
}

std::vector<InstrumentState*> MeterProvider::states() const {
    const std::lock_guard lock(mutex_);
    std::vector<InstrumentState*> all;
    all.reserve(owned_states_.size());
    for (const auto& state : owned_states_) { all.push_back(state.get()); }
    return all;
}

std::vector<Stream*> MeterProvider::streams() const {
    std::vector<Stream*> all;
    for (auto* state : states()) {
        for (const auto& stream : state->streams) { all.push_back(stream.get()); }
    }
    return all;
}

InstrumentState* MeterProvider::make_state(std::uint32_t instrument) noexcept {
    decltype(warnings_) warnings;
    InstrumentState* made = nullptr;
    try {
        const auto& descriptor = instrument_descriptor(instrument);
        const std::lock_guard lock(mutex_);
        auto& place = chunks_[instrument / chunk_size];
        Chunk* chunk = place.load(std::memory_order_relaxed); // relaxed: written under the mutex.
        if (chunk == nullptr) {
            owned_chunks_.push_back(std::make_unique<Chunk>());
            chunk = owned_chunks_.back().get();
            place.store(chunk, std::memory_order_release); // E1
        }
        auto& slot = (*chunk)[instrument % chunk_size];
        if (auto* known = slot.load(std::memory_order_relaxed); known != nullptr) {
            return known; // relaxed: written under the mutex.
        }
        auto& state = owned_states_.emplace_back();
        try {
            state = resolve(descriptor);
        } catch (...) {
            owned_states_.pop_back();
            throw;
        }
        made = state.get();
        slot.store(made, std::memory_order_release); // E1
        warnings.swap(warnings_);
    } catch (const std::bad_alloc&) { return nullptr; }
    for (const auto& [key, message] : warnings) {
        diagnostics().report(DiagnosticLevel::warning, key, message);
    }
    return made;
}

std::unique_ptr<InstrumentState> MeterProvider::resolve(const InstrumentDescriptor& descriptor) {
    auto state = std::make_unique<InstrumentState>();
    state->descriptor = &descriptor;
    state->provider = this;
    bool selected = false;
    for (const auto& view : options.views) {
        if (!selects(view.selector, descriptor)) { continue; }
        const auto problem = detail::problem_in(view.aggregation, descriptor);
        if (!problem.empty()) {
            warnings_.emplace_back(
                fmt::format("metrics.view.{}", descriptor.name),
                fmt::format(
                    "the view on \"{}\" is left out for instrument \"{}\": it asks for {}",
                    printable(view.selector.name, 255), descriptor.name, problem));
            continue;
        }
        selected = true;
        if (view.aggregation.kind != Aggregation::Kind::drop) { add_stream(*state, view); }
    }
    if (!selected) { add_stream(*state, View{}); }
    return state;
}

void MeterProvider::add_stream(InstrumentState& state, const View& view) {
    const auto& descriptor = *state.descriptor;
    auto kind = view.aggregation.kind == Aggregation::Kind::by_instrument
                    ? default_aggregation(descriptor.kind)
                    : view.aggregation.kind;
    const bool by_reader = view.aggregation.kind == Aggregation::Kind::by_instrument &&
                           kind == Aggregation::Kind::explicit_histogram;
    const auto all = static_cast<std::uint8_t>(0xff);
    // Readers that want histograms otherwise by default get a stream of their own.
    if (by_reader && exponential_readers_ != 0) {
        View exponential = view;
        exponential.aggregation = Aggregation::exponential();
        exponential.aggregation.record_min_max = view.aggregation.record_min_max;
        add_stream(state, exponential);
        // A reader that comes later takes what there is.
        const bool only = exponential_readers_ == reader_bits_;
        state.streams.back()->readers = only ? all : exponential_readers_;
        if (only) { return; }
    }
    auto stream = std::make_unique<Stream>();
    stream->instrument = &state;
    stream->form = form_of(kind, descriptor.is_integer);
    stream->name = view.name.empty() ? descriptor.name : view.name;
    stream->description = view.description.value_or(descriptor.description);
    stream->takes_negative = detail::takes_negative(descriptor.kind);
    stream->records_min_max = view.aggregation.record_min_max;
    stream->has_exemplars = options.exemplar_filter != ExemplarFilter::always_off;
    stream->readers = by_reader ? static_cast<std::uint8_t>(all & ~exponential_readers_) : all;
    stream->start_unix_ns = steady_now_ns() + wall_offset_ns();
    if (kind == Aggregation::Kind::explicit_histogram) {
        if (view.aggregation.boundaries) {
            stream->boundaries = *view.aggregation.boundaries;
        } else if (
            // A view that names the aggregation takes it with its own defaults.
            !descriptor.boundaries.empty() &&
            view.aggregation.kind == Aggregation::Kind::by_instrument) {
            stream->boundaries = descriptor.boundaries;
        } else {
            stream->boundaries.assign(std::begin(default_boundaries), std::end(default_boundaries));
        }
        stream->bucket_of = BucketIndex(stream->boundaries);
        const auto buckets = stream->boundaries.size() + 1;
        stream->cell_words = histogram_cell::buckets + buckets +
                             (stream->has_exemplars ? threshold_words(buckets) : 0);
    } else if (kind == Aggregation::Kind::exponential_histogram) {
        stream->size_max = view.aggregation.size_max;
        stream->scale_max = view.aggregation.scale_max;
        stream->cell_words = histogram_cell::buckets +
                             1 + // The word behind the fixed ones counts down to the next exemplar.
                             ExponentialCell::words(stream->size_max, stream->takes_negative);
    }
    stream->identity = {
        .scope = descriptor.scope,
        .name = stream->name,
        .description = stream->description,
        .unit = descriptor.unit,
        .kind = metric_kind(kind),
        .is_monotonic = !detail::takes_negative(descriptor.kind),
        .boundaries = stream->boundaries};
    if (view.attributes.include) {
        stream->includes_all = false;
        stream->include = *view.attributes.include;
    } else if (!descriptor.attribute_keys.empty()) {
        stream->includes_all = false;
        stream->include = descriptor.attribute_keys;
    }
    stream->exclude = view.attributes.exclude;
    std::sort(stream->include.begin(), stream->include.end());
    std::sort(stream->exclude.begin(), stream->exclude.end());
    stream->limit =
        view.cardinality_limit != 0 ? view.cardinality_limit : options.cardinality_limit;
    stream->overflow_mode = options.overflow;
    check_conflict(state, *stream);
    state.streams.push_back(std::move(stream));
}

// Two streams of one name that receivers cannot tell apart, or cannot add up. Instruments of one name are not the views'
// doing and have been reported by the table of instruments. The caller holds mutex_.
void MeterProvider::check_conflict(const InstrumentState& state, const Stream& stream) {
    const auto warn = [&](const InstrumentDescriptor& a, const InstrumentDescriptor& b) {
        warnings_.emplace_back(
            fmt::format("metrics.view_conflict.{}", stream.name),
            fmt::format(
                "two streams, of the instruments \"{}\" ({}:{}) and \"{}\" ({}:{}), are exported "
                "under the name \"{}\": give one view another name",
                a.name, a.file, a.line, b.name, b.file, b.line, stream.name));
    };
    const auto& own = *state.descriptor;
    for (const auto& other : state.streams) {
        if (other->name == stream.name && (other->readers & stream.readers) != 0) {
            return warn(own, own);
        }
    }
    for (const auto& other_state : owned_states_) {
        if (other_state == nullptr || other_state->descriptor->scope != own.scope) { continue; }
        for (const auto& other : other_state->streams) {
            const auto& descriptor = *other_state->descriptor;
            if (other->name != stream.name || descriptor.name == own.name) { continue; }
            return warn(descriptor, own);
        }
    }
}

} // namespace detail
} // namespace weft
