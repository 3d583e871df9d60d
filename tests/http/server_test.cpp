#include "server_fixture.hpp"

#include <weft/http/server.hpp>

#include <gmock/gmock.h>

#include <string>

namespace weft::http::testing {
namespace {

using ::testing::HasSubstr;

TEST_F(ServerTest, AnswersByItsRoutes) {
    start();
    const auto response = ask(get_request("/orders/7?full=1"));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "order 7");
    EXPECT_EQ(response.headers.get("content-type"), "text/plain; charset=utf-8");
}

TEST_F(ServerTest, ListensOnLoopbackAndAFreePortByDefault) {
    start();
    EXPECT_EQ(server->address(), "127.0.0.1");
    EXPECT_NE(server->port(), 0);
}

TEST_F(ServerTest, NamesTheAddressWhenThePortIsInUse) {
    start();
    try {
        const Server second(loop.context(), {.port = server->port()});
        FAIL() << "two servers on one port";
    } catch (const boost::system::system_error& error) {
        EXPECT_EQ(error.code(), boost::asio::error::address_in_use);
        EXPECT_THAT(
            error.what(), ::testing::AllOf(
                              HasSubstr(
                                  "cannot listen on 127.0.0.1:" + std::to_string(server->port()) +
                                  ": Address already in use"),
                              ::testing::Not(HasSubstr(" at "))));
    }
}

TEST_F(ServerTest, NamesAnAddressThatIsNone) {
    try {
        const Server broken(loop.context(), {.address = "localhost"});
        FAIL() << "accepted a name";
    } catch (const boost::system::system_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("cannot listen on localhost:0"));
    }
}

TEST_F(ServerTest, RefusesOptionsOutOfTheirRange) {
    EXPECT_THROW(Server(loop.context(), {.header_bytes_max = 255}), std::invalid_argument);
    EXPECT_THROW(Server(loop.context(), {.connections_max = 0}), std::invalid_argument);
    EXPECT_THROW(Server(loop.context(), {.idle_timeout = milliseconds(-1)}), std::invalid_argument);
}

TEST_F(ServerTest, ListensOnIpv6) {
    ServerOptions options{.address = "::1"};
    options.traced = false;
    try {
        const Server v6(loop.context(), options);
        EXPECT_NE(v6.port(), 0);
    } catch (const boost::system::system_error& error) {
        GTEST_SKIP() << "no IPv6 here: " << error.what();
    }
}

TEST_F(ServerTest, ServesManyRequestsOnOneConnection) {
    start();
    auto socket = connect();
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(socket.send(get_request("/orders/" + std::to_string(i))));
        ASSERT_EQ(socket.receive().body, "order " + std::to_string(i));
    }
    EXPECT_EQ(server->stats().connections_accepted, 1U);
    EXPECT_EQ(server->stats().requests, 50U);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInTheirOrder) {
    start();
    auto socket = connect();
    std::string all;
    for (int i = 0; i < 100; ++i) { all += get_request("/orders/" + std::to_string(i)); }
    all += "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n12345" +
           get_request("/hello");

    ASSERT_TRUE(socket.send(all));

    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(socket.receive().body, "order " + std::to_string(i));
    }
    EXPECT_EQ(socket.receive().body, "12345");
    EXPECT_EQ(socket.receive().body, "hello");
}

TEST_F(ServerTest, ReadsARequestThatComesByteByByte) {
    start();
    auto socket = connect();
    for (const char c :
         std::string("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc")) {
        ASSERT_TRUE(socket.send({&c, 1}));
    }
    EXPECT_EQ(socket.receive().body, "abc");
}

TEST_F(ServerTest, ReadsAChunkedBody) {
    start();
    auto socket = connect();
    ASSERT_TRUE(socket.send(
        "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        "4\r\nWiki\r\n5;ext=1\r\npedia\r\n0\r\nTrailer: dropped\r\n\r\n" +
        get_request("/hello")));
    EXPECT_EQ(socket.receive().body, "Wikipedia");
    EXPECT_EQ(socket.receive().body, "hello");
}

TEST_F(ServerTest, ReadsABodyOfManyReads) {
    start();
    std::string body(3'000'000, 'x');
    for (std::size_t i = 0; i < body.size(); i += 1000) {
        body[i] = static_cast<char>('a' + i % 26);
    }
    const auto response =
        ask("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3000000\r\n\r\n" + body);
    EXPECT_EQ(response.status, 200);
    EXPECT_TRUE(response.body == body);
}

TEST_F(ServerTest, ForgivesEmptyLinesBeforeARequest) {
    start();
    auto socket = connect();
    ASSERT_TRUE(socket.send("\r\n\r\n" + get_request("/hello") + "\r\n" + get_request("/hello")));
    EXPECT_EQ(socket.receive().status, 200);
    EXPECT_EQ(socket.receive().status, 200);
}

TEST_F(ServerTest, SendsNoBodyToHeadButItsLength) {
    start();
    auto socket = connect();
    ASSERT_TRUE(
        socket.send("HEAD /hello HTTP/1.1\r\nHost: test\r\n\r\n" + get_request("/orders/1")));
    const auto head = socket.receive(true);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.headers.get("content-length"), "5");
    EXPECT_EQ(socket.receive().body, "order 1");
}

TEST_F(ServerTest, Says404ForAnUnknownPath) {
    start();
    EXPECT_EQ(ask(get_request("/nope")).status, 404);
    EXPECT_EQ(ask("OPTIONS /nope HTTP/1.1\r\nHost: test\r\n\r\n").status, 404);
}

TEST_F(ServerTest, Says405WithTheMethodsThereAre) {
    start();
    const auto response = ask("DELETE /hello HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_EQ(response.status, 405);
    EXPECT_EQ(response.headers.get("allow"), "GET, HEAD, OPTIONS");
    EXPECT_EQ(ask("BREW /hello HTTP/1.1\r\nHost: test\r\n\r\n").status, 405);
}

TEST_F(ServerTest, AnswersOptionsItself) {
    start();
    const auto response = ask("OPTIONS /echo HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_EQ(response.status, 204);
    EXPECT_EQ(response.headers.get("allow"), "POST, OPTIONS");
    EXPECT_EQ(ask("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n").status, 204);
}

TEST_F(ServerTest, Says500ForAHandlerThatThrowsAndGoesOn) {
    start();
    auto socket = connect();
    ASSERT_TRUE(socket.send(get_request("/throw") + get_request("/hello")));
    const auto response = socket.receive();
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(response.body.find("broken"), std::string::npos) << "the reason is not the client's";
    EXPECT_EQ(socket.receive().status, 200);
    EXPECT_EQ(server->stats().handler_exceptions, 1U);
}

TEST_F(ServerTest, Says500ForAStatusThatNoHandlerMaySend) {
    start();
    for (const int status : {0, 100, 101, 199, 1000, -1}) {
        server->get("/status" + std::to_string(status), [status](Request&) -> Task<Response> {
            return [](int code) -> Task<Response> { co_return Response(code); }(status);
        });
        EXPECT_EQ(ask(get_request("/status" + std::to_string(status))).status, 500) << status;
    }
}

TEST_F(ServerTest, ClosesWhenTheClientAsksForIt) {
    start();
    auto socket = connect();
    ASSERT_TRUE(socket.send(get_request("/hello", "Connection: close\r\n")));
    const auto response = socket.receive();
    EXPECT_EQ(response.headers.get("connection"), "close");
    EXPECT_TRUE(socket.is_closed_by_peer());
}

TEST_F(ServerTest, ClosesAfterHttp10UnlessAskedToStay) {
    start();
    auto socket = connect();
    ASSERT_TRUE(socket.send("GET /hello HTTP/1.0\r\n\r\n"));
    EXPECT_EQ(socket.receive().status, 200);
    EXPECT_TRUE(socket.is_closed_by_peer());

    auto staying = connect();
    ASSERT_TRUE(staying.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    EXPECT_EQ(staying.receive().headers.get("connection"), "keep-alive");
    ASSERT_TRUE(staying.send("GET /hello HTTP/1.0\r\n\r\n"));
    EXPECT_EQ(staying.receive().status, 200);
}

TEST_F(ServerTest, SaysGoOnToAClientThatWaitsWithItsBody) {
    start();
    auto socket = connect();
    ASSERT_TRUE(socket.send(
        "POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    EXPECT_EQ(socket.receive().status, 100);
    ASSERT_TRUE(socket.send("ok"));
    EXPECT_EQ(socket.receive().body, "ok");
}

TEST_F(ServerTest, Says417ToAnyOtherExpectation) {
    start();
    EXPECT_EQ(ask(get_request("/hello", "Expect: wonders\r\n")).status, 417);
}

TEST_F(ServerTest, TakesRoutesWhileItServes) {
    start();
    auto socket = connect();
    ASSERT_TRUE(socket.send(get_request("/late")));
    EXPECT_EQ(socket.receive().status, 404);

    server->get("/late", [](Request&) -> Task<Response> { co_return Response::text(200, "late"); });

    ASSERT_TRUE(socket.send(get_request("/late")));
    EXPECT_EQ(socket.receive().body, "late");
}

TEST_F(ServerTest, RefusesARouteThatIsThere) {
    start();
    EXPECT_THROW(
        server->get("/hello", [](Request&) -> Task<Response> { co_return Response(); }),
        std::invalid_argument);
    EXPECT_EQ(ask(get_request("/hello")).body, "hello");
}

TEST_F(ServerTest, WritesAResponseThatIsLargerThanTheSocketsBuffer) {
    start();
    const std::size_t size = 20'000'000;
    server->get("/large", [](Request&) -> Task<Response> {
        co_return Response::text(200, std::string(size, 'x'));
    });
    auto socket = connect(4096);
    ASSERT_TRUE(socket.send(get_request("/large") + get_request("/hello")));
    EXPECT_EQ(socket.receive().body.size(), size);
    EXPECT_EQ(socket.receive().body, "hello");
}

TEST_F(ServerTest, SurvivesAClientThatLeavesWhileAHandlerRuns) {
    start();
    {
        auto socket = connect();
        ASSERT_TRUE(socket.send(get_request("/gate")));
        ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));
        socket.reset();
    }
    gate.open();
    EXPECT_TRUE(eventually([&] { return server->stats().connections_open == 0; }));
    EXPECT_EQ(ask(get_request("/hello")).status, 200);
}

TEST_F(ServerTest, SurvivesAClientThatLeavesInTheMiddleOfARequest) {
    start();
    for (const auto* part :
         {"", "G", "GET /hello HTTP/1.1\r\nHo",
          "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nab"}) {
        auto proper = connect();
        ASSERT_TRUE(proper.send(part));
        proper.close();
        auto reset = connect();
        ASSERT_TRUE(reset.send(part));
        reset.reset();
    }
    EXPECT_TRUE(eventually([&] {
        const auto stats = server->stats();
        return stats.connections_accepted == 8 && stats.connections_open == 0;
    }));
    EXPECT_EQ(ask(get_request("/hello")).status, 200);
}

TEST_F(ServerTest, AnswersAClientThatHasSaidAllItWillSay) {
    start();
    auto socket = connect();
    ASSERT_TRUE(socket.send(get_request("/hello")));
    socket.shut_down_writing();
    EXPECT_EQ(socket.receive().status, 200);
    EXPECT_TRUE(socket.is_closed_by_peer());
}

TEST_F(ServerTest, GivesHandlersThePeersAddress) {
    start();
    server->get("/peer", [](Request& request) -> Task<Response> {
        co_return Response::text(
            200, std::string(request.peer_address()) + " " +
                     (request.peer_port() > 0 ? "port" : "none"));
    });
    EXPECT_EQ(ask(get_request("/peer")).body, "127.0.0.1 port");
}

TEST_F(ServerTest, ServesManyConnectionsAtOnce) {
    start();
    std::vector<std::thread> clients;
    std::atomic<int> good{0};
    for (int c = 0; c < 8; ++c) {
        clients.emplace_back([&] {
            auto socket = connect();
            for (int i = 0; i < 50; ++i) {
                socket.send(get_request("/orders/" + std::to_string(i)));
                if (socket.receive().body == "order " + std::to_string(i)) { ++good; }
            }
        });
    }
    for (auto& client : clients) { client.join(); }
    EXPECT_EQ(good, 400);
    EXPECT_EQ(server->stats().requests, 400U);
}

} // namespace
} // namespace weft::http::testing
