#pragma once
// A Drain, filled by the test and emptied by a scripted server, on one single-threaded context.

#include "coroutine.hpp"
#include "decompress.hpp"

#include <weft/exporters/drain.hpp>
#include <weft/exporters/otlp_http.hpp>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/testing/loopback_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <vector>

namespace weft::testing {

using TraceRequest = otlp::collector::trace::v1::ExportTraceServiceRequest;
using Clock = std::chrono::steady_clock;

/// Units: bytes of a record without its text.
inline constexpr std::size_t bare_record_bytes = 64;

/// What a record's body is: one `spans` field of ScopeSpans. The span's id is `number`.
[[nodiscard]] inline std::string span_field(std::uint64_t number, std::size_t text_bytes = 0) {
    otlp::trace::v1::ScopeSpans scope;
    auto& span = *scope.add_spans();
    span.set_trace_id(std::string(16, '\x01'));
    span.set_span_id(reinterpret_cast<const char*>(&number), sizeof number);
    span.set_name(std::string(text_bytes, 'x'));
    return scope.SerializeAsString();
}

/// A record ready for a queue: header and body.
[[nodiscard]] inline std::string span_record(
    std::uint64_t number, std::size_t text_bytes = 0, std::uint16_t scope = 0) {
    RecordHeader header;
    header.scope = scope;
    std::string record(reinterpret_cast<const char*>(&header), sizeof header);
    return record += span_field(number, text_bytes);
}

inline RecordQueue::Push push(RecordQueue& queue, const std::string& record) {
    return queue.push(record.size(), [&](std::byte* place) noexcept {
        std::memcpy(place, record.data(), record.size());
    });
}

/// The numbers of the spans in a request, in order. Fails the test if it is not OTLP.
[[nodiscard]] inline std::vector<std::uint64_t> numbers_in(const RecordedRequest& request) {
    TraceRequest message;
    const auto body = decode_body(request.header("content-encoding"), request.body);
    EXPECT_TRUE(message.ParseFromString(body));
    std::vector<std::uint64_t> numbers;
    for (const auto& resource : message.resource_spans()) {
        for (const auto& scope : resource.scope_spans()) {
            for (const auto& span : scope.spans()) {
                std::uint64_t number = 0;
                EXPECT_EQ(span.span_id().size(), sizeof number);
                std::memcpy(&number, span.span_id().data(), sizeof number);
                numbers.push_back(number);
            }
        }
    }
    return numbers;
}

[[nodiscard]] inline std::vector<std::uint64_t> numbers_in(
    const std::vector<RecordedRequest>& requests) {
    std::vector<std::uint64_t> numbers;
    for (const auto& request : requests) {
        const auto more = numbers_in(request);
        numbers.insert(numbers.end(), more.begin(), more.end());
    }
    return numbers;
}

[[nodiscard]] inline std::vector<std::uint64_t> numbers_up_to(std::uint64_t end) {
    std::vector<std::uint64_t> numbers(end);
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

[[nodiscard]] inline std::uint64_t dropped(const Ledger& ledger, DropReason reason) {
    return ledger.dropped[static_cast<std::size_t>(reason)];
}

class DrainTest : public ::testing::Test {
protected:
    /// Batches that close by records alone, looked for every millisecond.
    static BatchOptions batches_of(std::size_t records) {
        BatchOptions options;
        options.records_max = records;
        options.delay = 1h;
        options.poll = 1ms;
        return options;
    }
    [[nodiscard]] OtlpHttpOptions sink_options(std::size_t connections = 1) const {
        OtlpHttpOptions options;
        options.url = {UrlScheme::http, "127.0.0.1", server.port(), "/v1/traces"};
        options.compression = Compression::none;
        options.connections = connections;
        options.timeout = 1h;
        options.retry = {
            .initial_backoff = 1ms, .multiplier = 1, .max_backoff = 1ms, .max_elapsed = 24h};
        return options;
    }

    void make_queue(std::size_t bytes, unsigned shards) {
        queue = std::make_unique<RecordQueue>(bytes, shards);
    }

    std::shared_ptr<Sink> make_sink(OtlpHttpOptions options) {
        auto made = OtlpHttpSink::create(io.get_executor(), std::move(options), log);
        EXPECT_TRUE(made);
        return std::shared_ptr<Sink>(std::move(*made));
    }

    void start(BatchOptions batch, OtlpHttpOptions sink) {
        start(batch, make_sink(std::move(sink)), {});
    }

    void start(
        BatchOptions batch, std::shared_ptr<Sink> sink, std::vector<DestinationSetup> others) {
        ASSERT_EQ(problem_in(batch), "");
        drain = std::make_unique<Drain>(Drain::Setup{
            .executor = io.get_executor(),
            .signal = Signal::traces,
            .queue = *queue,
            .resource = {},
            .sink = std::move(sink),
            .batch = batch,
            .producer_counts =
                [this](Ledger& ledger) {
                    const auto count = refused.load();
                    ledger.created += count;
                    ledger.dropped[static_cast<std::size_t>(DropReason::queue_full)] += count;
                },
            .housekeeping = [this] { ++housekept; },
            .settled =
                [this](std::int64_t elapsed_ns, const SendOutcome& outcome) {
                    EXPECT_GE(elapsed_ns, 0);
                    settlements.push_back(outcome);
                },
            .log = log,
            .tail = tail,
            .destinations = std::move(others)});
        asio::co_spawn(io, drain->run(), [this](const std::exception_ptr& error) {
            EXPECT_FALSE(error);
            drain_ended = true;
        });
    }

    /// Pushes spans with the next numbers; what the queue refuses is counted as producers do.
    void push_spans(std::size_t count, std::size_t text_bytes = 0) {
        for (std::size_t i = 0; i < count; ++i) {
            if (push(*queue, span_record(pushed++, text_bytes)) != RecordQueue::Push::accepted) {
                ++refused;
            }
        }
    }

    /// Lets everything run that can run now, without waiting for time to pass.
    asio::awaitable<void> settle() {
        for (int i = 0; i < 200; ++i) { co_await asio::post(io, asio::use_awaitable); }
    }

    asio::awaitable<FlushReport> flush(Clock::duration within) {
        return drain->flush(Clock::now() + within);
    }
    asio::awaitable<FlushReport> shutdown(Clock::duration within) {
        return drain->shutdown(Clock::now() + within);
    }

    void TearDown() override {
        if (!drain) { return; }
        run(io, [&]() -> asio::awaitable<void> {
            co_await shutdown(0ms);
            EXPECT_TRUE(co_await eventually([&] { return drain_ended; }));
        });
        for (std::size_t i = 0; i < drain->destinations(); ++i) {
            const auto ledger = drain->ledger(i);
            EXPECT_TRUE(ledger.is_balanced()) << ledger.to_json();
            EXPECT_EQ(ledger.created, pushed) << ledger.to_json();
            EXPECT_EQ(ledger.queued + ledger.in_flight, 0u) << ledger.to_json();
        }
    }

    TailSampling tail{};
    std::uint64_t pushed = 0;
    std::atomic<std::uint64_t> refused{0};
    int housekept = 0;
    std::vector<SendOutcome> settlements;
    bool drain_ended = false;
    Diagnostics log{{.handler = [](const Diagnostic&) {}}};
    std::unique_ptr<RecordQueue> queue = std::make_unique<RecordQueue>(1u << 20, 1);
    asio::io_context io{1};
    LoopbackServer server{io.get_executor()};
    std::unique_ptr<Drain> drain;
};

} // namespace weft::testing
