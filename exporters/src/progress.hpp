#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <list>
#include <utility>

namespace weft::detail {

namespace asio = boost::asio;

/// Lets coroutines of one executor wait for a condition that others of it bring about.
/// Threads: the executor's, which must not run two handlers at once.
class Progress {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    explicit Progress(asio::any_io_executor executor) : executor_(std::move(executor)) {}

    /// Something has changed: whoever waits looks again.
    void made() {
        for (auto& watcher : watchers_) { watcher.cancel(); }
    }

    /// Waits until the condition holds, looking whenever something has changed. False at the deadline.
    /// Lifetime: the caller keeps this object until the coroutine has ended.
    template <class Condition>
    [[nodiscard]] asio::awaitable<bool> wait_until(Condition condition, TimePoint deadline) {
        // Takes itself off the list also when the coroutine is destroyed while it waits.
        struct Watcher {
            std::list<asio::steady_timer>& list;
            std::list<asio::steady_timer>::iterator timer;
            ~Watcher() { list.erase(timer); }
        };
        while (!condition()) {
            if (std::chrono::steady_clock::now() >= deadline) { co_return false; }
            const Watcher watcher{
                watchers_, watchers_.emplace(watchers_.end(), executor_, deadline)};
            co_await watcher.timer->async_wait(asio::as_tuple(asio::use_awaitable));
        }
        co_return true;
    }

private:
    const asio::any_io_executor executor_;
    std::list<asio::steady_timer> watchers_; // One for each coroutine that waits.
};

} // namespace weft::detail
