// The measurements of servers and clients by the semantic conventions: tables of "HTTP metrics", and that they agree with
// the spans.
#include "request_metrics.hpp"
#include "span_fixture.hpp"

#include <weft/testing/metrics_reference.hpp>

#include <gmock/gmock.h>

namespace weft::http::testing {
namespace {

using ::testing::ElementsAre;
using weft::testing::MetricSnapshot;
using weft::testing::SnapshotPoint;

constexpr auto duration = "http.server.request.duration";
constexpr auto client_duration = "http.client.request.duration";
constexpr std::string_view unsampled =
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\n";

class HttpMetricsTest : public SpanTest {
protected:
    /// Once the metric has so many measurements in all; cumulative.
    MetricSnapshot after(const std::string& name, std::uint64_t measurements) {
        MetricSnapshot snapshot;
        EXPECT_TRUE(eventually([&] {
            snapshot = metrics.collect();
            std::uint64_t count = 0;
            for (const auto& point : snapshot[name].points) { count += point.count; }
            return count >= measurements;
        })) << name;
        return snapshot;
    }
    /// Of the one request that there has been.
    SnapshotPoint measured(const std::string& name = duration) {
        return after(name, 1).point(name);
    }
    Result<Response> call(ClientRequest request, ClientOptions options = {}) {
        const Client client(loop.context(), std::move(options));
        return loop.run(client.request(std::move(request)));
    }

    weft::testing::MetricSource metrics;
};

TEST_F(HttpMetricsTest, HaveEveryRequiredAndRecommendedAttribute) {
    start();
    ask(get_request("/orders/7?full=1"));
    const auto seen = measured();
    EXPECT_EQ(
        seen.attributes, (Attributes{
                             {"http.request.method", "GET"},
                             {"url.scheme", "http"},
                             {"http.route", "/orders/{id}"},
                             {"http.response.status_code", "200"},
                             {"network.protocol.version", "1.1"}}));
    const auto metric = metrics.collect()[duration];
    EXPECT_EQ(metric.unit, "s");
    EXPECT_EQ(metric.kind, MetricKind::histogram);
    EXPECT_THAT(
        metric.boundaries,
        ElementsAre(
            0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0));
}

TEST_F(HttpMetricsTest, AreOnlyTheDurationsUnlessMoreIsWanted) {
    start();
    ASSERT_TRUE(call(ClientRequest("GET", url("/orders/7"))).has_value());
    const auto seen = after(duration, 1);
    EXPECT_THAT(seen.names(), ElementsAre(client_duration, duration));
}

TEST_F(HttpMetricsTest, LastExactlyAsLongAsTheSpan) {
    start();
    ask(get_request("/orders/7"));
    const auto seen = measured();
    std::vector<weft::testing::SunkSpan> spans;
    ASSERT_TRUE(eventually([&] {
        for (auto& span : sink.take()) { spans.push_back(std::move(span)); }
        return !spans.empty();
    }));
    const auto& header = spans.front().header;
    EXPECT_EQ(seen.sum, static_cast<double>(header.end_unix_ns - header.start_unix_ns) / 1e9);
}

TEST_F(HttpMetricsTest, AreTakenWithoutAnySpan) {
    start({.traced = false});
    ask(get_request("/orders/7"));
    const auto seen = measured();
    EXPECT_EQ(seen["http.route"], "/orders/{id}");
    EXPECT_GT(seen.sum, 0);
    EXPECT_LT(seen.sum, 60);
    EXPECT_EQ(spans_in_the_end(), 0U);
}

TEST_F(HttpMetricsTest, AreTakenOfARequestThatIsNotSampled) {
    start();
    ask(get_request("/orders/7", unsampled));
    const auto seen = measured();
    EXPECT_EQ(seen["http.response.status_code"], "200");
    EXPECT_GT(seen.sum, 0);
    EXPECT_LT(seen.sum, 60);
    EXPECT_EQ(spans_in_the_end(), 0U);
}

TEST_F(HttpMetricsTest, NameTheSpanAsAnExemplar) {
    start();
    ask(get_request("/orders/7"));
    const auto seen = measured();
    EXPECT_THAT(seen.exemplar_spans, ElementsAre(span().id));
}

TEST_F(HttpMetricsTest, NameErrorsAsTheSpanDoes) {
    start({.handler_timeout = milliseconds(60)});
    ask(get_request("/fail/500"));
    ask(get_request("/throw"));
    ask(get_request("/gate")); // 503
    ask(get_request("/fail/404"));
    gate.open();
    const auto seen = after(duration, 4);
    for (const auto& span : spans(4)) {
        const auto point = seen.point(duration, "http.route", span["http.route"]);
        if (span["http.route"] == "/fail/{status}") { continue; } // Two points: below.
        EXPECT_EQ(point["error.type"], span["error.type"]) << span.name;
        EXPECT_EQ(point["http.response.status_code"], span["http.response.status_code"]);
    }
    EXPECT_EQ(seen.point(duration, "http.route", "/throw")["error.type"], "500");
    EXPECT_EQ(seen.point(duration, "http.route", "/gate")["error.type"], "503");
    EXPECT_EQ(seen.point(duration, "http.response.status_code", "404")["error.type"], "(absent)");
}

TEST_F(HttpMetricsTest, CountWhatEndedWithoutAnAnswer) {
    start();
    {
        auto socket = RawSocket::connect(server->port());
        ASSERT_TRUE(
            socket.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n12"));
    }
    auto seen = measured();
    EXPECT_EQ(seen["error.type"], "connection_closed");
    EXPECT_EQ(seen["http.response.status_code"], "(absent)");
    {
        auto socket = RawSocket::connect(server->port());
        ASSERT_TRUE(socket.send(get_request("/gate")));
        ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));
        socket.reset();
    }
    gate.open();
    seen = after(duration, 2).point(duration, "http.route", "/gate");
    EXPECT_EQ(seen["error.type"], "connection_reset");
}

TEST_F(HttpMetricsTest, CoverRequestsThatAreRefusedAfterTheirHeader) {
    start({.body_bytes_max = 10, .body_timeout = milliseconds(60)});
    ask("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 11\r\n\r\n");
    EXPECT_EQ(measured()["http.response.status_code"], "413");
    ask("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n12");
    const auto seen = after(duration, 2);
    EXPECT_EQ(seen.point(duration, "http.response.status_code", "408").count, 1U);
}

TEST_F(HttpMetricsTest, HaveAttributesThatNobodyOutsideCanMultiply) {
    start();
    ask("BREW /orders/7 HTTP/1.1\r\nHost: one\r\n\r\n");
    ask("STEEP /orders/8 HTTP/1.1\r\nHost: two\r\n\r\n");
    auto seen = measured();
    EXPECT_EQ(seen["http.request.method"], "_OTHER");
    const auto all = after(duration, 2);
    EXPECT_EQ(all[duration].points.size(), 1U) << "neither method, host nor path make a series";
    ask(get_request("/nope/1"));
    ask(get_request("/nope/2"));
    const auto unmatched = after(duration, 4).point(duration, "http.response.status_code", "404");
    EXPECT_EQ(unmatched.count, 2U);
    EXPECT_EQ(unmatched["http.route"], "(absent)");
}

TEST_F(HttpMetricsTest, KnowTwoSchemes) {
    EXPECT_EQ(detail::metric_scheme(""), "http");
    EXPECT_EQ(detail::metric_scheme("HTTPS"), "https");
    EXPECT_EQ(detail::metric_scheme("x1"), "_OTHER");
    start();
    ask(get_request("/orders/7", "X-Forwarded-Proto: https\r\n"));
    EXPECT_EQ(measured()["url.scheme"], "https");
}

TEST_F(HttpMetricsTest, ShowActiveRequestsWhenWanted) {
    constexpr auto active = "http.server.active_requests";
    start({.measure_active_requests = true});
    auto socket = RawSocket::connect(server->port());
    ASSERT_TRUE(socket.send(get_request("/gate")));
    ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));
    const auto during = metrics.collect();
    EXPECT_EQ(during.point(active).value, 1);
    EXPECT_EQ(
        during.point(active).attributes,
        (Attributes{{"http.request.method", "GET"}, {"url.scheme", "http"}}));
    EXPECT_FALSE(during[active].is_monotonic);
    EXPECT_EQ(during[active].unit, "{request}");
    gate.open();
    (void)socket.receive();
    EXPECT_EQ(after(duration, 1).point(active).value, 0);
}

TEST_F(HttpMetricsTest, ForgetNoRequestOfAServerThatIsCutOff) {
    constexpr auto active = "http.server.active_requests";
    {
        Loop own;
        Server short_lived(own.context(), {.measure_active_requests = true});
        short_lived.get("/gate", [this](Request&) { return pass_gate(); });
        auto socket = RawSocket::connect(short_lived.port());
        ASSERT_TRUE(socket.send(get_request("/gate")));
        ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));
        EXPECT_EQ(metrics.collect().point(active).value, 1);
        own.context().stop();
    }
    const auto seen = metrics.collect();
    EXPECT_EQ(seen.point(active).value, 0);
    EXPECT_EQ(seen.point(duration)["error.type"], "_OTHER");
    EXPECT_EQ(span()["error.type"], "_OTHER");
}

TEST_F(HttpMetricsTest, ShowBodySizesWhenWanted) {
    start({.measure_body_sizes = true});
    const ClientOptions options{.measure_active_requests = true, .measure_body_sizes = true};
    auto request = ClientRequest("POST", url("/echo"));
    request.set_body(std::string(300, 'x'));
    ASSERT_TRUE(call(std::move(request), options).has_value());
    const auto seen = after("http.server.response.body.size", 1);
    for (const auto* name :
         {"http.server.request.body.size", "http.server.response.body.size",
          "http.client.request.body.size", "http.client.response.body.size"}) {
        EXPECT_EQ(seen.point(name).sum, 300) << name;
        EXPECT_EQ(seen[name].unit, "By");
    }
    EXPECT_EQ(seen.point("http.client.active_requests").value, 0);
    EXPECT_EQ(
        seen.point("http.client.active_requests")["server.port"], std::to_string(server->port()));
}

TEST_F(HttpMetricsTest, AreThoseOfTheReference) {
    start({.measure_active_requests = true, .measure_body_sizes = true});
    const ClientOptions options{.measure_active_requests = true, .measure_body_sizes = true};
    ASSERT_TRUE(call(ClientRequest("GET", url("/fail/500")), options).has_value());
    const auto seen = after("http.server.response.body.size", 1);
    weft::testing::expect_documented(seen);
    weft::testing::expect_complete(seen, "http.");
}

TEST_F(HttpMetricsTest, AreNotTakenWhenToldNot) {
    start({.measured = false});
    ASSERT_TRUE(call(ClientRequest("GET", url("/orders/7")), {.measured = false}).has_value());
    (void)spans(2);
    EXPECT_THAT(metrics.collect().names(), ElementsAre());
}

TEST_F(HttpMetricsTest, OfAClientHaveEveryRequiredAndRecommendedAttribute) {
    start({.measured = false});
    ASSERT_TRUE(call(ClientRequest("GET", url("/orders/7"))).has_value());
    const auto seen = measured(client_duration);
    EXPECT_EQ(
        seen.attributes, (Attributes{
                             {"http.request.method", "GET"},
                             {"server.address", "127.0.0.1"},
                             {"server.port", std::to_string(server->port())},
                             {"http.response.status_code", "200"},
                             {"network.protocol.version", "1.1"}}));
}

TEST_F(HttpMetricsTest, OfAClientLastExactlyAsLongAsTheSpan) {
    start({.traced = false});
    ASSERT_TRUE(call(ClientRequest("GET", url("/orders/7"))).has_value());
    const auto spans = sink.take();
    ASSERT_EQ(spans.size(), 1U);
    const auto& header = spans.front().header;
    EXPECT_EQ(
        measured(client_duration).sum,
        static_cast<double>(header.end_unix_ns - header.start_unix_ns) / 1e9);
}

TEST_F(HttpMetricsTest, OfAClientNameErrorsAsTheSpanDoes) {
    start({.traced = false, .measured = false});
    (void)call(ClientRequest("GET", url("/fail/404")));
    EXPECT_EQ(measured(client_duration)["error.type"], "404");
    EXPECT_EQ(span()["error.type"], "404");
    const auto nobody = "http://127.0.0.1:" + std::to_string(unused_port()) + "/";
    (void)call(ClientRequest("GET", nobody), {.traced = false});
    auto seen = after(client_duration, 2);
    EXPECT_EQ(seen.point(client_duration, "error.type", "connection_refused").count, 1U);
    (void)call(ClientRequest("GET", url("/gate")).set_timeout(milliseconds(60)), {.traced = false});
    gate.open();
    seen = after(client_duration, 3);
    const auto late = seen.point(client_duration, "error.type", "timeout");
    EXPECT_EQ(late.count, 1U);
    EXPECT_EQ(late["http.response.status_code"], "(absent)");
}

TEST_F(HttpMetricsTest, OfAClientCallNoCancellationAnError) {
    start({.traced = false, .measured = false});
    {
        Loop own;
        const Client client(own.context(), {.measure_active_requests = true});
        auto answer = own.start(client.get(url("/gate")));
        ASSERT_TRUE(eventually([&] { return gate.arrived() == 1; }));
        own.context().stop();
    }
    gate.open();
    const auto seen = metrics.collect();
    EXPECT_EQ(seen.point("http.client.active_requests").value, 0);
    EXPECT_EQ(seen.point(client_duration).count, 1U);
    EXPECT_EQ(seen.point(client_duration)["error.type"], "(absent)");
}

} // namespace
} // namespace weft::http::testing
