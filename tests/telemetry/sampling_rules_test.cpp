#include "options_fixture.hpp"
#include "sampling_rules.hpp"

#include <weft/signals/composable_sampler.hpp>

namespace weft::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool samples(
    const Sampler& sampler, std::string_view name, SpanKind kind,
    std::vector<Attribute> attributes = {}) {
    const TraceState none;
    const auto trace = random_trace_id();
    return sampler.should_sample({nullptr, none, trace, name, kind, attributes, {}, 1}).decision ==
           SamplingDecision::record_and_sample;
}

TEST(SamplingRules, ReadConditionsAndSamplers) {
    std::string problem;
    const auto sampler = detail::parse_sampling_rules(
        " http.route = /health -> off ;; name=GET *, kind=server -> on; "
        "kind=client,peer=a?c -> 1; name=x->off;* -> 0;",
        problem);
    ASSERT_TRUE(sampler) << problem;
    EXPECT_FALSE(samples(*sampler, "GET /", SpanKind::server, {{"http.route", "/health"}}));
    EXPECT_TRUE(samples(*sampler, "GET /", SpanKind::server, {{"http.route", "/"}}));
    EXPECT_FALSE(samples(*sampler, "GET /", SpanKind::client));
    EXPECT_TRUE(samples(*sampler, "x", SpanKind::client, {{"peer", "abc"}}));
    EXPECT_FALSE(samples(*sampler, "x", SpanKind::internal));
    EXPECT_FALSE(samples(*sampler, "y", SpanKind::internal));
    EXPECT_EQ(
        sampler->description(),
        "RuleSampler{AlwaysOffSampler,AlwaysOnSampler,ProbabilitySampler{1.000000},"
        "AlwaysOffSampler,ProbabilitySampler{0.000000},otherwise:AlwaysOnSampler}");
}

TEST(SamplingRules, KeepWhatNoneNames) {
    std::string problem;
    const auto sampler = detail::parse_sampling_rules("name=a -> off", problem);
    ASSERT_TRUE(sampler) << problem;
    EXPECT_TRUE(samples(*sampler, "b", SpanKind::internal));
}

TEST(SamplingRules, SayWhichRuleIsWrongAndWhy) {
    struct Bad {
        const char* text;
        const char* problem;
    };
    for (const auto& [text, expected] :
         {Bad{"", "there is no rule"}, Bad{" ; ", "there is no rule"},
          Bad{"off", "rule 1: \"off\" has no ->"},
          Bad{"* -> on; -> off", "rule 2: there is no condition before ->"},
          Bad{"name -> on", "rule 1: \"name\" is no condition"}, Bad{"=x -> on", "is no condition"},
          Bad{"a=1,b -> on", "\"b\" is no condition"},
          Bad{"kind=Server -> on", "\"Server\" is no span kind: allowed is internal"},
          Bad{"* -> sometimes", "\"sometimes\" is no sampler: allowed is on, off"},
          Bad{"* -> 1.5", "\"1.5\" is no sampler"}, Bad{"* -> ", "\"\" is no sampler"},
          Bad{"* -> adaptive(0)", "target_per_second is 0: allowed is"},
          Bad{"* -> adaptive()", "is no sampler"}, Bad{"* -> adaptive(5", "is no sampler"},
          Bad{"* -> rate_limit(-1)", "per_second is -1: allowed is"},
          Bad{"* -> nan", "is no sampler"}, Bad{"* -> adaptive(nan)", "is nan: allowed"}}) {
        std::string problem;
        EXPECT_FALSE(detail::parse_sampling_rules(text, problem)) << text;
        EXPECT_THAT(problem, HasSubstr(expected)) << text;
    }
}

TEST(SamplingRules, AreAtMostSixtyFour) {
    std::string text;
    std::string problem;
    for (int i = 0; i < 64; ++i) { text += "* -> on;"; }
    EXPECT_TRUE(detail::parse_sampling_rules(text, problem));
    EXPECT_FALSE(detail::parse_sampling_rules(text + "* -> on", problem));
    EXPECT_EQ(problem, "there are more than 64 rules");
}

TEST(OptionsFromEnv, ReportsBadSamplingRulesAndSamplesEverything) {
    for (const char* value : {"nonsense", ""}) {
        const auto [options, problems] =
            read({{"OTEL_TRACES_SAMPLER", "rules"}, {"OTEL_TRACES_SAMPLER_ARG", value}});
        EXPECT_EQ(options.sampler.description(), "AlwaysOnSampler");
        EXPECT_THAT(
            problems, ElementsAre(AllOf(
                          HasSubstr("OTEL_TRACES_SAMPLER_ARG=\""), HasSubstr("rule"),
                          HasSubstr("allowed is CONDITIONS -> SAMPLER"),
                          HasSubstr("everything is sampled"))));
    }
}

TEST(OptionsFromEnv, ReportsABadSamplingRateAndUsesTheDefault) {
    for (const char* sampler : {"adaptive", "rate_limit"}) {
        for (const char* value : {"0", "-1", "many", "1e9", "nan"}) {
            const auto [options, problems] =
                read({{"OTEL_TRACES_SAMPLER", sampler}, {"OTEL_TRACES_SAMPLER_ARG", value}});
            EXPECT_THAT(options.sampler.description(), HasSubstr("{100/s"));
            EXPECT_THAT(
                problems, ElementsAre(AllOf(
                              HasSubstr("OTEL_TRACES_SAMPLER_ARG=\"" + std::string(value) + "\""),
                              HasSubstr("allowed is a number from 0.01 to 1000000; 100 is used"))));
        }
    }
}

} // namespace
} // namespace weft::testing
