#include <weft/runtime/spawn.hpp>

// How chains end: by an exception, by cancellation, with their loop.

#include "spawn_fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>

#include <stdexcept>

namespace weft {
namespace {

using testing::fail_on_exception;
using testing::run;
using testing::use_task;

class SpawnEnd : public testing::SpawnFixture {};

// Exceptions.

Task<void> throw_through(int frames) {
    Span span("frame " + std::to_string(frames));
    co_await testing::yield();
    if (frames == 1) { throw std::runtime_error("deep"); }
    co_await throw_through(frames - 1);
}

TEST_F(SpawnEnd, AnExceptionThroughFourFramesEndsTheirSpansAndLeavesTheOuterOneCurrent) {
    weft::co_spawn(
        io,
        []() -> Task<void> {
            Span outer("outer");
            bool caught = false;
            try {
                co_await throw_through(4);
            } catch (const std::runtime_error&) { caught = true; }
            EXPECT_TRUE(caught);
            EXPECT_EQ(current_span_context(), outer.context());
            Span after("after");
            co_await testing::yield();
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(
        families(), (Families{
                        "after<outer", "frame 1<frame 2", "frame 2<frame 3", "frame 3<frame 4",
                        "frame 4<outer", "outer<"}));
}

TEST_F(SpawnEnd, AnExceptionReachesTheToken) {
    auto future = weft::co_spawn(io, throw_through(3), asio::use_future);
    std::exception_ptr from_callback;
    weft::co_spawn(
        io, throw_through(2), [&](std::exception_ptr error) { from_callback = std::move(error); });
    run(io);

    EXPECT_THROW(future.get(), std::runtime_error);
    EXPECT_THROW(std::rethrow_exception(from_callback), std::runtime_error);
    EXPECT_EQ(sink.take().size(), 5U);
}

TEST_F(SpawnEnd, AnExceptionOfAnAwaitedChainReachesItsSpawner) {
    weft::co_spawn(
        io,
        [this]() -> Task<void> {
            Span outer("outer");
            bool caught = false;
            try {
                co_await weft::co_spawn(io, throw_through(2), use_task);
            } catch (const std::runtime_error&) { caught = true; }
            EXPECT_TRUE(caught);
            EXPECT_EQ(current_span_context(), outer.context());
        },
        fail_on_exception);
    run(io);

    EXPECT_EQ(families(), (Families{"frame 1<frame 2", "frame 2<outer", "outer<"}));
}

TEST_F(SpawnEnd, AFactoryThatThrowsBeforeItMakesACoroutineReportsItToTheToken) {
    auto future = weft::co_spawn(
        io, []() -> Task<int> { throw std::logic_error("no coroutine"); }, asio::use_future);
    run(io);

    EXPECT_THROW(future.get(), std::logic_error);
}

// Cancellation.

Task<void> wait_for_ever(std::string name) {
    Span span(name);
    asio::steady_timer timer(
        co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    co_await timer.async_wait(use_task);
}

class SpawnCancelled : public SpawnEnd,
                       public ::testing::WithParamInterface<asio::cancellation_type> {};

TEST_P(SpawnCancelled, EndsItsSpansAndReportsOperationAborted) {
    asio::cancellation_signal signal;
    std::exception_ptr error;
    Span main("main");
    weft::co_spawn(
        io,
        []() -> Task<void> {
            Span outer("outer");
            co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
            co_await wait_for_ever("inner");
        },
        asio::bind_cancellation_slot(
            signal.slot(), [&](std::exception_ptr e) { error = std::move(e); }));
    io.poll();
    EXPECT_TRUE(sink.take().empty());

    signal.emit(GetParam());
    run(io);
    main.end();

    ASSERT_NE(error, nullptr);
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
        EXPECT_EQ(e.code(), asio::error::operation_aborted);
    }
    EXPECT_EQ(families(), (Families{"inner<outer", "main<", "outer<main"}));
}

INSTANTIATE_TEST_SUITE_P(
    EveryType, SpawnCancelled,
    ::testing::Values(
        asio::cancellation_type::terminal, asio::cancellation_type::partial,
        asio::cancellation_type::total));

TEST_F(SpawnEnd, AChainCancelledByItsSpawnersSlotIsCancelledWithIt) {
    asio::cancellation_signal signal;
    bool failed = false;
    weft::co_spawn(
        io,
        [this]() -> Task<void> {
            Span outer("outer");
            co_await weft::co_spawn(io, wait_for_ever("inner"), use_task);
        },
        asio::bind_cancellation_slot(
            signal.slot(), [&](const std::exception_ptr& error) { failed = error != nullptr; }));
    io.poll();

    signal.emit(asio::cancellation_type::terminal);
    run(io);

    EXPECT_TRUE(failed);
    EXPECT_EQ(families(), (Families{"inner<outer", "outer<"}));
}

// The end of the loop.

TEST_F(SpawnEnd, SuspendedCoroutinesHoldingSpansSurviveTheirLoopsDestruction) {
    {
        asio::io_context loop(1);
        for (int i = 0; i < 20; ++i) {
            weft::co_spawn(
                loop,
                [&loop]() -> Task<void> {
                    Span outer("outer");
                    co_await weft::co_spawn(loop, wait_for_ever("inner"), use_task);
                },
                asio::detached);
            weft::co_spawn(
                loop,
                []() -> asio::awaitable<void> {
                    Span outer("outer");
                    asio::steady_timer timer(
                        co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
                    Span inner("inner");
                    co_await timer.async_wait(asio::use_awaitable);
                },
                asio::detached);
        }
        loop.poll();
        EXPECT_TRUE(sink.take().empty());
    }
    const testing::SpanIndex spans(sink.take());
    EXPECT_EQ(spans.size(), 80U);
    for (const auto& span : spans.all()) {
        if (span.name == "outer") { continue; }
        const auto* parent = spans.find(span.parent);
        ASSERT_NE(parent, nullptr);
        EXPECT_EQ(parent->name, "outer");
    }
}

TEST_F(SpawnEnd, CoroutinesThatNeverRanAreDestroyedWithTheirLoop) {
    {
        asio::io_context loop(1);
        for (int i = 0; i < 10; ++i) { weft::co_spawn(loop, throw_through(2), asio::detached); }
    }
    EXPECT_TRUE(sink.take().empty());
}

} // namespace
} // namespace weft
