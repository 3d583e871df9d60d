// A measurement of an attribute set that this thread has seen allocates nothing. In the binary whose `operator new` is
// replaced.

#include "../support/counted_new.hpp"
#include "metric_harness.hpp"

#include <weft/signals/span.hpp>

#include <array>

namespace weft::testing {
namespace {

std::uint64_t allocations_of(const auto& call) {
    for (int i = 0; i < 100; ++i) { call(); }
    const auto before = allocations();
    for (int i = 0; i < 1000; ++i) { call(); }
    return allocations() - before;
}

TEST(MetricAllocation, IsNotDoneForASetThatWasSeen) {
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "twice"}},
        {.selector = {.name = "twice"},
         .name = "twice.histogram",
         .aggregation = Aggregation::histogram({1})},
        {.selector = {.name = "exponential"}, .aggregation = Aggregation::exponential()}});
    const Counter<> counter(metrics.meter(), "counter");
    const Counter<> twice(metrics.meter(), "twice");
    const UpDownCounter<double> updown(metrics.meter(), "updown");
    const Histogram<> histogram(metrics.meter(), "histogram");
    const Histogram<> exponential(metrics.meter(), "exponential");
    const Gauge<> gauge(metrics.meter(), "gauge");
    const auto bound = counter.bind({{"bound", true}});
    const auto bound_histogram = histogram.bind({{"bound", true}});
    EXPECT_EQ(allocations_of([&] { counter.add(1); }), 0U);
    EXPECT_EQ(allocations_of([&] { counter.add(1, {{"a", "x"}, {"b", 2}, {"c", 3.5}}); }), 0U);
    EXPECT_EQ(allocations_of([&] { twice.add(1, {{"a", "x"}}); }), 0U);
    EXPECT_EQ(allocations_of([&] { twice.add(1); }), 0U);
    EXPECT_EQ(allocations_of([&] { updown.add(-1, {{"a", true}}); }), 0U);
    EXPECT_EQ(allocations_of([&] { histogram.record(7, {{"a", "x"}}); }), 0U);
    EXPECT_EQ(allocations_of([&] { exponential.record(7, {{"a", "x"}}); }), 0U);
    EXPECT_EQ(allocations_of([&] { gauge.set(7, {{"a", "x"}}); }), 0U);
    EXPECT_EQ(allocations_of([&] { bound.add(1); }), 0U);
    EXPECT_EQ(allocations_of([&] { bound_histogram.record(1); }), 0U);
    EXPECT_EQ(allocations_of([&] { histogram.timer().stop({{"a", "timed"}}); }), 0U);
}

TEST(MetricAllocation, IsNotDoneForLargeOrNestedSetsEither) {
    Metrics metrics;
    const Counter<> counter(metrics.meter(), "counter");
    const std::string large(600, 'v');
    const std::string larger(20'000, 'w');
    const std::array<std::int64_t, 3> array{1, 2, 3};
    EXPECT_EQ(allocations_of([&] { counter.add(1, {{"large", large}}); }), 0U);
    EXPECT_EQ(allocations_of([&] { counter.add(1, {{"larger", larger}, {"a", 1}}); }), 0U);
    EXPECT_EQ(allocations_of([&] { counter.add(1, {{"array", array}}); }), 0U);
    EXPECT_EQ(allocations_of([&] { counter.add(1, {{"map", AttributeMap{{"id", 7}}}}); }), 0U);
}

TEST(MetricAllocation, IsNotDoneWhereTelemetryIsOff) {
    const Counter<> counter(Meter("off").bound_to(nullptr), "counter");
    EXPECT_EQ(allocations_of([&] { counter.add(1, {{"a", 1}}); }), 0U);
}

} // namespace
} // namespace weft::testing
