#include <weft/exporters/url.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weft {
namespace {

struct EndpointCase {
    const char* setting;
    const char* url;
};

std::string text(const Url& url) { return url.text_for_messages(); }

// Source: OTLP exporter specification, "Endpoint URLs for OTLP/HTTP".
TEST(OtlpEndpoint, AppendsTheSignalToAGeneralEndpoint) {
    for (const auto& [setting, url] : {
             EndpointCase{"http://c:4318", "http://c:4318/v1/traces"},
             EndpointCase{"http://c:4318/", "http://c:4318/v1/traces"},
             EndpointCase{"http://c:4318/base", "http://c:4318/base/v1/traces"},
             EndpointCase{"http://c:4318/base/", "http://c:4318/base/v1/traces"},
             EndpointCase{"http://c:4318/a%20b/", "http://c:4318/a%20b/v1/traces"},
         }) {
        const auto endpoint = otlp_endpoint(setting, Signal::traces);
        ASSERT_TRUE(endpoint) << setting;
        EXPECT_EQ(text(*endpoint), url);
    }
}

TEST(OtlpEndpoint, NamesEachSignal) {
    EXPECT_EQ(otlp_endpoint("http://c:4318", Signal::metrics)->target, "/v1/metrics");
    EXPECT_EQ(otlp_endpoint("http://c:4318", Signal::logs)->target, "/v1/logs");
}

TEST(OtlpEndpoint, KeepsTheQueryBehindTheAppendedPath) {
    EXPECT_EQ(
        otlp_endpoint("http://c:4318/base?a=1/2", Signal::traces)->target, "/base/v1/traces?a=1/2");
    EXPECT_EQ(otlp_endpoint("http://c:4318?a=1", Signal::traces)->target, "/v1/traces?a=1");
}

TEST(OtlpEndpoint, UsesAPerSignalEndpointAsItIs) {
    EXPECT_EQ(otlp_signal_endpoint("http://c:4318")->target, "/");
    EXPECT_EQ(otlp_signal_endpoint("https://h/v1/traces/")->target, "/v1/traces/");
    EXPECT_EQ(otlp_signal_endpoint("https://h/v1/traces/")->port, 443);
    EXPECT_EQ(otlp_signal_endpoint("http://c:4318/x?y=z")->target, "/x?y=z");
}

TEST(OtlpEndpoint, DefaultsToTheSpecificationsOwn) {
    EXPECT_EQ(*otlp_endpoint("http://localhost:4318", Signal::traces), Url());
}

TEST(Url, TakesThePortOfTheSchemeWhenNoneIsNamed) {
    EXPECT_EQ(parse_url("http://h/")->port, 80);
    EXPECT_EQ(parse_url("http://h:/")->port, 80);
    EXPECT_EQ(parse_url("https://h/")->port, 443);
}

TEST(Url, ReadsTheSchemeInAnyCase) {
    EXPECT_EQ(parse_url("HTTP://h")->scheme, UrlScheme::http);
    EXPECT_EQ(parse_url("hTTpS://h")->scheme, UrlScheme::https);
}

TEST(Url, KeepsAnIpv6AddressWithoutBracketsAndPutsThemBackIntoTheHostHeader) {
    const auto url = parse_url("http://[::1]:4318/x");
    ASSERT_TRUE(url);
    EXPECT_EQ(url->host, "::1");
    EXPECT_EQ(url->host_header(), "[::1]:4318");
    EXPECT_EQ(parse_url("http://[2001:db8::7]/")->host_header(), "[2001:db8::7]");
}

TEST(Url, NamesThePortInTheHostHeaderUnlessItIsTheSchemesOwn) {
    EXPECT_EQ(parse_url("http://h:80/")->host_header(), "h");
    EXPECT_EQ(parse_url("http://h:443/")->host_header(), "h:443");
    EXPECT_EQ(parse_url("https://h:443/")->host_header(), "h");
}

TEST(Url, CutsOffAFragment) { EXPECT_EQ(parse_url("http://h/x?y#z")->target, "/x?y"); }

TEST(Url, LeavesTheQueryOutOfMessages) {
    EXPECT_EQ(parse_url("http://h/x?key=secret")->text_for_messages(), "http://h/x");
}

TEST(Url, AcceptsUnderscoresInHostNames) {
    EXPECT_EQ(parse_url("http://otel_collector:4318")->host, "otel_collector");
}

TEST(Url, RefusesWhatIsNoAbsoluteHttpUrl) {
    for (const char* bad :
         {"",
          "/",
          "h:4318",
          "localhost",
          "//h/x",
          "ftp://h/",
          "unix:/tmp/x",
          "http:",
          "http:/h",
          "http://",
          "http:///x",
          "http://:80/",
          "http://h:0/",
          "http://h:65536/",
          "http://h:99999/",
          "http://h:99999999999999999999/",
          "http://h:x/",
          "http://h h/",
          " http://h",
          "http://h ",
          "http://h/a b",
          "http://h/\r\nx",
          "http://h%0d%0aX:1/",
          "http://h%00/",
          "http://[::1",
          "http://[::g]/",
          "http://[v1.x]/",
          "http://h\xc3\xa9/"}) {
        const auto url = parse_url(bad);
        EXPECT_FALSE(url) << bad;
        if (!url) { EXPECT_EQ(url.error(), Errc::url_malformed) << bad; }
    }
}

TEST(Url, RefusesUserInformation) {
    EXPECT_FALSE(parse_url("http://user:password@h/"));
    EXPECT_FALSE(parse_url("http://user@h/"));
    EXPECT_FALSE(parse_url("http://@h/"));
}

TEST(Url, RefusesMoreThanEightKilobytes) {
    EXPECT_TRUE(parse_url("http://h/" + std::string(8000, 'x')));
    EXPECT_FALSE(parse_url("http://h/" + std::string(8192, 'x')));
}

} // namespace
} // namespace weft
