#include <weft/runtime/context.hpp>

// The context on several threads, for TSan: legitimate use in great numbers, and the races that misuse brings.

#include "loop.hpp"
#include "matrix/expectations.hpp"

#include <weft/signals/span.hpp>
#include <weft/testing/random.hpp>
#include <weft/testing/span_sink.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/static_thread_pool.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace weft {
namespace {

using testing::fail_on_exception;
using testing::Random;
using testing::use_task;

const testing::SpanSinkOptions roomy{.queue_bytes = std::size_t{64} << 20, .shards = 4};

// Goal: I6. Method: operations that are over at once, on two threads that have nothing else to do: the other thread
// often resumes the chain before the first has left its slice.
TEST(ContextThreads, AChainResumedElsewhereBeforeItsSliceHasReturnedHasItsContext) {
    testing::SpanSink sink(roomy);
    const testing::FaultsSince faults;
    asio::io_context io(2);
    asio::thread_pool pool(2);
    std::atomic<int> lost{0}; // Counted on every thread.
    const auto check = [&lost](const Span& span) {
        // relaxed: a counter.
        if (current_span_context() != span.context()) {
            lost.fetch_add(1, std::memory_order_relaxed);
        }
    };
    const auto work = [&]() -> Task<void> {
        Span span("chain");
        asio::steady_timer timer(co_await asio::this_coro::executor);
        for (int i = 0; i < 2000; ++i) {
            co_await asio::post(use_task);
            check(span);
            timer.expires_after(std::chrono::seconds(0));
            co_await timer.async_wait(use_task);
            check(span);
            co_await asio::post(pool, use_task);
            check(span);
        }
    };
    const auto erased_work = [&]() -> asio::awaitable<void> {
        Span span("chain");
        asio::steady_timer timer(co_await asio::this_coro::executor);
        for (int i = 0; i < 2000; ++i) {
            co_await asio::post(asio::use_awaitable);
            check(span);
            timer.expires_after(std::chrono::seconds(0));
            co_await timer.async_wait(asio::use_awaitable);
            check(span);
        }
    };
    for (int i = 0; i < 3; ++i) {
        weft::co_spawn(io, work, fail_on_exception);
        weft::co_spawn(io, erased_work, fail_on_exception);
        weft::co_spawn(pool, erased_work, fail_on_exception);
    }
    testing::run_on_threads(io, 2);
    pool.join();

    EXPECT_EQ(lost.load(std::memory_order_relaxed), 0); // Joined.
    EXPECT_EQ(faults(), ContextFaults{});
    EXPECT_EQ(sink.take().size(), 9U);
}

TEST(ContextThreads, ChainsSpawnedFromSeveralThreadsAtOnceKeepTheirSpawnersContext) {
    testing::SpanSink sink(roomy);
    const testing::FaultsSince faults;
    testing::Expectations expected;
    asio::io_context io(2);
    auto guard = asio::make_work_guard(io);
    std::vector<std::thread> loops;
    for (int i = 0; i < 2; ++i) {
        loops.emplace_back([&io] { io.run_for(testing::patience); });
    }
    std::vector<std::thread> spawners;
    for (int i = 0; i < 2; ++i) {
        spawners.emplace_back([&] {
            for (int j = 0; j < 500; ++j) {
                Span span("spawner");
                expected.add(span.context(), {});
                weft::co_spawn(
                    io,
                    [&expected, parent = span.context()]() -> Task<void> {
                        Span child("child");
                        expected.add(child.context(), parent);
                        co_await testing::yield(2);
                    },
                    fail_on_exception);
            }
        });
    }
    for (auto& thread : spawners) { thread.join(); }
    guard.reset();
    for (auto& thread : loops) { thread.join(); }

    EXPECT_EQ(faults(), ContextFaults{});
    expected.check(testing::SpanIndex(sink.take()));
}

// Goal: a slot that two coroutines use in parallel is never corrupted (I1). Method: plain asio::co_spawn on a chain's
// executor, two threads; all spans must arrive, and the misuse must have been counted.
TEST(ContextThreads, ASlotSharedInParallelLosesNoSpan) {
    testing::SpanSink sink(roomy);
    const testing::FaultsSince faults;
    constexpr int coroutines = 20;
    constexpr int spans_each = 200;
    std::uint64_t shared = 0;
    for (int attempt = 0; attempt < 20 && shared == 0; ++attempt) {
        asio::io_context io(2);
        weft::co_spawn(
            io,
            []() -> Task<void> {
                const auto executor = co_await asio::this_coro::executor;
                Span outer("outer");
                for (int i = 0; i < coroutines; ++i) {
                    testing::share_slot(executor, [i]() -> Task<void> {
                        for (int j = 0; j < spans_each; ++j) {
                            Span span("shared");
                            span.set_attribute("number", j);
                            co_await testing::yield(1 + (i + j) % 2);
                            const Span inner("inner");
                            (void)current_span_context();
                        }
                    });
                }
                co_await testing::yield(10);
            },
            fail_on_exception);
        testing::run_on_threads(io, 2);
        EXPECT_EQ(sink.take().size(), 1U + 2U * coroutines * spans_each);
        shared = faults().shared_concurrently;
    }

    // How often they meet is the scheduler's; ContextMisuse has the case that is certain.
    std::cout << "slices without a context: " << shared << '\n';
    testing::run_chain([]() -> Task<void> {
        Span span("afterwards");
        co_await testing::yield(3);
        EXPECT_EQ(current_span_context(), span.context());
    });
    EXPECT_EQ(sink.take_one().name, "afterwards");
}

// Goal: edge E3, end() against the slot's owner and against its recycling. Method: each chain's spans are ended by other
// threads while the chain goes on, is suspended, or has ended.
TEST(ContextThreads, SpansEndedElsewhereInEveryStateOfTheirChainArriveOnce) {
    testing::SpanSink sink(roomy);
    constexpr int chains = 3000;
    constexpr std::size_t spans_each = 3;
    std::mutex mutex; // Guards carried.
    std::vector<Span> carried;
    std::atomic<bool> done{false}; // Set by the test when the loops have ended.
    std::vector<std::thread> enders;
    for (int i = 0; i < 2; ++i) {
        enders.emplace_back([&, i] {
            Random random(static_cast<unsigned>(i));
            for (;;) {
                std::vector<Span> mine;
                const bool last =
                    done.load(std::memory_order_acquire); // What the loops did comes before.
                {
                    const std::lock_guard lock(mutex);
                    mine.swap(carried);
                }
                for (auto& span : mine) {
                    if (random.one_in(2)) { span.set_attribute("ended", "elsewhere"); }
                    span.end();
                }
                if (mine.empty() && last) { return; }
                std::this_thread::yield();
            }
        });
    }
    asio::io_context io(2);
    auto seeds = Random::seeded("ContextThreads ended elsewhere");
    for (int i = 0; i < chains; ++i) {
        weft::co_spawn(
            io,
            [&, seed = seeds.word()]() -> Task<void> {
                Random random(seed);
                for (std::size_t j = 0; j < spans_each; ++j) {
                    Span span("carried");
                    if (random.one_in(2)) { co_await testing::yield(); }
                    {
                        const std::lock_guard lock(mutex);
                        carried.push_back(std::move(span));
                    }
                    if (random.one_in(2)) { co_await testing::yield(); }
                    const Span own("own");
                    (void)current_span_context();
                }
            },
            fail_on_exception);
    }
    testing::run_on_threads(io, 2);
    done.store(true, std::memory_order_release); // Pairs with the enders' load.
    for (auto& thread : enders) { thread.join(); }

    const testing::SpanIndex spans(sink.take());
    EXPECT_EQ(spans.size(), chains * spans_each * 2);
    std::size_t distinct = 0;
    for (const auto& span : spans.all()) { distinct += spans.find(span.id()) == &span ? 1 : 0; }
    EXPECT_EQ(distinct, spans.size()) << "a span arrived twice";
}

// Goal: a slot whose chain ends while another thread still runs a slice of it comes back (the limbo). Method: stale
// callbacks run on one thread while the chains end on the other.
TEST(ContextThreads, ChainsEndWhileTheirBoundCallbacksRunElsewhere) {
    testing::SpanSink sink(roomy);
    asio::io_context io(2);
    std::atomic<int> called{0}; // Counted on both threads.
    constexpr int chains = 2000;
    for (int i = 0; i < chains; ++i) {
        weft::co_spawn(
            io,
            [&]() -> Task<void> {
                Span span("chain");
                for (int j = 0; j < 3; ++j) {
                    asio::post(bind_context(io.get_executor()), [&called] {
                        const Span inner("callback");
                        called.fetch_add(1, std::memory_order_relaxed); // A counter.
                    });
                }
                co_await testing::yield();
            },
            fail_on_exception);
    }
    testing::run_on_threads(io, 2);

    EXPECT_EQ(called.load(std::memory_order_relaxed), 3 * chains); // Joined.
    EXPECT_EQ(sink.take().size(), 4U * chains);
    // Whatever was in limbo is usable again: a fork sees nothing of the former life.
    for (int i = 0; i < 100; ++i) {
        const auto lease = detail::SlotLease::fork();
        const detail::InstalledSlot installed(lease.handle());
        ASSERT_FALSE(current_span_context().is_valid());
    }
}

} // namespace
} // namespace weft
