#include "spawn_fixture.hpp"

#include <weft/runtime/host.hpp>
#include <weft/runtime/spawn.hpp>
#include <weft/runtime/with.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/static_thread_pool.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <string>

namespace weft {
namespace {

using testing::fail_on_exception;
using testing::run;
using testing::use_task;

class Spawn : public testing::SpawnFixture {};

Task<int> child_task(std::string name) {
    Span span(name);
    co_await testing::yield(3);
    EXPECT_EQ(current_span_context(), span.context());
    co_return 5;
}

asio::awaitable<int> child_any(std::string name) {
    Span span(name);
    for (int i = 0; i < 3; ++i) { co_await asio::post(asio::use_awaitable); }
    EXPECT_EQ(current_span_context(), span.context());
    co_return 5;
}

TEST_F(Spawn, BeginsWithTheSpanThatIsCurrentOutsideOfAnyChain) {
    {
        Span main("main");
        weft::co_spawn(io, child_task("child"), fail_on_exception);
        EXPECT_EQ(current_span_context(), main.context());
    }
    run(io);

    EXPECT_EQ(families(), (Families{"child<main", "main<"}));
}

TEST_F(Spawn, BeginsATraceWhereNothingIsCurrent) {
    weft::co_spawn(io, child_task("one"), fail_on_exception);
    weft::co_spawn(io, child_task("two"), fail_on_exception);
    run(io);

    const testing::SpanIndex spans(sink.take());
    ASSERT_EQ(spans.size(), 2U);
    EXPECT_FALSE(spans.named("one").parent.is_valid());
    EXPECT_FALSE(spans.named("two").parent.is_valid());
    EXPECT_NE(spans.named("one").trace_id(), spans.named("two").trace_id());
}

TEST_F(Spawn, ContextIsThatOfTheSpawnNotOfTheStart) {
    {
        Span first("first");
        weft::co_spawn(io, child_task("child"), fail_on_exception);
    }
    Span second("second"); // Current when the coroutine runs.
    run(io);
    second.end();

    EXPECT_EQ(families(), (Families{"child<first", "first<", "second<"}));
}

TEST_F(Spawn, AChildOfAChildFindsItsOwnParent) {
    weft::co_spawn(
        io,
        [this]() -> Task<void> {
            Span outer("outer");
            weft::co_spawn(
                io,
                [this]() -> Task<void> {
                    Span middle("middle");
                    weft::co_spawn(io, child_task("inner"), fail_on_exception);
                    co_await testing::yield();
                },
                fail_on_exception);
            co_await testing::yield();
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(families(), (Families{"inner<middle", "middle<outer", "outer<"}));
}

TEST_F(Spawn, AChildsSpanIsNotItsSpawnersNorItsSiblings) {
    weft::co_spawn(
        io,
        [this]() -> Task<void> {
            Span outer("outer");
            weft::co_spawn(io, child_task("child 1"), fail_on_exception);
            weft::co_spawn(io, child_task("child 2"), fail_on_exception);
            for (int i = 0; i < 5; ++i) {
                co_await testing::yield();
                EXPECT_EQ(current_span_context(), outer.context());
            }
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(families(), (Families{"child 1<outer", "child 2<outer", "outer<"}));
}

TEST_F(Spawn, AChildKeepsItsContextAfterItsSpawnerHasEnded) {
    weft::co_spawn(
        io,
        [this]() -> Task<void> {
            Span outer("outer");
            weft::co_spawn(
                io,
                []() -> Task<void> {
                    co_await testing::yield(10);
                    Span late("late");
                },
                fail_on_exception);
            co_return;
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(families(), (Families{"late<outer", "outer<"}));
}

TEST_F(Spawn, InheritsSuppression) {
    weft::co_spawn(
        io,
        [this]() -> Task<void> {
            {
                const auto quiet = with(suppress_telemetry);
                weft::co_spawn(io, child_task("unheard"), fail_on_exception);
                co_await testing::yield();
            }
            Span heard("heard");
            co_await testing::yield(10);
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(families(), (Families{"heard<"}));
}

TEST_F(Spawn, PassesOnTheTraceState) {
    const TraceContext remote{
        {random_trace_id(), random_span_id(), trace_flags::sampled, true},
        TraceState::from_validated("vendor=7")};
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            Span server("server", {}, {.parent = remote});
            EXPECT_EQ(current_trace_context().state.text(), "vendor=7");
            co_await weft::co_spawn(
                io,
                []() -> Task<void> {
                    EXPECT_EQ(current_trace_context().state.text(), "vendor=7");
                    Span inner("inner");
                    EXPECT_EQ(inner.trace_context().state.text(), "vendor=7");
                    co_return;
                },
                use_task);
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(families(), (Families{"inner<server", "server<?"}));
}

// Tokens, with Task and with asio::awaitable, from outside a chain.

template <class Child>
void expect_every_token_from_outside(asio::io_context& io, Child child) {
    Span main("main");
    weft::co_spawn(io, child("detached"), asio::detached);
    auto future = weft::co_spawn(io, child("future"), asio::use_future);
    int from_callback = 0;
    weft::co_spawn(io, child("callback"), [&](const std::exception_ptr& error, int value) {
        EXPECT_EQ(error, nullptr);
        from_callback = value;
    });
    int from_deferred = 0;
    auto operation = weft::co_spawn(io, child("deferred"), asio::deferred);
    std::move(operation)([&](const std::exception_ptr&, int value) { from_deferred = value; });
    run(io);

    EXPECT_EQ(future.get(), 5);
    EXPECT_EQ(from_callback, 5);
    EXPECT_EQ(from_deferred, 5);
}

TEST_F(Spawn, TasksTakeEveryTokenFromOutsideAChain) {
    expect_every_token_from_outside(io, child_task);
    EXPECT_EQ(
        families(),
        (Families{"callback<main", "deferred<main", "detached<main", "future<main", "main<"}));
}

TEST_F(Spawn, AwaitablesOfAnyIoExecutorTakeEveryTokenFromOutsideAChain) {
    expect_every_token_from_outside(io, child_any);
    EXPECT_EQ(
        families(),
        (Families{"callback<main", "deferred<main", "detached<main", "future<main", "main<"}));
}

// And from inside one.

TEST_F(Spawn, TasksTakeEveryTokenFromInsideAChain) {
    std::future<int> future;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            Span outer("outer");
            const auto executor = co_await asio::this_coro::executor;
            weft::co_spawn(executor, child_task("detached"), asio::detached);
            future = weft::co_spawn(executor, child_task("future"), asio::use_future);
            weft::co_spawn(executor, child_task("callback"), fail_on_exception);
            // Without a value: Boost 1.81 cannot co_await a deferred operation that fails by exception and has one.
            co_await weft::co_spawn(
                executor, []() -> Task<void> { co_await child_task("deferred"); }, asio::deferred);
            EXPECT_EQ(co_await weft::co_spawn(executor, child_task("awaited"), use_task), 5);
            EXPECT_EQ(current_span_context(), outer.context());
            co_await testing::yield(10);
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(future.get(), 5);
    EXPECT_EQ(
        families(), (Families{
                        "awaited<outer", "callback<outer", "deferred<outer", "detached<outer",
                        "future<outer", "outer<"}));
}

TEST_F(Spawn, AwaitablesOfAnyIoExecutorTakeEveryTokenFromInsideAChain) {
    std::future<int> future;
    weft::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            Span outer("outer");
            const auto executor = co_await asio::this_coro::executor;
            weft::co_spawn(executor, child_any("detached"), asio::detached);
            future = weft::co_spawn(executor, child_any("future"), asio::use_future);
            weft::co_spawn(executor, child_any("callback"), fail_on_exception);
            co_await weft::co_spawn(
                executor, []() -> asio::awaitable<void> { co_await child_any("deferred"); },
                asio::deferred);
            EXPECT_EQ(
                co_await weft::co_spawn(executor, child_any("awaited"), asio::use_awaitable), 5);
            EXPECT_EQ(current_span_context(), outer.context());
            for (int i = 0; i < 10; ++i) { co_await asio::post(asio::use_awaitable); }
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(future.get(), 5);
    EXPECT_EQ(
        families(), (Families{
                        "awaited<outer", "callback<outer", "deferred<outer", "detached<outer",
                        "future<outer", "outer<"}));
}

TEST_F(Spawn, TheTwoKindsOfCoroutineSpawnEachOther) {
    weft::co_spawn(
        io,
        [this]() -> Task<void> {
            Span outer("outer");
            co_await weft::co_spawn(
                co_await asio::this_coro::executor,
                [this]() -> asio::awaitable<void> {
                    Span middle("middle");
                    co_await weft::co_spawn(io, child_task("inner"), asio::use_awaitable);
                    EXPECT_EQ(current_span_context(), middle.context());
                },
                use_task);
            EXPECT_EQ(current_span_context(), outer.context());
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(families(), (Families{"inner<middle", "middle<outer", "outer<"}));
}

TEST_F(Spawn, AnAwaitablesExecutorHoldsNoSecondContext) {
    // A chain spawned on a chain's type-erased executor must not drag the first one's context along.
    weft::co_spawn(
        io,
        []() -> asio::awaitable<void> {
            Span outer("outer");
            const asio::any_io_executor executor = co_await asio::this_coro::executor;
            weft::co_spawn(executor, child_any("child"), fail_on_exception);
            for (int i = 0; i < 10; ++i) {
                co_await asio::post(asio::use_awaitable);
                EXPECT_EQ(current_span_context(), outer.context());
            }
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(families(), (Families{"child<outer", "outer<"}));
}

TEST_F(Spawn, TakesAHostAndAnythingElseThatHasAnIoContext) {
    Host host(io);
    Span main("main");
    weft::co_spawn(host, child_task("task"), fail_on_exception);
    weft::co_spawn(
        host, [] { return child_any("factory"); }, fail_on_exception);
    run(io);
    main.end();

    EXPECT_EQ(families(), (Families{"factory<main", "main<", "task<main"}));
}

TEST_F(Spawn, KeepsAFactorysCapturesAliveAsLongAsTheCoroutine) {
    std::weak_ptr<std::string> watched;
    std::string result;
    {
        auto text = std::make_shared<std::string>("captured");
        watched = text;
        weft::co_spawn(
            io,
            [text, copy = *text, &result]() -> Task<void> {
                co_await testing::yield(5);
                result = *text + " " + copy;
            },
            fail_on_exception);
    }
    EXPECT_FALSE(watched.expired());
    run(io);

    EXPECT_EQ(result, "captured captured");
    EXPECT_TRUE(watched.expired());
}

TEST_F(Spawn, TakesMoveOnlyFactoriesAndResults) {
    auto future = weft::co_spawn(
        io,
        [value = std::make_unique<int>(8)]() mutable -> Task<std::unique_ptr<int>> {
            co_await testing::yield();
            co_return std::move(value);
        },
        asio::use_future);
    run(io);

    EXPECT_EQ(*future.get(), 8);
}

TEST_F(Spawn, APlainFunctionIsAFactoryToo) {
    struct Made {
        static Task<int> task() { return child_task("from a function"); }
    };
    auto future = weft::co_spawn(io, Made::task, asio::use_future);
    run(io);

    EXPECT_EQ(future.get(), 5);
}

TEST_F(Spawn, GivesItsSlotBackWhenTheChainHasEnded) {
    const auto slots_after = [this](int chains) {
        std::uint32_t highest = 0;
        for (int i = 0; i < chains; ++i) {
            weft::co_spawn(
                io,
                [&highest]() -> Task<void> {
                    co_await testing::yield();
                    highest = std::max(highest, detail::active_slot()->pool_index);
                },
                fail_on_exception);
            run(io);
        }
        return highest;
    };
    EXPECT_EQ(slots_after(2000), slots_after(1));
}

TEST_F(Spawn, AnOperationThatIsNeverStartedGivesItsSlotBack) {
    const detail::ContextSlot* first = nullptr;
    for (int i = 0; i < 100; ++i) {
        auto operation = weft::co_spawn(io, child_task("never"), asio::deferred);
        const auto lease = detail::SlotLease::fork();
        if (first == nullptr) { first = lease.slot(); }
        EXPECT_EQ(lease.slot(), first);
    }
    EXPECT_TRUE(sink.take().empty());
}

// Other executors.

TEST_F(Spawn, RunsChainsOnAThreadPool) {
    asio::thread_pool pool(2);
    using PoolExecutor = BasicExecutor<asio::thread_pool::executor_type>;
    Span main("main");
    auto future = weft::co_spawn(
        pool.get_executor(),
        []() -> asio::awaitable<int, PoolExecutor> {
            Span outer("outer");
            const auto executor = co_await asio::this_coro::executor;
            const auto value = co_await weft::co_spawn(
                executor,
                []() -> asio::awaitable<int, PoolExecutor> {
                    Span inner("inner");
                    co_await asio::post(asio::use_awaitable_t<PoolExecutor>{});
                    co_return 6;
                },
                asio::use_awaitable_t<PoolExecutor>{});
            EXPECT_EQ(current_span_context(), outer.context());
            co_return value;
        },
        asio::use_future);
    EXPECT_EQ(future.get(), 6);
    pool.join();
    main.end();

    EXPECT_EQ(families(), (Families{"inner<outer", "main<", "outer<main"}));
}

TEST_F(Spawn, RunsChainsOnAStrand) {
    using Strand = asio::strand<asio::io_context::executor_type>;
    using StrandExecutor = BasicExecutor<Strand>;
    const auto strand = asio::make_strand(io);
    int inside = 0;
    for (int chain = 0; chain < 5; ++chain) {
        weft::co_spawn(
            strand,
            [&inside, strand]() -> asio::awaitable<void, StrandExecutor> {
                Span outer("outer");
                for (int i = 0; i < 20; ++i) {
                    co_await asio::post(asio::use_awaitable_t<StrandExecutor>{});
                    EXPECT_TRUE(strand.running_in_this_thread());
                    EXPECT_EQ(++inside, 1);
                    EXPECT_EQ(current_span_context(), outer.context());
                    --inside;
                }
            },
            fail_on_exception);
    }
    testing::run_on_threads(io, 2);

    EXPECT_EQ(sink.take().size(), 5U);
}

// A type-erased executor hides what it holds: nested chains must shed the outer one's context all the same.
template <class SpawnOn>
void expect_nested_awaitables_work_on(const SpawnOn& executor, std::function<void()> finish) {
    constexpr int children = 8;
    std::atomic<int> ended{
        0}; // Counted by every child on whatever thread it runs; read after the join.
    weft::co_spawn(
        executor,
        [&ended]() -> asio::awaitable<void> {
            Span outer("outer");
            const auto here = co_await asio::this_coro::executor;
            for (int i = 0; i < children; ++i) {
                weft::co_spawn(
                    here,
                    [&ended]() -> asio::awaitable<void> {
                        Span inner("inner");
                        for (int j = 0; j < 50; ++j) {
                            co_await asio::post(asio::use_awaitable);
                            EXPECT_EQ(current_span_context(), inner.context());
                        }
                        ended.fetch_add(1, std::memory_order_relaxed); // A counter.
                    },
                    fail_on_exception);
            }
            for (int j = 0; j < 50; ++j) {
                co_await asio::post(asio::use_awaitable);
                EXPECT_EQ(current_span_context(), outer.context());
            }
        },
        fail_on_exception);
    finish();
    EXPECT_EQ(ended.load(std::memory_order_relaxed), children); // Joined.
}

TEST_F(Spawn, NestedAwaitablesOnAThreadPoolKeepTheirContextsApart) {
    asio::thread_pool pool(2);
    expect_nested_awaitables_work_on(pool.get_executor(), [&] { pool.join(); });
    EXPECT_EQ(sink.take().size(), 9U);
}

TEST_F(Spawn, NestedAwaitablesOnAStrandKeepTheirContextsApart) {
    expect_nested_awaitables_work_on(
        asio::make_strand(io), [&] { testing::run_on_threads(io, 2); });
    EXPECT_EQ(sink.take().size(), 9U);
}

TEST_F(Spawn, NestedAwaitablesOnATypeErasedExecutorKeepTheirContextsApart) {
    expect_nested_awaitables_work_on(
        asio::any_io_executor(io.get_executor()), [&] { testing::run_on_threads(io, 2); });
    EXPECT_EQ(sink.take().size(), 9U);
}

TEST_F(Spawn, NestedAwaitablesOnATypeErasedStrandKeepTheirContextsApart) {
    expect_nested_awaitables_work_on(
        asio::any_io_executor(asio::make_strand(asio::any_io_executor(io.get_executor()))),
        [&] { testing::run_on_threads(io, 2); });
    EXPECT_EQ(sink.take().size(), 9U);
}

// The headline: many coroutines on one thread, each holding a span across every co_await.
TEST_F(Spawn, AThousandChildrenOfAHundredCoroutinesAreAllInTheRightTrace) {
    for (int i = 0; i < 100; ++i) {
        weft::co_spawn(
            io,
            [i]() -> Task<void> {
                Span root("root " + std::to_string(i));
                co_await testing::yield();
                for (int child = 0; child < 10; ++child) {
                    Span span("child of " + std::to_string(i));
                    co_await testing::yield();
                }
            },
            fail_on_exception);
    }
    run(io);

    const testing::SpanIndex spans(sink.take());
    int right = 0;
    for (const auto& span : spans.all()) {
        if (!span.name.starts_with("child of ")) { continue; }
        const auto& root = spans.named("root " + span.name.substr(9));
        right += span.trace_id() == root.trace_id() && span.parent == root.id() ? 1 : 0;
    }
    EXPECT_EQ(spans.size(), 1100U);
    EXPECT_EQ(right, 1000);
}

} // namespace
} // namespace weft
