#include "prometheus_names.hpp"
#include "prometheus_number.hpp"
#include "prometheus_points.hpp"

#include <gtest/gtest.h>

#include <string>

namespace weft::detail {
namespace {

using Translation = PrometheusTranslation;
using Escaping = PrometheusEscaping;

PrometheusNaming naming(
    Translation translation, Escaping escaping = Escaping::underscores,
    PrometheusFormat format = PrometheusFormat::text_1_0_0) {
    return {translation, {format, escaping}};
}

std::string counter_sample(
    std::string_view name, std::string_view unit, const PrometheusNaming& with = {}) {
    return family_name(name, unit, MetricKind::sum, FamilyType::counter, with).sample;
}

std::string gauge_sample(
    std::string_view name, std::string_view unit, const PrometheusNaming& with = {}) {
    return family_name(name, unit, MetricKind::gauge, FamilyType::gauge, with).sample;
}

// Source: OpenTelemetry, "Prometheus Metrics Exporter", `translation_strategy`.
TEST(PrometheusNames, FollowTheStrategyWithinWhatTheScraperTakes) {
    struct Case {
        Translation translation;
        const char* underscores;
        const char* utf8;
    };
    for (const auto& [translation, underscores, utf8] : {
             Case{
                 Translation::underscore_escaping_with_suffixes, "foo_bar_bytes_total",
                 "foo_bar_bytes_total"},
             Case{Translation::underscore_escaping_without_suffixes, "foo_bar", "foo_bar"},
             Case{
                 Translation::no_utf8_escaping_with_suffixes, "foo_bar_bytes_total",
                 "foo.bar_bytes_total"},
             Case{Translation::no_translation, "foo_bar", "foo.bar"},
         }) {
        EXPECT_EQ(counter_sample("foo.bar", "By", naming(translation)), underscores);
        EXPECT_EQ(
            counter_sample("foo.bar", "By", naming(translation, Escaping::allow_utf_8)), utf8);
    }
}

TEST(PrometheusNames, CallACountersSampleTotalInOpenMetricsWhateverTheStrategy) {
    const auto with = naming(
        Translation::no_translation, Escaping::allow_utf_8, PrometheusFormat::open_metrics_1_0_0);
    EXPECT_EQ(counter_sample("foo.bar", "By", with), "foo.bar_total");
    EXPECT_EQ(counter_sample("foo_total", "By", with), "foo_total");
}

TEST(PrometheusNames, CollapseRunsOfReplacedCharacters) {
    EXPECT_EQ(gauge_sample("a.-b__c", ""), "a_b_c");
    EXPECT_EQ(gauge_sample("a:b", ""), "a:b");
    EXPECT_EQ(gauge_sample("9lives", ""), "_9lives");
    EXPECT_EQ(gauge_sample("\xc3\xa9t\xc3\xa9", ""), "_t_");
    EXPECT_EQ(gauge_sample("", ""), "_");
}

TEST(PrometheusNames, AppendUnitAndTotalUnlessTheyAreThere) {
    EXPECT_EQ(counter_sample("a", "s"), "a_seconds_total");
    EXPECT_EQ(counter_sample("a.seconds", "s"), "a_seconds_total");
    EXPECT_EQ(counter_sample("a.seconds.total", "s"), "a_seconds_total");
    EXPECT_EQ(counter_sample("a.total", "s"), "a_seconds_total");
    EXPECT_EQ(counter_sample("total", ""), "total_total");
    EXPECT_EQ(counter_sample("microseconds", "s"), "microseconds_seconds_total");
    EXPECT_EQ(gauge_sample("a.", "s"), "a_seconds");
    EXPECT_EQ(gauge_sample("a.total", "s"), "a_total_seconds");
}

TEST(PrometheusNames, CallAGaugeOfUnitOneARatio) {
    EXPECT_EQ(gauge_sample("a", "1"), "a_ratio");
    EXPECT_EQ(counter_sample("a", "1"), "a_total");
}

// Source: OpenTelemetry, "Prometheus and OpenMetrics Compatibility", "Metric Metadata".
TEST(PrometheusNames, TranslateUnits) {
    struct Case {
        const char* unit;
        const char* word;
    };
    for (const auto& [unit, word] : {
             Case{"", ""},
             Case{"1", ""},
             Case{"{request}", ""},
             Case{"By{sent}", "bytes"},
             Case{"ms", "milliseconds"},
             Case{"KiBy", "kibibytes"},
             Case{"Cel", "celsius"},
             Case{"%", "percent"},
             Case{"m/s", "meters_per_second"},
             Case{"By/min", "bytes_per_minute"},
             Case{"{request}/s", "per_second"},
             Case{"1/s", "per_second"},
             Case{"By/{request}", "bytes"},
             Case{"furlong", "furlong"},
             Case{"a.b", "a_b"},
             Case{"$", ""},
             Case{"W/Cel", "watts_per_celsius"},
             Case{"{unclosed", ""},
         }) {
        EXPECT_EQ(unit_word(unit), word) << unit;
    }
}

TEST(PrometheusNames, SayTheUnitOnlyWhereTheNameEndsWithIt) {
    const auto unit = [](std::string_view name, std::string_view of, const PrometheusNaming& with) {
        return family_name(name, of, MetricKind::gauge, FamilyType::gauge, with).unit;
    };
    EXPECT_EQ(unit("a", "s", {}), "seconds");
    EXPECT_EQ(unit("seconds", "s", {}), "") << "it would be no suffix";
    EXPECT_EQ(unit("a", "s", naming(Translation::no_translation)), "");
    EXPECT_EQ(unit("a_seconds", "s", naming(Translation::no_translation)), "seconds");
}

// Source: Prometheus, "UTF-8 metric and label name escaping schemes".
TEST(PrometheusNames, AreEscapedAsTheScraperAsks) {
    const auto escaped = [](std::string_view name, Escaping escaping) {
        return gauge_sample(name, "", naming(Translation::no_translation, escaping));
    };
    EXPECT_EQ(
        escaped("metric.name/with/slashes", Escaping::underscores), "metric_name_with_slashes");
    EXPECT_EQ(escaped("a..b", Escaping::underscores), "a__b");
    EXPECT_EQ(escaped("1a", Escaping::underscores), "_a");
    EXPECT_EQ(escaped("a.b_c/d", Escaping::dots), "a_dot_b__c_d");
    EXPECT_EQ(escaped("a_b", Escaping::dots), "a__b");
    EXPECT_EQ(escaped("metric.name", Escaping::values), "U__metric_2E_name");
    EXPECT_EQ(escaped("a_b", Escaping::values), "a_b") << "nothing in it needs escaping";
    EXPECT_EQ(escaped("a_b.c", Escaping::values), "U__a__b_2E_c");
    EXPECT_EQ(escaped("\xf0\x9f\x98\x80\xc3\xa9", Escaping::values), "U___1F600__E9_");
    EXPECT_EQ(escaped("a.b \xc3\xa9", Escaping::allow_utf_8), "a.b \xc3\xa9");
    EXPECT_EQ(escaped("a\xff", Escaping::allow_utf_8), "a\xEF\xBF\xBD");
    EXPECT_EQ(escaped("a\xff", Escaping::values), "U__a_FFFD_");
}

TEST(PrometheusNames, OfLabelsHaveNoColonAndNoReservedPrefix) {
    EXPECT_EQ(label_name("a:b", {}), "a_b");
    EXPECT_EQ(label_name("__name__", {}), "_name_");
    EXPECT_EQ(label_name("9", {}), "_9");
    EXPECT_EQ(label_name("", {}), "_");
    const auto utf8 = naming(Translation::no_translation, Escaping::allow_utf_8);
    EXPECT_EQ(label_name("__name__", utf8), "_name__");
    EXPECT_EQ(label_name("___", utf8), "_");
    EXPECT_EQ(label_name("_.a", naming(Translation::no_translation)), "_a");
    EXPECT_EQ(label_name("_a", naming(Translation::no_translation, Escaping::dots)), "_a");
    EXPECT_EQ(
        label_name("__a.b", naming(Translation::no_translation, Escaping::values)),
        "U______a_2E_b");
    EXPECT_EQ(label_name("a.b", utf8), "a.b");
}

TEST(PrometheusNames, AreQuotedOnlyWhereTheyMustBe) {
    const auto shown = [](std::string_view name, bool colon) {
        std::string out;
        append_name(out, name, colon);
        return out;
    };
    EXPECT_EQ(shown("a:b", true), "a:b");
    EXPECT_EQ(shown("a:b", false), "\"a:b\"");
    EXPECT_EQ(shown("a\"\\\n", true), "\"a\\\"\\\\\\n\"");
    EXPECT_EQ(shown("1a", true), "\"1a\"");
}

TEST(PrometheusNumbers, WriteSecondsExactly) {
    const auto seconds = [](std::int64_t ns) {
        char text[number_bytes_max];
        return std::string(text, put_seconds(text, ns));
    };
    EXPECT_EQ(seconds(1'520'879'607'789'000'000), "1520879607.789");
    EXPECT_EQ(seconds(1'000'000'000), "1.0");
    EXPECT_EQ(seconds(1'000'000'001), "1.000000001");
    EXPECT_EQ(seconds(1), "0.000000001");
}

} // namespace
} // namespace weft::detail
