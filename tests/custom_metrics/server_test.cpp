// Behind a real server, over a real socket.
#include "handler_fixture.hpp"
#include "loop.hpp"
#include "raw_socket.hpp"

#include <weft/http/server.hpp>

#include <string>

namespace {

using namespace weft;

class CustomMetricsOverHttp : public weft::testing::CustomMetrics {
protected:
    CustomMetricsOverHttp() {
        start(options());
        http::ServerOptions server_options;
        server_options.traced = false;
        server.emplace(loop.context(), std::move(server_options));
        server->post("/metrics/custom", [this](http::Request& request) -> Task<http::Response> {
            co_return as_response<http::Response>(handler->handle(custom_metrics_request(request)));
        });
    }
    http::testing::RawResponse send(std::string_view headers, std::string_view body) {
        auto socket = http::testing::RawSocket::connect(server->port());
        EXPECT_TRUE(socket.send(
            "POST /metrics/custom HTTP/1.1\r\nHost: test\r\n" + std::string(headers) +
            "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body)));
        return socket.receive();
    }

    http::testing::Loop loop;
    std::optional<http::Server> server;
};

constexpr std::string_view json = "Content-Type: application/json\r\n";
constexpr std::string_view token = "Authorization: Bearer token\r\n";
constexpr std::string_view one = R"({"name": "a", "type": "counter", "value": 2})";

TEST_F(CustomMetricsOverHttp, AreTakenAndRefused) {
    const auto good = send(std::string(json) + std::string(token), one);
    EXPECT_EQ(good.status, 200);
    EXPECT_EQ(good.headers.get("Content-Type"), "application/json");
    EXPECT_EQ(good.body, "{\"accepted\": 1}\n");

    const auto stranger = send(json, one);
    EXPECT_EQ(stranger.status, 401);
    EXPECT_EQ(stranger.headers.get("WWW-Authenticate"), "Bearer realm=\"metrics\"");

    const auto form = send(token, one);
    EXPECT_EQ(form.status, 415);

    const auto bad = send(std::string(json) + std::string(token), R"([{"name": "a"}])");
    EXPECT_EQ(bad.status, 400);
    EXPECT_EQ(
        bad.body,
        "{\"error\": {\"index\": 0, \"field\": \"type\", \"reason\": \"it is missing\"}}\n");

    EXPECT_EQ(collect().value("a"), 2);
}

TEST_F(CustomMetricsOverHttp, SayWhenToComeAgain) {
    for (int i = 0; i < 100; ++i) { (void)handler->handle(request("[]")); }
    const auto answer = send(std::string(json) + std::string(token), one);
    EXPECT_EQ(answer.status, 429);
    EXPECT_EQ(answer.headers.get("Retry-After"), "1");
}

} // namespace
