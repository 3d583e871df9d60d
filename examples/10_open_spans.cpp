// What a program is doing right now: its open spans, printed when SIGUSR1 comes.
// Expect: the request with what it awaits and since when, on standard error, and exit status 0.
#include <weft/signals/open_spans.hpp>
#include <weft/weft.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>

namespace asio = boost::asio;

namespace {

// [readme:print]
weft::Task<void> print_when_asked(asio::signal_set& asked) {
    for (;;) { // Ends when `asked` is cancelled.
        const auto [error, number] =
            co_await asked.async_wait(asio::as_tuple(asio::use_awaitable_t<weft::Executor>{}));
        if (error) { co_return; }
        std::fputs(weft::to_text(weft::open_spans({.limit = 100})).c_str(), stderr);
    }
}
// [/readme:print]

// [readme:await]
weft::Task<void> reserve_stock() {
    const weft::Span span("reserve stock");
    asio::steady_timer answer(co_await asio::this_coro::executor, std::chrono::milliseconds(100));
    co_await answer.async_wait(weft::traced("read from stock"));
}
// [/readme:await]

weft::Task<void> request(asio::signal_set& asked) {
    {
        const weft::Span span("POST /orders", {}, {.kind = weft::SpanKind::server});
        co_await reserve_stock();
    }
    asked.cancel();
}

weft::Task<void> ask() {
    std::raise(SIGUSR1); // Else: kill -USR1 <pid>
    co_return;
}

} // namespace

int main() {
    weft::Options options;
    options.otlp.retry.max_elapsed = std::chrono::milliseconds(0); // No receiver is needed here.
    options.shutdown_timeout = std::chrono::milliseconds(200);
    weft::Runtime runtime(std::move(options));
    asio::signal_set asked(runtime.io_context(), SIGUSR1);
    const auto done = [](const std::exception_ptr&) {};
    weft::co_spawn(runtime, print_when_asked(asked), done);
    weft::co_spawn(runtime, request(asked), done);
    weft::co_spawn(runtime, ask(), done);
    return runtime.run();
}
