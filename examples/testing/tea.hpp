#pragma once
// A program under test: it brews tea, in a span, with a look into the pantry below it.
#include <weft/weft.hpp>

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <stdexcept>
#include <string>

namespace shop {

namespace asio = boost::asio;

// [readme:program]
inline weft::Task<int> fetch_leaves(std::string kind) {
    weft::Span span("fetch leaves", {{"tea.kind", kind}}, {.kind = weft::SpanKind::client});
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(1));
    co_await timer.async_wait(asio::use_awaitable_t<weft::Executor>{});
    if (kind == "none") {
        span.set_error("out_of_stock", "no leaves");
        co_return 0;
    }
    co_return 12;
}

inline weft::Task<bool> brew(std::string kind) {
    weft::Span span("brew");
    const int leaves = co_await fetch_leaves(kind);
    span.add_event("leaves counted", {{"count", leaves}});
    co_return leaves > 0;
}
// [/readme:program]

} // namespace shop
