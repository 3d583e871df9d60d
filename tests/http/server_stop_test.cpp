#include "server_fixture.hpp"

#include <weft/runtime/host.hpp>

namespace weft::http::testing {
namespace {

TEST_F(ServerTest, LetsARunningRequestFinishWhenItStops) {
    start();
    auto running = connect();
    ASSERT_TRUE(running.send(get_request("/gate")));
    ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));

    auto stopping = loop.start(server->stop(std::chrono::seconds(20)));
    // Stopping has begun when a new connection is refused.
    EXPECT_TRUE(eventually([&] {
        try {
            auto late = connect();
            return !late.send(get_request("/hello")) || late.receive().status == 0;
        } catch (const std::runtime_error&) { return true; }
    }));
    EXPECT_EQ(stopping.wait_for(milliseconds(20)), std::future_status::timeout);
    gate.open();

    const auto response = running.receive();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.headers.get("connection"), "close");
    EXPECT_TRUE(running.is_closed_by_peer());
    Loop::get(std::move(stopping));
    EXPECT_EQ(server->stats().connections_open, 0U);
}

TEST_F(ServerTest, ClosesIdleConnectionsAtOnceWhenItStops) {
    start();
    auto fresh = connect();
    auto used = connect();
    ASSERT_TRUE(used.send(get_request("/hello")));
    ASSERT_EQ(used.receive().status, 200);
    ASSERT_TRUE(eventually([&] { return server->stats().connections_open == 2; }));

    const auto begin = std::chrono::steady_clock::now();
    loop.run(server->stop(std::chrono::seconds(20)));

    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    EXPECT_TRUE(fresh.is_closed_by_peer());
    EXPECT_TRUE(used.is_closed_by_peer());
}

TEST_F(ServerTest, CutsOffWhatIsNotDoneWithinTheGrace) {
    start();
    auto handling = connect();
    ASSERT_TRUE(handling.send(get_request("/gate")));
    auto half = connect();
    ASSERT_TRUE(half.send("GET /hel"));
    ASSERT_TRUE(
        eventually([&] { return gate.arrived() == 1 && server->stats().connections_open == 2; }));

    const auto begin = std::chrono::steady_clock::now();
    loop.run(server->stop(milliseconds(50)));

    EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(50));
    EXPECT_EQ(handling.receive().status, 0);
    EXPECT_EQ(half.receive().status, 0);
    gate.open();
    EXPECT_TRUE(eventually([&] { return server->stats().connections_open == 0; }));
}

TEST_F(ServerTest, StopsAtOnceWithoutConnections) {
    start();
    loop.run(server->stop(std::chrono::seconds(20)));
    EXPECT_THROW((void)connect(), std::runtime_error);
}

TEST_F(ServerTest, CanBeStoppedTwiceAndAtTheSameTime) {
    start();
    auto running = connect();
    ASSERT_TRUE(running.send(get_request("/gate")));
    ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));

    auto first = loop.start(server->stop(std::chrono::seconds(20)));
    auto second = loop.start(server->stop(std::chrono::seconds(20)));
    gate.open();

    Loop::get(std::move(first));
    Loop::get(std::move(second));
    loop.run(server->stop(std::chrono::seconds(20)));
    EXPECT_EQ(running.receive().status, 200);
}

TEST_F(ServerTest, FreesItsPortWhenItIsDestroyed) {
    start();
    const auto port = server->port();
    auto open = connect();
    server.reset();
    EXPECT_TRUE(open.is_closed_by_peer());
    EXPECT_TRUE(eventually([&] {
        try {
            const Server next(loop.context(), {.port = port, .traced = false});
            return true;
        } catch (const boost::system::system_error&) { return false; }
    }));
}

TEST_F(ServerTest, MayBeDestroyedWhileAHandlerRuns) {
    start();
    auto running = connect();
    ASSERT_TRUE(running.send(get_request("/gate")));
    ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));
    server.reset();
    EXPECT_EQ(running.receive().status, 0);
    gate.open();
}

TEST_F(ServerTest, MovesWithItsConnections) {
    start();
    auto socket = connect();
    Server moved = std::move(*server);
    ASSERT_TRUE(socket.send(get_request("/hello")));
    EXPECT_EQ(socket.receive().status, 200);
    server.emplace(std::move(moved));
}

TEST(ServerOnAHost, StopsWithIt) {
    Loop loop;
    Host host(loop.context());
    Server server(host, {.traced = false, .stop_grace = std::chrono::seconds(20)});
    auto idle = RawSocket::connect(server.port());

    loop.run(host.stop());

    EXPECT_TRUE(idle.is_closed_by_peer());
    EXPECT_THROW((void)RawSocket::connect(server.port()), std::runtime_error);
}

TEST(ServerOnAHost, MayGoBeforeTheHostStops) {
    Loop loop;
    Host host(loop.context());
    { const Server server(host, {.traced = false}); }
    loop.run(host.stop());
}

TEST(ServerWithoutALoop, IsDestroyedWithoutHavingRun) {
    asio::io_context context;
    const Server server(context, {.traced = false});
    EXPECT_NE(server.port(), 0);
}

TEST(ServerWithoutALoop, EndsWithItsContextInTheMiddleOfRequests) {
    std::optional<Server> server;
    Gate gate;
    std::optional<RawSocket> handling;
    std::optional<RawSocket> half;
    {
        asio::io_context context;
        server.emplace(context, ServerOptions{.traced = false});
        server->get("/gate", [&gate](Request&) -> Task<Response> {
            return [](Gate& waited) -> Task<Response> {
                co_await waited.wait();
                co_return Response();
            }(gate);
        });
        handling = RawSocket::connect(server->port());
        half = RawSocket::connect(server->port());
        ASSERT_TRUE(handling->send(get_request("/gate")));
        ASSERT_TRUE(half->send("GET"));
        while (gate.arrived() == 0) { context.run_one(); }
        server.reset();
    }
    EXPECT_EQ(handling->receive().status, 0);
    EXPECT_EQ(half->receive().status, 0);
}

} // namespace
} // namespace weft::http::testing
