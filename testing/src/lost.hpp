#pragma once
#include <weft/testing/in_memory.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

namespace weft::testing::detail {

/// Adds up what was lost, with the remedy for each cause.
class Losses {
public:
    void add(std::uint64_t count, std::string_view cause) {
        if (count == 0) { return; }
        total_ += count;
        text_ += fmt::format("{}{} {}", text_.empty() ? "" : "; ", count, cause);
    }
    /// Errors: LostSpans, when there are any.
    void throw_if_any() const {
        if (total_ == 0) { return; }
        throw LostSpans(fmt::format(
            "{} span{} that this test should see {} lost: {}", total_, total_ == 1 ? "" : "s",
            total_ == 1 ? "was" : "were", text_));
    }

private:
    std::uint64_t total_ = 0;
    std::string text_;
};

using Clock = std::chrono::steady_clock;

/// `within` from now; no time point is beyond the clock's.
[[nodiscard]] inline Clock::time_point from_now(std::chrono::milliseconds within) noexcept {
    const auto now = Clock::now();
    const auto most =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::time_point::max() - now);
    return now + std::clamp(within, std::chrono::milliseconds(0), most);
}

/// How often a wait looks. Nobody tells it that a span has ended: that would cost every span of every program.
inline constexpr std::chrono::milliseconds look_interval{1};

/// Looks until it holds or the deadline is over. Lifetime: `holds` keeps what it needs until the task ends.
template <class Holds>
Task<bool> wait_until(Holds holds, Clock::time_point deadline) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (!holds()) { // Bound: the deadline.
        if (Clock::now() >= deadline) { co_return false; }
        timer.expires_after(look_interval);
        (void)co_await timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>{}));
    }
    co_return true;
}

template <class Holds>
bool wait_until_blocking(const Holds& holds, Clock::time_point deadline) {
    while (!holds()) { // Bound: the deadline.
        if (Clock::now() >= deadline) { return false; }
        std::this_thread::sleep_for(look_interval);
    }
    return true;
}

} // namespace weft::testing::detail
