#include "context_maker.hpp"

#include <weft/propagation/xray.hpp>

#include <gmock/gmock.h>

#include <map>
#include <string>

// Source: AWS X-Ray developer guide, "Tracing header".

namespace weft::xray {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using weft::testing::context_of;
using weft::testing::Pairs;
using weft::testing::with_state;

constexpr std::uint8_t sampled = trace_flags::sampled;
constexpr std::uint8_t undecided = trace_flags::undecided;

const std::string root = "Root=1-0af76519-16cd43dd8448eb211c80319c";
const std::string parent = "Parent=b7ad6b7169203331";
const std::string both = root + ";" + parent;

TEST(XRay, ReadsRootParentAndEachDecision) {
    for (const auto& [decision, flags] : std::map<std::string, std::uint8_t>{
             {"", undecided},
             {";Sampled=?", undecided},
             {";Sampled=1", sampled},
             {";Sampled=0", 0}}) {
        const auto parsed = parse(both + decision);
        ASSERT_TRUE(parsed.has_value()) << decision;
        EXPECT_EQ(*parsed, context_of(flags).span) << decision;
    }
}

TEST(XRay, TakesPartsInAnyOrderWithBlanksAndIgnoresUnknownOnes) {
    for (const auto& value :
         {"Sampled=1;" + parent + ";" + root,
          "Self=1-67891234-12456789abcdef012345678;" + both + ";Sampled=1",
          both + ";Sampled=1;Lineage=a87bd80c:1|68fd508a:5",
          " " + root + " ; " + parent + " ;\tSampled=1 ", both + ";Sampled=1;",
          ";;" + both + ";;Sampled=1;;key=;=value",
          std::string(
              "Root=1-0AF76519-16CD43DD8448EB211C80319C;Parent=B7AD6B7169203331;Sampled=1")}) {
        const auto parsed = parse(value);
        ASSERT_TRUE(parsed.has_value()) << value;
        EXPECT_EQ(*parsed, context_of(sampled).span) << value;
    }
}

TEST(XRay, TakesTheFirstOfARepeatedPart) {
    EXPECT_EQ(*parse(both + ";Sampled=1;Sampled=0;Root=bad;Parent=bad"), context_of(sampled).span);
}

TEST(XRay, FindsNoSpanWithoutRootOrParentAndCountsNoFault) {
    const auto given = context_of(0);
    const auto before = propagation_faults().xray;
    for (const auto& value :
         {root, root + ";Sampled=1", parent, parent + ";Sampled=1", std::string("Sampled=0"),
          std::string("Self=x"), std::string()}) {
        const auto parsed = parse(value);
        ASSERT_TRUE(parsed.has_value()) << value;
        EXPECT_FALSE(parsed->is_valid()) << value;
        EXPECT_EQ(extract(Pairs{{"X-Amzn-Trace-Id", value}}, given).span, given.span);
    }
    EXPECT_EQ(propagation_faults().xray, before);
}

TEST(XRay, RefusesAndCountsWhatBreaksTheFormat) {
    for (const auto& value : std::vector<std::string>{
             "bad",
             "Root",
             both + ";bad",
             "Root=;" + parent,
             "Root=1;" + parent,
             "Root=2-0af76519-16cd43dd8448eb211c80319c;" + parent,
             "Root=1-0af7651-916cd43dd8448eb211c80319c;" + parent,
             "Root=1-0af76519-16cd43dd8448eb211c80319;" + parent,
             "Root=1-0af76519-16cd43dd8448eb211c80319c0;" + parent,
             "Root=1-0af76519x16cd43dd8448eb211c80319c;" + parent,
             "Root=1-0af76519-16cd43dd8448eb211c80319g;" + parent,
             "Root=1-00000000-000000000000000000000000;" + parent,
             root + ";Parent=",
             root + ";Parent=0000000000000000",
             root + ";Parent=b7ad6b716920333",
             root + ";Parent=b7ad6b71692033310",
             root + ";Parent=b7ad6b716920333x",
             both + ";Sampled=",
             both + ";Sampled=2",
             both + ";Sampled=true"}) {
        EXPECT_TRUE(parse(value).has_error()) << "accepted: " << value;
        const auto before = propagation_faults().xray;
        EXPECT_FALSE(extract(Pairs{{"x-amzn-trace-id", value}}).is_valid());
        EXPECT_EQ(propagation_faults().xray, before + 1);
    }
}

TEST(XRayExtract, LeavesTheGivenContextForABadHeader) {
    const auto given = with_state(context_of(sampled), "kept=1");
    const auto context = extract(Pairs{{"X-Amzn-Trace-Id", "bad"}}, given);
    EXPECT_EQ(context.span, given.span);
    EXPECT_EQ(context.state, given.state);
}

TEST(XRayExtract, ReadsAGetter) {
    EXPECT_EQ(
        extract([&](std::string_view name) {
            return name == trace_header ? both + ";Sampled=1" : std::string();
        }).span,
        context_of(sampled).span);
}

TEST(XRayInject, WritesRootParentAndTheDecisionIfThereIsOne) {
    for (const auto& [flags, decision] : std::map<std::uint8_t, std::string>{
             {0, ";Sampled=0"},
             {sampled, ";Sampled=1"},
             {trace_flags::random, ";Sampled=0"},
             {undecided, ""}}) {
        Pairs pairs;
        inject(with_state(context_of(flags), "lost=1"), pairs);
        EXPECT_THAT(pairs, ElementsAre(Pair("X-Amzn-Trace-Id", both + decision)));
    }
    Pairs none;
    inject(TraceContext{}, none);
    EXPECT_TRUE(none.empty());
}

} // namespace
} // namespace weft::xray
