#pragma once
// Runs coroutines in tests: to their end, or to a failure when the limit is over.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <stdexcept>

namespace weft::testing {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// Runs the coroutine that `make` returns. Other work on `io` goes on meanwhile and is left where
/// it is. `make` may be a lambda with captures: it is kept until the coroutine has ended.
template <class Make>
void run(asio::io_context& io, Make make, std::chrono::seconds limit = 20s) {
    bool done = false;
    std::exception_ptr failure;
    asio::co_spawn(io, make(), [&](std::exception_ptr error) {
        done = true;
        failure = std::move(error);
        io.stop();
    });
    io.restart();
    io.run_for(limit);
    if (failure) { std::rethrow_exception(failure); }
    if (!done) { throw std::runtime_error("the coroutine did not end within its limit"); }
}

/// Waits until `condition` holds, looking every millisecond; false after five seconds.
inline asio::awaitable<bool> eventually(std::function<bool()> condition) {
    asio::steady_timer pause(co_await asio::this_coro::executor);
    for (int i = 0; i < 5000 && !condition(); ++i) {
        pause.expires_after(1ms);
        co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    co_return condition();
}

} // namespace weft::testing
