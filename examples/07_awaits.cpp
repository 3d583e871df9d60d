// Three ways to put a span around an await, and what else the context carries: baggage and a deadline.
// Expect: "acme, in a hurry" from the job that the request set off, and exit status 0.
#include <weft/weft.hpp>

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

namespace asio = boost::asio;

namespace {

bool seen = false;

// [readme:awaits]
weft::Task<int> load_order(int id) {
    const weft::Span span(
        "load order", {{"order.id", id}}); // A scope: children are found below it.
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(1));
    co_await timer.async_wait(weft::traced("wait")); // Any Asio operation, any completion token.
    co_return id;
}

weft::Task<int> handle() {
    co_return co_await weft::traced(
        "load", load_order(7)); // A whole task; exceptions are recorded.
}
// [/readme:awaits]

// [readme:with]
weft::Task<void> job() {
    const auto span = weft::Span::following("job"); // A trace of its own, linked to the request's.
    const auto baggage = weft::current_baggage();
    const bool hurry = weft::current_deadline().is_set();
    std::printf(
        "%s%s\n", std::string(baggage.get("tenant").value_or("?")).c_str(),
        hurry ? ", in a hurry" : "");
    seen = true;
    co_return;
}

weft::Task<void> request() {
    const weft::Span span("request");
    const auto tenant = weft::with(weft::current_baggage().set("tenant", "acme"));
    const auto hurry = weft::with(weft::Deadline::in(std::chrono::seconds(2)));
    (void)co_await handle();
    weft::co_spawn(co_await asio::this_coro::executor, job(), [](const std::exception_ptr&) {});
}
// [/readme:with]

} // namespace

int main() {
    weft::Options options;
    options.otlp.retry.max_elapsed = std::chrono::milliseconds(0); // No receiver is needed here.
    options.shutdown_timeout = std::chrono::milliseconds(200);
    weft::Runtime runtime(std::move(options));
    weft::co_spawn(runtime, request(), [](const std::exception_ptr&) {});
    const int status = runtime.run();
    return seen ? status : 1;
}
