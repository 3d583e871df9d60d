#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>

namespace weft::detail {

namespace asio = boost::asio;

/// Lets one coroutine at a time go on, first come, first served.
/// Threads: any; each coroutine on a strand.
class Turns {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// Waits for a turn until `deadline`. True: it is the caller's, until give().
    [[nodiscard]] asio::awaitable<bool> take(TimePoint deadline) {
        const auto waiter = std::make_shared<Waiter>(co_await asio::this_coro::executor);
        {
            const std::lock_guard lock(mutex_);
            if (!taken_) {
                taken_ = true;
                co_return true;
            }
            waiters_.push_back(waiter);
        }
        Place place{*this, waiter};
        waiter->timer.expires_at(deadline);
        // Whether time is over or the turn has come is what give() says, not what the timer says.
        co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable));
        co_return place.leave();
    }

    void give() noexcept {
        const std::lock_guard lock(mutex_);
        if (waiters_.empty()) {
            taken_ = false;
            return;
        }
        const auto next = waiters_.front();
        waiters_.pop_front();
        next->granted = true;
        try {
            // Behind the start of its wait, which is on the same strand.
            asio::post(next->timer.get_executor(), [next] { next->timer.cancel(); });
        } catch (...) {} // No memory: it finds its turn when its time is over.
    }

private:
    struct Waiter {
        explicit Waiter(const asio::any_io_executor& executor) : timer(executor) {}
        asio::steady_timer timer;
        bool granted = false; // Under the mutex.
    };

    // Out of the queue in every case, also when the coroutine is destroyed where it waits.
    struct Place {
        Turns& turns;
        std::shared_ptr<Waiter> waiter;

        ~Place() {
            if (waiter != nullptr && leave()) { turns.give(); }
        }
        bool leave() noexcept {
            const auto left = std::move(waiter);
            const std::lock_guard lock(turns.mutex_);
            if (left->granted) { return true; }
            std::erase(turns.waiters_, left);
            return false;
        }
    };

    std::mutex mutex_; // Guards all below.
    bool taken_ = false;
    std::deque<std::shared_ptr<Waiter>> waiters_;
};

} // namespace weft::detail
