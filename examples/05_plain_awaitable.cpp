// A server that already uses plain asio::awaitable<T> gains context by changing one word: asio::co_spawn becomes
// weft::co_spawn. Expect: "child of the request: yes".
#include <weft/weft.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdio>
#include <exception>

namespace asio = boost::asio;

namespace {

bool is_child = false;

asio::awaitable<void> inner(weft::TraceId trace) {
    co_await asio::post(asio::use_awaitable);
    weft::Span span("inner");
    is_child = span.context().trace_id == trace;
}

asio::awaitable<void> request() {
    weft::Span span("request");
    co_await inner(span.context().trace_id);
}

} // namespace

int main() {
    weft::Options options;
    options.otlp.retry.max_elapsed =
        std::chrono::milliseconds(0); // No receiver is needed for this one.
    options.shutdown_timeout = std::chrono::milliseconds(200);
    asio::io_context context(1);
    weft::Runtime runtime(context, std::move(options));
    weft::co_spawn(context, request(), [](const std::exception_ptr&) {}); // Was: asio::co_spawn.
    context.run();
    std::printf("child of the request: %s\n", is_child ? "yes" : "no");
    return is_child ? 0 : 1;
}
