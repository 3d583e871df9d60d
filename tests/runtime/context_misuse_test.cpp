#include <weft/runtime/context.hpp>

// What the context heals and counts: each case exactly once, and no span lost or parented wrongly by it.

#include "loop.hpp"

#include <weft/runtime/with.hpp>
#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

namespace weft {
namespace {

using testing::fail_on_exception;
using testing::use_task;

class ContextMisuse : public ::testing::Test {
protected:
    [[nodiscard]] testing::SpanIndex taken() { return testing::SpanIndex(sink.take()); }

    testing::SpanSink sink;
    testing::FaultsSince faults;
};

TEST_F(ContextMisuse, AnOuterSpanEndedFirstIsHealedAndCountedOnce) {
    Span outer("outer");
    Span inner("inner");

    outer.end();
    EXPECT_EQ(current_span_context(), inner.context());
    inner.end();

    EXPECT_FALSE(current_span_context().is_valid());
    EXPECT_EQ(faults(), (ContextFaults{1, 0, 0}));
    EXPECT_EQ(taken().parent_of("inner"), "outer");
}

TEST_F(ContextMisuse, SpansEndedInTheOrderOfTheirStartAreEachCountedButTheLast) {
    std::vector<Span> spans;
    for (int i = 0; i < 5; ++i) { spans.emplace_back("span " + std::to_string(i)); }

    for (auto& span : spans) { span.end(); }

    EXPECT_EQ(faults(), (ContextFaults{4, 0, 0}));
    const auto index = taken();
    EXPECT_EQ(index.size(), 5U);
    for (int i = 1; i < 5; ++i) {
        EXPECT_EQ(index.parent_of("span " + std::to_string(i)), "span " + std::to_string(i - 1));
    }
}

TEST_F(ContextMisuse, ASpanTakenOutOfTheMiddleLeavesTheOthersInPlace) {
    Span bottom("bottom");
    Span middle("middle");
    Span top("top");

    middle.end();
    EXPECT_EQ(current_span_context(), top.context());
    top.end();
    EXPECT_EQ(current_span_context(), bottom.context());
    bottom.end();

    EXPECT_FALSE(current_span_context().is_valid());
    EXPECT_EQ(faults(), (ContextFaults{1, 0, 0}));
}

TEST_F(ContextMisuse, ReplacingASpanByItsSuccessorMakesTheSuccessorItsChildAndIsCounted) {
    Span phase("first");
    phase = Span("second");
    EXPECT_EQ(current_span_context(), phase.context());
    phase.end();

    EXPECT_EQ(faults(), (ContextFaults{1, 0, 0}));
    EXPECT_EQ(taken().parent_of("second"), "first");
}

// A plain asio::co_spawn on a chain's executor shares the chain's slot.
TEST_F(ContextMisuse, ASlotSharedByPlainCoSpawnOnOneThreadIsHealedAndCounted) {
    testing::run_chain([]() -> Task<void> {
        Span outer("outer");
        const auto executor = co_await asio::this_coro::executor;
        bool started = false;
        bool ended = false;
        testing::share_slot(executor, [&]() -> Task<void> {
            Span stranger("stranger");
            started = true;
            while (!ended) { co_await asio::post(use_task); }
            // Ended after the span that was current when it began: healed, and counted as that one's fault.
        });
        while (!started) { co_await testing::yield(); }
        outer.end();
        ended = true;
        co_await testing::yield(5);
        EXPECT_FALSE(current_span_context().is_valid());
    });

    EXPECT_EQ(faults(), (ContextFaults{1, 0, 0}));
    const auto index = taken();
    EXPECT_EQ(index.size(), 2U);
    EXPECT_EQ(index.parent_of("stranger"), "outer");
}

TEST_F(ContextMisuse, ManyCoroutinesOfOneSlotLoseNoSpanAndCorruptNothing) {
    constexpr int coroutines = 50;
    constexpr int spans_each = 20;
    testing::run_chain([]() -> Task<void> {
        const auto executor = co_await asio::this_coro::executor;
        int running = coroutines;
        for (int i = 0; i < coroutines; ++i) {
            testing::share_slot(executor, [&running, i]() -> Task<void> {
                for (int j = 0; j < spans_each; ++j) {
                    Span outer("outer");
                    co_await testing::yield(1 + (i + j) % 4);
                    Span inner("inner");
                    co_await testing::yield(1 + (i * j) % 3);
                }
                --running;
            });
        }
        while (running > 0) { co_await testing::yield(); }
        EXPECT_FALSE(current_span_context().is_valid());
    });

    EXPECT_EQ(taken().size(), 2U * coroutines * spans_each);
    EXPECT_GT(faults().ended_out_of_order, 0U);
    EXPECT_EQ(faults().ended_elsewhere, 0U);
    EXPECT_EQ(faults().shared_concurrently, 0U);
}

TEST_F(ContextMisuse, ACoroutineThatOutlivesTheChainWhoseSlotItSharedLosesOnlyItsContext) {
    bool finished = false;
    testing::run_chain([&]() -> Task<void> {
        Span outer("outer");
        testing::share_slot(co_await asio::this_coro::executor, [&finished]() -> Task<void> {
            Span stranger("stranger");
            co_await testing::yield(10);
            EXPECT_FALSE(current_span_context().is_valid());
            Span late("late");
            co_await testing::yield();
            finished = true;
        });
        co_await testing::yield();
    });

    EXPECT_TRUE(finished);
    const auto index = taken();
    EXPECT_EQ(index.size(), 3U);
    EXPECT_EQ(index.parent_of("stranger"), "outer");
    EXPECT_EQ(index.parent_of("late"), "");
    EXPECT_EQ(faults(), (ContextFaults{1, 0, 0})) << "outer ended under stranger, and nothing else";
}

TEST_F(ContextMisuse, ASpanEndedInsideAnotherChainIsCountedOnce) {
    asio::io_context io(1);
    Span moved;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            Span outer("outer");
            moved = Span("moved");
            co_await testing::yield(4);
            EXPECT_EQ(current_span_context(), outer.context());
        },
        fail_on_exception);
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            Span mine("mine");
            co_await testing::yield();
            moved.end();
            EXPECT_EQ(current_span_context(), mine.context());
        },
        fail_on_exception);
    testing::run(io);

    EXPECT_EQ(faults(), (ContextFaults{0, 1, 0}));
    EXPECT_EQ(taken().parent_of("moved"), "outer");
}

TEST_F(ContextMisuse, ASpanThatEndsInAnotherChainAfterItsOwnHasEndedIsCountedOnce) {
    Span kept;
    testing::run_chain([&]() -> Task<void> {
        kept = Span("kept");
        co_return;
    });
    testing::run_chain([&]() -> Task<void> {
        kept.end();
        co_return;
    });

    EXPECT_EQ(faults(), (ContextFaults{0, 1, 0}));
    EXPECT_EQ(taken().size(), 1U);
}

// Goal: I4. Method: a thread's own slot is always in use; a span current there ends on another thread.
TEST_F(ContextMisuse, ASpanThatEndsWhileItsSlotIsInUseIsExportedAtItsOwnersNextLook) {
    Span main("main");
    Span moved("moved");
    std::thread([&] { moved.end(); }).join();
    EXPECT_TRUE(sink.take().empty());
    EXPECT_EQ(faults(), (ContextFaults{0, 1, 0}));

    EXPECT_EQ(current_span_context(), main.context());

    EXPECT_EQ(sink.take_one().name, "moved");
}

TEST_F(ContextMisuse, SpansThatEndElsewhereBelowAnOpenOneWaitForIt) {
    Span lower("lower");
    Span upper("upper");
    std::thread([&] { lower.end(); }).join();
    EXPECT_EQ(current_span_context(), upper.context());
    EXPECT_TRUE(sink.take().empty());

    upper.end();
    EXPECT_FALSE(current_span_context().is_valid());

    const auto index = taken();
    EXPECT_EQ(index.size(), 2U);
    EXPECT_EQ(index.parent_of("upper"), "lower");
    EXPECT_EQ(faults(), (ContextFaults{0, 1, 0}));
}

TEST_F(ContextMisuse, ASpanThatEndedElsewhereIsExportedWhenTheThreadOfItsSlotEnds) {
    testing::Rendezvous opened(2);
    testing::Rendezvous ended(2);
    Span moved;
    std::thread owner([&] {
        moved = Span("moved");
        EXPECT_TRUE(opened.arrive_and_wait());
        EXPECT_TRUE(ended.arrive_and_wait());
    });
    EXPECT_TRUE(opened.arrive_and_wait());
    moved.end();
    EXPECT_TRUE(sink.take().empty());
    EXPECT_TRUE(ended.arrive_and_wait());
    owner.join();

    EXPECT_EQ(sink.take_one().name, "moved");
    EXPECT_EQ(faults(), (ContextFaults{0, 1, 0}));
}

// Goal: a slice that finds its slot running elsewhere gets none, and that is counted once. Method: the first coroutine
// holds its slice until the second one, of the same slot, has run.
TEST_F(ContextMisuse, ASlotSharedInParallelGivesTheSecondCoroutineNoContextAndIsCountedOnce) {
    asio::io_context io(2);
    testing::Rendezvous both_run(2);
    Span main("main");
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            Span outer("outer");
            const auto executor = co_await asio::this_coro::executor;
            // Through the plain executor: handing work to the chain's own would give the slot up.
            asio::post(io, [&] {
                asio::dispatch(executor, [&] {
                    EXPECT_FALSE(current_span_context().is_valid());
                    Span stranger("stranger");
                    EXPECT_EQ(current_span_context(), stranger.context());
                });
                EXPECT_TRUE(both_run.arrive_and_wait());
            });
            EXPECT_TRUE(both_run.arrive_and_wait());
            EXPECT_EQ(current_span_context(), outer.context());
        },
        fail_on_exception);
    testing::run_on_threads(io, 2);
    main.end();

    EXPECT_EQ(faults(), (ContextFaults{0, 0, 1}));
    const auto index = taken();
    EXPECT_EQ(index.parent_of("outer"), "main");
    EXPECT_EQ(index.parent_of("stranger"), "");
}

TEST_F(ContextMisuse, ASlotSharedInParallelIsWholeAgainAfterwards) {
    testing::run_chain([this]() -> Task<void> {
        Span span("after");
        co_await testing::yield(3);
        EXPECT_EQ(current_span_context(), span.context());
        EXPECT_EQ(faults(), ContextFaults{});
    });
    EXPECT_EQ(taken().size(), 1U);
}

// Of two scopes, the first of which ends first.
struct TwoScopes {
    template <class First, class Second>
    TwoScopes(First one, Second two) {
        first.emplace(Made<First>{std::move(one)});
        second.emplace(Made<Second>{std::move(two)});
    }
    template <class Value>
    struct Made { // Makes the scope where it is to stay: it cannot be moved.
        Value value;
        operator ContextScope() && { return with(std::move(value)); }
    };
    std::optional<ContextScope> first;
    std::optional<ContextScope> second;
};

std::string tenant() { return std::string(current_baggage().get("tenant").value_or("none")); }

TEST_F(ContextMisuse, AScopeEndedBeforeALaterOneIsHealedAndCountedOnce) {
    TwoScopes scopes(Baggage().set("tenant", "first"), Baggage().set("tenant", "second"));

    scopes.first.reset();
    EXPECT_EQ(tenant(), "second");
    scopes.second.reset();

    EXPECT_EQ(tenant(), "none") << "the first one's would stay for ever";
    EXPECT_EQ(faults(), (ContextFaults{1, 0, 0}));
}

TEST_F(ContextMisuse, ScopesOfOtherThingsMayEndInAnyOrder) {
    TwoScopes scopes(suppress_telemetry, Baggage().set("tenant", "acme"));
    scopes.first.reset();
    EXPECT_EQ(tenant(), "acme");
    EXPECT_TRUE(Span("recorded").is_recording());
    scopes.second.reset();
    EXPECT_TRUE(Span("recorded").is_recording()) << "suppression would stay for ever";

    TwoScopes twice(suppress_telemetry, suppress_telemetry);
    twice.first.reset();
    EXPECT_FALSE(Span("suppressed").is_recording());
    twice.second.reset();
    EXPECT_TRUE(Span("recorded").is_recording());
    EXPECT_EQ(faults(), ContextFaults{});
}

TEST_F(ContextMisuse, AScopeEndedInsideAnotherChainIsTakenOutOfItsOwnAndCountedOnce) {
    asio::io_context io(1);
    std::optional<ContextScope> scope;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            scope.emplace(TwoScopes::Made<Baggage>{Baggage().set("tenant", "own")});
            co_await testing::yield(4);
            EXPECT_FALSE(scope.has_value());
            EXPECT_EQ(tenant(), "none");
        },
        fail_on_exception);
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            const auto mine = with(Baggage().set("tenant", "other"));
            co_await testing::yield();
            scope.reset();
            EXPECT_EQ(tenant(), "other");
        },
        fail_on_exception);
    testing::run(io);

    EXPECT_EQ(faults(), (ContextFaults{0, 1, 0}));
}

// A thread's own slot is always in use, so that it cannot be changed from another thread; it is at its owner's next look.
TEST_F(ContextMisuse, AScopeEndedWhileItsSlotIsInUseIsGoneAtItsOwnersNextLook) {
    std::optional<ContextScope> scope;
    scope.emplace(TwoScopes::Made<Baggage>{Baggage().set("tenant", "own")});
    std::thread([&] { scope.reset(); }).join();

    EXPECT_EQ(tenant(), "none");
    EXPECT_EQ(faults(), (ContextFaults{0, 1, 0}));
}

TEST_F(ContextMisuse, AScopeThatIsDestroyedWithItsSuspendedCoroutineIsNone) {
    {
        asio::io_context io(1);
        asio::steady_timer timer(io, asio::steady_timer::time_point::max());
        weft::co_spawn(
            io,
            [&]() -> Task<void> {
                const auto scope = with(Baggage().set("tenant", "own"));
                co_await timer.async_wait(use_task);
            },
            fail_on_exception);
        io.poll();
    }
    EXPECT_EQ(tenant(), "none");
    EXPECT_EQ(faults(), ContextFaults{});
}

TEST_F(ContextMisuse, HeirsKeepWhatAScopeGaveThemWhenItEndsInOrder) {
    asio::io_context io(1);
    std::string seen;
    {
        const auto scope = with(Baggage().set("tenant", "acme"));
        weft::co_spawn(
            io,
            [&]() -> Task<void> {
                { const auto own = with(Baggage().set("tenant", "own")); }
                seen = tenant();
                co_return;
            },
            fail_on_exception);
    }
    testing::run(io);
    EXPECT_EQ(seen, "acme");
    EXPECT_EQ(tenant(), "none");
    EXPECT_EQ(faults(), ContextFaults{});
}

// In a process of their own: the first of each kind is reported.
class ContextMisuseReport : public ::testing::Test {
protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

    static auto said_once(const std::string& text) {
        return ::testing::ResultOf(
            [text](const std::string& output) {
                std::size_t count = 0;
                for (auto at = output.find(text); at != std::string::npos;
                     at = output.find(text, at + 1)) {
                    ++count;
                }
                return count;
            },
            ::testing::Eq(1U));
    }
};

TEST_F(ContextMisuseReport, SpansEndedOutOfOrderAreReportedOnceWithBothNames) {
    EXPECT_EXIT(
        {
            const testing::SpanSink sink;
            for (int i = 0; i < 3; ++i) {
                Span outer("outer");
                Span inner("inner");
                outer.end();
            }
            std::_Exit(0);
        },
        ::testing::ExitedWithCode(0), said_once("span \"outer\" ended while \"inner\""));
}

TEST_F(ContextMisuseReport, ASpanEndedInAnotherChainIsReportedOnceWithBothNames) {
    EXPECT_EXIT(
        {
            const testing::SpanSink sink;
            for (int i = 0; i < 3; ++i) {
                Span mine("mine");
                testing::run_chain([&mine]() -> Task<void> {
                    const Span other("other");
                    mine.end();
                    co_return;
                });
            }
            std::_Exit(0);
        },
        ::testing::ExitedWithCode(0),
        said_once("span \"mine\" ended in another coroutine than its own, inside \"other\""));
}

TEST_F(ContextMisuseReport, ASpanEndedWhileItsSlotIsInUseIsReportedOnceWithBothNames) {
    EXPECT_EXIT(
        {
            const testing::SpanSink sink;
            for (int i = 0; i < 3; ++i) {
                Span mine("mine");
                std::thread([&] {
                    const Span other("other");
                    mine.end();
                }).join();
            }
            std::_Exit(0);
        },
        ::testing::ExitedWithCode(0),
        said_once("span \"mine\" ended in another coroutine than its own, inside \"other\""));
}

TEST_F(ContextMisuseReport, ASlotSharedInParallelIsReportedOnceWithBothNames) {
    EXPECT_EXIT(
        {
            const testing::SpanSink sink;
            asio::io_context io(2);
            weft::co_spawn(
                io,
                [&]() -> Task<void> {
                    const Span outer("outer");
                    const Span inner("inner");
                    const auto executor = co_await asio::this_coro::executor;
                    for (int i = 0; i < 3; ++i) {
                        std::thread([&] {
                            asio::io_context other(1);
                            Executor(other.get_executor(), executor.slot()).execute([] {
                                (void)current_span_context();
                            });
                            testing::run(other);
                        }).join();
                    }
                },
                fail_on_exception);
            testing::run(io);
            std::_Exit(0);
        },
        ::testing::ExitedWithCode(0),
        said_once("the spans that are open in it are \"outer\" and, innermost, \"inner\""));
}

TEST_F(ContextMisuseReport, AScopeEndedBeforeALaterOneIsReportedOnceWithBothNames) {
    EXPECT_EXIT(
        {
            const testing::SpanSink sink;
            const Span outer("outer");
            const Span inner("inner");
            for (int i = 0; i < 3; ++i) {
                TwoScopes scopes(Baggage().set("a", "1"), Baggage().set("b", "2"));
                scopes.first.reset();
            }
            std::_Exit(0);
        },
        ::testing::ExitedWithCode(0),
        said_once("in the same coroutine, inside \"inner\" and \"outer\""));
}

TEST_F(ContextMisuseReport, AScopeEndedElsewhereIsReportedOnceWithBothNames) {
    EXPECT_EXIT(
        {
            const testing::SpanSink sink;
            const Span mine("mine");
            for (int i = 0; i < 3; ++i) {
                std::optional<ContextScope> scope;
                scope.emplace(TwoScopes::Made<Baggage>{Baggage().set("a", "1")});
                testing::run_chain([&scope]() -> Task<void> {
                    const Span other("other");
                    scope.reset();
                    co_return;
                });
            }
            std::_Exit(0);
        },
        ::testing::ExitedWithCode(0),
        said_once(
            "made inside \"mine\", ended in another coroutine than its own, inside \"other\""));
}

} // namespace
} // namespace weft
