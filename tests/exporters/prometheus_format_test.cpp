#include "prometheus_fields.hpp"

#include <weft/exporters/prometheus_format.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weft {
namespace {

using Escaping = PrometheusEscaping;
using Format = PrometheusFormat;

TEST(PrometheusNegotiation, PicksWhatTheScraperLikesBest) {
    struct Case {
        const char* accept;
        PrometheusProtocol protocol;
    };
    const PrometheusProtocol plain{};
    const PrometheusProtocol open{Format::open_metrics_1_0_0, Escaping::underscores};
    const PrometheusProtocol open_utf8{Format::open_metrics_1_0_0, Escaping::allow_utf_8};
    for (const auto& [accept, protocol] : {
             Case{"", plain},
             Case{"*/*", plain},
             Case{"/", plain},
             Case{"text/*", plain},
             Case{"text/html", plain},
             Case{"image/*;q=1", plain},
             Case{"text/plain", plain},
             Case{"text/plain;version=0.0.4", plain},
             Case{"text/plain; version=1.0.0", {Format::text_1_0_0, Escaping::underscores}},
             Case{"text/plain;version=1.0.0;escaping=dots", {Format::text_1_0_0, Escaping::dots}},
             Case{"text/plain;version=0.0.4;escaping=allow-utf-8", plain},
             Case{"text/plain;version=7", plain},
             Case{"application/openmetrics-text", open},
             Case{"APPLICATION/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8", open},
             Case{
                 "application/openmetrics-text;version=1.0.0;escaping=values",
                 {Format::open_metrics_1_0_0, Escaping::values}},
             Case{"application/openmetrics-text;version=1.0.0;escaping=other", open},
             Case{
                 "application/openmetrics-text;version=0.0.1",
                 {Format::open_metrics_0_0_1, Escaping::underscores}},
             Case{"application/openmetrics-text;version=2.0.0", plain},
             Case{"application/openmetrics-text;q=0", plain},
             Case{"application/openmetrics-text;q=0.1,text/plain;q=0.05", open},
             Case{"text/plain;q=0.3,application/openmetrics-text;q=0.301", open},
             Case{"text/plain;q=0.5,application/openmetrics-text;q=0.5", plain},
             Case{"application/openmetrics-text;q=0.5,text/plain;q=0.5", open},
             Case{"application/openmetrics-text;q=x,text/plain;q=0.5", plain},
             Case{"application/openmetrics-text;q=1.001, */*;q=0.1", plain},
             Case{"application/openmetrics-text;q=0.1234, */*;q=0.1", plain},
             Case{"a/b;x=\"application/openmetrics-text,\", application/openmetrics-text", open},
             Case{",,;,application/openmetrics-text,", open},
             // What Prometheus 3 sends.
             Case{
                 "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                 "application/openmetrics-text;version=0.0.1;q=0.4,"
                 "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
                 "text/plain;version=0.0.4;q=0.2,/;q=0.1",
                 open_utf8},
             // What Prometheus 2 sends.
             Case{
                 "application/openmetrics-text;version=1.0.0,application/"
                 "openmetrics-text;version=0.0.1;q=0.75,"
                 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                 open},
             // A protobuf scraper that takes text as well.
             Case{
                 "application/"
                 "vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q="
                 "0.7,"
                 "text/plain;version=0.0.4;q=0.3",
                 plain},
         }) {
        EXPECT_TRUE(negotiate_prometheus(accept) == protocol)
            << accept << " gave " << content_type(negotiate_prometheus(accept));
    }
}

TEST(PrometheusNegotiation, FallsBackToWhatWasConfigured) {
    const PrometheusProtocol open{Format::open_metrics_1_0_0, Escaping::underscores};
    EXPECT_TRUE(negotiate_prometheus("", open) == open);
    EXPECT_TRUE(negotiate_prometheus("*/*", open) == open);
    EXPECT_TRUE(negotiate_prometheus("text/html", open) == open);
    EXPECT_TRUE(negotiate_prometheus("text/plain", open) == PrometheusProtocol{});
}

TEST(PrometheusNegotiation, SaysWhatWasChosen) {
    EXPECT_EQ(content_type({}), "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(
        content_type({Format::text_1_0_0, Escaping::allow_utf_8}),
        "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
    EXPECT_EQ(
        content_type({Format::open_metrics_1_0_0, Escaping::values}),
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values");
    EXPECT_EQ(
        content_type({Format::open_metrics_0_0_1, Escaping::underscores}),
        "application/openmetrics-text; version=0.0.1; charset=utf-8");
}

TEST(PrometheusNegotiation, CompressesWhereGzipIsAllowed) {
    for (const char* yes :
         {"gzip", "GZIP", "x-gzip", "deflate, gzip;q=0.5", "*", "br;q=1.0, *;q=0.1", "gzip;q=1"}) {
        EXPECT_TRUE(accepts_gzip(yes)) << yes;
    }
    for (const char* no :
         {"", "identity", "gzip;q=0", "gzip;q=0.000", "*;q=0", "*, gzip;q=0", "gzipped", "br"}) {
        EXPECT_FALSE(accepts_gzip(no)) << no;
    }
}

TEST(PrometheusFields, ReadPathsOfBothForms) {
    EXPECT_EQ(detail::path_of("/metrics"), "/metrics");
    EXPECT_EQ(detail::path_of("/metrics?name[]=a"), "/metrics");
    EXPECT_EQ(detail::path_of("http://h:1/metrics?x"), "/metrics");
    EXPECT_EQ(detail::path_of("http://h:1"), "/");
    EXPECT_EQ(detail::path_of(""), "");
}

TEST(PrometheusFields, ReadNamesOfTheQuery) {
    using Names = std::vector<std::string>;
    EXPECT_EQ(*detail::names_in_query("/m", 9), Names{});
    EXPECT_EQ(*detail::names_in_query("/m?", 9), Names{});
    EXPECT_EQ(
        *detail::names_in_query("/m?name[]=a&x=y&name%5B%5D=b%2ec&name[]", 9),
        (Names{"a", "b.c", ""}));
    EXPECT_EQ(*detail::names_in_query("/m?&&name[]=a+b=c", 9), Names{"a b=c"});
    EXPECT_FALSE(detail::names_in_query("/m?name[]=%", 9));
    EXPECT_FALSE(detail::names_in_query("/m?name[]=%4", 9));
    EXPECT_FALSE(detail::names_in_query("/m?name[]=%zz", 9));
    EXPECT_TRUE(detail::names_in_query("/m?name[]=a&name[]=b", 2));
    EXPECT_FALSE(detail::names_in_query("/m?name[]=a&name[]=b", 1));
}

TEST(PrometheusFields, ReadTheScrapersTimeout) {
    using std::chrono::milliseconds;
    EXPECT_EQ(detail::scrape_timeout("10"), milliseconds(10000));
    EXPECT_EQ(detail::scrape_timeout("0.25"), milliseconds(250));
    EXPECT_EQ(detail::scrape_timeout("1e99"), milliseconds(3600000));
    EXPECT_EQ(detail::scrape_timeout("inf"), milliseconds(3600000));
    EXPECT_EQ(detail::scrape_timeout("0.0000001"), milliseconds(1));
    for (const char* bad : {"", "0", "-1", "nan", "ten", "10s", "+1"}) {
        EXPECT_FALSE(detail::scrape_timeout(bad)) << bad;
    }
}

} // namespace
} // namespace weft
