#include "client_url.hpp"

#include <gtest/gtest.h>

namespace weft::http::detail {
namespace {

TEST(ClientUrl, IsTakenApart) {
    const auto url = parse_client_url("http://example.com:8080/orders/7?full=1");
    ASSERT_TRUE(url.has_value());
    EXPECT_EQ(url->host, "example.com");
    EXPECT_EQ(url->port, 8080);
    EXPECT_EQ(url->authority, "example.com:8080");
    EXPECT_EQ(url->target, "/orders/7?full=1");
    EXPECT_EQ(url->safe, "http://example.com:8080/orders/7?full=1");
    EXPECT_EQ(url->credentials, "");
}

TEST(ClientUrl, HasPort80AndARootPathByDefault) {
    const auto url = parse_client_url("http://example.com");
    ASSERT_TRUE(url.has_value());
    EXPECT_EQ(url->port, 80);
    EXPECT_EQ(url->authority, "example.com");
    EXPECT_EQ(url->target, "/");
    EXPECT_EQ(url->safe, "http://example.com/");
    EXPECT_EQ(parse_client_url("http://example.com:80/a")->authority, "example.com");
    EXPECT_EQ(parse_client_url("http://example.com:/a")->port, 80);
    EXPECT_EQ(parse_client_url("http://example.com?a=b")->target, "/?a=b");
    EXPECT_EQ(parse_client_url("HTTP://example.com/?")->target, "/?");
}

TEST(ClientUrl, TakesAnIpv6LiteralOutOfItsBrackets) {
    const auto url = parse_client_url("http://[::1]:8080/x");
    ASSERT_TRUE(url.has_value());
    EXPECT_EQ(url->host, "::1");
    EXPECT_EQ(url->authority, "[::1]:8080");
}

TEST(ClientUrl, SendsNoFragment) {
    const auto url = parse_client_url("http://example.com/a#secret");
    EXPECT_EQ(url->target, "/a");
    EXPECT_EQ(url->safe, "http://example.com/a");
}

// "url.full": credentials MUST NOT be in it.
TEST(ClientUrl, ShowsNoCredentials) {
    const auto url = parse_client_url("http://ann:s%40cret@example.com/a?sig=x&b=1");
    ASSERT_TRUE(url.has_value());
    EXPECT_EQ(url->credentials, "ann:s@cret");
    EXPECT_EQ(url->authority, "example.com");
    EXPECT_EQ(url->target, "/a?sig=x&b=1");
    EXPECT_EQ(url->safe, "http://REDACTED:REDACTED@example.com/a?sig=REDACTED&b=1");
    EXPECT_EQ(parse_client_url("http://ann@example.com/")->credentials, "ann:");
    EXPECT_EQ(
        parse_client_url("http://ann@example.com/")->safe, "http://REDACTED:REDACTED@example.com/");
}

TEST(ClientUrl, IsRefusedWhenItIsNotAbsoluteHttp) {
    for (const auto* text :
         {"", "/orders", "example.com/x", "http:/x", "http://", "http:///x", "ftp://example.com/",
          "http://exa mple.com/", "http://example.com/a b", "http://example.com/\r\nX: y",
          "http://example.com:99999/", "http://example.com:0/", "http://a%00b/", "http://a%0d%0ab/",
          "//example.com/", "mailto:a@b", "http://[::1]:80x/"}) {
        const auto url = parse_client_url(text);
        ASSERT_TRUE(url.has_error()) << text;
        EXPECT_EQ(url.error(), Errc::url_malformed) << text;
    }
}

TEST(ClientUrl, SaysThatHttpsIsNotSpoken) {
    EXPECT_EQ(parse_client_url("https://example.com/").error(), Errc::unsupported_scheme);
}

// RFC 4648, "Test Vectors".
TEST(Base64, MatchesTheVectors) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foob"), "Zm9vYg==");
    EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

} // namespace
} // namespace weft::http::detail
