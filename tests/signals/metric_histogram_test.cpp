// Explicit and exponential histograms, from `record` to their points.

#include "metric_harness.hpp"

#include <weft/testing/random.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

namespace weft::testing {
namespace {

constexpr auto delta = TemporalityPreference::delta;
using Double = std::numeric_limits<double>;

std::vector<std::uint64_t> buckets_of(
    std::vector<double> boundaries, std::initializer_list<double> values) {
    Metrics metrics(std::vector<View>{{.aggregation = Aggregation::histogram(boundaries)}});
    auto reader = metrics.reader();
    const UpDownCounter<double> any(metrics.meter(), "any"); // Takes negative values.
    const auto bound = any.bind();
    bool unbound = false;
    for (const double value : values) {
        if (std::exchange(unbound, !unbound)) {
            any.add(value);
        } else {
            bound.add(value);
        }
    }
    return collected(reader).point("any").buckets;
}
using Counts = std::vector<std::uint64_t>;

TEST(MetricHistogram, PutsABoundaryIntoTheLowerBucket) {
    EXPECT_EQ(
        buckets_of({1, 2}, {1, std::nextafter(1, 2), 2, std::nextafter(2, 3), 0.5}),
        (Counts{2, 2, 1}));
    EXPECT_EQ(buckets_of({0}, {0, -0.0, -1, Double::denorm_min()}), (Counts{3, 1}));
    EXPECT_EQ(buckets_of({-0.0}, {0, -0.0, -1, 1}), (Counts{3, 1}));
    EXPECT_EQ(buckets_of({-2, -1}, {-3, -2, -1.5, -1, 0, 7}), (Counts{2, 2, 2}));
    EXPECT_EQ(buckets_of({-1, 0, 1}, {-1, -0.5, 0, 0.5, 1, 2}), (Counts{1, 2, 2, 1}));
    EXPECT_EQ(buckets_of({}, {-1, 0, 1e300}), (Counts{3}));
    EXPECT_EQ(
        buckets_of({Double::max()}, {Double::max(), -Double::max(), Double::denorm_min()}),
        (Counts{3, 0}));
    EXPECT_EQ(
        buckets_of({Double::lowest(), Double::denorm_min()}, {Double::lowest(), 0, 1}),
        (Counts{1, 1, 1}));
}

TEST(MetricHistogram, TakesAsManyBucketsAsAreAllowed) {
    std::vector<double> boundaries;
    for (int i = 0; i < 512; ++i) { boundaries.push_back(i - 100); }
    Metrics metrics(std::vector<View>{{.aggregation = Aggregation::histogram(boundaries)}});
    auto reader = metrics.reader();
    const Histogram<> histogram(metrics.meter(), "histogram");
    for (int i = 0; i < 1000; ++i) { histogram.record(i); }
    const auto point = collected(reader).point("histogram");
    ASSERT_EQ(point.buckets.size(), 513U);
    for (std::size_t i = 0; i < 100; ++i) { EXPECT_EQ(point.buckets[i], 0U); }
    for (std::size_t i = 100; i < 512; ++i) { EXPECT_EQ(point.buckets[i], 1U); }
    EXPECT_EQ(point.buckets[512], 1000U - 412U);
}

TEST(MetricHistogram, FindsEveryBucketAsABinarySearchDoes) {
    auto random = Random::seeded("MetricHistogram.FindsEveryBucketAsABinarySearchDoes");
    const auto any = [&] {
        switch (random.below(4)) {
        case 0:
            return static_cast<double>(random.below(2000)) - 1000;
        case 1:
            return std::ldexp(1.0, static_cast<int>(random.below(60)) - 30);
        case 2: {
            const auto value = std::bit_cast<double>(random.word());
            return std::isfinite(value) ? value : 0.0;
        }
        default:
            return static_cast<double>(random.below(1000)) * 0.001;
        }
    };
    for (int round = 0; round < 500; ++round) {
        std::vector<double> boundaries(random.below(round % 10 == 0 ? 513 : 20));
        for (double& bound : boundaries) { bound = any(); }
        std::sort(boundaries.begin(), boundaries.end());
        boundaries.erase(std::unique(boundaries.begin(), boundaries.end()), boundaries.end());
        const detail::BucketIndex index(boundaries);
        for (int i = 0; i < 200; ++i) {
            double value = any();
            if (!boundaries.empty() && random.one_in(2)) {
                value = boundaries[random.below(boundaries.size())];
                if (random.one_in(3)) { value = std::nextafter(value, Double::max()); }
                if (random.one_in(3)) { value = std::nextafter(value, Double::lowest()); }
            }
            const auto expected = static_cast<std::size_t>(
                std::lower_bound(boundaries.begin(), boundaries.end(), value) - boundaries.begin());
            ASSERT_EQ(index(value), expected) << value << " of " << boundaries.size();
        }
    }
}

TEST(MetricHistogram, HasTheEndsOfItsIntervalOrOfItsLife) {
    Metrics metrics;
    auto total = metrics.reader();
    auto changes = metrics.reader(delta);
    auto rarely = metrics.reader(delta);
    const Histogram<> histogram(metrics.meter(), "histogram");
    const auto bound = histogram.bind();
    const auto ends = [](MetricReader& reader) {
        const auto point = collected(reader).point("histogram");
        return point.has_min_max ? std::pair{point.min, point.max} : std::pair{-1.0, -1.0};
    };
    using Ends = std::pair<double, double>;
    histogram.record(5);
    bound.record(7);
    EXPECT_EQ(ends(changes), Ends(5, 7));
    EXPECT_EQ(ends(total), Ends(5, 7));
    bound.record(6);
    EXPECT_EQ(ends(changes), Ends(6, 6));
    EXPECT_EQ(ends(total), Ends(5, 7));
    EXPECT_EQ(ends(changes), Ends(-1, -1)); // Nothing new.
    histogram.record(100);
    EXPECT_EQ(ends(total), Ends(5, 100)); // Another reader's collection in between.
    histogram.record(50);
    EXPECT_EQ(ends(changes), Ends(50, 100));
    std::thread([&] { histogram.record(1); }).join();
    EXPECT_EQ(ends(changes), Ends(1, 1));
    EXPECT_EQ(ends(total), Ends(1, 100));
    EXPECT_EQ(ends(rarely), Ends(1, 100));
    bound.record(0);
    EXPECT_EQ(ends(rarely), Ends(0, 0));
}

TEST(MetricHistogram, OfIntegersAddsUpExactly) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Histogram<std::int64_t> histogram(metrics.meter(), "histogram");
    histogram.record(3);
    histogram.bind().record(4);
    histogram.record(-1);
    const auto point = collected(reader).point("histogram");
    EXPECT_EQ(point.count, 2U);
    EXPECT_EQ(point.sum, 7);
    EXPECT_TRUE(point.has_sum);
    EXPECT_EQ(metrics.counts().refused_values, 1U);
}

TEST(MetricHistogram, HandsOutWhatIsNewToADeltaReader) {
    Metrics metrics(std::vector<View>{{.aggregation = Aggregation::histogram({10})}});
    auto reader = metrics.reader(delta);
    const Histogram<> histogram(metrics.meter(), "histogram");
    histogram.record(1);
    histogram.record(11);
    EXPECT_EQ(collected(reader).point("histogram").buckets, (Counts{1, 1}));
    histogram.record(2);
    const auto point = collected(reader).point("histogram");
    EXPECT_EQ(point.buckets, (Counts{1, 0}));
    EXPECT_EQ(point.count, 1U);
    EXPECT_EQ(point.sum, 2);
    EXPECT_FALSE(collected(reader).has("histogram"));
}

TEST(MetricHistogram, MergesTheExponentialOnesOfAllThreads) {
    Metrics metrics(std::vector<View>{{.aggregation = Aggregation::exponential(8)}});
    auto total = metrics.reader();
    auto changes = metrics.reader(delta);
    const Histogram<> histogram(metrics.meter(), "histogram");
    histogram.record(1);
    histogram.record(0);
    for (const double base : {1e3, 1e-3, 1e9}) {
        std::thread([&] {
            for (int i = 1; i <= 10; ++i) { histogram.record(base * i); }
        }).join();
    }
    const auto check = [](const CapturedPoint& point, std::uint64_t count) {
        EXPECT_EQ(point.count, count);
        EXPECT_LE(point.positive.counts.size(), 8U);
    };
    const auto seen = collected(total).point("histogram");
    check(seen, 32);
    EXPECT_EQ(seen.zero_count, 1U);
    EXPECT_EQ(seen.min, 0);
    EXPECT_EQ(seen.max, 1e10);
    EXPECT_NEAR(seen.sum, 1 + 55e3 + 55e-3 + 55e9, 1);
    check(collected(changes).point("histogram"), 32);
    histogram.record(2);
    histogram.record(0);
    const auto fresh = collected(changes).point("histogram");
    check(fresh, 2);
    EXPECT_EQ(fresh.zero_count, 1U);
    EXPECT_EQ(fresh.sum, 2);
    EXPECT_EQ(fresh.max, 2);
    check(collected(total).point("histogram"), 34);
    EXPECT_FALSE(collected(changes).has("histogram"));
}

TEST(MetricHistogram, OfExponentialBucketsKeepsASingleValueFine) {
    Metrics metrics(std::vector<View>{{.aggregation = Aggregation::exponential(160, 20)}});
    auto reader = metrics.reader();
    const Histogram<> histogram(metrics.meter(), "histogram");
    histogram.bind().record(4);
    const auto point = collected(reader).point("histogram");
    EXPECT_EQ(point.scale, 20);
    EXPECT_EQ(point.positive.offset, (2 << 20) - 1); // A power of two ends its bucket.
    EXPECT_EQ(point.positive.counts, Counts{1});
}

// Goal: no counts in the wrong place are handed out, and none is lost. Method: the word that says that counts move is set
// as by an owner that lost its processor just then.
TEST(MetricHistogram, LeavesOutAnExponentialSeriesWhoseOwnerSleepsAmidAChangeOfScale) {
    Metrics metrics(std::vector<View>{{.aggregation = Aggregation::exponential(4)}});
    auto total = metrics.reader();
    auto changes = metrics.reader(delta);
    const Histogram<> histogram(metrics.meter(), "asleep");
    histogram.record(1);
    EXPECT_EQ(collected(changes).point("asleep").count, 1U);
    histogram.record(1000);
    std::uint64_t header = 0;
    auto* const cell =
        detail::find_cell(metrics.provider().streams().front()->active.front()->place, header);
    ASSERT_NE(cell, nullptr);
    constexpr auto change = std::uint64_t{1} << 32;
    auto& moves = cell[detail::histogram_cell::buckets + 1];

    cell->fetch_add(change);
    moves.fetch_add(change);
    EXPECT_FALSE(collected(changes).has("asleep"));
    EXPECT_FALSE(collected(total).has("asleep"));
    moves.fetch_add(change);
    cell->fetch_add(change);

    histogram.record(10);
    const auto seen = collected(changes);
    EXPECT_EQ(seen.point("asleep").count, 2U);
    EXPECT_EQ(seen.point("asleep").sum, 1010);
    EXPECT_EQ(seen.point("asleep").min, 10);
    EXPECT_EQ(seen.point("asleep").max, 1000);
    EXPECT_EQ(collected(total).point("asleep").count, 3U);
}

} // namespace
} // namespace weft::testing
