#include "sink_fixture.hpp"
#include "tls_server.hpp"

#include <weft/exporters/otlp_http.hpp>
#include <weft/exporters/proxy.hpp>

#include <gtest/gtest.h>

namespace weft::testing {
namespace {

using ::testing::HasSubstr;

TEST(ParseProxy, TakesAUrlApart) {
    const auto proxy = parse_proxy("http://us%40er:pass%3Aword@proxy.test:3128/");
    ASSERT_TRUE(proxy);
    EXPECT_EQ(proxy->host, "proxy.test");
    EXPECT_EQ(proxy->port, 3128);
    EXPECT_EQ(proxy->authorization, "Basic dXNAZXI6cGFzczp3b3Jk") << "us@er:pass:word";
    EXPECT_EQ(proxy->text_for_messages(), "proxy.test:3128");
}

TEST(ParseProxy, NeedsNeitherSchemeNorPortNorCredentials) {
    for (const auto* text :
         {"proxy.test", "HTTP://proxy.test", "http://proxy.test:80", "@proxy.test"}) {
        const auto proxy = parse_proxy(text);
        ASSERT_TRUE(proxy) << text;
        EXPECT_EQ(*proxy, (Proxy{"proxy.test", 80, ""})) << text;
    }
    EXPECT_EQ(parse_proxy("[::1]:8080")->host, "::1");
    EXPECT_EQ(parse_proxy("user@h")->authorization, "Basic dXNlcjo=");
    EXPECT_EQ(parse_proxy("user:p@ss@h")->host, "h");
}

TEST(ParseProxy, RefusesWhatItDoesNotSpeak) {
    for (const auto* text : {"https://h", "socks5://h", "socks4a://h", "SOCKS5H://h:1"}) {
        EXPECT_EQ(parse_proxy(text).error(), Errc::unsupported_scheme) << text;
    }
    for (const auto* text :
         {"", "http://", "ftp://h", "http://h:0", "http://h:x", "http://h:99999", "http://a b",
          "http://u%zz:p@h", "http://u:p%0d%0a@h", "http://u%3Av:p@h", "http://u%4@h"}) {
        EXPECT_EQ(parse_proxy(text).error(), Errc::url_malformed) << text;
    }
}

TEST(IsDirect, IsSoForThisMachineWhateverTheListSays) {
    for (const auto* host : {"localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1"}) {
        EXPECT_TRUE(is_direct("", host, 80)) << host;
    }
    for (const auto* host : {"localhost.test", "128.0.0.1", "::2", "notlocalhost"}) {
        EXPECT_FALSE(is_direct("", host, 80)) << host;
    }
}

TEST(IsDirect, ReadsNamesAddressesNetworksAndPorts) {
    const auto expect = [](const char* list, const char* host, bool direct) {
        EXPECT_EQ(is_direct(list, host, 4318), direct) << list << " " << host;
    };
    expect("*", "anything.test", true);
    expect("a.test", "a.test", true);
    expect("a.test", "A.TEST", true);
    expect("A.test", "b.a.test", true);
    expect(".a.test", "a.test", true);
    expect("*.a.test", "b.a.test", true);
    expect("a.test", "ba.test", false);
    expect("b.a.test", "a.test", false);
    expect("x.test, a.test,y.test", "a.test", true);
    expect("x.test a.test", "a.test", true);
    expect(" , ,,", "a.test", false);
    expect("a.test:4318", "a.test", true);
    expect("a.test:4317", "a.test", false);
    expect("a.test:", "a.test", false);
    expect("10.0.0.1", "10.0.0.1", true);
    expect("10.0.0.1", "10.0.0.10", false);
    expect("10.0.0.1:4318", "10.0.0.1", true);
    expect("10.0.0.0/8", "10.200.3.4", true);
    expect("10.0.0.0/8", "11.0.0.1", false);
    expect("10.0.0.0/8", "a.test", false);
    expect("0.0.0.0/0", "11.0.0.1", true);
    expect("0.0.0.0/0", "2001:db8::1", false);
    expect("10.0.0.0/33", "10.0.0.1", false);
    expect("2001:db8::/32", "2001:db8:1::1", true);
    expect("2001:db8::/32", "2001:db9::1", false);
    expect("2001:db8::1", "2001:db8::1", true);
    expect("[2001:db8::1]:4318", "2001:db8::1", true);
    expect("[2001:db8::1]:1", "2001:db8::1", false);
    expect("[2001:db8:0::1]", "2001:db8::1", true);
    expect(".", "a.test", false);
    expect("*.", "a.test", false);
}

TEST(ProxyFor, ChoosesByTheSchemeOfTheEndpoint) {
    const ProxyOptions options{.http = "http://p:1", .https = "http://p:2", .none_for = "in.test"};
    EXPECT_EQ((*proxy_for(options, *parse_url("http://out.test")))->port, 1);
    EXPECT_EQ((*proxy_for(options, *parse_url("https://out.test")))->port, 2);
    EXPECT_FALSE(*proxy_for(options, *parse_url("http://a.in.test")));
    EXPECT_FALSE(*proxy_for(options, *parse_url("http://localhost:4318")));
    EXPECT_FALSE(*proxy_for({}, *parse_url("http://out.test")));
    EXPECT_FALSE(proxy_for({.http = "socks5://p"}, *parse_url("http://out.test")));
}

using ProxySinkTest = SinkTest;

TEST_F(ProxySinkTest, AsksAProxyForTheWholeUrl) {
    auto given = options();
    given.url = *parse_url("http://collector.test:4318/v1/traces?k=v");
    given.proxy = Proxy{"127.0.0.1", server.port(), "Basic c2VjcmV0"};
    use(given);

    EXPECT_EQ(send().exported, 10u);
    EXPECT_EQ(send().exported, 10u);

    const auto request = server.requests().front();
    EXPECT_EQ(request.target, "http://collector.test:4318/v1/traces?k=v");
    EXPECT_EQ(request.header("host"), "collector.test:4318");
    EXPECT_EQ(request.header("proxy-authorization"), "Basic c2VjcmV0");
    EXPECT_EQ(server.connections(), 1u);
}

TEST_F(ProxySinkTest, RetriesWhatAProxyRefusesAndSaysWhatItWants) {
    auto given = options();
    given.url = *parse_url("http://collector.test/v1/traces");
    given.proxy = Proxy{"127.0.0.1", server.port(), ""};
    use(given);
    server.script({answer(407, {{"Proxy-Authenticate", "Basic"}})});

    EXPECT_EQ(send().exported, 10u);

    EXPECT_TRUE(reported(
        "the proxy 127.0.0.1:" + std::to_string(server.port()) +
        " refuses with http_407: it wants a user and a password, which its URL can hold"));
}

TEST_F(ProxySinkTest, TakesA407OfAReceiverForFinal) {
    server.script({answer(407)});
    EXPECT_EQ(send().reason, DropReason::rejected_by_status);
}

TEST_F(ProxySinkTest, SaysThatTheProxyIsNotThere) {
    LoopbackServer nobody(io.get_executor(), LoopbackServer::Start::refusing);
    auto given = options();
    given.url = *parse_url("http://collector.test/v1/traces");
    given.proxy = Proxy{"127.0.0.1", nobody.port(), ""};
    given.retry.max_elapsed = 0ms;
    use(given);
    EXPECT_EQ(
        send().detail, "proxy 127.0.0.1:" + std::to_string(nobody.port()) + ": Connection refused");
}

class TunnelTest : public SinkTest {
protected:
    TunnelTest()
        : ca("Test CA"),
          own(CertificateOptions{.issuer = &ca, .names = "DNS:collector.test,IP:2001:db8::1"}),
          to(io.get_executor(), own), proxy(io.get_executor(), to.port()) {}

    OtlpHttpOptions through(const std::string& url = "https://collector.test/v1/traces") const {
        auto given = options_for(1);
        given.url = *parse_url(url);
        given.tls.ca_file = ca.certificate_file();
        given.proxy = Proxy{"127.0.0.1", proxy.port(), "Basic c2VjcmV0"};
        given.retry.max_elapsed = 0ms;
        return given;
    }

    Certificate ca;
    Certificate own;
    TlsServer to;
    TunnelProxy proxy;
};

TEST_F(TunnelTest, GoesThroughATunnelToAnHttpsEndpoint) {
    use(through());
    const auto batch = make_batch(10, 300'000);

    EXPECT_EQ(send(batch).exported, 10u);
    EXPECT_EQ(send(batch).exported, 10u);

    ASSERT_EQ(proxy.asked().size(), 1u);
    const auto& asked = proxy.asked().front();
    EXPECT_EQ(asked.method, "CONNECT");
    EXPECT_EQ(asked.target, "collector.test:443");
    EXPECT_EQ(asked.host, "collector.test:443");
    EXPECT_EQ(asked.authorization, "Basic c2VjcmV0");
    EXPECT_EQ(to.handshakes().at(0).server_name, "collector.test");
    EXPECT_TRUE(to.bodies().at(0) == batch->body);
}

TEST_F(TunnelTest, AsksForAnIpv6AddressInBrackets) {
    use(through("https://[2001:db8::1]:4318/v1/traces"));
    EXPECT_EQ(send().exported, 10u);
    EXPECT_EQ(proxy.asked().at(0).target, "[2001:db8::1]:4318");
}

TEST_F(TunnelTest, TakesTheDotAtTheEndOfAWholeNameForNoPartOfIt) {
    use(through("https://collector.test./v1/traces"));
    EXPECT_EQ(send().exported, 10u);
    EXPECT_EQ(to.handshakes().at(0).server_name, "collector.test");
}

TEST_F(TunnelTest, VerifiesTheReceiverBehindTheProxy) {
    use(through("https://other.test/v1/traces"));
    EXPECT_THAT(
        send().detail, HasSubstr("it is for collector.test, 2001:db8::1, not for other.test"));
}

TEST_F(TunnelTest, SaysWhyTheProxyRefuses) {
    const auto name = "the proxy 127.0.0.1:" + std::to_string(proxy.port()) + " refuses with ";
    proxy.answer_with("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nsorry");
    use(through());
    EXPECT_EQ(send().detail, name + "http_403");
    proxy.answer_with("HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(send().detail, name + "http_407: the user or the password in its URL is not right");
    EXPECT_FALSE(reported("c2VjcmV0")) << "credentials are never shown";
}

TEST_F(TunnelTest, SurvivesWhateverAProxyAnswers) {
    use(through());
    for (const std::string answer :
         {"rubbish\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nearly bytes", "HTTP/1.1 200",
          "HTTP/1.1 301 Moved\r\nLocation: x\r\n\r\n"}) {
        proxy.answer_with(answer);
        const auto outcome = send();
        EXPECT_EQ(outcome.reason, DropReason::retry_exhausted) << answer;
        EXPECT_FALSE(outcome.detail.empty());
    }
    proxy.answer_with("HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n");
    EXPECT_EQ(send().exported, 0u);
    EXPECT_TRUE(to.bodies().empty());
}

// A proxy that stays connected after an answer that makes no tunnel must not be given what was meant for TLS.
TEST_F(TunnelTest, TellsNothingInTheClearToAProxyThatMadeNone) {
    for (const std::string answer :
         {"rubbish\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nearly bytes",
          "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"}) {
        auto given = through();
        given.headers = {{"api-key", "hush"}};
        given.retry = {
            .initial_backoff = 1ms, .multiplier = 1, .max_backoff = 1ms, .max_elapsed = 100ms};
        use(given);
        proxy.answer_and_listen(answer);
        const auto outcome = send();
        EXPECT_GE(outcome.attempts, 2) << "the second one is what might have used the connection";
        EXPECT_EQ(outcome.exported, 0u);
        EXPECT_EQ(proxy.heard(), "") << answer;
    }
    EXPECT_TRUE(to.bodies().empty());
}

TEST_F(TunnelTest, SkipsInterimAnswersButNotForEver) {
    use(through());
    std::string many;
    for (int i = 0; i < 20; ++i) { many += "HTTP/1.1 102 Processing\r\n\r\n"; }
    proxy.answer_with(many);
    EXPECT_EQ(send().exported, 0u);
}

} // namespace
} // namespace weft::testing
