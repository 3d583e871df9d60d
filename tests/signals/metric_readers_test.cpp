// What each reader gets, and which time it covers.

#include "metric_harness.hpp"

namespace weft::testing {
namespace {

using namespace std::chrono_literals;
constexpr auto cumulative = TemporalityPreference::cumulative;
constexpr auto delta = TemporalityPreference::delta;
constexpr auto low_memory = TemporalityPreference::low_memory;

TEST(MetricReaders, DoNotKnowOfEachOther) {
    Metrics metrics;
    auto total = metrics.reader(cumulative);
    auto one = metrics.reader(delta);
    auto two = metrics.reader(delta);
    const Counter<> counter(metrics.meter(), "counter");
    const auto bound = counter.bind({{"b", 1}});
    counter.add(1);
    bound.add(2);
    EXPECT_EQ(collected(one).integer("counter"), 1);
    counter.add(4);
    EXPECT_EQ(collected(one).integer("counter"), 4);
    EXPECT_EQ(collected(total).integer("counter"), 5);
    EXPECT_EQ(collected(two).integer("counter"), 5);
    EXPECT_FALSE(collected(one).has("counter"));
    EXPECT_FALSE(collected(two).has("counter"));
    EXPECT_EQ(collected(total).integer("counter"), 5);
    EXPECT_EQ(collected(total).integer("counter", {{"b", 1}}), 2);
}

TEST(MetricReaders, ChooseTemporalityByKind) {
    struct Case {
        TemporalityPreference preference;
        Temporality counter, histogram, updown, observable;
    };
    using T = Temporality;
    Metrics metrics;
    const Counter<> counter(metrics.meter(), "counter");
    const Histogram<> histogram(metrics.meter(), "histogram");
    const UpDownCounter<> updown(metrics.meter(), "updown");
    const auto three = [](Observations& to) { to.observe<std::int64_t>(3); };
    const ObservableCounter<> observable(metrics.meter(), "observable", {}, three);
    const ObservableUpDownCounter<> both_ways(metrics.meter(), "both_ways", {}, three);
    for (const auto& each :
         {Case{cumulative, T::cumulative, T::cumulative, T::cumulative, T::cumulative},
          Case{delta, T::delta, T::delta, T::cumulative, T::delta},
          Case{low_memory, T::delta, T::delta, T::cumulative, T::cumulative}}) {
        auto reader = metrics.reader(each.preference);
        counter.add(1);
        histogram.record(1);
        updown.add(1);
        const auto seen = collected(reader);
        EXPECT_EQ(seen.stream("counter").temporality, each.counter);
        EXPECT_EQ(seen.stream("histogram").temporality, each.histogram);
        EXPECT_EQ(seen.stream("updown").temporality, each.updown);
        EXPECT_EQ(seen.stream("both_ways").temporality, T::cumulative);
        EXPECT_EQ(seen.stream("observable").temporality, each.observable);
    }
}

TEST(MetricReaders, HaveDeltaIntervalsWithoutGapOrOverlap) {
    ManualClock clock;
    Metrics metrics;
    auto reader = metrics.reader(delta);
    const Counter<> counter(metrics.meter(), "counter");
    const auto before = steady_now_ns() + wall_offset_ns();
    counter.add(1);
    clock.advance(10s);
    auto last = collected(reader).point("counter").times;
    EXPECT_EQ(last.start_unix_ns, before);
    EXPECT_EQ(last.time_unix_ns, before + 10'000'000'000);
    clock.advance(5s);
    EXPECT_FALSE(collected(reader).has("counter")); // An empty interval is one, too.
    clock.advance(5s);
    counter.add(1);
    counter.add(2, {{"new", true}});
    clock.advance(5s);
    const auto seen = collected(reader);
    const auto times = seen.point("counter").times;
    EXPECT_EQ(times.start_unix_ns, last.time_unix_ns + 5'000'000'000);
    EXPECT_EQ(times.time_unix_ns, last.time_unix_ns + 15'000'000'000);
    EXPECT_EQ(seen.point("counter", {{"new", true}}).times.start_unix_ns, times.start_unix_ns);
}

TEST(MetricReaders, KeepTheStartOfCumulativeSeries) {
    ManualClock clock;
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    clock.advance(1s);
    const auto first = steady_now_ns() + wall_offset_ns();
    counter.add(1);
    clock.advance(1s);
    EXPECT_EQ(collected(reader).point("counter").times.start_unix_ns, first);
    clock.advance(1s);
    const auto times = collected(reader).point("counter").times;
    EXPECT_EQ(times.start_unix_ns, first);
    EXPECT_EQ(times.time_unix_ns, first + 2'000'000'000);
}

TEST(MetricReaders, SurviveAWallClockThatIsSetBack) {
    ManualClock clock;
    Metrics metrics;
    auto total = metrics.reader();
    auto changes = metrics.reader(delta);
    const Counter<> counter(metrics.meter(), "counter");
    counter.add(1);
    clock.advance(1s);
    const auto before = collected(changes).point("counter").times;
    (void)collected(total);
    clock.step_wall(-1h);
    clock.advance(10s);
    counter.add(1);
    const auto times = collected(changes).point("counter").times;
    EXPECT_EQ(times.time_unix_ns, before.time_unix_ns + 10'000'000'000 - 3'600'000'000'000);
    EXPECT_EQ(times.time_unix_ns - times.start_unix_ns, 10'000'000'000);
    const auto lasting = collected(total).point("counter").times;
    EXPECT_EQ(lasting.time_unix_ns - lasting.start_unix_ns, 11'000'000'000);
    clock.advance(2h);
    EXPECT_EQ(collected(total).point("counter").times.start_unix_ns, lasting.start_unix_ns);
}

TEST(MetricReaders, ThatComeLateGetEverything) {
    ManualClock clock;
    Metrics metrics;
    auto early = metrics.reader(delta);
    const Counter<> counter(metrics.meter(), "counter");
    const Histogram<> histogram(metrics.meter(), "histogram");
    const auto start = steady_now_ns() + wall_offset_ns();
    counter.add(1);
    histogram.record(1);
    clock.advance(1s);
    (void)collected(early);
    counter.add(2);
    histogram.record(100);
    clock.advance(1s);
    auto late = metrics.reader(delta);
    const auto seen = collected(late);
    EXPECT_EQ(seen.integer("counter"), 3);
    EXPECT_EQ(seen.point("counter").times.start_unix_ns, start);
    EXPECT_EQ(seen.point("histogram").count, 2U);
    EXPECT_EQ(seen.point("histogram").min, 1);
    EXPECT_EQ(seen.point("histogram").max, 100);
}

TEST(MetricReaders, InTheSlotOfOneThatWentGetEverythingToo) {
    Metrics metrics;
    const Histogram<> histogram(metrics.meter(), "histogram");
    histogram.record(1);
    {
        auto gone = metrics.reader(delta);
        EXPECT_EQ(collected(gone).point("histogram").min, 1);
    }
    histogram.record(5);
    auto next = metrics.reader(delta);
    const auto seen = collected(next);
    EXPECT_EQ(seen.point("histogram").count, 2U);
    EXPECT_EQ(seen.point("histogram").min, 1);
    EXPECT_EQ(seen.point("histogram").max, 5);
}

TEST(MetricReaders, AreEightAtMost) {
    Metrics metrics;
    std::vector<MetricReader> readers;
    for (int i = 0; i < 8; ++i) { readers.push_back(metrics.reader()); }
    EXPECT_THROW((void)metrics.reader(), std::length_error);
    readers.pop_back();
    EXPECT_NO_THROW((void)metrics.reader());
}

TEST(MetricReaders, MayWantExponentialHistograms) {
    Metrics metrics;
    auto plain = metrics.reader();
    MetricReader exponential(metrics.provider(), {.exponential_histograms = true});
    const Histogram<> histogram(metrics.meter(), "histogram");
    const auto bound = histogram.bind();
    histogram.record(4);
    bound.record(5);
    const auto a = collected(plain);
    const auto b = collected(exponential);
    EXPECT_EQ(a.stream("histogram").kind, MetricKind::histogram);
    EXPECT_EQ(a.streams().size(), 1U);
    EXPECT_EQ(a.point("histogram").count, 2U);
    EXPECT_EQ(b.stream("histogram").kind, MetricKind::exponential_histogram);
    EXPECT_EQ(b.streams().size(), 1U);
    EXPECT_EQ(b.point("histogram").sum, 9);
}

TEST(MetricReaders, ThatComeAfterOnlyExponentialOnesStillGetHistograms) {
    Metrics metrics;
    MetricReader exponential(metrics.provider(), {.exponential_histograms = true});
    const Histogram<> histogram(metrics.meter(), "histogram");
    histogram.record(4);
    auto late = metrics.reader();
    EXPECT_EQ(collected(late).point("histogram").count, 1U);
    EXPECT_EQ(collected(exponential).point("histogram").count, 1U);
}

/// Fails at its first point.
struct Failing : MetricCapture {
    void number(const NumberPoint&) override { throw std::runtime_error("no"); }
};

TEST(MetricReaders, PassOnWhatTheVisitorThrows) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    counter.add(1);
    Failing failing;
    EXPECT_THROW(reader.collect_now(failing), std::runtime_error);
    counter.add(1);
    EXPECT_EQ(collected(reader).integer("counter"), 2);
}

TEST(MetricReaders, MayMeasureWhileTheyCollect) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    struct Measuring : MetricCapture {
        explicit Measuring(const Counter<>& own) : counter(own) {}
        void number(const NumberPoint& point) override {
            MetricCapture::number(point);
            counter.add(1, {{"fresh", static_cast<std::int64_t>(streams().size())}});
        }
        const Counter<>& counter;
    } visitor(counter);
    counter.add(1);
    reader.collect_now(visitor);
    EXPECT_EQ(visitor.integer("counter"), 1);
    EXPECT_EQ(collected(reader).integer("counter", {{"fresh", 1}}), 1);
}

} // namespace
} // namespace weft::testing
