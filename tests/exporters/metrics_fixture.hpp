#pragma once
// A PeriodicReader before a Drain before a scripted server, on one single-threaded context.

#include "coroutine.hpp"
#include "decompress.hpp"

#include <weft/exporters/otlp_http.hpp>
#include <weft/exporters/periodic_reader.hpp>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/testing/loopback_server.hpp>

#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace weft::testing {

using MetricsRequest = otlp::collector::metrics::v1::ExportMetricsServiceRequest;
using Clock = std::chrono::steady_clock;

/// The values of the points in a request, in order. Fails the test if it is not OTLP.
[[nodiscard]] inline std::vector<std::int64_t> values_in(const RecordedRequest& request) {
    MetricsRequest message;
    const auto body = decode_body(request.header("content-encoding"), request.body);
    EXPECT_TRUE(message.ParseFromString(body));
    EXPECT_EQ(request.target, "/v1/metrics");
    std::vector<std::int64_t> values;
    for (const auto& resource : message.resource_metrics()) {
        for (const auto& scope : resource.scope_metrics()) {
            for (const auto& metric : scope.metrics()) {
                EXPECT_TRUE(metric.sum().is_monotonic());
                for (const auto& point : metric.sum().data_points()) {
                    values.push_back(point.as_int());
                }
            }
        }
    }
    return values;
}

[[nodiscard]] inline std::vector<std::int64_t> values_in(
    const std::vector<RecordedRequest>& requests) {
    std::vector<std::int64_t> values;
    for (const auto& request : requests) {
        const auto more = values_in(request);
        values.insert(values.end(), more.begin(), more.end());
    }
    return values;
}

[[nodiscard]] inline std::vector<std::int64_t> values_up_to(std::int64_t end) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(end));
    std::iota(values.begin(), values.end(), 0);
    return values;
}

[[nodiscard]] inline std::uint64_t dropped(const Ledger& ledger, DropReason reason) {
    return ledger.dropped[static_cast<std::size_t>(reason)];
}

class MetricsTest : public ::testing::Test {
protected:
    /// Collections when they are asked for, and at no other time.
    static PeriodicReaderOptions on_demand() { return every(1h, 20s); }
    static PeriodicReaderOptions every(
        std::chrono::milliseconds interval, std::chrono::milliseconds timeout) {
        PeriodicReaderOptions options;
        options.interval = interval;
        options.timeout = timeout;
        return options;
    }
    static BatchOptions batches_of(std::size_t points) {
        BatchOptions options;
        options.records_max = points;
        options.delay = 0ms;
        options.poll = 1ms;
        return options;
    }
    [[nodiscard]] OtlpHttpOptions sink_options() const {
        OtlpHttpOptions options;
        options.url = {UrlScheme::http, "127.0.0.1", server.port(), "/v1/metrics"};
        options.compression = Compression::none;
        options.connections = 1;
        options.timeout = 1h;
        options.retry = {
            .initial_backoff = 1ms, .multiplier = 1, .max_backoff = 1ms, .max_elapsed = 24h};
        return options;
    }

    /// `ring_bytes`: of one shard.
    void start(
        PeriodicReader::Collect collect, PeriodicReaderOptions options = on_demand(),
        BatchOptions batch = batches_of(100), std::size_t ring_bytes = 1u << 20) {
        options.points_max = batch.records_max;
        ASSERT_EQ(problem_in(options), "");
        ring = std::make_unique<RecordQueue>(ring_bytes, 1);
        queue = std::make_shared<MetricQueue>(*ring, 64u << 20);
        auto sink = OtlpHttpSink::create(io.get_executor(), sink_in_use, log);
        ASSERT_TRUE(sink);
        drain = std::make_shared<Drain>(Drain::Setup{
            .executor = io.get_executor(),
            .signal = Signal::metrics,
            .queue = *ring,
            .resource = {},
            .sink = std::move(*sink),
            .batch = batch,
            .producer_counts = [q = queue](Ledger& ledger) { q->add_to(ledger); },
            .housekeeping = {},
            .log = log,
            .tail = {},
            .one_item_each = false});
        reader = std::make_unique<PeriodicReader>(PeriodicReader::Setup{
            .executor = io.get_executor(),
            .queue = queue,
            .drain = drain,
            .collect = std::move(collect),
            .options = options,
            .log = log});
        asio::co_spawn(io, drain->run(), [this](const std::exception_ptr& error) {
            EXPECT_FALSE(error);
            ++ended;
        });
        asio::co_spawn(io, reader->run(), [this](const std::exception_ptr& error) {
            EXPECT_FALSE(error);
            ++ended;
        });
    }

    /// Gives the visitor one counter with so many points, whose values are the next numbers.
    void hand_out(MetricVisitor& visitor, std::size_t points) {
        MetricSeries series;
        visitor.begin({.name = "made", .description = {}, .unit = {}, .is_monotonic = true});
        for (std::size_t i = 0; i < points; ++i) {
            const auto value = MetricNumber::of(static_cast<std::int64_t>(handed_out++));
            visitor.number({series, {1, 2}, value});
        }
        visitor.end();
    }
    /// A source that hands out so many points each time.
    PeriodicReader::Collect points_each_time(std::size_t points) {
        return [this, points](MetricVisitor& visitor) -> asio::awaitable<void> {
            hand_out(visitor, points);
            co_return;
        };
    }

    asio::awaitable<FlushReport> flush(Clock::duration within) {
        return reader->flush(Clock::now() + within);
    }
    asio::awaitable<FlushReport> shutdown(Clock::duration within) {
        return reader->shutdown(Clock::now() + within);
    }
    asio::awaitable<void> settle() {
        for (int i = 0; i < 200; ++i) { co_await asio::post(io, asio::use_awaitable); }
    }
    asio::awaitable<void> pause(Clock::duration duration) {
        asio::steady_timer timer(io, duration);
        co_await timer.async_wait(asio::use_awaitable);
    }

    [[nodiscard]] std::size_t reports_with(const std::string& text) const {
        return static_cast<std::size_t>(
            std::count_if(messages.begin(), messages.end(), [&](const auto& m) {
                return m.find(text) != std::string::npos;
            }));
    }

    void TearDown() override {
        if (!reader) { return; }
        run(io, [&]() -> asio::awaitable<void> {
            co_await shutdown(0ms);
            EXPECT_TRUE(co_await eventually([&] { return ended == 2; }));
        });
        const auto ledger = drain->ledger();
        EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
        EXPECT_EQ(ledger.created, handed_out) << ledger.to_json();
        EXPECT_EQ(ledger.queued + ledger.in_flight, 0u) << ledger.to_json();
    }

    std::uint64_t handed_out = 0;
    int ended = 0;
    std::vector<std::string> messages; // Of the one thread.
    Diagnostics log{
        {.handler = [this](const Diagnostic& d) { messages.emplace_back(d.message); },
         .interval = 0ms}};
    asio::io_context io{1};
    LoopbackServer server{io.get_executor()};
    // What sources touch: TearDown collects a last time, when a test's own variables have gone.
    int turn = 0;
    int active = 0;
    int most = 0;
    std::int64_t measured = 0; // A gauge, so to say.
    std::vector<Clock::time_point> starts;
    std::vector<Clock::time_point> ends;
    asio::steady_timer gate{io, Clock::time_point::max()};
    OtlpHttpOptions sink_in_use = sink_options();
    std::unique_ptr<RecordQueue> ring;
    std::shared_ptr<MetricQueue> queue;
    std::shared_ptr<Drain> drain;
    std::unique_ptr<PeriodicReader> reader;
};

} // namespace weft::testing
