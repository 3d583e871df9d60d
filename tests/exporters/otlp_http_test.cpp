#include "sink_fixture.hpp"

#include <weft/exporters/otlp_http.hpp>

#include <gtest/gtest.h>
#include <protozero/pbf_writer.hpp>

#include <cmath>
#include <ctime>
#include <string>

namespace weft::testing {
namespace {

using ::testing::HasSubstr;

const ReplyHeaders protobuf{{"Content-Type", "application/x-protobuf"}};

std::string partial_success(std::int64_t rejected, const std::string& message) {
    std::string body;
    protozero::pbf_writer response(body);
    protozero::pbf_writer partial(response, 1);
    if (rejected != 0) { partial.add_int64(1, rejected); }
    if (!message.empty()) { partial.add_string(2, message); }
    partial.commit();
    return body;
}

using OtlpHttpSinkTest = SinkTest;

TEST_F(OtlpHttpSinkTest, SendsABatchAsOtlpAsks) {
    auto given = options();
    given.url.target = "/base/v1/traces";
    given.headers = {{"Authorization", "Bearer t"}};
    use(given);
    const auto batch = make_batch(7);

    const auto outcome = send(batch);

    EXPECT_EQ(outcome.exported, 7u);
    EXPECT_EQ(outcome.attempts, 1);
    EXPECT_EQ(outcome.status, 200);
    ASSERT_EQ(server.request_count(), 1u);
    const auto request = server.requests().front();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.target, "/base/v1/traces");
    EXPECT_EQ(request.header("content-type"), "application/x-protobuf");
    EXPECT_EQ(request.header("authorization"), "Bearer t");
    EXPECT_EQ(request.header("host"), "127.0.0.1:" + std::to_string(server.port()));
    EXPECT_EQ(request.header("content-encoding"), "");
    EXPECT_EQ(request.header("accept-encoding"), "")
        << "an answer could come compressed, which nobody reads";
    EXPECT_THAT(
        request.header("user-agent"),
        ::testing::MatchesRegex("weft/[0-9.]+ OTel-OTLP-Exporter-Cpp/[0-9.]+"));
    EXPECT_EQ(request.body, batch->body);
    EXPECT_TRUE(messages.empty());
}

TEST_F(OtlpHttpSinkTest, LetsAUserAgentOfTheUsersReplaceItsOwn) {
    auto given = options();
    given.headers = {{"user-agent", "mine/1"}};
    use(given);
    send();
    EXPECT_EQ(server.requests().front().header("user-agent"), "mine/1");
}

TEST_F(OtlpHttpSinkTest, SendsBodiesThatDecompressToTheSameBytes) {
    for (const auto compression : {Compression::gzip, Compression::zstd}) {
        auto given = options();
        given.compression = compression;
        use(given);
        for (const std::size_t bytes : {200u, 50'000u, 3'000'000u}) {
            const auto batch = make_batch(10, bytes);
            EXPECT_EQ(send(batch).exported, 10u);
            const auto request = server.requests().back();
            EXPECT_EQ(request.header("content-encoding"), name(compression));
            EXPECT_LT(request.body.size(), bytes);
            EXPECT_TRUE(
                decode_body(request.header("content-encoding"), request.body) == batch->body);
        }
    }
}

TEST_F(OtlpHttpSinkTest, LeavesABodyAsItIsWhenCompressionDoesNotMakeItSmaller) {
    auto given = options();
    given.compression = Compression::gzip;
    use(given);
    send(make_batch(1, 5));
    EXPECT_EQ(server.requests().front().header("content-encoding"), "");
    EXPECT_EQ(server.requests().front().body.size(), 5u);
}

TEST_F(OtlpHttpSinkTest, SendsNoRequestForABatchWithoutRecords) {
    const auto outcome = send(make_batch(0));
    EXPECT_EQ(outcome.attempts, 0);
    EXPECT_EQ(server.connections(), 0u);
}

TEST_F(OtlpHttpSinkTest, KeepsOneConnectionForManyBatches) {
    for (int i = 0; i < 10; ++i) { EXPECT_EQ(send().exported, 10u); }
    EXPECT_EQ(server.connections(), 1u);
}

TEST_F(OtlpHttpSinkTest, DoesNotCountAStaleConnectionAsAFailedAttempt) {
    server.script({answer(200), hang_up(), answer(200), answer(200).then_close(), answer(200)});
    for (int i = 0; i < 4; ++i) {
        const auto outcome = send();
        EXPECT_EQ(outcome.exported, 10u);
        EXPECT_EQ(outcome.attempts, 1);
    }
    EXPECT_EQ(server.connections(), 3u);
    EXPECT_TRUE(messages.empty());
}

// Section "Partial Success" of the OTLP specification.
TEST_F(OtlpHttpSinkTest, CountsWhatAPartialSuccessRejectedAndDoesNotSendAgain) {
    server.script({answer(200, protobuf, partial_success(3, "span too old"))});
    const auto outcome = send();
    EXPECT_EQ(outcome.exported, 7u);
    EXPECT_EQ(outcome.rejected, 3u);
    EXPECT_EQ(server.request_count(), 1u);
    EXPECT_TRUE(reported(
        "warning: traces export to http://127.0.0.1:" + std::to_string(server.port()) +
        "/v1/traces: 3 of 10 records rejected by the receiver: span too old"));
}

TEST_F(OtlpHttpSinkTest, BoundsTheRejectedCountByWhatWasSent) {
    server.script({answer(200, protobuf, partial_success(1'000'000, ""))});
    const auto outcome = send();
    EXPECT_EQ(outcome.exported, 0u);
    EXPECT_EQ(outcome.rejected, 10u);
}

TEST_F(OtlpHttpSinkTest, TakesAnEmptyPartialSuccessForFullSuccess) {
    server.script({answer(200, protobuf, partial_success(0, ""))});
    EXPECT_EQ(send().exported, 10u);
    EXPECT_TRUE(messages.empty());
}

TEST_F(OtlpHttpSinkTest, SurfacesAWarningOfTheReceiver) {
    server.script({answer(200, protobuf, partial_success(0, "use v2"))});
    EXPECT_EQ(send().exported, 10u);
    EXPECT_TRUE(reported("warning: "));
    EXPECT_TRUE(reported("accepted with a warning: use v2"));
}

TEST_F(OtlpHttpSinkTest, AcceptsASuccessWithARubbishBodyAndSaysSo) {
    server.script(
        {answer(200, protobuf, "\xff\xff\xff"),
         answer(200, {{"Content-Type", "text/html"}}, "<title>Login</title>")});
    EXPECT_EQ(send().exported, 10u);
    EXPECT_EQ(send().exported, 10u);
    EXPECT_TRUE(reported("not an OTLP response: Login"));
    EXPECT_TRUE(std::any_of(messages.begin(), messages.end(), [](const std::string& message) {
        return message.ends_with("not an OTLP response");
    }));
    EXPECT_EQ(server.request_count(), 2u);
}

TEST_F(OtlpHttpSinkTest, RetriesEachRetryableStatusWithTheSameBytes) {
    auto given = options();
    given.compression = Compression::gzip;
    use(given);
    for (const int status : {429, 502, 503, 504}) {
        const auto before = server.request_count();
        server.script({answer(status), answer(status)});

        const auto outcome = send();

        EXPECT_EQ(outcome.exported, 10u) << status;
        EXPECT_EQ(outcome.attempts, 3) << status;
        const auto requests = server.requests();
        ASSERT_EQ(requests.size(), before + 3) << status;
        EXPECT_EQ(requests[before].body, requests[before + 1].body);
        EXPECT_EQ(requests[before].body, requests[before + 2].body);
        EXPECT_TRUE(reported("http_" + std::to_string(status)));
    }
}

TEST_F(OtlpHttpSinkTest, DropsOnEachOtherStatus) {
    for (const int status :
         {300, 301, 304, 400, 401, 403, 404, 408, 413, 415, 422, 500, 501, 505, 599}) {
        const auto before = server.request_count();
        server.script({answer(status, {{"Retry-After", "1"}})});

        const auto outcome = send();

        EXPECT_EQ(outcome.dropped, 10u) << status;
        EXPECT_EQ(outcome.reason, DropReason::rejected_by_status) << status;
        EXPECT_EQ(outcome.status, status);
        EXPECT_EQ(outcome.attempts, 1) << status;
        EXPECT_EQ(outcome.detail, "http_" + std::to_string(status));
        EXPECT_EQ(server.request_count(), before + 1) << status;
    }
    EXPECT_TRUE(reported("error: "));
    EXPECT_TRUE(reported("10 records dropped, rejected_by_status (http_400)"));
}

TEST_F(OtlpHttpSinkTest, TellsTheReceiversWordsButNoControlCharacters) {
    server.script({answer(400, {{"Content-Type", "text/plain"}}, "bad\r\nspan\x1b[0m")});
    const auto outcome = send();
    EXPECT_EQ(outcome.detail, "http_400: bad");
    server.script(
        {answer(400, {{"Content-Type", "text/plain; charset=utf-8"}}, "\n a\x1b[0m b\n")});
    EXPECT_EQ(send().detail, "http_400: a [0m b");
    EXPECT_TRUE(reported("10 records dropped, rejected_by_status (http_400: bad)"));
}

TEST_F(OtlpHttpSinkTest, AsksForTheEndpointWhenAnAnswerIsNoOtlpServers) {
    for (const int status : {302, 308, 404}) {
        messages.clear();
        server.script({answer(status)});
        send();
        EXPECT_TRUE(reported(
            "(http_" + std::to_string(status) +
            "); is this an OTLP/HTTP endpoint? /v1/traces is appended to "
            "OTEL_EXPORTER_OTLP_ENDPOINT"));
    }
    messages.clear();
    server.script({answer(404)});
    auto metrics = *make_batch();
    metrics.signal = Signal::metrics;
    send(std::make_shared<const Batch>(metrics));
    EXPECT_TRUE(reported("/v1/metrics is appended to OTEL_EXPORTER_OTLP_ENDPOINT, but not to "
                         "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"));
    messages.clear();
    server.script({answer(400)});
    send();
    EXPECT_FALSE(reported("endpoint?"));
}

TEST_F(OtlpHttpSinkTest, SaysOnceThatExportWorksAgain) {
    server.script({answer(200), answer(503), answer(503), answer(200), answer(200)});
    send();
    EXPECT_FALSE(reported("works again"));
    send();
    EXPECT_TRUE(reported("info: traces export to"));
    EXPECT_TRUE(reported("works again, 0 s after the first failure"));
    messages.clear();
    send();
    EXPECT_FALSE(reported("works again"));
}

TEST_F(OtlpHttpSinkTest, RetriesARefusedConnectionUntilItIsUp) {
    LoopbackServer late(io.get_executor(), LoopbackServer::Start::refusing);
    use(options_for(late.port()));
    const auto batch = make_batch();
    SendOutcome outcome;
    std::optional<SendOutcome> result;
    asio::co_spawn(io, sink->send(batch), [&](std::exception_ptr, SendOutcome got) {
        result = std::move(got);
    });
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return reported("Connection refused"); }));
        EXPECT_FALSE(result);
        late.listen();
        EXPECT_TRUE(co_await eventually([&] { return result.has_value(); }));
    });
    ASSERT_TRUE(result);
    EXPECT_EQ(result->exported, 10u);
    EXPECT_GE(result->attempts, 2);
    expect_balanced(*result, *batch);
    EXPECT_EQ(late.request_count(), 1u);
}

TEST_F(OtlpHttpSinkTest, RetriesWhateverBreaksAConnection) {
    const auto good = answer(200, {}, "0123456789");
    for (const auto& broken :
         {hang_up(), reset(), close_unread(), reset_unread(), Reply(good).cut_to(5).then_close(),
          Reply(good).cut_to(5).then_reset(),
          Reply(good).cut_to(good.bytes.size() - 1).then_close(),
          Reply(good).cut_to(good.bytes.size() - 1).then_reset()}) {
        const auto before = server.request_count();
        use(options()); // A sink of its own, hence a fresh connection: nothing is retried in
                        // silence.
        server.script({broken});

        const auto outcome = send();

        EXPECT_EQ(outcome.exported, 10u);
        EXPECT_EQ(outcome.attempts, 2);
        EXPECT_LE(server.request_count(), before + 2);
    }
}

TEST_F(OtlpHttpSinkTest, RetriesAGarbledAnswer) {
    server.script({raw("\x16\x03\x01 not http\r\n\r\n")});
    const auto outcome = send();
    EXPECT_EQ(outcome.exported, 10u);
    EXPECT_EQ(outcome.attempts, 2);
    EXPECT_TRUE(reported("malformed response"));
}

TEST_F(OtlpHttpSinkTest, RetriesAfterATimeout) {
    auto given = options();
    given.timeout = 50ms;
    use(given);
    server.script({silence(), answer(200, {}, std::string(1000, 'x')).slowly(1ms)});
    const auto outcome = send();
    EXPECT_EQ(outcome.exported, 10u);
    EXPECT_EQ(outcome.attempts, 3);
    EXPECT_TRUE(reported("timed out"));
}

TEST_F(OtlpHttpSinkTest, RetriesAHostThatIsNotFound) {
    auto given = options();
    given.url.host = "no-such-host.invalid";
    given.retry.max_elapsed = 20ms;
    use(given);
    const auto outcome = send();
    EXPECT_EQ(outcome.dropped, 10u);
    EXPECT_EQ(outcome.reason, DropReason::retry_exhausted);
}

TEST_F(OtlpHttpSinkTest, GivesUpWhenTheRetryLimitIsOver) {
    auto given = options();
    given.retry.max_elapsed = 30ms;
    use(given);
    server.set_default(answer(503));
    const auto began = std::chrono::steady_clock::now();

    const auto outcome = send();

    EXPECT_EQ(outcome.dropped, 10u);
    EXPECT_EQ(outcome.reason, DropReason::retry_exhausted);
    EXPECT_EQ(outcome.status, 503);
    EXPECT_GT(outcome.attempts, 2);
    EXPECT_GE(std::chrono::steady_clock::now() - began, 25ms);
    EXPECT_TRUE(reported("10 records dropped, retry_exhausted (http_503)"));
}

TEST_F(OtlpHttpSinkTest, TriesOnceWhenTheRetryLimitIsZero) {
    auto given = options();
    given.retry.max_elapsed = 0ms;
    use(given);
    server.set_default(answer(503, {{"Retry-After", "1"}}));
    EXPECT_EQ(send().attempts, 1);
    EXPECT_EQ(send().reason, DropReason::retry_exhausted);
}

TEST_F(OtlpHttpSinkTest, WaitsAsLongAsRetryAfterSays) {
    server.script({answer(503, {{"Retry-After", "1"}})});
    const auto began = std::chrono::steady_clock::now();
    const auto outcome = send();
    EXPECT_EQ(outcome.exported, 10u);
    EXPECT_EQ(outcome.attempts, 2);
    EXPECT_GE(std::chrono::steady_clock::now() - began, 1s);
}

TEST_F(OtlpHttpSinkTest, WaitsUntilTheDateThatRetryAfterNames) {
    const auto date = std::time(nullptr) + 2;
    char text[64] = {};
    std::tm parts = {};
    gmtime_r(&date, &parts);
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    server.script({answer(429, {{"Retry-After", text}})});

    EXPECT_EQ(send().exported, 10u);

    EXPECT_GE(std::time(nullptr), date);
}

TEST_F(OtlpHttpSinkTest, ObeysRetryAfterBeyondTheRetryLimit) {
    auto given = options();
    given.retry.max_elapsed = 50ms;
    use(given);
    server.script({answer(503, {{"Retry-After", "1"}})});
    EXPECT_EQ(send().exported, 10u);
}

TEST_F(OtlpHttpSinkTest, FallsBackToItsOwnWaitsWithoutAUsableRetryAfter) {
    server.script(
        {answer(503, {{"Retry-After", "0"}}), answer(503, {{"Retry-After", "soon"}}),
         answer(503, {{"Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"}})});
    const auto outcome = send();
    EXPECT_EQ(outcome.exported, 10u);
    EXPECT_EQ(outcome.attempts, 4);
}

TEST_F(OtlpHttpSinkTest, ParksEveryBatchOfADestination) {
    auto given = options();
    given.connections = 2;
    use(given);
    server.script({answer(503, {{"Retry-After", "3600"}})});
    const auto batch = make_batch();
    std::vector<SendOutcome> outcomes;
    const auto done = [&](std::exception_ptr, SendOutcome got) {
        outcomes.push_back(std::move(got));
    };
    asio::co_spawn(io, sink->send(batch), done);
    run(io, [&]() -> asio::awaitable<void> {
        EXPECT_TRUE(co_await eventually([&] { return reported("trying again in 36"); }));
        asio::co_spawn(io, sink->send(batch), done);
        for (int i = 0; i < 100; ++i) { co_await asio::post(io, asio::use_awaitable); }
        EXPECT_EQ(server.request_count(), 1u) << "the second batch must wait too";
        co_await sink->stop(std::chrono::steady_clock::now() + 5s);
    });
    ASSERT_EQ(outcomes.size(), 2u);
    for (const auto& outcome : outcomes) {
        expect_balanced(outcome, *batch);
        EXPECT_EQ(outcome.reason, DropReason::shutdown);
    }
}

TEST_F(OtlpHttpSinkTest, DropsAnAnswerOverTheCapWithoutRetry) {
    auto given = options();
    given.response_bytes_max = 100;
    use(given);
    for (const int status : {200, 503}) {
        server.script({answer(status, {}, std::string(101, 'x'))});
        const auto outcome = send();
        EXPECT_EQ(outcome.reason, DropReason::response_too_large);
        EXPECT_EQ(outcome.attempts, 1);
    }
}

// One that is OTLP is split: see otlp_http_parts_test.cpp.
TEST_F(OtlpHttpSinkTest, DropsARequestOverTheCapThatCannotBeSplit) {
    auto given = options();
    given.request_bytes_max = 1000;
    given.compression = Compression::gzip; // The cap counts before compression.
    use(given);
    EXPECT_EQ(send(make_batch(10, 1000)).exported, 10u);
    const auto outcome = send(make_batch(10, 1001));
    EXPECT_EQ(outcome.dropped, 10u);
    EXPECT_EQ(outcome.reason, DropReason::request_too_large);
    EXPECT_EQ(outcome.attempts, 0);
    EXPECT_EQ(server.request_count(), 1u);
}

TEST_F(OtlpHttpSinkTest, FallsBackToGzipOnceWhenZstdIsRefused) {
    for (const int status : {400, 415}) {
        messages.clear();
        const auto before = server.request_count();
        auto given = options();
        given.compression = Compression::zstd;
        use(given);
        server.script({answer(status)});
        const auto batch = make_batch();

        EXPECT_EQ(send(batch).exported, 10u);
        EXPECT_EQ(send(batch).exported, 10u);

        const auto requests = server.requests();
        ASSERT_EQ(requests.size(), before + 3);
        EXPECT_EQ(requests[before].header("content-encoding"), "zstd");
        for (const std::size_t i :
             {before + 1, before + 2}) { // The same batch again, and every later one.
            EXPECT_EQ(requests[i].header("content-encoding"), "gzip");
            EXPECT_EQ(decode_body("gzip", requests[i].body), batch->body);
        }
        EXPECT_EQ(
            std::count_if(
                messages.begin(), messages.end(),
                [](const std::string& m) { return m.find("refuses zstd") != std::string::npos; }),
            1);
        EXPECT_FALSE(reported("dropped"));
    }
}

TEST_F(OtlpHttpSinkTest, KeepsZstdWhenTheDataWasAtFault) {
    auto given = options();
    given.compression = Compression::zstd;
    use(given);
    server.script({answer(400), answer(400)});
    const auto outcome = send();
    EXPECT_EQ(outcome.reason, DropReason::rejected_by_status);
    EXPECT_EQ(outcome.attempts, 2);
    EXPECT_EQ(send().exported, 10u);
    EXPECT_EQ(server.requests().back().header("content-encoding"), "zstd");
}

TEST_F(OtlpHttpSinkTest, RemembersTheRefusalOfZstdOverRetries) {
    auto given = options();
    given.compression = Compression::zstd;
    use(given);
    server.script({answer(415), answer(503), answer(200)});
    const auto outcome = send();
    EXPECT_EQ(outcome.exported, 10u);
    EXPECT_EQ(outcome.attempts, 3);
    EXPECT_EQ(server.requests().back().header("content-encoding"), "gzip");
    EXPECT_TRUE(reported("refuses zstd"));
}

TEST_F(OtlpHttpSinkTest, DoesNotFallBackFromGzip) {
    auto given = options();
    given.compression = Compression::gzip;
    use(given);
    server.script({answer(415)});
    EXPECT_EQ(send().attempts, 1);
}

TEST_F(OtlpHttpSinkTest, NeverShowsHeadersOrTheQueryInMessages) {
    auto given = options();
    given.url.target = "/v1/traces?key=hush1";
    given.headers = {{"x-key", "hush2"}};
    use(given);
    server.script({answer(503), answer(400)});
    send();
    EXPECT_FALSE(messages.empty());
    EXPECT_FALSE(reported("hush"));
}

TEST_F(OtlpHttpSinkTest, RefusesOptionsOutOfRangeAndNamesTheOne) {
    const auto expect_refused = [this](const std::string& field, auto change) {
        auto given = options();
        change(given);
        const auto made = OtlpHttpSink::create(io.get_executor(), given, log);
        ASSERT_FALSE(made) << field;
        EXPECT_EQ(made.error(), Errc::option_out_of_range);
        EXPECT_TRUE(reported("error: OTLP exporter: " + field)) << field;
    };
    expect_refused("url", [](auto& o) { o.url.host.clear(); });
    expect_refused("url", [](auto& o) { o.url.port = 0; });
    expect_refused("url", [](auto& o) { o.url.target = "v1"; });
    expect_refused("headers", [](auto& o) { o.headers = {{"Content-Length", "1"}}; });
    expect_refused("compression_level", [](auto& o) {
        o.compression = Compression::gzip, o.compression_level = 13;
    });
    expect_refused("timeout", [](auto& o) { o.timeout = -1ms; });
    expect_refused("timeout", [](auto& o) { o.timeout = 25h; });
    expect_refused("retry.initial_backoff", [](auto& o) { o.retry.initial_backoff = 0ms; });
    expect_refused("retry.multiplier", [](auto& o) { o.retry.multiplier = 0.5; });
    expect_refused("retry.max_backoff", [](auto& o) { o.retry.max_backoff = 0ms; });
    expect_refused("retry.jitter", [](auto& o) { o.retry.jitter = 1.5; });
    expect_refused("retry.max_elapsed", [](auto& o) { o.retry.max_elapsed = -1ms; });
    expect_refused("request_bytes_max", [](auto& o) { o.request_bytes_max = 0; });
    expect_refused("response_bytes_max", [](auto& o) { o.response_bytes_max = 0; });
    expect_refused("connections", [](auto& o) { o.connections = 0; });
    expect_refused("connections", [](auto& o) { o.connections = 65; });
    expect_refused("tls.key_file", [](auto& o) { o.tls.key_file = "/k"; });
    expect_refused("proxy", [](auto& o) { o.proxy = Proxy{}; });
    expect_refused("breaker_failures", [](auto& o) { o.breaker_failures = 1001; });
}

TEST(OtlpHttpOptions, SayWhatIsAndWhatIsAllowed) {
    const auto problem_after = [](auto change) {
        OtlpHttpOptions options;
        options.url = *parse_url("http://h/v1/traces");
        change(options);
        return problem_in(options);
    };
    EXPECT_EQ(
        problem_after([](auto& o) { o.timeout = -1ms; }),
        "timeout is -1 ms: allowed is 0 to 86400000 ms");
    EXPECT_EQ(
        problem_after([](auto& o) { o.connections = 65; }),
        "connections is 65: allowed is 1 to 64");
    EXPECT_EQ(
        problem_after([](auto& o) { o.retry.jitter = 1.5; }),
        "retry.jitter is 1.5: allowed is 0 to 1");
    EXPECT_EQ(
        problem_after([](auto& o) { o.retry.jitter = std::nan(""); }),
        "retry.jitter is nan: allowed is 0 to 1");
    EXPECT_EQ(
        problem_after([](auto& o) { o.retry.max_backoff = 999ms; }),
        "retry.max_backoff is 999 ms: allowed is 1000 to 86400000 ms");
    EXPECT_EQ(
        problem_after([](auto& o) { o.compression = Compression::gzip, o.compression_level = 13; }),
        "compression_level is 13 with gzip: allowed is 0 to 12 with gzip, -7 to 19 with zstd");
}

TEST(OtlpHttpOptions, HasValidDefaults) { EXPECT_EQ(problem_in(OtlpHttpOptions()), ""); }

} // namespace
} // namespace weft::testing
