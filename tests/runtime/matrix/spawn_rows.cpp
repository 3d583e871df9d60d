#include "cells.hpp"

// New chains by every completion token, awaited coroutines, exceptions, operations of the user's own, and the end of
// everything.

#include <boost/asio/append.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <stdexcept>
#include <vector>

namespace matrix {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;

// What the rows spawn: a child of where it is spawned.
template <class Way>
Awaitable<Way, int> child(Origin origin) {
    const Here here(origin);
    for (int i = 0; i < 3; ++i) {
        co_await asio::post(Way::token);
        here.check();
    }
    co_return 3;
}

struct SpawnDetached {
    static constexpr const char* name = "SpawnDetached";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto executor = co_await asio::this_coro::executor;
        weft::co_spawn(executor, child<Way>(here.origin()), asio::detached); // May outlive us.
        here.check();
        co_await asio::post(Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(c.bound([&c] {
            weft::co_spawn(c.stage().io, child<TaskWay>(c.here().origin()), asio::detached);
            c.check();
            c.done();
        }));
    }
};

struct SpawnDeferred {
    static constexpr const char* name = "SpawnDeferred";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto executor = co_await asio::this_coro::executor;
        auto operation = weft::co_spawn(executor, child<Way>(here.origin()), asio::deferred);
        here.check();
        EXPECT_EQ(co_await std::move(operation)(Way::token), 3);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(c.bound([&c] {
            auto operation =
                weft::co_spawn(c.stage().io, child<TaskWay>(c.here().origin()), asio::deferred);
            c.check();
            std::move(operation)(c.bound([&c](const std::exception_ptr& error, int steps) {
                EXPECT_FALSE(error);
                EXPECT_EQ(steps, 3);
                c.check();
                c.done();
            }));
        }));
    }
};

// The chain waits for the future on a pool, where it may block.
struct SpawnUseFuture {
    static constexpr const char* name = "SpawnUseFuture";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto pool = weft::bind_context(here.stage().pool.get_executor());
        co_await asio::post(asio::bind_executor(pool, Way::token));
        auto steps = weft::co_spawn(here.stage().io, child<Way>(here.origin()), asio::use_future);
        here.check();
        EXPECT_EQ(steps.get(), 3);
        here.check();
        co_await asio::post(Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(weft::bind_context(c.stage().pool.get_executor()), [&c] {
            auto steps =
                weft::co_spawn(c.stage().io, child<TaskWay>(c.here().origin()), asio::use_future);
            EXPECT_EQ(steps.get(), 3);
            c.check();
            c.done();
        });
    }
};

// A callback runs in the context that it is bound to; one that is bound to none is the last of its chain, whose spans
// have ended, and finds what the chain inherited.
struct SpawnCallback {
    static constexpr const char* name = "SpawnCallback";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        weft::co_spawn(
            co_await asio::this_coro::executor, child<Way>(here.origin()),
            [from = here.origin(),
             end = here.stage().chain()](const std::exception_ptr& error, int steps) {
                EXPECT_EQ(steps, 3);
                EXPECT_EQ(weft::current_span_context(), from.parent);
                end(error);
            });
        here.check();
        co_await asio::post(Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(c.bound([&c] {
            weft::co_spawn(
                c.stage().io, child<TaskWay>(c.here().origin()),
                c.bound([&c](const std::exception_ptr& error, int steps) {
                    EXPECT_FALSE(error);
                    EXPECT_EQ(steps, 3);
                    c.check();
                    c.done();
                }));
        }));
    }
};

struct SpawnUseAwaitable {
    static constexpr const char* name = "SpawnUseAwaitable";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto executor = co_await asio::this_coro::executor;
        EXPECT_EQ(co_await weft::co_spawn(executor, child<Way>(here.origin()), Way::token), 3);
        here.check();
        EXPECT_EQ(
            co_await weft::co_spawn(
                executor, [from = here.origin()] { return child<Way>(from); }, Way::token),
            3);
        here.check();
    }
};

// Without a spawn: one chain, one context, a span for each frame.
struct AwaitedCoroutine {
    static constexpr const char* name = "AwaitedCoroutine";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        EXPECT_EQ(co_await child<Way>(here.origin()), 3);
        here.check();
        co_await frames<Way>(here.origin(), 4);
        here.check();
    }

private:
    template <class Way>
    static Awaitable<Way> frames(Origin origin, int count) {
        const Here here(origin);
        if (count > 1) { co_await frames<Way>(here.origin(), count - 1); }
        co_await asio::post(Way::token);
        here.check();
    }
};

struct ExceptionThroughFourFrames {
    static constexpr const char* name = "ExceptionThroughFourFrames";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        bool caught = false;
        try {
            co_await frames<Way>(here.origin(), 4);
        } catch (const std::runtime_error&) {
            caught = true;
            here.check();
        }
        EXPECT_TRUE(caught);
        here.check();
        co_await asio::post(Way::token);
        here.check();
    }
    static void call(Callbacks& c) {
        asio::post(c.bound([&c] {
            EXPECT_THROW(functions(c.here().origin(), 4), std::runtime_error);
            c.check();
            c.done();
        }));
    }

private:
    template <class Way>
    static Awaitable<Way> frames(Origin origin, int count) {
        const Here here(origin);
        co_await asio::post(Way::token);
        here.check();
        if (count == 1) { throw std::runtime_error("as it should"); }
        co_await frames<Way>(here.origin(), count - 1);
        ADD_FAILURE() << "not reached";
    }
    static void functions(const Origin& origin, int count) {
        const Here here(origin);
        here.check();
        if (count == 1) { throw std::runtime_error("as it should"); }
        functions(here.origin(), count - 1);
    }
};

// An operation as a user writes it: done elsewhere, completed on the handler's executor.
template <class Token>
auto async_ask_pool(asio::thread_pool& pool, Token&& token) {
    return asio::async_initiate<Token, void(int)>(
        [&pool](auto handler) {
            auto work = asio::make_work_guard(handler);
            asio::post(pool, [handler = std::move(handler), work = std::move(work)]() mutable {
                expect_no_context();
                const auto executor = work.get_executor();
                asio::post(executor, asio::append(std::move(handler), 7));
            });
        },
        token);
}

struct AsyncInitiate {
    static constexpr const char* name = "AsyncInitiate";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        EXPECT_EQ(co_await async_ask_pool(here.stage().pool, Way::token), 7);
        here.check();
    }
    static void call(Callbacks& c) {
        async_ask_pool(c.stage().pool, c.bound([&c](int answer) {
            EXPECT_EQ(answer, 7);
            c.check();
            c.done();
        }));
    }
};

// A composed operation: its own steps are in the context of who waits for it.
struct Composed {
    const Here& here;
    asio::steady_timer& timer;
    int steps = 0;

    template <class Self>
    void operator()(Self& self, error_code error = {}) {
        here.check();
        if (steps++ == 3) { return self.complete(error, steps); }
        timer.expires_after(std::chrono::microseconds(20 * (steps % 2)));
        timer.async_wait(std::move(self));
    }
};
template <class Token>
auto async_composed(const Here& here, asio::steady_timer& timer, Token&& token) {
    return asio::async_compose<Token, void(error_code, int)>(Composed{here, timer}, token, timer);
}

struct AsyncCompose {
    static constexpr const char* name = "AsyncCompose";

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        EXPECT_EQ(co_await async_composed(here, timer, Way::token), 4);
        here.check();
    }
    static void call(Callbacks& c) {
        auto& timer = c.keep<asio::steady_timer>(c.stage().io);
        async_composed(c.here(), timer, c.bound([&c](error_code error, int steps) {
            EXPECT_FALSE(error);
            EXPECT_EQ(steps, 4);
            c.check();
            c.done();
        }));
    }
};

// The loop is destroyed, by another thread than ran it, while chains wait inside their spans.
struct ContextDestroyed {
    static constexpr const char* name = "ContextDestroyed";
    static constexpr int chains = 3;

    template <class Way>
    static void run(int threads) {
        Stage stage(1);
        {
            asio::io_context io(threads);
            std::atomic<int> waiting{0}; // Counted by chains on every thread.
            for (int i = 0; i < chains; ++i) {
                weft::co_spawn(
                    io, wait_for_ever<Way>(stage.root_on(io.get_executor()), io, waiting),
                    [](const std::exception_ptr&) { ADD_FAILURE() << "it never ends"; });
            }
            asio::post(io, [&] { stop_when_all_wait(io, waiting); });
            std::vector<std::thread> runners;
            for (int i = 0; i < threads; ++i) {
                runners.emplace_back([&io] { io.run_for(weft::testing::patience); });
            }
            for (auto& runner : runners) { runner.join(); }
            EXPECT_EQ(waiting.load(std::memory_order_relaxed), chains); // Joined.
        }
        expect_no_context();
        stage.run(); // Every span has ended, once, and has its parent.
    }

private:
    template <class Way>
    static Awaitable<Way> wait_for_ever(
        Origin origin, asio::io_context& io, std::atomic<int>& waiting) {
        const Here held(origin);
        co_await asio::post(io, Way::token);
        const Here inner(held.origin());
        asio::steady_timer timer(io, asio::steady_timer::time_point::max());
        inner.check();
        waiting.fetch_add(1, std::memory_order_relaxed); // A counter.
        if constexpr (std::is_same_v<Way, CallbackWay>) {
            // A pending callback holds a span of its own, and the chain waits for it.
            co_await asio::async_initiate<const decltype(Way::token)&, void()>(
                [&io, &timer, &inner](auto handler) {
                    auto callback = [span = std::make_unique<Here>(inner.origin()),
                                     handler = std::move(handler)](error_code) {
                        ADD_FAILURE() << "never called";
                    };
                    timer.async_wait(asio::bind_executor(
                        weft::bind_context(io.get_executor()), std::move(callback)));
                },
                Way::token);
        } else {
            co_await timer.async_wait(Way::token);
        }
    }
    static void stop_when_all_wait(asio::io_context& io, const std::atomic<int>& waiting) {
        if (waiting.load(std::memory_order_relaxed) == chains) { // A counter.
            io.stop(); // What still runs first comes to its wait.
        } else {
            asio::post(io, [&] { stop_when_all_wait(io, waiting); });
        }
    }
};

[[maybe_unused]] const bool spawn_added =
    (add_row<SpawnDetached>(), add_row<SpawnDeferred>(), add_row<SpawnUseFuture>(),
     add_row<SpawnCallback>(), add_row<SpawnUseAwaitable>(), add_row<AwaitedCoroutine>(),
     add_row<ExceptionThroughFourFrames>(), add_row<AsyncInitiate>(), add_row<AsyncCompose>(),
     add_row<ContextDestroyed>());

} // namespace
} // namespace matrix
