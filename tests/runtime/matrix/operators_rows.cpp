#include "branches.hpp"

// `&&`, `||`, and the timeouts that are made of them.

#include <weft/runtime/operators.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>

#include <array>
#include <chrono>
#include <tuple>

namespace matrix {
namespace {

// Both in sight, as in a program that moves from one to the other.
using namespace asio::experimental::awaitable_operators;
using namespace weft::awaitable_operators;

using namespace std::chrono_literals;
using boost::system::error_code;

struct And {
    static constexpr const char* name = "And";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto from = here.origin();
        const std::tuple<int, int, int> steps =
            co_await (branch<Way>(from, 3) && branch<Way>(from, 1) && branch<Way>(from, 2));
        EXPECT_EQ(steps, std::tuple(3, 1, 2));
        here.check();
    }
};

struct AndWithAFailure {
    static constexpr const char* name = "AndWithAFailure";
    static constexpr bool needs_strand = true;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        bool failed = false;
        try {
            (void)co_await (for_ever<Way>(here.origin()) && failing<Way>(here.origin(), 2));
        } catch (const std::runtime_error&) { failed = true; }
        EXPECT_TRUE(failed);
        here.check();
    }
};

struct Or {
    static constexpr const char* name = "Or";
    static constexpr bool needs_strand = true;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto from = here.origin();
        const auto first =
            co_await (for_ever<Way>(from) || branch<Way>(from, 2) || for_ever<Way>(from));
        EXPECT_EQ(first.index(), 1U);
        here.check();
    }
};

struct TimeoutExpires {
    static constexpr const char* name = "TimeoutExpires";
    static constexpr bool needs_strand = true;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        asio::steady_timer timer(co_await asio::this_coro::executor, 50us);
        const auto first = co_await (for_ever<Way>(here.origin()) || timer.async_wait(Way::token));
        EXPECT_EQ(first.index(), 1U);
        here.check();
    }
    static void call(Callbacks& c) { race(c, 1h, 50us, 1); }

    static void race(
        Callbacks& c, asio::steady_timer::duration work, asio::steady_timer::duration limit,
        std::size_t winner) {
        auto& timer = c.keep<asio::steady_timer>(c.stage().io, work);
        auto& deadline = c.keep<asio::steady_timer>(c.stage().io, limit);
        asio::experimental::make_parallel_group(
            timer.async_wait(asio::deferred), deadline.async_wait(asio::deferred))
            .async_wait(
                asio::experimental::wait_for_one(),
                c.bound([&c, winner](std::array<std::size_t, 2> order, error_code, error_code) {
                    EXPECT_EQ(order[0], winner);
                    c.check();
                    c.done();
                }));
    }
};

struct TimeoutInTime {
    static constexpr const char* name = "TimeoutInTime";
    static constexpr bool needs_strand = true;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
        const auto first = co_await (branch<Way>(here.origin(), 2) || timer.async_wait(Way::token));
        EXPECT_EQ(first.index(), 0U);
        here.check();
    }
    static void call(Callbacks& c) { TimeoutExpires::race(c, 50us, 1h, 0); }
};

[[maybe_unused]] const bool operators_added =
    (add_row<And>(), add_row<AndWithAFailure>(), add_row<Or>(), add_row<TimeoutExpires>(),
     add_row<TimeoutInTime>());

} // namespace
} // namespace matrix
