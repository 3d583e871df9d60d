#include "context_maker.hpp"
#include "counted_new.hpp"

#include <weft/propagation/b3.hpp>

#include <boost/beast/http/fields.hpp>
#include <gmock/gmock.h>

#include <map>
#include <string>

// Source: B3 propagation; OpenTelemetry Propagators API, "B3 Requirements".

namespace weft::b3 {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using weft::testing::context_of;
using weft::testing::Pairs;
using weft::testing::span_hex;
using weft::testing::trace_hex;
using weft::testing::value_of;
using weft::testing::with_state;

constexpr std::uint8_t sampled = trace_flags::sampled;
constexpr std::uint8_t debug = trace_flags::sampled | trace_flags::debug;
constexpr std::uint8_t undecided = trace_flags::undecided;

const std::string ids = std::string(trace_hex) + "-" + std::string(span_hex);

Pairs multi(std::string_view trace, std::string_view span, Pairs more = {}) {
    more.emplace_back("X-B3-TraceId", trace);
    more.emplace_back("X-B3-SpanId", span);
    return more;
}

TEST(B3Single, ReadsIdsAndEachState) {
    const std::map<std::string, std::uint8_t> states{
        {"", undecided}, {"-1", sampled}, {"-0", 0}, {"-d", debug}};
    for (const auto& [state, flags] : states) {
        const auto span = parse_single(ids + state);
        ASSERT_TRUE(span.has_value()) << state;
        EXPECT_EQ(*span, context_of(flags).span) << state;
        EXPECT_TRUE(span->is_remote);
    }
}

TEST(B3Single, ForgetsTheParent) {
    EXPECT_EQ(*parse_single(ids + "-1-05e3ac9a4f6e3b90"), context_of(sampled).span);
}

TEST(B3Single, PadsA64BitTraceIdOnTheLeft) {
    const auto span = parse_single("8448eb211c80319c-b7ad6b7169203331-1");
    EXPECT_EQ(span->trace_id.to_hex(), "00000000000000008448eb211c80319c");
}

TEST(B3Single, AllowsBlanksAround) {
    EXPECT_EQ(*parse_single(" \t" + ids + "-1\t "), context_of(sampled).span);
}

TEST(B3Single, IsADecisionWithoutIdsWhereItIsOnlyAState) {
    for (const auto* state : {"0", "1", "d", " 0 "}) {
        const auto span = parse_single(state);
        ASSERT_TRUE(span.has_value()) << state;
        EXPECT_FALSE(span->is_valid()) << state;
    }
}

TEST(B3Single, RefusesWhatBreaksTheFormat) {
    const std::string trace(trace_hex);
    const std::string span(span_hex);
    const std::string zero(32, '0');
    for (const auto& value : std::vector<std::string>{
             "",
             " ",
             "2",
             "D",
             "-",
             "--",
             "true",
             trace,
             trace + "-",
             "-" + span,
             ids + "-",
             ids + "-2",
             ids + "-D",
             ids + "-11",
             ids + "-true",
             ids + "--05e3ac9a4f6e3b90",
             ids + "-1-",
             ids + "-1-05e3ac9a4f6e3b9",
             ids + "-1-05e3ac9a4f6e3b90-",
             ids + "-1-05e3ac9a4f6e3b90-x",
             ids + "-1-0000000000000000",
             ids + "-05e3ac9a4f6e3b90",
             zero + "-" + span,
             trace + "-" + zero.substr(16),
             zero.substr(16) + "-" + span,
             trace.substr(1) + "-" + span,
             trace + "0-" + span,
             trace + "-" + span.substr(1),
             trace + "-" + span + "0",
             "0AF7651916CD43DD8448EB211C80319C-" + span,
             trace + "-B7AD6B7169203331",
             trace + "g-" + span,
             trace + "_" + span + "-1",
             ids + "-1," + ids + "-1",
             "1-" + ids}) {
        const auto parsed = parse_single(value);
        EXPECT_TRUE(parsed.has_error()) << "accepted: " << value;
        if (parsed.has_error()) { EXPECT_EQ(parsed.error(), Errc::header_malformed); }
    }
}

TEST(B3Multi, ReadsIdsAndEachDecision) {
    const std::vector<std::pair<Pairs, std::uint8_t>> cases{
        {{}, undecided},
        {{{"X-B3-Sampled", "1"}}, sampled},
        {{{"X-B3-Sampled", "true"}}, sampled},
        {{{"X-B3-Sampled", "0"}}, 0},
        {{{"X-B3-Sampled", "false"}}, 0},
        {{{"X-B3-Flags", "1"}}, debug},
        {{{"X-B3-Flags", "1"}, {"X-B3-Sampled", "0"}}, debug},
        {{{"X-B3-Flags", "0"}, {"X-B3-Sampled", "1"}}, sampled},
        {{{"X-B3-ParentSpanId", "05e3ac9a4f6e3b90"}, {"X-B3-Sampled", "1"}}, sampled},
    };
    for (const auto& [more, flags] : cases) {
        EXPECT_EQ(extract(multi(trace_hex, span_hex, more)).span, context_of(flags).span);
    }
}

TEST(B3Multi, ReadsNamesInAnyCaseAnd64BitTraceIds) {
    const std::map<std::string, std::string> map{
        {"x-b3-traceid", "8448eb211c80319c"},
        {"X-B3-SPANID", std::string(span_hex)},
        {"x-b3-sampled", "1"}};
    EXPECT_EQ(extract(map).span, context_of(sampled, "00000000000000008448eb211c80319c").span);
}

TEST(B3Multi, RefusesAndCountsWhatBreaksTheFormat) {
    const std::string trace(trace_hex);
    const std::string span(span_hex);
    const std::vector<Pairs> cases{
        {{"X-B3-TraceId", trace}},
        {{"X-B3-SpanId", span}},
        multi("", span),
        multi(trace, ""),
        multi(trace + "0", span),
        multi(trace, span + "0"),
        multi(std::string(32, '0'), span),
        multi(trace, std::string(16, '0')),
        multi("0AF7651916CD43DD8448EB211C80319C", span),
        multi(trace, "B7AD6B7169203331"),
        multi(trace, span, {{"X-B3-Sampled", "2"}}),
        multi(trace, span, {{"X-B3-Sampled", ""}}),
        multi(trace, span, {{"X-B3-Sampled", "d"}}),
    };
    for (const auto& carrier : cases) {
        const auto before = propagation_faults().b3;
        EXPECT_FALSE(extract(carrier).is_valid());
        EXPECT_EQ(propagation_faults().b3, before + 1);
    }
}

TEST(B3Extract, TriesTheSingleHeaderFirst) {
    auto both = multi("11111111111111111111111111111111", "2222222222222222");
    both.emplace_back("B3", ids + "-1");
    EXPECT_EQ(extract(both).span, context_of(sampled).span);
}

TEST(B3Extract, FallsBackToTheMultiHeadersFromABadSingleOne) {
    auto both = multi(trace_hex, span_hex, {{"X-B3-Sampled", "1"}});
    both.emplace_back("b3", "bad");
    const auto before = propagation_faults().b3;
    EXPECT_EQ(extract(both).span, context_of(sampled).span);
    EXPECT_EQ(propagation_faults().b3, before + 1);
}

TEST(B3Extract, TakesTheFirstOfRepeatedHeaders) {
    EXPECT_EQ(extract(Pairs{{"b3", ids + "-1"}, {"b3", "bad"}}).span, context_of(sampled).span);
    auto repeated = multi(trace_hex, span_hex, {{"X-B3-Sampled", "1"}, {"X-B3-Sampled", "0"}});
    repeated.emplace_back("X-B3-TraceId", "bad");
    EXPECT_EQ(extract(repeated).span, context_of(sampled).span);
}

TEST(B3Extract, FindsNoContextInADecisionWithoutIdsAndCountsNoFault) {
    const auto before = propagation_faults().b3;
    const auto given = context_of(0);
    for (const auto& carrier : std::vector<Pairs>{
             {},
             {{"b3", "0"}},
             {{"b3", "1"}},
             {{"b3", "d"}},
             {{"X-B3-Sampled", "0"}},
             {{"X-B3-Flags", "1"}}}) {
        EXPECT_FALSE(extract(carrier).is_valid());
        EXPECT_EQ(extract(carrier, given).span, given.span);
    }
    EXPECT_EQ(propagation_faults().b3, before);
}

TEST(B3Extract, LeavesTheGivenContextForABadHeader) {
    const auto given = with_state(context_of(sampled), "kept=1");
    const auto context = extract(Pairs{{"b3", "bad"}}, given);
    EXPECT_EQ(context.span, given.span);
    EXPECT_EQ(context.state, given.state);
}

TEST(B3Extract, KeepsStateAndRandomFlagOfAnotherFormatOnlyForTheSameSpan) {
    const auto given = with_state(context_of(trace_flags::random), "kept=1");
    auto context = extract(Pairs{{"b3", ids + "-d"}}, given);
    EXPECT_EQ(context.span.flags, debug | trace_flags::random);
    EXPECT_EQ(context.state.text(), "kept=1");
    context = extract(Pairs{{"b3", std::string(trace_hex) + "-1111111111111111-1"}}, given);
    EXPECT_EQ(context.span.flags, sampled);
    EXPECT_TRUE(context.state.empty());
}

TEST(B3Extract, ReadsAGetterAndBeastFields) {
    EXPECT_EQ(
        extract([&](std::string_view name) {
            return name == "b3" ? ids + "-1" : std::string();
        }).span,
        context_of(sampled).span);
    boost::beast::http::fields beast;
    beast.insert("x-b3-TRACEID", std::string(trace_hex));
    beast.insert("x-b3-spanid", std::string(span_hex));
    EXPECT_EQ(extract(beast).span, context_of(undecided).span);
}

TEST(B3Inject, WritesTheSingleHeaderForEachState) {
    for (const auto& [flags, state] : std::map<std::uint8_t, std::string>{
             {0, "-0"},
             {sampled, "-1"},
             {trace_flags::random, "-0"},
             {debug, "-d"},
             {trace_flags::debug, "-d"},
             {undecided, ""}}) {
        Pairs pairs;
        inject(context_of(flags), pairs);
        EXPECT_THAT(pairs, ElementsAre(Pair("b3", ids + state)));
    }
}

TEST(B3Inject, WritesTheMultiHeadersForEachState) {
    const std::string trace(trace_hex);
    const std::string span(span_hex);
    const auto injected = [](std::uint8_t flags) {
        Pairs pairs;
        inject(context_of(flags), pairs, Form::multi);
        return pairs;
    };
    EXPECT_THAT(
        injected(sampled),
        UnorderedElementsAre(
            Pair("X-B3-TraceId", trace), Pair("X-B3-SpanId", span), Pair("X-B3-Sampled", "1")));
    EXPECT_EQ(value_of(injected(0), "X-B3-Sampled"), "0");
    EXPECT_EQ(value_of(injected(debug), "X-B3-Flags"), "1");
    EXPECT_EQ(value_of(injected(debug), "X-B3-Sampled"), "(absent)");
    EXPECT_EQ(injected(undecided).size(), 2U);
}

TEST(B3Inject, LeavesNothingOfAnotherSpan) {
    Pairs pairs{
        {"x-b3-parentspanid", "1"}, {"x-b3-flags", "1"}, {"x-b3-sampled", "0"}, {"other", "1"}};
    inject(context_of(undecided), pairs, Form::multi);
    EXPECT_EQ(pairs.size(), 3U);
    EXPECT_EQ(value_of(pairs, "other"), "1");
}

TEST(B3Inject, WritesNothingForAnInvalidContextAndAllocatesNothing) {
    const auto context = context_of(sampled);
    const auto fail = [](std::string_view, std::string_view) { FAIL(); };
    std::size_t chars = 0;
    const auto count = [&](std::string_view, std::string_view value) { chars += value.size(); };
    const auto before = weft::testing::allocations();
    inject(TraceContext{}, fail);
    inject(TraceContext{}, fail, Form::multi);
    inject(context, count);
    inject(context, count, Form::multi);
    EXPECT_EQ(weft::testing::allocations(), before);
    EXPECT_EQ(chars, 51U + 32 + 16 + 1);
}

} // namespace
} // namespace weft::b3
