#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/metric_group.hpp>
#include <weft/testing/collected_metrics.hpp>
#include <weft/testing/metric_capture.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace weft;
using weft::testing::CollectedMetrics;
using weft::testing::MetricCapture;

// A provider of its own for each test; instruments are of the process, hence a meter of each test's own name.
class MetricGroups : public ::testing::Test {
protected:
    MetricGroups() {
        diagnostics().set_handler(
            [this](const Diagnostic& said) { messages.emplace_back(said.message); });
    }
    ~MetricGroups() override {
        diagnostics().set_handler({});
        detail::close(provider);
    }
    [[nodiscard]] CollectedMetrics collect() { return CollectedMetrics(provider); }
    [[nodiscard]] bool has_said(std::string_view text) const {
        for (const auto& message : messages) {
            if (message.find(text) != std::string::npos) { return true; }
        }
        return false;
    }

    detail::MeterProvider& provider = detail::make_meter_provider({});
    const std::string meter_name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    const Meter meter = Meter(meter_name).bound_to(&provider);
    std::vector<std::string> messages;
};

TEST_F(MetricGroups, GiveInstrumentsTheirPrefixAndAttributes) {
    const MetricGroup orders(meter, "shop.orders", {{"region", "eu"}});
    const auto placed = orders.counter("placed", {.unit = "{order}", .description = "Orders."});
    placed.add(2, {{"channel", "web"}});
    placed.add(3);
    const auto collected = collect();
    EXPECT_EQ(placed.name(), "shop.orders.placed");
    EXPECT_EQ(collected.value("shop.orders.placed", "channel=web,region=eu"), 2);
    EXPECT_EQ(collected.value("shop.orders.placed", "region=eu"), 3);
    const auto point = collected.find("shop.orders.placed", "region=eu");
    ASSERT_TRUE(point);
    EXPECT_EQ(point->unit, "{order}");
    EXPECT_EQ(point->description, "Orders.");
    EXPECT_EQ(point->meter, meter_name);
    EXPECT_TRUE(point->is_monotonic);
}

TEST_F(MetricGroups, MakeObservableInstrumentsOfEveryKind) {
    const MetricGroup orders(meter, "shop.observed", {{"region", "eu"}});
    const auto counter =
        orders.observable_counter("counter", {.unit = "{order}"}, [](Observations& to) {
            to.observe<std::int64_t>(7, {{"channel", "web"}});
        });
    const auto both_ways = orders.observable_up_down_counter<double>(
        "both_ways", {}, [](Observations& to) { to.observe(-2.5); });
    const auto gauge =
        orders.observable_gauge("gauge", {}, [](Observations& to) { to.observe(1.5); });
    const auto collected = collect();
    EXPECT_EQ(counter.name(), "shop.observed.counter");
    const auto point = collected.find("shop.observed.counter", "channel=web,region=eu");
    ASSERT_TRUE(point);
    EXPECT_EQ(point->value, 7);
    EXPECT_EQ(point->unit, "{order}");
    EXPECT_TRUE(point->is_monotonic);
    EXPECT_EQ(collected.value("shop.observed.both_ways", "region=eu"), -2.5);
    EXPECT_EQ(collected.find("shop.observed.gauge", "region=eu")->kind, MetricKind::gauge);
}

TEST_F(MetricGroups, LetOneCallbackServeSeveralInstrumentsEachWithItsOwnAttributes) {
    const MetricGroup east(meter, "shop.several", {{"region", "east"}});
    const MetricGroup west(meter, "shop.several", {{"region", "west"}});
    const auto one = east.observable_gauge<std::int64_t>("open");
    const auto two = west.observable_gauge<std::int64_t>("open");
    const ObservableGauge<std::int64_t> plain(meter, "plain");
    const ObservableCallback callback(
        {one.instrument(), two.instrument(), plain}, [&](Observations& to) {
            to.observe<std::int64_t>(one, 1);
            to.observe<std::int64_t>(two, 2, {{"channel", "web"}});
            to.observe<std::int64_t>(plain, 3);
        });
    const auto collected = collect();
    EXPECT_EQ(collected.value("shop.several.open", "region=east"), 1);
    EXPECT_EQ(collected.value("shop.several.open", "channel=web,region=west"), 2);
    EXPECT_EQ(collected.value("plain"), 3);
}

TEST_F(MetricGroups, LetAnObservationsOwnAttributesWin) {
    const MetricGroup orders(meter, "shop.wins", {{"region", "eu"}});
    const auto gauge = orders.observable_gauge("gauge", {}, [](Observations& to) {
        to.observe(1.0, {{"region", "us"}});
    });
    EXPECT_EQ(collect().value("shop.wins.gauge", "region=us"), 1);
}

TEST_F(MetricGroups, AskACallbackAsLongAsItsInstrumentLives) {
    const MetricGroup orders(meter, "shop.lives");
    int asked = 0;
    {
        auto gauge = orders.observable_gauge("gauge", {}, [&](Observations&) { ++asked; });
        const auto moved = std::move(gauge);
        (void)collect();
        EXPECT_EQ(asked, 1);
    }
    (void)collect();
    EXPECT_EQ(asked, 1);
}

TEST_F(MetricGroups, AskACoroutineToo) {
    const MetricGroup orders(meter, "shop.coroutine", {{"region", "eu"}});
    const auto gauge =
        orders.observable_gauge("gauge", {}, [](Observations& to) -> asio::awaitable<void> {
            to.observe(4.0);
            co_return;
        });
    MetricReader reader(provider, {});
    MetricCapture seen;
    asio::io_context context;
    auto done = asio::co_spawn(context, reader.collect(seen), asio::use_future);
    context.run();
    done.get();
    EXPECT_EQ(seen.floating("shop.coroutine.gauge", {{"region", "eu"}}), 4.0);
}

TEST_F(MetricGroups, MakeEveryKindOfInstrument) {
    const double boundaries[] = {1, 10};
    const MetricGroup group(meter, "g", {{"a", 1}});
    group.up_down_counter("open").add(-2);
    group.up_down_counter<double>("open_d").add(-2.5, {{"b", true}});
    group.counter<double>("sum").add(0.5);
    group.gauge<double>("level").set(0.25);
    group.gauge("count").set(7);
    group.histogram("time", {.boundaries = boundaries}).record(3);
    group.histogram<std::int64_t>("size").record(4, {{"b", 2.5}});
    const auto collected = collect();
    EXPECT_EQ(collected.value("g.open", "a=1"), -2);
    EXPECT_EQ(collected.value("g.open_d", "a=1,b=true"), -2.5);
    EXPECT_EQ(collected.value("g.sum", "a=1"), 0.5);
    EXPECT_EQ(collected.value("g.level", "a=1"), 0.25);
    EXPECT_EQ(collected.value("g.count", "a=1"), 7);
    EXPECT_EQ(collected.value("g.size", "a=1,b=2.5"), 4);
    const auto time = collected.find("g.time", "a=1");
    ASSERT_TRUE(time);
    EXPECT_EQ(time->count, 1u);
    EXPECT_EQ(time->boundaries, 2u);
}

TEST_F(MetricGroups, BindTheirAttributesWithThoseGiven) {
    const MetricGroup group(meter, "g", {{"a", "1"}});
    const auto counter = group.counter("c").bind({{"b", "2"}});
    const auto gauge = group.gauge("l").bind();
    const auto up_down = group.up_down_counter("u").bind();
    const auto histogram = group.histogram("h").bind({{"b", "2"}});
    counter.add(5);
    counter.add(6);
    gauge.set(7);
    up_down.add(-8);
    histogram.record(9);
    { const auto timer = histogram.timer(); }
    const auto collected = collect();
    EXPECT_EQ(collected.value("g.c", "a=1,b=2"), 11);
    EXPECT_EQ(collected.value("g.l", "a=1"), 7);
    EXPECT_EQ(collected.value("g.u", "a=1"), -8);
    EXPECT_EQ(collected.find("g.h", "a=1,b=2").value().count, 2u);
}

TEST_F(MetricGroups, LetTheCallsAttributeCountWhereKeysAreEqual) {
    const MetricGroup group(meter, "g", {{"region", "eu"}, {"a", "1"}});
    const auto counter = group.counter("c");
    counter.add(1, {{"region", "us"}});
    counter.bind({{"region", "us"}}).add(1);
    EXPECT_EQ(collect().value("g.c", "a=1,region=us"), 2);
}

TEST_F(MetricGroups, ShareASeriesWithTheSameAttributesOutsideOfAGroup) {
    MetricGroup(meter, "g", {{"a", "1"}}).counter("c").add(1, {{"b", "2"}});
    const Counter<> plain(meter, "g.c");
    plain.add(1, {{"b", "2"}, {"a", "1"}});
    const auto collected = collect();
    EXPECT_EQ(collected.points.size(), 1u);
    EXPECT_EQ(collected.value("g.c", "a=1,b=2"), 2);
}

TEST_F(MetricGroups, OwnWhatTheyAreMadeOf) {
    std::optional<GroupCounter<>> counter;
    std::optional<BoundHistogram<double>> bound;
    {
        const std::string prefix = "prefix.of.a.length.that.is.on.the.heap";
        const std::string value = "a value of a length that is on the heap";
        const std::string name = "name_of_a_length_that_is_on_the_heap";
        const std::string unit = "{unit_of_a_length_that_is_on_the_heap}";
        const std::vector<std::int64_t> numbers{1, 2, 3};
        const MetricGroup group(meter, prefix, {{"value", value}, {"numbers", numbers}});
        counter.emplace(group.counter(name, {.unit = unit}));
        bound.emplace(group.histogram(name + ".h", {.unit = unit}).bind());
    }
    counter->add(1);
    bound->record_elapsed(1'000'000'000);
    const auto collected = collect();
    ASSERT_EQ(collected.points.size(), 2u);
    for (const auto& point : collected.points) {
        EXPECT_TRUE(point.name.starts_with(
            "prefix.of.a.length.that.is.on.the.heap.name_of_a_length_that_is_on_the_heap"));
        EXPECT_EQ(
            point.attributes, "numbers=[1,2,3],value=a value of a length that is on the heap");
        EXPECT_EQ(point.unit, "{unit_of_a_length_that_is_on_the_heap}");
        EXPECT_EQ(point.value, 1);
    }
}

TEST_F(MetricGroups, NestPrefixesAndAttributes) {
    const MetricGroup shop(meter, "shop", {{"region", "eu"}});
    const auto refunds = shop.group("refunds", {{"by", "card"}});
    EXPECT_EQ(refunds.prefix(), "shop.refunds");
    refunds.counter("paid").add(1);
    EXPECT_EQ(collect().value("shop.refunds.paid", "by=card,region=eu"), 1);
}

TEST_F(MetricGroups, NeedNoPrefix) {
    MetricGroup(meter, "", {{"a", "1"}}).counter("plain").add(1);
    EXPECT_EQ(collect().value("plain", "a=1"), 1);
}

TEST_F(MetricGroups, RefuseABadNameAtOnceAndRecordNothing) {
    const MetricGroup group(meter, "1shop");
    const auto counter = group.counter("placed");
    EXPECT_TRUE(has_said("\"1shop.placed\"")) << "nothing was said";
    EXPECT_TRUE(has_said("metric_group_test.cpp"));
    counter.add(1);
    counter.bind().add(1);
    const auto said = messages.size();
    (void)MetricGroup(meter, "shop").counter("");
    (void)MetricGroup(meter, "shop").counter("a b");
    (void)MetricGroup(meter, "shop").counter(std::string(255, 'x'));
    (void)MetricGroup(meter, "shop").counter("c", {.unit = std::string(64, 'x')});
    EXPECT_EQ(messages.size(), said + 4);
    EXPECT_TRUE(collect().points.empty());
    EXPECT_FALSE(counter.is_enabled());
}

TEST_F(MetricGroups, RecordNothingWithAttributesBeyondAllBounds) {
    const std::string value(70'000, 'x');
    const MetricGroup group(meter, "g", {{"a", value}});
    EXPECT_TRUE(has_said("64 KiB"));
    const auto counter = group.counter("c");
    counter.add(1);
    counter.bind().add(1);
    EXPECT_TRUE(collect().points.empty());
}

TEST_F(MetricGroups, CountWhatDoesNotFitBesideTheirAttributes) {
    const MetricGroup group(meter, "g", {{"a", "1"}});
    const std::string value(70'000, 'x');
    group.counter("c").add(1, {{"b", value}});
    EXPECT_TRUE(collect().points.empty());
    EXPECT_EQ(detail::counts(provider).lost, 1u);
}

TEST_F(MetricGroups, ReportToTheDefaultProviderUnlessTheirMeterIsBound) {
    ASSERT_TRUE(detail::claim_default(provider));
    const MetricGroup group("by_default", {{"a", "1"}});
    const auto counter = group.counter("c");
    counter.add(1);
    EXPECT_EQ(collect().value("by_default.c", "a=1"), 1);
}

TEST_F(MetricGroups, AddUpOverThreads) {
    const MetricGroup group(meter, "g", {{"a", "1"}});
    constexpr int each = 20'000;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&group, i] {
            const auto counter = group.counter("c"); // Made by all of them at once.
            const auto bound = counter.bind({{"b", "2"}});
            for (int j = 0; j < each; ++j) {
                if (i % 2 == 0) {
                    counter.add(1, {{"b", "2"}});
                } else {
                    bound.add(1);
                }
            }
        });
    }
    for (auto& thread : threads) { thread.join(); }
    EXPECT_EQ(collect().value("g.c", "a=1,b=2"), 4 * each);
}

} // namespace
