#include "counted_new.hpp"

#include <weft/propagation/propagate.hpp>

#include <boost/beast/http/fields.hpp>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weft::w3c {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;
using Map = std::map<std::string, std::string>;
using Beast = boost::beast::http::fields;

constexpr std::string_view parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr std::string_view other = "00-11111111111111111111111111111111-2222222222222222-00";

Pairs headers(std::initializer_list<std::pair<std::string, std::string>> list) { return {list}; }
Pairs with_parent(Pairs more = {}) {
    more.emplace_back("traceparent", parent);
    return more;
}

TraceContext context_of(std::string_view traceparent, std::string_view state = "") {
    return {*parse_traceparent(traceparent), *parse_tracestate(state)};
}

TEST(Extract, GivesIdsFlagsAndStateAsRemote) {
    const auto context = extract(with_parent({{"tracestate", "foo=1,bar=2"}}));

    EXPECT_EQ(context.span.trace_id.to_hex(), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(context.span.span_id.to_hex(), "b7ad6b7169203331");
    EXPECT_TRUE(context.span.is_sampled());
    EXPECT_TRUE(context.span.is_remote);
    EXPECT_EQ(context.state.text(), "foo=1,bar=2");
}

TEST(Extract, ReadsEveryKindOfCarrier) {
    Beast beast;
    beast.set("TraceParent", std::string(parent));
    beast.insert("tracestate", "a=1");
    beast.insert("TraceState", "b=2");
    const auto from_beast = extract(beast);
    EXPECT_TRUE(from_beast.is_valid());
    EXPECT_EQ(from_beast.state.text(), "a=1,b=2");
    EXPECT_TRUE(extract(Map{{"TRACEPARENT", std::string(parent)}}).is_valid());
    EXPECT_TRUE(
        extract(std::unordered_map<std::string, std::string>{{"Traceparent", std::string(parent)}})
            .is_valid());
    EXPECT_TRUE(extract([](std::string_view name) {
                    return name == "traceparent" ? parent : std::string_view{};
                }).is_valid());
}

TEST(Extract, GivesAnInvalidContextWithoutAHeader) {
    EXPECT_FALSE(extract(Pairs{}).is_valid());
    EXPECT_FALSE(extract(headers({{"trace-parent", std::string(parent)}})).is_valid());
    EXPECT_FALSE(extract(headers({{"trace.parent", std::string(parent)}})).is_valid());
}

TEST(Extract, RefusesSeveralTraceparents) {
    const std::string text(parent);
    EXPECT_FALSE(extract(headers({{"traceparent", text}, {"traceparent", text}})).is_valid());
    EXPECT_FALSE(extract(headers({{"traceparent", text}, {"TraceParent", "bad"}})).is_valid());
    EXPECT_FALSE(extract(headers({{"traceparent", "bad"}, {"traceparent", text}})).is_valid());
    Beast beast;
    beast.insert("traceparent", text);
    beast.insert("traceparent", text);
    EXPECT_FALSE(extract(beast).is_valid());
}

TEST(Extract, DoesNotLookAtTracestateWithoutAValidTraceparent) {
    for (const std::string_view traceparent : {std::string_view("bad"), std::string_view{}}) {
        bool asked = false;
        const auto context = extract([&](std::string_view name) -> std::string_view {
            if (name == "tracestate") { asked = true; }
            return name == "traceparent" ? traceparent : "foo=1";
        });
        EXPECT_FALSE(asked);
        EXPECT_TRUE(context.state.empty());
    }
}

TEST(Extract, DropsABadTracestateAndKeepsTheTrace) {
    for (const auto* state : {"foo", "FOO=1", "foo=1,bar==2", "foo="}) {
        const auto context = extract(with_parent({{"tracestate", state}}));
        EXPECT_TRUE(context.is_valid()) << state;
        EXPECT_TRUE(context.state.empty()) << state;
    }
}

TEST(Extract, JoinsSeveralTracestatesInOrder) {
    const auto context =
        extract(with_parent({{"tracestate", "a=1"}, {"TraceState", ""}, {"tracestate", "b=2"}}));
    EXPECT_EQ(context.state.text(), "a=1,b=2");
}

// OpenTelemetry Propagators API, "Extract": a failure leaves the given context unchanged.
TEST(Extract, LeavesTheGivenContextWhenThereIsNothingToUse) {
    const auto given = context_of(other, "kept=1");
    for (const auto& carrier :
         {Pairs{}, headers({{"traceparent", "bad"}, {"tracestate", "foo=1"}}),
          headers({{"traceparent", std::string(parent)}, {"traceparent", std::string(parent)}})}) {
        const auto context = extract(carrier, given);
        EXPECT_EQ(context.span, given.span);
        EXPECT_EQ(context.state, given.state);
    }
}

TEST(Extract, ReplacesTheGivenContextAsAWhole) {
    const auto context = extract(with_parent(), context_of(other, "kept=1"));
    EXPECT_EQ(context.span, *parse_traceparent(parent));
    EXPECT_TRUE(context.state.empty());
}

TEST(Extract, AllocatesOnlyForATracestate) {
    const auto plain = with_parent();
    auto before = testing::allocations();
    const auto without_state = extract(plain);
    EXPECT_EQ(testing::allocations(), before);

    const auto more = with_parent({{"tracestate", "a=1"}});
    before = testing::allocations();
    const auto with_state = extract(more);
    EXPECT_EQ(testing::allocations(), before + 1);
    EXPECT_TRUE(without_state.is_valid());
    EXPECT_EQ(with_state.state.text(), "a=1");
}

TEST(Inject, WritesWhatExtractReads) {
    const auto context = context_of(parent, "a=1,b=2");
    Pairs pairs;
    Map map;
    Beast beast;
    inject(context, pairs);
    inject(context, map);
    inject(context, beast);
    for (const auto& read : {extract(pairs), extract(map), extract(beast)}) {
        EXPECT_EQ(read.span, context.span);
        EXPECT_EQ(read.state, context.state);
    }
}

TEST(Inject, WritesLowercaseNamesAndOneTracestate) {
    Map map{{"TraceState", "old=1"}, {"TRACEPARENT", "old"}};
    inject(context_of(parent, "a=1,b=2"), map);
    EXPECT_EQ(map, (Map{{"traceparent", std::string(parent)}, {"tracestate", "a=1,b=2"}}));
}

TEST(Inject, WritesNothingForAnInvalidContext) {
    Map map{{"tracestate", "a=1"}};
    inject(TraceContext{}, map);
    auto no_span = context_of(parent, "a=1");
    no_span.span.span_id = {};
    inject(no_span, map);
    EXPECT_EQ(map, (Map{{"tracestate", "a=1"}}));
}

TEST(Inject, LeavesNoTracestateOfAnotherTrace) {
    Map map{{"traceparent", std::string(other)}, {"tracestate", "old=1"}};
    inject(context_of(parent), map);
    EXPECT_EQ(map, (Map{{"traceparent", std::string(parent)}}));
}

TEST(Inject, WritesNoEmptyTracestateThroughASetter) {
    std::vector<std::string> names;
    inject(context_of(parent), [&](std::string_view name, std::string_view) {
        names.emplace_back(name);
    });
    EXPECT_EQ(names, std::vector<std::string>{"traceparent"});
}

TEST(Inject, WritesOnlyTheNamesInFields) {
    inject(context_of(parent, "a=1"), [&](std::string_view name, std::string_view) {
        EXPECT_TRUE(name == fields[0] || name == fields[1]) << name;
    });
}

TEST(Inject, AllocatesNothingItself) {
    const auto context = context_of(parent, "a=1");
    std::size_t chars = 0;
    const auto before = testing::allocations();
    inject(context, [&](std::string_view, std::string_view value) { chars += value.size(); });
    EXPECT_EQ(testing::allocations(), before);
    EXPECT_EQ(chars, parent.size() + 3);
}

TEST(Inject, PassesOnWhatASetterThrows) {
    const auto context = context_of(parent);
    const auto failing = [](std::string_view, std::string_view) {
        throw std::runtime_error("full");
    };
    EXPECT_THROW(inject(context, failing), std::runtime_error);
}

} // namespace
} // namespace weft::w3c
