#pragma once
// Batches for sinks that write text, and a place for their files.

#include "coroutine.hpp"

#include <weft/exporters/sink.hpp>
#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/runtime/diagnostics.hpp>
#include <weft/viewer/otlp_codec.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace weft::testing {

using TraceRequest = otlp::collector::trace::v1::ExportTraceServiceRequest;

template <class Request>
std::shared_ptr<const Batch> batch_of(
    const Request& request, Signal signal = Signal::traces, std::size_t records = 1) {
    auto batch = std::make_shared<Batch>();
    batch->signal = signal;
    batch->records = records;
    batch->body = request.SerializeAsString();
    return batch;
}

/// A request with one span of this name.
[[nodiscard]] inline TraceRequest span_request(const std::string& name) {
    TraceRequest request;
    auto& resource = *request.add_resource_spans();
    auto& service = *resource.mutable_resource()->add_attributes();
    service.set_key("service.name");
    service.mutable_value()->set_string_value("shop");
    auto& scope = *resource.add_scope_spans();
    scope.mutable_scope()->set_name("orders");
    auto& span = *scope.add_spans();
    span.set_trace_id(std::string(16, '\x4b'));
    span.set_span_id(std::string(8, '\x01'));
    span.set_name(name);
    span.set_kind(otlp::trace::v1::Span::SPAN_KIND_SERVER);
    span.set_start_time_unix_nano(1'764'225'001'123'456'789);
    span.set_end_time_unix_nano(1'764'225'001'135'801'789);
    return request;
}

class TextSinkTest : public ::testing::Test {
protected:
    TextSinkTest() {
        std::string pattern = std::filesystem::temp_directory_path() / "weft_sink_XXXXXX";
        folder = mkdtemp(pattern.data());
    }
    ~TextSinkTest() override { std::filesystem::remove_all(folder); }

    SendOutcome send(Sink& sink, std::shared_ptr<const Batch> batch) {
        SendOutcome outcome;
        run(io, [&]() -> asio::awaitable<void> { outcome = co_await sink.send(batch); });
        return outcome;
    }
    /// What becomes of a batch that cannot be sent, told in the log first, while `meanwhile` happens.
    SendOutcome send_while(
        Sink& sink, std::shared_ptr<const Batch> batch,
        const std::function<asio::awaitable<void>()>& meanwhile) {
        SendOutcome outcome;
        run(io, [&]() -> asio::awaitable<void> {
            bool done = false;
            asio::co_spawn(
                io, sink.send(batch), [&](const std::exception_ptr& error, SendOutcome got) {
                    if (error) { std::rethrow_exception(error); }
                    outcome = got;
                    done = true;
                });
            EXPECT_TRUE(co_await eventually([&] { return !logged.empty(); }));
            co_await meanwhile();
            EXPECT_TRUE(co_await eventually([&] { return done; }));
        });
        return outcome;
    }
    static std::vector<std::string> lines_of(const std::string& path) {
        std::ifstream file(path);
        std::vector<std::string> lines;
        for (std::string line; std::getline(file, line);) { lines.push_back(line); }
        return lines;
    }
    /// The names of the spans in lines of OTLP/JSON. Fails the test if one is not.
    static std::vector<std::string> names_in(const std::vector<std::string>& lines) {
        std::vector<std::string> names;
        for (const auto& line : lines) {
            TraceRequest request;
            std::string detail;
            EXPECT_TRUE(otlp::from_json(line, request, &detail)) << detail << ": " << line;
            for (const auto& resource : request.resource_spans()) {
                for (const auto& scope : resource.scope_spans()) {
                    for (const auto& span : scope.spans()) { names.push_back(span.name()); }
                }
            }
        }
        return names;
    }

    std::filesystem::path folder;
    std::vector<std::string> logged;
    Diagnostics log{
        {.handler = [this](const Diagnostic& line) { logged.emplace_back(line.message); },
         .interval = std::chrono::milliseconds(0)}};
    asio::io_context io{1};
};

} // namespace weft::testing
