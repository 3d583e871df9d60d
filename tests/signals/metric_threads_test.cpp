// Sums stay exact while threads record, come and go, and collections are under way.

#include "metric_harness.hpp"

#include <atomic>
#include <cmath>
#include <thread>

namespace weft::testing {
namespace {

constexpr auto delta = TemporalityPreference::delta;
// relaxed everywhere below: flags that only ask to stop; what they guard is joined.
constexpr auto relaxed = std::memory_order_relaxed;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::int64_t adds = 200'000;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
constexpr std::int64_t adds = 200'000;
#else
constexpr std::int64_t adds = 10'000'000;
#endif
#else
constexpr std::int64_t adds = 10'000'000;
#endif
constexpr int threads_count = 4;

/// Runs `body(thread)` on threads_count threads and `meanwhile` over and over until they are done.
void run_beside(const auto& body, const auto& meanwhile) {
    std::atomic<int> left{threads_count};
    std::vector<std::thread> threads;
    for (int i = 0; i < threads_count; ++i) {
        threads.emplace_back([&, i] {
            body(i);
            left.fetch_sub(1, relaxed);
        });
    }
    while (left.load(relaxed) != 0) {
        meanwhile();
        std::this_thread::yield();
    }
    for (auto& thread : threads) { thread.join(); }
}

/// What a delta reader was given, added up; each interval must begin where the one before ended.
class DeltaTotal {
public:
    explicit DeltaTotal(MetricReader reader) : reader_(std::move(reader)) {}
    void collect() {
        const auto seen = collected(reader_);
        for (const auto& stream : seen.streams()) {
            for (const auto& point : stream.points) {
                integer += point.value.is_integer ? point.value.integer : 0;
                floating += point.value.is_integer ? 0 : point.value.floating;
                count += point.count;
                sum += point.sum;
                if (last_ != 0) { EXPECT_GE(point.times.start_unix_ns, last_); }
                newest_ = point.times.time_unix_ns;
            }
        }
        last_ = std::max(last_, newest_);
    }
    std::int64_t integer = 0;
    double floating = 0;
    std::uint64_t count = 0;
    double sum = 0;

private:
    MetricReader reader_;
    std::int64_t last_ = 0;
    std::int64_t newest_ = 0;
};

TEST(MetricThreads, AddUpExactlyWhileCollectionsAreUnderWay) {
    Metrics metrics;
    auto reader = metrics.reader();
    DeltaTotal changes(metrics.reader(delta));
    const Counter<> counter(metrics.meter(), "counter");
    const auto bound = counter.bind();
    std::int64_t last = 0;
    run_beside(
        [&](int) {
            for (std::int64_t i = 0; i < adds; ++i) { bound.add(1); }
        },
        [&] {
            const auto seen = collected(reader);
            if (seen.has("counter")) {
                EXPECT_GE(seen.integer("counter"), last);
                last = seen.integer("counter");
            }
            changes.collect();
        });
    EXPECT_EQ(collected(reader).integer("counter"), threads_count * adds);
    changes.collect();
    EXPECT_EQ(changes.integer, threads_count * adds);
}

TEST(MetricThreads, AddUpExactlyByAttributesInIntegersAndDoubles) {
    Metrics metrics;
    auto reader = metrics.reader();
    DeltaTotal changes(metrics.reader(delta));
    const Counter<> whole(metrics.meter(), "whole");
    const Counter<double> real(metrics.meter(), "real");
    constexpr std::int64_t rounds = adds / 50;
    run_beside(
        [&](int thread) {
            for (std::int64_t i = 0; i < rounds; ++i) {
                whole.add(i, {{"thread", thread}, {"n", i % 7}});
                whole.add(1);
                real.add(0.25, {{"n", i % 7}});
            }
        },
        [&] {
            (void)collected(reader);
            changes.collect();
        });
    const auto seen = collected(reader);
    changes.collect();
    const auto expected = threads_count * (rounds * (rounds - 1) / 2 + rounds);
    EXPECT_EQ(seen.integer_total("whole"), expected);
    EXPECT_EQ(changes.integer, expected);
    double total = 0;
    for (const auto& point : seen.stream("real").points) { total += point.value.floating; }
    EXPECT_EQ(total, 0.25 * threads_count * rounds); // Quarters add up without rounding.
    EXPECT_EQ(changes.floating, total);
    EXPECT_EQ(metrics.counts().lost, 0U);
}

TEST(MetricThreads, KeepHistogramsWhole) {
    for (const auto& aggregation :
         {Aggregation::histogram({1, 10, 100}), Aggregation::exponential(16)}) {
        Metrics metrics(std::vector<View>{{.aggregation = aggregation}});
        auto reader = metrics.reader();
        DeltaTotal changes(metrics.reader(delta));
        const Histogram<> histogram(metrics.meter(), "histogram");
        const auto bound = histogram.bind();
        constexpr std::int64_t rounds = adds / 50;
        std::uint64_t last = 0;
        run_beside(
            [&](int thread) {
                for (std::int64_t i = 0; i < rounds; ++i) {
                    const auto value = static_cast<double>(i % 1000) + 1;
                    if (thread % 2 == 0) {
                        bound.record(value);
                    } else {
                        histogram.record(value);
                    }
                }
            },
            [&] {
                // `collected` compares the count with the buckets in each collection.
                const auto seen = collected(reader);
                if (seen.has("histogram")) {
                    EXPECT_GE(seen.point("histogram").count, last);
                    last = seen.point("histogram").count;
                }
                changes.collect();
            });
        const auto point = collected(reader).point("histogram");
        changes.collect();
        EXPECT_EQ(point.count, static_cast<std::uint64_t>(threads_count * rounds));
        EXPECT_EQ(changes.count, point.count);
        EXPECT_EQ(changes.sum, point.sum);
        EXPECT_EQ(point.sum, threads_count * (static_cast<double>(rounds) / 1000) * 500500);
        EXPECT_EQ(point.min, 1);
        EXPECT_EQ(point.max, 1000);
    }
}

TEST(MetricThreads, MayComeAndGo) {
    Metrics metrics;
    auto reader = metrics.reader();
    DeltaTotal changes(metrics.reader(delta));
    const Counter<> counter(metrics.meter(), "counter");
    const auto bound = counter.bind({{"bound", true}});
    constexpr int generations = 100;
    constexpr int each = 100;
    run_beside(
        [&](int) {
            for (int i = 0; i < generations; ++i) {
                std::thread([&] {
                    for (int j = 0; j < each; ++j) {
                        counter.add(1, {{"j", j % 3}});
                        bound.add(1);
                    }
                }).join();
            }
        },
        [&] {
            (void)collected(reader);
            changes.collect();
        });
    changes.collect();
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("counter", {{"bound", true}}), threads_count * generations * each);
    EXPECT_EQ(seen.integer_total("counter"), 2 * threads_count * generations * each);
    EXPECT_EQ(changes.integer, 2 * threads_count * generations * each);
}

TEST(MetricThreads, MayMeasureInTheirLastDestructors) {
    Metrics metrics;
    auto reader = metrics.reader();
    static const Counter<>* used = nullptr;
    const Counter<> counter(metrics.meter(), "counter");
    used = &counter;
    struct Last {
        ~Last() {
            used->add(1, {{"late", true}});
            used->add(1);
        }
    };
    for (int i = 0; i < 20; ++i) {
        std::thread([] {
            thread_local const Last last; // Made before the thread's cells: destroyed after them.
            (void)&last;
            used->add(1);
        }).join();
    }
    EXPECT_EQ(collected(reader).integer("counter"), 40);
    EXPECT_EQ(collected(reader).integer("counter", {{"late", true}}), 20);
    used = nullptr;
}

TEST(MetricThreads, OverflowExactly) {
    Metrics metrics(MetricOptions{.cardinality_limit = 5});
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "overflow.threads");
    constexpr std::int64_t rounds = 20'000;
    run_beside(
        [&](int) {
            for (std::int64_t i = 0; i < rounds; ++i) { counter.add(1, {{"i", i % 50}}); }
        },
        [&] { (void)collected(reader); });
    const auto seen = collected(reader);
    EXPECT_EQ(seen.stream("overflow.threads").points.size(), 6U);
    EXPECT_EQ(seen.integer_total("overflow.threads"), threads_count * rounds);
}

TEST(MetricThreads, LoseNothingToExpiry) {
    // Two readers collect all the time, and everything that is quiet for a millisecond is forgotten: what a series had
    // counted is in the delta reader's hands by then.
    Metrics metrics(MetricOptions{.idle_expiry = std::chrono::milliseconds(1)});
    DeltaTotal one(metrics.reader(delta));
    DeltaTotal two(metrics.reader(delta));
    const Counter<> counter(metrics.meter(), "expiring");
    constexpr int rounds = 2'000;
    run_beside(
        [&](int thread) {
            for (int i = 0; i < rounds; ++i) {
                counter.add(1, {{"i", i / 50}, {"thread", thread}});
                counter.add(1);
                if (i % 50 == 0) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }
            }
        },
        [&] {
            one.collect();
            two.collect();
        });
    one.collect();
    two.collect();
    EXPECT_EQ(one.integer + static_cast<std::int64_t>(metrics.counts().lost), 8 * rounds);
    EXPECT_EQ(two.integer, one.integer);
    EXPECT_EQ(metrics.counts().lost, 0U);
}

TEST(MetricThreads, MayRegisterOneInstrumentTogether) {
    Metrics metrics;
    auto reader = metrics.reader();
    Reports reports;
    run_beside(
        [&](int) {
            for (int i = 0; i < 100; ++i) {
                const std::string name = "together." + std::to_string(i);
                const Counter<> counter(metrics.meter(), name);
                counter.add(1);
                counter.bind({{"a", 1}}).add(1);
            }
        },
        [&] { (void)collected(reader); });
    const auto seen = collected(reader);
    EXPECT_EQ(seen.streams().size(), 100U);
    for (const auto& stream : seen.streams()) {
        EXPECT_EQ(seen.integer_total(stream.name), 2 * threads_count);
    }
    EXPECT_EQ(reports.size(), 0U);
}

} // namespace
} // namespace weft::testing
