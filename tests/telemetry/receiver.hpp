#pragma once
// A receiver on a thread of its own, and runtimes that report to it.

#include "../exporters/decompress.hpp"

#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/testing/loopback_server.hpp>
#include <weft/weft.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace weft::testing {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using TraceRequest = otlp::collector::trace::v1::ExportTraceServiceRequest;
using OtlpSpan = otlp::trace::v1::Span;

// A deadline is kept if it is kept once in a few tries: a busy machine may be late, a wrong program
// always is.
inline constexpr auto slack = 50ms;
inline constexpr int tries = 5;

/// Repeats `attempt`, which returns how long it took, until one is within `limit` and the slack;
/// the best.
template <class Attempt>
[[nodiscard]] Clock::duration best_of(
    Clock::duration limit, Attempt attempt, Clock::duration late = slack) {
    auto best = Clock::duration::max();
    for (int i = 0; i < tries && best > limit + late; ++i) {
        best = std::min<Clock::duration>(best, attempt());
    }
    return best;
}

class Receiver {
public:
    Receiver() : thread_([this] { io_.run(); }) {}
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;
    ~Receiver() {
        io_.stop();
        thread_.join();
    }

    [[nodiscard]] LoopbackServer& server() { return server_; }
    [[nodiscard]] std::string url() const { return server_.url(""); }

    /// Everything that has arrived, checked to be OTLP.
    [[nodiscard]] std::vector<TraceRequest> messages() const {
        std::vector<TraceRequest> messages;
        for (const auto& request : server_.requests()) {
            EXPECT_EQ(request.method, "POST");
            EXPECT_EQ(request.header("content-type"), "application/x-protobuf");
            const auto body = decode_body(request.header("content-encoding"), request.body);
            EXPECT_TRUE(messages.emplace_back().ParseFromString(body));
        }
        return messages;
    }
    [[nodiscard]] std::vector<OtlpSpan> spans() const {
        std::vector<OtlpSpan> spans;
        for (const auto& message : messages()) {
            EXPECT_EQ(message.resource_spans_size(), 1);
            for (const auto& scope : message.resource_spans(0).scope_spans()) {
                spans.insert(spans.end(), scope.spans().begin(), scope.spans().end());
            }
        }
        return spans;
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto& span : spans()) { names.push_back(span.name()); }
        return names;
    }

    /// Options for a runtime that reports here, with short waits.
    [[nodiscard]] Options options() const {
        Options options;
        options.service_name = "test";
        options.metrics_exporter = ExporterKind::none; // Whose points would come between the spans.
        options.otlp.endpoint = url();
        options.otlp.retry = {
            .initial_backoff = 1ms, .multiplier = 1, .max_backoff = 1ms, .max_elapsed = 24h};
        options.batch.poll = 1ms;
        options.batch.delay = 1h;
        options.shutdown_timeout = 10s;
        return options;
    }

private:
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> guard_{io_.get_executor()};
    LoopbackServer server_{io_.get_executor()};
    std::thread thread_;
};

/// Entries of a folder of /proc/self: open descriptors, threads.
[[nodiscard]] inline std::vector<std::string> entries_of(const std::string& folder) {
    std::vector<std::string> entries;
    DIR* const directory = opendir(folder.c_str());
    EXPECT_NE(directory, nullptr);
    while (const dirent* const entry = readdir(directory)) {
        if (entry->d_name[0] != '.') { entries.emplace_back(entry->d_name); }
    }
    closedir(directory);
    return entries;
}
[[nodiscard]] inline std::size_t thread_count() { return entries_of("/proc/self/task").size(); }
[[nodiscard]] inline std::size_t descriptor_count() { return entries_of("/proc/self/fd").size(); }

/// Threads of this process that have this name.
[[nodiscard]] inline std::vector<std::string> threads_named(const std::string& name) {
    std::vector<std::string> found;
    for (const auto& thread : entries_of("/proc/self/task")) {
        std::ifstream file("/proc/self/task/" + thread + "/comm");
        std::string comm;
        std::getline(file, comm);
        if (comm == name) { found.push_back(thread); }
    }
    return found;
}

/// Waits until the condition holds, looking every millisecond; false after ten seconds.
template <class Condition>
[[nodiscard]] bool wait_for(Condition condition) {
    for (int i = 0; i < 10'000 && !condition(); ++i) { std::this_thread::sleep_for(1ms); }
    return condition();
}

} // namespace weft::testing
