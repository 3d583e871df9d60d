#pragma once
// An OtlpHttpSink against a scripted server on one single-threaded context, with waits of a
// millisecond.

#include "coroutine.hpp"
#include "decompress.hpp"

#include <weft/exporters/otlp_http.hpp>
#include <weft/testing/loopback_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace weft::testing {

inline std::shared_ptr<const Batch> make_batch(std::size_t records = 10, std::size_t bytes = 5000) {
    Batch batch{Signal::traces, records, {}};
    while (batch.body.size() < bytes) {
        batch.body += "span " + std::to_string(batch.body.size()) + " of a batch; ";
    }
    batch.body.resize(bytes);
    return std::make_shared<const Batch>(std::move(batch));
}

/// Every record has exactly one fate.
inline void expect_balanced(const SendOutcome& outcome, const Batch& batch) {
    EXPECT_EQ(outcome.exported + outcome.rejected + outcome.dropped, batch.records);
    EXPECT_EQ(outcome.dropped != 0, outcome.reason != DropReason::none);
}

class SinkTest : public ::testing::Test {
protected:
    OtlpHttpOptions options() const { return options_for(server.port()); }
    static OtlpHttpOptions options_for(std::uint16_t port) {
        OtlpHttpOptions options;
        options.url = {UrlScheme::http, "127.0.0.1", port, "/v1/traces"};
        options.compression = Compression::none;
        options.timeout = 10s;
        options.retry = {
            .initial_backoff = 1ms, .multiplier = 1, .max_backoff = 1ms, .max_elapsed = 10s};
        return options;
    }

    void use(OtlpHttpOptions options) {
        auto made = OtlpHttpSink::create(io.get_executor(), std::move(options), log);
        ASSERT_TRUE(made);
        sink = std::move(*made);
    }

    /// One batch from start to end, with the default options unless use() was called.
    SendOutcome send(std::shared_ptr<const Batch> batch = make_batch()) {
        if (!sink) { use(options()); }
        SendOutcome outcome;
        run(io, [&]() -> asio::awaitable<void> { outcome = co_await sink->send(batch); });
        expect_balanced(outcome, *batch);
        return outcome;
    }

    [[nodiscard]] bool reported(const std::string& text) const {
        const std::lock_guard lock(mutex);
        return std::any_of(messages.begin(), messages.end(), [&](const std::string& m) {
            return m.find(text) != std::string::npos;
        });
    }

    mutable std::mutex mutex;
    std::vector<std::string> messages;
    Diagnostics log{
        {.level = DiagnosticLevel::debug,
         .handler =
             [this](const Diagnostic& d) {
                 const std::lock_guard lock(mutex);
                 messages.emplace_back(std::string(name(d.level)) + ": " + std::string(d.message));
             },
         .interval = 0ms}};
    asio::io_context io{1};
    LoopbackServer server{io.get_executor()};
    std::unique_ptr<OtlpHttpSink> sink;
};

} // namespace weft::testing
