// The context follows the coroutine through timers, `&&` and spawned work, while two requests take turns on one thread.
// Expect: ten lines, each naming the request that it belongs to, and "all children found their parent".
#include <weft/weft.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdio>
#include <exception>

namespace asio = boost::asio;

namespace {

int lost = 0;

void say(const char* what, const weft::TraceId& expected) {
    const auto current = weft::current_span_context().trace_id;
    std::printf("%-8s in trace %.8s\n", what, current.to_hex().c_str());
    if (current != expected) { ++lost; }
}

weft::Task<void> step(const char* what, weft::TraceId expected) {
    weft::Span span(what);
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(1));
    co_await timer.async_wait(
        asio::use_awaitable_t<weft::Executor>{}); // The other request runs meanwhile.
    say(what, expected);
}

weft::Task<int> count_leaves(weft::TraceId expected) {
    co_await step("counted", expected);
    co_return 2;
}

weft::Task<void> handle(const char* name) {
    weft::Span request(name, {}, {.parent = weft::SpanParent::root()});
    const auto trace = request.context().trace_id;
    co_await step("one", trace);
    co_await (step("left", trace) && step("right", trace)); // Each branch has a context of its own.
    co_await weft::co_spawn(
        co_await asio::this_coro::executor, step("spawned", trace), asio::deferred);
    // [readme:spawned_value]
    const int leaves = co_await weft::co_spawn(
        co_await asio::this_coro::executor, count_leaves(trace),
        asio::use_awaitable_t<weft::Executor>{});
    // [/readme:spawned_value]
    if (leaves != 2) { ++lost; }
}

} // namespace

int main() {
    weft::Options options;
    options.traces_exporter = weft::ExporterKind::otlp;
    options.otlp.retry.max_elapsed =
        std::chrono::milliseconds(0); // No receiver is needed for this one.
    options.shutdown_timeout = std::chrono::milliseconds(200);
    weft::Runtime runtime(std::move(options));
    for (const char* name : {"first request", "second request"}) {
        weft::co_spawn(runtime, handle(name), [](const std::exception_ptr& error) {
            if (error) { ++lost; }
        });
    }
    const int status = runtime.run();
    std::puts(lost == 0 ? "all children found their parent" : "a child lost its parent");
    return lost == 0 ? status : 1;
}
