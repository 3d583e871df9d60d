// Does a child started after a co_await land in the trace of its coroutine? 100 coroutines share
// one thread, each holds its own root span in a Scope across its awaits, and starts ten children. A
// right answer is 1000 of 1000.
#include "peer.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/span_startoptions.h>
#include <opentelemetry/trace/tracer.h>

#include <exception>
#include <memory>
#include <vector>

namespace weft::bench::otelcpp {

namespace {

namespace asio = boost::asio;
namespace api = opentelemetry::trace;
namespace nostd = opentelemetry::nostd;
namespace sdk = opentelemetry::sdk::trace;

// Lifetime: tracer and right outlive the io_context's run, and with it every coroutine.
asio::awaitable<void> serve_one(api::Tracer& tracer, int& right) {
    api::StartSpanOptions options;
    options.parent = opentelemetry::context::Context{api::kIsRootSpanKey, true};
    auto root = tracer.StartSpan("request", options);
    const api::Scope current(root);
    for (int i = 0; i < shape::children_each; ++i) {
        co_await asio::post(asio::use_awaitable);
        auto child = tracer.StartSpan("child");
        if (child->GetContext().trace_id() == root->GetContext().trace_id()) { ++right; }
        child->End();
    }
    root->End();
}

double children_in_right_trace() {
    // No processor: what counts here is the ids, which are given at the start.
    sdk::TracerProvider provider{std::vector<std::unique_ptr<sdk::SpanProcessor>>{}};
    auto tracer = provider.GetTracer("bench", "1");
    asio::io_context io_context(1);
    int right = 0;
    std::exception_ptr failure;
    for (int i = 0; i < shape::coroutine_count; ++i) {
        asio::co_spawn(
            io_context, serve_one(*tracer, right), [&failure](std::exception_ptr thrown) {
                if (thrown) { failure = thrown; }
            });
    }
    io_context.run();
    if (failure) { std::rethrow_exception(failure); }
    return right;
}

} // namespace

void add_coroutine_case(Suite& suite) {
    suite.add_value("coroutine_children_in_right_trace", "of_1000", children_in_right_trace);
}

} // namespace weft::bench::otelcpp
