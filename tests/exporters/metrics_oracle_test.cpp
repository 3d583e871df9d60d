// From the instruments to the bytes of a request, with everything that may be chosen chosen at random, against a plain model
// and the official OTLP classes.

#include "metrics_oracle_model.hpp"
#include "metrics_oracle_pipeline.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/manual_clock.hpp>
#include <weft/signals/counter.hpp>
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/gauge.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/signals/observable.hpp>
#include <weft/testing/random.hpp>

#include <array>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

namespace weft::testing {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

/// Attributes as they are given, and as they must come out.
struct RawSet {
    std::vector<Attribute> given;
    OracleAttributes canonical;
};

RawSet random_set(Random& random) {
    struct Value {
        AttributeValue value;
        std::string text;
    };
    static constexpr std::int64_t numbers[] = {1, 2};
    static const std::vector<std::pair<std::string_view, std::string>> keys{
        {"a", "a"},
        {"b", "b"},
        {"user.id", "user.id"},
        {"", ""},
        {"k\xff", "k\xEF\xBF\xBD"},
        {"k\xEF\xBF\xBD", "k\xEF\xBF\xBD"}};
    static const std::vector<Value> values{
        {1, "i1"},
        {-7, "i-7"},
        {true, "b1"},
        {0.5, OracleValue{false, 0, 0.5}.text()},
        {"x", "sx"},
        {"", "s"},
        {"caf\xE9", "scaf" + std::string(replacement)},
        {"caf\xEF\xBF\xBD", "scaf" + std::string(replacement)},
        {std::span<const std::int64_t>(numbers), "[i1,i2,]"}};
    RawSet set;
    for (auto n = random.below(5); n > 0; --n) {
        const auto& [key, repaired] = random.pick(keys);
        const auto& value = random.pick(values);
        set.given.push_back({key, value.value});
        if (!key.empty()) { set.canonical[repaired] = value.text; }
    }
    return set;
}

template <class T>
T as(const OracleValue& value) {
    if constexpr (std::is_integral_v<T>) {
        return value.integer;
    } else {
        return value.floating;
    }
}

/// An instrument and its model.
struct Instrument {
    using Handle = std::function<void(const OracleValue&)>;

    ModelInstrument model;
    std::vector<std::string_view> keys; // Of the model, as the library wants them.
    std::vector<ModelStream> streams;   // Once it has been used.
    std::vector<RawSet> sets;
    std::uint64_t refused = 0;

    std::function<void(const OracleValue&, std::span<const Attribute>)> record;
    std::function<Handle(std::span<const Attribute>)> bind;
    std::vector<std::pair<OracleValue, const RawSet*>> reports; // Observables.
    std::shared_ptr<void> observable;
};

/// One runtime's worth of metrics, from its first instrument to its last collection.
class Round {
public:
    explicit Round(Random& random) : random_(random), threads_count_(random.between(1, 3)) {
        for (auto n = random_.between(1, 6); n > 0; --n) { add_model(); }
        add_options();
        provider_ = &detail::make_meter_provider(options_);
        for (auto& instrument : instruments_) { make(instrument); }
        for (auto n = random_.between(1, 3); n > 0; --n) { add_reader(); }
        workers_.resize(threads_count_);
    }
    ~Round() { detail::close(*provider_); }
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;

    void run() {
        const auto phases = random_.between(2, 5);
        for (phase_ = 1; phase_ <= phases && !::testing::Test::HasFailure(); ++phase_) {
            record_something();
            for (auto& instrument : instruments_) { report_something(instrument); }
            for (std::size_t i = 0; i < readers_.size(); ++i) {
                if (phase_ < phases && random_.one_in(3)) { continue; }
                SCOPED_TRACE("phase " + std::to_string(phase_) + " reader " + std::to_string(i));
                collect_and_check(i);
            }
            if (phase_ < phases && readers_.size() < 4 && random_.one_in(3)) { add_reader(); }
        }
        if (!::testing::Test::HasFailure()) { check_counts(); }
    }

private:
    struct Reader {
        ModelReader model;
        MetricReader reader;
    };

    struct Operation {
        Instrument* instrument = nullptr;
        const RawSet* set = nullptr;
        OracleValue value;
        bool by_handle = false;
    };

    struct Worker {
        std::vector<Operation> operations;
        std::map<std::pair<Instrument*, const RawSet*>, Instrument::Handle> handles;
        std::set<std::pair<Instrument*, const RawSet*>> recorded;

        void run() {
            for (const auto& each : operations) {
                if (!each.by_handle) {
                    each.instrument->record(each.value, each.set->given);
                    continue;
                }
                auto& handle = handles[{each.instrument, each.set}];
                if (!handle) { handle = each.instrument->bind(each.set->given); }
                handle(each.value);
            }
        }
    };

    static std::int64_t now() { return steady_now_ns() + wall_offset_ns(); }

    // ---- what there is

    static const std::string& unique_name() { // Instruments' texts stay in the process's table.
        static auto& names = *new std::deque<std::string>;
        return names.emplace_back("oracle.Instrument." + std::to_string(names.size()));
    }

    double real() { // Sums of a few thousand of these are exact.
        switch (random_.below(4)) {
        case 0:
            return std::ldexp(1.0, static_cast<int>(random_.below(41)) - 20);
        case 1:
            return static_cast<double>(random_.below(20)) / 4;
        default:
            return std::ldexp(
                static_cast<double>(random_.below(std::size_t{1} << random_.below(42))), -20);
        }
    }

    std::vector<double> random_boundaries(std::size_t least) {
        std::set<double> bounds;
        for (auto n = random_.between(least, 12); n > 0 || bounds.size() < least; n -= n > 0) {
            bounds.insert(random_.one_in(4) ? -real() : real());
        }
        edges_.insert(edges_.end(), bounds.begin(), bounds.end());
        return {bounds.begin(), bounds.end()};
    }

    std::vector<std::string> random_keys() {
        std::vector<std::string> keys;
        for (const std::string_view key : {"a", "b", "user.id", "k\xEF\xBF\xBD"}) {
            if (random_.one_in(2)) { keys.emplace_back(key); }
        }
        return keys;
    }

    void add_model() {
        auto& instrument = instruments_.emplace_back();
        auto& model = instrument.model;
        const bool other_meter = random_.one_in(3);
        model.meter = other_meter ? "oracle.other" : "oracle";
        model.meter_version = other_meter ? "" : "1.2";
        model.meter_schema_url = other_meter ? "" : "https://example.org/schema";
        model.kind = static_cast<InstrumentKind>(random_.below(7));
        model.is_integer = random_.one_in(2);
        model.name = unique_name();
        model.unit = random_.one_in(2) ? "By" : "";
        model.description = random_.one_in(2) ? "What " + model.name + " counts." : "";
        if (random_.one_in(3)) { model.boundaries = random_boundaries(1); }
        if (random_.one_in(4)) { model.attribute_keys = random_keys(); }
        instrument.keys.assign(model.attribute_keys.begin(), model.attribute_keys.end());
        for (auto n = random_.between(1, 12); n > 0; --n) {
            instrument.sets.push_back(random_set(random_));
        }
    }

    void add_options() {
        options_.cardinality_limit = random_.one_in(2) ? random_.between(1, 8) : 2000;
        options_.overflow = random_.one_in(3) ? OverflowMode::reject : OverflowMode::aggregate;
        static constexpr ExemplarFilter filters[] = {
            ExemplarFilter::trace_based, ExemplarFilter::always_on, ExemplarFilter::always_off};
        options_.exemplar_filter = random_.pick(filters);
        for (auto n = random_.below(6); n > 0; --n) { add_view(); }
        EXPECT_EQ(problem_in(options_), "");
    }

    void add_view() {
        auto& view = options_.views.emplace_back();
        const auto& model = random_.pick(instruments_).model;
        const bool one_name = !random_.one_in(3);
        if (one_name) {
            view.selector.name = model.name;
            if (random_.one_in(2)) { view.selector.name.replace(0, 6, "ORACLE"); }
        } else {
            static constexpr const char* patterns[] = {
                "*", "oracle.*", "*.instrument.*", "?racle?*", "oracle.*1*", "oracle.?", "other.*"};
            view.selector.name = random_.pick(patterns);
        }
        if (random_.one_in(6)) { view.selector.kind = model.kind; }
        if (random_.one_in(6)) { view.selector.unit = model.unit; }
        if (random_.one_in(6)) { view.selector.meter_name = model.meter; }
        if (random_.one_in(9)) { view.selector.meter_version = model.meter_version; }
        if (random_.one_in(9)) { view.selector.meter_schema_url = model.meter_schema_url; }
        // Streams are told apart by name and description: only one view may leave both as they are.
        const auto number = std::to_string(options_.views.size());
        if (one_name && random_.one_in(2)) { view.name = "renamed by " + number; }
        if (options_.views.size() > 1) { view.description = "view " + number; }
        view.aggregation.kind = static_cast<Aggregation::Kind>(random_.below(6));
        if (random_.one_in(3)) { view.aggregation.boundaries = random_boundaries(0); }
        view.aggregation.size_max =
            static_cast<std::uint32_t>(random_.one_in(4) ? 160 : random_.between(2, 12));
        view.aggregation.scale_max = static_cast<std::int32_t>(random_.below(31)) - 10;
        view.aggregation.record_min_max = !random_.one_in(4);
        if (random_.one_in(3)) { view.attributes.include = random_keys(); }
        if (random_.one_in(3)) { view.attributes.exclude = random_keys(); }
        if (random_.one_in(3)) { view.cardinality_limit = random_.between(1, 5); }
    }

    template <class Real, class Bound>
    void make_synchronous(Instrument& instrument, Bound&& record_to) {
        auto real = std::make_shared<const Real>(
            meter(instrument), instrument.model.name, advice(instrument));
        instrument.record = [real,
                             record_to](const OracleValue& value, std::span<const Attribute> set) {
            record_to(*real, value, set);
        };
        instrument.bind = [real, record_to](std::span<const Attribute> set) -> Instrument::Handle {
            using Handle = decltype(real->bind());
            auto handle = std::make_shared<const Handle>(*real, set);
            return [handle, record_to](const OracleValue& value) { record_to(*handle, value); };
        };
    }

    // How to record to an instrument with a set, or to a handle without one.
    template <class T>
    struct Add {
        void operator()(const auto& to, const OracleValue& value, auto... set) const {
            to.add(as<T>(value), set...);
        }
    };
    template <class T>
    struct Set {
        void operator()(const auto& to, const OracleValue& value, auto... set) const {
            to.set(as<T>(value), set...);
        }
    };
    template <class T>
    struct Record {
        void operator()(const auto& to, const OracleValue& value, auto... set) const {
            to.record(as<T>(value), set...);
        }
    };

    template <class Real, class T>
    void make_observable(Instrument& instrument) {
        instrument.observable = std::make_shared<Real>(
            meter(instrument), instrument.model.name, advice(instrument),
            [&instrument](Observations& to) {
                for (const auto& [value, set] : instrument.reports) {
                    observe(to, as<T>(value), set->given);
                }
            });
    }

    template <class T>
    static void observe(Observations& to, T value, const std::vector<Attribute>& set) {
        switch (set.size()) {
        case 0:
            return to.observe(value);
        case 1:
            return to.observe(value, {set[0]});
        case 2:
            return to.observe(value, {set[0], set[1]});
        case 3:
            return to.observe(value, {set[0], set[1], set[2]});
        default:
            return to.observe(value, {set[0], set[1], set[2], set[3]});
        }
    }

    Meter meter(const Instrument& instrument) const {
        const auto& model = instrument.model;
        return Meter(model.meter, model.meter_version, model.meter_schema_url).bound_to(provider_);
    }
    static InstrumentOptions advice(const Instrument& instrument) {
        const auto& model = instrument.model;
        return {
            .unit = model.unit,
            .description = model.description,
            .boundaries = model.boundaries,
            .attribute_keys = instrument.keys};
    }

    template <class T>
    void make_of(Instrument& instrument) {
        switch (instrument.model.kind) {
        case InstrumentKind::counter:
            return make_synchronous<Counter<T>>(instrument, Add<T>{});
        case InstrumentKind::up_down_counter:
            return make_synchronous<UpDownCounter<T>>(instrument, Add<T>{});
        case InstrumentKind::histogram:
            return make_synchronous<Histogram<T>>(instrument, Record<T>{});
        case InstrumentKind::gauge:
            return make_synchronous<Gauge<T>>(instrument, Set<T>{});
        case InstrumentKind::observable_counter:
            return make_observable<ObservableCounter<T>, T>(instrument);
        case InstrumentKind::observable_up_down_counter:
            return make_observable<ObservableUpDownCounter<T>, T>(instrument);
        case InstrumentKind::observable_gauge:
            return make_observable<ObservableGauge<T>, T>(instrument);
        }
    }

    void make(Instrument& instrument) {
        if (instrument.model.is_integer) {
            make_of<std::int64_t>(instrument);
        } else {
            make_of<double>(instrument);
        }
    }

    void add_reader() {
        const ModelReader model{
            static_cast<TemporalityPreference>(random_.below(3)), random_.one_in(4)};
        readers_.push_back(
            {model, MetricReader(
                        *provider_, {.temporality = model.temporality,
                                     .exponential_histograms = model.exponential})});
    }

    // ---- what happens

    OracleValue good_value(const ModelInstrument& model) {
        double value = !edges_.empty() && random_.one_in(4) ? random_.pick(edges_) : real();
        if (model.only_grows()) {
            value = std::fabs(value);
        } else if (random_.one_in(2)) {
            value = -value;
        }
        if (random_.one_in(9)) { value = 0; }
        if (value == 0) { value = 0; } // Not below zero.
        if (!model.is_integer) { return {false, 0, value}; }
        const bool large = random_.one_in(4); // Still exact as a double, and so are a few sums.
        return {true, static_cast<std::int64_t>(value) * (large ? 1'000'000 : 1), 0};
    }

    // Mostly such as are refused.
    OracleValue wild_value(const ModelInstrument& model) {
        if (model.is_integer) { return {true, -1, 0}; }
        static constexpr double wild[] = {
            -1, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
            -std::numeric_limits<double>::infinity()};
        return {false, 0, random_.pick(wild)};
    }

    void use(Instrument& instrument) {
        if (instrument.model.created) { return; }
        instrument.model.created = now();
        std::vector<ModelReader> readers;
        for (const auto& reader : readers_) { readers.push_back(reader.model); }
        instrument.streams = model_streams(instrument.model, options_, readers);
    }

    // False if it is refused.
    bool count(Instrument& instrument, const OracleValue& value) {
        if (instrument.streams.empty()) { return true; }
        if (!instrument.model.accepts(value)) {
            ++instrument.refused;
            return false;
        }
        return true;
    }

    void record_something() {
        clock_.advance(std::chrono::milliseconds(random_.between(1, 1000)));
        for (std::size_t i = 0; i < threads_count_; ++i) { prepare(i); }
        if (threads_count_ == 1) { return workers_[0].run(); }
        std::vector<std::thread> threads;
        for (auto& worker : workers_) {
            threads.emplace_back([&worker] { worker.run(); });
        }
        for (auto& thread : threads) { thread.join(); }
    }

    void prepare(std::size_t thread) {
        auto& worker = workers_[thread];
        worker.operations.clear();
        std::erase_if(worker.handles, [&](const auto&) { return random_.one_in(5); });
        for (auto n = random_.below(random_.one_in(3) ? 300 : 30); n > 0; --n) {
            auto& instrument = instruments_[random_.below(instruments_.size())];
            if (instrument.model.observable()) { continue; }
            const auto& set = random_.pick(instrument.sets);
            // What a first measurement or handle would make room for must not be refused: the model would not know of it.
            const bool known = worker.recorded.contains({&instrument, &set});
            const auto value = known && random_.one_in(20) ? wild_value(instrument.model)
                                                           : good_value(instrument.model);
            worker.recorded.insert({&instrument, &set});
            worker.operations.push_back({&instrument, &set, value, random_.one_in(3)});
            use(instrument);
            if (!count(instrument, value)) { continue; }
            instrument.model.history.push_back({value, set.canonical, now(), phase_, thread});
        }
    }

    void report_something(Instrument& instrument) {
        if (!instrument.model.observable() || random_.one_in(3)) { return; } // As before.
        instrument.reports.clear();
        for (auto n = random_.one_in(3) ? 0 : random_.below(20); n > 0; --n) {
            const auto value = random_.one_in(20) && !instrument.model.gauge()
                                   ? wild_value(instrument.model)
                                   : good_value(instrument.model);
            instrument.reports.emplace_back(value, &random_.pick(instrument.sets));
        }
    }

    // What the callback is about to tell.
    void observe_in_model(Instrument& instrument) {
        if (!instrument.model.observable()) { return; }
        auto& history = instrument.model.history;
        history.clear();
        if (!instrument.reports.empty()) { use(instrument); }
        for (const auto& [value, set] : instrument.reports) {
            if (count(instrument, value)) {
                history.push_back({value, set->canonical, now(), phase_, 0});
            }
        }
    }

    void collect_and_check(std::size_t number) {
        clock_.advance(std::chrono::milliseconds(random_.between(1, 1000)));
        for (auto& instrument : instruments_) { observe_in_model(instrument); }
        auto metrics = collect(readers_[number].reader);
        for (auto& instrument : instruments_) {
            for (auto& stream : instrument.streams) {
                if (!stream.is_for(number)) { continue; }
                SCOPED_TRACE("stream \"" + stream.name() + "\" of " + instrument.model.name);
                stream.check(number, readers_[number].model, now(), threads_count_ == 1, metrics);
            }
        }
        for (const auto& [key, metric] : metrics) {
            ADD_FAILURE() << "nobody asked for \"" << std::get<1>(key) << "\"";
        }
    }

    OracleMetrics collect(MetricReader& reader) {
        auto metrics = collect_through_bytes(
            reader, {.ring_bytes = std::size_t{1} << random_.between(16, 20),
                     .points_max = random_.one_in(2) ? random_.between(1, 20) : 4096,
                     .by_coroutine = random_.one_in(2)});
        for (const auto& [key, metric] : metrics) { points_ += metric.points.size(); }
        return metrics;
    }

    // What the library says of itself.
    void check_counts() {
        struct Counts {
            std::uint64_t series = 0;
            std::uint64_t overflowed = 0;
            std::uint64_t rejected = 0;
            bool operator==(const Counts&) const = default;
        };
        std::map<std::string, Counts> expected;
        std::uint64_t refused = 0;
        for (const auto& instrument : instruments_) {
            refused += instrument.refused;
            for (const auto& stream : instrument.streams) {
                auto& counts = expected[stream.name()];
                refused += stream.refused();
                counts.series += stream.series();
                (options_.overflow == OverflowMode::aggregate ? counts.overflowed
                                                              : counts.rejected) +=
                    stream.without_room();
            }
        }
        std::map<std::string, Counts> told;
        for (const auto& report : detail::cardinality(*provider_)) {
            auto& counts = told[report.name];
            counts.series += report.series;
            counts.overflowed += report.overflowed;
            counts.rejected += report.rejected;
        }
        for (const auto& [name, counts] : expected) {
            EXPECT_EQ(told[name].series, counts.series) << name;
            EXPECT_EQ(told[name].overflowed, counts.overflowed) << name;
            EXPECT_EQ(told[name].rejected, counts.rejected) << name;
        }
        EXPECT_EQ(told.size(), expected.size());
        EXPECT_EQ(detail::counts(*provider_).refused_values, refused);
        EXPECT_EQ(detail::counts(*provider_).lost, 0U);
    }

public:
    [[nodiscard]] std::size_t points() const { return points_; }
    /// Which kinds of streams there were, and whether any set found no room.
    void note(std::map<std::string, std::size_t>& seen) const {
        static constexpr const char* names[] = {"sum", "gauge", "histogram", "exponential"};
        for (const auto& instrument : instruments_) {
            for (const auto& stream : instrument.streams) {
                ++seen[names[static_cast<std::size_t>(stream.kind())]];
                seen["without room"] += stream.without_room() != 0;
            }
            seen["dropped"] += instrument.model.created && instrument.streams.empty();
            seen["refused"] += instrument.refused != 0;
        }
    }

private:
    Random& random_;
    const std::size_t threads_count_;
    ManualClock clock_;
    MetricOptions options_;
    detail::MeterProvider* provider_ = nullptr;
    std::deque<Instrument> instruments_;
    std::vector<double> edges_; // Boundaries of whatever instrument: values like to fall on them.
    std::vector<Reader> readers_;
    std::vector<Worker> workers_;
    std::size_t phase_ = 0;
    std::size_t points_ = 0;
};

// Goal: what is posted is what was measured, for any instruments, views, readers and threads. Method: see Round; the model
// is in metrics_oracle_model.hpp.
TEST(MetricsOracle, ReadsInTheRequestWhatAPlainModelHasCounted) {
    auto random = Random::seeded("ReadsInTheRequestWhatAPlainModelHasCounted");
    diagnostics().set_handler([](const Diagnostic&) {}); // Half of the views deserve a warning.
    std::map<std::string, std::size_t> seen;
    std::size_t points = 0;
    constexpr int rounds = 400;
    for (int number = 0; number < rounds && !HasFailure(); ++number) {
        SCOPED_TRACE("round " + std::to_string(number));
        Round round(random);
        round.run();
        round.note(seen);
        points += round.points();
    }
    diagnostics().set_handler(nullptr);
    if (HasFailure()) { return; }
    EXPECT_GT(points, 10'000U);
    for (const char* what :
         {"sum", "gauge", "histogram", "exponential", "without room", "dropped", "refused"}) {
        EXPECT_GT(seen[what], 50U) << what << ": too few to prove anything";
    }
}

} // namespace
} // namespace weft::testing
