#include "prometheus_text_fixture.hpp"

#include <stdexcept>
#include <utility>

namespace weft {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(PrometheusTextTest, NamesACounterInFullInTheTextFormat) {
    const auto a = series({{"http.route", "/x"}});
    put_numbers<std::int64_t>(text(), counter("http.requests", "{request}"), {{&a, 7}});
    EXPECT_EQ(
        finish(), "# HELP http_requests_total What it counts\n"
                  "# TYPE http_requests_total counter\n"
                  "http_requests_total{http_route=\"/x\"} 7\n");
}

TEST_F(PrometheusTextTest, NamesACountersFamilyWithoutTotalInOpenMetrics) {
    const auto a = series({{"http.route", "/x"}});
    put_numbers<std::int64_t>(text(open_metrics_protocol), counter("io", "By"), {{&a, 7}});
    EXPECT_EQ(
        finish(), "# TYPE io_bytes counter\n"
                  "# UNIT io_bytes bytes\n"
                  "# HELP io_bytes What it counts\n"
                  "io_bytes_total{http_route=\"/x\"} 7\n"
                  "# EOF\n");
}

TEST_F(PrometheusTextTest, SaysWhenACounterBeganInOpenMetricsOnly) {
    auto options = bare_options();
    options.created = true;
    const auto a = series();
    put_numbers<std::int64_t>(text(open_metrics_protocol, options), counter("io"), {{&a, 7}});
    EXPECT_THAT(finish(), HasSubstr("io_total 7\nio_created 1700000000.5\n"));
    put_numbers<std::int64_t>(text(text_protocol, options), counter("io"), {{&a, 7}});
    EXPECT_THAT(finish(), Not(HasSubstr("created")));
}

TEST_F(PrometheusTextTest, WritesAnEmptyCollection) {
    text();
    EXPECT_EQ(finish(), "");
    text(open_metrics_protocol);
    EXPECT_EQ(finish(), "# EOF\n");
}

TEST_F(PrometheusTextTest, MakesAGaugeOfAnUpDownCounter) {
    const auto a = series();
    auto stream = counter("queue.size");
    stream.is_monotonic = false;
    put_numbers<std::int64_t>(text(), stream, {{&a, -3}});
    EXPECT_THAT(finish(), HasSubstr("# TYPE queue_size gauge\nqueue_size -3\n"));
}

TEST_F(PrometheusTextTest, WritesNumbersSoThatTheyReadBackAsTheSame) {
    struct Case {
        double value;
        const char* plain;
        const char* open_metrics;
    };
    for (const auto& [value, plain, open] : {
             Case{0, "0", "0.0"},
             Case{-0.0, "-0", "-0.0"},
             Case{1, "1", "1.0"},
             Case{-2.5, "-2.5", "-2.5"},
             Case{0.1, "0.1", "0.1"},
             Case{999999999999999, "999999999999999", "999999999999999.0"},
             Case{1e300, "1e+300", "1e+300"},
             Case{5e-324, "5e-324", "5e-324"},
             Case{infinity, "+Inf", "+Inf"},
             Case{-infinity, "-Inf", "-Inf"},
             Case{not_a_number, "NaN", "NaN"},
         }) {
        const auto a = series();
        put_numbers<double>(text(), gauge("g"), {{&a, value}});
        EXPECT_THAT(finish(), HasSubstr("\ng " + std::string(plain) + "\n"));
        put_numbers<double>(text(open_metrics_protocol), gauge("g"), {{&a, value}});
        EXPECT_THAT(finish(), HasSubstr("\ng " + std::string(open) + "\n"));
    }
}

TEST_F(PrometheusTextTest, WritesTheSmallestAndTheLargestInteger) {
    const auto a = series();
    using Limits = std::numeric_limits<std::int64_t>;
    put_numbers<std::int64_t>(text(), gauge("g"), {{&a, Limits::min()}});
    EXPECT_THAT(finish(), HasSubstr("g -9223372036854775808\n"));
    put_numbers<std::int64_t>(text(), gauge("g"), {{&a, Limits::max()}});
    EXPECT_THAT(finish(), HasSubstr("g 9223372036854775807\n"));
}

TEST_F(PrometheusTextTest, EscapesQuotesInHelpInOpenMetricsOnly) {
    const auto a = series();
    auto stream = gauge("g");
    stream.description = "a \"b\" \\ \n c";
    put_numbers<std::int64_t>(text(), stream, {{&a, 1}});
    EXPECT_THAT(finish(), HasSubstr("# HELP g a \"b\" \\\\ \\n c\n"));
    put_numbers<std::int64_t>(text(open_metrics_protocol), stream, {{&a, 1}});
    EXPECT_THAT(finish(), HasSubstr("# HELP g a \\\"b\\\" \\\\ \\n c\n"));
}

TEST_F(PrometheusTextTest, EscapesLabelValuesAndRepairsWhatIsNotUtf8) {
    const auto a = series({{"a", "q\" b\\ n\n \xc3\xa9"}});
    put_numbers<std::int64_t>(text(), gauge("g"), {{&a, 1}});
    EXPECT_THAT(finish(), HasSubstr("g{a=\"q\\\" b\\\\ n\\n \xc3\xa9\"} 1\n"));
    auto stream = gauge("g\xff");
    stream.description = "\xff";
    put_numbers<std::int64_t>(text(), stream, {{&a, 1}});
    EXPECT_THAT(finish(), HasSubstr("# HELP g_ \xEF\xBF\xBD\n"));
}

TEST_F(PrometheusTextTest, WritesValuesOfOtherTypesAsJson) {
    const std::byte bytes[]{std::byte{1}, std::byte{2}};
    const auto a = series(
        {{"bool", true},
         {"bytes", std::span<const std::byte>(bytes)},
         {"double", 0.5},
         {"int", -4},
         {"list", AttributeArray{1, "t\"wo", 3.5, infinity}},
         {"map", AttributeMap{{"k", AttributeArray{false}}}}});
    put_numbers<std::int64_t>(text(), gauge("g"), {{&a, 1}});
    EXPECT_THAT(
        finish(), HasSubstr("g{bool=\"true\",bytes=\"AQI=\",double=\"0.5\",int=\"-4\","
                            "list=\"[1,\\\"t\\\\\\\"wo\\\",3.5,\\\"Infinity\\\"]\","
                            "map=\"{\\\"k\\\":[false]}\"} 1\n"));
}

TEST_F(PrometheusTextTest, JoinsTheValuesOfKeysThatBecomeEqual) {
    const auto a = series({{"a.b", "2"}, {"a_b", "3"}, {"a-b", "1"}});
    put_numbers<std::int64_t>(text(), gauge("g"), {{&a, 1}});
    EXPECT_THAT(finish(), HasSubstr("g{a_b=\"1;2;3\"} 1\n"));
}

TEST_F(PrometheusTextTest, LeavesOutEmptyLabels) {
    const auto a = series({{"a", ""}, {"b", "x"}});
    put_numbers<std::int64_t>(text(), gauge("g"), {{&a, 1}});
    EXPECT_THAT(finish(), HasSubstr("g{b=\"x\"} 1\n"));
}

TEST_F(PrometheusTextTest, KeepsLabelsOfItsOwnFromBeingTaken) {
    auto options = bare_options();
    options.scope_labels = true;
    const double bounds[]{1};
    const std::uint64_t counts[]{1, 0};
    const auto a = series({{"le", "x"}, {"otel.scope.name", "y"}, {"__name__", "z"}});
    auto& out = text(text_protocol, options);
    out.begin(histogram("h", bounds));
    out.histogram({.series = a, .times = times, .count = 1, .sum = 1, .buckets = counts});
    out.end();
    EXPECT_THAT(
        finish(), HasSubstr("h_bucket{otel_scope_name=\"lib\",otel_scope_version=\"1.2\","
                            "_name_=\"z\",exported_le=\"x\",exported_otel_scope_name=\"y\","
                            "le=\"1\"} 1\n"));
}

TEST_F(PrometheusTextTest, PutsScopeLabelsOnEverySample) {
    auto options = bare_options();
    options.scope_labels = true;
    const Attribute attributes[]{{"tier", "db"}, {"version", "other"}};
    const auto index = detail::register_scope(
        {.name = "pool",
         .version = "3",
         .schema_url = "https://example.test/1",
         .attributes = attributes});
    auto stream = gauge("g");
    stream.scope = index;
    const auto a = series({{"k", "v"}});
    const auto none = series();
    put_numbers<std::int64_t>(text(text_protocol, options), stream, {{&a, 1}, {&none, 2}});
    const std::string labels =
        "otel_scope_name=\"pool\",otel_scope_version=\"3\","
        "otel_scope_schema_url=\"https://example.test/1\",otel_scope_tier=\"db\"";
    EXPECT_THAT(finish(), HasSubstr("g{" + labels + ",k=\"v\"} 1\ng{" + labels + "} 2\n"));
}

TEST_F(PrometheusTextTest, BeginsWithTheResource) {
    auto options = bare_options();
    options.target_info = true;
    options.resource_labels = {"service.name"};
    const auto resource = encoded_attributes({{"service.name", "shop"}, {"process.pid", 42}});
    const auto a = series();
    put_numbers<std::int64_t>(text(text_protocol, options, resource), gauge("g"), {{&a, 1}});
    EXPECT_EQ(
        finish(), "# HELP target_info Target metadata\n"
                  "# TYPE target_info gauge\n"
                  "target_info{process_pid=\"42\",service_name=\"shop\"} 1\n"
                  "# HELP g What it counts\n"
                  "# TYPE g gauge\n"
                  "g{service_name=\"shop\"} 1\n");
    text(open_metrics_protocol, options, resource);
    EXPECT_EQ(
        finish(), "# TYPE target info\n"
                  "# HELP target Target metadata\n"
                  "target_info{process_pid=\"42\",service_name=\"shop\"} 1\n"
                  "# EOF\n");
}

TEST_F(PrometheusTextTest, WritesNoTargetInfoForAnEmptyResource) {
    auto options = bare_options();
    options.target_info = true;
    text(text_protocol, options, "");
    EXPECT_EQ(finish(), "");
}

TEST_F(PrometheusTextTest, GathersAFamilyOfSeveralScopes) {
    auto options = bare_options();
    options.scope_labels = true;
    auto first = counter("c");
    auto second = counter("c");
    second.scope = scope("other", "");
    const auto a = series({{"k", "v"}});
    auto& out = text(text_protocol, options);
    put_numbers<std::int64_t>(out, first, {{&a, 1}});
    put_numbers<std::int64_t>(out, gauge("g"), {{&a, 2}});
    put_numbers<std::int64_t>(out, second, {{&a, 3}});
    EXPECT_EQ(
        finish(), "# HELP c_total What it counts\n# TYPE c_total counter\n"
                  "c_total{otel_scope_name=\"lib\",otel_scope_version=\"1.2\",k=\"v\"} 1\n"
                  "c_total{otel_scope_name=\"other\",k=\"v\"} 3\n"
                  "# HELP g What it counts\n# TYPE g gauge\n"
                  "g{otel_scope_name=\"lib\",otel_scope_version=\"1.2\",k=\"v\"} 2\n");
    EXPECT_EQ(text_->points_dropped(), 0u);
}

TEST_F(PrometheusTextTest, ExposesTheFirstOfPointsWithEqualLabelsAndCountsTheOthers) {
    const auto a = series({{"k", "v"}});
    const auto b = series({{"k", "w"}});
    auto& out = text();
    put_numbers<std::int64_t>(out, counter("a.b"), {{&a, 1}});
    put_numbers<std::int64_t>(out, counter("a_b"), {{&a, 2}, {&b, 3}});
    EXPECT_THAT(finish(), HasSubstr("a_b_total{k=\"v\"} 1\na_b_total{k=\"w\"} 3\n"));
    EXPECT_EQ(text_->points_dropped(), 1u);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_THAT(messages[0], HasSubstr("equal labels"));
}

TEST_F(PrometheusTextTest, SeesEqualLabelsWithinOneStream) {
    const auto number_value = series({{"k", 1}});
    const auto text_value = series({{"k", "1"}});
    const auto dotted = series({{"k.x", "1"}});
    const auto underlined = series({{"k_x", "1"}});
    const auto joined = series({{"k.x", "1"}, {"k_x", "2;3"}});
    const auto joined_too = series({{"k.x", "1;2"}, {"k_x", "3"}});
    put_numbers<std::int64_t>(
        text(), gauge("g"),
        {{&number_value, 1},
         {&text_value, 2},
         {&dotted, 3},
         {&underlined, 4},
         {&joined, 5},
         {&joined_too, 6}});
    EXPECT_EQ(
        finish(), "# HELP g What it counts\n# TYPE g gauge\n"
                  "g{k=\"1\"} 1\ng{k_x=\"1\"} 3\ng{k_x=\"1;2;3\"} 5\n");
    EXPECT_EQ(text_->points_dropped(), 3u);
}

TEST_F(PrometheusTextTest, SeesEqualLabelsWhateverTheOrderOfTheirKeys) {
    const auto before = series({{".x", "1"}, {"k", "v"}}); // '.' < 'k' < '\xc3'.
    const auto behind = series({{"\xc3\xa9x", "1"}, {"k", "v"}});
    put_numbers<std::int64_t>(text(), gauge("g"), {{&before, 1}, {&behind, 2}});
    EXPECT_THAT(finish(), HasSubstr("g{_x=\"1\",k=\"v\"} 1\n"));
    EXPECT_EQ(text_->points_dropped(), 1u);
}

TEST_F(PrometheusTextTest, LeavesOutAMetricWhoseNameHasAnotherType) {
    const auto a = series();
    auto& out = text();
    for (int i = 0; i < 3; ++i) {
        out.start();
        put_numbers<std::int64_t>(out, gauge("x_total"), {{&a, 1}});
        put_numbers<std::int64_t>(out, counter("x"), {{&a, 2}});
        EXPECT_EQ(finish(), "# HELP x_total What it counts\n# TYPE x_total gauge\nx_total 1\n");
    }
    EXPECT_EQ(text_->points_dropped(), 3u);
    ASSERT_EQ(messages.size(), 1u) << "one warning, not one a scrape";
    EXPECT_THAT(messages[0], HasSubstr("metric \"x\" is not exposed"));
}

TEST_F(PrometheusTextTest, LeavesOutAMetricCalledAsAnotherOnesSample) {
    const auto a = series();
    auto& out = text(open_metrics_protocol);
    put_numbers<std::int64_t>(out, counter("x"), {{&a, 1}});
    put_numbers<std::int64_t>(out, gauge("x.created"), {{&a, 2}});
    put_numbers<std::int64_t>(out, gauge("y.count"), {{&a, 2}});
    out.begin(histogram("y", {}));
    out.histogram({.series = a, .times = times, .count = 3, .sum = 4});
    out.end();
    const auto exposition = finish();
    EXPECT_THAT(exposition, Not(HasSubstr("# TYPE x_created")));
    EXPECT_THAT(exposition, Not(HasSubstr("# TYPE y histogram")));
    EXPECT_EQ(text_->points_dropped(), 2u);
}

TEST_F(PrometheusTextTest, KeepsTargetInfoForTheResource) {
    auto options = bare_options();
    options.target_info = true;
    const auto resource = encoded_attributes({{"service.name", "shop"}});
    const auto a = series();
    put_numbers<std::int64_t>(
        text(text_protocol, options, resource), gauge("target.info"), {{&a, 1}});
    EXPECT_THAT(finish(), Not(HasSubstr("target_info 1")));
    EXPECT_EQ(text_->points_dropped(), 1u);
}

TEST_F(PrometheusTextTest, KeepsTheFirstDescription) {
    const auto a = series({{"k", "1"}});
    const auto b = series({{"k", "2"}});
    auto second = counter("a_b");
    second.description = "Something else";
    auto& out = text();
    put_numbers<std::int64_t>(out, counter("a.b"), {{&a, 1}});
    put_numbers<std::int64_t>(out, second, {{&b, 2}});
    const auto exposition = finish();
    EXPECT_THAT(exposition, HasSubstr("a_b_total{k=\"2\"} 2\n"));
    EXPECT_THAT(exposition, Not(HasSubstr("Something else")));
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_THAT(messages[0], HasSubstr("another description"));
}

TEST_F(PrometheusTextTest, LeavesOutDeltas) {
    const auto a = series();
    auto stream = counter("c");
    stream.temporality = Temporality::delta;
    put_numbers<std::int64_t>(text(), stream, {{&a, 1}});
    EXPECT_EQ(finish(), "");
    EXPECT_EQ(text_->points_dropped(), 1u);
    EXPECT_THAT(messages.at(0), HasSubstr("delta"));
}

TEST_F(PrometheusTextTest, LeavesOutCountersThatOpenMetricsForbids) {
    const auto a = series({{"k", "1"}});
    const auto b = series({{"k", "2"}});
    const auto c = series({{"k", "3"}});
    put_numbers<double>(
        text(open_metrics_protocol), counter("c"), {{&a, -1}, {&b, not_a_number}, {&c, 2}});
    EXPECT_THAT(finish(), HasSubstr("What it counts\nc_total{k=\"3\"} 2.0\n# EOF"));
    EXPECT_EQ(text_->points_dropped(), 2u);
}

TEST_F(PrometheusTextTest, ExposesOnlyFamiliesThatWereAskedFor) {
    auto options = bare_options();
    options.target_info = true;
    const auto resource = encoded_attributes({{"service.name", "shop"}});
    const auto a = series();
    auto& out = text(open_metrics_protocol, options, resource);
    const auto write = [&](std::vector<std::string> names) {
        out.start(std::move(names));
        put_numbers<std::int64_t>(out, counter("c"), {{&a, 1}});
        put_numbers<std::int64_t>(out, gauge("g"), {{&a, 2}});
        out.begin(histogram("h", {}));
        out.histogram({.series = a, .times = times, .count = 3, .sum = 4});
        out.end();
        std::string types;
        for (const auto& family : ExpositionParser::parse(finish(), true)) {
            types += family.name + " ";
        }
        return types;
    };
    EXPECT_EQ(write({}), "target c g h ");
    EXPECT_EQ(write({"g"}), "g ");
    EXPECT_EQ(write({"c"}), "c ");
    EXPECT_EQ(write({"c_total", "h_bucket"}), "c h ");
    EXPECT_EQ(write({"target_info"}), "target ");
    EXPECT_EQ(write({"nothing"}), "");
    EXPECT_EQ(out.points_dropped(), 0u) << "what nobody asked for is not lost";
}

TEST_F(PrometheusTextTest, QuotesNamesWhereBothSidesAllowIt) {
    auto options = bare_options();
    options.translation = PrometheusTranslation::no_translation;
    options.created = true;
    const PrometheusProtocol utf8{
        PrometheusFormat::open_metrics_1_0_0, PrometheusEscaping::allow_utf_8};
    const auto a = series({{"a.b", "x"}, {"plain", "y"}, {"__name__", "z"}});
    const auto none = series();
    put_numbers<std::int64_t>(
        text(utf8, options), counter("http.\"x\"", "s"), {{&a, 1}, {&none, 2}});
    EXPECT_EQ(
        finish(),
        "# TYPE \"http.\\\"x\\\"\" counter\n"
        "# HELP \"http.\\\"x\\\"\" What it counts\n"
        "{\"http.\\\"x\\\"_total\",_name__=\"z\",\"a.b\"=\"x\",plain=\"y\"} 1\n"
        "{\"http.\\\"x\\\"_created\",_name__=\"z\",\"a.b\"=\"x\",plain=\"y\"} 1700000000.5\n"
        "{\"http.\\\"x\\\"_total\"} 2\n"
        "{\"http.\\\"x\\\"_created\"} 1700000000.5\n"
        "# EOF\n");
}

TEST_F(PrometheusTextTest, DoesNotConfuseWhatDifferentSettingsMadeOfOneSeries) {
    const auto a = series({{"a.b", "x"}});
    auto options = bare_options();
    options.translation = PrometheusTranslation::no_translation;
    for (int i = 0; i < 2; ++i) {
        for (const auto& [escaping, label] :
             {std::pair{PrometheusEscaping::underscores, "a_b"},
              std::pair{PrometheusEscaping::allow_utf_8, "\"a.b\""},
              std::pair{PrometheusEscaping::dots, "a_dot_b"},
              std::pair{PrometheusEscaping::values, "U__a_2E_b"}}) {
            put_numbers<std::int64_t>(
                text({PrometheusFormat::text_1_0_0, escaping}, options), gauge("g"), {{&a, 1}});
            EXPECT_THAT(finish(), HasSubstr("g{" + std::string(label) + "=\"x\"} 1\n"));
        }
    }
}

TEST_F(PrometheusTextTest, WritesTheSameAgainAndForgetsStreamsThatAreGone) {
    const auto a = series({{"k", "v"}});
    auto& out = text();
    std::vector<std::string> names(3000);
    for (std::size_t i = 0; i < names.size(); ++i) { names[i] = "m" + std::to_string(i); }
    const auto write = [&](std::size_t count) {
        out.start();
        for (std::size_t i = 0; i < count; ++i) {
            put_numbers<std::int64_t>(out, counter(names[i]), {{&a, 1}});
        }
        return finish();
    };
    const auto whole = write(names.size());
    EXPECT_EQ(write(names.size()), whole);
    const auto two = write(2);
    EXPECT_EQ(write(2), two);
    EXPECT_EQ(write(2), two);
    EXPECT_EQ(write(names.size()), whole);
}

TEST_F(PrometheusTextTest, RefusesToGrowPastItsLimit) {
    auto options = bare_options();
    options.bytes_max = 4096;
    const auto a = series({{"k", std::string(100, 'x')}});
    auto& out = text(text_protocol, options);
    const auto write = [&](int count) {
        for (int i = 0; i < count; ++i) { put_numbers<std::int64_t>(out, gauge("g"), {{&a, 1}}); }
    };
    EXPECT_THROW(write(10000), std::length_error);
    out.start();
    write(1);
    EXPECT_THAT(finish(), HasSubstr("\ng{k="));
}

TEST(PrometheusTextOptions, NamesWhatIsOutOfRange) {
    PrometheusTextOptions options;
    EXPECT_EQ(problem_in(options), "");
    options.bytes_max = 5;
    EXPECT_THAT(problem_in(options), HasSubstr("bytes_max is 5: allowed is 4096"));
    options = {};
    options.exponential_buckets_max = 1;
    EXPECT_THAT(problem_in(options), HasSubstr("exponential_buckets_max is 1: allowed is 2"));
}

} // namespace
} // namespace weft
