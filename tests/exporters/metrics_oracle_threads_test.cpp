// Collections beside threads that record: whatever each of them sees, together they see everything once.

#include "metrics_oracle_model.hpp"
#include "metrics_oracle_pipeline.hpp"

#include <weft/signals/counter.hpp>
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/testing/random.hpp>

#include <atomic>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace weft::testing {
namespace {

/// What points add up to. Deltas of an exponential histogram come at scales that only sink.
struct Total {
    std::uint64_t count = 0;
    double sum = 0;
    std::vector<std::uint64_t> buckets;
    std::int32_t scale = 20;
    std::uint64_t zero_count = 0;
    std::map<std::int64_t, std::uint64_t> positive;

    void rescale(std::int32_t to) {
        std::map<std::int64_t, std::uint64_t> coarser;
        for (const auto& [index, n] : positive) { coarser[index >> (scale - to)] += n; }
        positive = std::move(coarser);
        scale = to;
    }
    void add(const OraclePoint& point) {
        count += point.count;
        sum += point.sum ? *point.sum : point.value.as_double();
        buckets.resize(std::max(buckets.size(), point.buckets.size()));
        for (std::size_t i = 0; i < point.buckets.size(); ++i) { buckets[i] += point.buckets[i]; }
        ASSERT_LE(point.scale, scale);
        rescale(point.scale);
        zero_count += point.zero_count;
        for (const auto& [index, n] : point.positive) { positive[index] += n; }
    }
    bool operator==(const Total&) const = default;
};

using Totals = std::map<std::pair<std::string, OracleAttributes>, Total>;

void add_to(Totals& totals, const OracleMetrics& metrics) {
    for (const auto& [key, metric] : metrics) {
        for (const auto& [attributes, point] : metric.points) {
            totals[{std::get<1>(key), attributes}].add(point);
        }
    }
}

TEST(MetricsOracle, LosesAndDoublesNothingInCollectionsBesideRecordingThreads) {
    auto random = Random::seeded("LosesAndDoublesNothingInCollectionsBesideRecordingThreads");
    constexpr int threads_count = 3;
    constexpr int measurements = 20'000;
    constexpr double magnitudes[] = {0, 0.25, 1, 5, 7, 1000, 1 << 20};
    auto& provider = detail::make_meter_provider(
        {.views = {
             {.selector = {.name = "*.exponential"}, .aggregation = Aggregation::exponential(8)}}});
    const Meter meter = Meter("oracle.threads").bound_to(&provider);
    const Counter<> counter(meter, "beside.counter");
    const Histogram<> histogram(meter, "beside.histogram");
    const Histogram<> exponential(meter, "beside.exponential");
    MetricReader total(provider, {});
    MetricReader changes(provider, {.temporality = TemporalityPreference::delta});

    std::atomic<int> at_work{threads_count};
    std::latch collected_once(1);
    std::vector<std::thread> threads;
    std::vector<std::vector<int>> choices(threads_count);
    for (auto& chosen : choices) {
        for (int i = 0; i < measurements; ++i) {
            // The larger ones later, so that scales sink while somebody collects.
            const auto known = 2 + static_cast<std::size_t>(i) * 6 / measurements;
            chosen.push_back(
                static_cast<int>(random.below(std::min(known, std::size(magnitudes)))));
        }
        threads.emplace_back([&] {
            const auto bound = histogram.bind({{"bound", true}});
            for (std::size_t i = 0; i < chosen.size(); ++i) {
                // However threads are scheduled, something is recorded after a collection.
                if (i == chosen.size() / 2) { collected_once.wait(); }
                const int which = chosen[i];
                const double value = magnitudes[which];
                counter.add(which, {{"which", which}});
                histogram.record(value);
                bound.record(value);
                exponential.record(value, {{"odd", which % 2}});
            }
            at_work.fetch_sub(1, std::memory_order_relaxed); // join() orders what matters.
        });
    }
    Totals deltas;
    for (bool first = true;; first = false) {                        // Bound: the threads'.
        if (at_work.load(std::memory_order_relaxed) == 0) { break; } // As above.
        add_to(deltas, collect_through_bytes(changes, {.points_max = 3}));
        (void)collect_through_bytes(total);
        if (first) { collected_once.count_down(); }
    }
    for (auto& thread : threads) { thread.join(); }
    add_to(deltas, collect_through_bytes(changes));
    Totals totals;
    add_to(totals, collect_through_bytes(total));

    Totals expected;
    const auto expect = [&](const std::string& name, const OracleAttributes& attributes,
                            double value) -> Total& {
        auto& one = expected[{name, attributes}];
        one.sum += value;
        return one;
    };
    const std::vector<double> bounds{0,   5,   10,   25,   50,   75,   100,  250,
                                     500, 750, 1000, 2500, 5000, 7500, 10000};
    for (const auto& chosen : choices) {
        for (const int which : chosen) {
            const double value = magnitudes[which];
            expect("beside.counter", {{"which", "i" + std::to_string(which)}}, which);
            for (const auto& attributes : {OracleAttributes{}, OracleAttributes{{"bound", "b1"}}}) {
                auto& one = expect("beside.histogram", attributes, value);
                ++one.count;
                one.buckets.resize(bounds.size() + 1);
                ++one.buckets[static_cast<std::size_t>(
                    std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin())];
            }
            const OracleAttributes odd{{"odd", "i" + std::to_string(which % 2)}};
            auto& one = expect("beside.exponential", odd, value);
            ++one.count;
            one.scale = totals[{"beside.exponential", odd}].scale;
            if (value == 0) {
                ++one.zero_count;
            } else {
                ++one.positive[model_index(value, one.scale)];
            }
        }
    }
    for (auto* seen : {&totals, &deltas}) {
        SCOPED_TRACE(seen == &totals ? "cumulative" : "sum of deltas");
        EXPECT_EQ(seen->size(), expected.size());
        for (auto& [key, one] : expected) {
            auto& other = (*seen)[key];
            // Sums and gauges have no scale.
            if (key.first != "beside.exponential") { other.scale = one.scale; }
            EXPECT_TRUE(other == one)
                << key.first << text_of(key.second) << ": " << other.count << " and " << other.sum
                << " instead of " << one.count << " and " << one.sum << ", scale " << other.scale;
        }
    }
    detail::close(provider);
}

} // namespace
} // namespace weft::testing
