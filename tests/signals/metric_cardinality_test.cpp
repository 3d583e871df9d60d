// How many series an instrument may have, and which of them are forgotten.

#include "metric_harness.hpp"

namespace weft::testing {
namespace {

using namespace std::chrono_literals;
constexpr auto delta = TemporalityPreference::delta;

CardinalityReport report_of(Metrics& metrics, std::string_view name) {
    for (auto& report : detail::cardinality(metrics.provider())) {
        if (report.name == name) { return report; }
    }
    return {};
}

TEST(MetricCardinality, KeepsAsManySetsAsTheLimitAndAddsUpTheRest) {
    Metrics metrics(MetricOptions{.cardinality_limit = 10});
    auto total = metrics.reader();
    auto changes = metrics.reader(delta);
    const Counter<> counter(metrics.meter(), "limited");
    for (int round = 1; round <= 3; ++round) {
        for (int i = 0; i < 10; ++i) { counter.add(1, {{"i", i}}); }
        EXPECT_EQ(collected(total).stream("limited").points.size(), 10U);
    }
    for (int i = 0; i < 25; ++i) { counter.add(100, {{"i", i}}); }
    counter.add(1000); // No attributes: one set too many as well.
    const auto seen = collected(total);
    EXPECT_EQ(seen.stream("limited").points.size(), 11U);
    EXPECT_EQ(seen.integer("limited", {{"i", 9}}), 103);
    EXPECT_EQ(seen.integer("limited", {{"otel.metric.overflow", true}}), 2500);
    EXPECT_EQ(seen.integer_total("limited"), 30 + 3500);
    EXPECT_EQ(collected(changes).integer_total("limited"), 30 + 3500);
    const auto report = report_of(metrics, "limited");
    EXPECT_EQ(report.series, 10U);
    EXPECT_EQ(report.limit, 10U);
    EXPECT_EQ(report.overflowed, 16U);
    EXPECT_EQ(report.rejected, 0U);
}

TEST(MetricCardinality, CountsSetsAfterTheViewsFilter) {
    Metrics metrics(MetricOptions{
        .views =
            {{.attributes = {.include = std::vector<std::string>{"a"}}, .cardinality_limit = 2}},
        .cardinality_limit = 1});
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "filtered");
    for (int i = 0; i < 100; ++i) { counter.add(1, {{"a", i % 2}, {"b", i}}); }
    EXPECT_FALSE(collected(reader).has("filtered", {{"otel.metric.overflow", true}}));
    counter.add(1, {{"a", 2}});
    EXPECT_EQ(collected(reader).integer("filtered", {{"otel.metric.overflow", true}}), 1);
}

TEST(MetricCardinality, RejectsInsteadAndCounts) {
    Metrics metrics(MetricOptions{.cardinality_limit = 2, .overflow = OverflowMode::reject});
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "rejecting");
    for (int i = 0; i < 5; ++i) { counter.add(1, {{"i", i}}); }
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer_total("rejecting"), 2);
    EXPECT_FALSE(seen.has("rejecting", {{"otel.metric.overflow", true}}));
    EXPECT_EQ(report_of(metrics, "rejecting").rejected, 3U);
    EXPECT_EQ(report_of(metrics, "rejecting").overflowed, 0U);
    EXPECT_EQ(metrics.counts().lost, 0U);
}

TEST(MetricCardinality, IsDefaultedTo2000) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "default.limit");
    for (int i = 0; i < 2000; ++i) { counter.add(1, {{"i", i}}); }
    EXPECT_FALSE(collected(reader).has("default.limit", {{"otel.metric.overflow", true}}));
    counter.add(1, {{"i", 2000}});
    EXPECT_EQ(collected(reader).stream("default.limit").points.size(), 2001U);
}

TEST(MetricCardinality, NamesTheKeyThatExploded) {
    Metrics metrics(MetricOptions{.cardinality_limit = 100});
    const Counter<> counter(metrics.meter(), "exploding");
    const auto line = std::to_string(counter.where().line());
    Reports reports;
    for (int i = 0; i < 5000; ++i) {
        const std::string user = "user-" + std::to_string(i);
        counter.add(1, {{"method", i % 3}, {"user.id", user}, {"zone", "one"}});
    }
    EXPECT_TRUE(contains(reports.only(), "the key with most values is \"user.id\""))
        << reports.only();
    EXPECT_TRUE(contains(reports.only(), "metric_cardinality_test.cpp:" + line)) << reports.only();
    EXPECT_FALSE(contains(reports.only(), "user-")) << reports.only(); // No values in the log.
    const auto report = report_of(metrics, "exploding");
    ASSERT_EQ(report.keys.size(), 3U);
    EXPECT_EQ(report.keys[0].key, "user.id");
    EXPECT_NEAR(static_cast<double>(report.keys[0].distinct_values), 5000, 250);
    EXPECT_EQ(report.keys[1].key, "method");
    EXPECT_EQ(report.keys[1].distinct_values, 3U);
    ASSERT_EQ(report.keys[0].samples.size(), 5U);
    EXPECT_EQ(report.keys[0].samples[0], "user-0");
    EXPECT_EQ(report.line, counter.where().line());
    const auto text = report.to_text();
    EXPECT_TRUE(contains(text, "user.id")) << text;
    EXPECT_TRUE(contains(text, "\"user-0\"")) << text;
    EXPECT_TRUE(contains(text, "4900 measurements overflowed")) << text;
    const auto redacted = report.to_text(false);
    EXPECT_TRUE(contains(redacted, "user.id")) << redacted;
    EXPECT_FALSE(contains(redacted, "user-")) << redacted;
}

TEST(MetricCardinality, ShowsSamplesThatAreFitForALog) {
    Metrics metrics;
    const Counter<> counter(metrics.meter(), "samples");
    const std::string long_text(1000, 'x');
    counter.add(1, {{"k", "line\nbreak\xff"}});
    counter.add(1, {{"k", long_text}});
    const auto report = report_of(metrics, "samples");
    ASSERT_EQ(report.keys.size(), 1U);
    ASSERT_EQ(report.keys[0].samples.size(), 2U);
    EXPECT_FALSE(contains(report.keys[0].samples[0], "\n"));
    EXPECT_LE(report.keys[0].samples[1].size(), 64U);
}

class MetricExpiry : public ::testing::Test {
protected:
    // What it takes to be forgotten: hidden, taken out, and given free.
    void pass(int collections = 4) {
        for (int i = 0; i < collections; ++i) {
            clock.advance(61s);
            (void)collected(reader);
        }
    }
    ManualClock clock;
    Metrics metrics{MetricOptions{.cardinality_limit = 4, .idle_expiry = 60s}};
    MetricReader reader = metrics.reader();
};

TEST_F(MetricExpiry, ForgetsWhatIsIdleAndKeepsWhatIsNot) {
    const Counter<> counter(metrics.meter(), "idle");
    counter.add(1, {{"i", 1}});
    counter.add(1, {{"i", 2}});
    for (int i = 0; i < 4; ++i) {
        clock.advance(31s);
        counter.add(1, {{"i", 2}});
        (void)collected(reader);
    }
    const auto seen = collected(reader);
    EXPECT_FALSE(seen.has("idle", {{"i", 1}}));
    EXPECT_EQ(seen.integer("idle", {{"i", 2}}), 5);
    EXPECT_EQ(report_of(metrics, "idle").series, 1U);
}

TEST_F(MetricExpiry, BeginsAnewWithTheNextMeasurement) {
    const Counter<> counter(metrics.meter(), "again");
    const Histogram<> histogram(metrics.meter(), "again.histogram");
    for (int life = 1; life <= 5; ++life) {
        counter.add(life);
        counter.add(life, {{"a", 1}});
        histogram.record(life, {{"a", 1}});
        const auto seen = collected(reader);
        EXPECT_EQ(seen.integer("again"), life);
        EXPECT_EQ(seen.integer("again", {{"a", 1}}), life);
        EXPECT_EQ(seen.point("again.histogram", {{"a", 1}}).count, 1U);
        EXPECT_EQ(seen.point("again.histogram", {{"a", 1}}).min, life);
        EXPECT_EQ(seen.point("again").times.start_unix_ns, steady_now_ns() + wall_offset_ns());
        pass(life); // Also in the middle of being forgotten.
        pass();
        EXPECT_TRUE(collected(reader).streams().empty());
    }
    EXPECT_EQ(metrics.counts().lost, 0U);
}

TEST_F(MetricExpiry, LosesNothingOfASeriesThatComesBackInTime) {
    const Counter<> counter(metrics.meter(), "back");
    counter.add(1, {{"a", 1}});
    (void)collected(reader);
    clock.advance(61s);
    (void)collected(reader); // It is hidden now.
    counter.add(10, {{"a", 1}});
    EXPECT_EQ(collected(reader).integer("back", {{"a", 1}}), 11);
    clock.advance(30s);
    EXPECT_EQ(collected(reader).integer("back", {{"a", 1}}), 11);
}

TEST_F(MetricExpiry, MakesRoomWithoutMixingOldAndNew) {
    auto changes = metrics.reader(delta);
    const Counter<> counter(metrics.meter(), "room");
    const Gauge<> gauge(metrics.meter(), "room.gauge");
    std::int64_t total = 0;
    for (int generation = 0; generation < 6; ++generation) {
        for (int i = 0; i < 4; ++i) {
            const std::string name = std::to_string(generation) + "/" + std::to_string(i);
            counter.add(generation * 10 + i, {{"name", name}});
            gauge.set(generation * 10 + i, {{"name", name}});
        }
        const auto seen = collected(reader);
        const auto fresh = collected(changes);
        EXPECT_EQ(seen.stream("room").points.size(), 4U);
        EXPECT_FALSE(seen.has("room", {{"otel.metric.overflow", true}}));
        for (int i = 0; i < 4; ++i) {
            const std::string name = std::to_string(generation) + "/" + std::to_string(i);
            EXPECT_EQ(seen.integer("room", {{"name", name}}), generation * 10 + i);
            EXPECT_EQ(fresh.integer("room", {{"name", name}}), generation * 10 + i);
            EXPECT_EQ(seen.integer("room.gauge", {{"name", name}}), generation * 10 + i);
        }
        total += fresh.integer_total("room");
        for (int i = 0; i < 4; ++i) {
            pass(1);
            (void)collected(changes);
        }
    }
    EXPECT_EQ(total, 6 * 6 + 4 * 10 * 15);
}

TEST_F(MetricExpiry, DoesNotTouchWhatAHandleHolds) {
    const Counter<> counter(metrics.meter(), "pinned");
    {
        const auto bound = counter.bind({{"a", 1}});
        bound.add(1);
        pass();
        bound.add(1);
        EXPECT_EQ(collected(reader).integer("pinned", {{"a", 1}}), 2);
    }
    pass();
    EXPECT_FALSE(collected(reader).has("pinned", {{"a", 1}}));
}

TEST_F(MetricExpiry, WaitsForReadersThatHaveNotSeenIt) {
    auto slow = metrics.reader(delta);
    const Counter<> counter(metrics.meter(), "slow");
    counter.add(7, {{"a", 1}});
    pass();
    EXPECT_EQ(collected(slow).integer("slow", {{"a", 1}}), 7);
}

TEST_F(MetricExpiry, KeepsWhatStillStandsOfASumThatGoesBothWays) {
    const UpDownCounter<> open(metrics.meter(), "open");
    open.add(5, {{"a", 1}});
    open.add(5, {{"a", 2}});
    open.add(-5, {{"a", 2}});
    pass();
    open.add(-1, {{"a", 1}}); // One of five that were there all the time.
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("open", {{"a", 1}}), 4);
    EXPECT_FALSE(seen.has("open", {{"a", 2}}));
}

TEST_F(MetricExpiry, AppliesToObservedSeries) {
    int which = 0;
    const ObservableGauge<std::int64_t> gauge(metrics.meter(), "gauge", {}, [&](Observations& to) {
        to.observe<std::int64_t>(which, {{"which", which}});
    });
    for (which = 0; which < 40; ++which) {
        clock.advance(61s);
        EXPECT_EQ(collected(reader).stream("gauge").points.size(), 1U);
    }
    // Always one new and a few that are about to be forgotten.
    EXPECT_EQ(report_of(metrics, "gauge").overflowed, 0U);
}

TEST(MetricCardinality, LosesNothingToAnotherViewsExpiry) {
    ManualClock clock;
    Metrics metrics(MetricOptions{
        .views =
            {{.selector = {.name = "two.views"}, .aggregation = Aggregation::histogram({1})},
             {.selector = {.name = "two.views"}, .name = "two.views.sum"}},
        .idle_expiry = 60s});
    auto reader = metrics.reader();
    const UpDownCounter<> updown(metrics.meter(), "two.views");
    updown.add(1, {{"a", 1}});
    updown.add(-1, {{"a", 1}});
    for (int i = 0; i < 8; ++i) {
        (void)collected(reader);
        clock.advance(61s);
        updown.add(1, {{"a", 1}}); // The histogram changes, the sum does not.
        updown.add(-1, {{"a", 1}});
    }
    EXPECT_EQ(metrics.counts().lost, 0U);
    EXPECT_EQ(collected(reader).point("two.views", {{"a", 1}}).count, 18U);
}

} // namespace
} // namespace weft::testing
