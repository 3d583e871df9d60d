#include "router.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace weft::http::detail {
namespace {

Task<Response> nothing(Request&) { co_return Response(); }

std::shared_ptr<const Route> route(std::string_view method, std::string_view pattern) {
    return Router::make_route(method, pattern, nothing);
}

class RouterTest : public ::testing::Test {
protected:
    const Router router{{
        route("GET", "/"),
        route("GET", "/orders"),
        route("POST", "/orders"),
        route("GET", "/orders/{id}"),
        route("DELETE", "/orders/{order}"),
        route("GET", "/orders/export"),
        route("GET", "/orders/{id}/items/{item}"),
        route("GET", "/orders/export/{year}/csv"),
        route("GET", "/files/{path...}"),
        route("HEAD", "/head"),
        route("OPTIONS", "/options"),
        route("GET", "/slash/"),
    }};

    std::string pattern(std::string_view path, std::string_view method = "GET") {
        const auto match = router.find(method, path);
        return match.route == nullptr ? "" : match.route->pattern;
    }
    std::vector<std::string> params(std::string_view path) {
        const auto match = router.find("GET", path);
        return {
            match.params.values.begin(),
            match.params.values.begin() + static_cast<std::ptrdiff_t>(match.params.count)};
    }
};

TEST_F(RouterTest, FindsPathsThatAreWrittenOut) {
    EXPECT_EQ(pattern("/"), "/");
    EXPECT_EQ(pattern("/orders"), "/orders");
}

TEST_F(RouterTest, FindsAParameterInOneSegment) {
    EXPECT_EQ(pattern("/orders/7"), "/orders/{id}");
    EXPECT_EQ(params("/orders/7"), std::vector<std::string>{"7"});
    EXPECT_EQ(params("/orders/7/items/x%20y"), (std::vector<std::string>{"7", "x%20y"}));
}

TEST_F(RouterTest, PrefersAWrittenOutSegmentToAParameter) {
    EXPECT_EQ(pattern("/orders/export"), "/orders/export");
    EXPECT_TRUE(params("/orders/export").empty());
}

TEST_F(RouterTest, TriesTheParameterWhereTheWrittenOutSegmentLeadsNowhere) {
    EXPECT_EQ(pattern("/orders/export/items/3"), "/orders/{id}/items/{item}");
    EXPECT_EQ(params("/orders/export/items/3"), (std::vector<std::string>{"export", "3"}));
    EXPECT_EQ(pattern("/orders/export/2024/csv"), "/orders/export/{year}/csv");
}

TEST_F(RouterTest, TakesARestOfAnyLength) {
    EXPECT_EQ(params("/files/a/b/c.txt"), std::vector<std::string>{"a/b/c.txt"});
    EXPECT_EQ(params("/files/"), std::vector<std::string>{""});
    EXPECT_EQ(pattern("/files"), "");
}

TEST_F(RouterTest, DoesNotTakeAnEmptySegmentForAParameter) {
    EXPECT_EQ(pattern("/orders/"), "");
    EXPECT_EQ(pattern("/orders//items/3"), "");
}

TEST_F(RouterTest, KeepsASlashAtTheEndApart) {
    EXPECT_EQ(pattern("/slash/"), "/slash/");
    EXPECT_EQ(pattern("/slash"), "");
}

TEST_F(RouterTest, FindsNothingForAnUnknownPath) {
    for (const auto* path : {"/order", "/orders/7/items", "/x", "*", "", "orders", "//"}) {
        const auto match = router.find("GET", path);
        EXPECT_EQ(match.route, nullptr) << path;
        EXPECT_TRUE(match.pattern.empty()) << path;
    }
}

TEST_F(RouterTest, NamesThePatternAndTheMethodsWhereOnlyTheMethodIsWrong) {
    const auto match = router.find("PATCH", "/orders");
    EXPECT_EQ(match.route, nullptr);
    EXPECT_EQ(match.pattern, "/orders");
    EXPECT_EQ(match.allow, "GET, POST, HEAD, OPTIONS");
    EXPECT_EQ(router.find("GET", "/head").allow, "HEAD, OPTIONS");
    EXPECT_EQ(router.find("GET", "/options").allow, "OPTIONS");
}

TEST_F(RouterTest, KeepsTheParameterNamesOfEachMethodsPattern) {
    EXPECT_EQ(router.find("DELETE", "/orders/7").route->params, std::vector<std::string>{"order"});
    EXPECT_EQ(router.find("GET", "/orders/7").route->params, std::vector<std::string>{"id"});
}

TEST_F(RouterTest, AnswersHeadByGetUnlessThereIsAHead) {
    EXPECT_EQ(pattern("/orders", "HEAD"), "/orders");
    EXPECT_EQ(pattern("/head", "HEAD"), "/head");
}

TEST_F(RouterTest, TakesMethodsAsTheyAreWritten) {
    EXPECT_EQ(pattern("/orders", "get"), "");
    EXPECT_EQ(pattern("/orders", "GETT"), "");
}

std::string refusal(std::string_view pattern, std::string_view method = "GET") {
    try {
        const auto made = Router::make_route(method, pattern, nothing);
        const Router built({made});
    } catch (const std::invalid_argument& error) { return error.what(); }
    return "";
}

TEST(RoutePattern, IsRefusedWithTheReason) {
    EXPECT_NE(refusal("orders").find("does not start with a slash"), std::string::npos);
    EXPECT_NE(refusal("").find("does not start with a slash"), std::string::npos);
    EXPECT_NE(refusal("/a/{}").find("no name"), std::string::npos);
    EXPECT_NE(refusal("/a/{...}").find("no name"), std::string::npos);
    EXPECT_NE(refusal("/{x}/{x}").find("same name"), std::string::npos);
    EXPECT_NE(refusal("/a{x}").find("whole segment"), std::string::npos);
    EXPECT_NE(refusal("/{x}b").find("whole segment"), std::string::npos);
    EXPECT_NE(refusal("/{x").find("whole segment"), std::string::npos);
    EXPECT_NE(refusal("/x}").find("whole segment"), std::string::npos);
    EXPECT_NE(refusal("/{a}{b}").find("whole segment"), std::string::npos);
    EXPECT_NE(refusal("/{x...}/b").find("last segment"), std::string::npos);
    EXPECT_NE(refusal("/a", "G T").find("token"), std::string::npos);
    EXPECT_NE(refusal("/a{x}").find("/a{x}"), std::string::npos) << "the pattern is named";
    EXPECT_EQ(refusal("/a/{b}/c/{d...}"), "");
}

TEST(RoutePattern, IsRefusedWhenItHasTooManyParts) {
    std::string segments;
    for (int i = 0; i < 33; ++i) { segments += "/s"; }
    EXPECT_NE(refusal(segments).find("32 segments"), std::string::npos);
    std::string params;
    for (int i = 0; i < 17; ++i) { params += "/{p" + std::to_string(i) + "}"; }
    EXPECT_NE(refusal(params).find("16 parameters"), std::string::npos);
}

TEST(RoutePattern, IsRefusedTheSecondTimeForOneMethod) {
    EXPECT_THROW(Router({route("GET", "/a"), route("GET", "/a")}), std::invalid_argument);
    EXPECT_THROW(Router({route("GET", "/{a}"), route("GET", "/{b}")}), std::invalid_argument);
    EXPECT_NO_THROW(Router({route("GET", "/a"), route("POST", "/a")}));
}

TEST(RoutePattern, NeedsAHandler) {
    EXPECT_THROW((void)Router::make_route("GET", "/", nullptr), std::invalid_argument);
}

} // namespace
} // namespace weft::http::detail
