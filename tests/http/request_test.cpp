#include "request_access.hpp"
#include "serialise.hpp"

#include <weft/http/request.hpp>
#include <weft/http/response.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace weft::http {
namespace {

TEST(Request, TakesItsTargetApart) {
    const Request request("GET", "/orders/7?full=1&x", "body");
    EXPECT_EQ(request.method(), "GET");
    EXPECT_EQ(request.target(), "/orders/7?full=1&x");
    EXPECT_EQ(request.path(), "/orders/7");
    EXPECT_EQ(request.query(), "full=1&x");
    EXPECT_EQ(request.body(), "body");
    EXPECT_EQ(Request("GET", "/").query(), "");
    EXPECT_EQ(Request("GET", "/?").path(), "/");
}

TEST(Request, TakesTheAbsoluteForm) {
    const Request request("GET", "http://example.com:81/a?b");
    EXPECT_EQ(request.path(), "/a");
    EXPECT_EQ(request.query(), "b");
    EXPECT_EQ(detail::RequestAccess::authority(request), "example.com:81");
    EXPECT_EQ(Request("GET", "http://example.com").path(), "/");
    EXPECT_EQ(Request("GET", "http://example.com?x").query(), "x");
}

TEST(Request, RefusesATargetOfNoForm) {
    Request request;
    const auto take = [&](std::string_view method, std::string_view target) {
        return detail::RequestAccess::set_start_line(request, method, target, 11);
    };
    EXPECT_FALSE(take("GET", "orders"));
    EXPECT_FALSE(take("GET", "http://"));
    EXPECT_FALSE(take("GET", "http:///x"));
    EXPECT_FALSE(take("GET", "example.com:80"));
    EXPECT_TRUE(take("CONNECT", "example.com:80"));
    EXPECT_TRUE(take("OPTIONS", "*"));
}

TEST(Request, DecodesQueryValues) {
    const Request request("GET", "/?a=1&b=x+y%21&c&a=2&na%6de=v&bad=%zz%4");
    EXPECT_EQ(request.query_value("a"), "1");
    EXPECT_EQ(request.query_value("b"), "x y!");
    EXPECT_EQ(request.query_value("c"), "");
    EXPECT_EQ(request.query_value("name"), "v");
    EXPECT_EQ(request.query_value("bad"), "%zz%4");
    EXPECT_EQ(request.query_value("absent"), std::nullopt);
}

TEST(Request, DecodesPathParameters) {
    const detail::Route route{
        .method = "GET", .pattern = "/{a}/{b}/{c}", .params = {"a", "b", "c"}, .handler = {}};
    Request request("GET", "/x%2Fy/plain/%41%zz");
    detail::PathParams params;
    params.values[0] = "x%2Fy";
    params.values[1] = "plain";
    params.values[2] = "%41%zz";
    params.count = 3;

    detail::RequestAccess::set_route(request, route, params);

    EXPECT_EQ(request.param("a"), "x/y");
    EXPECT_EQ(request.param("b"), "plain");
    EXPECT_EQ(request.param("c"), "A%zz");
    EXPECT_EQ(request.param("d"), "");
    EXPECT_EQ(request.route(), "/{a}/{b}/{c}");
}

TEST(Request, HasNoParametersWithoutARoute) {
    const Request request("GET", "/x");
    EXPECT_EQ(request.param("id"), "");
    EXPECT_EQ(request.route(), "");
    EXPECT_FALSE(request.is_abandoned());
}

TEST(Response, CarriesItsContentType) {
    EXPECT_EQ(Response::text(200, "x").header("content-type"), "text/plain; charset=utf-8");
    EXPECT_EQ(Response::json(201, "{}").header("content-type"), "application/json");
    EXPECT_EQ(Response::json(201, "{}").status(), 201);
    EXPECT_TRUE(Response(204).is_success());
    EXPECT_FALSE(Response(301).is_success());
}

std::string head(const Response& response, detail::HeadOptions options = {}) {
    std::string out;
    detail::write_head(out, response, options);
    return out;
}

TEST(ResponseHead, HasLengthAndDate) {
    const auto text = head(Response::text(200, "12345"));
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
    EXPECT_NE(text.find("\r\nContent-Length: 5\r\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\r\nDate: "), std::string::npos) << text;
    EXPECT_NE(text.find(" GMT\r\n"), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("\r\n\r\n"));
    EXPECT_EQ(text.find("Connection"), std::string::npos);
}

TEST(ResponseHead, TakesNoFramingFromTheHandler) {
    const auto text = head(Response::text(200, "1")
                               .set_header("content-length", "99")
                               .set_header("Transfer-Encoding", "chunked")
                               .set_header("CONNECTION", "upgrade")
                               .set_header("X-Mine", "yes"));
    EXPECT_EQ(text.find("99"), std::string::npos) << text;
    EXPECT_EQ(text.find("chunked"), std::string::npos);
    EXPECT_EQ(text.find("upgrade"), std::string::npos);
    EXPECT_NE(text.find("X-Mine: yes\r\n"), std::string::npos);
}

TEST(ResponseHead, KeepsADateOfTheHandlers) {
    const auto text = head(Response(200).set_header("date", "yesterday"));
    EXPECT_EQ(text.find("GMT"), std::string::npos);
    EXPECT_NE(text.find("date: yesterday"), std::string::npos);
}

TEST(ResponseHead, HasNoLengthWhereThereIsNoBody) {
    EXPECT_EQ(head(Response(204)).find("Content-Length"), std::string::npos);
    EXPECT_EQ(head(Response(304)).find("Content-Length"), std::string::npos);
    EXPECT_NE(head(Response(200)).find("Content-Length: 0"), std::string::npos);
}

TEST(ResponseHead, SaysWhetherTheConnectionStays) {
    EXPECT_NE(
        head(Response(200), {.keep_alive = false}).find("Connection: close"), std::string::npos);
    EXPECT_NE(
        head(Response(200), {.version = 10, .keep_alive = true}).find("Connection: keep-alive"),
        std::string::npos);
}

} // namespace
} // namespace weft::http
