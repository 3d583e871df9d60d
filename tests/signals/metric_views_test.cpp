// Which instruments a view is for, and what it makes of them.

#include "metric_harness.hpp"

namespace weft::testing {
namespace {

using Keys = std::vector<std::string>;

/// Names of the streams that a counter "View.Requests" (unit "By", meter "m" version "1" schema "s") has with such a
/// view that renames it.
bool is_selected(InstrumentSelector selector) {
    // A renaming view is for one name; what it shows here is its description.
    auto& provider = detail::make_meter_provider(
        {.views = {{.selector = std::move(selector), .description = "selected"}}});
    const Counter<> counter(
        Meter("m", "1", "s").bound_to(&provider), "View.Requests", {.unit = "By"});
    counter.add(1);
    MetricReader reader(provider, {});
    const auto seen = collected(reader);
    detail::close(provider);
    return seen.stream("View.Requests").description == "selected";
}

TEST(MetricViews, SelectByEveryFieldThatIsGiven) {
    EXPECT_TRUE(is_selected({}));
    EXPECT_TRUE(is_selected({.kind = InstrumentKind::counter}));
    EXPECT_FALSE(is_selected({.kind = InstrumentKind::histogram}));
    EXPECT_TRUE(is_selected({.unit = "By"}));
    EXPECT_FALSE(is_selected({.unit = "by"}));
    EXPECT_FALSE(is_selected({.unit = ""}));
    EXPECT_TRUE(is_selected({.meter_name = "m"}));
    EXPECT_FALSE(is_selected({.meter_name = "M"}));
    EXPECT_TRUE(is_selected({.meter_version = "1"}));
    EXPECT_FALSE(is_selected({.meter_version = ""}));
    EXPECT_TRUE(is_selected({.meter_schema_url = "s"}));
    EXPECT_FALSE(is_selected({.meter_schema_url = "t"}));
    EXPECT_TRUE(is_selected(
        {.name = "view.requests",
         .kind = InstrumentKind::counter,
         .unit = "By",
         .meter_name = "m",
         .meter_version = "1",
         .meter_schema_url = "s"}));
    EXPECT_FALSE(is_selected({.name = "view.requests", .unit = "By", .meter_name = "other"}));
}

TEST(MetricViews, SelectByPattern) {
    for (const char* name :
         {"*", "view.requests", "VIEW.REQUESTS", "view.*", "*requests", "*.*", "v*r*s",
          "view?requests", "?iew.request?", "**", "*view.requests*"}) {
        EXPECT_TRUE(is_selected({.name = name})) << name;
    }
    for (const char* name :
         {"", "view", "view.", "requests", "?", "view.requests?", "view.*x", "*.*.*", "view..*"}) {
        EXPECT_FALSE(is_selected({.name = name})) << name;
    }
}

TEST(MetricViews, RenameAndDescribe) {
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "old"}, .name = "new name, not checked", .description = "D"}});
    auto reader = metrics.reader();
    const Counter<> old(metrics.meter(), "old", {.unit = "By", .description = "before"});
    const Counter<> other(metrics.meter(), "other");
    old.add(1);
    other.add(2);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("new name, not checked"), 1);
    EXPECT_EQ(seen.stream("new name, not checked").description, "D");
    EXPECT_EQ(seen.stream("new name, not checked").unit, "By");
    EXPECT_EQ(seen.integer("other"), 2);
    EXPECT_EQ(seen.streams().size(), 2U);
}

TEST(MetricViews, DropAndKeepApart) {
    Metrics metrics(
        std::vector<View>{{.aggregation = Aggregation::drop()}, {.selector = {.name = "kept"}}});
    auto reader = metrics.reader();
    const Counter<> dropped(metrics.meter(), "dropped");
    const Counter<> kept(metrics.meter(), "kept");
    dropped.add(1);
    kept.add(1);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.streams().size(), 1U);
    EXPECT_EQ(seen.integer("kept"), 1);
}

TEST(MetricViews, MergeWhatTheirFilterMakesEqual) {
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "included"}, .attributes = {.include = Keys{"b", "a"}}},
        {.selector = {.name = "excluded"}, .attributes = {.exclude = Keys{"user"}}},
        {.selector = {.name = "both"},
         .attributes = {.include = Keys{"a", "user"}, .exclude = Keys{"user"}}},
        {.selector = {.name = "none"}, .attributes = {.include = Keys{}}}});
    auto reader = metrics.reader();
    const Counter<> included(metrics.meter(), "included");
    const Histogram<> excluded(metrics.meter(), "excluded");
    const UpDownCounter<double> both(metrics.meter(), "both");
    const Counter<> none(metrics.meter(), "none");
    for (int user = 0; user < 100; ++user) {
        included.add(user, {{"user", user}, {"b", 1}, {"a", user % 2}});
        excluded.record(user, {{"user", user}, {"a", user % 2}});
        both.add(0.5, {{"user", user}, {"a", 1}, {"z", user}});
        none.add(1, {{"user", user}});
    }
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("included", {{"a", 0}, {"b", 1}}), 2450);
    EXPECT_EQ(seen.integer("included", {{"a", 1}, {"b", 1}}), 2500);
    EXPECT_EQ(seen.point("excluded", {{"a", 1}}).count, 50U);
    EXPECT_EQ(seen.point("excluded", {{"a", 1}}).sum, 2500);
    EXPECT_EQ(seen.floating("both", {{"a", 1}}), 50);
    EXPECT_EQ(seen.integer("none"), 100);
    for (const auto& stream : seen.streams()) { EXPECT_LE(stream.points.size(), 2U); }
}

TEST(MetricViews, TakeAdvisoryAttributesUnlessTheySayOtherwise) {
    Metrics metrics(
        std::vector<View>{{.selector = {.name = "viewed"}, .attributes = {.include = Keys{"b"}}}});
    auto reader = metrics.reader();
    constexpr std::string_view keys[] = {"a"};
    const Counter<> plain(metrics.meter(), "plain", {.attribute_keys = keys});
    const Counter<> viewed(metrics.meter(), "viewed", {.attribute_keys = keys});
    plain.add(1, {{"a", 1}, {"b", 2}});
    viewed.add(1, {{"a", 1}, {"b", 2}});
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("plain", {{"a", 1}}), 1);
    EXPECT_EQ(seen.integer("viewed", {{"b", 2}}), 1);
}

TEST(MetricViews, TakeAdvisoryBoundariesUnlessTheyNameAHistogram) {
    constexpr double advised[] = {1, 2};
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "described"}, .description = "D"},
        {.selector = {.name = "named"},
         .aggregation = {.kind = Aggregation::Kind::explicit_histogram}},
        {.selector = {.name = "bounded"}, .aggregation = Aggregation::histogram({7})},
        {.selector = {.name = "one"}, .aggregation = Aggregation::histogram({})}});
    auto reader = metrics.reader();
    for (const std::string_view name : {"plain", "described", "named", "bounded", "one"}) {
        const Histogram<> histogram(metrics.meter(), name, {.boundaries = advised});
        histogram.record(1.5);
    }
    const auto seen = collected(reader);
    EXPECT_EQ(seen.stream("plain").boundaries, (std::vector<double>{1, 2}));
    EXPECT_EQ(seen.stream("described").boundaries, (std::vector<double>{1, 2}));
    EXPECT_EQ(seen.stream("named").boundaries.size(), 15U);
    EXPECT_EQ(seen.stream("bounded").boundaries, std::vector<double>{7});
    EXPECT_EQ(seen.point("one").buckets, std::vector<std::uint64_t>{1});
}

TEST(MetricViews, AggregateOtherwise) {
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "counter"}, .aggregation = Aggregation::histogram({5})},
        {.selector = {.name = "histogram"}, .aggregation = {.kind = Aggregation::Kind::sum}},
        {.selector = {.name = "updown"}, .aggregation = Aggregation::exponential(4)},
        {.selector = {.name = "gauge"}, .aggregation = Aggregation::histogram({0})},
        {.selector = {.name = "short"}, .aggregation = {.record_min_max = false}}});
    auto reader = metrics.reader();
    const Counter<> counter(metrics.meter(), "counter");
    const Histogram<> histogram(metrics.meter(), "histogram");
    const UpDownCounter<> updown(metrics.meter(), "updown");
    const Gauge<double> gauge(metrics.meter(), "gauge");
    const Histogram<> without(metrics.meter(), "short");
    counter.add(5);
    counter.bind().add(6);
    histogram.record(1.5);
    histogram.bind().record(2);
    updown.add(-4);
    updown.bind().add(1);
    updown.add(0);
    gauge.set(-1);
    gauge.set(std::numeric_limits<double>::quiet_NaN());
    gauge.set(std::numeric_limits<double>::infinity());
    gauge.bind().set(1);
    without.record(1);
    const auto seen = collected(reader);
    EXPECT_EQ(seen.point("counter").buckets, (std::vector<std::uint64_t>{1, 1}));
    EXPECT_EQ(seen.point("counter").sum, 11);
    EXPECT_EQ(seen.floating("histogram"), 3.5);
    EXPECT_TRUE(seen.stream("histogram").is_monotonic);
    const auto& exponential = seen.point("updown");
    EXPECT_EQ(exponential.count, 3U);
    EXPECT_EQ(exponential.zero_count, 1U);
    EXPECT_FALSE(exponential.has_sum);
    EXPECT_EQ(exponential.min, -4);
    EXPECT_EQ(exponential.max, 1);
    EXPECT_EQ(exponential.negative.counts, std::vector<std::uint64_t>{1});
    EXPECT_EQ(seen.point("gauge").buckets, (std::vector<std::uint64_t>{1, 1}));
    EXPECT_EQ(seen.point("gauge").max, 1);
    EXPECT_EQ(metrics.counts().refused_values, 2U);
    EXPECT_FALSE(seen.point("short").has_min_max);
}

TEST(MetricViews, ThatMakeNoSenseWarnAndAreAsIfAbsent) {
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "observed.wrongly"}, .aggregation = Aggregation::histogram({1})},
        {.selector = {.name = "gauge.wrongly"}, .aggregation = {.kind = Aggregation::Kind::sum}},
        {.selector = {.name = "counter.wrongly"},
         .aggregation = {.kind = Aggregation::Kind::last_value}}});
    auto reader = metrics.reader();
    const ObservableCounter<> observed(
        metrics.meter(), "observed.wrongly", {},
        [](Observations& to) { to.observe<std::int64_t>(3); });
    const Gauge<> gauge(metrics.meter(), "gauge.wrongly");
    const Counter<> counter(metrics.meter(), "counter.wrongly");
    Reports reports;
    gauge.set(1);
    EXPECT_TRUE(contains(reports.only(), "asks for a sum of a gauge")) << reports.only();
    counter.add(2);
    const auto seen = collected(reader);
    EXPECT_EQ(reports.count("metrics.view."), 3U);
    EXPECT_EQ(seen.integer("observed.wrongly"), 3);
    EXPECT_EQ(seen.integer("gauge.wrongly"), 1);
    EXPECT_EQ(seen.integer("counter.wrongly"), 2);
}

TEST(MetricViews, WarnWhereTwoStreamsWouldHaveOneName) {
    Metrics metrics(std::vector<View>{{.selector = {.name = "clash.a"}, .name = "clash.b"}});
    const Counter<> a(metrics.meter(), "clash.a");
    const Counter<> b(metrics.meter(), "clash.b");
    Reports reports;
    a.add(1);
    EXPECT_EQ(reports.size(), 0U);
    b.add(2);
    EXPECT_TRUE(contains(reports.only(), "\"clash.a\"")) << reports.only();
    EXPECT_TRUE(contains(reports.only(), "give one view another name")) << reports.only();
    auto reader = metrics.reader();
    EXPECT_EQ(collected(reader).integer_total("clash.b"), 3);
}

TEST(MetricViews, WarnWhereOneInstrumentHasTwoStreamsOfOneName) {
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "clash.self"}},
        {.selector = {.name = "clash.*"}, .aggregation = Aggregation::histogram({1})}});
    const Counter<> counter(metrics.meter(), "clash.self");
    Reports reports;
    counter.add(1);
    EXPECT_EQ(reports.count("metrics.view_conflict.clash.self"), 1U);
    auto reader = metrics.reader();
    EXPECT_EQ(collected(reader).streams_named("clash.self"), 2U);
}

TEST(MetricViews, MayBeWarnedOfByAHandlerThatMeasures) {
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "reentrant"}, .aggregation = {.kind = Aggregation::Kind::sum}}});
    const Counter<> warnings(metrics.meter(), "warnings");
    const Gauge<> gauge(metrics.meter(), "reentrant");
    diagnostics().set_handler([&](const Diagnostic&) {
        warnings.add(1);
        warnings.bind({{"bound", true}}).add(1);
    });
    const auto bound = gauge.bind();
    bound.set(1);
    diagnostics().set_handler(nullptr);
    auto reader = metrics.reader();
    const auto seen = collected(reader);
    EXPECT_EQ(seen.integer("warnings"), 1);
    EXPECT_EQ(seen.integer("reentrant"), 1);
}

TEST(MetricViews, AreCheckedBeforeARuntimeBegins) {
    const auto problem = [](View view) {
        return problem_in(MetricOptions{.views = {std::move(view)}});
    };
    EXPECT_EQ(problem({}), "");
    EXPECT_TRUE(contains(problem({.name = "n"}), "several instruments would share"));
    EXPECT_TRUE(contains(problem({.selector = {.name = "a?"}, .name = "n"}), "select one name"));
    EXPECT_TRUE(contains(problem({.aggregation = Aggregation::exponential(1)}), "2 to 320"));
    EXPECT_TRUE(contains(problem({.aggregation = Aggregation::exponential(321)}), "is 321"));
    EXPECT_TRUE(contains(problem({.aggregation = Aggregation::exponential(2, 21)}), "-10 to 20"));
    EXPECT_TRUE(contains(problem({.aggregation = Aggregation::exponential(2, -11)}), "is -11"));
    EXPECT_TRUE(contains(problem({.aggregation = Aggregation::histogram({2, 1})}), "larger"));
    EXPECT_TRUE(contains(problem({.aggregation = Aggregation::histogram({1, 1})}), "larger"));
    EXPECT_TRUE(contains(
        problem(
            {.aggregation = Aggregation::histogram({0, std::numeric_limits<double>::infinity()})}),
        "finite"));
    EXPECT_TRUE(contains(
        problem({.aggregation = Aggregation::histogram(std::vector<double>(513))}), "512"));
    EXPECT_TRUE(contains(problem({.cardinality_limit = 1'000'001}), "1000001"));
    EXPECT_TRUE(contains(problem_in(MetricOptions{.cardinality_limit = 0}), "1 to 1000000"));
    EXPECT_TRUE(contains(
        problem_in(MetricOptions{.idle_expiry = std::chrono::milliseconds(-1)}), "is -1 ms"));
}

} // namespace
} // namespace weft::testing
