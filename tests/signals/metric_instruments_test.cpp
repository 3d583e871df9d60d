// What instruments take, and how they are defined.

#include "metric_harness.hpp"

#include <cmath>
#include <limits>

namespace weft::testing {
namespace {

constexpr auto delta = TemporalityPreference::delta;
using Int64 = std::numeric_limits<std::int64_t>;
using Double = std::numeric_limits<double>;

TEST(MetricInstruments, AddUpByAttributeSet) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> requests(
        metrics.meter(), "requests", {.unit = "{request}", .description = "D"});
    requests.add(1);
    requests.add(2, {{"code", 200}});
    requests.add(3, {{"code", "200"}});
    requests.add(4, {{"code", 200}});
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("requests"), 1);
    EXPECT_EQ(seen.integer("requests", {{"code", 200}}), 6);
    EXPECT_EQ(seen.integer("requests", {{"code", "200"}}), 3);
    const auto& stream = seen.stream("requests");
    EXPECT_EQ(stream.unit, "{request}");
    EXPECT_EQ(stream.description, "D");
    EXPECT_EQ(stream.kind, MetricKind::sum);
    EXPECT_TRUE(stream.is_monotonic);
    EXPECT_EQ(stream.points.size(), 3U);
}

TEST(MetricInstruments, TellNothingOfWhatWasNeverMeasured) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> requests(metrics.meter(), "requests");
    const auto bound = requests.bind({{"a", 1}});
    EXPECT_TRUE(collected(reader).streams().empty());
}

TEST(MetricInstruments, DropCountAndReportOnceWhatACounterCannotTake) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> whole(metrics.meter(), "refusing.whole");
    const Counter<double> real(metrics.meter(), "refusing.real");
    const Histogram<> histogram(metrics.meter(), "refusing.histogram");
    const auto bound = real.bind();
    const auto bound_whole = whole.bind();
    const auto bound_histogram = histogram.bind();
    Reports reports;
    for (int i = 0; i < 3; ++i) {
        whole.add(-1);
        bound_whole.add(Int64::min());
    }
    EXPECT_EQ(reports.size(), 1U);
    EXPECT_TRUE(contains(reports.only(), "refusing.whole")) << reports.only();
    EXPECT_TRUE(contains(reports.only(), "was given -1")) << reports.only();
    EXPECT_TRUE(contains(reports.only(), "metric_instruments_test.cpp")) << reports.only();
    for (const double bad : {-1.0, Double::infinity(), -Double::infinity(), Double::quiet_NaN()}) {
        real.add(bad);
        bound.add(bad);
        histogram.record(bad);
        bound_histogram.record(bad);
    }
    EXPECT_EQ(reports.size(), 3U);
    EXPECT_EQ(metrics.counts().refused_values, 6U + 16U);
    EXPECT_EQ(metrics.counts().lost, 0U);
    EXPECT_TRUE(collected(reader).streams().empty());
}

TEST(MetricInstruments, TakeTheExtremesOfTheirTypes) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    const UpDownCounter<> updown(metrics.meter(), "updown");
    const UpDownCounter<double> real(metrics.meter(), "real");
    const Gauge<> gauge(metrics.meter(), "gauge");
    counter.add(Int64::max());
    updown.add(Int64::min());
    updown.add(Int64::max());
    real.add(Double::max());
    real.add(-Double::max());
    real.add(Double::denorm_min());
    gauge.set(Int64::min());
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("counter"), Int64::max());
    EXPECT_EQ(seen.integer("updown"), -1);
    EXPECT_EQ(seen.floating("real"), Double::denorm_min());
    EXPECT_EQ(seen.integer("gauge"), Int64::min());
    EXPECT_EQ(metrics.counts().refused_values, 0U);
}

TEST(MetricInstruments, WrapAroundInsteadOfOverflowing) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    const auto bound = counter.bind();
    counter.add(Int64::max());
    bound.add(1);
    EXPECT_EQ(collected(reader).integer("counter"), Int64::min());
}

TEST(MetricInstruments, TakeMinusZero) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<double> counter(metrics.meter(), "counter");
    const Histogram<> histogram(metrics.meter(), "histogram");
    const Gauge<double> gauge(metrics.meter(), "gauge");
    counter.add(-0.0);
    counter.bind().add(-0.0);
    histogram.record(-0.0);
    histogram.bind().record(-0.0);
    gauge.set(-0.0);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.floating("counter"), 0.0);
    EXPECT_EQ(seen.point("histogram").count, 2U);
    EXPECT_EQ(seen.point("histogram").buckets.front(), 2U);
    EXPECT_TRUE(std::signbit(seen.floating("gauge")));
    EXPECT_EQ(metrics.counts().refused_values, 0U);
}

TEST(MetricInstruments, LetAGaugeSayThatItDoesNotKnow) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Gauge<double> gauge(metrics.meter(), "gauge");
    gauge.set(Double::quiet_NaN());
    EXPECT_TRUE(std::isnan(collected(reader).floating("gauge")));
    gauge.set(-Double::infinity());
    EXPECT_EQ(collected(reader).floating("gauge"), -Double::infinity());
    gauge.bind().set(1.5);
    EXPECT_EQ(collected(reader).floating("gauge"), 1.5);
    EXPECT_EQ(metrics.counts().refused_values, 0U);
}

TEST(MetricInstruments, KeepAGaugesLastValue) {
    Metrics metrics;
    auto cumulative = metrics.reader();
    auto changes = metrics.reader(delta);
    const Gauge<> gauge(metrics.meter(), "gauge");
    gauge.set(1, {{"a", 1}});
    gauge.set(2, {{"a", 1}});
    EXPECT_EQ(collected(cumulative).integer("gauge", {{"a", 1}}), 2);
    EXPECT_EQ(collected(changes).integer("gauge", {{"a", 1}}), 2);
    EXPECT_EQ(collected(cumulative).integer("gauge", {{"a", 1}}), 2);
    EXPECT_FALSE(collected(changes).has("gauge", {{"a", 1}}));
    gauge.set(2, {{"a", 1}});
    EXPECT_EQ(collected(changes).integer("gauge", {{"a", 1}}), 2);
}

TEST(MetricInstruments, RecordNothingUnderANameThatIsNotAllowed) {
    Metrics metrics;
    auto reader = metrics.reader();
    const std::string longest(255, 'n');
    const std::string longer(256, 'm');
    struct Case {
        std::string_view name;
        std::string_view said;
    };
    for (const auto& [name, said] :
         {Case{"", "it is empty"}, Case{"1st", "it begins with '1'"},
          Case{"_x", "it begins with '_'"}, Case{"with space", "it has ' ' at 4"},
          Case{"caf\xc3\xa9", "at 3"}, Case{longer, "it has 256 characters"}}) {
        SCOPED_TRACE(name);
        Reports reports;
        const Counter<> counter(metrics.meter(), name);
        counter.add(1);
        counter.add(1, {{"a", 1}});
        counter.bind().add(1);
        EXPECT_FALSE(counter.is_enabled());
        EXPECT_TRUE(contains(reports.only(), "records nothing")) << reports.only();
        EXPECT_TRUE(contains(reports.only(), said)) << reports.only();
        EXPECT_TRUE(contains(reports.only(), "metric_instruments_test.cpp")) << reports.only();
    }
    const Counter<> good(metrics.meter(), longest);
    const Counter<> all(metrics.meter(), "aZ09_.-/");
    good.add(1);
    all.add(1);
    EXPECT_EQ(collected(reader).streams().size(), 2U);
}

TEST(MetricInstruments, RecordNothingWithAUnitThatIsNotAllowed) {
    Metrics metrics;
    auto reader = metrics.reader();
    const std::string longer(64, 'u');
    Reports reports;
    const Counter<> a(metrics.meter(), "unit.long", {.unit = longer});
    const Counter<> b(metrics.meter(), "unit.utf8", {.unit = "\xc2\xb5s"});
    a.add(1);
    EXPECT_TRUE(contains(reports.only(), "its unit has 64 characters: allowed are 63"));
    b.add(1);
    EXPECT_EQ(reports.count("metrics.name.unit.utf8"), 1U);
    EXPECT_TRUE(collected(reader).streams().empty());
}

TEST(MetricInstruments, AreOneWhenDefinedTwiceAlike) {
    Metrics metrics;
    auto reader = metrics.reader();
    Reports reports;
    const Counter<> one(metrics.meter(), "Twice.Alike", {.unit = "By", .description = "D"});
    const Counter<> two(metrics.meter(), "twice.alike", {.unit = "By", .description = "D"});
    one.add(1);
    two.add(2);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.streams().size(), 1U);
    EXPECT_EQ(seen.integer("Twice.Alike"), 3); // The first spelling.
    EXPECT_EQ(reports.size(), 0U);
}

TEST(MetricInstruments, AreTwoWithAWarningWhenDefinedDifferently) {
    Metrics metrics;
    auto reader = metrics.reader();
    Reports reports;
    const Counter<> one(metrics.meter(), "conflicting", {.unit = "By"});
    const Counter<> two(metrics.meter(), "Conflicting", {.unit = "s"});
    one.add(1);
    EXPECT_EQ(reports.size(), 0U);
    two.add(2);
    EXPECT_TRUE(contains(reports.only(), "defined twice, differently")) << reports.only();
    EXPECT_TRUE(contains(reports.only(), "Counter<integer> in \"By\"")) << reports.only();
    EXPECT_TRUE(contains(reports.only(), "Counter<integer> in \"s\"")) << reports.only();
    const auto seen = collected(reader);
    EXPECT_EQ(seen.streams_named("conflicting"), 2U);
    EXPECT_EQ(seen.integer_total("conflicting"), 3);
}

TEST(MetricInstruments, DifferByKindTypeAndDescription) {
    Metrics metrics;
    auto reader = metrics.reader();
    Reports reports;
    const Counter<> a(metrics.meter(), "differing");
    const Counter<double> b(metrics.meter(), "differing");
    const UpDownCounter<> c(metrics.meter(), "differing");
    const Counter<> d(metrics.meter(), "differing", {.description = "other"});
    a.add(1);
    b.add(1);
    c.add(1);
    d.add(1);
    EXPECT_EQ(collected(reader).streams_named("differing"), 4U);
    EXPECT_GE(reports.count("metrics.conflict.differing"), 1U);
}

TEST(MetricInstruments, OfAnotherMeterAreOthers) {
    Metrics first;
    Metrics second;
    Reports reports;
    const Counter<> a(first.meter(), "shared.name");
    const Counter<double> b(second.meter(), "shared.name");
    a.add(1);
    b.add(2);
    EXPECT_EQ(reports.size(), 0U);
    auto reader = first.reader();
    EXPECT_EQ(collected(reader).integer("shared.name"), 1);
}

TEST(MetricInstruments, UseTheAdvisoryParametersOfTheFirst) {
    Metrics metrics;
    auto reader = metrics.reader();
    constexpr double first[] = {1, 2};
    constexpr double second[] = {10};
    const Histogram<> one(metrics.meter(), "advised", {.boundaries = first});
    const Histogram<> two(metrics.meter(), "advised", {.boundaries = second});
    one.record(1);
    two.record(1);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.stream("advised").boundaries, (std::vector<double>{1, 2}));
    EXPECT_EQ(seen.point("advised").count, 2U);
}

TEST(MetricInstruments, LeaveOutAdvisoryBoundariesThatAreWrong) {
    Metrics metrics;
    auto reader = metrics.reader();
    constexpr double falling[] = {2, 1};
    Reports reports;
    const Histogram<> histogram(metrics.meter(), "advised.wrongly", {.boundaries = falling});
    histogram.record(1);
    EXPECT_TRUE(contains(reports.only(), "its boundaries are left out")) << reports.only();
    EXPECT_EQ(collected(reader).stream("advised.wrongly").boundaries.size(), 15U);
}

TEST(MetricInstruments, MayBeDefinedInThousands) {
    Metrics metrics;
    auto reader = metrics.reader();
    std::deque<std::string> names;
    for (int i = 0; i < 1000; ++i) {
        const Counter<> counter(metrics.meter(), names.emplace_back("n" + std::to_string(i)));
        counter.add(i);
    }
    const auto seen = collected(reader);
    EXPECT_EQ(seen.streams().size(), 1000U);
    EXPECT_EQ(seen.integer("n999"), 999);
}

TEST(MetricInstruments, SayWhetherTheyAreEnabled) {
    const Counter<> nobody(Meter("nobody").bound_to(nullptr), "nobody");
    EXPECT_FALSE(nobody.is_enabled());
    nobody.add(1);
    nobody.bind().add(1);
    Metrics metrics(
        std::vector<View>{{.selector = {.name = "dropped"}, .aggregation = Aggregation::drop()}});
    const Counter<> kept(metrics.meter(), "kept");
    const Counter<> dropped(metrics.meter(), "dropped");
    EXPECT_TRUE(kept.is_enabled());
    EXPECT_FALSE(dropped.is_enabled());
    detail::close(metrics.provider());
    EXPECT_FALSE(kept.is_enabled());
}

TEST(MetricInstruments, RecordNothingOnceTheProviderIsClosed) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    const auto bound = counter.bind({{"a", 1}});
    counter.add(1);
    bound.add(1);
    detail::close(metrics.provider());
    counter.add(10);
    bound.add(10);
    const auto late = counter.bind({{"a", 1}});
    late.add(10);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("counter"), 1);
    EXPECT_EQ(seen.integer("counter", {{"a", 1}}), 1);
}

TEST(MetricInstruments, TimeInTheirUnit) {
    ManualClock clock;
    Metrics metrics;
    auto reader = metrics.reader();
    const Histogram<> seconds(metrics.meter(), "timer.s", {.unit = "s"});
    const Histogram<std::int64_t> millis(metrics.meter(), "timer.ms", {.unit = "ms"});
    const Histogram<> micros(metrics.meter(), "timer.us", {.unit = "us"});
    const Histogram<> nanos(metrics.meter(), "timer.ns", {.unit = "ns"});
    const Histogram<> cancelled(metrics.meter(), "timer.none");
    const auto bound = nanos.bind({{"bound", true}});
    {
        const auto a = seconds.timer();
        auto b = millis.timer();
        auto c = micros.timer();
        auto d = nanos.timer();
        auto moved = std::move(d);
        const auto e = bound.timer();
        auto f = cancelled.timer();
        clock.advance(std::chrono::milliseconds(1500));
        b.stop({{"outcome", "ok"}});
        b.stop({{"outcome", "ok"}});
        f.cancel();
    }
    const auto seen = collected(reader);
    EXPECT_EQ(seen.point("timer.s").sum, 1.5);
    EXPECT_EQ(seen.point("timer.ms", {{"outcome", "ok"}}).sum, 1500);
    EXPECT_EQ(seen.point("timer.ms", {{"outcome", "ok"}}).count, 1U);
    EXPECT_EQ(seen.point("timer.us").sum, 1.5e6);
    EXPECT_EQ(seen.point("timer.ns").sum, 1.5e9);
    EXPECT_EQ(seen.point("timer.ns").count, 1U);
    EXPECT_EQ(seen.point("timer.ns", {{"bound", true}}).sum, 1.5e9);
    EXPECT_FALSE(seen.has("timer.none"));
}

} // namespace
} // namespace weft::testing
