#include "cells.hpp"

// Timers, and the ways to have something run: here, on a strand, on a pool, on another thread.

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <thread>

namespace matrix {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;

template <class Clock>
struct TimerRow {
    using Timer = asio::basic_waitable_timer<Clock>;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        Timer timer(co_await asio::this_coro::executor, 50us);
        co_await timer.async_wait(Way::token);
        here.check();
        co_await timer.async_wait(Way::token); // Over at once.
        here.check();
    }
    static void call(Callbacks& c) {
        c.keep<Timer>(c.stage().io, 50us).async_wait(c.bound([&c](error_code) {
            c.check();
            c.done();
        }));
    }
};
struct SteadyTimer : TimerRow<std::chrono::steady_clock> {
    static constexpr const char* name = "SteadyTimer";
};
struct SystemTimer : TimerRow<std::chrono::system_clock> {
    static constexpr const char* name = "SystemTimer";
};

struct DeferredToken {
    static constexpr const char* name = "DeferredToken";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        asio::steady_timer timer(co_await asio::this_coro::executor, 50us);
        auto operation = timer.async_wait(asio::deferred);
        here.check();
        co_await std::move(operation);
        here.check();
    }
    static void call(Callbacks& c) {
        auto operation = c.keep<asio::steady_timer>(c.stage().io, 50us).async_wait(asio::deferred);
        std::move(operation)(c.bound([&c](error_code) {
            c.check();
            c.done();
        }));
    }
};

struct Post {
    static constexpr const char* name = "Post";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        co_await asio::post(Way::token);
        here.check();
        co_await asio::post(here.stage().io, Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(c.bound([&c] {
            c.check();
            asio::post(c.stage().io, c.bound([&c] {
                c.check();
                c.done();
            }));
        }));
    }
};

struct Dispatch {
    static constexpr const char* name = "Dispatch";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        co_await asio::dispatch(Way::token);
        here.check();
        co_await asio::dispatch(here.stage().io, Way::token);
        here.check();
        co_await asio::dispatch(here.stage().pool, Way::token); // From the pool back to the loop.
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(c.bound([&c] {
            asio::dispatch(c.bound([&c] { c.check(); })); // Runs here and now.
            c.check();
            asio::dispatch(c.stage().pool, c.bound([&c] { // From the pool back to the loop.
                c.check();
                c.done();
            }));
        }));
    }
};

struct Defer {
    static constexpr const char* name = "Defer";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        co_await asio::defer(Way::token);
        here.check();
        co_await asio::defer(here.stage().io, Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::defer(c.bound([&c] {
            c.check();
            asio::defer(c.stage().io, c.bound([&c] {
                c.check();
                c.done();
            }));
        }));
    }
};

// A chain of its own on another executor, a child of the one that spawns it.
template <class Ex>
asio::awaitable<void, Ex> chain_elsewhere(Origin origin) {
    const Here there(origin);
    co_await asio::post(asio::use_awaitable_t<Ex>{});
    there.check();
}

using LoopStrand = asio::strand<asio::io_context::executor_type>;

struct StrandInside {
    static constexpr const char* name = "StrandInside";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const LoopStrand strand = asio::make_strand(here.stage().io);
        co_await asio::post(asio::bind_executor(weft::bind_context(strand), Way::token));
        EXPECT_TRUE(strand.running_in_this_thread());
        here.check();
        co_await asio::post(Way::token);
        here.check();
        co_await weft::co_spawn(
            strand, chain_elsewhere<typename Way::template On<LoopStrand>>(here.origin()),
            Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        const LoopStrand strand = asio::make_strand(c.stage().io);
        asio::post(weft::bind_context(strand), [&c] {
            c.check();
            asio::post(asio::make_strand(c.executor), [&c] { // The context inside of the strand.
                c.check();
                c.done();
            });
        });
    }
};

struct StrandOutside {
    static constexpr const char* name = "StrandOutside";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const LoopStrand strand = asio::make_strand(here.stage().io);
        co_await asio::post(strand, Way::token);
        here.check();
        co_await asio::dispatch(strand, Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(asio::make_strand(c.stage().io), c.bound([&c] {
            c.check();
            c.done();
        }));
    }
};

struct ThreadPool {
    static constexpr const char* name = "ThreadPool";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        using PoolExecutor = asio::thread_pool::executor_type;
        co_await asio::post(here.stage().pool, Way::token); // Comes back to the loop.
        here.check();
        co_await weft::co_spawn(
            here.stage().pool,
            chain_elsewhere<typename Way::template On<PoolExecutor>>(here.origin()), Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(weft::bind_context(c.stage().pool.get_executor()), [&c] {
            c.check();
            asio::post(c.stage().pool, c.bound([&c] {
                c.check();
                c.done();
            }));
        });
    }
};

// The operation belongs to the pool, what follows it to the loop.
struct BindExecutor {
    static constexpr const char* name = "BindExecutor";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        asio::steady_timer timer(here.stage().pool, 50us);
        co_await timer.async_wait(
            asio::bind_executor(weft::bind_context(here.stage().io.get_executor()), Way::token));
        here.check();
    }
    static void call(Callbacks& c) {
        c.keep<asio::steady_timer>(c.stage().pool, 50us).async_wait(c.bound([&c](error_code) {
            c.check();
            c.done();
        }));
    }
};

struct HopAndBack {
    static constexpr const char* name = "HopAndBack";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto pool = here.stage().pool.get_executor();
        co_await asio::post(asio::bind_executor(weft::bind_context(pool), Way::token));
        EXPECT_TRUE(pool.running_in_this_thread());
        here.check();
        co_await asio::post(Way::token);
        EXPECT_FALSE(pool.running_in_this_thread());
        here.check();
    }
    static void call(Callbacks& c) {
        const auto pool = c.stage().pool.get_executor();
        asio::post(weft::bind_context(pool), [&c, pool] {
            EXPECT_TRUE(pool.running_in_this_thread());
            c.check();
            asio::post(c.bound([&c, pool] {
                EXPECT_FALSE(pool.running_in_this_thread());
                c.check();
                c.done();
            }));
        });
    }
};

struct MovedBetweenThreads {
    static constexpr const char* name = "MovedBetweenThreads";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto one = weft::bind_context(here.stage().pool.get_executor());
        const auto other = weft::bind_context(here.stage().other_pool.get_executor());
        for (int i = 0; i < 5; ++i) {
            co_await asio::post(asio::bind_executor(one, Way::token));
            const auto before = std::this_thread::get_id();
            here.check();
            co_await asio::post(asio::bind_executor(other, Way::token));
            EXPECT_NE(std::this_thread::get_id(), before);
            here.check();
        }
        co_await asio::post(Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(weft::bind_context(c.stage().pool.get_executor()), [&c] {
            c.check();
            asio::post(
                weft::bind_context(c.stage().other_pool.get_executor()),
                [&c, before = std::this_thread::get_id()] {
                    EXPECT_NE(std::this_thread::get_id(), before);
                    c.check();
                    c.done();
                });
        });
    }
};

[[maybe_unused]] const bool waits_added =
    (add_row<SteadyTimer>(), add_row<SystemTimer>(), add_row<DeferredToken>(), add_row<Post>(),
     add_row<Dispatch>(), add_row<Defer>(), add_row<StrandInside>(), add_row<StrandOutside>(),
     add_row<ThreadPool>(), add_row<BindExecutor>(), add_row<HopAndBack>(),
     add_row<MovedBetweenThreads>());

} // namespace
} // namespace matrix
