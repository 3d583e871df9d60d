#include "coroutine.hpp"
#include "http_connection.hpp"

#include <weft/testing/loopback_server.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace weft::detail {
namespace {

using asio::ip::tcp;
using testing::answer;
using testing::answer_chunked;
using testing::eventually;
using testing::LoopbackServer;
using testing::raw;
using testing::run;
using namespace std::chrono_literals;

constexpr auto generous = 10s;
const std::string large_body(32u << 20, 'x'); // More than the kernel's socket buffers take.

HttpConnection::TimePoint after(std::chrono::milliseconds delay) {
    return std::chrono::steady_clock::now() + delay;
}

class HttpConnectionTest : public ::testing::Test {
protected:
    static std::shared_ptr<const HttpPeer> peer_at(
        std::uint16_t port, const std::string& host = "127.0.0.1") {
        auto peer = std::make_shared<HttpPeer>();
        peer->host = host;
        peer->port = port;
        peer->host_header = "collector.test:4318";
        peer->target = "/v1/traces?x=y";
        peer->headers = {{"User-Agent", "first"}, {"X-Key", "secret"}, {"user-agent", "second"}};
        peer->response_bytes_max = 1000;
        return peer;
    }

    // One POST from start to end.
    Result<HttpResponse> post(
        HttpBody body = {"body", ""}, std::chrono::milliseconds timeout = generous) {
        std::optional<Result<HttpResponse>> result;
        run(io, [&]() -> asio::awaitable<void> {
            result = co_await connection.post(body, after(timeout));
        });
        return *result;
    }

    // The error of a POST, or a success code.
    boost::system::error_code error_of_post(
        HttpBody body = {"body", ""}, std::chrono::milliseconds timeout = generous) {
        const auto result = post(body, timeout);
        return result ? boost::system::error_code() : result.error();
    }

    asio::io_context io{1};
    LoopbackServer server{io.get_executor()};
    HttpConnection connection{io.get_executor(), peer_at(server.port())};
};

TEST_F(HttpConnectionTest, SendsTheBodyUnchangedWithItsLengthAndHeaders) {
    const std::string body("a\0b\r\n", 5);

    const auto response = post({body, "zstd"});

    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    ASSERT_EQ(server.request_count(), 1u);
    const auto request = server.requests().front();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.target, "/v1/traces?x=y");
    EXPECT_EQ(request.body, body);
    EXPECT_EQ(request.header("host"), "collector.test:4318");
    EXPECT_EQ(request.header("content-length"), "5");
    EXPECT_EQ(request.header("content-encoding"), "zstd");
    EXPECT_EQ(request.header("x-key"), "secret");
    EXPECT_EQ(request.header("user-agent"), "second");
}

TEST_F(HttpConnectionTest, SendsNoContentEncodingForAPlainBody) {
    ASSERT_TRUE(post());
    EXPECT_EQ(server.requests().front().headers.count("content-encoding"), 0u);
}

TEST_F(HttpConnectionTest, SendsAnEmptyBodyWithLengthZero) {
    ASSERT_TRUE(post({"", ""}));
    EXPECT_EQ(server.requests().front().header("content-length"), "0");
}

TEST_F(HttpConnectionTest, SendsABodyLargerThanTheSocketBuffers) {
    ASSERT_TRUE(post({large_body, ""}));
    EXPECT_TRUE(server.requests().front().body == large_body);
}

TEST_F(HttpConnectionTest, ReadsStatusTypeRetryAfterAndBody) {
    server.script({answer(503, {{"content-type", "text/plain"}, {"retry-AFTER", "7"}}, "busy")});
    const auto response = post();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 503);
    EXPECT_EQ(response->content_type, "text/plain");
    EXPECT_EQ(response->retry_after, "7");
    EXPECT_EQ(response->body, "busy");
}

TEST_F(HttpConnectionTest, ReadsChunkedAnswers) {
    server.script({answer_chunked(200, {}, std::string(999, 'c'), 10)});
    EXPECT_EQ(post()->body, std::string(999, 'c'));
    EXPECT_TRUE(connection.is_open());
}

TEST_F(HttpConnectionTest, ReadsAnAnswerThatEndsWithTheConnection) {
    server.script({raw("HTTP/1.1 200 OK\r\n\r\nto the end")});
    EXPECT_EQ(post()->body, "to the end");
    EXPECT_FALSE(connection.is_open());
}

TEST_F(HttpConnectionTest, ReadsAnAnswerThatComesByteByByte) {
    server.script({answer(200, {}, "slow").slowly(1ms)});
    EXPECT_EQ(post()->body, "slow");
}

TEST_F(HttpConnectionTest, SkipsInterimAnswers) {
    auto reply = answer(202, {}, "done");
    reply.bytes.insert(
        0, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    server.script({reply});
    const auto response = post();
    EXPECT_EQ(response->status, 202);
    EXPECT_EQ(response->body, "done");
}

TEST_F(HttpConnectionTest, GivesUpOnEndlessInterimAnswers) {
    std::string bytes;
    for (int i = 0; i < 100; ++i) { bytes += "HTTP/1.1 100 Continue\r\n\r\n"; }
    server.script({raw(bytes)});
    EXPECT_EQ(error_of_post(), Errc::response_malformed);
}

TEST_F(HttpConnectionTest, KeepsTheConnectionForTheNextRequest) {
    for (int i = 0; i < 5; ++i) { ASSERT_TRUE(post()); }
    EXPECT_EQ(server.connections(), 1u);
    EXPECT_EQ(server.request_count(), 5u);
}

TEST_F(HttpConnectionTest, HonoursConnectionClose) {
    server.script({answer(200, {{"Connection", "close"}})});
    ASSERT_TRUE(post());
    EXPECT_FALSE(connection.is_open());
    ASSERT_TRUE(post());
    EXPECT_EQ(server.connections(), 2u);
}

TEST_F(HttpConnectionTest, DoesNotReuseAConnectionWithBytesNobodyAskedFor) {
    auto reply = answer(200);
    reply.bytes += "HTTP/1.1 500 Left over\r\nContent-Length: 0\r\n\r\n";
    server.script({reply});
    ASSERT_TRUE(post());
    EXPECT_EQ(post()->status, 200) << "the left-over answer was taken for the next one's";
    EXPECT_EQ(server.connections(), 2u);
}

TEST_F(HttpConnectionTest, ReconnectsWhenTheIdleConnectionWasClosed) {
    server.script({answer(200).then_close()});
    ASSERT_TRUE(post());
    ASSERT_TRUE(post());
    EXPECT_EQ(server.connections(), 2u);
    EXPECT_EQ(server.request_count(), 2u);
}

TEST_F(HttpConnectionTest, RetriesAtOnceWhenAReusedConnectionDiesBeforeAnAnswer) {
    for (const auto& death : {testing::hang_up(), testing::reset()}) {
        server.script({answer(200), death, answer(201)});
        ASSERT_TRUE(post());
        EXPECT_EQ(post()->status, 201);
        connection.close();
    }
    EXPECT_EQ(server.request_count(), 6u);
    EXPECT_EQ(server.connections(), 4u);
}

TEST_F(HttpConnectionTest, RetriesNoMoreThanOnce) {
    server.script({answer(200), testing::hang_up(), testing::hang_up(), answer(201)});
    ASSERT_TRUE(post());
    EXPECT_EQ(error_of_post(), Errc::connection_closed);
    EXPECT_EQ(server.request_count(), 3u);
}

TEST_F(HttpConnectionTest, DoesNotRetryOnAFreshConnection) {
    server.script({testing::hang_up()});
    EXPECT_EQ(error_of_post(), Errc::connection_closed);
    EXPECT_EQ(server.request_count(), 1u);
}

TEST_F(HttpConnectionTest, DoesNotRetryOnceAByteOfTheAnswerCame) {
    server.script({answer(200), answer(200).cut_to(1).then_close()});
    ASSERT_TRUE(post());
    EXPECT_EQ(error_of_post(), Errc::connection_closed);
    EXPECT_EQ(server.request_count(), 2u);
}

TEST_F(HttpConnectionTest, DoesNotRetryAfterATimeout) {
    server.script({answer(200), testing::silence()});
    ASSERT_TRUE(post());
    EXPECT_EQ(error_of_post({"body", ""}, 50ms), Errc::timed_out);
    EXPECT_EQ(server.request_count(), 2u);
}

TEST_F(HttpConnectionTest, ReportsAnAnswerCutShort) {
    const auto whole = answer(200, {{"X", "y"}}, "0123456789");
    for (const std::size_t size : {std::size_t{1}, std::size_t{20}, whole.bytes.size() - 1}) {
        server.script({testing::Reply(whole).cut_to(size).then_close()});
        EXPECT_EQ(error_of_post(), Errc::connection_closed) << size;
        EXPECT_FALSE(connection.is_open());
    }
}

TEST_F(HttpConnectionTest, ReportsAReset) {
    server.script({testing::reset()});
    EXPECT_EQ(error_of_post(), asio::error::connection_reset);
    server.script({answer(200, {}, "0123456789").cut_to(40).then_reset()});
    EXPECT_EQ(error_of_post(), asio::error::connection_reset);
}

TEST_F(HttpConnectionTest, ReportsAPeerThatHangsUpUnread) {
    server.script({testing::close_unread(), testing::reset_unread()});
    EXPECT_TRUE(error_of_post({large_body, ""}));
    EXPECT_TRUE(error_of_post({large_body, ""}));
    EXPECT_FALSE(connection.is_open());
}

TEST_F(HttpConnectionTest, ReportsARefusedConnection) {
    LoopbackServer refusing(io.get_executor(), LoopbackServer::Start::refusing);
    HttpConnection refused(io.get_executor(), peer_at(refusing.port()));
    run(io, [&]() -> asio::awaitable<void> {
        const auto result = co_await refused.post({"body", ""}, after(generous));
        EXPECT_TRUE(!result && result.error() == asio::error::connection_refused);
    });
}

TEST_F(HttpConnectionTest, ReadsAnAnswerGivenBeforeTheBodyWasRead) {
    server.script({answer(413, {}, "too big").without_reading_the_body().then_close()});
    const auto response = post({large_body, ""});
    ASSERT_TRUE(response) << response.error().message();
    EXPECT_EQ(response->status, 413);
    EXPECT_EQ(response->body, "too big");
    EXPECT_FALSE(connection.is_open());
}

TEST_F(HttpConnectionTest, RefusesABodyOverTheCap) {
    server.script({answer(200, {}, std::string(1000, 'x'))});
    EXPECT_EQ(post()->body.size(), 1000u);
    for (const auto& reply :
         {answer(200, {}, std::string(1001, 'x')),
          answer_chunked(200, {}, std::string(1001, 'x'), 100),
          raw("HTTP/1.1 200 OK\r\n\r\n" + std::string(1001, 'x')),
          raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")}) {
        server.script({reply});
        EXPECT_EQ(error_of_post(), Errc::response_too_large) << reply.bytes.substr(0, 60);
        EXPECT_FALSE(connection.is_open());
    }
}

TEST_F(HttpConnectionTest, RefusesAHeaderOverSixteenKilobytes) {
    server.script(
        {answer(200, {{"X", std::string(15 * 1024, 'x')}}),
         answer(200, {{"X", std::string(17 * 1024, 'x')}}),
         raw("HTTP/1.1 200 OK\r\nX: " + std::string(1 << 20, 'x')),
         raw(std::string(1 << 20, 'H'))});
    EXPECT_TRUE(post());
    EXPECT_EQ(error_of_post(), Errc::response_too_large);
    EXPECT_EQ(error_of_post(), Errc::response_too_large);
    EXPECT_TRUE(
        error_of_post()); // No header at all: too large or malformed, as the parser sees it first.
}

TEST_F(HttpConnectionTest, RefusesAnEndlessChunkHeader) {
    server.script({raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(1 << 20, 'x'))});
    EXPECT_TRUE(error_of_post());
}

TEST_F(HttpConnectionTest, RefusesWhatIsNotHttp) {
    for (const std::string& bytes :
         {std::string("\x00\x00\x12\x04\x00\x00\x00\x00\x00", 9), std::string("hello\r\n\r\n"),
          std::string("HTTP/2 200 OK\r\n\r\n"), std::string("HTTP/1.1 abc\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
        server.script({raw(bytes)});
        EXPECT_EQ(error_of_post(), Errc::response_malformed) << bytes;
        EXPECT_FALSE(connection.is_open());
    }
}

TEST_F(HttpConnectionTest, WorksAgainAfterAFailure) {
    server.script({raw("rubbish\r\n\r\n")});
    EXPECT_TRUE(error_of_post());
    EXPECT_TRUE(post());
}

TEST_F(HttpConnectionTest, TimesOutOnASilentPeer) {
    server.script({testing::silence()});
    EXPECT_EQ(error_of_post({"body", ""}, 50ms), Errc::timed_out);
    EXPECT_FALSE(connection.is_open());
}

TEST_F(HttpConnectionTest, TimesOutOnAnAnswerThatComesTooSlowly) {
    server.script({answer(200, {}, std::string(500, 'x')).slowly(5ms)});
    EXPECT_EQ(error_of_post({"body", ""}, 50ms), Errc::timed_out);
}

TEST_F(HttpConnectionTest, TimesOutOnAPeerThatDoesNotRead) {
    server.script({testing::never_read()});
    EXPECT_EQ(error_of_post({large_body, ""}, 100ms), Errc::timed_out);
}

TEST_F(HttpConnectionTest, TimesOutAtOnceWhenTheDeadlineHasPassed) {
    EXPECT_EQ(error_of_post({"body", ""}, -1s), Errc::timed_out);
}

// A port whose queue of connections is full: the kernel drops what else arrives, so connecting
// takes for ever.
class FullPort {
public:
    explicit FullPort(asio::io_context& io) : acceptor_(io), filler_(io) {
        acceptor_.open(tcp::v4());
        acceptor_.bind({asio::ip::address_v4::loopback(), 0});
        acceptor_.listen(0);
        filler_.connect(acceptor_.local_endpoint());
    }
    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

private:
    tcp::acceptor acceptor_;
    tcp::socket filler_;
};

TEST_F(HttpConnectionTest, TimesOutWhileConnecting) {
    const FullPort full(io);
    HttpConnection stuck(io.get_executor(), peer_at(full.port()));
    run(io, [&]() -> asio::awaitable<void> {
        const auto result = co_await stuck.post({"body", ""}, after(50ms));
        EXPECT_TRUE(!result && result.error() == Errc::timed_out);
    });
}

TEST_F(HttpConnectionTest, TriesEveryAddressOfAName) {
    // The server listens on 127.0.0.1 only; localhost may be ::1 first.
    HttpConnection named(io.get_executor(), peer_at(server.port(), "localhost"));
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await named.post({"body", ""}, after(generous)));
    });
}

TEST_F(HttpConnectionTest, ReportsAHostThatDoesNotExist) {
    HttpConnection lost(io.get_executor(), peer_at(server.port(), "no-such-host.invalid"));
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_FALSE(co_await lost.post({"body", ""}, after(generous)));
    });
}

// Each state in which a request can be ended from outside, with a way to tell that it has been
// reached.
struct State {
    const char* name;
    testing::Reply reply;
    const std::string* body;
    bool full_port = false;
    bool after_request = false; // Reached when the server has read a whole request, otherwise when
                                // it has a connection.
};

std::vector<State> states() {
    static const std::string small = "body";
    return {
        {"connecting", answer(200), &small, true},
        {"writing", testing::never_read(), &large_body},
        {"reading", testing::silence(), &small, false, true},
        {"reading the body", answer(200, {}, "0123456789").cut_to(42).then_silence(), &small, false,
         true}};
}

// Ends a request by `end` in each state and expects it to say that it was cancelled.
template <class End>
void expect_cancelled_in_each_state(End end) {
    for (const auto& state : states()) {
        asio::io_context io(1);
        const FullPort full(io);
        LoopbackServer server(io.get_executor());
        server.script({state.reply});
        auto peer = std::make_shared<HttpPeer>();
        peer->host = "127.0.0.1";
        peer->port = state.full_port ? full.port() : server.port();
        auto connection = std::make_unique<HttpConnection>(io.get_executor(), peer);
        std::optional<Result<HttpResponse>> result;
        asio::cancellation_signal signal;
        asio::co_spawn(
            io, connection->post({*state.body, ""}, after(generous)),
            asio::bind_cancellation_slot(
                signal.slot(),
                [&](std::exception_ptr, Result<HttpResponse> got) { result = got; }));
        run(io, [&]() -> asio::awaitable<void> {
            const bool reached = co_await eventually([&] {
                return state.full_port ||
                       (state.after_request ? server.request_count() : server.connections()) > 0;
            });
            EXPECT_TRUE(reached) << state.name;
            EXPECT_FALSE(result) << state.name;
            end(connection, signal);
            EXPECT_TRUE(co_await eventually([&] { return result.has_value(); })) << state.name;
        });
        ASSERT_TRUE(result) << state.name;
        EXPECT_TRUE(!*result && result->error() == Errc::cancelled) << state.name;
    }
}

TEST(HttpConnection, EndsByClosingInEachState) {
    expect_cancelled_in_each_state([](auto& connection, auto&) { connection->close(); });
}

TEST(HttpConnection, EndsByCancellationInEachState) {
    expect_cancelled_in_each_state(
        [](auto&, auto& signal) { signal.emit(asio::cancellation_type::terminal); });
}

TEST(HttpConnection, EndsWhenItIsDestroyedInEachState) {
    expect_cancelled_in_each_state([](auto& connection, auto&) { connection.reset(); });
}

TEST(HttpConnection, EndsWhenItsDeadlineIsBroughtForwardInEachState) {
    for (const auto& state : states()) {
        asio::io_context io(1);
        const FullPort full(io);
        LoopbackServer server(io.get_executor());
        server.script({state.reply});
        auto peer = std::make_shared<HttpPeer>();
        peer->host = "127.0.0.1";
        peer->port = state.full_port ? full.port() : server.port();
        HttpConnection connection(io.get_executor(), peer);
        std::optional<Result<HttpResponse>> result;
        asio::co_spawn(
            io, connection.post({*state.body, ""}, after(generous)),
            [&](std::exception_ptr, Result<HttpResponse> got) { result = got; });
        run(io, [&]() -> asio::awaitable<void> {
            co_await eventually([&] { return state.full_port || server.connections() > 0; });
            connection.limit_deadline(after(1h)); // Later than its own: changes nothing.
            connection.limit_deadline(after(10ms));
            EXPECT_TRUE(co_await eventually([&] { return result.has_value(); })) << state.name;
        });
        ASSERT_TRUE(result) << state.name;
        EXPECT_TRUE(!*result && result->error() == Errc::timed_out) << state.name;
    }
}

// The context goes away with requests suspended in each state: nothing leaks, nothing is touched
// after its end (ASan).
TEST(HttpConnection, SurvivesTheEndOfItsContextInEachState) {
    for (const auto& state : states()) {
        auto io = std::make_unique<asio::io_context>(1);
        auto full = std::make_unique<FullPort>(*io);
        auto server = std::make_unique<LoopbackServer>(io->get_executor());
        server->script({state.reply});
        auto peer = std::make_shared<HttpPeer>();
        peer->host = "127.0.0.1";
        peer->port = state.full_port ? full->port() : server->port();
        auto connection = std::make_unique<HttpConnection>(io->get_executor(), peer);
        bool ended = false;
        asio::co_spawn(
            *io, connection->post({*state.body, ""}, after(generous)),
            [&](std::exception_ptr, const Result<HttpResponse>&) { ended = true; });
        for (int i = 0; i < 20; ++i) { io->poll(); }
        connection.reset();
        server.reset();
        full.reset();
        io.reset();
        EXPECT_FALSE(ended) << state.name;
    }
}

} // namespace
} // namespace weft::detail
