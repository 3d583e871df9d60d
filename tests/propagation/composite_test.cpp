#include "context_maker.hpp"
#include "counted_new.hpp"

#include <weft/propagation/composite.hpp>

#include <boost/beast/http/fields.hpp>
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <unordered_map>

// Source: OpenTelemetry Propagators API, "Composite Propagator", "Global Propagators".

namespace weft {
namespace {

using testing::context_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Pairs;
using testing::value_of;
using testing::with_state;
using enum Propagator;

constexpr std::uint8_t sampled = trace_flags::sampled;
const std::string traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const std::string other_b3 = "11111111111111111111111111111111-2222222222222222-0";
const std::string same_b3 = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-d";

TEST(Propagators, AreTraceContextAndBaggageByDefault) {
    EXPECT_THAT(Propagators(), ElementsAre(tracecontext, baggage));
    EXPECT_EQ(default_propagators(), Propagators());
    EXPECT_TRUE(Propagators::none().empty());
}

TEST(Propagators, KeepTheirOrderAndDropDuplicates) {
    const Propagators all{b3, b3, xray, tracecontext, jaeger, b3, baggage, ottrace, b3multi, xray};
    EXPECT_THAT(all, ElementsAre(b3, xray, tracecontext, jaeger, baggage, ottrace, b3multi));
    EXPECT_EQ(all.size(), propagators_max);
    EXPECT_NE((Propagators{b3, xray}), (Propagators{xray, b3}));
}

TEST(Propagators, AreNamedAsInTheEnvironment) {
    for (const auto propagator : {tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace}) {
        EXPECT_EQ(parse_propagator(name(propagator)), propagator);
    }
    for (const auto* unknown : {"", "none", "B3", "b3 ", "tracecontext,baggage", "zipkin"}) {
        EXPECT_EQ(parse_propagator(unknown), std::nullopt) << unknown;
    }
}

TEST(Propagators, OfTheProcessCanBeChanged) {
    set_default_propagators({b3, baggage});
    EXPECT_THAT(default_propagators(), ElementsAre(b3, baggage));
    set_default_propagators({});
    EXPECT_EQ(default_propagators(), Propagators());
}

TEST(PropagatorFields, AreTheNamesThatInjectWrites) {
    EXPECT_THAT(fields({}), ElementsAre("traceparent", "tracestate", "baggage"));
    EXPECT_THAT(fields(Propagators{b3}), ElementsAre("b3"));
    EXPECT_THAT(
        fields(Propagators{b3multi}),
        ElementsAre("X-B3-TraceId", "X-B3-SpanId", "X-B3-Sampled", "X-B3-Flags"));
    EXPECT_THAT(fields(Propagators::none()), IsEmpty());
    const Propagators all{tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace};
    EXPECT_EQ(fields(all).size(), FieldNames::names_max);
    const PropagatedContext context{
        with_state(context_of(sampled), "a=1"), Baggage().set("k", "v")};
    const auto expected = fields(all);
    inject(all, context, [&](std::string_view name, std::string_view) {
        const bool is_entry = name.starts_with("uberctx-") || name.starts_with("ot-baggage-");
        EXPECT_TRUE(is_entry || std::find(expected.begin(), expected.end(), name) != expected.end())
            << name;
        EXPECT_TRUE(replaces(all, context, name)) << name;
    });
}

TEST(CompositeExtract, ReadsTraceAndBaggageByDefault) {
    const Pairs pairs{{"traceparent", traceparent}, {"tracestate", "a=1"}, {"baggage", "k=v"}};
    const auto context = extract(Propagators(), pairs);
    EXPECT_EQ(context.trace.span, context_of(sampled).span);
    EXPECT_EQ(context.trace.state.text(), "a=1");
    EXPECT_EQ(context.baggage, Baggage().set("k", "v"));
}

TEST(CompositeExtract, ReadsEveryKindOfCarrier) {
    using Map = std::map<std::string, std::string>;
    const Map map{{"TraceParent", traceparent}, {"Baggage", "k=v"}};
    boost::beast::http::fields beast;
    for (const auto& [name, value] : map) { beast.insert(name, value); }
    const std::unordered_map<std::string, std::string> hashed(map.begin(), map.end());
    const auto getter = [&](std::string_view name) {
        return name == "traceparent" ? traceparent : name == "baggage" ? "k=v" : "";
    };
    const Propagators all{tracecontext, baggage, b3, jaeger, xray, ottrace};
    for (const auto& context :
         {extract(all, map), extract(all, beast), extract(all, hashed), extract(all, getter)}) {
        EXPECT_TRUE(context.trace.is_valid());
        EXPECT_EQ(context.baggage, Baggage().set("k", "v"));
    }
}

TEST(CompositeExtract, LetsALaterFormatOverrideAnEarlierOne) {
    const Pairs pairs{{"traceparent", traceparent}, {"tracestate", "a=1"}, {"b3", other_b3}};
    const auto b3_last = extract(Propagators{tracecontext, b3}, pairs).trace;
    EXPECT_EQ(b3_last.span.trace_id.to_hex(), std::string(32, '1'));
    EXPECT_TRUE(b3_last.state.empty());
    const auto b3_first = extract(Propagators{b3, tracecontext}, pairs).trace;
    EXPECT_EQ(b3_first.span, context_of(sampled).span);
    EXPECT_EQ(b3_first.state.text(), "a=1");
}

TEST(CompositeExtract, KeepsTheEarlierFormatWhereTheLaterOneHasNothingToUse) {
    const Propagators order{tracecontext, b3, jaeger, xray, ottrace};
    for (const auto& more :
         {Pairs{}, Pairs{{"b3", "bad"}, {"uber-trace-id", "bad"}, {"X-Amzn-Trace-Id", "bad"}}}) {
        Pairs pairs = more;
        pairs.emplace_back("traceparent", traceparent);
        EXPECT_EQ(extract(order, pairs).trace.span, context_of(sampled).span);
    }
}

// A sender that speaks two formats at once, as in a migration: what each of them alone can say is kept.
TEST(CompositeExtract, KeepsStateRandomFlagAndDebugOfOneSpanInTwoFormatsInAnyOrder) {
    const Pairs pairs{
        {"traceparent", traceparent.substr(0, 53) + "03"}, {"tracestate", "a=1"}, {"b3", same_b3}};
    for (const auto& order : {Propagators{tracecontext, b3}, Propagators{b3, tracecontext}}) {
        const auto trace = extract(order, pairs).trace;
        EXPECT_EQ(trace.span.flags, trace_flags::known | trace_flags::debug);
        EXPECT_EQ(trace.state.text(), "a=1");
    }
}

TEST(CompositeExtract, LaysBaggageOfEveryFormatOverTheOther) {
    const Pairs pairs{
        {"baggage", "a=1,b=1;m"}, {"uberctx-b", "2"}, {"ot-baggage-c", "3"}, {"uberctx-c", "2"}};
    EXPECT_EQ(
        extract(Propagators{baggage, jaeger, ottrace}, pairs).baggage,
        Baggage().set("a", "1").set("b", "2").set("c", "3"));
    EXPECT_EQ(extract(Propagators{tracecontext, b3, xray}, pairs).baggage, Baggage());
}

TEST(CompositeExtract, LeavesTheGivenContextWhenThereIsNothingToUse) {
    const PropagatedContext given{with_state(context_of(0), "kept=1"), Baggage().set("k", "v")};
    const Propagators all{tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace};
    const Pairs bad{{"traceparent", "bad"}, {"b3", "bad"},        {"baggage", "bad"},
                    {"uber-trace-id", ""},  {"uberctx-a b", "1"}, {"ot-tracer-spanid", "1"}};
    for (const auto& propagators : {Propagators(), all, Propagators::none()}) {
        for (const auto& carrier : {Pairs{}, bad}) {
            const auto context = extract(propagators, carrier, given);
            EXPECT_EQ(context.trace.span, given.trace.span);
            EXPECT_EQ(context.trace.state, given.trace.state);
            EXPECT_EQ(context.baggage, given.baggage);
        }
    }
}

TEST(CompositeExtract, IsFreeOfAllocationsWithoutStateAndBaggage) {
    const Pairs pairs{{"traceparent", traceparent}, {"other", "1"}};
    const auto before = testing::allocations();
    EXPECT_TRUE(extract(Propagators(), pairs).trace.is_valid());
    EXPECT_EQ(testing::allocations(), before);
}

TEST(CompositeInject, WritesEveryFormat) {
    const PropagatedContext context{
        with_state(context_of(sampled | trace_flags::debug), "a=1"), Baggage().set("k", "v")};
    Pairs sent;
    inject({tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace}, context, sent);
    EXPECT_EQ(value_of(sent, "traceparent"), traceparent); // Debug has no bit there.
    EXPECT_EQ(value_of(sent, "tracestate"), "a=1");
    EXPECT_EQ(value_of(sent, "baggage"), "k=v");
    EXPECT_EQ(value_of(sent, "b3"), same_b3);
    EXPECT_EQ(value_of(sent, "X-B3-Flags"), "1");
    EXPECT_EQ(
        value_of(sent, "uber-trace-id"), "0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:3");
    EXPECT_EQ(value_of(sent, "uberctx-k"), "v");
    EXPECT_EQ(
        value_of(sent, "X-Amzn-Trace-Id"),
        "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1");
    EXPECT_EQ(value_of(sent, "ot-tracer-traceid"), "8448eb211c80319c");
    EXPECT_EQ(value_of(sent, "ot-baggage-k"), "v");
}

TEST(CompositeInject, WritesTraceAndBaggageEachForItself) {
    Pairs sent;
    inject({}, {{}, Baggage().set("k", "v")}, sent);
    EXPECT_EQ(sent, (Pairs{{"baggage", "k=v"}}));
    sent.clear();
    inject({}, {context_of(sampled), {}}, sent);
    EXPECT_EQ(sent, (Pairs{{"traceparent", traceparent}}));
    sent.clear();
    inject(Propagators::none(), {context_of(sampled), Baggage().set("k", "v")}, sent);
    EXPECT_TRUE(sent.empty());
}

TEST(CompositeInject, AllocatesNothingItself) {
    const PropagatedContext context{
        with_state(context_of(sampled), "a=1"), Baggage().set("k", "v").set("l", "w")};
    std::size_t fields_seen = 0;
    const auto count = [&](std::string_view, std::string_view) { ++fields_seen; };
    const auto before = testing::allocations();
    inject({tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace}, context, count);
    EXPECT_EQ(testing::allocations(), before);
    EXPECT_EQ(fields_seen, 3U + 1 + 3 + 3 + 1 + 5);
}

TEST(Replaces, NamesWhatMustNotBeCopiedBesideAnInjectedContext) {
    const PropagatedContext trace_only{context_of(sampled), {}};
    const PropagatedContext baggage_only{{}, Baggage().set("k", "v")};
    EXPECT_TRUE(replaces({}, trace_only, "TraceParent"));
    EXPECT_TRUE(
        replaces({}, trace_only, "tracestate")); // Of another trace, even where we have none.
    EXPECT_FALSE(replaces({}, trace_only, "baggage"));
    EXPECT_TRUE(replaces({}, baggage_only, "Baggage"));
    EXPECT_FALSE(replaces({}, baggage_only, "traceparent"));
    EXPECT_FALSE(replaces({}, trace_only, "b3"));
    EXPECT_TRUE(replaces(Propagators{b3multi}, trace_only, "x-b3-parentspanid"));
    EXPECT_FALSE(replaces(Propagators{b3multi}, trace_only, "b3"));
    EXPECT_TRUE(replaces(Propagators{jaeger}, baggage_only, "Uberctx-any"));
    EXPECT_FALSE(replaces(Propagators{jaeger}, trace_only, "uberctx-any"));
    EXPECT_TRUE(replaces(Propagators{ottrace}, baggage_only, "ot-baggage-any"));
    EXPECT_FALSE(replaces(Propagators::none(), trace_only, "traceparent"));
}

TEST(PropagationFaults, CountsABadTraceparentAndABadTracestate) {
    auto before = propagation_faults();
    (void)extract(Propagators(), Pairs{{"traceparent", "bad"}, {"tracestate", "bad"}});
    (void)extract(Propagators(), Pairs{{"traceparent", traceparent}, {"traceparent", traceparent}});
    EXPECT_EQ(propagation_faults().traceparent, before.traceparent + 2);
    EXPECT_EQ(propagation_faults().tracestate, before.tracestate); // Not looked at.
    before = propagation_faults();
    (void)extract(Propagators(), Pairs{{"traceparent", traceparent}, {"tracestate", "BAD"}});
    (void)extract(Propagators(), Pairs{{"tracestate", "BAD"}});
    EXPECT_EQ(propagation_faults().traceparent, before.traceparent);
    EXPECT_EQ(propagation_faults().tracestate, before.tracestate + 1);
}

} // namespace
} // namespace weft
