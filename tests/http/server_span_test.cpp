// The server's spans by the semantic conventions: tables of "HTTP server span", a test for each rule.
#include "span_fixture.hpp"

#include <gmock/gmock.h>

namespace weft::http::testing {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class ServerSpanTest : public SpanTest {};

TEST_F(ServerSpanTest, HasEveryRequiredAndRecommendedAttribute) {
    start();
    ask(get_request("/orders/7?full=1", "User-Agent: tests/1.0\r\n"));

    const auto seen = span();
    EXPECT_EQ(seen.name, "GET /orders/{id}");
    EXPECT_EQ(seen.kind, server_kind);
    EXPECT_EQ(seen["http.request.method"], "GET");
    EXPECT_EQ(seen["url.path"], "/orders/7");
    EXPECT_EQ(seen["url.query"], "full=1");
    EXPECT_EQ(seen["url.scheme"], "http");
    EXPECT_EQ(seen["http.route"], "/orders/{id}");
    EXPECT_EQ(seen["http.response.status_code"], "200");
    EXPECT_EQ(seen["server.address"], "test");
    EXPECT_EQ(seen["client.address"], "127.0.0.1");
    EXPECT_EQ(seen["network.peer.address"], "127.0.0.1");
    EXPECT_NE(seen["network.peer.port"], "(absent)");
    EXPECT_EQ(seen["network.protocol.version"], "1.1");
    EXPECT_EQ(seen["user_agent.original"], "tests/1.0");
    EXPECT_EQ(seen.status, unset);
    for (const auto* absent :
         {"error.type", "http.request.method_original", "network.protocol.name", "server.port",
          "http.request.body.size", "client.port"}) {
        EXPECT_EQ(seen[absent], "(absent)") << absent;
    }
}

TEST_F(ServerSpanTest, TakesAddressAndPortFromHost) {
    start();
    ask("GET /orders/7 HTTP/1.1\r\nHost: shop.example:8080\r\n\r\n");
    auto seen = span();
    EXPECT_EQ(seen["server.address"], "shop.example");
    EXPECT_EQ(seen["server.port"], "8080");
    ask("GET /orders/7 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
    seen = span();
    EXPECT_EQ(seen["server.address"], "2001:db8::1");
    EXPECT_EQ(seen["server.port"], "443");
    ask("GET http://absolute.example:81/orders/7 HTTP/1.1\r\nHost: other\r\n\r\n");
    EXPECT_EQ(span()["server.address"], "absolute.example");
}

TEST_F(ServerSpanTest, BelievesProxiesAboutTheClient) {
    start();
    ask(get_request(
        "/orders/7", "Forwarded: for=192.0.2.43;proto=https;host=shop.example:444\r\n"));
    const auto seen = span();
    EXPECT_EQ(seen["client.address"], "192.0.2.43");
    EXPECT_EQ(seen["network.peer.address"], "127.0.0.1");
    EXPECT_EQ(seen["url.scheme"], "https");
    EXPECT_EQ(seen["server.address"], "shop.example");
    EXPECT_EQ(seen["server.port"], "444");
    ask(get_request("/orders/7", "X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n"));
    EXPECT_EQ(span()["client.address"], "192.0.2.1");
}

TEST_F(ServerSpanTest, DoesNotBelieveProxiesWhenToldSo) {
    start({.trust_forwarded = false});
    ask(get_request("/orders/7", "Forwarded: for=192.0.2.43;proto=https;host=evil\r\n"));
    const auto seen = span();
    EXPECT_EQ(seen["client.address"], "127.0.0.1");
    EXPECT_EQ(seen["url.scheme"], "http");
    EXPECT_EQ(seen["server.address"], "test");
}

TEST_F(ServerSpanTest, HidesSecretsOfTheQuery) {
    start();
    ask(get_request("/orders/7?a=1&sig=secret&X-Amz-Signature=s"));
    EXPECT_EQ(span()["url.query"], "a=1&sig=REDACTED&X-Amz-Signature=REDACTED");
}

TEST_F(ServerSpanTest, HasNoRouteAndNoPathInItsNameForAnUnknownPath) {
    start();
    ask(get_request("/nope/7"));
    const auto seen = span();
    EXPECT_EQ(seen.name, "GET");
    EXPECT_EQ(seen["http.route"], "(absent)");
    EXPECT_EQ(seen["url.path"], "/nope/7");
    EXPECT_EQ(seen["http.response.status_code"], "404");
    EXPECT_EQ(seen.status, unset);
}

TEST_F(ServerSpanTest, HasTheRouteWhereOnlyTheMethodIsWrong) {
    start();
    ask("DELETE /orders/7 HTTP/1.1\r\nHost: test\r\n\r\n");
    const auto seen = span();
    EXPECT_EQ(seen.name, "DELETE /orders/{id}");
    EXPECT_EQ(seen["http.response.status_code"], "405");
}

TEST_F(ServerSpanTest, CallsAnUnknownMethodOther) {
    start();
    ask("BREW /orders/7 HTTP/1.1\r\nHost: test\r\n\r\n");
    const auto seen = span();
    EXPECT_EQ(seen.name, "HTTP /orders/{id}");
    EXPECT_EQ(seen["http.request.method"], "_OTHER");
    EXPECT_EQ(seen["http.request.method_original"], "BREW");
}

TEST_F(ServerSpanTest, KnowsTheMethodsItIsTold) {
    start({.known_methods = {"BREW"}});
    ask("BREW /orders/7 HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_EQ(span()["http.request.method"], "BREW");
    ask(get_request("/orders/7"));
    EXPECT_EQ(span()["http.request.method"], "_OTHER");
}

TEST_F(ServerSpanTest, LeavesTheStatusOf4xxUnsetAndMakes5xxAnError) {
    start();
    for (const auto* code : {"200", "301", "400", "404", "429", "499"}) {
        ask(get_request("/fail/" + std::string(code)));
        const auto seen = span();
        EXPECT_EQ(seen["http.response.status_code"], code);
        EXPECT_EQ(seen.status, unset) << code;
        EXPECT_EQ(seen["error.type"], "(absent)") << code;
    }
    for (const auto* code : {"500", "503", "599"}) {
        ask(get_request("/fail/" + std::string(code)));
        const auto seen = span();
        EXPECT_EQ(seen["http.response.status_code"], code);
        EXPECT_EQ(seen.status, error) << code;
        EXPECT_EQ(seen["error.type"], code);
        EXPECT_EQ(seen.status_text, "") << "the code is not said twice";
    }
}

TEST_F(ServerSpanTest, RecordsWhatAHandlerThrew) {
    start();
    ask(get_request("/throw"));
    const auto seen = span();
    EXPECT_EQ(seen["http.response.status_code"], "500");
    EXPECT_EQ(seen["error.type"], "500");
    EXPECT_EQ(seen.status, error);
    ASSERT_THAT(seen.events, ElementsAre("exception"));
    EXPECT_EQ(seen.event_attributes[0].at("exception.message"), "the reason");
}

TEST_F(ServerSpanTest, SaysThatTheHandlerTookTooLong) {
    start({.handler_timeout = milliseconds(60)});
    ask(get_request("/gate"));
    gate.open();
    const auto seen = span();
    EXPECT_EQ(seen["http.response.status_code"], "503");
    EXPECT_EQ(seen["error.type"], "503");
    EXPECT_EQ(seen.status, error);
}

TEST_F(ServerSpanTest, CoversRequestsThatAreRefusedAfterTheirHeader) {
    start({.body_bytes_max = 10, .body_timeout = milliseconds(60)});
    ask("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\n");
    auto seen = span();
    EXPECT_EQ(seen.name, "POST /echo");
    EXPECT_EQ(seen["http.response.status_code"], "413");
    EXPECT_EQ(seen.status, unset);
    ask("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n12");
    EXPECT_EQ(span()["http.response.status_code"], "408");
    ask("GET /orders/7 HTTP/1.1\r\n\r\n");
    EXPECT_EQ(span()["http.response.status_code"], "400");
}

TEST_F(ServerSpanTest, IsAnErrorWhenTheClientLeavesBeforeTheAnswer) {
    start();
    {
        auto socket = RawSocket::connect(server->port());
        ASSERT_TRUE(
            socket.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n12"));
    }
    auto seen = span();
    EXPECT_EQ(seen.status, error);
    EXPECT_EQ(seen["error.type"], "connection_closed");
    EXPECT_EQ(seen["http.response.status_code"], "(absent)");
    {
        auto socket = RawSocket::connect(server->port());
        ASSERT_TRUE(socket.send(get_request("/gate")));
        ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));
        socket.reset();
    }
    gate.open();
    seen = span();
    EXPECT_EQ(seen.status, error);
    EXPECT_EQ(seen["error.type"], "connection_reset");
}

TEST_F(ServerSpanTest, ContinuesTheTraceThatCameWithTheRequest) {
    start();
    ask(get_request(
        "/orders/7",
        "traceparent: " + std::string(parent) + "\r\ntracestate: foo=1\r\ntracestate: bar=2\r\n"));
    const auto seen = span();
    EXPECT_EQ(seen.trace.to_hex(), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(seen.parent.to_hex(), "b7ad6b7169203331");
    EXPECT_EQ(seen.trace_state, "foo=1,bar=2");
}

TEST_F(ServerSpanTest, StartsATraceWhereNoneCame) {
    start();
    for (const auto* header : {"", "traceparent: nonsense\r\ntracestate: foo=1\r\n"}) {
        ask(get_request("/orders/7", header));
        const auto seen = span();
        EXPECT_FALSE(seen.parent.is_valid());
        EXPECT_TRUE(seen.trace.is_valid());
        EXPECT_EQ(seen.trace_state, "");
    }
}

TEST_F(ServerSpanTest, FollowsTheCallersDecisionNotToSample) {
    start();
    ask(get_request(
        "/work", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n"));
    ask(get_request("/orders/7"));
    EXPECT_EQ(span().name, "GET /orders/{id}");
}

TEST_F(ServerSpanTest, IsTheParentOfWhatTheHandlerDoes) {
    start();
    ask(get_request("/work"));
    const auto seen = spans(2);
    EXPECT_EQ(seen[0].name, "work");
    EXPECT_EQ(seen[1].name, "GET /work");
    EXPECT_EQ(seen[0].parent, seen[1].id);
    EXPECT_EQ(seen[0].trace, seen[1].trace);
}

TEST_F(ServerSpanTest, IsNotInheritedByTheNextRequestOfItsConnection) {
    start();
    auto socket = RawSocket::connect(server->port());
    std::string all = get_request("/work", "traceparent: " + std::string(parent) + "\r\n");
    for (int i = 0; i < 3; ++i) { all += get_request("/work"); }
    ASSERT_TRUE(socket.send(all));
    for (int i = 0; i < 4; ++i) { ASSERT_EQ(socket.receive().status, 200); }

    const auto seen = spans(8);
    std::vector<std::string> traces;
    for (std::size_t i = 1; i < 8; i += 2) {
        EXPECT_EQ(seen[i].name, "GET /work");
        EXPECT_EQ(seen[i].parent.is_valid(), i == 1) << i;
        EXPECT_EQ(seen[i - 1].parent, seen[i].id) << i;
        traces.push_back(seen[i].trace.to_hex());
    }
    std::sort(traces.begin(), traces.end());
    EXPECT_EQ(std::unique(traces.begin(), traces.end()), traces.end());
}

TEST_F(ServerSpanTest, IsNotMadeByAnUntracedServer) {
    start({.traced = false});
    ask(get_request("/orders/7", "traceparent: " + std::string(parent) + "\r\n"));
    EXPECT_EQ(spans_in_the_end(), 0U);
}

TEST_F(ServerSpanTest, IsNotMadeForWhatIsNoRequest) {
    start();
    ask("nonsense\r\n\r\n");
    EXPECT_EQ(spans_in_the_end(), 0U);
}

} // namespace
} // namespace weft::http::testing
