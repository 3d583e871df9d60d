#pragma once
#include "decoded_span.hpp"
#include "loop.hpp"
#include "raw_socket.hpp"
#include "server_fixture.hpp"

#include <weft/http/client.hpp>
#include <weft/http/server.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::http::testing {

inline constexpr int internal_kind = 1;
inline constexpr int server_kind = 2;
inline constexpr int client_kind = 3;
inline constexpr int unset = 0;
inline constexpr int error = 2;

/// A traced server and client whose spans the test collects.
class SpanTest : public ::testing::Test {
protected:
    ~SpanTest() override { gate.open(); }

    void start(ServerOptions options = {}) {
        server.emplace(loop.context(), std::move(options));
        server->get("/orders/{id}", [](Request& request) -> Task<Response> {
            co_return Response::text(200, std::string(request.param("id")));
        });
        server->get("/fail/{status}", [](Request& request) -> Task<Response> {
            co_return Response(std::stoi(std::string(request.param("status"))));
        });
        server->get("/throw", [](Request&) -> Task<Response> {
            throw std::runtime_error("the reason");
            co_return Response();
        });
        server->post("/echo", [](Request& request) -> Task<Response> {
            co_return Response::text(200, request.take_body());
        });
        server->get("/work", [](Request&) -> Task<Response> {
            const Span span("work");
            co_return Response();
        });
        server->get("/gate", [this](Request&) -> Task<Response> { return pass_gate(); });
    }
    Task<Response> pass_gate() {
        co_await gate.wait();
        co_return Response();
    }

    std::string ask(std::string_view request) {
        auto socket = RawSocket::connect(server->port());
        EXPECT_TRUE(socket.send(request));
        return std::to_string(socket.receive().status);
    }
    std::string url(std::string_view target) const {
        return "http://127.0.0.1:" + std::to_string(server->port()) + std::string(target);
    }

    /// The next `count` spans, in the order in which they ended.
    std::vector<DecodedSpan> spans(std::size_t count) {
        std::vector<DecodedSpan> found;
        EXPECT_TRUE(eventually([&] {
            for (const auto& span : sink.take()) { found.push_back(decode(span)); }
            return found.size() >= count;
        }));
        EXPECT_EQ(found.size(), count);
        found.resize(count);
        return found;
    }
    DecodedSpan span() { return spans(1).front(); }
    /// Every span there will ever be: for tests that expect none.
    std::size_t spans_in_the_end() {
        EXPECT_TRUE(eventually([&] { return server->stats().connections_open == 0; }));
        return sink.take().size();
    }

    weft::testing::SpanSink sink; // First: spans end before what they go to.
    Gate gate;
    Loop loop;
    std::optional<Server> server;
};

} // namespace weft::http::testing
