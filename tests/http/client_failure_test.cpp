// What a client makes of servers that misbehave.
#include "loop.hpp"
#include "raw_socket.hpp"

#include <weft/http/client.hpp>

#include <arpa/inet.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>

namespace weft::http::testing {
namespace {

constexpr std::string_view ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Result<Response> call(Loop& loop, const Client& client, ClientRequest request) {
    return loop.run(client.request(std::move(request)));
}

struct Call {
    std::string method = "GET";
    std::string body{};
    milliseconds timeout{0};
};

ClientRequest request_of(const Call& call, const std::string& url) {
    return ClientRequest(call.method, url).set_body(call.body).set_timeout(call.timeout);
}

/// One call against a server that does what `script` says with each of its connections.
Result<Response> call_against(
    RawServer::Script script, const Call& what = {}, ClientOptions options = {}) {
    RawServer raw(std::move(script));
    Loop loop;
    options.traced = false;
    const Client client(loop.context(), std::move(options));
    return call(loop, client, request_of(what, raw.url()));
}

RawServer::Script answering(std::string text) {
    return [text = std::move(text)](RawServer& self) {
        auto socket = self.accept();
        socket.receive_request();
        socket.send(text);
    };
}

TEST(ClientFailure, IsRefusedByAPortWithoutAServer) {
    Loop loop;
    const Client client(loop.context(), {.traced = false});
    const auto result = call(
        loop, client,
        ClientRequest("GET", "http://127.0.0.1:" + std::to_string(unused_port()) + "/"));
    EXPECT_EQ(result.error(), boost::asio::error::connection_refused);
}

TEST(ClientFailure, IsAnUnknownHost) {
    Loop loop;
    const Client client(loop.context(), {.traced = false});
    const auto result = call(loop, client, ClientRequest("GET", "http://no-such-host.invalid/"));
    ASSERT_TRUE(result.has_error());
    EXPECT_NE(result.error(), Errc::url_malformed);
}

TEST(ClientFailure, IsABadRequestBeforeAnythingIsSent) {
    Loop loop;
    const Client client(loop.context(), {.traced = false});
    EXPECT_EQ(call(loop, client, ClientRequest("GET", "nonsense")).error(), Errc::url_malformed);
    EXPECT_EQ(
        call(loop, client, ClientRequest("GET", "https://example.com/")).error(),
        Errc::unsupported_scheme);
    EXPECT_EQ(
        call(loop, client, ClientRequest("GET /x", "http://127.0.0.1/")).error(),
        Errc::option_out_of_range);
    EXPECT_EQ(client.stats().attempts, 0U);
}

TEST(ClientFailure, IsAResetBeforeTheAnswer) {
    const auto result = call_against([](RawServer& self) {
        auto socket = self.accept();
        socket.receive_request();
        socket.reset();
    });
    EXPECT_EQ(result.error(), boost::asio::error::connection_reset);
}

TEST(ClientFailure, IsAnEndBeforeTheAnswer) {
    EXPECT_EQ(call_against(answering("")).error(), Errc::connection_closed);
}

TEST(ClientFailure, IsAnEndInTheMiddleOfTheAnswer) {
    for (const auto* text :
         {"H", "HTTP/1.1 200 OK\r\nContent-Le",
          "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12"}) {
        EXPECT_EQ(call_against(answering(text)).error(), Errc::connection_closed) << text;
    }
}

TEST(ClientFailure, IsGarbageInsteadOfAnAnswer) {
    for (const auto* text :
         {"nonsense\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTP/9.1 200 OK\r\n\r\n",
          "\x16\x03\x01\x02\x03\r\n\r\n", "HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
        EXPECT_EQ(call_against(answering(text)).error(), Errc::response_malformed) << text;
    }
}

TEST(ClientFailure, IsAnAnswerAboveTheLimits) {
    const std::string length = "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n";
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" +
                                std::string(101, 'x') + "\r\n0\r\n\r\n";
    const std::string to_end = "HTTP/1.1 200 OK\r\n\r\n" + std::string(101, 'x');
    for (const auto& text : {length, chunked, to_end}) {
        EXPECT_EQ(
            call_against(answering(text), {}, {.body_bytes_max = 100}).error(),
            Errc::response_too_large);
    }
    const std::string header = "HTTP/1.1 200 OK\r\nX: " + std::string(600, 'x') + "\r\n\r\n";
    EXPECT_EQ(
        call_against(answering(header), {}, {.header_bytes_max = 512}).error(),
        Errc::response_too_large);
}

TEST(ClientFailure, IsAServerThatSaysNothingInTime) {
    std::optional<RawSocket> held;
    const auto begin = std::chrono::steady_clock::now();
    const auto result = call_against(
        [&](RawServer& self) { held = self.accept(); }, {}, {.timeout = milliseconds(60)});
    EXPECT_EQ(result.error(), Errc::timed_out);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(60)) << "never early";
}

TEST(ClientFailure, IsAServerThatTrickles) {
    const auto result = call_against(
        [&](RawServer& self) {
            auto socket = self.accept();
            socket.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
            for (int i = 0; i < 100'000 && socket.send("x"); ++i) {
                std::this_thread::sleep_for(milliseconds(1));
            }
        },
        {}, {.timeout = milliseconds(60)});
    EXPECT_EQ(result.error(), Errc::timed_out);
}

TEST(ClientFailure, IsAServerThatDoesNotReadTheBodyInTime) {
    std::optional<RawSocket> held;
    const auto result = call_against(
        [&](RawServer& self) { held = self.accept(); },
        {.method = "POST", .body = std::string(50'000'000, 'x')}, {.timeout = milliseconds(60)});
    EXPECT_EQ(result.error(), Errc::timed_out);
}

TEST(ClientFailure, TakesTheTimeoutOfTheRequestBeforeTheClients) {
    std::optional<RawSocket> held;
    const auto result = call_against(
        [&](RawServer& self) { held = self.accept(); }, {.timeout = milliseconds(60)},
        {.timeout = std::chrono::seconds(600)});
    EXPECT_EQ(result.error(), Errc::timed_out);
}

// A listener whose queue is full lets a connection attempt hang.
TEST(ClientFailure, IsAConnectionThatIsNotMadeInTime) {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener, 0), 0);
    socklen_t size = sizeof address;
    ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
    const auto port = ntohs(address.sin_port);
    std::vector<int> fillers;
    for (int i = 0; i < 4; ++i) {
        const int filler = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)::connect(filler, reinterpret_cast<sockaddr*>(&address), sizeof address);
        fillers.push_back(filler);
    }

    Loop loop;
    const Client client(loop.context(), {.traced = false, .connect_timeout = milliseconds(60)});
    const auto result =
        call(loop, client, ClientRequest("GET", "http://127.0.0.1:" + std::to_string(port) + "/"));

    EXPECT_EQ(result.error(), Errc::timed_out);
    for (const int filler : fillers) { ::close(filler); }
    ::close(listener);
}

TEST(ClientFailure, IsCancelledWithTheCallersCoroutine) {
    std::optional<RawSocket> held;
    std::atomic<bool> accepted{false};
    RawServer raw([&](RawServer& self) {
        held = self.accept();
        accepted = true;
    });
    Loop loop(1); // Cancellation of a coroutine is for the thread that runs it.
    const Client client(loop.context(), {.traced = false});
    asio::cancellation_signal cancel;
    std::promise<boost::system::error_code> outcome;
    weft::co_spawn(
        loop.context(), client.get(raw.url()),
        asio::bind_cancellation_slot(
            cancel.slot(), [&](const std::exception_ptr& thrown, const Result<Response>& result) {
                outcome.set_value(
                    thrown != nullptr || result.has_value() ? boost::system::error_code()
                                                            : result.error());
            }));
    ASSERT_TRUE(eventually([&] { return accepted.load(); }));
    asio::post(loop.context(), [&] { cancel.emit(asio::cancellation_type::terminal); });
    EXPECT_EQ(Loop::get(outcome.get_future()), Errc::cancelled);
}

TEST(ClientAnswer, MayEndWithTheConnection) {
    const auto result = call_against(answering("HTTP/1.1 200 OK\r\n\r\nall of it"));
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->body(), "all of it");
}

TEST(ClientAnswer, MayComeInChunks) {
    const auto result = call_against(
        answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n4\r\nWiki\r\n5\r\npedia\r\n0\r\nX: dropped\r\n\r\n"));
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->body(), "Wikipedia");
    EXPECT_EQ(result->header("x"), "");
}

TEST(ClientAnswer, MayFollowInterimOnes) {
    const auto result = call_against(answering(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
        std::string(ok)));
    ASSERT_TRUE(result.has_value());
    EXPECT_EQ(result->status(), 200);
    EXPECT_EQ(result->header("link"), "");
}

TEST(ClientAnswer, MayNotFollowTooManyInterimOnes) {
    std::string text;
    for (int i = 0; i < 100; ++i) { text += "HTTP/1.1 100 Continue\r\n\r\n"; }
    EXPECT_EQ(call_against(answering(text + std::string(ok))).error(), Errc::response_malformed);
}

TEST(ClientAnswer, HasNoBodyForHeadAnd204) {
    const auto head =
        call_against(answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), {.method = "HEAD"});
    ASSERT_TRUE(head.has_value()) << head.error().message();
    EXPECT_EQ(head->body(), "");
    EXPECT_EQ(head->header("content-length"), "5");
    EXPECT_EQ(call_against(answering("HTTP/1.1 204 No Content\r\n\r\n"))->status(), 204);
}

TEST(ClientAnswer, IsReadFromAServerThatRefusesTheBody) {
    const auto result = call_against(
        [](RawServer& self) {
            auto socket = self.accept();
            socket.send(
                "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            socket.shut_down_writing();
            (void)socket.receive_all();
        },
        {.method = "POST", .body = std::string(5'000'000, 'x')});
    ASSERT_TRUE(result.has_value()) << result.error().message();
    EXPECT_EQ(result->status(), 413);
}

// --- Connections of the pool that turn out to be closed ---

/// Answers the first request, then does `then` with the connection, then serves one more connection properly.
class StalePool : public ::testing::Test {
protected:
    // With `silently`, the first connection is closed only once the second request has arrived: then no look at the
    // socket could have told the client.
    Result<Response> second_call(const std::string& method, bool silently, bool resets = false) {
        RawServer raw([&](RawServer& self) {
            {
                auto first = self.accept();
                first.receive_request();
                first.send(ok);
                if (silently) { first.receive_request(); }
                if (resets) {
                    first.reset();
                } else {
                    first.close();
                }
                closed = true;
            }
            if (!expect_retry) { return; }
            auto second = self.accept();
            second.receive_request();
            second.send(ok);
        });
        Loop loop;
        const Client client(loop.context(), {.traced = false});
        EXPECT_TRUE(call(loop, client, ClientRequest("GET", raw.url())).has_value());
        EXPECT_EQ(client.stats().connections_idle, 1U);
        if (!silently) {
            EXPECT_TRUE(eventually([&] { return closed.load(); }));
        }
        auto result = call(loop, client, ClientRequest(method, raw.url()).set_body("x"));
        stats = client.stats();
        return result;
    }

    std::atomic<bool> closed{false};
    bool expect_retry = true;
    ClientStats stats;
};

TEST_F(StalePool, IsSeenBeforeARequestIsSent) {
    const auto result = second_call("POST", false);
    ASSERT_TRUE(result.has_value()) << result.error().message();
    EXPECT_EQ(stats.attempts, 2U) << "a new connection from the start, even for a POST";
    EXPECT_EQ(stats.attempts_repeated, 0U);
}

TEST_F(StalePool, IsRepeatedOnceForASafeMethod) {
    for (const bool resets : {false, true}) {
        const auto result = second_call("PUT", true, resets);
        ASSERT_TRUE(result.has_value()) << result.error().message();
        EXPECT_EQ(stats.attempts, 3U);
        EXPECT_EQ(stats.attempts_repeated, 1U);
    }
}

TEST_F(StalePool, IsNotRepeatedForAMethodThatMayHaveBeenCarriedOut) {
    expect_retry = false;
    const auto result = second_call("POST", true);
    EXPECT_EQ(result.error(), Errc::connection_closed);
    EXPECT_EQ(stats.attempts_repeated, 0U);
}

TEST(StaleConnection, IsNotRepeatedOnceAnAnswerHasBegun) {
    RawServer raw([](RawServer& self) {
        auto first = self.accept();
        first.receive_request();
        first.send(ok);
        first.receive_request();
        first.send("HTTP/1.1 2");
    });
    Loop loop;
    const Client client(loop.context(), {.traced = false});
    ASSERT_TRUE(call(loop, client, ClientRequest("GET", raw.url())).has_value());
    EXPECT_EQ(call(loop, client, ClientRequest("GET", raw.url())).error(), Errc::connection_closed);
    EXPECT_EQ(client.stats().attempts_repeated, 0U);
}

TEST(StaleConnection, IsNotRepeatedWhenItIsNew) {
    RawServer raw([](RawServer& self) {
        auto first = self.accept();
        first.receive_request();
    });
    Loop loop;
    const Client client(loop.context(), {.traced = false});
    EXPECT_EQ(call(loop, client, ClientRequest("GET", raw.url())).error(), Errc::connection_closed);
    EXPECT_EQ(client.stats().attempts, 1U);
}

TEST(StaleConnection, IsNotUsedAfterBytesThatNobodyAskedFor) {
    RawServer raw([](RawServer& self) {
        auto first = self.accept();
        first.receive_request();
        first.send(std::string(ok) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        auto second = self.accept();
        second.receive_request();
        second.send(ok);
    });
    Loop loop;
    const Client client(loop.context(), {.traced = false});
    ASSERT_EQ(call(loop, client, ClientRequest("GET", raw.url()))->body(), "ok");
    EXPECT_EQ(call(loop, client, ClientRequest("GET", raw.url()))->body(), "ok");
    EXPECT_EQ(client.stats().connections_opened, 2U);
}

TEST(StaleConnection, IsNotKeptAfterConnectionClose) {
    const std::string closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    RawServer raw([&](RawServer& self) {
        auto first = self.accept();
        first.receive_request();
        first.send(closing);
    });
    Loop loop;
    const Client client(loop.context(), {.traced = false});
    ASSERT_TRUE(call(loop, client, ClientRequest("GET", raw.url())).has_value());
    EXPECT_EQ(client.stats().connections_idle, 0U);
}

} // namespace
} // namespace weft::http::testing
