#include "certificates.hpp"
#include "coroutine.hpp"
#include "decompress.hpp"
#include "prometheus_points.hpp"

#include <weft/exporters/prometheus_server.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace weft {
namespace {

using namespace testing;
using asio::ip::tcp;
using boost::system::error_code;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view get = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view get_and_close =
    "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

// A blocking client that never waits for more than a few seconds.
class Client {
public:
    explicit Client(std::uint16_t port) : socket_(io_) {
        socket_.connect({asio::ip::address_v4::loopback(), port});
        limit(10s);
    }
    // How long it waits for bytes.
    void limit(std::chrono::milliseconds time) {
        const timeval value{time.count() / 1000, time.count() % 1000 * 1000};
        ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
    }
    void send(std::string_view text) {
        error_code ignored; // The other side may have had enough.
        asio::write(socket_, asio::buffer(text.data(), text.size()), ignored);
    }
    // Everything until the other side closes.
    std::string read_all() {
        std::string text;
        while (read_some(text)) {}
        return text;
    }
    // One answer.
    std::string read_answer() {
        while (true) {
            const auto end = pending_.find("\r\n\r\n");
            if (end != std::string::npos) {
                const auto at = pending_.find("Content-Length: ");
                const auto size = end + 4 + std::stoul(pending_.substr(at + 16));
                if (pending_.size() >= size) {
                    auto answer = pending_.substr(0, size);
                    pending_.erase(0, size);
                    return answer;
                }
            }
            if (!read_some(pending_)) { return std::exchange(pending_, {}); }
        }
    }
    tcp::socket& socket() { return socket_; }

private:
    bool read_some(std::string& text) {
        char bytes[4096];
        const auto count = ::recv(socket_.native_handle(), bytes, sizeof bytes, 0);
        if (count <= 0) { return false; }
        text.append(bytes, static_cast<std::size_t>(count));
        return true;
    }

    asio::io_context io_;
    tcp::socket socket_;
    std::string pending_;
};

std::string body_of(const std::string& answer) {
    return answer.substr(answer.find("\r\n\r\n") + 4);
}

class PrometheusServerTest : public ::testing::Test {
protected:
    ~PrometheusServerTest() override {
        server.reset();
        guard.reset();
        if (thread.joinable()) { thread.join(); }
    }

    static PrometheusServerOptions any_port() {
        PrometheusServerOptions options;
        options.port = 0;
        return options;
    }

    void start(PrometheusServerOptions options = any_port()) {
        server.emplace(
            io.get_executor(), [this](MetricVisitor& visitor) { return collect(visitor); }, "",
            std::move(options), log);
        if (!thread.joinable()) {
            thread = std::thread([this] { io.run(); });
        }
    }

    asio::awaitable<void> collect(MetricVisitor& visitor) {
        ++collecting;
        asio::steady_timer timer(co_await asio::this_coro::executor);
        while (hold) {
            timer.expires_after(1ms);
            co_await timer.async_wait(asio::use_awaitable);
        }
        put_numbers<std::int64_t>(visitor, gauge("level"), {{&series_, 5}});
    }

    std::string ask(std::string_view request) {
        Client client(server->port());
        client.send(request);
        return client.read_all();
    }

    void stop(std::chrono::milliseconds grace) {
        asio::co_spawn(io, server->stop(std::chrono::steady_clock::now() + grace), asio::use_future)
            .get();
    }

    static DiagnosticsOptions options_of(std::vector<std::string>& messages) {
        DiagnosticsOptions options;
        options.handler = [&messages](const Diagnostic& diagnostic) {
            messages.emplace_back(diagnostic.message);
        };
        return options;
    }

    std::vector<std::string> messages;
    Diagnostics log{options_of(messages)};
    MetricSeries series_ = series({{"k", "v"}});
    std::atomic<bool> hold{false};
    std::atomic<int> collecting{0};
    asio::io_context io;
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard{
        io.get_executor()};
    std::thread thread;
    std::optional<PrometheusServer> server;
};

TEST_F(PrometheusServerTest, ServesScrapesOnLoopback) {
    start();
    EXPECT_EQ(server->address(), "127.0.0.1");
    EXPECT_NE(server->port(), 0);
    const auto answer = ask(get_and_close);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    EXPECT_THAT(
        answer, HasSubstr("level{otel_scope_name=\"lib\",otel_scope_version=\"1.2\",k=\"v\"} 5\n"));
}

TEST_F(PrometheusServerTest, KeepsAConnectionForTheNextScrape) {
    start();
    Client client(server->port());
    for (int i = 0; i < 3; ++i) {
        client.send(get);
        EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 200 OK\r\n"));
    }
    client.send(std::string(get) + std::string(get_and_close)); // Both at once.
    EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(client.read_all() + client.read_answer(), HasSubstr("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(server->stats().scrapes, 5u);
}

TEST_F(PrometheusServerTest, SendsGzipThatIsTheIdentityCompressed) {
    start();
    const auto plain = body_of(ask(get_and_close));
    const auto packed = ask(
        "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n");
    EXPECT_THAT(packed, HasSubstr("Content-Encoding: gzip\r\n"));
    EXPECT_EQ(decode_body("gzip", body_of(packed), 1u << 20), plain);
}

TEST_F(PrometheusServerTest, AnswersAHeadByTheHeadAlone) {
    start();
    const auto answer = ask("HEAD /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(body_of(answer), "");
}

TEST_F(PrometheusServerTest, AnswersOldClients) {
    start();
    EXPECT_THAT(ask("GET /metrics HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.0 200 OK\r\n"));
}

TEST_F(PrometheusServerTest, RefusesGarbage) {
    start();
    for (const char* garbage :
         {"\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03 \r\n\r\n", "GET\r\n\r\n",
          "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\r\nx y z\r\n\r\n",
          "GET / HTTP/1.1\r\nno colon\r\n\r\n"}) {
        EXPECT_THAT(ask(garbage), StartsWith("HTTP/1.1 400 ")) << garbage;
    }
    EXPECT_THAT(ask(get_and_close), StartsWith("HTTP/1.1 200 "));
}

TEST_F(PrometheusServerTest, RefusesHeadersThatAreTooLong) {
    auto options = any_port();
    options.header_bytes_max = 1024;
    start(options);
    EXPECT_THAT(
        ask("GET /metrics HTTP/1.1\r\nX: " + std::string(1100, 'x') + "\r\n\r\n"),
        StartsWith("HTTP/1.1 431 "));
    EXPECT_THAT(
        ask("GET /metrics HTTP/1.1\r\nX: " + std::string(1u << 20, 'x')),
        StartsWith("HTTP/1.1 431 "));
}

TEST_F(PrometheusServerTest, RefusesBodies) {
    start();
    EXPECT_THAT(
        ask("GET /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(
        ask("POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        StartsWith("HTTP/1.1 413 "));
}

TEST_F(PrometheusServerTest, ClosesOnWhoeverSendsHeadersTooSlowly) {
    auto options = any_port();
    options.header_timeout = 100ms;
    start(options);
    Client client(server->port());
    const auto begin = std::chrono::steady_clock::now();
    std::thread drip([&] { // A byte at a time, for longer than the limit.
        for (int i = 0; i < 40; ++i) {
            const char byte = "GET /metrics HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyyyy"[i];
            ::send(client.socket().native_handle(), &byte, 1, MSG_NOSIGNAL);
            std::this_thread::sleep_for(20ms);
        }
    });
    EXPECT_EQ(client.read_all(), "");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 700ms) << "each byte gave it new time";
    drip.join();
}

TEST_F(PrometheusServerTest, ClosesIdleConnections) {
    auto options = any_port();
    options.idle_timeout = 50ms;
    start(options);
    Client silent(server->port());
    EXPECT_EQ(silent.read_all(), "");
    Client once(server->port());
    once.send(get);
    EXPECT_THAT(once.read_all(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(PrometheusServerTest, GivesTheLongestIdleConnectionsPlaceToANewOne) {
    auto options = any_port();
    options.connections_max = 2;
    start(options);
    Client first(server->port());
    Client second(server->port());
    for (auto* client : {&first, &second}) {
        client->send(get);
        EXPECT_THAT(client->read_answer(), StartsWith("HTTP/1.1 200 OK\r\n"));
    }
    first.send(get); // Now the second one is idle for longest.
    EXPECT_THAT(first.read_answer(), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(ask(get_and_close), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(second.read_all(), "");
    first.send(get);
    EXPECT_THAT(first.read_answer(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(PrometheusServerTest, TurnsAwayConnectionsWhenAllAreBusy) {
    hold = true;
    auto options = any_port();
    options.connections_max = 2;
    start(options);
    Client first(server->port());
    first.send(get_and_close);
    while (collecting == 0) { std::this_thread::yield(); }
    // Until its request has been read, a connection counts as idle and loses its place; soon one does not.
    std::vector<std::unique_ptr<Client>> others;
    std::string refused;
    while (refused.empty() && others.size() < 50) {
        others.push_back(std::make_unique<Client>(server->port()));
        others.back()->limit(100ms);
        others.back()->send(get_and_close);
        refused = others.back()->read_all();
    }
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
    hold = false;
    EXPECT_THAT(first.read_all(), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(PrometheusServerTest, AsksForCredentials) {
    auto options = any_port();
    options.handler.auth.user = "a";
    options.handler.auth.password = "b";
    start(options);
    const auto answer = ask(get_and_close);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 401 Unauthorized\r\n"));
    EXPECT_THAT(answer, HasSubstr("WWW-Authenticate: Basic realm=\"metrics\""));
    EXPECT_THAT(
        ask("GET /metrics HTTP/1.1\r\nConnection: close\r\nAuthorization: Basic YTpi\r\n\r\n"),
        StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(PrometheusServerTest, ListensWhereOthersReachItOnlyWithAuthenticationOrOnDemand) {
    auto options = any_port();
    options.host = "0.0.0.0";
    try {
        start(options);
        FAIL() << "it listens for everybody";
    } catch (const std::invalid_argument& error) {
        EXPECT_THAT(error.what(), HasSubstr("host is 0.0.0.0, which other machines can reach"));
        EXPECT_THAT(error.what(), HasSubstr("allow_unauthenticated"));
    }
    options.allow_unauthenticated = true;
    start(options);
    EXPECT_TRUE(messages.empty());
    options.allow_unauthenticated = false;
    options.handler.auth.bearer_tokens = {"t"};
    start(options);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_THAT(messages[0], HasSubstr("clear text"));
}

TEST_F(PrometheusServerTest, NamesThePortThatIsTaken) {
    start();
    auto options = any_port();
    options.port = server->port();
    try {
        const PrometheusServer other(
            io.get_executor(), [](MetricVisitor&) -> asio::awaitable<void> { co_return; }, "",
            options, log);
        FAIL() << "two servers on one port";
    } catch (const boost::system::system_error& error) {
        EXPECT_THAT(
            error.what(), HasSubstr("cannot listen on 127.0.0.1:" + std::to_string(options.port)));
    }
}

TEST_F(PrometheusServerTest, NamesAHostThatIsUnknown) {
    auto options = any_port();
    options.host = "no such host";
    EXPECT_THROW(start(options), boost::system::system_error);
    options.host = "";
    EXPECT_THROW(start(options), std::invalid_argument);
}

TEST_F(PrometheusServerTest, LetsAnAnswerUnderWayBeFinishedWhenItStops) {
    hold = true;
    start();
    Client idle(server->port());
    Client client(server->port());
    client.send(get);
    while (collecting == 0) { std::this_thread::yield(); }
    auto stopped =
        asio::co_spawn(io, server->stop(std::chrono::steady_clock::now() + 10s), asio::use_future);
    EXPECT_EQ(idle.read_all(), "") << "idle connections are closed at once";
    hold = false;
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 200 OK\r\n"));
    stopped.get();
    error_code error;
    tcp::socket late(io);
    late.connect({asio::ip::address_v4::loopback(), server->port()}, error);
    EXPECT_EQ(error, asio::error::connection_refused);
}

TEST_F(PrometheusServerTest, ClosesWhatIsUnderWayAtTheDeadline) {
    hold = true;
    start();
    Client client(server->port());
    client.send(get);
    while (collecting == 0) { std::this_thread::yield(); }
    const auto begin = std::chrono::steady_clock::now();
    stop(50ms);
    EXPECT_EQ(client.read_all(), "");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    hold = false;
}

TEST_F(PrometheusServerTest, ClosesItsConnectionsWhenItIsDestroyed) {
    start();
    Client client(server->port());
    client.send(get);
    EXPECT_THAT(client.read_answer(), StartsWith("HTTP/1.1 200 OK\r\n"));
    server.reset();
    EXPECT_EQ(client.read_all(), "");
}

TEST(PrometheusServerOptions, NameWhatIsWrong) {
    const auto problem = [](auto change) {
        PrometheusServerOptions options;
        change(options);
        return problem_in(options);
    };
    EXPECT_EQ(problem([](auto&) {}), "");
    EXPECT_THAT(
        problem([](auto& o) { o.tls.certificate_file = "c"; }), HasSubstr("set both, or none"));
    EXPECT_THAT(problem([](auto& o) { o.tls.client_ca_file = "c"; }), HasSubstr("need TLS"));
    EXPECT_THAT(
        problem([](auto& o) { o.handler.auth.client_subjects = {"CN=a"}; }),
        HasSubstr("tls.client_ca_file"));
    EXPECT_THAT(
        problem([](auto& o) { o.connections_max = 0; }),
        HasSubstr("connections_max is 0: allowed is 1 to 1024"));
    EXPECT_THAT(
        problem([](auto& o) { o.header_timeout = 0ms; }), HasSubstr("header_timeout is 0 ms"));
    EXPECT_THAT(
        problem([](auto& o) { o.handler.scrapes_max = 99; }), HasSubstr("scrapes_max is 99"));
}

class PrometheusTlsTest : public PrometheusServerTest {
protected:
    PrometheusServerOptions with_tls(bool client_certificates) const {
        auto options = any_port();
        options.tls.certificate_file = own.certificate_file();
        options.tls.key_file = own.key_file();
        if (client_certificates) { options.tls.client_ca_file = authority.certificate_file(); }
        return options;
    }

    // What the server answers, or "" and why not.
    std::string ask_tls(const Certificate* shown, int version_max = TLS1_3_VERSION) {
        asio::io_context client_io;
        asio::ssl::context context(asio::ssl::context::tls_client);
        context.load_verify_file(authority.certificate_file());
        context.set_verify_mode(asio::ssl::verify_peer);
        SSL_CTX_set_max_proto_version(context.native_handle(), version_max);
        SSL_CTX_set_security_level(context.native_handle(), 0);
        if (shown != nullptr) {
            context.use_certificate_chain_file(shown->certificate_file());
            context.use_private_key_file(shown->key_file(), asio::ssl::context::pem);
        }
        asio::ssl::stream<tcp::socket> stream(client_io, context);
        stream.next_layer().connect({asio::ip::address_v4::loopback(), server->port()});
        error_code error;
        stream.handshake(asio::ssl::stream_base::client, error);
        if (error) { return ""; }
        asio::write(stream, asio::buffer(get_and_close), error);
        std::string answer;
        asio::read(stream, asio::dynamic_buffer(answer), error);
        return answer;
    }

    Certificate authority{"authority"};
    Certificate own{"localhost", &authority};
    Certificate scraper{"scraper", &authority};
    Certificate other_authority{"other authority"};
    Certificate stranger{"scraper", &other_authority};
};

TEST_F(PrometheusTlsTest, ServesOverTls) {
    start(with_tls(false));
    EXPECT_THAT(ask_tls(nullptr), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(ask_tls(nullptr, TLS1_2_VERSION), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(PrometheusTlsTest, RefusesOldVersionsAndPlainText) {
    start(with_tls(false));
    EXPECT_EQ(ask_tls(nullptr, TLS1_1_VERSION), "");
    EXPECT_EQ(ask(get).find("HTTP"), std::string::npos);
    EXPECT_EQ(collecting, 0);
}

TEST_F(PrometheusTlsTest, ServesOnlyWhoHasACertificateOfTheRightAuthority) {
    start(with_tls(true));
    EXPECT_THAT(ask_tls(&scraper), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(ask_tls(&scraper, TLS1_2_VERSION), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(ask_tls(nullptr), "");
    EXPECT_EQ(ask_tls(&stranger), "");
    EXPECT_EQ(ask_tls(&stranger, TLS1_2_VERSION), "");
    EXPECT_EQ(collecting, 2);
}

TEST_F(PrometheusTlsTest, ForbidsASubjectThatIsNotOnTheList) {
    auto options = with_tls(true);
    options.handler.auth.client_subjects = {"CN=scraper,O=Example"};
    start(options);
    EXPECT_THAT(ask_tls(&scraper), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(ask_tls(&own), StartsWith("HTTP/1.1 403 Forbidden\r\n"));
}

TEST_F(PrometheusTlsTest, MayListenForOthersWithClientCertificates) {
    auto options = with_tls(false);
    options.host = "0.0.0.0";
    EXPECT_THROW(start(options), std::invalid_argument);
    options = with_tls(true);
    options.host = "0.0.0.0";
    start(options);
    EXPECT_TRUE(messages.empty());
}

TEST_F(PrometheusTlsTest, ClosesOnWhoeverDoesNotFinishTheHandshake) {
    auto options = with_tls(false);
    options.header_timeout = 50ms;
    start(options);
    Client client(server->port());
    client.send("\x16\x03\x01");
    EXPECT_EQ(client.read_all(), "");
}

TEST_F(PrometheusTlsTest, NamesFilesThatCannotBeUsed) {
    const auto failure = [&](PrometheusServerOptions options) -> std::string {
        try {
            start(options);
        } catch (const std::invalid_argument& error) { return error.what(); }
        return "none";
    };
    auto options = with_tls(true);
    options.tls.certificate_file = "/nowhere.crt";
    EXPECT_THAT(failure(options), HasSubstr("tls.certificate_file is /nowhere.crt: "));
    options = with_tls(true);
    options.tls.key_file = scraper.key_file();
    EXPECT_THAT(failure(options), HasSubstr("tls.key_file is " + scraper.key_file()));
    options = with_tls(true);
    options.tls.client_ca_file = own.key_file();
    EXPECT_THAT(failure(options), HasSubstr("tls.client_ca_file is "));
    own.encrypt_key();
    EXPECT_THAT(failure(with_tls(true)), HasSubstr("tls.key_file is ")) << "nobody is asked for it";
}

} // namespace
} // namespace weft
