#include "span_fixture.hpp"

#include <weft/signals/open_spans.hpp>

#include <gmock/gmock.h>

#include <string>

// What is listed of requests that are being served, and of those that wait for an answer.

namespace weft::http::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

OpenSpan find(std::string_view name, SpanKind kind) {
    for (auto& span : open_spans()) {
        if (span.name == name && span.kind == kind) { return span; }
    }
    return {};
}

using OpenSpansOfHttp = SpanTest;

TEST_F(OpenSpansOfHttp, ShowWhereTheRouteWasAdded) {
    start();
    auto socket = RawSocket::connect(server->port());
    ASSERT_TRUE(socket.send("GET /gate HTTP/1.1\r\nHost: x\r\n\r\n"));
    ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));

    const auto span = find("GET /gate", SpanKind::server);
    EXPECT_EQ(span.scope, "weft.http.server");
    EXPECT_THAT(span.where.file_name(), EndsWith("span_fixture.hpp"));
    EXPECT_THAT(span.where.function_name(), HasSubstr("start"));
    EXPECT_TRUE(span.state == OpenSpanState::suspended || span.state == OpenSpanState::running);
    gate.open();
    EXPECT_EQ(socket.receive().status, 200);
}

TEST_F(OpenSpansOfHttp, WithoutARouteHaveNoPlace) {
    OpenSpan seen;
    start({.refusal = [&](const Request&, int status) {
        seen = find("GET", SpanKind::server);
        return Response(status);
    }});
    EXPECT_EQ(ask("GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "404");
    EXPECT_TRUE(eventually([&] { return server->stats().connections_open == 0; }));
    EXPECT_TRUE(seen.span_id.is_valid());
    EXPECT_EQ(seen.where.line(), 0U);
}

TEST_F(OpenSpansOfHttp, ShowWhereTheClientWasAsked) {
    start();
    OpenSpan seen;
    server->get("/look", [&](Request&) -> Task<Response> {
        seen = find("GET", SpanKind::client);
        co_return Response();
    });
    const Client client(loop.context());
    const auto line = std::source_location::current().line() + 1;
    const auto answer = loop.run(client.get(url("/look")));
    ASSERT_TRUE(answer);
    EXPECT_EQ(seen.where.line(), line);
    EXPECT_THAT(seen.where.file_name(), EndsWith("open_spans_test.cpp"));
    EXPECT_EQ(seen.state, OpenSpanState::suspended);
}

} // namespace
} // namespace weft::http::testing
