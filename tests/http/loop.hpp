#pragma once
#include <weft/runtime/executor.hpp>
#include <weft/runtime/spawn.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace weft::http::testing {

using std::chrono::milliseconds;

/// Long enough for a busy machine under a sanitizer; no test waits for it unless it fails.
inline constexpr std::chrono::seconds patience{30};

/// An io_context that runs on threads of its own; two by default, so that TSan has something to see.
class Loop {
public:
    explicit Loop(int threads = 2) : guard_(context_.get_executor()) {
        for (int i = 0; i < threads; ++i) {
            threads_.emplace_back([this] { context_.run(); });
        }
    }
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop() {
        guard_.reset();
        context_.stop();
        for (auto& thread : threads_) { thread.join(); }
    }

    [[nodiscard]] asio::io_context& context() noexcept { return context_; }

    /// Runs a task to its end and returns what it returns.
    template <class T>
    T run(Task<T> task) {
        return get(start(std::move(task)));
    }
    template <class T>
    [[nodiscard]] std::future<T> start(Task<T> task) {
        return weft::co_spawn(context_, std::move(task), asio::use_future);
    }
    template <class T>
    static T get(std::future<T> future) {
        if (future.wait_for(patience) != std::future_status::ready) {
            throw std::runtime_error("a task did not end in time");
        }
        return future.get();
    }

private:
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> guard_;
    std::vector<std::thread> threads_;
};

/// Waits until `condition` holds, for things that happen on another thread. False: it took too long.
template <class Condition>
[[nodiscard]] bool eventually(Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) { return false; }
        std::this_thread::sleep_for(
            milliseconds(1)); // A poll with a bound, not a guess at a duration.
    }
    return true;
}

} // namespace weft::http::testing
