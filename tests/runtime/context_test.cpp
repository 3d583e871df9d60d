#include "loop.hpp"

#include <weft/runtime/context.hpp>
#include <weft/runtime/with.hpp>
#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <boost/asio/steady_timer.hpp>

#include <optional>
#include <thread>

namespace weft {
namespace {

using detail::SlotLease;

class Context : public testing::WithoutFaults {
protected:
    testing::SpanSink sink;
};

TEST_F(Context, NothingIsCurrentOnAFreshThread) {
    std::thread([] {
        EXPECT_FALSE(current_span_context().is_valid());
        EXPECT_FALSE(current_trace_context().is_valid());
        EXPECT_TRUE(current_trace_context().state.empty());
    }).join();
}

TEST_F(Context, SpansOfPlainCodeNestOnTheirThread) {
    Span outer("outer");
    {
        Span inner("inner");
        EXPECT_EQ(current_span_context(), inner.context());
        std::thread([] { EXPECT_FALSE(current_span_context().is_valid()); }).join();
    }
    EXPECT_EQ(current_span_context(), outer.context());
    outer.end();
    EXPECT_FALSE(current_span_context().is_valid());

    EXPECT_EQ(testing::SpanIndex(sink.take()).parent_of("inner"), "outer");
}

TEST_F(Context, ACurrentSpanIsReachedByWhateverRunsBelowIt) {
    Span outer("outer");
    current_span().update_name("renamed");
    EXPECT_TRUE(current_span().is_recording());
    outer.end();

    EXPECT_FALSE(current_span().is_recording());
    EXPECT_EQ(sink.take_one().name, "renamed");
}

TEST_F(Context, AThreadsOwnSlotIsRecycledWhenTheThreadEnds) {
    std::optional<std::uint32_t> index;
    for (int i = 0; i < 100; ++i) {
        std::thread([&] {
            const auto mine = detail::ambient_slot()->pool_index;
            if (!index) { index = mine; }
            EXPECT_EQ(mine, *index);
        }).join();
    }
}

TEST_F(Context, ASpanLeftOpenByAThreadThatEndsIsStillExportedWhenItEnds) {
    Span span;
    std::thread([&] { span = Span("left open"); }).join();
    EXPECT_TRUE(span.is_recording());
    EXPECT_FALSE(current_span_context().is_valid());
    EXPECT_TRUE(sink.take().empty());

    span.end();

    EXPECT_EQ(sink.take_one().name, "left open");
}

// Thread-locals made before the context's own are destroyed after it.
struct EndsLate {
    Span span;
    ~EndsLate() {
        EXPECT_FALSE(current_span_context().is_valid());
        span.end();
        const Span none("too late");
        EXPECT_FALSE(none.is_recording());
    }
};

TEST_F(Context, ThreadLocalDestructorsThatRunLastFindNoContextAndDoNoHarm) {
    std::thread([] {
        static thread_local EndsLate late;
        late.span = Span("ends late");
    }).join();

    EXPECT_EQ(sink.take_one().name, "ends late");
}

// Suppression.

TEST_F(Context, SuppressionSilencesWhatStartsUnderIt) {
    {
        const auto quiet = with(suppress_telemetry);
        Span silent("silent");
        EXPECT_FALSE(silent.is_recording());
        EXPECT_FALSE(silent.context().is_valid());
    }
    Span heard("heard");
    heard.end();

    EXPECT_EQ(sink.take_one().name, "heard");
}

TEST_F(Context, SuppressionNests) {
    const auto outer = with(suppress_telemetry);
    { const auto inner = with(suppress_telemetry); }
    EXPECT_FALSE(Span("still silent").is_recording());
}

TEST_F(Context, SuppressionLeavesOpenSpansAlone) {
    Span open("open");
    const auto quiet = with(suppress_telemetry);
    EXPECT_TRUE(open.is_recording());
    open.set_attribute("still", "recorded");
    EXPECT_EQ(current_span_context(), open.context());
}

TEST_F(Context, SuppressionFollowsItsChainAndNoOther) {
    asio::io_context io(1);
    weft::co_spawn(
        io,
        []() -> Task<void> {
            const auto quiet = with(suppress_telemetry);
            for (int i = 0; i < 10; ++i) {
                co_await testing::yield();
                EXPECT_FALSE(Span("silent").is_recording());
            }
        },
        testing::fail_on_exception);
    weft::co_spawn(
        io,
        []() -> Task<void> {
            for (int i = 0; i < 10; ++i) {
                co_await testing::yield();
                EXPECT_TRUE(Span("heard").is_recording());
            }
        },
        testing::fail_on_exception);
    testing::run(io);

    EXPECT_EQ(sink.take().size(), 10U);
    EXPECT_TRUE(Span("after").is_recording());
}

TEST_F(Context, SuppressionDestroyedWithItsLoopTouchesNobodyElsesContext) {
    {
        asio::io_context io(1);
        weft::co_spawn(
            io,
            []() -> Task<void> {
                const auto quiet = with(suppress_telemetry);
                asio::steady_timer timer(
                    co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
                co_await timer.async_wait(testing::use_task);
            },
            asio::detached);
        io.poll();
    }
    EXPECT_TRUE(Span("heard").is_recording());
    // The chain's slot is in use again: it must have come back clean.
    testing::run_chain([]() -> Task<void> {
        EXPECT_TRUE(Span("heard").is_recording());
        co_return;
    });
}

// Leases and handles.

TEST_F(Context, AForkCopiesWhatIsCurrentAndDoesNotFollowIt) {
    Span outer("outer");
    const auto lease = SlotLease::fork();
    Span later("later");

    const detail::InstalledSlot installed(lease.handle());

    EXPECT_EQ(current_span_context(), outer.context());
}

TEST_F(Context, ARecycledSlotCarriesNothingOver) {
    std::uint32_t index = 0;
    {
        Span outer(
            "outer", {},
            {.parent = TraceContext{
                 {random_trace_id(), random_span_id(), 1, true},
                 TraceState::from_validated("a=1")}});
        const auto quiet = with(suppress_telemetry);
        const auto lease = SlotLease::fork();
        index = lease.slot()->pool_index;
    }
    const auto lease = SlotLease::fork();
    ASSERT_EQ(lease.slot()->pool_index, index) << "the test means to see the same slot again";

    const detail::InstalledSlot installed(lease.handle());

    EXPECT_FALSE(current_span_context().is_valid());
    EXPECT_TRUE(current_trace_context().state.empty());
    EXPECT_TRUE(Span("heard").is_recording());
}

TEST_F(Context, AStaleHandleInstallsNothingThoughItsSlotIsInUseAgain) {
    detail::SlotHandle stale;
    {
        const auto lease = SlotLease::fork();
        stale = lease.handle();
    }
    Span other("somebody else's");
    const auto lease = SlotLease::fork();
    ASSERT_EQ(lease.handle().index_plus_one, stale.index_plus_one);
    ASSERT_NE(lease.handle(), stale);

    const detail::InstalledSlot installed(stale);

    EXPECT_FALSE(current_span_context().is_valid());
}

TEST_F(Context, CodeWithoutAContextDoesNotSeeItsThreadsOwn) {
    Span main("main");
    {
        const detail::InstalledSlot installed(detail::SlotHandle{});
        EXPECT_FALSE(current_span_context().is_valid());
        Span inner("inner");
        EXPECT_EQ(current_span_context(), inner.context());
    }
    EXPECT_EQ(current_span_context(), main.context());
    main.end();

    EXPECT_EQ(testing::SpanIndex(sink.take()).parent_of("inner"), "");
}

TEST_F(Context, ASpanThatOutlivesASliceWithoutAContextIsExportedWhenItEnds) {
    Span main("main");
    Span inner;
    {
        const detail::InstalledSlot installed(detail::SlotHandle{});
        inner = Span("inner");
    }
    EXPECT_EQ(current_span_context(), main.context());

    inner.end();

    EXPECT_EQ(sink.take_one().name, "inner");
    EXPECT_EQ(current_span_context(), main.context());
}

TEST_F(Context, ABoundCallbackSeesTheContextOfTheChainWhileItLives) {
    asio::io_context io(1);
    weft::co_spawn(
        io,
        [&io]() -> Task<void> {
            Span span("current");
            bool called = false;
            asio::post(bind_context(io.get_executor()), [&] {
                called = true;
                EXPECT_EQ(current_span_context(), span.context());
                Span child("made by the callback");
            });
            co_await testing::yield(3);
            EXPECT_TRUE(called);
        },
        testing::fail_on_exception);
    testing::run(io);

    EXPECT_EQ(testing::SpanIndex(sink.take()).parent_of("made by the callback"), "current");
}

TEST_F(Context, ABoundCallbackSeesNoContextAfterTheChainHasEnded) {
    asio::io_context io(1);
    std::optional<Executor> bound;
    Span main(
        "main"); // Current on the thread that runs the loop; the callback must not see it either.
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            Span span("current");
            bound = bind_context(io.get_executor());
            co_await testing::yield();
        },
        testing::fail_on_exception);
    testing::run(io);
    bool called = false;
    asio::post(*bound, [&] {
        called = true;
        EXPECT_FALSE(current_span_context().is_valid());
        Span orphan("orphan");
    });
    testing::run(io);
    main.end();

    EXPECT_TRUE(called);
    EXPECT_EQ(testing::SpanIndex(sink.take()).parent_of("orphan"), "");
}

TEST_F(Context, ABoundCallbackSeesNothingOfAChainThatGotTheSameSlot) {
    asio::io_context io(1);
    std::optional<Executor> bound;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            bound = bind_context(io.get_executor());
            co_return;
        },
        testing::fail_on_exception);
    testing::run(io);

    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            Span other("other");
            EXPECT_EQ(detail::active_slot()->pool_index + 1, bound->slot().index_plus_one);
            bool called = false;
            asio::post(*bound, [&] {
                called = true;
                EXPECT_FALSE(current_span_context().is_valid());
            });
            co_await testing::yield(3);
            EXPECT_TRUE(called);
            EXPECT_EQ(current_span_context(), other.context());
        },
        testing::fail_on_exception);
    testing::run(io);
}

TEST_F(Context, ACallbackTokenRunsInTheContextTheChainBeganWith) {
    asio::io_context io(1);
    Span main("main");
    const auto main_context = main.context();
    bool called = false;
    weft::co_spawn(
        io,
        []() -> Task<void> {
            Span inner("inner");
            co_await testing::yield();
        },
        [&](const std::exception_ptr&) {
            called = true;
            EXPECT_EQ(current_span_context(), main_context);
            Span after("after");
        });
    testing::run(io);
    main.end();

    EXPECT_TRUE(called);
    EXPECT_EQ(testing::SpanIndex(sink.take()).parent_of("after"), "main");
}

// The slot is given up when an operation starts, and taken again by a slice that goes on.

TEST_F(Context, ASliceThatStartsAnOperationAndGoesOnHasItsContextStill) {
    testing::run_chain([]() -> Task<void> {
        const auto executor = co_await asio::this_coro::executor;
        Span outer("outer");
        int called = 0;
        asio::post(executor, [&called] { ++called; });
        EXPECT_EQ(current_span_context(), outer.context());
        {
            Span inner("inner");
            asio::post(executor, [&called] { ++called; });
            Span innermost("innermost");
            asio::post(executor, [&called] { ++called; });
        }
        asio::post(executor, [&called] { ++called; });
        outer.end();
        EXPECT_FALSE(current_span_context().is_valid());
        co_await testing::yield(2);
        EXPECT_EQ(called, 4);
    });

    const testing::SpanIndex spans(sink.take());
    EXPECT_EQ(spans.parent_of("inner"), "outer");
    EXPECT_EQ(spans.parent_of("innermost"), "inner");
}

TEST_F(Context, SuppressionEndsThoughItsSliceStartedAnOperationMeanwhile) {
    testing::run_chain([]() -> Task<void> {
        const auto executor = co_await asio::this_coro::executor;
        {
            const auto quiet = with(suppress_telemetry);
            asio::post(executor, [] {});
        }
        EXPECT_TRUE(Span("heard").is_recording());
    });
}

TEST_F(Context, SuppressionStartsThoughItsSliceStartedAnOperationBefore) {
    testing::run_chain([]() -> Task<void> {
        asio::post(co_await asio::this_coro::executor, [] {});
        const auto quiet = with(suppress_telemetry);
        co_await testing::yield();
        EXPECT_FALSE(Span("silent").is_recording());
    });
}

TEST_F(Context, AChainSpawnedAfterAnOperationWasStartedInheritsTheContext) {
    asio::io_context io(1);
    weft::co_spawn(
        io,
        [&io]() -> Task<void> {
            Span outer("outer");
            asio::post(co_await asio::this_coro::executor, [] {});
            weft::co_spawn(
                io,
                []() -> Task<void> {
                    Span inner("inner");
                    co_return;
                },
                testing::fail_on_exception);
        },
        testing::fail_on_exception);
    testing::run(io);

    EXPECT_EQ(testing::SpanIndex(sink.take()).parent_of("inner"), "outer");
}

TEST_F(Context, AChainWhoseLastSliceStartedAnOperationStillRunsItsCallbackInItsContext) {
    asio::io_context io(1);
    Span main("main");
    const auto main_context = main.context();
    bool called = false;
    weft::co_spawn(
        io,
        []() -> Task<void> {
            co_await testing::yield();
            asio::post(co_await asio::this_coro::executor, [] {});
        },
        [&](const std::exception_ptr&) {
            called = true;
            EXPECT_EQ(current_span_context(), main_context);
        });
    testing::run(io);

    EXPECT_TRUE(called);
}

TEST_F(Context, ALoopRunInsideASliceServesTheSameChainAndOthers) {
    asio::io_context io(1);
    weft::co_spawn(
        io,
        [&io]() -> Task<void> {
            Span outer("outer");
            bool called = false;
            asio::post(bind_context(io.get_executor()), [&] {
                called = true;
                EXPECT_EQ(current_span_context(), outer.context());
            });
            bool other_called = false;
            weft::co_spawn(
                io,
                [&]() -> Task<void> {
                    Span inner("inner");
                    co_await testing::yield();
                    EXPECT_EQ(current_span_context(), inner.context());
                    other_called = true;
                },
                testing::fail_on_exception);
            while (!called || !other_called) { io.poll(); }
            EXPECT_EQ(current_span_context(), outer.context());
            co_await testing::yield();
            EXPECT_EQ(current_span_context(), outer.context());
        },
        testing::fail_on_exception);
    testing::run(io);

    EXPECT_EQ(testing::SpanIndex(sink.take()).parent_of("inner"), "outer");
}

// Spans that are carried away from where they are current.

TEST_F(Context, ASpanMovedOutOfItsChainIsExportedWhenItEndsAtLast) {
    Span kept;
    testing::run_chain([&]() -> Task<void> {
        kept = Span("outlives its chain");
        co_await testing::yield();
        EXPECT_EQ(current_span_context(), kept.context());
    });
    EXPECT_TRUE(kept.is_recording());
    kept.set_attribute("still", "recording");
    EXPECT_TRUE(sink.take().empty());

    kept.end();

    EXPECT_EQ(sink.take_one().name, "outlives its chain");
}

TEST_F(Context, ASpanMayEndAfterItsSlotWentToAnotherChain) {
    Span kept;
    std::uint32_t index = 0;
    testing::run_chain([&]() -> Task<void> {
        kept = Span("outlives its chain");
        index = detail::active_slot()->pool_index;
        co_return;
    });
    asio::io_context io(1);
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            EXPECT_EQ(detail::active_slot()->pool_index, index);
            Span mine("mine");
            co_await testing::yield(3);
            EXPECT_EQ(current_span_context(), mine.context());
        },
        testing::fail_on_exception);
    io.poll_one();

    kept.end(); // From the loop's owner, while the other chain is suspended.
    testing::run(io);

    EXPECT_EQ(sink.take().size(), 2U);
}

TEST_F(Context, ASpanMayEndOnAnotherThreadAfterItsChainHasEnded) {
    Span kept;
    testing::run_chain([&]() -> Task<void> {
        kept = Span("ended elsewhere");
        co_return;
    });
    std::thread([&] { kept.end(); }).join();

    EXPECT_EQ(sink.take_one().name, "ended elsewhere");
}

TEST_F(Context, ASuspendedChainsSpanMayEndOnAnotherThread) {
    asio::io_context io(1);
    Span moved;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            Span outer("outer");
            moved = Span("moved");
            co_await testing::yield();
            EXPECT_EQ(current_span_context(), outer.context())
                << "the moved one has ended meanwhile";
        },
        testing::fail_on_exception);
    io.poll_one();
    std::thread([&] { moved.end(); }).join();
    testing::run(io);

    EXPECT_EQ(testing::SpanIndex(sink.take()).parent_of("moved"), "outer");
}

TEST_F(Context, ADetachedSpanMayEndAnywhere) {
    Span detached;
    testing::run_chain([&]() -> Task<void> {
        Span outer("outer");
        detached = Span::detached(sink.tracer(), "detached");
        EXPECT_EQ(current_span_context(), outer.context());
        co_return;
    });
    std::thread([&] {
        Span own("another thread's");
        detached.end();
        EXPECT_EQ(current_span_context(), own.context());
    }).join();

    EXPECT_EQ(testing::SpanIndex(sink.take()).parent_of("detached"), "outer");
}

} // namespace
} // namespace weft
