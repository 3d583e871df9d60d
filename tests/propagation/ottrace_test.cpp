#include "context_maker.hpp"

#include <weft/propagation/ottrace.hpp>

#include <gmock/gmock.h>

#include <map>
#include <string>

// Source: OpenTelemetry contrib propagators, "OT Trace".

namespace weft::ottrace {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using weft::testing::context_of;
using weft::testing::Pairs;
using weft::testing::span_hex;
using weft::testing::value_of;
using weft::testing::with_state;

constexpr std::uint8_t sampled = trace_flags::sampled;
constexpr std::uint8_t undecided = trace_flags::undecided;
constexpr std::string_view short_hex = "8448eb211c80319c";
constexpr std::string_view padded_hex = "00000000000000008448eb211c80319c";

Pairs headers(std::string_view trace, std::string_view span, Pairs more = {}) {
    more.emplace_back("ot-tracer-traceid", trace);
    more.emplace_back("Ot-Tracer-SpanId", span);
    return more;
}

TEST(OtTrace, ReadsIdsOf16And32DigitsInAnyCase) {
    EXPECT_EQ(extract(headers(short_hex, span_hex)).span, context_of(undecided, padded_hex).span);
    EXPECT_EQ(
        extract(headers(weft::testing::trace_hex, span_hex)).span, context_of(undecided).span);
    EXPECT_EQ(
        extract(headers("8448EB211C80319C", " B7AD6B7169203331\t")).span,
        context_of(undecided, padded_hex).span);
}

TEST(OtTrace, ReadsEachDecision) {
    for (const auto& [text, flags] : std::map<std::string, std::uint8_t>{
             {"true", sampled}, {"1", sampled}, {"false", 0}, {"0", 0}}) {
        EXPECT_EQ(
            extract(headers(short_hex, span_hex, {{"ot-tracer-sampled", text}})).span.flags, flags);
    }
}

TEST(OtTrace, RefusesAndCountsWhatBreaksTheFormat) {
    const std::vector<Pairs> cases{
        {{"ot-tracer-traceid", std::string(short_hex)}},
        {{"ot-tracer-spanid", std::string(span_hex)}},
        headers("", span_hex),
        headers(short_hex, ""),
        headers("0000000000000000", span_hex),
        headers(std::string(32, '0'), span_hex),
        headers(short_hex, "0000000000000000"),
        headers("8448eb211c80319", span_hex),
        headers("8448eb211c80319c0", span_hex),
        headers(short_hex, "b7ad6b716920333"),
        headers(short_hex, "b7ad6b716920333x"),
        headers(short_hex, span_hex, {{"ot-tracer-sampled", "yes"}}),
        headers(short_hex, span_hex, {{"ot-tracer-sampled", ""}}),
    };
    const auto given = with_state(context_of(sampled), "kept=1");
    for (const auto& carrier : cases) {
        const auto before = propagation_faults().ottrace;
        const auto context = extract(carrier, given);
        EXPECT_EQ(context.span, given.span);
        EXPECT_EQ(context.state, given.state);
        EXPECT_EQ(propagation_faults().ottrace, before + 1);
    }
}

TEST(OtTrace, CountsNoFaultWithoutIds) {
    const auto before = propagation_faults().ottrace;
    EXPECT_FALSE(extract(Pairs{}).is_valid());
    EXPECT_FALSE(extract(Pairs{{"ot-tracer-sampled", "true"}}).is_valid());
    EXPECT_EQ(propagation_faults().ottrace, before);
}

TEST(OtTraceInject, WritesTheLowHalfOfTheTraceId) {
    Pairs pairs;
    inject(context_of(sampled), pairs);
    EXPECT_THAT(
        pairs,
        UnorderedElementsAre(
            Pair("ot-tracer-traceid", std::string(short_hex)),
            Pair("ot-tracer-spanid", std::string(span_hex)), Pair("ot-tracer-sampled", "true")));
    inject(context_of(0), pairs);
    EXPECT_EQ(value_of(pairs, "ot-tracer-sampled"), "false");
    inject(context_of(undecided), pairs);
    EXPECT_EQ(value_of(pairs, "ot-tracer-sampled"), "(absent)");
}

TEST(OtTraceInject, WritesNothingForAnIdThatCannotBeSent) {
    Pairs none;
    inject(context_of(sampled, "0af7651916cd43dd0000000000000000"), none);
    inject(TraceContext{}, none);
    EXPECT_TRUE(none.empty());
}

TEST(OtTraceBaggage, IsOnePlainHeaderForEachEntry) {
    const auto baggage = Baggage().set("user", "J. 100%+").set("Tier", "");
    Pairs sent;
    inject_baggage(baggage, sent);
    EXPECT_THAT(
        sent,
        UnorderedElementsAre(Pair("ot-baggage-user", "J. 100%+"), Pair("ot-baggage-Tier", "")));
    EXPECT_EQ(extract_baggage(sent), baggage);
}

TEST(OtTraceBaggage, LeavesOutAndCountsWhatCannotBeSent) {
    const auto before = propagation_faults().baggage;
    Pairs sent;
    inject_baggage(
        Baggage()
            .set("ok", "1", "metadata")
            .set("umlaut", "\xc3\xbc")
            .set("line", "a\r\nx: 1")
            .set("blank", " a")
            .set("not a token", "1"),
        sent);
    EXPECT_THAT(sent, ElementsAre(Pair("ot-baggage-ok", "1")));
    EXPECT_EQ(propagation_faults().baggage, before + 4);
}

TEST(OtTraceBaggage, RepairsWhatIsNoUtf8AndIsNotThereForAGetter) {
    EXPECT_EQ(
        extract_baggage(Pairs{{"Ot-Baggage-a", "x\xff"}}), Baggage().set("a", "x\xef\xbf\xbd"));
    const auto given = Baggage().set("a", "1");
    EXPECT_EQ(extract_baggage([](std::string_view) { return "x"; }, given), given);
}

} // namespace
} // namespace weft::ottrace
