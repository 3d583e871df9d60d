#include <weft/propagation/carrier.hpp>

#include <boost/beast/http/fields.hpp>
#include <gmock/gmock.h>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weft::carrier {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Pairs = std::vector<std::pair<std::string, std::string>>;
using Beast = boost::beast::http::fields;

// Fields with their own visitor, as weft::http::Headers.
struct VisitedHeaders {
    Pairs fields;
    template <class Visit>
    void for_each_value(std::string_view name, Visit&& visit) const {
        for (const auto& [key, value] : fields) {
            if (same_name(key, name)) { visit(std::string_view(value)); }
        }
    }
    void set(std::string_view name, std::string_view value) {
        erase(name);
        fields.emplace_back(name, value);
    }
    void erase(std::string_view name) {
        std::erase_if(fields, [&](const auto& field) { return same_name(field.first, name); });
    }
};

template <class Carrier>
std::vector<std::string> values(const Carrier& carrier, std::string_view name) {
    std::vector<std::string> seen;
    for_each_value(carrier, name, [&](std::string_view value) { seen.emplace_back(value); });
    return seen;
}

TEST(SameName, IgnoresTheCaseOfLettersOnly) {
    EXPECT_TRUE(same_name("TraceParent", "traceparent"));
    EXPECT_TRUE(same_name("", ""));
    EXPECT_FALSE(same_name("traceparent", "traceparen"));
    EXPECT_FALSE(
        same_name("a@", "a`")); // 0x40 and 0x60 differ in the bit that is the letters' case.
    EXPECT_FALSE(same_name("a[", "a{"));
}

TEST(CarrierRead, FindsAnyCasingInEveryKind) {
    Beast beast;
    beast.set("TraceParent", "1");
    EXPECT_THAT(values(beast, "traceparent"), ElementsAre("1"));
    EXPECT_THAT(values(VisitedHeaders{{{"TraceParent", "1"}}}, "traceparent"), ElementsAre("1"));
    EXPECT_THAT(values(Pairs{{"TRACEPARENT", "1"}}, "traceparent"), ElementsAre("1"));
    const std::map<std::string, std::string> map{{"tRaCePaReNt", "1"}};
    EXPECT_THAT(values(map, "traceparent"), ElementsAre("1"));
    const std::unordered_map<std::string, std::string> hashed{{"Traceparent", "1"}};
    EXPECT_THAT(values(hashed, "traceparent"), ElementsAre("1"));
}

TEST(CarrierRead, GivesAllValuesInOrder) {
    Beast beast;
    beast.insert("tracestate", "a=1");
    beast.insert("other", "x");
    beast.insert("TraceState", "b=2");
    EXPECT_THAT(values(beast, "tracestate"), ElementsAre("a=1", "b=2"));
    const Pairs pairs{{"tracestate", "a=1"}, {"other", "x"}, {"TraceState", "b=2"}};
    EXPECT_THAT(values(pairs, "tracestate"), ElementsAre("a=1", "b=2"));
    EXPECT_THAT(values(VisitedHeaders{pairs}, "tracestate"), ElementsAre("a=1", "b=2"));
    const std::multimap<std::string, std::string> map{{"tracestate", "a=1"}, {"tracestate", "b=2"}};
    EXPECT_THAT(values(map, "tracestate"), ElementsAre("a=1", "b=2"));
}

TEST(CarrierRead, GivesNothingForAnAbsentName) {
    EXPECT_TRUE(values(Beast{}, "traceparent").empty());
    EXPECT_TRUE(values(Pairs{{"trace-parent", "1"}}, "traceparent").empty());
    EXPECT_TRUE(values(std::map<std::string, std::string>{}, "traceparent").empty());
}

TEST(CarrierRead, TakesAGetterOfAnyReturnType) {
    const auto is = [](std::string_view name) { return name == "traceparent"; };
    const auto view = [&](std::string_view name) { return is(name) ? std::string_view("1") : ""; };
    const auto text = [&](std::string_view name) { return is(name) ? std::string("1") : ""; };
    const auto pointer = [&](std::string_view name) { return is(name) ? "1" : nullptr; };
    const auto maybe = [&](std::string_view name) {
        return is(name) ? std::optional<std::string>("1") : std::nullopt;
    };
    const auto all = [&](std::string_view name) {
        return is(name) ? std::vector<std::string>{"1", "2"} : std::vector<std::string>{};
    };
    EXPECT_THAT(values(view, "traceparent"), ElementsAre("1"));
    EXPECT_THAT(values(text, "traceparent"), ElementsAre("1"));
    EXPECT_THAT(values(pointer, "traceparent"), ElementsAre("1"));
    EXPECT_THAT(values(maybe, "traceparent"), ElementsAre("1"));
    EXPECT_THAT(values(all, "traceparent"), ElementsAre("1", "2"));
    EXPECT_THAT(values(view, "x"), ElementsAre());
    EXPECT_THAT(values(text, "x"), ElementsAre());
    EXPECT_THAT(values(pointer, "x"), ElementsAre());
    EXPECT_THAT(values(maybe, "x"), ElementsAre());
    EXPECT_THAT(values(all, "x"), ElementsAre());
}

TEST(CarrierWrite, ReplacesEveryFieldOfTheNameAndKeepsTheGivenCasing) {
    Beast beast;
    beast.insert("TRACEPARENT", "old");
    beast.insert("traceparent", "older");
    set(beast, "traceparent", "new");
    EXPECT_THAT(values(beast, "traceparent"), ElementsAre("new"));
    EXPECT_EQ(beast.begin()->name_string(), "traceparent");

    Pairs pairs{{"a", "1"}, {"TRACEPARENT", "old"}, {"b", "2"}, {"traceparent", "older"}};
    set(pairs, "traceparent", "new");
    EXPECT_THAT(pairs, ElementsAre(Pair("a", "1"), Pair("traceparent", "new"), Pair("b", "2")));

    std::map<std::string, std::string> map{
        {"TRACEPARENT", "old"}, {"a", "1"}, {"traceparent", "x"}};
    set(map, "traceparent", "new");
    EXPECT_THAT(map, ElementsAre(Pair("a", "1"), Pair("traceparent", "new")));

    std::unordered_map<std::string, std::string> hashed{{"Traceparent", "old"}, {"a", "1"}};
    set(hashed, "traceparent", "new");
    EXPECT_THAT(hashed, UnorderedElementsAre(Pair("a", "1"), Pair("traceparent", "new")));

    std::multimap<std::string, std::string> many{{"traceparent", "old"}, {"traceparent", "older"}};
    set(many, "traceparent", "new");
    EXPECT_THAT(many, ElementsAre(Pair("traceparent", "new")));
}

TEST(CarrierWrite, AddsAFieldThatIsNotThere) {
    Pairs pairs;
    set(pairs, "traceparent", "new");
    EXPECT_THAT(pairs, ElementsAre(Pair("traceparent", "new")));
    std::map<std::string, std::string> map;
    set(map, "traceparent", "new");
    EXPECT_THAT(map, ElementsAre(Pair("traceparent", "new")));
    VisitedHeaders visited;
    set(visited, "traceparent", "new");
    EXPECT_THAT(visited.fields, ElementsAre(Pair("traceparent", "new")));
}

TEST(CarrierWrite, CallsASetter) {
    std::map<std::string, std::string> seen;
    auto setter = [&](std::string_view name, std::string_view value) {
        seen[std::string(name)] = std::string(value);
    };
    set(setter, "traceparent", "new");
    EXPECT_THAT(seen, ElementsAre(Pair("traceparent", "new")));
}

TEST(CarrierWrite, ErasesWhereTheCarrierCan) {
    Beast beast;
    beast.insert("TraceState", "a=1");
    unset(beast, "tracestate");
    EXPECT_TRUE(values(beast, "tracestate").empty());
    Pairs pairs{{"TraceState", "a=1"}, {"a", "1"}, {"tracestate", "b=1"}};
    unset(pairs, "tracestate");
    EXPECT_THAT(pairs, ElementsAre(Pair("a", "1")));
    std::map<std::string, std::string> map{{"TraceState", "a=1"}};
    unset(map, "tracestate");
    EXPECT_TRUE(map.empty());
    auto setter = [](std::string_view, std::string_view) { FAIL() << "a setter cannot erase"; };
    unset(setter, "tracestate");
}

// A container of views would keep pointers into text that is gone.
static_assert(Writable<Pairs> && Readable<Pairs>);
static_assert(!Writable<std::vector<std::pair<std::string_view, std::string_view>>>);
static_assert(Readable<std::vector<std::pair<std::string_view, std::string_view>>>);
static_assert(!Writable<std::map<std::string, std::string_view>>);
static_assert(Writable<std::deque<std::pair<std::string, std::string>>>);
static_assert(Writable<std::multimap<std::string, std::string, std::less<>>>);
static_assert(!Readable<int> && !Writable<int> && !Readable<std::vector<int>>);
static_assert(!Readable<decltype([](std::string_view) { return 1; })>);

} // namespace
} // namespace weft::carrier
