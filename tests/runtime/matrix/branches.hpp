#pragma once
// What the rows with several at once run beside each other.

#include "cells.hpp"

#include <boost/asio/steady_timer.hpp>

#include <stdexcept>

namespace matrix {

template <class Way>
Awaitable<Way, int> branch(Origin origin, int steps) {
    const Here here(origin);
    for (int i = 0; i < steps; ++i) {
        co_await asio::post(Way::token);
        here.check();
    }
    co_return steps;
}

template <class Way>
Awaitable<Way, int> failing(Origin origin, int steps) {
    (void)co_await branch<Way>(origin, steps);
    throw std::runtime_error("as it should");
}

// Until it is cancelled.
template <class Way>
Awaitable<Way> for_ever(Origin origin) {
    const Here here(origin);
    asio::steady_timer timer(
        co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    try {
        co_await timer.async_wait(Way::token);
    } catch (const boost::system::system_error& error) {
        EXPECT_EQ(error.code(), asio::error::operation_aborted);
        here.check();
        throw;
    }
}

} // namespace matrix
