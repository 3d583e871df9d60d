#include "context_maker.hpp"

#include <weft/propagation/jaeger.hpp>

#include <boost/beast/http/fields.hpp>
#include <gmock/gmock.h>

#include <map>
#include <string>

// Source: Jaeger, "Propagation Format".

namespace weft::jaeger {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using weft::testing::context_of;
using weft::testing::Pairs;
using weft::testing::span_hex;
using weft::testing::trace_hex;
using weft::testing::with_state;

constexpr std::uint8_t sampled = trace_flags::sampled;
constexpr std::uint8_t debug = trace_flags::sampled | trace_flags::debug;

const std::string trace(trace_hex);
const std::string span(span_hex);
const std::string ids = trace + ":" + span + ":0:";

TEST(Jaeger, ReadsIdsAndKnownFlagsOnly) {
    for (const auto& [flags, expected] : std::map<std::string, std::uint8_t>{
             {"0", 0},
             {"1", sampled},
             {"01", sampled},
             {"3", debug},
             {"03", debug},
             {"2", 0},
             {"4", 0},
             {"8", 0},
             {"9", sampled},
             {"0f", debug},
             {"FF", debug},
             {"ff", debug}}) {
        const auto parsed = parse(ids + flags);
        ASSERT_TRUE(parsed.has_value()) << flags;
        EXPECT_EQ(*parsed, context_of(expected).span) << flags;
    }
}

TEST(Jaeger, PadsShortIdsOnTheLeft) {
    const auto parsed = parse("abc:1f:0:1");
    EXPECT_EQ(parsed->trace_id.to_hex(), std::string(29, '0') + "abc");
    EXPECT_EQ(parsed->span_id.to_hex(), std::string(14, '0') + "1f");
}

TEST(Jaeger, AcceptsEncodedColonsBlanksAndUppercase) {
    EXPECT_EQ(*parse(trace + "%3A" + span + "%3a0%3A1"), context_of(sampled).span);
    EXPECT_EQ(*parse(trace + ":" + span + "%3A0:1"), context_of(sampled).span);
    EXPECT_EQ(*parse("\t " + ids + "1 "), context_of(sampled).span);
    EXPECT_EQ(
        *parse("0AF7651916CD43DD8448EB211C80319C:B7AD6B7169203331:0:1"), context_of(sampled).span);
}

TEST(Jaeger, ForgetsTheParent) {
    EXPECT_EQ(*parse(trace + ":" + span + ":05e3ac9a4f6e3b90:1"), context_of(sampled).span);
}

TEST(Jaeger, RefusesAndCountsWhatBreaksTheFormat) {
    const std::string zero(32, '0');
    for (const auto& value : std::vector<std::string>{
             "",
             ":",
             ":::",
             trace,
             trace + ":" + span,
             trace + ":" + span + ":0",
             ids,
             ids + "001",
             ids + "g",
             ids + "-1",
             ids + "1:1",
             ids + "1,",
             ids + " 1",
             "0:" + span + ":0:1",
             zero + ":" + span + ":0:1",
             trace + ":0:0:1",
             trace + ":" + zero.substr(16) + ":0:1",
             trace + "0:" + span + ":0:1",
             trace + ":" + span + "0:0:1",
             ":" + span + ":0:1",
             trace + "::0:1",
             trace + ":" + span + "::1",
             trace + ":" + span + ":x:1",
             trace + ":" + span + ":00000000000000000:1",
             "x" + trace.substr(1) + ":" + span + ":0:1",
             trace + "%3B" + span + ":0:1",
             trace + "-" + span + "-0-1"}) {
        EXPECT_EQ(parse(value).has_error(), true) << "accepted: " << value;
        const auto before = propagation_faults().jaeger;
        EXPECT_FALSE(extract(Pairs{{"uber-trace-id", value}}).is_valid());
        EXPECT_EQ(propagation_faults().jaeger, before + 1);
    }
}

TEST(JaegerExtract, LeavesTheGivenContextWhenThereIsNothingToUse) {
    const auto given = with_state(context_of(sampled), "kept=1");
    for (const auto& carrier : {Pairs{}, Pairs{{"uber-trace-id", "bad"}}}) {
        const auto context = extract(carrier, given);
        EXPECT_EQ(context.span, given.span);
        EXPECT_EQ(context.state, given.state);
    }
}

TEST(JaegerExtract, ReadsAnyCasingTheFirstValueAndAGetter) {
    EXPECT_EQ(
        extract(Pairs{{"Uber-Trace-Id", ids + "1"}, {"uber-trace-id", "bad"}}).span,
        context_of(sampled).span);
    EXPECT_EQ(
        extract([&](std::string_view name) {
            return name == trace_header ? ids + "1" : std::string();
        }).span,
        context_of(sampled).span);
}

TEST(JaegerInject, WritesFullIdsNoParentAndTheFlags) {
    for (const auto& [flags, text] : std::map<std::uint8_t, std::string>{
             {0, "0"},
             {sampled, "1"},
             {debug, "3"},
             {trace_flags::debug, "3"},
             {trace_flags::undecided, "0"},
             {trace_flags::random, "0"}}) {
        Pairs pairs;
        inject(context_of(flags), pairs);
        EXPECT_THAT(pairs, ElementsAre(Pair("uber-trace-id", ids + text)));
    }
    Pairs none;
    inject(TraceContext{}, none);
    EXPECT_TRUE(none.empty());
}

TEST(JaegerBaggage, IsReadFromPrefixedHeadersOfEveryCarrierThatEnumerates) {
    const auto expected = Baggage().set("user", "J\xc3\xbcrgen M").set("Tier", "a,b");
    const Pairs pairs{
        {"uberctx-user", "J%C3%BCrgen+M"},
        {"UberCtx-Tier", " a%2cb "},
        {"uberctx-", "no name"},
        {"uberct-x", "another"}};
    EXPECT_EQ(extract_baggage(pairs), expected);
    EXPECT_EQ(
        extract_baggage(std::map<std::string, std::string>(pairs.begin(), pairs.end())), expected);
    boost::beast::http::fields beast;
    for (const auto& [name, value] : pairs) { beast.insert(name, value); }
    EXPECT_EQ(extract_baggage(beast), expected);
}

TEST(JaegerBaggage, HasOnlyTheListWhereACarrierCannotEnumerate) {
    const auto getter = [](std::string_view name) {
        return name == "jaeger-baggage" ? "k1=v1, k2 = v%202,,bad" : "";
    };
    const auto before = propagation_faults().baggage;
    EXPECT_EQ(extract_baggage(getter), Baggage().set("k1", "v1").set("k2", "v 2"));
    EXPECT_EQ(propagation_faults().baggage, before + 1);
}

TEST(JaegerBaggage, LaysEntriesOverThoseGiven) {
    const auto given = Baggage().set("a", "1").set("b", "2");
    EXPECT_EQ(extract_baggage(Pairs{}, given), given);
    EXPECT_EQ(
        extract_baggage(Pairs{{"uberctx-b", "3"}}, given), Baggage().set("a", "1").set("b", "3"));
}

TEST(JaegerBaggage, LeavesOutAndCountsWhatIsBad) {
    auto before = propagation_faults().baggage;
    EXPECT_EQ(
        extract_baggage(Pairs{{"uberctx-a b", "1"}, {"uberctx-ok", "100%"}}),
        Baggage().set("ok", "100%"));
    EXPECT_EQ(propagation_faults().baggage, before + 1);

    before = propagation_faults().baggage;
    Pairs sent;
    inject_baggage(
        Baggage()
            .set("ok", "1", "metadata")
            .set("not a token", "1")
            .set(std::string(257, 'n'), "1")
            .set("long", std::string(3000, '%')),
        sent);
    EXPECT_THAT(sent, ElementsAre(Pair("uberctx-ok", "1")));
    EXPECT_EQ(propagation_faults().baggage, before + 3);
}

TEST(JaegerBaggage, WritesOneEncodedHeaderForEachEntry) {
    Pairs sent;
    inject_baggage(Baggage().set("user", "J\xc3\xbcrgen M+\r\nx: 1").set("Tier", ""), sent);
    EXPECT_THAT(
        sent,
        UnorderedElementsAre(
            Pair("uberctx-user", "J%C3%BCrgen%20M%2B%0D%0Ax%3A%201"), Pair("uberctx-Tier", "")));
    Pairs none;
    inject_baggage(Baggage(), none);
    EXPECT_TRUE(none.empty());
}

} // namespace
} // namespace weft::jaeger
