#include "pattern.hpp"

#include <weft/signals/composable_sampler.hpp>
#include <weft/signals/rate_limit_sampler.hpp>
#include <weft/signals/rule_sampler.hpp>
#include <weft/testing/span_sink.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace weft {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t second = 1'000'000'000;

struct Start {
    std::string_view name = "name";
    SpanKind kind = SpanKind::internal;
    std::vector<Attribute> attributes{};
    std::int64_t now_ns = second;
    TraceState state{};
};

SamplingResult ask(const Sampler& sampler, const Start& start) {
    const auto trace = random_trace_id();
    return sampler.should_sample(
        {nullptr, start.state, trace, start.name, start.kind, start.attributes, {}, start.now_ns});
}
bool samples(const Sampler& sampler, const Start& start) {
    return ask(sampler, start).decision == SamplingDecision::record_and_sample;
}

TEST(Pattern, MatchesStarsAndQuestionMarks) {
    using detail::matches;
    for (const auto& [pattern, text] : std::vector<std::pair<const char*, const char*>>{
             {"", ""},
             {"*", ""},
             {"*", "any"},
             {"a*", "a"},
             {"a*c", "abcbc"},
             {"*b*", "abc"},
             {"a?c", "abc"},
             {"**a**", "a"},
             {"GET *", "GET /orders"},
             {"*/health", "/v1/health"},
             {"a*b*c*d", "axbxbxcxxd"}}) {
        EXPECT_TRUE(matches(pattern, text)) << pattern << " " << text;
    }
    for (const auto& [pattern, text] : std::vector<std::pair<const char*, const char*>>{
             {"", "a"},
             {"a", ""},
             {"?", ""},
             {"a*c", "abcb"},
             {"a?c", "ac"},
             {"GET", "get"},
             {"*b", "abc"},
             {"a*b*c*d", "axbxbxdxxc"}}) {
        EXPECT_FALSE(matches(pattern, text)) << pattern << " " << text;
    }
}

// A pattern of many stars against a text that almost matches must not take for ever.
TEST(Pattern, TakesTimeInProportion) {
    std::string pattern;
    for (int i = 0; i < 200; ++i) { pattern += "*a"; }
    EXPECT_FALSE(detail::matches(pattern + "b", std::string(20'000, 'a')));
}

TEST(RuleSampler, AsksTheFirstRuleThatApplies) {
    const auto sampler = rule_sampler(
        {{.name = "GET /health", .sampler = Sampler::always_off()},
         {.name = "GET *", .sampler = Sampler::always_on()},
         {.kind = SpanKind::consumer, .sampler = Sampler::always_on()},
         {.attributes = {{"http.route", "/orders/*"}, {"http.response.status_code", "5??"}},
          .sampler = Sampler::always_on()},
         {.attributes = {{"debug"}}, .sampler = Sampler::always_on()}},
        Sampler::always_off());
    EXPECT_FALSE(samples(sampler, {.name = "GET /health"}));
    EXPECT_TRUE(samples(sampler, {.name = "GET /other"}));
    EXPECT_FALSE(samples(sampler, {.name = "POST /other"}));
    EXPECT_TRUE(samples(sampler, {.kind = SpanKind::consumer}));
    EXPECT_TRUE(samples(
        sampler,
        {.attributes = {{"http.response.status_code", 503}, {"http.route", "/orders/7"}}}));
    EXPECT_FALSE(samples(
        sampler,
        {.attributes = {{"http.response.status_code", 404}, {"http.route", "/orders/7"}}}));
    EXPECT_FALSE(samples(sampler, {.attributes = {{"http.route", "/orders/7"}}}));
    EXPECT_TRUE(samples(sampler, {.attributes = {{"debug", false}}}));
}

TEST(RuleSampler, ComparesNumbersAndBooleansAsText) {
    const auto with = [](std::string value) {
        return rule_sampler(
            {{.attributes = {{"key", std::move(value)}}, .sampler = Sampler::always_on()}},
            Sampler::always_off());
    };
    EXPECT_TRUE(samples(with("true"), {.attributes = {{"key", true}}}));
    EXPECT_TRUE(samples(with("-7"), {.attributes = {{"key", -7}}}));
    EXPECT_TRUE(samples(with("0.5"), {.attributes = {{"key", 0.5}}}));
    EXPECT_FALSE(samples(with("7"), {.attributes = {{"key", 77}}}));
    const std::vector<std::int64_t> numbers{7};
    EXPECT_FALSE(samples(with("*"), {.attributes = {{"key", numbers}}})) << "no text to compare";
}

TEST(RuleSampler, PassesOnTheWeightOfTheRuleThatApplies) {
    const auto sampler =
        rule_sampler({{.name = "all", .sampler = Sampler::always_on()}}, Sampler::probability(0.5));
    EXPECT_EQ(ask(sampler, {.name = "all"}).trace_state.text(), "ot=th:0");
    int kept = 0;
    for (int i = 0; i < 1000; ++i) {
        const auto result = ask(sampler, {.name = "other"});
        if (result.decision != SamplingDecision::record_and_sample) { continue; }
        ++kept;
        ASSERT_EQ(result.trace_state.text(), "ot=th:8");
    }
    EXPECT_NEAR(kept, 500, 6 * std::sqrt(250));
}

TEST(RateLimitSampler, KeepsItsRateAndABurst) {
    const auto sampler = rate_limit_sampler({.per_second = 10, .burst = 5});
    int kept = 0;
    for (int i = 0; i < 100; ++i) { kept += samples(sampler, {.now_ns = second}) ? 1 : 0; }
    EXPECT_EQ(kept, 5) << "all at once";
    for (int ms = 1; ms <= 10'000; ++ms) {
        kept += samples(sampler, {.now_ns = second + std::int64_t{ms} * 1'000'000}) ? 1 : 0;
    }
    EXPECT_EQ(kept, 5 + 100);
    EXPECT_TRUE(samples(sampler, {.now_ns = 1000 * second}));
}

TEST(RateLimitSampler, CountsOnlyWhatItsInnerSamplerKeepsAndWritesNoWeight) {
    const auto none = rate_limit_sampler({.per_second = 1}, Sampler::always_off());
    EXPECT_FALSE(samples(none, {}));
    const auto some = rate_limit_sampler({.per_second = 1, .burst = 2}, Sampler::probability(0.5));
    int kept = 0;
    for (int i = 0; i < 100; ++i) {
        const auto result = ask(some, {.state = TraceState::from_validated("ot=th:c,a=1")});
        EXPECT_EQ(result.trace_state.text(), "a=1");
        kept += result.decision == SamplingDecision::record_and_sample ? 1 : 0;
    }
    EXPECT_EQ(kept, 2);
}

TEST(RateLimitSampler, RefusesWhatItCannotDo) {
    EXPECT_THROW((void)rate_limit_sampler({.per_second = 0}), std::invalid_argument);
    EXPECT_THAT(
        problem_in(RateLimit{.per_second = std::nan("")}),
        HasSubstr("RateLimit::per_second is nan: allowed is 0.01 to 1000000"));
    EXPECT_THAT(
        problem_in(RateLimit{.per_second = 1, .burst = 0.5}),
        HasSubstr("RateLimit::burst is 0.5: allowed is 1 to 1000000"));
}

TEST(AnnotatingSampler, PutsItsAttributesOnWhatIsRecorded) {
    std::string text = "canary";
    const auto sampler =
        annotating_sampler(Sampler::always_on(), {{"deployment", text}, {"weight", 3}});
    text = "gone";
    testing::SpanSink sink({.sampler = sampler});

    { Span span("work", {{"weight", 1}}); }

    const auto span = sink.take_one();
    EXPECT_THAT(span.message, HasSubstr("canary"));
    EXPECT_EQ(span.trace_state, "ot=th:0");
}

TEST(AnnotatingSampler, RefusesWhatItCannotCopy) {
    const std::vector<std::int64_t> numbers{7};
    const auto on = Sampler::always_on();
    EXPECT_THROW((void)annotating_sampler(on, {{"key", numbers}}), std::invalid_argument);
    EXPECT_THROW((void)annotating_sampler(on, {{"", 1}}), std::invalid_argument);
    EXPECT_THROW(
        (void)annotating_sampler(on, {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}}),
        std::invalid_argument);
}

TEST(AlwaysRecordSampler, RecordsWithoutSamplingAndExportsNothing) {
    testing::SpanSink sink({.sampler = always_record_sampler(Sampler::always_off())});
    {
        Span span("work");
        EXPECT_TRUE(span.is_recording());
        EXPECT_FALSE(span.context().is_sampled());
        Span child("child");
        EXPECT_TRUE(child.is_recording());
    }
    EXPECT_EQ(sink.take().size(), 0u);
    EXPECT_EQ(sink.provider().queue.records_accepted(), 0u);
}

// Goal: through a real span, at the root and below: the weight is written once and inherited.
TEST(ProbabilitySampler, WeighsEverySpanOfATraceAlike) {
    testing::SpanSink sink({.sampler = Sampler::parent_based(Sampler::probability(0.5))});
    for (int i = 0; i < 200; ++i) {
        Span root("root");
        Span child("child");
        EXPECT_EQ(child.context().is_sampled(), root.context().is_sampled());
        EXPECT_EQ(child.trace_context().state.text(), root.context().is_sampled() ? "ot=th:8" : "");
    }
    const auto spans = sink.take();
    EXPECT_NEAR(static_cast<double>(spans.size()), 200, 2 * 6 * std::sqrt(50));
    for (const auto& span : spans) {
        EXPECT_EQ(span.trace_state, "ot=th:8");
        EXPECT_GE(trace_randomness(span.trace_id()), threshold_never / 2);
    }
}

TEST(ProbabilitySampler, TakesAStaleWeightOffATraceThatItDoesNotKeep) {
    testing::SpanSink sink({.sampler = Sampler::trace_id_ratio(1e-9)});
    TraceContext parent{
        {random_trace_id(), random_span_id(), trace_flags::sampled, true},
        TraceState::from_validated("ot=th:8;rv:00000000000000,a=1")};
    const Span span(sink.tracer(), "child", {}, {.parent = parent});
    EXPECT_FALSE(span.context().is_sampled());
    EXPECT_EQ(span.trace_context().state.text(), "ot=rv:00000000000000,a=1");
}

} // namespace
} // namespace weft
