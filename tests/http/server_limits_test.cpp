// Each limit of ServerOptions with a small value, and what a client sees when it is passed.
#include "server_fixture.hpp"

#include <string>

namespace weft::http::testing {
namespace {

std::string post(std::size_t length, std::string_view body) {
    return "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(length) +
           "\r\n\r\n" + std::string(body);
}

TEST_F(ServerTest, Says431ForAHeaderThatIsTooLong) {
    start({.header_bytes_max = 512});
    auto socket = connect();
    ASSERT_TRUE(socket.send(get_request("/hello", "X-Long: " + std::string(600, 'x') + "\r\n")));
    EXPECT_EQ(socket.receive().status, 431);
    EXPECT_TRUE(socket.is_closed_by_peer());
    EXPECT_EQ(server->stats().requests_refused, 1U);
}

TEST_F(ServerTest, Says431ForATargetThatIsTooLong) {
    start({.header_bytes_max = 512});
    EXPECT_EQ(ask(get_request("/" + std::string(2000, 'x'))).status, 431);
}

TEST_F(ServerTest, Says431ForAHeaderThatNeverEnds) {
    start({.header_bytes_max = 1024});
    auto socket = connect();
    ASSERT_TRUE(socket.send("GET /hello HTTP/1.1\r\n"));
    for (int i = 0; i < 200; ++i) {
        if (!socket.send("X-" + std::to_string(i) + ": y\r\n")) { break; }
    }
    EXPECT_EQ(socket.receive().status, 431);
}

TEST_F(ServerTest, TakesAHeaderJustBelowTheLimit) {
    start({.header_bytes_max = 512});
    EXPECT_EQ(ask(get_request("/hello", "X-Long: " + std::string(400, 'x') + "\r\n")).status, 200);
}

TEST_F(ServerTest, Says413BeforeTheBodyComes) {
    start({.body_bytes_max = 10});
    auto socket = connect();
    ASSERT_TRUE(socket.send(post(11, "")));
    EXPECT_EQ(socket.receive().status, 413);
}

TEST_F(ServerTest, LetsTheProgramWriteItsRefusals) {
    start({.body_bytes_max = 10, .refusal = [](const Request& request, int status) {
               if (request.method() == "PUT") { throw std::runtime_error("no words"); }
               return Response::text(
                   status,
                   std::string(request.method()) + " " + std::string(request.path()) + " refused");
           }});
    auto socket = connect();
    ASSERT_TRUE(socket.send(post(11, "")));
    const auto too_large = socket.receive();
    EXPECT_EQ(too_large.status, 413);
    EXPECT_EQ(too_large.body, "POST /echo refused");
    const auto no_method = ask("BREW /hello HTTP/1.1\r\nHost: test\r\n\r\n");
    EXPECT_EQ(no_method.status, 405);
    EXPECT_EQ(no_method.body, "BREW /hello refused");
    EXPECT_TRUE(no_method.headers.contains("Allow"));
    EXPECT_EQ(ask(get_request("/nowhere", "")).body, "GET /nowhere refused");
    EXPECT_EQ(ask("PUT /hello HTTP/1.1\r\nHost: test\r\n\r\n").status, 405);
}

TEST_F(ServerTest, Says413ToAClientThatSendsOn) {
    start({.body_bytes_max = 1000});
    auto socket = connect();
    ASSERT_TRUE(socket.send(post(100'000, std::string(100'000, 'x'))));
    EXPECT_EQ(socket.receive().status, 413);
    EXPECT_TRUE(socket.is_closed_by_peer());
    EXPECT_FALSE(socket.was_reset()) << "a reset may overtake the answer";
}

TEST_F(ServerTest, Says413ForChunksThatAreTooMuchTogether) {
    start({.body_bytes_max = 10});
    const std::string head =
        "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(ask(head + "5\r\n12345\r\n6\r\n123456\r\n0\r\n\r\n").status, 413);
    EXPECT_EQ(ask(head + "5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n").status, 200);
    EXPECT_EQ(ask(head + "ffffffffffffffff\r\n").status, 413);
}

TEST_F(ServerTest, TakesABodyOfExactlyTheLimit) {
    start({.body_bytes_max = 10});
    EXPECT_EQ(ask(post(10, "1234567890")).status, 200);
}

TEST_F(ServerTest, Says400ForAChunkLineThatNeverEnds) {
    start({.header_bytes_max = 1024});
    EXPECT_EQ(
        ask("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
            std::string(200'000, 'x'))
            .status,
        400);
}

TEST_F(ServerTest, Says400ForTrailersThatNeverEnd) {
    start({.header_bytes_max = 1024});
    std::string trailers;
    for (int i = 0; i < 20'000; ++i) { trailers += "a: b\r\n"; }
    EXPECT_EQ(
        ask("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" +
            trailers)
            .status,
        400);
}

TEST_F(ServerTest, Says400ForWhatIsNoRequest) {
    start();
    for (const auto* text :
         {"nonsense\r\n\r\n", "GET /hello\r\n\r\n", "GET  /hello HTTP/1.1\r\n\r\n",
          "\x16\x03\x01\x02\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: test\r\nno colon\r\n\r\n",
          "GET /hello HTTP/1.1\r\nHost: test\r\nbad name: x\r\n\r\n",
          "GET /hello HTTP/1.1\r\nHost: test\r\nContent-Length: x\r\n\r\n",
          "GET /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
          "GET /hello HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n",
          "GET hello HTTP/1.1\r\nHost: test\r\n\r\n",
          "GET /hel\x01lo HTTP/1.1\r\nHost: test\r\n\r\n"}) {
        auto socket = connect();
        ASSERT_TRUE(socket.send(text));
        EXPECT_EQ(socket.receive().status, 400) << text;
        EXPECT_TRUE(socket.is_closed_by_peer()) << text;
    }
}

TEST_F(ServerTest, Says400WithoutOrWithTwoHosts) {
    start();
    EXPECT_EQ(ask("GET /hello HTTP/1.1\r\n\r\n").status, 400);
    EXPECT_EQ(ask("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").status, 400);
    EXPECT_EQ(ask("GET /hello HTTP/1.0\r\n\r\n").status, 200);
}

// RFC 9112, "Message Body Length": what hides where a body ends is an attack.
TEST_F(ServerTest, RefusesAmbiguousFraming) {
    start();
    EXPECT_EQ(
        ask("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: "
            "chunked\r\n\r\n0\r\n\r\n")
            .status,
        400);
    EXPECT_EQ(
        ask("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: "
            "3\r\n\r\n0\r\n\r\n")
            .status,
        400);
    for (const auto* coding : {"gzip", "gzip, chunked", "chunked, gzip", "identity", "xchunked"}) {
        const auto response =
            ask("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: " + std::string(coding) +
                "\r\n\r\n0\r\n\r\n");
        EXPECT_TRUE(response.status == 501 || response.status == 400) << coding;
    }
}

TEST_F(ServerTest, Says505ForAnotherVersion) {
    start();
    EXPECT_EQ(ask("GET /hello HTTP/2.0\r\nHost: test\r\n\r\n").status, 505);
    EXPECT_EQ(ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status, 505);
}

TEST_F(ServerTest, Says408ForAHeaderThatComesTooSlowly) {
    start({.header_timeout = milliseconds(60)});
    auto socket = connect();
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(socket.send("GET /hello HTTP/1.1\r\nHost: te"));
    EXPECT_EQ(socket.receive().status, 408);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(60)) << "never early";
    EXPECT_TRUE(socket.is_closed_by_peer());
}

TEST_F(ServerTest, Says408ToAClientThatTricklesItsHeader) {
    start({.header_timeout = milliseconds(60)});
    auto socket = connect();
    std::jthread trickle([&](const std::stop_token& stop) {
        while (!stop.stop_requested() && socket.send("X")) {
            std::this_thread::sleep_for(milliseconds(5));
        }
    });
    EXPECT_EQ(socket.receive().status, 408);
}

TEST_F(ServerTest, Says408ForABodyThatComesTooSlowly) {
    start({.body_timeout = milliseconds(60)});
    auto socket = connect();
    ASSERT_TRUE(socket.send(post(10, "123")));
    EXPECT_EQ(socket.receive().status, 408);
    EXPECT_TRUE(socket.is_closed_by_peer());
}

TEST_F(ServerTest, ClosesAConnectionThatIsIdleTooLongWithoutAWord) {
    start({.idle_timeout = milliseconds(60)});
    auto fresh = connect();
    EXPECT_EQ(fresh.receive_all(), "");
    auto used = connect();
    ASSERT_TRUE(used.send(get_request("/hello")));
    EXPECT_EQ(used.receive().status, 200);
    EXPECT_EQ(used.receive_all(), "");
    EXPECT_TRUE(eventually([&] { return server->stats().connections_open == 0; }));
}

TEST_F(ServerTest, Says503ForAHandlerThatTakesTooLong) {
    start({.handler_timeout = milliseconds(60)});
    auto socket = connect();
    ASSERT_TRUE(socket.send(get_request("/gate")));
    EXPECT_EQ(socket.receive().status, 503);
    EXPECT_TRUE(socket.is_closed_by_peer());
    EXPECT_EQ(server->stats().handler_timeouts, 1U);

    gate.open();
    EXPECT_TRUE(eventually([&] { return server->stats().connections_open == 0; }));
}

TEST_F(ServerTest, TellsAHandlerThatNobodyWaitsAnyMore) {
    start({.handler_timeout = milliseconds(60)});
    std::atomic<bool> noticed{false};
    server->get("/looking", [&noticed](Request& request) -> Task<Response> {
        return [](Request& asked, std::atomic<bool>& flag) -> Task<Response> {
            asio::steady_timer tick(co_await asio::this_coro::executor);
            for (int i = 0; i < 10'000 && !asked.is_abandoned(); ++i) {
                tick.expires_after(milliseconds(1));
                co_await tick.async_wait(asio::as_tuple(asio::deferred));
            }
            flag = asked.is_abandoned();
            co_return Response();
        }(request, noticed);
    });
    EXPECT_EQ(ask(get_request("/looking")).status, 503);
    EXPECT_TRUE(eventually([&] { return noticed.load(); }));
}

TEST_F(ServerTest, ClosesOnAClientThatDoesNotRead) {
    start({.write_timeout = milliseconds(60)});
    server->get("/large", [](Request&) -> Task<Response> {
        co_return Response::text(200, std::string(50'000'000, 'x'));
    });
    auto socket = connect(4096);
    ASSERT_TRUE(socket.send(get_request("/large")));
    EXPECT_TRUE(eventually([&] {
        const auto stats = server->stats();
        return stats.requests == 1 && stats.connections_open == 0;
    }));
}

TEST_F(ServerTest, Says503AboveItsNumberOfConnections) {
    start({.connections_max = 2});
    auto first = connect();
    auto second = connect();
    ASSERT_TRUE(first.send(get_request("/hello")));
    ASSERT_TRUE(second.send(get_request("/hello")));
    EXPECT_EQ(first.receive().status, 200);
    EXPECT_EQ(second.receive().status, 200);

    auto third = connect();
    EXPECT_EQ(third.receive().status, 503);
    EXPECT_EQ(server->stats().connections_refused, 1U);

    first.close();
    ASSERT_TRUE(eventually([&] { return server->stats().connections_open == 1; }));
    EXPECT_EQ(ask(get_request("/hello")).status, 200);
}

TEST_F(ServerTest, TakesZeroForNoLimitOfTime) {
    start(
        {.header_timeout = milliseconds(0),
         .body_timeout = milliseconds(0),
         .handler_timeout = milliseconds(0),
         .write_timeout = milliseconds(0),
         .idle_timeout = milliseconds(0)});
    EXPECT_EQ(ask(get_request("/hello")).status, 200);
}

TEST_F(ServerTest, DoesNotKeepALimitOfOneRequestForTheNext) {
    start(
        {.header_timeout = milliseconds(40),
         .body_timeout = milliseconds(40),
         .idle_timeout = milliseconds(0)});
    auto socket = connect();
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(socket.send(get_request("/hello")));
        ASSERT_EQ(socket.receive().status, 200);
        std::this_thread::sleep_for(
            milliseconds(80)); // Twice the limits: none of them may count while idle.
    }
}

} // namespace
} // namespace weft::http::testing
