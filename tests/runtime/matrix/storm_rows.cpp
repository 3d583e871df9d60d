#include "cells.hpp"

// A hundred thousand coroutines, many at once, each choosing its awaits at random and writing down whose child it is.

#include <weft/runtime/operators.hpp>
#include <weft/testing/random.hpp>

#include <boost/asio/defer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace matrix {
namespace {

using namespace weft::awaitable_operators;
using weft::testing::Random;

// Debug builds and sanitizers are ten to fifty times slower.
#ifdef NDEBUG
constexpr int coroutines = 100'000;
#else
constexpr int coroutines = 5'000;
#endif
constexpr int at_once = 500;

struct Weather {
    Stage& stage;
    std::atomic<int> started{0}; // Counted by coroutines on every thread.
};

template <class Way>
struct AnyAwait {
    static Awaitable<Way> wait(const Here& here, Random& random) {
        Stage& stage = here.stage();
        switch (random.below(6)) {
        case 0:
            co_await asio::post(Way::token);
            break;
        case 1:
            co_await asio::defer(Way::token);
            break;
        case 2:
            co_await asio::dispatch(Way::token);
            break;
        case 3:
            co_await asio::post(stage.pool, Way::token);
            break;
        case 4: {
            asio::steady_timer timer(stage.io, std::chrono::microseconds(random.below(50)));
            co_await timer.async_wait(Way::token);
            break;
        }
        case 5: {
            // Continues on the pool, bound to this chain, and comes back with the next await.
            const auto pool = weft::bind_context(stage.pool.get_executor());
            co_await asio::post(asio::bind_executor(pool, Way::token));
            here.check_current();
            co_await asio::post(Way::token);
            break;
        }
        }
    }
};

// As many callbacks, one after the other, as the first choice says.
template <>
struct AnyAwait<CallbackWay> {
    static weft::Task<void> wait(const Here& here, Random& random) {
        return call_and_wait(here, [&random](Callbacks& c) { next(c, random, random.below(3)); });
    }

private:
    static void next(Callbacks& c, Random& random, std::size_t left) {
        Stage& stage = c.stage();
        auto callback = [&c, &random, left](auto&&...) {
            c.here().check_current();
            if (left == 0) { return c.done(); }
            next(c, random, left - 1);
        };
        switch (random.below(5)) {
        case 0:
            return asio::post(c.bound(callback));
        case 1:
            return asio::defer(c.bound(callback));
        case 2:
            return asio::post(stage.pool, c.bound(callback));
        case 3:
            return asio::post(weft::bind_context(stage.pool.get_executor()), callback);
        default:
            return c.keep<asio::steady_timer>(stage.io, std::chrono::microseconds(random.below(50)))
                .async_wait(c.bound(callback));
        }
    }
};

template <class Way>
Awaitable<Way> work(Weather& weather, std::uint64_t seed, Origin origin, int depth);

template <class Way>
Awaitable<Way> step(Weather& weather, Random& random, const Here& here, int depth) {
    Stage& stage = here.stage();
    const auto seed = random.word();
    const auto deeper = [&](std::uint64_t its_seed) {
        return work<Way>(weather, its_seed, here.origin(), depth - 1);
    };
    switch (random.below(depth > 0 ? 5 : 1)) {
    case 1:
        co_await deeper(seed);
        break;
    case 2:
        co_await (deeper(seed) && deeper(seed + 1));
        break;
    case 3:
        co_await weft::co_spawn(stage.io, deeper(seed), Way::token);
        break;
    case 4:
        weft::co_spawn(stage.io, deeper(seed), stage.chain());
        break;
    default:
        co_await AnyAwait<Way>::wait(here, random);
    }
}

template <class Way>
Awaitable<Way> work(Weather& weather, std::uint64_t seed, Origin origin, int depth) {
    weather.started.fetch_add(1, std::memory_order_relaxed); // A counter.
    Random random(seed);
    const Here here(origin);
    const auto steps = random.below(4);
    for (std::size_t i = 0; i < steps; ++i) {
        co_await step<Way>(weather, random, here, depth);
        here.check_current();
    }
}

template <class Way>
Awaitable<Way> one_after_the_other(Weather& weather, std::uint64_t seed) {
    // relaxed: a counter.
    while (weather.started.load(std::memory_order_relaxed) < coroutines) {
        const auto root = weather.stage.root();
        co_await weft::co_spawn(weather.stage.io, work<Way>(weather, seed, root, 3), Way::token);
        seed += 7919;
    }
}

struct Storm {
    static constexpr const char* name = "Storm";

    template <class Way>
    static void run(int threads) {
        Stage stage(threads, std::size_t{64} << 20);
        Weather weather{stage};
        auto random = Random::seeded("Storm");
        for (int i = 0; i < at_once; ++i) {
            weft::co_spawn(
                stage.io, one_after_the_other<Way>(weather, random.word()), stage.chain());
        }
        stage.run();
        EXPECT_GE(weather.started.load(std::memory_order_relaxed), coroutines); // Joined.
    }
};

[[maybe_unused]] const bool storm_added = add_row<Storm>();

} // namespace
} // namespace matrix
