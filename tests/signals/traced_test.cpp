#include "../runtime/loop.hpp"

#include <weft/runtime/with.hpp>
#include <weft/signals/traced.hpp>
#include <weft/testing/in_memory.hpp>
#include <weft/testing/matchers.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/asio/write.hpp>

#include <memory_resource>
#include <stdexcept>
#include <string>

// A span around one await: in which form, with which token, ended how.

namespace weft::testing {
namespace {

using boost::system::error_code;

class Traced : public WithoutFaults {
protected:
    InMemoryTelemetry telemetry;

    /// What has ended since the last call.
    std::vector<FinishedSpan> take() {
        auto spans = telemetry.spans();
        telemetry.clear();
        return spans;
    }
    /// The one span that has; an empty one, and a failure where it is compared, when there is not just one.
    FinishedSpan take_one() {
        auto spans = take();
        return spans.size() == 1 ? std::move(spans.front()) : FinishedSpan{};
    }
};

const auto unset = HasStatus(StatusCode::unset);
const auto was_cancelled = ::testing::AllOf(HasAttribute("weft.cancelled", true), unset);

Task<int> answer() {
    const Span inside("inside");
    co_await yield();
    co_return 42;
}

Task<void> failing() {
    co_await yield();
    throw std::invalid_argument("what went wrong");
}

asio::awaitable<void> failing_plain() {
    throw boost::system::system_error(
        boost::system::errc::make_error_code(boost::system::errc::timed_out));
    co_return;
}

Task<void> sleep_for_ever() {
    asio::steady_timer timer(
        co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    co_await timer.async_wait(use_task);
}

TEST_F(Traced, AnAwaitableRunsInsideItsSpanAndGivesItsValue) {
    run_chain([]() -> Task<void> {
        const Span outer("outer");
        EXPECT_EQ(co_await weft::traced("wrapper", answer()), 42);
        EXPECT_EQ(current_span_context(), outer.context());
    });
    EXPECT_THAT(take(), Tree("outer", {Tree("wrapper", {Tree("inside")}).with(unset)}));
}

TEST_F(Traced, AnAwaitablesSpanStartsWhenItIsAwaited) {
    run_chain([]() -> Task<void> {
        auto later = weft::traced("wrapper", answer());
        const Span outer("outer");
        EXPECT_EQ(co_await std::move(later), 42);
    });
    EXPECT_THAT(take(), Tree("outer", {Tree("wrapper", {Tree("inside")})}));
}

TEST_F(Traced, AnExceptionPassesThroughAndIsRecorded) {
    run_chain([]() -> Task<void> {
        bool caught = false;
        try {
            co_await weft::traced("wrapper", failing());
        } catch (const std::invalid_argument&) { caught = true; }
        EXPECT_TRUE(caught);
    });
    const auto span = take_one();
    EXPECT_THAT(span, HasStatus(StatusCode::error, "what went wrong"));
    EXPECT_THAT(span, HasAttribute("error.type", "std::invalid_argument"));
    EXPECT_EQ(span.events.size(), 1U);
    EXPECT_THAT(span, HasEvent("exception", HasAttribute("exception.message", "what went wrong")));
}

TEST_F(Traced, ASystemErrorOfAPlainAwaitableBecomesItsCodesTypeAndText) {
    asio::io_context io(1);
    weft::co_spawn(
        io,
        []() -> asio::awaitable<void> {
            bool caught = false;
            try {
                co_await weft::traced("wrapper", failing_plain());
            } catch (const boost::system::system_error&) { caught = true; }
            EXPECT_TRUE(caught);
        },
        fail_on_exception);
    run(io);
    const auto span = take_one();
    EXPECT_THAT(span, HasStatus(StatusCode::error));
    EXPECT_THAT(span, HasAttribute("error.type", "generic:" + std::to_string(ETIMEDOUT)));
}

TEST_F(Traced, AnExceptionOfNoKnownTypeIsTheOtherType) {
    run_chain([]() -> Task<void> {
        const auto odd = []() -> Task<void> {
            co_await yield();
            throw 42;
        };
        int caught = 0;
        try {
            co_await weft::traced("wrapper", odd());
        } catch (int value) { caught = value; }
        EXPECT_EQ(caught, 42);
    });
    const auto span = take_one();
    EXPECT_EQ(span.name, "wrapper");
    EXPECT_THAT(span, HasStatus(StatusCode::error));
    EXPECT_THAT(span, HasAttribute("error.type", "_OTHER"));
}

TEST_F(Traced, ACancelledAwaitableHasNotFailed) {
    asio::io_context io(1);
    asio::cancellation_signal signal;
    error_code seen;
    weft::co_spawn(
        io,
        [&seen]() -> Task<void> {
            try {
                co_await weft::traced("wrapper", sleep_for_ever());
            } catch (const boost::system::system_error& error) { seen = error.code(); }
        },
        asio::bind_cancellation_slot(signal.slot(), fail_on_exception));
    io.poll();
    io.restart();
    signal.emit(asio::cancellation_type::terminal);
    run(io);
    EXPECT_EQ(seen, asio::error::operation_aborted);
    const auto span = take_one();
    EXPECT_THAT(span, was_cancelled);
    EXPECT_TRUE(span.events.empty()) << "it has no event";
}

TEST_F(Traced, AnAwaitableThatIsDestroyedWithItsLoopEndsItsSpan) {
    {
        asio::io_context io(1);
        weft::co_spawn(
            io, []() -> Task<void> { co_await weft::traced("abandoned", sleep_for_ever()); },
            fail_on_exception);
        io.poll();
        EXPECT_TRUE(take().empty());
    }
    const auto span = take_one();
    EXPECT_EQ(span.name, "abandoned");
    EXPECT_THAT(span, unset);
}

TEST_F(Traced, WhatIsSuppressedHasNoSpanAndRunsTheSame) {
    run_chain([]() -> Task<void> {
        const auto quiet = with(suppress_telemetry);
        EXPECT_EQ(co_await weft::traced("wrapper", answer()), 42);
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(0));
        co_await timer.async_wait(weft::traced("wait"));
    });
    EXPECT_TRUE(take().empty());
}

TEST_F(WithoutFaults, WhatIsTracedRunsTheSameWithTelemetryOff) {
    bool ended = false;
    run_chain([&ended]() -> Task<void> {
        EXPECT_EQ(co_await weft::traced("wrapper", answer()), 42);
        bool caught = false;
        try {
            co_await weft::traced("wrapper", failing());
        } catch (const std::invalid_argument&) { caught = true; }
        EXPECT_TRUE(caught);
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(0));
        co_await timer.async_wait(weft::traced("wait"));
        EXPECT_FALSE(current_span_context().is_valid());
        ended = true;
    });
    EXPECT_TRUE(ended);
}

TEST_F(Traced, ADeferredOperationThatIsStartedTwiceHasTwoSpans) {
    asio::io_context io(1);
    asio::steady_timer timer(io, std::chrono::seconds(0));
    const auto operation = timer.async_wait(weft::traced("wait", asio::deferred));
    int completed = 0;
    for (int i = 0; i < 2; ++i) {
        operation([&completed](error_code error) {
            EXPECT_FALSE(error);
            ++completed;
        });
    }
    run(io);
    EXPECT_EQ(completed, 2);
    const auto spans = take();
    ASSERT_EQ(spans.size(), 2U);
    for (const auto& span : spans) { EXPECT_EQ(span.name, "wait"); }
}

TEST_F(Traced, AnOperationInACoroutineIsAChildThatIsNotCurrent) {
    run_chain([]() -> Task<void> {
        const Span outer("outer");
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(0));
        co_await timer.async_wait(weft::traced("wait"));
        EXPECT_EQ(current_span_context(), outer.context());
    });
    EXPECT_THAT(take(), Tree("outer", {Tree("wait").with(unset).with(HasKind(SpanKind::client))}));
}

TEST_F(Traced, AnOperationsSpanStartsWhenItIsStarted) {
    run_chain([]() -> Task<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(0));
        auto later = timer.async_wait(weft::traced("wait"));
        const Span outer("outer");
        co_await std::move(later);
    });
    EXPECT_THAT(take(), Tree("outer", {Tree("wait")}));
}

TEST_F(Traced, ByteCountsAndErrorsOfAnOperationAreNoted) {
    run_chain([]() -> Task<void> {
        const auto executor = co_await asio::this_coro::executor;
        asio::readable_pipe in(executor.inner_executor());
        asio::writable_pipe out(executor.inner_executor());
        asio::connect_pipe(in, out);
        const std::string text = "hello";
        EXPECT_EQ(co_await asio::async_write(out, asio::buffer(text), weft::traced("write")), 5U);
        out.close();
        char buffer[16];
        const auto [error, size] = co_await asio::async_read(
            in, asio::buffer(buffer), weft::traced("read", asio::as_tuple(asio::deferred)));
        EXPECT_EQ(error, asio::error::eof);
        EXPECT_EQ(size, 5U);
    });
    const auto all_bytes = HasAttribute("weft.bytes_transferred", 5);
    EXPECT_THAT(
        take(), Trees(
                    {Tree("write").with(all_bytes).with(unset),
                     Tree("read")
                         .with(all_bytes)
                         .with(HasStatus(StatusCode::error))
                         .with(HasAttribute("error.type", "asio.misc:2"))}));
}

TEST_F(Traced, ACancelledOperationHasNotFailed) {
    asio::io_context io(1);
    asio::cancellation_signal signal;
    asio::steady_timer timer(io, asio::steady_timer::time_point::max());
    error_code seen;
    timer.async_wait(asio::bind_cancellation_slot(
        signal.slot(), weft::traced("outside", [&](error_code error) { seen = error; })));
    io.poll();
    io.restart();
    signal.emit(asio::cancellation_type::all);
    run(io);
    EXPECT_EQ(seen, asio::error::operation_aborted);
    const auto span = take_one();
    EXPECT_THAT(span, was_cancelled);
}

TEST_F(Traced, TheInnerTokensExecutorAllocatorAndCancellationSlotAreKept) {
    asio::io_context io(1);
    asio::io_context other(1);
    asio::cancellation_signal signal;
    std::byte memory[4096];
    std::pmr::monotonic_buffer_resource resource(
        memory, sizeof memory, std::pmr::null_memory_resource());
    const std::pmr::polymorphic_allocator<void> allocator(&resource);
    bool called = false;
    auto handler = asio::bind_executor(
        other.get_executor(),
        asio::bind_allocator(
            allocator, asio::bind_cancellation_slot(signal.slot(), [&called](error_code error) {
                called = true;
                EXPECT_EQ(error, asio::error::operation_aborted);
            })));
    using Handler = decltype(handler);
    const detail::TracedHandler<Handler> traced{Span::detached(Tracer(), "unused"), handler};
    EXPECT_EQ(asio::get_associated_executor(traced), other.get_executor());
    EXPECT_EQ(asio::get_associated_allocator(traced), allocator);
    EXPECT_EQ(asio::get_associated_cancellation_slot(traced), signal.slot());

    asio::steady_timer timer(io, asio::steady_timer::time_point::max());
    timer.async_wait(weft::traced("wait", handler));
    signal.emit(asio::cancellation_type::all);
    run(io);
    EXPECT_FALSE(called) << "it belongs to the other loop";
    run(other);
    EXPECT_TRUE(called);
}

// What Asio's own adaptors ask an operation: where it runs.
TEST_F(Traced, AnOperationStillSaysWhereItRuns) {
    struct Initiation {
        using executor_type = asio::any_io_executor;
        executor_type executor;
        [[nodiscard]] executor_type get_executor() const noexcept { return executor; }
    };
    using Start = detail::TracedInitiation<Initiation>;
    static_assert(std::same_as<asio::associated_executor_t<Start>, asio::any_io_executor>);
    asio::io_context io(1);
    const Start start(nullptr, "", SpanKind::client, Initiation{io.get_executor()});
    EXPECT_EQ(asio::get_associated_executor(start), asio::any_io_executor(io.get_executor()));
}

TEST_F(Traced, ACallbackAndAFutureAreTokensLikeAnyOther) {
    asio::io_context io(1);
    asio::steady_timer timer(io, std::chrono::seconds(0));
    bool ended_before = false;
    timer.async_wait(weft::traced(
        "callback", [&](error_code) { ended_before = take_one().name == "callback"; }));
    run(io);
    EXPECT_TRUE(ended_before) << "the span ends before its handler runs";
    timer.expires_after(std::chrono::seconds(0));
    auto future = timer.async_wait(weft::traced("future", asio::use_future));
    run(io);
    future.get();
    EXPECT_EQ(take_one().name, "future");
}

TEST_F(Traced, AnExceptionPointerOfASpawnedCoroutineIsRecorded) {
    run_chain([]() -> Task<void> {
        bool caught = false;
        try {
            co_await weft::co_spawn(
                co_await asio::this_coro::executor, failing(),
                weft::traced("spawned", asio::deferred));
        } catch (const std::invalid_argument&) { caught = true; }
        EXPECT_TRUE(caught);
    });
    const auto span = take_one();
    EXPECT_EQ(span.name, "spawned");
    EXPECT_THAT(span, HasStatus(StatusCode::error, "what went wrong"));
}

TEST_F(Traced, AnOperationThatIsDestroyedWithItsLoopEndsItsSpan) {
    {
        asio::io_context io(1);
        asio::steady_timer timer(io, asio::steady_timer::time_point::max());
        timer.async_wait(weft::traced("abandoned", [](error_code) { ADD_FAILURE(); }));
        io.poll();
    }
    EXPECT_EQ(take_one().name, "abandoned");
}

TEST_F(Traced, ATracerOfOnesOwnNamesTheScope) {
    const Tracer tracer = telemetry.tracer("my.library");
    run_chain([&tracer]() -> Task<void> {
        EXPECT_EQ(co_await weft::traced(tracer, "wrapper", answer()), 42);
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::seconds(0));
        co_await timer.async_wait(weft::traced(tracer, "wait", use_task));
    });
    const auto spans = take();
    ASSERT_NE(find(spans, "wrapper"), nullptr);
    ASSERT_NE(find(spans, "wait"), nullptr);
    EXPECT_EQ(find(spans, "wrapper")->scope.name, "my.library");
    EXPECT_EQ(find(spans, "wait")->scope.name, "my.library");
}

} // namespace
} // namespace weft::testing
