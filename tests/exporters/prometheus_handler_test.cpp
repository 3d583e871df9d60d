#include "coroutine.hpp"
#include "decompress.hpp"
#include "prometheus_parser.hpp"
#include "prometheus_points.hpp"

#include <weft/exporters/prometheus_handler.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <functional>
#include <future>
#include <string>

namespace weft {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view open_metrics_accept =
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8";

class PrometheusHandlerTest : public ::testing::Test {
protected:
    PrometheusHandler handler(PrometheusHandlerOptions options = {}) {
        return PrometheusHandler(
            [this](MetricVisitor& visitor) { return collect(visitor); },
            encoded_attributes({{"service.name", "shop"}}), std::move(options), log);
    }

    asio::awaitable<void> collect(MetricVisitor& visitor) {
        ++collections;
        EXPECT_EQ(++under_way, 1) << "two collections at a time";
        if (wait) {
            asio::steady_timer timer(co_await asio::this_coro::executor, wait_time);
            co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        if (failure) {
            --under_way;
            throw std::runtime_error("callback\nfailed");
        }
        put_numbers<std::int64_t>(visitor, counter("requests"), {{&series_, collections.load()}});
        put_numbers<std::int64_t>(visitor, gauge("level"), {{&series_, 5}});
        --under_way;
    }

    PrometheusResponse ask(const PrometheusHandler& handler, PrometheusRequest request) {
        PrometheusResponse response;
        run(io, [&]() -> asio::awaitable<void> { response = co_await handler.handle(request); });
        return response;
    }

    static PrometheusRequest get(std::string_view target = "/metrics") {
        PrometheusRequest request{};
        request.method = "GET";
        request.target = target;
        return request;
    }

    static std::string header(const PrometheusResponse& response, std::string_view name) {
        for (const auto& field : response.headers) {
            if (field.name == name) { return field.value; }
        }
        return "";
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
    MetricSeries series_ = series({{"k.x", "v"}});
    std::atomic<int> collections{0};
    std::atomic<int> under_way{0};
    bool wait = false;
    bool failure = false;
    std::chrono::milliseconds wait_time{0};
    asio::io_context io{1};
};

TEST_F(PrometheusHandlerTest, AnswersInTheTextFormatWhenNothingIsAskedFor) {
    const auto served = handler();
    const auto response = ask(served, get());
    EXPECT_EQ(response.status, 200u);
    EXPECT_EQ(response.content_type, "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(response.content_encoding, "");
    EXPECT_EQ(response.content_length, response.body.size());
    EXPECT_THAT(response.body, HasSubstr("target_info{service_name=\"shop\"} 1\n"));
    EXPECT_THAT(
        response.body,
        HasSubstr(
            "requests_total{otel_scope_name=\"lib\",otel_scope_version=\"1.2\",k_x=\"v\"} 1\n"));
    EXPECT_NO_THROW(ExpositionParser::parse(response.body, false));
}

TEST_F(PrometheusHandlerTest, CollectsForEveryScrape) {
    const auto served = handler();
    EXPECT_THAT(ask(served, get()).body, HasSubstr("k_x=\"v\"} 1\n"));
    EXPECT_THAT(ask(served, get()).body, HasSubstr("k_x=\"v\"} 2\n"));
    EXPECT_EQ(served.stats().scrapes, 2u);
}

TEST_F(PrometheusHandlerTest, AnswersInTheFormatThatIsAskedFor) {
    const auto served = handler();
    auto request = get();
    request.accept = open_metrics_accept;
    const auto response = ask(served, request);
    EXPECT_THAT(response.content_type, HasSubstr("application/openmetrics-text; version=1.0.0"));
    EXPECT_THAT(response.body, HasSubstr("# EOF\n"));
    EXPECT_NO_THROW(ExpositionParser::parse(response.body, true));
}

TEST_F(PrometheusHandlerTest, CompressesToTheSameText) {
    const auto served = handler();
    auto request = get("/metrics?name[]=level");
    const auto identity = ask(served, request);
    request.accept_encoding = "gzip";
    const auto compressed = ask(served, request);
    EXPECT_EQ(compressed.content_encoding, "gzip");
    EXPECT_EQ(compressed.content_length, compressed.body.size());
    EXPECT_EQ(decode_body("gzip", compressed.body), identity.body);
}

TEST_F(PrometheusHandlerTest, ExposesOnlyWhatTheQueryNames) {
    const auto served = handler();
    const auto body = ask(served, get("/metrics?name%5B%5D=level&name[]=nothing")).body;
    EXPECT_THAT(body, HasSubstr("# TYPE level gauge"));
    EXPECT_THAT(body, Not(HasSubstr("requests")));
    EXPECT_THAT(body, Not(HasSubstr("target_info")));
}

TEST_F(PrometheusHandlerTest, RefusesAQueryThatCannotBeRead) {
    const auto served = handler();
    EXPECT_EQ(ask(served, get("/metrics?name[]=%zz")).status, 400u);
    std::string many = "/metrics?";
    for (int i = 0; i < 257; ++i) { many += "name[]=a&"; }
    EXPECT_EQ(ask(served, get(many)).status, 400u);
    EXPECT_EQ(collections, 0);
}

TEST_F(PrometheusHandlerTest, AnswersAHeadWithoutTheBodyAndWithItsLength) {
    const auto served = handler();
    auto request = get("/metrics?name[]=level");
    const auto whole = ask(served, request);
    request.method = "HEAD";
    const auto head = ask(served, request);
    EXPECT_EQ(head.status, 200u);
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.content_length, whole.body.size());
}

TEST_F(PrometheusHandlerTest, TakesNoOtherMethodsAndPaths) {
    const auto served = handler();
    for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", ""}) {
        auto request = get();
        request.method = method;
        const auto response = ask(served, request);
        EXPECT_EQ(response.status, 405u) << method;
        EXPECT_EQ(header(response, "Allow"), "GET, HEAD");
    }
    for (const char* target : {"/", "/metrics/", "/metric", "", "*", "metrics"}) {
        EXPECT_EQ(ask(served, get(target)).status, 404u) << target;
    }
    EXPECT_EQ(ask(served, get("http://h:1/metrics?x=y")).status, 200u);
    PrometheusHandlerOptions options;
    options.path = "";
    EXPECT_EQ(ask(handler(options), get("/anything")).status, 200u);
}

struct AuthCase {
    const char* authorization;
    unsigned status;
};

TEST_F(PrometheusHandlerTest, AsksForBasicCredentials) {
    PrometheusHandlerOptions options;
    options.auth.user = "prom";
    options.auth.password = "s3cret:x";
    const auto served = handler(options);
    for (const auto& [authorization, status] : {
             AuthCase{"Basic cHJvbTpzM2NyZXQ6eA==", 200}, // prom:s3cret:x
             AuthCase{"basic cHJvbTpzM2NyZXQ6eA", 200},
             AuthCase{"", 401},
             AuthCase{"Basic", 401},
             AuthCase{"Basic cHJvbTpzM2NyZXQ6eQ==", 401}, // prom:s3cret:y
             AuthCase{"Basic cHJvbTpzM2NyZXQ6", 401},
             AuthCase{"Basic b3RoZXI6czNjcmV0Ong=", 401}, // other:s3cret:x
             AuthCase{"Basic OnMzY3JldDp4", 401},
             AuthCase{"Basic ", 401},
             AuthCase{"Bearer s3cret:x", 401},
             AuthCase{"Basic \xff\xfe", 401},
         }) {
        auto request = get();
        request.authorization = authorization;
        const auto response = ask(served, request);
        EXPECT_EQ(response.status, status) << authorization;
        if (status == 200) { continue; }
        EXPECT_EQ(response.body, "unauthorized\n") << "no hint at what was wrong";
        EXPECT_THAT(header(response, "WWW-Authenticate"), HasSubstr("Basic realm="));
    }
    EXPECT_EQ(served.stats().unauthorized, 9u);
    EXPECT_EQ(collections, 2);
    EXPECT_TRUE(messages.empty());
}

TEST_F(PrometheusHandlerTest, AsksForABearerToken) {
    PrometheusHandlerOptions options;
    options.auth.bearer_tokens = {"alpha", "beta"};
    const auto served = handler(options);
    for (const auto& [authorization, status] : {
             AuthCase{"Bearer alpha", 200},
             AuthCase{"bearer beta", 200},
             AuthCase{"Bearer alph", 401},
             AuthCase{"Bearer alphaa", 401},
             AuthCase{"Bearer", 401},
             AuthCase{"Basic YWxwaGE=", 401},
             AuthCase{"", 401},
         }) {
        auto request = get();
        request.authorization = authorization;
        const auto response = ask(served, request);
        EXPECT_EQ(response.status, status) << authorization;
        if (status == 401) {
            EXPECT_THAT(header(response, "WWW-Authenticate"), HasSubstr("Bearer"));
        }
    }
}

TEST_F(PrometheusHandlerTest, TakesEitherOfPasswordAndToken) {
    PrometheusHandlerOptions options;
    options.auth.user = "a";
    options.auth.password = "b";
    options.auth.bearer_tokens = {"t"};
    const auto served = handler(options);
    for (const char* authorization : {"Basic YTpi", "Bearer t"}) {
        auto request = get();
        request.authorization = authorization;
        EXPECT_EQ(ask(served, request).status, 200u) << authorization;
    }
    EXPECT_EQ(ask(served, get()).status, 401u);
}

TEST_F(PrometheusHandlerTest, ForbidsACertificateThatIsNotOnTheList) {
    PrometheusHandlerOptions options;
    options.auth.client_subjects = {"CN=prometheus,O=Example"};
    options.auth.bearer_tokens = {"t"};
    const auto served = handler(options);
    auto request = get();
    request.authorization = "Bearer t";
    EXPECT_EQ(ask(served, request).status, 401u) << "no certificate";
    request.client_subject = "CN=prometheus,O=Example";
    EXPECT_EQ(ask(served, request).status, 401u) << "not verified";
    request.has_client_certificate = true;
    EXPECT_EQ(ask(served, request).status, 200u);
    request.client_subject = "CN=prometheus,O=Other";
    EXPECT_EQ(ask(served, request).status, 403u);
    EXPECT_EQ(ask(served, request).body, "forbidden\n");
    request.authorization = "";
    EXPECT_EQ(ask(served, request).status, 401u) << "the token comes first";
}

TEST_F(PrometheusHandlerTest, TellsAStrangerNothingOfPathsAndMethods) {
    PrometheusHandlerOptions options;
    options.auth.bearer_tokens = {"t"};
    const auto served = handler(options);
    auto request = get("/elsewhere?name[]=%");
    request.method = "POST";
    EXPECT_EQ(ask(served, request).status, 401u);
}

TEST_F(PrometheusHandlerTest, ReadsThePasswordOfAFile) {
    const auto path = ::testing::TempDir() + "weft_password_" + std::to_string(getpid());
    std::ofstream(path) << "b\n";
    PrometheusHandlerOptions options;
    options.auth.user = "a";
    options.auth.password_file = path;
    auto request = get();
    request.authorization = "Basic YTpi";
    EXPECT_EQ(ask(handler(options), request).status, 200u);
    std::remove(path.c_str());
    try {
        static_cast<void>(handler(options));
        FAIL() << "the file is gone";
    } catch (const std::invalid_argument& error) {
        EXPECT_THAT(error.what(), HasSubstr("auth.password_file " + path));
    }
}

TEST_F(PrometheusHandlerTest, NamesWhatIsWrongWithItsOptionsAndKeepsSecrets) {
    const auto problem = [](auto change) {
        PrometheusHandlerOptions options;
        change(options);
        const auto text = problem_in(options);
        EXPECT_THAT(text, Not(HasSubstr("s3cret")));
        return text;
    };
    EXPECT_EQ(problem([](auto&) {}), "");
    EXPECT_THAT(problem([](auto& o) { o.path = "metrics"; }), HasSubstr("path is \"metrics\""));
    EXPECT_THAT(
        problem([](auto& o) { o.scrapes_max = 0; }),
        HasSubstr("scrapes_max is 0: allowed is 1 to 64"));
    EXPECT_THAT(problem([](auto& o) { o.gzip_level = 13; }), HasSubstr("gzip_level is 13"));
    EXPECT_THAT(
        problem([](auto& o) { o.scrape_timeout = 1ms; }), HasSubstr("scrape_timeout is 1 ms"));
    EXPECT_THAT(problem([](auto& o) { o.auth.user = "a"; }), HasSubstr("without a password"));
    EXPECT_THAT(problem([](auto& o) { o.auth.password = "s3cret"; }), HasSubstr("auth.user"));
    EXPECT_THAT(problem([](auto& o) { o.auth = {"a:b", "s3cret", {}, {}, {}}; }), HasSubstr("':'"));
    EXPECT_THAT(
        problem([](auto& o) {
            o.auth = {"a", "s3cret", "file", {}, {}};
        }),
        HasSubstr("only one"));
    EXPECT_THAT(
        problem([](auto& o) { o.auth.bearer_tokens = {"s3cret token"}; }),
        HasSubstr("bearer_tokens"));
    EXPECT_THAT(
        problem([](auto& o) { o.auth.client_subjects = {""}; }), HasSubstr("client_subjects"));
    EXPECT_THROW(
        [this] {
            PrometheusHandlerOptions options;
            options.scrapes_max = 0;
            static_cast<void>(handler(options));
        }(),
        std::invalid_argument);
}

TEST_F(PrometheusHandlerTest, SendsAwayScrapesBeyondItsLimit) {
    wait = true;
    wait_time = 50ms;
    PrometheusHandlerOptions options;
    options.scrapes_max = 2;
    const auto served = handler(options);
    int done = 0;
    int busy = 0;
    std::vector<std::string> bodies;
    run(io, [&]() -> asio::awaitable<void> {
        for (int i = 0; i < 5; ++i) {
            asio::co_spawn(io, served.handle(get()), [&](std::exception_ptr, PrometheusResponse r) {
                ++done;
                if (r.status == 503) {
                    ++busy;
                    EXPECT_EQ(header(r, "Retry-After"), "1");
                } else {
                    bodies.push_back(r.body);
                }
            });
        }
        EXPECT_TRUE(co_await eventually([&] { return done == 5; }));
    });
    EXPECT_EQ(busy, 3);
    EXPECT_EQ(collections, 2) << "one after the other, each its own";
    EXPECT_EQ(served.stats().busy, 3u);
    ASSERT_EQ(bodies.size(), 2u);
    EXPECT_NE(bodies[0], bodies[1]);
}

TEST_F(PrometheusHandlerTest, GivesUpWhenTimeIsOver) {
    wait = true;
    wait_time = 1h; // Ends by cancellation.
    PrometheusHandlerOptions options;
    options.scrape_timeout = 30ms;
    const auto served = handler(options);
    const auto response = ask(served, get());
    EXPECT_EQ(response.status, 503u);
    EXPECT_EQ(header(response, "Retry-After"), "1");
    EXPECT_EQ(served.stats().timeouts, 1u);
    wait = false;
    EXPECT_EQ(ask(served, get()).status, 200u) << "the turn has come back";
}

TEST_F(PrometheusHandlerTest, KeepsToTheTimeThatTheScraperGives) {
    wait = true;
    wait_time = 1h;
    const auto served = handler();
    auto request = get();
    request.scrape_timeout = "0.05";
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(ask(served, request).status, 503u);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "not the ten of the options";
}

TEST_F(PrometheusHandlerTest, CollectsNothingWhileACollectionThatTookTooLongGoesOn) {
    std::atomic<bool> may_end{false};
    int begun = 0;
    PrometheusHandlerOptions options;
    options.scrape_timeout = 30ms;
    const PrometheusHandler served(
        [&](MetricVisitor&) -> asio::awaitable<void> {
            ++begun;
            // Deaf to cancellation.
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
            asio::steady_timer timer(co_await asio::this_coro::executor);
            while (!may_end) {
                timer.expires_after(1ms);
                co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
            }
        },
        "", options, log);
    EXPECT_EQ(ask(served, get()).status, 503u);
    EXPECT_EQ(ask(served, get()).status, 503u);
    EXPECT_EQ(begun, 1);
    may_end = true;
    unsigned status = 503;
    for (int i = 0; i < 100 && status != 200; ++i) { status = ask(served, get()).status; }
    EXPECT_EQ(status, 200u);
}

TEST_F(PrometheusHandlerTest, AnswersAFailureWithoutItsText) {
    failure = true;
    const auto served = handler();
    const auto response = ask(served, get());
    EXPECT_EQ(response.status, 500u);
    EXPECT_EQ(response.body, "the collection failed\n");
    EXPECT_EQ(served.stats().failures, 1u);
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0], "a scrape failed: callback failed");
    failure = false;
    EXPECT_EQ(ask(served, get()).status, 200u);
}

TEST_F(PrometheusHandlerTest, AnswersManyThreads) {
    constexpr int count = 40;
    PrometheusHandlerOptions options;
    options.scrapes_max = 64;
    const auto served = handler(options);
    asio::thread_pool pool(4);
    std::atomic<int> good{0};
    for (int i = 0; i < count; ++i) {
        auto request = get();
        if (i % 2 == 0) { request.accept = open_metrics_accept; }
        if (i % 3 == 0) { request.accept_encoding = "gzip"; }
        asio::co_spawn(
            pool, served.handle(request),
            [&](std::exception_ptr error, PrometheusResponse response) {
                if (error || response.status != 200) { return; }
                const auto body = decode_body(response.content_encoding, response.body, 1u << 20);
                const bool open = response.content_type.starts_with("application/");
                if (!ExpositionParser::parse(body, open).empty()) { ++good; }
            });
    }
    pool.join();
    EXPECT_EQ(good, count);
    EXPECT_EQ(collections, count);
}

TEST_F(PrometheusHandlerTest, ServesBeastsRequestsAndResponses) {
    namespace http = boost::beast::http;
    const auto served = handler();
    http::request<http::empty_body> request(http::verb::get, "/metrics", 11);
    request.set(http::field::accept, open_metrics_accept);
    request.set(http::field::accept_encoding, "gzip");
    request.set("X-Prometheus-Scrape-Timeout-Seconds", "5");
    EXPECT_EQ(prometheus_request(request).scrape_timeout, "5");
    http::response<http::string_body> response;
    fill(response, ask(served, prometheus_request(request)));
    EXPECT_EQ(response.result_int(), 200u);
    EXPECT_EQ(response["Content-Encoding"], "gzip");
    EXPECT_EQ(response["Content-Length"], std::to_string(response.body().size()));
    EXPECT_THAT(decode_body("gzip", response.body(), 1u << 20), HasSubstr("# EOF\n"));
}

TEST(PrometheusVariables, SetHostAndPort) {
    PrometheusServerOptions options;
    EXPECT_EQ(read_prometheus_variables("", "", options), "");
    EXPECT_EQ(options.host, "localhost");
    EXPECT_EQ(options.port, 9464);
    EXPECT_EQ(read_prometheus_variables("0.0.0.0", "0", options), "");
    EXPECT_EQ(options.host, "0.0.0.0");
    EXPECT_EQ(options.port, 0);
    for (const char* bad : {"x", "-1", "65536", "80 ", "0x50"}) {
        EXPECT_THAT(
            read_prometheus_variables("", bad, options),
            HasSubstr(
                "OTEL_EXPORTER_PROMETHEUS_PORT is \"" + std::string(bad) +
                "\": allowed is 0 to 65535"));
        EXPECT_EQ(options.port, 0);
    }
}

} // namespace
} // namespace weft
