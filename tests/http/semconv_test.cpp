#include "known_methods.hpp"
#include "semconv.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/error.hpp>

#include <boost/asio/error.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace weft::http::detail {
namespace {

TEST(Authority, IsTakenApart) {
    const auto check = [](std::string_view text, std::string_view host, int port) {
        const auto parsed = parse_authority(text);
        EXPECT_EQ(parsed.host, host) << text;
        EXPECT_EQ(parsed.port ? *parsed.port : -1, port) << text;
    };
    check("example.com", "example.com", -1);
    check("example.com:8080", "example.com", 8080);
    check("[2001:db8::1]", "2001:db8::1", -1);
    check("[2001:db8::1]:443", "2001:db8::1", 443);
    check("2001:db8::1", "2001:db8::1", -1);
    check("example.com:", "example.com", -1);
    check("example.com:x", "example.com", -1);
    check("example.com:70000", "example.com", -1);
    check("[broken", "[broken", -1);
    check("", "", -1);
}

struct ForwardedCase {
    Headers headers;
    std::string_view client;
    std::string_view scheme;
    std::string_view host;
};

TEST(ForwardedHeaders, GiveTheEntryNearestTheClient) {
    const ForwardedCase cases[] = {
        {{{"Forwarded", "for=192.0.2.43;proto=https;host=shop.example:444, for=10.0.0.1"}},
         "192.0.2.43",
         "https",
         "shop.example:444"},
        {{{"Forwarded", "For=\"[2001:db8:cafe::17]:4711\""}}, "2001:db8:cafe::17", "", ""},
        {{{"Forwarded", "for=_hidden; Proto = http"}}, "_hidden", "http", ""},
        {{{"Forwarded", "for=unknown"}, {"X-Forwarded-For", "192.0.2.1"}}, "192.0.2.1", "", ""},
        {{{"X-Forwarded-For", "192.0.2.1, 10.0.0.1"},
          {"X-Forwarded-Proto", "https"},
          {"X-Forwarded-Host", "a.example"}},
         "192.0.2.1",
         "https",
         "a.example"},
        {{{"X-Forwarded-For", "192.0.2.1:4711"}}, "192.0.2.1", "", ""},
        {{{"X-Forwarded-For", "2001:db8::1"}}, "2001:db8::1", "", ""},
        {{{"Forwarded", "for=192.0.2.9"}, {"X-Forwarded-For", "192.0.2.1"}}, "192.0.2.9", "", ""},
        {{{"Forwarded", ";;=;for"}}, "", "", ""},
        {{}, "", "", ""},
    };
    for (const auto& one : cases) {
        const auto parsed = parse_forwarded(one.headers);
        EXPECT_EQ(parsed.client, one.client);
        EXPECT_EQ(parsed.scheme, one.scheme);
        EXPECT_EQ(parsed.host, one.host);
    }
}

std::string redacted(std::string_view query) {
    std::string scratch;
    return std::string(redact_query(query, scratch));
}

// "url.query": the values of these keys are replaced, the keys kept.
TEST(RedactedQuery, HidesEveryListedKey) {
    for (const auto* key :
         {"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "AWSAccessKeyId",
          "Signature", "sig", "X-Goog-Signature"}) {
        EXPECT_EQ(redacted(std::string(key) + "=secret"), std::string(key) + "=REDACTED");
        EXPECT_EQ(
            redacted("a=1&" + std::string(key) + "=s=e=c&b=2"),
            "a=1&" + std::string(key) + "=REDACTED&b=2");
    }
}

TEST(RedactedQuery, LeavesTheRestAsItIs) {
    for (const auto* query :
         {"", "a=1&b=2", "signature=x", "SIG=x", "sigma=1", "a", "&&=&", "x=sig"}) {
        EXPECT_EQ(redacted(query), query);
    }
    EXPECT_EQ(redacted("sig=1&b&c="), "sig=REDACTED&b&c=");
    EXPECT_EQ(redacted("sig"), "sig");
}

TEST(RedactedQuery, IsTheSameTextWhereNothingIsHidden) {
    const std::string query = "a=1";
    std::string scratch;
    EXPECT_EQ(redact_query(query, scratch).data(), query.data());
}

TEST(ErrorName, IsAWordOfLowCardinality) {
    namespace net = boost::asio::error;
    EXPECT_EQ(error_name(net::connection_refused), "connection_refused");
    EXPECT_EQ(error_name(net::connection_reset), "connection_reset");
    EXPECT_EQ(error_name(net::broken_pipe), "connection_reset");
    EXPECT_EQ(error_name(net::eof), "connection_closed");
    EXPECT_EQ(error_name(make_error_code(Errc::timed_out)), "timeout");
    EXPECT_EQ(error_name(net::host_not_found), "host_not_found");
    EXPECT_EQ(error_name(net::network_unreachable), "host_unreachable");
    EXPECT_EQ(error_name(make_error_code(Errc::response_too_large)), "response_too_large");
    EXPECT_EQ(error_name(make_error_code(Errc::response_malformed)), "response_malformed");
    EXPECT_EQ(error_name(net::no_memory), "_OTHER");
}

class KnownMethodsTest : public ::testing::Test {
protected:
    void TearDown() override { ::unsetenv(variable); }
    static constexpr const char* variable = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
};

TEST_F(KnownMethodsTest, AreTheStandardsByDefault) {
    const KnownMethods known({});
    for (const auto* method :
         {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}) {
        EXPECT_TRUE(known.contains(method)) << method;
    }
    EXPECT_FALSE(known.contains("get"));
    EXPECT_FALSE(known.contains("PURGE"));
    EXPECT_FALSE(known.contains(""));
}

TEST_F(KnownMethodsTest, AreReplacedByTheEnvironment) {
    ::setenv(variable, " PURGE ,GET,,", 1);
    const KnownMethods known({});
    EXPECT_TRUE(known.contains("PURGE"));
    EXPECT_TRUE(known.contains("GET"));
    EXPECT_FALSE(known.contains("POST"));
}

TEST_F(KnownMethodsTest, LeaveOutWhatIsNoMethodAndSaySoInOneLine) {
    std::vector<std::string> lines;
    diagnostics().set_handler([&](const Diagnostic& diagnostic) {
        lines.push_back(
            std::string(name(diagnostic.level)) + ": " + std::string(diagnostic.message));
    });
    ::setenv(variable, "GE T,,\xc3\xa9,PURGE", 1);
    const KnownMethods known({});
    const KnownMethods again({});
    diagnostics().set_handler(nullptr);
    EXPECT_TRUE(known.contains("PURGE"));
    EXPECT_FALSE(known.contains("GE T"));
    EXPECT_FALSE(known.contains("\xc3\xa9"));
    EXPECT_EQ(
        lines, std::vector<std::string>{
                   "warning: OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS=\"GE T,,\xc3\xa9,PURGE\": "
                   "allowed is a list "
                   "of request methods such as GET,POST; left out: \"GE T\", \"\xc3\xa9\""});
}

TEST_F(KnownMethodsTest, AreTheOptionsBeforeTheEnvironments) {
    ::setenv(variable, "PURGE", 1);
    const KnownMethods known({"QUERY"});
    EXPECT_TRUE(known.contains("QUERY"));
    EXPECT_FALSE(known.contains("PURGE"));
}

TEST_F(KnownMethodsTest, AreTheStandardsWhenTheVariableIsEmpty) {
    ::setenv(variable, " , ", 1);
    EXPECT_TRUE(KnownMethods({}).contains("GET"));
}

} // namespace
} // namespace weft::http::detail
