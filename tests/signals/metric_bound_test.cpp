// Handles whose attributes are settled: before, during and after runtimes.

#include "metric_harness.hpp"

#include <memory>
#include <thread>

namespace weft::testing {
namespace {

// Constants as a program has them: they live before main and after it.
const Counter<> early("bound.early");
const BoundCounter<> early_bound = early.bind({{"where", "namespace"}});
const Histogram<> early_histogram("bound.early_histogram");
const BoundHistogram<> early_bound_histogram = early_histogram.bind();
constinit const Counter<> constant("bound.constant");

/// The process's default provider while it lives.
class Default {
public:
    explicit Default(MetricOptions options = {})
        : provider(detail::make_meter_provider(std::move(options))) {
        EXPECT_TRUE(detail::claim_default(provider));
    }
    Default(const Default&) = delete;
    Default& operator=(const Default&) = delete;
    ~Default() { detail::close(provider); }
    MetricCapture collect() {
        MetricReader reader(provider, {});
        return collected(reader);
    }
    detail::MeterProvider& provider;
};

// What a handler of the library's own log may do: anything. It must find no mutex taken.
TEST(MetricBound, MayBeMadeAndUsedInAHandlerThatIsToldOfItsOverflow) {
    Default provider(MetricOptions{.cardinality_limit = 1});
    const Counter<> counter("bound.overflowing");
    int told = 0;
    diagnostics().set_handler([&](const Diagnostic& diagnostic) {
        if (!diagnostic.key.starts_with("metrics.overflow")) { return; }
        ++told;
        const auto inner = counter.bind({{"made in", "the handler"}});
        inner.add(1);
        (void)provider.collect();
    });
    const auto one = counter.bind({{"k", 1}});
    const auto two = counter.bind({{"k", 2}});
    diagnostics().set_handler(nullptr);
    EXPECT_EQ(told, 1);
    one.add(1);
    two.add(1);
    EXPECT_EQ(provider.collect().integer("bound.overflowing", {{"otel.metric.overflow", true}}), 2);
}

TEST(MetricBound, MayBeMadeInAHandlerThatIsToldOfAViewsConflict) {
    const Counter<> one("bound.conflict.one");
    const Counter<> two("bound.conflict.two");
    const auto early_one = one.bind();
    const auto early_two = two.bind();
    int told = 0;
    diagnostics().set_handler([&](const Diagnostic& diagnostic) {
        if (!diagnostic.key.starts_with("metrics.view_conflict")) { return; }
        ++told;
        const auto inner = one.bind({{"made in", "the handler"}});
        inner.add(1);
    });
    const Default provider(MetricOptions{
        .views = {
            {.selector = {.name = "bound.conflict.one"}, .name = "bound.conflict"},
            {.selector = {.name = "bound.conflict.two"}, .name = "bound.conflict"}}});
    diagnostics().set_handler(nullptr);
    EXPECT_EQ(told, 1) << "when the provider becomes the default, and handles get their series";
}

TEST(MetricBound, RecordsIntoEachRuntimeOnlyWhatWasMeasuredInItsTime) {
    early_bound.add(1);
    early.add(1);
    constant.add(1);
    {
        Default first;
        early_bound.add(10);
        early.add(20, {{"where", "namespace"}});
        constant.add(1);
        early_bound_histogram.record(3);
        const auto seen = first.collect();
        EXPECT_EQ(seen.integer("bound.early", {{"where", "namespace"}}), 30);
        EXPECT_EQ(seen.integer("bound.constant"), 1);
        EXPECT_EQ(seen.point("bound.early_histogram").count, 1U);
    }
    early_bound.add(100);
    early_bound_histogram.record(3);
    {
        Default second;
        early_bound.add(1000);
        const auto seen = second.collect();
        EXPECT_EQ(seen.integer("bound.early", {{"where", "namespace"}}), 1000);
        EXPECT_FALSE(seen.has("bound.early_histogram"));
    }
    early_bound.add(10000);
}

TEST(MetricBound, ReportsToTheFirstOfTwoRuntimes) {
    Default first;
    auto& second = detail::make_meter_provider({});
    EXPECT_FALSE(detail::claim_default(second));
    early_bound.add(1);
    EXPECT_EQ(first.collect().integer("bound.early", {{"where", "namespace"}}), 1);
    MetricReader reader(second, {});
    EXPECT_TRUE(collected(reader).streams().empty());
    detail::close(second);
    early_bound.add(1); // The first is still there.
    EXPECT_EQ(first.collect().integer("bound.early", {{"where", "namespace"}}), 2);
}

TEST(MetricBound, IsTheSameSeriesAsUnbound) {
    Metrics metrics;
    auto reader = metrics.reader();
    const UpDownCounter<double> counter(metrics.meter(), "counter");
    const auto bound = counter.bind({{"a", 1}});
    const auto again = counter.bind({{"a", 1}});
    bound.add(1.5);
    again.add(-2);
    counter.add(4, {{"a", 1}});
    EXPECT_EQ(collected(reader).floating("counter", {{"a", 1}}), 3.5);
}

TEST(MetricBound, GoesOnWhereItIsMovedTo) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    auto one = counter.bind({{"n", 1}});
    one.add(1);
    auto two = std::move(one);
    two.add(2);
    one.add(100); // Moved from: nowhere.
    auto three = counter.bind({{"n", 3}});
    three = std::move(two);
    three.add(4);
    two.add(100);
    one = std::move(three);
    one.add(8);
    auto& self = one;
    one = std::move(self);
    one.add(16);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("counter", {{"n", 1}}), 31);
    EXPECT_FALSE(seen.has("counter", {{"n", 3}}));
    detail::close(metrics.provider());
    one.add(100);
    EXPECT_EQ(collected(reader).integer("counter", {{"n", 1}}), 31);
}

TEST(MetricBound, MayBeDestroyedOnAnotherThread) {
    Metrics metrics;
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    auto bound = std::make_unique<BoundCounter<>>(counter.bind());
    bound->add(1);
    std::thread([&] {
        bound->add(2);
        bound.reset();
    }).join();
    EXPECT_EQ(collected(reader).integer("counter"), 3);
}

TEST(MetricBound, FeedsEveryView) {
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "multi"}},
        {.selector = {.name = "multi"},
         .name = "multi.histogram",
         .aggregation = Aggregation::histogram({1, 2})},
        {.selector = {.name = "multi"},
         .name = "multi.by_a",
         .attributes = {.include = std::vector<std::string>{"a"}}}});
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "multi");
    const auto bound = counter.bind({{"a", 1}, {"b", 2}});
    bound.add(1);
    bound.add(3);
    counter.add(5, {{"a", 1}, {"b", 3}});
    counter.add(5, {{"a", 1}, {"b", 3}});
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("multi", {{"a", 1}, {"b", 2}}), 4);
    EXPECT_EQ(seen.integer("multi", {{"a", 1}, {"b", 3}}), 10);
    EXPECT_EQ(seen.integer("multi.by_a", {{"a", 1}}), 14);
    const auto& histogram = seen.point("multi.histogram", {{"a", 1}, {"b", 2}});
    EXPECT_EQ(histogram.count, 2U);
    EXPECT_EQ(histogram.sum, 4);
}

TEST(MetricBound, RecordsNothingOfWhatAViewDrops) {
    Metrics metrics(std::vector<View>{{.aggregation = Aggregation::drop()}});
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    counter.bind().add(1);
    counter.add(1);
    EXPECT_TRUE(collected(reader).streams().empty());
    EXPECT_EQ(metrics.counts().lost, 0U);
}

TEST(MetricBound, CountsWhatIsRejectedWhenItWasMade) {
    Metrics metrics(MetricOptions{.cardinality_limit = 1, .overflow = OverflowMode::reject});
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    counter.add(1, {{"a", 1}});
    const auto bound = counter.bind({{"a", 2}});
    for (int i = 0; i < 5; ++i) { bound.add(1); }
    const auto report = detail::cardinality(metrics.provider());
    ASSERT_EQ(report.size(), 1U);
    EXPECT_EQ(report.front().rejected, 5U);
    EXPECT_EQ(collected(reader).integer_total("counter"), 1);
}

TEST(MetricBound, SurvivesRuntimesThatComeAndGoWhileItRecords) {
    std::atomic<bool> stop{false};
    std::thread recorder([&] {
        while (!stop.load(std::memory_order_relaxed)) { // relaxed: only asks to stop.
            early_bound.add(1);
            early.add(1, {{"where", "namespace"}});
        }
    });
    for (int i = 0; i < 50; ++i) {
        Default runtime;
        const auto handle = early.bind({{"n", i}});
        handle.add(1);
        EXPECT_EQ(runtime.collect().integer("bound.early", {{"n", i}}), 1);
    }
    stop.store(true, std::memory_order_relaxed); // relaxed: as above.
    recorder.join();
}

} // namespace
} // namespace weft::testing
