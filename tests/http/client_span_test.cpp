// The client's spans by the semantic conventions: tables of "HTTP client span", a test for each rule; and what the
// server at the other end makes of the headers.
#include "client_span.hpp"
#include "span_fixture.hpp"

#include <weft/propagation/trace_context.hpp>

#include <gmock/gmock.h>

namespace weft::http::testing {
namespace {

bool has_ipv6_loopback() {
    asio::io_context context;
    boost::system::error_code error;
    asio::ip::tcp::acceptor acceptor(context);
    acceptor.open(asio::ip::tcp::v6(), error);
    if (!error) { acceptor.bind({asio::ip::address_v6::loopback(), 0}, error); }
    return !error;
}

class ClientSpanTest : public SpanTest {
protected:
    Result<Response> call(ClientRequest request, ClientOptions options = {}) {
        const Client client(loop.context(), std::move(options));
        return loop.run(client.request(std::move(request)));
    }
    /// Against a server without telemetry, so that all spans are the client's.
    DecodedSpan span_of(ClientRequest request, ClientOptions options = {}) {
        (void)call(std::move(request), std::move(options));
        return span();
    }
};

TEST_F(ClientSpanTest, HasEveryRequiredAndRecommendedAttribute) {
    start({.traced = false});
    const auto seen = span_of(ClientRequest("GET", url("/orders/7?full=1")));
    EXPECT_EQ(seen.name, "GET");
    EXPECT_EQ(seen.kind, client_kind);
    EXPECT_EQ(seen["http.request.method"], "GET");
    EXPECT_EQ(seen["server.address"], "127.0.0.1");
    EXPECT_EQ(seen["server.port"], std::to_string(server->port()));
    EXPECT_EQ(seen["url.full"], url("/orders/7?full=1"));
    EXPECT_EQ(seen["http.response.status_code"], "200");
    EXPECT_EQ(seen["network.peer.address"], "127.0.0.1");
    EXPECT_EQ(seen["network.peer.port"], std::to_string(server->port()));
    EXPECT_EQ(seen["network.protocol.version"], "1.1");
    EXPECT_EQ(seen.status, unset);
    for (const auto* absent :
         {"error.type", "http.request.method_original", "network.protocol.name",
          "http.request.resend_count", "url.scheme", "url.template"}) {
        EXPECT_EQ(seen[absent], "(absent)") << absent;
    }
}

TEST_F(ClientSpanTest, NamesTheHostAsItWasGiven) {
    start({.traced = false});
    const auto port = std::to_string(server->port());
    const auto seen = span_of(ClientRequest("GET", "http://localhost:" + port + "/orders/7"));
    EXPECT_EQ(seen["server.address"], "localhost");
    EXPECT_EQ(seen["network.peer.address"], "127.0.0.1");
}

TEST_F(ClientSpanTest, ShowsNoCredentialsAndNoSecrets) {
    start({.traced = false});
    const auto port = std::to_string(server->port());
    const auto seen = span_of(ClientRequest(
        "GET", "http://ann:secret@127.0.0.1:" + port + "/orders/7?sig=secret#secret"));
    EXPECT_EQ(
        seen["url.full"], "http://REDACTED:REDACTED@127.0.0.1:" + port + "/orders/7?sig=REDACTED");
    for (const auto& [key, value] : seen.attributes) {
        EXPECT_EQ(value.find("secret"), std::string::npos) << key;
    }
}

TEST_F(ClientSpanTest, Makes4xxAnd5xxErrors) {
    start({.traced = false});
    for (const auto* code : {"200", "204", "301", "304", "399"}) {
        const auto seen = span_of(ClientRequest("GET", url("/fail/" + std::string(code))));
        EXPECT_EQ(seen["http.response.status_code"], code);
        EXPECT_EQ(seen.status, unset) << code;
    }
    for (const auto* code : {"400", "404", "429", "500", "503"}) {
        const auto seen = span_of(ClientRequest("GET", url("/fail/" + std::string(code))));
        EXPECT_EQ(seen["http.response.status_code"], code);
        EXPECT_EQ(seen.status, error) << code;
        EXPECT_EQ(seen["error.type"], code);
    }
}

TEST_F(ClientSpanTest, CallsAnUnknownMethodOther) {
    start({.traced = false});
    const auto seen = span_of(ClientRequest("BREW", url("/orders/7")));
    EXPECT_EQ(seen.name, "HTTP");
    EXPECT_EQ(seen["http.request.method"], "_OTHER");
    EXPECT_EQ(seen["http.request.method_original"], "BREW");
    EXPECT_EQ(span_of(ClientRequest("BREW", url("/x")), {.known_methods = {"BREW"}}).name, "BREW");
}

TEST_F(ClientSpanTest, SaysWhyThereWasNoAnswer) {
    const auto refused =
        span_of(ClientRequest("GET", "http://127.0.0.1:" + std::to_string(unused_port()) + "/"));
    EXPECT_EQ(refused["error.type"], "connection_refused");
    EXPECT_EQ(refused.status, error);
    EXPECT_EQ(refused["http.response.status_code"], "(absent)");
    EXPECT_EQ(refused["network.peer.address"], "(absent)");

    std::optional<RawSocket> held;
    RawServer silent([&](RawServer& self) { held = self.accept(); });
    EXPECT_EQ(
        span_of(ClientRequest("GET", silent.url()).set_timeout(milliseconds(60)))["error.type"],
        "timeout");

    RawServer garbage([](RawServer& self) {
        auto socket = self.accept();
        socket.receive_request();
        socket.send("nonsense\r\n\r\n");
    });
    EXPECT_EQ(span_of(ClientRequest("GET", garbage.url()))["error.type"], "response_malformed");
}

TEST_F(ClientSpanTest, NamesAnIpv6Peer) {
    if (!has_ipv6_loopback()) { GTEST_SKIP() << "no IPv6 here"; }
    start({.address = "::1", .traced = false});
    const auto port = std::to_string(server->port());
    const auto seen = span_of(ClientRequest("GET", "http://[::1]:" + port + "/orders/7"));
    EXPECT_EQ(seen["network.peer.address"], "::1");
    EXPECT_EQ(seen["network.peer.port"], port);
}

TEST_F(ClientSpanTest, NamesNoPeerWhenTheConnectionIsGone) {
    const Tracer tracer("test");
    const detail::KnownMethods known({});
    const std::string text = "http://127.0.0.1:1/";
    const auto url = detail::parse_client_url(text);
    {
        detail::ClientSpan seen;
        seen.start(tracer, known, "GET", *url, 0, {}, std::source_location::current());
        seen.connected(detail::TcpSocket(loop.context().get_executor()));
    }
    const auto seen = span();
    EXPECT_EQ(seen["network.peer.address"], "(absent)");
    EXPECT_EQ(seen["network.peer.port"], "(absent)");
}

TEST_F(ClientSpanTest, IsOneForEachAttempt) {
    RawServer raw([](RawServer& self) {
        const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        {
            auto first = self.accept();
            first.receive_request();
            first.send(ok);
            first.receive_request();
        }
        auto second = self.accept();
        second.receive_request();
        second.send(ok);
    });
    const Client client(loop.context());
    ASSERT_TRUE(loop.run(client.get(raw.url())).has_value());
    (void)span();

    ASSERT_TRUE(loop.run(client.get(raw.url())).has_value());

    const auto seen = spans(2);
    EXPECT_EQ(seen[0]["error.type"], "connection_closed");
    EXPECT_EQ(seen[0].status, error);
    EXPECT_EQ(seen[0]["http.request.resend_count"], "(absent)");
    EXPECT_EQ(seen[1]["http.response.status_code"], "200");
    EXPECT_EQ(seen[1]["http.request.resend_count"], "1");
    EXPECT_EQ(seen[1].status, unset);
}

TEST_F(ClientSpanTest, IsTheParentOfTheServersSpan) {
    start();
    ASSERT_TRUE(call(ClientRequest("GET", url("/work"))).has_value());
    const auto seen = spans(3);
    std::map<std::string, DecodedSpan> by_name;
    for (const auto& one : seen) { by_name[one.name] = one; }
    EXPECT_EQ(by_name["GET /work"].parent, by_name["GET"].id);
    EXPECT_EQ(by_name["work"].parent, by_name["GET /work"].id);
    EXPECT_EQ(by_name["work"].trace, by_name["GET"].trace);
    EXPECT_FALSE(by_name["GET"].parent.is_valid());
}

TEST_F(ClientSpanTest, IsAChildOfTheCallersSpan) {
    start({.traced = false});
    loop.run([](asio::io_context& context, std::string target) -> Task<int> {
        const Client client(context);
        const Span span("caller");
        (void)co_await client.get(target);
        (void)co_await client.get(target);
        co_return 0;
    }(loop.context(), url("/orders/7")));
    const auto seen = spans(3);
    EXPECT_EQ(seen[2].name, "caller");
    EXPECT_EQ(seen[0].parent, seen[2].id);
    EXPECT_EQ(seen[1].parent, seen[2].id) << "not the first call's span";
}

/// Every traceparent and tracestate that a server saw.
class SentContext : public ClientSpanTest {
protected:
    void start_recording() {
        server.emplace(loop.context(), ServerOptions{.traced = false});
        server->get("/", [this](Request& request) -> Task<Response> {
            for (const auto& [name, value] : request.headers()) {
                if (name.starts_with("trace")) {
                    sent.emplace_back(std::string(name) + ": " + std::string(value));
                }
            }
            return []() -> Task<Response> { co_return Response(); }();
        });
    }
    std::vector<std::string> sent;
};

TEST_F(SentContext, IsTheSpansOwn) {
    start_recording();
    ASSERT_TRUE(call(ClientRequest("GET", url("/"))).has_value());
    const auto seen = span();
    EXPECT_THAT(
        sent, ::testing::ElementsAre(
                  "traceparent: 00-" + seen.trace.to_hex() + "-" + seen.id.to_hex() + "-03"));
}

TEST_F(SentContext, ReplacesWhatTheCallerCopied) {
    start_recording();
    ASSERT_TRUE(
        call(ClientRequest("GET", url("/"))
                 .set_header(
                     "TraceParent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                 .set_header("tracestate", "foo=1"))
            .has_value());
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent[0].find("0af7651916cd43dd8448eb211c80319c"), std::string::npos);
}

TEST_F(SentContext, IsNotSentByAnUntracedClient) {
    start_recording();
    ASSERT_TRUE(call(ClientRequest("GET", url("/")), {.traced = false}).has_value());
    EXPECT_TRUE(sent.empty());
    EXPECT_TRUE(sink.take().empty());
}

/// A program whose telemetry is switched off stands between two that have it.
TEST(PassedOnContext, GoesThroughAServerAndAClientWithoutTelemetry) {
    ASSERT_EQ(weft::detail::default_provider.load(), nullptr);
    Loop loop;
    std::string seen;
    RawServer last([&](RawServer& self) {
        auto socket = self.accept();
        seen = socket.receive_request();
        socket.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    const Client client(loop.context());
    Server middle(loop.context());
    middle.get("/", [&](Request&) -> Task<Response> {
        return [](const Client& onwards, std::string target) -> Task<Response> {
            const auto answer = co_await onwards.get(target);
            co_return Response(answer ? answer->status() : 502);
        }(client, last.url());
    });
    auto socket = RawSocket::connect(middle.port());
    socket.send(get_request(
        "/", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: "
             "foo=1\r\n"));
    EXPECT_EQ(socket.receive().status, 200);
    EXPECT_NE(
        seen.find("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        std::string::npos)
        << seen;
    EXPECT_NE(seen.find("tracestate: foo=1"), std::string::npos) << seen;
}

} // namespace
} // namespace weft::http::testing
