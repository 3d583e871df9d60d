// Which measurements belong to one series, and how its attributes leave.

#include "metric_harness.hpp"

#include <weft/testing/random.hpp>

#include <algorithm>
#include <array>

namespace weft::testing {
namespace {

class MetricAttributes : public ::testing::Test {
protected:
    // The attributes of the counter's only point.
    CapturedAttributes only() {
        const auto seen = collected(reader);
        const auto& points = seen.stream("counter").points;
        return points.size() == 1 ? points.front().attributes
                                  : CapturedAttributes{{"points", std::to_string(points.size())}};
    }
    Metrics metrics;
    MetricReader reader = metrics.reader();
    const Counter<> counter{metrics.meter(), "counter"};
};

TEST_F(MetricAttributes, DoNotDependOnTheirOrder) {
    counter.add(1, {{"a", 1}, {"b", true}, {"c", "x"}});
    counter.add(2, {{"c", "x"}, {"a", 1}, {"b", true}});
    counter.bind({{"b", true}, {"c", "x"}, {"a", 1}}).add(4);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.stream("counter").points.size(), 1U);
    EXPECT_EQ(seen.integer("counter", {{"a", 1}, {"b", true}, {"c", "x"}}), 7);
}

TEST_F(MetricAttributes, DoNotDependOnTheirOrderWhateverItIs) {
    auto random = Random::seeded("MetricAttributes.DoNotDependOnTheirOrderWhateverItIs");
    std::vector<Attribute> all{{"k", 1},    {"kk", 2}, {"kkk", "three"}, {"z", 4.5},
                               {"y", true}, {"x", ""}, {"w", false},     {"v", -1}};
    for (int i = 0; i < 200; ++i) {
        for (std::size_t j = all.size() - 1; j > 0; --j) {
            std::swap(all[j], all[random.below(j + 1)]);
        }
        counter.add(1, std::span<const Attribute>(all));
    }
    const auto seen = collected(reader);
    ASSERT_EQ(seen.stream("counter").points.size(), 1U);
    EXPECT_EQ(seen.stream("counter").points.front().value.integer, 200);
}

TEST_F(MetricAttributes, OfOneKeyTheLastIsTaken) {
    counter.add(1, {{"a", 1}, {"b", 2}, {"a", "last"}});
    EXPECT_EQ(only(), captured({{"a", "last"}, {"b", 2}}));
}

TEST_F(MetricAttributes, WithoutAKeyAreLeftOut) {
    counter.add(1, {{"", 1}});
    counter.add(2, {{"", 1}, {"", "x"}});
    counter.add(4);
    EXPECT_EQ(only(), CapturedAttributes{});
    EXPECT_EQ(collected(reader).integer("counter"), 7);
}

TEST_F(MetricAttributes, TellTypesApart) {
    counter.add(1, {{"v", 1}});
    counter.add(1, {{"v", 1.0}});
    counter.add(1, {{"v", true}});
    counter.add(1, {{"v", "1"}});
    counter.add(1, {{"v", AttributeValue()}});
    EXPECT_EQ(collected(reader).stream("counter").points.size(), 5U);
}

TEST_F(MetricAttributes, TellKeysFromValues) {
    counter.add(1, {{"ab", "c"}});
    counter.add(1, {{"a", "bc"}});
    counter.add(1, {{"a", "b"}, {"c", ""}});
    counter.add(1, {{"abc", ""}});
    EXPECT_EQ(collected(reader).stream("counter").points.size(), 4U);
}

TEST_F(MetricAttributes, MayBeOfAnyType) {
    const std::array<std::int64_t, 3> whole{1, -2, 3};
    const std::vector<std::string> texts{"a", ""};
    const std::array<std::byte, 2> bytes{std::byte{0xca}, std::byte{0xfe}};
    counter.add(
        1, {{"array", whole},
            {"bytes", std::span<const std::byte>(bytes)},
            {"empty", AttributeValue()},
            {"large", ~std::uint64_t{0}},
            {"map", AttributeMap{{"id", 7}, {"plan", "free"}}},
            {"mixed", AttributeArray{1, "two", 3.0}},
            {"texts", texts}});
    const CapturedAttributes expected{
        {"array", "[1,-2,3]"},
        {"bytes", "bytes:cafe"},
        {"empty", "null"},
        {"large", "\"18446744073709551615\""},
        {"map", "{\"id\":7,\"plan\":\"free\"}"},
        {"mixed", "[1,\"two\",3d]"},
        {"texts", "[\"a\",\"\"]"}};
    EXPECT_EQ(only(), expected);
}

TEST_F(MetricAttributes, MayBeLarge) {
    const std::string large(600, 'v');
    const std::string larger(32 * 1024, 'w');
    counter.add(1, {{"large", large}});
    counter.add(2, {{"large", large}});
    counter.add(4, {{"larger", larger}});
    counter.bind({{"larger", larger}}).add(8);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("counter", {{"large", large}}), 3);
    EXPECT_EQ(seen.integer("counter", {{"larger", larger}}), 12);
}

TEST_F(MetricAttributes, ThatAreTooLargeAreCountedAndReported) {
    const std::string huge(70 * 1024, 'h');
    Reports reports;
    counter.add(1, {{"huge", huge}});
    counter.add(1, {{"huge", huge}, {"small", 1}});
    EXPECT_EQ(metrics.counts().lost, 2U);
    EXPECT_TRUE(contains(reports.only(), "64 KiB")) << reports.only();
    const auto bound = counter.bind({{"huge", huge}});
    bound.add(1);
    EXPECT_TRUE(collected(reader).streams().empty());
}

TEST_F(MetricAttributes, AreRepairedWhereTheyAreNotUtf8) {
    counter.add(1, {{"k\xff", "v\xfe"}});
    EXPECT_EQ(only(), captured({{"k\xEF\xBF\xBD", "v\xEF\xBF\xBD"}}));
}

TEST_F(MetricAttributes, ThatRepairMakesEqualAreOneSeries) {
    counter.add(1, {{"k", "v\xfe"}});
    counter.add(2, {{"k", "v\xff"}});
    counter.add(4, {{"k", "v\xEF\xBF\xBD"}});
    EXPECT_EQ(only(), captured({{"k", "v\xEF\xBF\xBD"}}));
    counter.add(8, {{"\xfe", 1}, {"\xff", 2}});
    counter.add(16, {{"\xff", 2}});
    EXPECT_EQ(collected(reader).integer("counter", {{"\xEF\xBF\xBD", 2}}), 24);
}

TEST_F(MetricAttributes, KeepTheirSeriesObjectAsLongAsItLives) {
    counter.add(1, {{"a", 1}});
    const auto* first = collected(reader).point("counter", {{"a", 1}}).series;
    counter.add(1, {{"b", 1}});
    EXPECT_EQ(collected(reader).point("counter", {{"a", 1}}).series, first);
}

TEST_F(MetricAttributes, AreLookedUpRightWhenAThreadsMemoryHasBegunAnew) {
    // More orders and sets than a thread remembers: all must still find their series.
    Metrics filtered(
        std::vector<View>{{.attributes = {.include = std::vector<std::string>{"kept"}}}});
    const Counter<> wide(filtered.meter(), "wide");
    constexpr int sets = 70'000;
    for (int i = 0; i < sets; ++i) { wide.add(1, {{"kept", i % 3}, {"dropped", i}}); }
    auto all = filtered.reader();
    const auto seen = collected(all);
    EXPECT_EQ(seen.stream("wide").points.size(), 3U);
    EXPECT_EQ(seen.integer_total("wide"), sets);
    EXPECT_EQ(filtered.counts().lost, 0U);
}

} // namespace
} // namespace weft::testing
