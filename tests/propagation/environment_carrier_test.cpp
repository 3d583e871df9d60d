#include "context_maker.hpp"

#include <weft/propagation/composite.hpp>
#include <weft/propagation/environment_carrier.hpp>

#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <string>

// Source: OpenTelemetry, "Environment Variables as Context Propagation Carriers".

namespace weft {
namespace {

using ::testing::Contains;
using testing::context_of;
using ::testing::ElementsAre;
using ::testing::Pair;

static_assert(carrier::Readable<EnvironmentCarrier> && carrier::Writable<EnvironmentCarrier>);
static_assert(carrier::Enumerable<EnvironmentCarrier>);

TEST(EnvironmentName, NormalisesEveryKindOfCharacter) {
    for (const auto& [header, variable] : std::map<std::string, std::string>{
             {"", "_"},
             {"traceparent", "TRACEPARENT"},
             {"X-B3-TraceId", "X_B3_TRACEID"},
             {"uber-trace-id", "UBER_TRACE_ID"},
             {"1abc", "_1ABC"},
             {"_x9", "_X9"},
             {"a.b c\xc3\xbc", "A_B_C__"},
             {"-", "_"}}) {
        EXPECT_EQ(environment_name(header), variable) << header;
    }
}

TEST(EnvironmentCarrier, ReadsOnlyTheNormalisedName) {
    const EnvironmentCarrier carrier({{"TRACEPARENT", "1"}, {"traceparent", "2"}, {"x-y", "3"}});
    std::vector<std::string> seen;
    const auto collect = [&](std::string_view value) { seen.emplace_back(value); };
    carrier.for_each_value("TraceParent", collect);
    carrier.for_each_value("x-y", collect);
    EXPECT_THAT(seen, ElementsAre("1"));
}

TEST(EnvironmentCarrier, WritesAndErasesTheNormalisedNameAndLeavesOthers) {
    EnvironmentCarrier carrier({{"traceparent", "kept"}, {"TRACEPARENT", "old"}});
    carrier.set("traceparent", "new");
    carrier.set("x-y", "1");
    EXPECT_THAT(
        carrier.variables(),
        ElementsAre(Pair("traceparent", "kept"), Pair("TRACEPARENT", "new"), Pair("X_Y", "1")));
    carrier.erase("TraceParent");
    EXPECT_THAT(carrier.envp(), ElementsAre("traceparent=kept", "X_Y=1"));
}

TEST(EnvironmentCarrier, EnumeratesOnlyNamesThatAreInForm) {
    const EnvironmentCarrier carrier(
        {{"lower", "1"},
         {"A", "2"},
         {"", "3"},
         {"9A", "4"},
         {"A-B", "5"},
         {"_9", "6"},
         {"Ab", "7"}});
    std::vector<std::string> names;
    for (const auto& [name, value] : carrier) { names.push_back(name); }
    EXPECT_THAT(names, ElementsAre("A", "_9"));
}

TEST(EnvironmentCarrier, TakesTheProcessEnvironmentAndDoesNotChangeIt) {
    ASSERT_EQ(setenv("TRACEPARENT", "from outside", 1), 0);
    auto carrier = EnvironmentCarrier::of_process();
    EXPECT_THAT(carrier.variables(), Contains(Pair("TRACEPARENT", "from outside")));
    carrier.set("traceparent", "for the child");
    EXPECT_STREQ(std::getenv("TRACEPARENT"), "from outside");
    ASSERT_EQ(unsetenv("TRACEPARENT"), 0);
}

TEST(EnvironmentCarrier, CarriesEveryFormatButBaggageOfOneVariableEach) {
    using enum Propagator;
    const PropagatedContext context{
        testing::with_state(context_of(trace_flags::sampled), "a=1"), Baggage().set("user", "7")};
    for (const auto propagator : {tracecontext, b3, b3multi, jaeger, xray}) {
        EnvironmentCarrier carrier;
        inject(Propagators{propagator, baggage}, context, carrier);
        const auto read = extract(Propagators{propagator, baggage}, carrier);
        EXPECT_EQ(read.trace.span, context.trace.span) << name(propagator);
        EXPECT_EQ(read.baggage, context.baggage) << name(propagator);
    }
    EnvironmentCarrier carrier;
    inject(Propagators{jaeger}, context, carrier);
    EXPECT_THAT(carrier.variables(), Contains(Pair("UBERCTX_USER", "7")));
    EXPECT_TRUE(extract(Propagators{jaeger}, carrier).baggage.empty());
}

} // namespace
} // namespace weft
