#include <weft/http/headers.hpp>
#include <weft/propagation/propagate.hpp>

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace weft::http {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> lines(const Headers& headers) {
    std::vector<std::string> all;
    for (const auto& [name, value] : headers) {
        all.push_back(std::string(name) + ": " + std::string(value));
    }
    return all;
}

TEST(Headers, FindANameInAnyCase) {
    const Headers headers{{"Content-Type", "text/plain"}};
    EXPECT_EQ(headers.get("content-type"), "text/plain");
    EXPECT_EQ(headers.get("CONTENT-TYPE"), "text/plain");
    EXPECT_TRUE(headers.contains("Content-type"));
}

TEST(Headers, GiveAnEmptyValueForAnAbsentName) {
    const Headers headers{{"a", "1"}};
    EXPECT_EQ(headers.get("b"), "");
    EXPECT_FALSE(headers.contains("b"));
    EXPECT_TRUE(Headers{}.empty());
}

TEST(Headers, KeepFieldsOfOneNameInTheirOrder) {
    Headers headers;
    headers.add("Via", "one");
    headers.add("Host", "h");
    headers.add("via", "two");
    std::vector<std::string> values;
    headers.for_each_value("VIA", [&](std::string_view value) { values.emplace_back(value); });
    EXPECT_THAT(values, ElementsAre("one", "two"));
    EXPECT_EQ(headers.get("via"), "one");
}

TEST(Headers, ReplaceAllFieldsOfANameBySet) {
    Headers headers{{"a", "1"}, {"B", "2"}, {"A", "3"}};
    EXPECT_TRUE(headers.set("a", "4"));
    EXPECT_THAT(lines(headers), ElementsAre("B: 2", "a: 4"));
}

TEST(Headers, EraseAllFieldsOfAName) {
    Headers headers{{"a", "1"}, {"B", "2"}, {"A", "3"}};
    EXPECT_EQ(headers.erase("A"), 2U);
    EXPECT_EQ(headers.erase("A"), 0U);
    EXPECT_THAT(lines(headers), ElementsAre("B: 2"));
}

TEST(Headers, RefuseANameThatIsNoToken) {
    Headers headers{{"kept", "1"}};
    for (const auto* name : {"", "a b", "a:b", "a\r\nb", "a\x01", "\xc3\xa4", "a,b", "(a)"}) {
        EXPECT_FALSE(headers.add(name, "x")) << name;
        EXPECT_FALSE(headers.set(name, "x")) << name;
    }
    EXPECT_THAT(lines(headers), ElementsAre("kept: 1"));
}

TEST(Headers, TurnControlCharactersOfAValueIntoSpaces) {
    Headers headers;
    headers.add("a", "1\r\nInjected: yes");
    headers.add("b", std::string_view("x\0y\x7fz", 5));
    headers.add("c", "tab\tstays");
    EXPECT_THAT(lines(headers), ElementsAre("a: 1  Injected: yes", "b: x y z", "c: tab\tstays"));
}

TEST(Headers, StripBlanksAroundAValue) {
    Headers headers;
    headers.add("a", " \t v \t");
    EXPECT_EQ(headers.get("a"), "v");
}

TEST(Headers, TakeViewsIntoThemselves) {
    Headers headers{{"a", "some value that is not short"}};
    for (int i = 0; i < 100; ++i) {
        headers.add("copy", headers.get("a"));
        headers.set("a", headers.get("copy"));
    }
    EXPECT_EQ(headers.get("a"), "some value that is not short");
    EXPECT_EQ(headers.count(), 101U);
}

TEST(Headers, AreEmptyAfterClear) {
    Headers headers{{"a", "1"}};
    headers.clear();
    EXPECT_TRUE(headers.empty());
    headers.add("b", "2");
    EXPECT_THAT(lines(headers), ElementsAre("b: 2"));
}

} // namespace
} // namespace weft::http
