// Which measurements become exemplars, and what they tell.

#include "metric_harness.hpp"

#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <functional>

namespace weft::testing {
namespace {

constexpr auto delta = TemporalityPreference::delta;
using Exemplars = std::vector<CapturedExemplar>;

MetricOptions always() { return {.exemplar_filter = ExemplarFilter::always_on}; }

TEST(MetricExemplars, ComeFromSampledSpansOnly) {
    Metrics metrics;
    auto reader = metrics.reader();
    SpanSink sampled({.make_default = false});
    SpanSink unsampled({.sampler = Sampler::always_off(), .make_default = false});
    const Counter<> counter(metrics.meter(), "counter");
    const Histogram<> histogram(metrics.meter(), "histogram");
    const Gauge<> gauge(metrics.meter(), "gauge");
    const auto measure = [&](std::int64_t value) {
        counter.add(value);
        histogram.record(static_cast<double>(value));
        gauge.set(value);
    };
    measure(1);
    {
        const auto seen = collected(reader);
        for (const auto& stream : seen.streams()) {
            EXPECT_TRUE(stream.points.front().exemplars.empty()) << stream.name;
        }
    }
    {
        const Span span(unsampled.tracer(), "unsampled");
        measure(2);
    }
    EXPECT_TRUE(collected(reader).point("counter").exemplars.empty());
    const Span span(sampled.tracer(), "sampled");
    measure(3);
    const auto seen = collected(reader);
    for (const std::string_view name : {"counter", "histogram", "gauge"}) {
        SCOPED_TRACE(name);
        const auto& exemplars = seen.point(name).exemplars;
        ASSERT_EQ(exemplars.size(), 1U);
        EXPECT_EQ(exemplars[0].value.as_double(), 3);
        EXPECT_EQ(exemplars[0].trace_id, span.context().trace_id);
        EXPECT_EQ(exemplars[0].span_id, span.context().span_id);
    }
}

TEST(MetricExemplars, AreTakenOfEverythingOrOfNothingOnDemand) {
    Metrics on(always());
    auto reader = on.reader();
    const Counter<> counter(on.meter(), "counter");
    counter.add(5);
    const auto exemplars = collected(reader).point("counter").exemplars;
    ASSERT_EQ(exemplars.size(), 1U);
    EXPECT_EQ(exemplars[0].value.integer, 5);
    EXPECT_EQ(exemplars[0].trace_id, TraceId{});
    Metrics off(MetricOptions{.exemplar_filter = ExemplarFilter::always_off});
    auto other = off.reader();
    SpanSink sink({.make_default = false});
    const Span span(sink.tracer(), "sampled");
    const Counter<> quiet(off.meter(), "counter");
    quiet.add(5);
    EXPECT_TRUE(collected(other).point("counter").exemplars.empty());
}

TEST(MetricExemplars, HaveTheAttributesThatTheirPointHasNot) {
    auto options = always();
    options.views = {{.attributes = {.include = std::vector<std::string>{"kept"}}}};
    Metrics metrics(options);
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    const Histogram<> histogram(metrics.meter(), "histogram");
    counter.add(1, {{"user", 7}, {"kept", 1}, {"zone", "x"}, {"user", 8}});
    histogram.bind({{"kept", 1}, {"user", "bound"}}).record(1);
    const auto seen = collected(reader);
    const auto& of_counter = seen.point("counter", {{"kept", 1}}).exemplars;
    ASSERT_EQ(of_counter.size(), 1U);
    EXPECT_EQ(of_counter[0].filtered_attributes, captured({{"user", 8}, {"zone", "x"}}));
    const auto& of_histogram = seen.point("histogram", {{"kept", 1}}).exemplars;
    ASSERT_EQ(of_histogram.size(), 1U);
    EXPECT_EQ(of_histogram[0].filtered_attributes, captured({{"user", "bound"}}));
}

TEST(MetricExemplars, HaveAllAttributesInTheOverflow) {
    auto options = always();
    options.cardinality_limit = 1;
    Metrics metrics(options);
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "overflowing");
    counter.add(1, {{"a", 1}});
    counter.add(1, {{"a", 2}});
    const auto seen = collected(reader);
    const auto& exemplars = seen.point("overflowing", {{"otel.metric.overflow", true}}).exemplars;
    ASSERT_EQ(exemplars.size(), 1U);
    EXPECT_EQ(exemplars[0].filtered_attributes, captured({{"a", 2}}));
}

TEST(MetricExemplars, AreOneForEachBucket) {
    auto options = always();
    options.views = {{.aggregation = Aggregation::histogram({1, 2, 3})}};
    Metrics metrics(options);
    auto reader = metrics.reader();
    const Histogram<> histogram(metrics.meter(), "histogram");
    const auto bound = histogram.bind();
    for (int i = 0; i < 100; ++i) {
        histogram.record(0.5);
        bound.record(1.5);
        histogram.record(7);
    }
    const auto point = collected(reader).point("histogram");
    ASSERT_EQ(point.exemplars.size(), 3U);
    EXPECT_EQ(point.exemplars[0].value.floating, 0.5);
    EXPECT_EQ(point.exemplars[1].value.floating, 1.5);
    EXPECT_EQ(point.exemplars[2].value.floating, 7);
}

TEST(MetricExemplars, AreTwentyOfAnExponentialHistogram) {
    auto options = always();
    options.views = {{.aggregation = Aggregation::exponential()}};
    Metrics metrics(options);
    auto reader = metrics.reader();
    const Histogram<> histogram(metrics.meter(), "histogram");
    histogram.record(1);
    EXPECT_EQ(collected(reader).point("histogram").exemplars.size(), 1U);
    for (int i = 0; i < 100'000; ++i) { histogram.record(i); }
    const auto count = collected(reader).point("histogram").exemplars.size();
    EXPECT_GE(count, 10U);
    EXPECT_LE(count, 20U);
}

TEST(MetricExemplars, OfADeltaPointAreOfItsInterval) {
    ManualClock clock;
    Metrics metrics(always());
    auto reader = metrics.reader(delta);
    const Counter<> counter(metrics.meter(), "counter");
    const Histogram<> histogram(metrics.meter(), "histogram");
    for (int round = 1; round <= 20; ++round) {
        clock.advance(std::chrono::seconds(1));
        counter.add(round);
        histogram.record(round);
        clock.advance(std::chrono::seconds(1));
        const auto seen = collected(reader);
        const auto& times = seen.point("counter").times;
        for (const auto& exemplar : seen.point("counter").exemplars) {
            EXPECT_GE(exemplar.time_unix_ns, times.start_unix_ns);
            EXPECT_LE(exemplar.time_unix_ns, times.time_unix_ns);
            EXPECT_EQ(exemplar.value.integer, round);
        }
        ASSERT_EQ(seen.point("counter").exemplars.size(), 1U) << round;
        ASSERT_EQ(seen.point("histogram").exemplars.size(), 1U) << round;
        EXPECT_EQ(seen.point("histogram").exemplars[0].value.floating, round);
    }
}

// Chi-squared over ten groups of measurements: each must be drawn equally often.
void expect_even(const std::function<double(int)>& one_drawn) {
    constexpr int groups = 10;
    constexpr int rounds = 4000;
    double seen[groups]{};
    for (int round = 0; round < rounds; ++round) {
        const auto drawn = static_cast<int>(one_drawn(round));
        ASSERT_GE(drawn, 0);
        ASSERT_LT(drawn, 100);
        ++seen[drawn / (100 / groups)];
    }
    double chi_squared = 0;
    for (const double count : seen) {
        const double expected = static_cast<double>(rounds) / groups;
        chi_squared += (count - expected) * (count - expected) / expected;
    }
    // 9 degrees of freedom: above 40 once in 130,000 runs.
    EXPECT_LT(chi_squared, 40) << "of the library's own generator, whose seed cannot be chosen";
}

TEST(MetricExemplars, OfASumAreDrawnEvenlyInEveryInterval) {
    ManualClock clock;
    Metrics metrics(always());
    auto reader = metrics.reader(delta);
    const Counter<> counter(metrics.meter(), "counter");
    const auto bound = counter.bind();
    expect_even([&](int) {
        clock.advance(std::chrono::seconds(1));
        for (int i = 0; i < 100; ++i) { bound.add(i); }
        clock.advance(std::chrono::seconds(1));
        const auto seen = collect_now(reader).point("counter").exemplars;
        return seen.size() == 1 ? static_cast<double>(seen[0].value.integer) : -1.0;
    });
}

TEST(MetricExemplars, OfABucketAreDrawnEvenlyInEveryInterval) {
    auto options = always();
    options.views = {{.aggregation = Aggregation::histogram({1000})}};
    ManualClock clock;
    Metrics metrics(options);
    auto reader = metrics.reader(delta);
    const Histogram<> histogram(metrics.meter(), "histogram");
    const auto bound = histogram.bind();
    expect_even([&](int) {
        clock.advance(std::chrono::seconds(1));
        for (int i = 0; i < 100; ++i) { bound.record(i); }
        clock.advance(std::chrono::seconds(1));
        const auto seen = collect_now(reader).point("histogram").exemplars;
        return seen.size() == 1 ? seen[0].value.floating : -1.0;
    });
}

} // namespace
} // namespace weft::testing
