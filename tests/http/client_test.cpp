#include "server_fixture.hpp"

#include <weft/http/client.hpp>
#include <weft/runtime/host.hpp>

#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::http::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A client beside the server of ServerTest.
class ClientTest : public ServerTest {
protected:
    void start_both(ClientOptions options = {}) {
        start();
        options.traced = false;
        client.emplace(loop.context(), std::move(options));
    }
    std::string url(std::string_view target, std::string_view host = "127.0.0.1") {
        return "http://" + std::string(host) + ":" + std::to_string(server->port()) +
               std::string(target);
    }

    std::optional<Client> client;
};

TEST_F(ClientTest, GetsAResponse) {
    start_both();
    const auto response = loop.run(client->get(url("/orders/7")));
    ASSERT_TRUE(response.has_value()) << response.error().message();
    EXPECT_EQ(response->status(), 200);
    EXPECT_EQ(response->body(), "order 7");
    EXPECT_EQ(response->header("content-type"), "text/plain; charset=utf-8");
}

TEST_F(ClientTest, GivesEveryStatusToTheCaller) {
    start_both();
    EXPECT_EQ(loop.run(client->get(url("/nope")))->status(), 404);
    EXPECT_EQ(loop.run(client->get(url("/throw")))->status(), 500);
    EXPECT_EQ(loop.run(client->del(url("/hello")))->status(), 405);
}

TEST_F(ClientTest, SendsABody) {
    start_both();
    EXPECT_EQ(loop.run(client->post(url("/echo"), "some text"))->body(), "some text");
    EXPECT_EQ(loop.run(client->post(url("/echo"), ""))->body(), "");
    const std::string large(3'000'000, 'x');
    EXPECT_TRUE(loop.run(client->post(url("/echo"), large))->body() == large);
}

TEST_F(ClientTest, ResolvesANameFirst) {
    start_both();
    const auto response = loop.run(client->get(url("/hello", "localhost")));
    ASSERT_TRUE(response.has_value()) << response.error().message();
    EXPECT_EQ(response->body(), "hello");
}

TEST_F(ClientTest, UsesAConnectionAgain) {
    start_both();
    for (int i = 0; i < 10; ++i) { ASSERT_EQ(loop.run(client->get(url("/hello")))->status(), 200); }
    const auto stats = client->stats();
    EXPECT_EQ(stats.connections_opened, 1U);
    EXPECT_EQ(stats.connections_reused, 9U);
    EXPECT_EQ(stats.connections_idle, 1U);
    EXPECT_EQ(server->stats().connections_accepted, 1U);
}

TEST_F(ClientTest, KeepsAtMostSoManyIdleConnections) {
    start_both({.idle_connections_max = 2});
    std::vector<std::future<Result<Response>>> calls;
    for (int i = 0; i < 5; ++i) { calls.push_back(loop.start(client->get(url("/gate")))); }
    ASSERT_TRUE(eventually([&] { return gate.arrived() == 5; }));
    gate.open();
    for (auto& call : calls) { EXPECT_EQ(Loop::get(std::move(call))->body(), "passed"); }
    EXPECT_EQ(client->stats().connections_opened, 5U);
    EXPECT_EQ(client->stats().connections_idle, 2U);
}

TEST_F(ClientTest, KeepsNoneWhenToldSo) {
    start_both({.idle_connections_max = 0});
    ASSERT_EQ(loop.run(client->get(url("/hello")))->status(), 200);
    ASSERT_EQ(loop.run(client->get(url("/hello")))->status(), 200);
    EXPECT_EQ(client->stats().connections_opened, 2U);
    EXPECT_EQ(client->stats().connections_idle, 0U);
}

TEST_F(ClientTest, DoesNotUseAnIdleConnectionThatIsTooOld) {
    start_both({.idle_timeout = milliseconds(1)});
    ASSERT_EQ(loop.run(client->get(url("/hello")))->status(), 200);
    std::this_thread::sleep_for(milliseconds(5)); // Older than the limit, by any clock.
    ASSERT_EQ(loop.run(client->get(url("/hello")))->status(), 200);
    EXPECT_EQ(client->stats().connections_opened, 2U);
}

TEST_F(ClientTest, ClosesItsIdleConnectionsOnDemand) {
    start_both();
    ASSERT_EQ(loop.run(client->get(url("/hello")))->status(), 200);
    client->close_idle();
    EXPECT_EQ(client->stats().connections_idle, 0U);
    EXPECT_TRUE(eventually([&] { return server->stats().connections_open == 0; }));
}

TEST_F(ClientTest, SeparatesPortsInItsPool) {
    start_both();
    Server other(loop.context(), {.traced = false});
    other.get("/hello", [](Request&) -> Task<Response> { co_return Response::text(200, "other"); });
    EXPECT_EQ(loop.run(client->get(url("/hello")))->body(), "hello");
    EXPECT_EQ(
        loop.run(client->get("http://127.0.0.1:" + std::to_string(other.port()) + "/hello"))
            ->body(),
        "other");
}

TEST_F(ClientTest, MayBeDestroyedDuringACall) {
    start_both();
    auto call = loop.start(client->get(url("/gate")));
    ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));
    client.reset();
    gate.open();
    EXPECT_EQ(Loop::get(std::move(call))->body(), "passed");
}

TEST_F(ClientTest, WorksFromManyCoroutinesAtOnce) {
    start_both();
    std::vector<std::future<Result<Response>>> calls;
    for (int i = 0; i < 200; ++i) {
        calls.push_back(loop.start(client->get(url("/orders/" + std::to_string(i)))));
    }
    for (int i = 0; i < 200; ++i) {
        const auto response = Loop::get(std::move(calls[static_cast<std::size_t>(i)]));
        ASSERT_TRUE(response.has_value()) << response.error().message();
        EXPECT_EQ(response->body(), "order " + std::to_string(i));
    }
}

TEST_F(ClientTest, IsMadeFromAHostOrAnExecutor) {
    start_both();
    Host host(loop.context());
    const Client by_host(host, {.traced = false});
    EXPECT_EQ(loop.run(by_host.get(url("/hello")))->status(), 200);
    const auto status = loop.run([](std::string target) -> Task<int> {
        const Client here(co_await asio::this_coro::executor);
        const auto response = co_await here.get(target);
        co_return response ? response->status() : 0;
    }(url("/hello")));
    EXPECT_EQ(status, 200);
}

// Built inside the co_await expression, where GCC 12 goes wrong with aggregates.
TEST_F(ClientTest, TakesARequestMadeInTheAwait) {
    start_both();
    const auto body = loop.run([](const Client& here, std::string target) -> Task<std::string> {
        const auto response =
            co_await here.request(ClientRequest("POST", target)
                                      .set_header("X", "a value that is not short")
                                      .set_body("a body that is too long for a small string"));
        co_return response ? response->body() : response.error().message();
    }(*client, url("/echo")));
    EXPECT_EQ(body, "a body that is too long for a small string");
}

TEST_F(ClientTest, RefusesOptionsOutOfTheirRange) {
    EXPECT_THROW(Client(loop.context(), {.header_bytes_max = 1}), std::invalid_argument);
    EXPECT_THROW(Client(loop.context(), {.timeout = milliseconds(-1)}), std::invalid_argument);
}

// What goes over the wire, seen by a server that only records.
class ClientBytes : public ::testing::Test {
protected:
    using Make = std::function<ClientRequest(const std::string& url)>;

    std::string request_sent(const Make& make) {
        std::string seen;
        {
            RawServer raw([&](RawServer& self) {
                auto socket = self.accept();
                seen = socket.receive_request();
                socket.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            });
            Loop loop;
            const Client client(loop.context(), {.traced = false});
            const auto response = loop.run(client.request(make(raw.url("/x?y=1"))));
            EXPECT_TRUE(response.has_value()) << response.error().message();
        }
        return seen;
    }
    std::string request_sent(std::string_view method, std::string body = {}) {
        return request_sent(
            [&](const std::string& url) { return ClientRequest(method, url).set_body(body); });
    }
};

TEST_F(ClientBytes, HaveHostAndUserAgent) {
    const auto seen = request_sent("GET");
    EXPECT_TRUE(seen.starts_with("GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")) << seen;
    EXPECT_THAT(seen, HasSubstr("\r\nUser-Agent: weft/"));
    EXPECT_THAT(seen, Not(HasSubstr("Content-Length")));
    EXPECT_THAT(seen, Not(HasSubstr("traceparent")));
}

TEST_F(ClientBytes, HaveALengthWhereAServerExpectsABody) {
    EXPECT_THAT(request_sent("POST"), HasSubstr("\r\nContent-Length: 0\r\n"));
    EXPECT_THAT(request_sent("PUT", "abc"), HasSubstr("\r\nContent-Length: 3\r\n"));
    EXPECT_THAT(request_sent("DELETE"), Not(HasSubstr("Content-Length")));
}

TEST_F(ClientBytes, HaveTheCallersHeadersButNotItsFraming) {
    const auto seen = request_sent([](const std::string& url) {
        return ClientRequest("GET", url)
            .set_header("X-Mine", "1")
            .set_header("Host", "other")
            .set_header("User-Agent", "me")
            .set_header("Content-Length", "99")
            .set_header("Transfer-Encoding", "chunked")
            .set_header("Evil", "a\r\nB: c");
    });
    EXPECT_THAT(seen, HasSubstr("\r\nX-Mine: 1\r\n"));
    EXPECT_THAT(seen, HasSubstr("\r\nHost: other\r\n"));
    EXPECT_THAT(seen, HasSubstr("\r\nUser-Agent: me\r\n"));
    EXPECT_THAT(seen, Not(HasSubstr("127.0.0.1")));
    EXPECT_THAT(seen, Not(HasSubstr("99")));
    EXPECT_THAT(seen, Not(HasSubstr("chunked")));
    EXPECT_THAT(seen, Not(HasSubstr("\r\nB: c")));
}

TEST_F(ClientBytes, HaveTheUrlsCredentialsAsBasicAuthentication) {
    const auto seen = request_sent([](const std::string& url) {
        return ClientRequest("GET", "http://ann:secret@" + url.substr(7));
    });
    EXPECT_THAT(seen, HasSubstr("\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\n"));
    EXPECT_THAT(seen, Not(HasSubstr("secret")));
}

TEST_F(ClientBytes, KeepACopiedTraceWhenTheClientHasNone) {
    const auto seen = request_sent([](const std::string& url) {
        return ClientRequest("GET", url).set_header("traceparent", "00-a");
    });
    EXPECT_THAT(seen, HasSubstr("\r\ntraceparent: 00-a\r\n"));
}

} // namespace
} // namespace weft::http::testing
