#pragma once
#include "loop.hpp"
#include "raw_socket.hpp"

#include <weft/http/server.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace weft::http::testing {

/// Lets handlers wait until the test says so.
class Gate {
public:
    void open() noexcept { open_ = true; }
    /// How many handlers have come to the gate.
    [[nodiscard]] int arrived() const noexcept { return arrived_; }

    // A poll of a millisecond: nothing is to be missed, and no timer is shared between threads.
    Task<void> wait() {
        ++arrived_;
        asio::steady_timer tick(co_await asio::this_coro::executor);
        const auto end = std::chrono::steady_clock::now() + patience;
        while (!open_ && std::chrono::steady_clock::now() < end) {
            tick.expires_after(milliseconds(1));
            co_await tick.async_wait(asio::as_tuple(asio::deferred));
        }
    }

private:
    std::atomic<bool> open_{false};
    std::atomic<int> arrived_{0};
};

[[nodiscard]] inline std::string get_request(std::string_view target, std::string_view more = {}) {
    return "GET " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n" + std::string(more) +
           "\r\n";
}

/// A server with a few routes on a loop of two threads.
class ServerTest : public ::testing::Test {
protected:
    void start(ServerOptions options = {}) {
        options.traced = false;
        server.emplace(loop.context(), std::move(options));
        server->get(
            "/hello", [](Request&) -> Task<Response> { co_return Response::text(200, "hello"); });
        server->get("/orders/{id}", [](Request& request) -> Task<Response> {
            co_return Response::text(200, "order " + std::string(request.param("id")));
        });
        server->post("/echo", [](Request& request) -> Task<Response> {
            co_return Response::text(200, request.take_body());
        });
        server->get("/throw", [](Request&) -> Task<Response> {
            throw std::runtime_error("broken");
            co_return Response();
        });
        server->get("/gate", [this](Request&) -> Task<Response> { return pass_gate(); });
    }
    RawSocket connect(int receive_buffer_bytes = 0) {
        return RawSocket::connect(server->port(), receive_buffer_bytes);
    }
    RawResponse ask(std::string_view request) {
        auto socket = connect();
        EXPECT_TRUE(socket.send(request));
        return socket.receive();
    }
    Task<Response> pass_gate() {
        co_await gate.wait();
        co_return Response::text(200, "passed");
    }

    ~ServerTest() override { gate.open(); }

    Gate gate;
    Loop loop; // Before the gate goes: its threads run handlers.
    std::optional<Server> server;
};

} // namespace weft::http::testing
