#pragma once
// What metrics should be, said as plainly as possible: every measurement is remembered, and each point is worked out from
// all of them. Nothing here is shared with the library but its options.
//
// Which attribute sets find room below a limit depends on how threads interleave, so that the model learns it from what
// comes out and then holds the library to it: no more sets than the limit, none that overflow while there is room, and
// once in or out, always so.

#include "metrics_oracle_decode.hpp"

#include <weft/signals/metric_reader.hpp>
#include <weft/signals/metric_view.hpp>

#include <algorithm>
#include <cmath>
#include <regex>
#include <set>

namespace weft::testing {

struct ModelReader {
    TemporalityPreference temporality = TemporalityPreference::cumulative;
    bool exponential = false;
};

struct ModelMeasurement {
    OracleValue value;
    OracleAttributes attributes;
    std::int64_t time = 0;
    std::size_t phase = 0; // Phases are one after the other; in a phase, threads are not ordered.
    std::size_t thread = 0;
};

struct ModelInstrument {
    std::string meter;
    std::string meter_version;
    std::string meter_schema_url;
    InstrumentKind kind = InstrumentKind::counter;
    bool is_integer = true;
    std::string name;
    std::string unit;
    std::string description;
    std::vector<double> boundaries;
    std::vector<std::string> attribute_keys;

    std::vector<ModelMeasurement> history{}; // Observables: what the callback reports at present.
    std::optional<std::int64_t> created{};   // When it was first used.

    [[nodiscard]] bool observable() const {
        return kind == InstrumentKind::observable_counter ||
               kind == InstrumentKind::observable_up_down_counter ||
               kind == InstrumentKind::observable_gauge;
    }
    [[nodiscard]] bool gauge() const {
        return kind == InstrumentKind::gauge || kind == InstrumentKind::observable_gauge;
    }
    [[nodiscard]] bool only_grows() const {
        return kind == InstrumentKind::counter || kind == InstrumentKind::histogram ||
               kind == InstrumentKind::observable_counter;
    }
    [[nodiscard]] bool accepts(const OracleValue& value) const {
        if (gauge()) { return true; }
        return std::isfinite(value.as_double()) && (!only_grows() || value.as_double() >= 0);
    }
    /// To gauges it says that only what has been set anew is handed out.
    [[nodiscard]] bool is_delta_for(const ModelReader& reader) const {
        if (reader.temporality == TemporalityPreference::cumulative) { return false; }
        if (kind == InstrumentKind::observable_counter) {
            return reader.temporality == TemporalityPreference::delta;
        }
        return only_grows() || gauge();
    }
};

/// The base-2 exponential bucket of a magnitude above 0: (2^(i / 2^scale), 2^((i + 1) / 2^scale)].
[[nodiscard]] inline std::int64_t model_index(double magnitude, std::int32_t scale) {
    int exponent = 0;
    const bool power_of_two = std::frexp(magnitude, &exponent) == 0.5; // 2^(exponent - 1)
    if (scale <= 0) {
        const std::int64_t octave = power_of_two ? exponent - 2 : exponent - 1;
        return octave >> -scale;
    }
    if (power_of_two) { return std::int64_t{exponent - 1} * (std::int64_t{1} << scale) - 1; }
    const long double position =
        std::log2(static_cast<long double>(magnitude)) * std::ldexp(1.0L, scale);
    return static_cast<std::int64_t>(std::floor(position));
}

/// One stream of one instrument.
class ModelStream {
public:
    using Measurements = std::vector<const ModelMeasurement*>;

    ModelStream(
        const ModelInstrument& instrument, const View& view, const MetricOptions& options,
        bool exponential)
        : instrument_(instrument), view_(view), options_(options),
          name_(view.name.empty() ? instrument.name : view.name),
          description_(view.description.value_or(instrument.description)), kind_(kind_of(view)) {
        if (exponential) {
            kind_ = MetricKind::exponential_histogram;
        } else if (view.aggregation.kind == Aggregation::Kind::exponential_histogram) {
            size_max_ = view.aggregation.size_max;
            scale_max_ = view.aggregation.scale_max;
        }
        if (kind_ != MetricKind::histogram) { return; }
        if (view.aggregation.boundaries) {
            boundaries_ = *view.aggregation.boundaries;
        } else if (
            view.aggregation.kind == Aggregation::Kind::by_instrument &&
            !instrument.boundaries.empty()) {
            boundaries_ = instrument.boundaries;
        } else {
            boundaries_ = {0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000};
        }
    }

    /// Whom it is for: `only` these, or all but these.
    void set_readers(std::set<std::size_t> readers, bool only) {
        readers_ = std::move(readers);
        only_ = only;
    }
    [[nodiscard]] bool is_for(std::size_t reader) const {
        return readers_.contains(reader) == only_;
    }
    [[nodiscard]] MetricKind kind() const { return kind_; }
    [[nodiscard]] const std::vector<double>& boundaries() const { return boundaries_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::size_t series() const { return accepted_.size(); }

    /// How many measurements found no room.
    [[nodiscard]] std::uint64_t without_room() const {
        if (instrument_.observable()) { return observed_without_room_; }
        return static_cast<std::uint64_t>(std::count_if(
            instrument_.history.begin(), instrument_.history.end(),
            [&](const auto& one) { return rejected_.contains(filtered(one.attributes)); }));
    }
    /// How many values it could do nothing with, beyond those that the instrument refuses.
    [[nodiscard]] std::uint64_t refused() const {
        return static_cast<std::uint64_t>(std::count_if(
            instrument_.history.begin(), instrument_.history.end(), [&](const auto& one) {
                const bool found_place = options_.overflow == OverflowMode::aggregate ||
                                         !rejected_.contains(filtered(one.attributes));
                return !takes(one.value) && found_place;
            }));
    }

    /// Whether a value of the instrument is one for this stream.
    [[nodiscard]] bool takes(const OracleValue& value) const {
        return kind_ == MetricKind::sum || kind_ == MetricKind::gauge ||
               std::isfinite(value.as_double());
    }

    /// Compares what the reader got at `now` and takes it out of `metrics`. `in_order`: one thread has done it all.
    void check(
        std::size_t reader, const ModelReader& options, std::int64_t now, bool in_order,
        OracleMetrics& metrics) {
        auto& memory = memories_[reader];
        const bool is_delta = instrument_.is_delta_for(options);
        const std::int64_t interval_start = memory.last.value_or(instrument_.created.value_or(now));
        OracleMetric none;
        const auto found = metrics.find(OracleKey(instrument_.meter, name_, description_));
        OracleMetric& metric = found == metrics.end() ? none : found->second;
        if (found != metrics.end()) { check_identity(metric, is_delta); }
        learn(metric, now, in_order);

        for (auto& [attributes, all] : groups()) {
            const auto expected = expect(attributes, all, memory, is_delta);
            const auto at = metric.points.find(attributes);
            if (at == metric.points.end()) {
                EXPECT_FALSE(expected) << "no point of " << text_of(attributes);
                continue;
            }
            EXPECT_TRUE(expected) << "a point of " << text_of(attributes) << " too many";
            if (expected) {
                const auto start = is_delta ? interval_start : start_of(attributes);
                SCOPED_TRACE("attributes " + text_of(attributes));
                EXPECT_EQ(at->second.start, start);
                EXPECT_EQ(at->second.time, now);
                compare(at->second, *expected, in_order);
            }
            metric.points.erase(at);
        }
        for (const auto& [attributes, point] : metric.points) {
            ADD_FAILURE() << "a point of unknown attributes " << text_of(attributes);
        }
        if (found != metrics.end()) { metrics.erase(found); }
        memory.seen = instrument_.history.size();
        if (instrument_.created) { memory.last = now; }
    }

private:
    struct Memory {
        std::optional<std::int64_t> last;
        std::size_t seen = 0; // Of the history.
        std::set<OracleAttributes> handed_out;
        std::map<OracleAttributes, OracleValue> observed;
    };

    struct Expected {
        Measurements of;                 // What the point covers.
        Measurements all;                // What there was ever.
        std::vector<OracleValue> values; // Numbers: any of these.
    };

    MetricKind kind_of(const View& view) const {
        switch (view.aggregation.kind) {
        case Aggregation::Kind::sum:
            return MetricKind::sum;
        case Aggregation::Kind::last_value:
            return MetricKind::gauge;
        case Aggregation::Kind::explicit_histogram:
            return MetricKind::histogram;
        case Aggregation::Kind::exponential_histogram:
            return MetricKind::exponential_histogram;
        default:
            return instrument_.gauge()                             ? MetricKind::gauge
                   : instrument_.kind == InstrumentKind::histogram ? MetricKind::histogram
                                                                   : MetricKind::sum;
        }
    }

    OracleAttributes filtered(const OracleAttributes& attributes) const {
        OracleAttributes kept;
        for (const auto& [key, value] : attributes) {
            const auto is_in = [&key = key](const std::vector<std::string>& keys) {
                return std::find(keys.begin(), keys.end(), key) != keys.end();
            };
            const auto& filter = view_.attributes;
            const bool included = filter.include ? is_in(*filter.include)
                                  : instrument_.attribute_keys.empty()
                                      ? true
                                      : is_in(instrument_.attribute_keys);
            if (included && !is_in(filter.exclude)) { kept[key] = value; }
        }
        return kept;
    }

    std::size_t limit() const {
        return view_.cardinality_limit != 0 ? view_.cardinality_limit : options_.cardinality_limit;
    }

    static const OracleAttributes& overflow() {
        static const OracleAttributes attributes{{"otel.metric.overflow", "b1"}};
        return attributes;
    }

    std::int64_t start_of(const OracleAttributes& attributes) const {
        if (attributes != overflow()) { return first_seen_.at(attributes); }
        std::int64_t first = std::numeric_limits<std::int64_t>::max();
        for (const auto& one : rejected_) { first = std::min(first, first_seen_.at(one)); }
        return first;
    }

    void check_identity(const OracleMetric& metric, bool is_delta) const {
        EXPECT_EQ(metric.unit, instrument_.unit);
        EXPECT_EQ(metric.kind, kind_);
        EXPECT_EQ(metric.is_monotonic, kind_ == MetricKind::sum && instrument_.only_grows());
        EXPECT_EQ(metric.is_delta, kind_ != MetricKind::gauge && is_delta);
        EXPECT_EQ(metric.boundaries, boundaries_);
    }

    // Which of the sets that are new have found room.
    void learn(const OracleMetric& metric, std::int64_t now, bool in_order) {
        for (const auto& one : instrument_.history) {
            auto set = filtered(one.attributes);
            if (first_seen_.try_emplace(set, instrument_.observable() ? now : one.time).second) {
                (metric.points.contains(set) ? accepted_ : rejected_).insert(set);
                order_.push_back(std::move(set));
            }
        }
        EXPECT_LE(accepted_.size(), limit());
        EXPECT_TRUE(rejected_.empty() || accepted_.size() == limit()) << "overflow despite room";
        if (in_order || instrument_.observable()) {
            for (std::size_t i = 0; i < order_.size(); ++i) {
                EXPECT_EQ(accepted_.contains(order_[i]), i < limit()) << text_of(order_[i]);
            }
        }
        if (instrument_.observable()) {
            for (const auto& one : instrument_.history) {
                observed_without_room_ += rejected_.contains(filtered(one.attributes)) ? 1 : 0;
            }
        }
    }

    std::map<OracleAttributes, Measurements> groups() const {
        std::map<OracleAttributes, Measurements> all;
        for (const auto& one : instrument_.history) {
            if (!takes(one.value)) { continue; }
            const auto set = filtered(one.attributes);
            if (!rejected_.contains(set)) {
                all[set].push_back(&one);
            } else if (options_.overflow == OverflowMode::aggregate) {
                all[overflow()].push_back(&one);
            }
        }
        return all;
    }

    OracleValue sum_of(const Measurements& measurements) const {
        OracleValue sum{instrument_.is_integer, 0, 0};
        for (const auto* one : measurements) {
            sum.integer += one->value.integer;
            sum.floating += one->value.floating;
        }
        return sum;
    }

    // The last one of each thread in the last phase that has any: threads are not ordered.
    static std::vector<OracleValue> last_of(const Measurements& measurements) {
        std::map<std::size_t, OracleValue> by_thread;
        for (const auto* one : measurements) {
            if (one->phase == measurements.back()->phase) { by_thread[one->thread] = one->value; }
        }
        std::vector<OracleValue> values;
        for (const auto& [thread, value] : by_thread) { values.push_back(value); }
        return values;
    }

    // Nothing where no point is due.
    std::optional<Expected> expect(
        const OracleAttributes& attributes, const Measurements& all, Memory& memory,
        bool is_delta) const {
        if (instrument_.observable()) { return expect_observed(attributes, all, memory, is_delta); }
        const auto* const first_fresh = instrument_.history.data() + memory.seen;
        Expected expected{.of = {}, .all = all, .values = {}};
        std::copy_if(all.begin(), all.end(), std::back_inserter(expected.of), [&](const auto* one) {
            return !is_delta || one >= first_fresh;
        });
        const bool is_new = memory.handed_out.insert(attributes).second;
        if (kind_ == MetricKind::sum) {
            expected.values.push_back(sum_of(expected.of));
            const bool changed = expected.values[0].as_double() != 0;
            return is_delta && !is_new && !changed ? std::nullopt : std::optional(expected);
        }
        if (expected.of.empty()) { return std::nullopt; }
        if (kind_ == MetricKind::gauge) { expected.values = last_of(expected.of); }
        return expected;
    }

    // What callbacks report is a total already; several of one set are added, or the last wins.
    std::optional<Expected> expect_observed(
        const OracleAttributes& attributes, const Measurements& all, Memory& memory,
        bool is_delta) const {
        Expected expected{.of = all, .all = all, .values = {}};
        if (kind_ == MetricKind::gauge) {
            expected.values.push_back(all.back()->value);
            return expected;
        }
        const auto now = sum_of(all);
        auto value = now;
        const auto before = memory.observed.find(attributes);
        if (is_delta && before != memory.observed.end()) {
            OracleValue grown = now;
            grown.integer -= before->second.integer;
            grown.floating -= before->second.floating;
            if (grown.as_double() >= 0 || !instrument_.only_grows()) { value = grown; }
        }
        memory.observed[attributes] = now;
        expected.values.push_back(value);
        return expected;
    }

    void compare(const OraclePoint& point, const Expected& expected, bool in_order) const {
        if (kind_ == MetricKind::sum || kind_ == MetricKind::gauge) {
            EXPECT_TRUE(
                std::find(expected.values.begin(), expected.values.end(), point.value) !=
                expected.values.end())
                << point.value.text() << " instead of " << expected.values.front().text()
                << (expected.values.size() > 1 ? " or so" : "");
        } else {
            compare_summary(point, expected.of);
        }
        if (kind_ == MetricKind::histogram) {
            std::vector<std::uint64_t> buckets(boundaries_.size() + 1);
            for (const auto* one : expected.of) {
                ++buckets[static_cast<std::size_t>(
                    std::count_if(boundaries_.begin(), boundaries_.end(), [&](double bound) {
                        return one->value.as_double() > bound;
                    }))];
            }
            EXPECT_EQ(point.buckets, buckets);
        } else if (kind_ == MetricKind::exponential_histogram) {
            compare_exponential(point, expected);
        }
        check_exemplars(point, expected.of, in_order);
    }

    void compare_summary(const OraclePoint& point, const Measurements& of) const {
        EXPECT_EQ(point.count, of.size());
        const auto [low, high] =
            std::minmax_element(of.begin(), of.end(), [](const auto* a, const auto* b) {
                return a->value.as_double() < b->value.as_double();
            });
        const bool ends = view_.aggregation.record_min_max;
        const auto when = [](bool known, double value) {
            return known ? std::optional(value) : std::nullopt;
        };
        EXPECT_EQ(point.sum, when(instrument_.only_grows(), sum_of(of).as_double()));
        EXPECT_EQ(point.min, when(ends, (*low)->value.as_double()));
        EXPECT_EQ(point.max, when(ends, (*high)->value.as_double()));
    }

    // The finest scale at which all that was ever recorded fits into the buckets of either sign.
    std::int32_t scale_for(const Measurements& all) const {
        std::vector<double> magnitudes[2];
        for (const auto* one : all) {
            const double value = one->value.as_double();
            if (value != 0) { magnitudes[value < 0 ? 1 : 0].push_back(std::fabs(value)); }
        }
        std::int32_t scale = scale_max_;
        for (const auto& side : magnitudes) {
            if (side.empty()) { continue; }
            const auto [low, high] = std::minmax_element(side.begin(), side.end());
            while (model_index(*high, scale) - model_index(*low, scale) >=
                   static_cast<std::int64_t>(size_max_)) {
                --scale;
            }
        }
        return scale;
    }

    void compare_exponential(const OraclePoint& point, const Expected& expected) const {
        EXPECT_EQ(point.scale, scale_for(expected.all));
        EXPECT_LE(point.buckets_sent, size_max_);
        std::uint64_t zeros = 0;
        std::map<std::int64_t, std::uint64_t> positive;
        std::map<std::int64_t, std::uint64_t> negative;
        for (const auto* one : expected.of) {
            const double value = one->value.as_double();
            if (value == 0) {
                ++zeros;
            } else {
                ++(value < 0 ? negative : positive)[model_index(std::fabs(value), point.scale)];
            }
        }
        EXPECT_EQ(point.zero_count, zeros);
        EXPECT_EQ(point.positive, positive);
        EXPECT_EQ(point.negative, negative);
    }

    // Each is one of the measurements, with the attributes that the point does not have.
    void check_exemplars(const OraclePoint& point, const Measurements& of, bool in_order) const {
        const bool has_any =
            options_.exemplar_filter == ExemplarFilter::always_on && !instrument_.observable();
        if (!has_any) {
            EXPECT_TRUE(point.exemplars.empty());
            return;
        }
        // Among several threads one that finds the reservoir busy goes on without.
        if (in_order && !of.empty()) { EXPECT_FALSE(point.exemplars.empty()); }
        const std::size_t most = kind_ == MetricKind::histogram ? boundaries_.size() + 1
                                 : kind_ == MetricKind::exponential_histogram ? 20
                                                                              : 1;
        EXPECT_LE(point.exemplars.size(), most);
        for (const auto& exemplar : point.exemplars) {
            EXPECT_TRUE(std::any_of(
                of.begin(), of.end(),
                [&](const auto* one) {
                    OracleAttributes others = one->attributes;
                    if (point.attributes != overflow()) {
                        for (const auto& [key, value] : point.attributes) { others.erase(key); }
                    }
                    return one->value == exemplar.value && one->time == exemplar.time &&
                           others == exemplar.filtered;
                }))
                << exemplar.value.text() << " with " << text_of(exemplar.filtered);
        }
    }

    const ModelInstrument& instrument_;
    const View view_;
    const MetricOptions& options_;
    std::string name_;
    std::string description_;
    MetricKind kind_;
    std::vector<double> boundaries_;
    std::uint32_t size_max_ = 160;
    std::int32_t scale_max_ = 20;
    std::set<std::size_t> readers_;
    bool only_ = false;

    std::set<OracleAttributes> accepted_;
    std::set<OracleAttributes> rejected_;
    std::map<OracleAttributes, std::int64_t> first_seen_;
    std::vector<OracleAttributes> order_;
    std::uint64_t observed_without_room_ = 0;
    std::map<std::size_t, Memory> memories_;
};

/// Whether the view is for the instrument, and asks for something that it can be.
[[nodiscard]] inline bool model_selects(const View& view, const ModelInstrument& instrument) {
    std::string pattern;
    for (const char c : view.selector.name) {
        pattern += c == '*' ? ".*" : c == '?' ? "." : c == '.' ? "\\." : std::string(1, c);
    }
    const auto& selector = view.selector;
    const bool matches =
        std::regex_match(instrument.name, std::regex(pattern, std::regex::icase)) &&
        selector.kind.value_or(instrument.kind) == instrument.kind &&
        selector.unit.value_or(instrument.unit) == instrument.unit &&
        selector.meter_name.value_or(instrument.meter) == instrument.meter &&
        selector.meter_version.value_or(instrument.meter_version) == instrument.meter_version &&
        selector.meter_schema_url.value_or(instrument.meter_schema_url) ==
            instrument.meter_schema_url;
    switch (view.aggregation.kind) {
    case Aggregation::Kind::sum:
        return matches && !instrument.gauge();
    case Aggregation::Kind::last_value:
        return matches && instrument.gauge();
    case Aggregation::Kind::explicit_histogram:
    case Aggregation::Kind::exponential_histogram:
        return matches && !instrument.observable();
    default:
        return matches;
    }
}

/// The streams of an instrument that is first used while these readers are there. Errors: none.
[[nodiscard]] inline std::vector<ModelStream> model_streams(
    const ModelInstrument& instrument, const MetricOptions& options,
    const std::vector<ModelReader>& readers) {
    std::vector<ModelStream> streams;
    std::set<std::size_t> exponential;
    for (std::size_t i = 0; i < readers.size(); ++i) {
        if (readers[i].exponential) { exponential.insert(i); }
    }
    const auto add = [&](const View& view) {
        if (view.aggregation.kind == Aggregation::Kind::drop) { return; }
        ModelStream explicit_one(instrument, view, options, false);
        const bool by_reader = view.aggregation.kind == Aggregation::Kind::by_instrument &&
                               explicit_one.kind() == MetricKind::histogram;
        if (!by_reader || exponential.empty()) {
            streams.push_back(std::move(explicit_one));
            return;
        }
        // Readers that want it so have a stream of their own; if all do, it is the only one.
        auto& other = streams.emplace_back(instrument, view, options, true);
        if (exponential.size() == readers.size()) { return; }
        other.set_readers(exponential, true);
        explicit_one.set_readers(exponential, false);
        streams.push_back(std::move(explicit_one));
    };
    bool selected = false;
    for (const auto& view : options.views) {
        if (!model_selects(view, instrument)) { continue; }
        selected = true;
        add(view);
    }
    if (!selected) { add(View{}); }
    return streams;
}

} // namespace weft::testing
