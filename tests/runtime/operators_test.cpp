#include "loop.hpp"

#include <weft/runtime/operators.hpp>
#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

namespace weft {
namespace {

using testing::run_chain;
using testing::use_task;

// Each branch has a span, gives way a few times and finds its own span current afterwards.
template <class T>
Task<T> branch(std::string name, int steps, T value) {
    Span span(name);
    for (int i = 0; i < steps; ++i) {
        co_await testing::yield();
        EXPECT_EQ(current_span_context(), span.context());
    }
    co_return value;
}

Task<void> branch(std::string name, int steps) { co_await branch(std::move(name), steps, 0); }

Task<int> failing(std::string name, int steps, std::string what) {
    co_await branch(std::move(name), steps);
    throw std::runtime_error(what);
}

Task<void> for_ever(std::string name) {
    Span span(name);
    asio::steady_timer timer(
        co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    co_await timer.async_wait(use_task);
}

Task<int> int_for_ever(std::string name) {
    co_await for_ever(std::move(name));
    co_return 0;
}

class Operators : public testing::WithoutFaults {
protected:
    // Runs `work` inside a span "outer" and requires that every branch's span is the child of that one.
    template <class Work>
    void expect_children_of_outer(std::size_t branches, Work work) {
        run_chain([&]() -> Task<void> {
            Span outer("outer");
            co_await work();
            EXPECT_EQ(current_span_context(), outer.context());
        });
        const testing::SpanIndex spans(sink.take());
        EXPECT_EQ(spans.size(), branches + 1);
        for (const auto& span : spans.all()) {
            if (span.name == "outer") { continue; }
            EXPECT_EQ(spans.parent_of(span.name), "outer") << span.name;
        }
    }

    testing::SpanSink sink;
};

TEST_F(Operators, AndOfTwoVoids) {
    expect_children_of_outer(2, []() -> Task<void> {
        static_assert(std::is_same_v<decltype(branch("a", 1) && branch("b", 1)), Task<void>>);
        co_await (branch("a", 3) && branch("b", 5));
    });
}

TEST_F(Operators, AndOfVoidAndAValue) {
    expect_children_of_outer(2, []() -> Task<void> {
        const int value = co_await (branch("a", 3) && branch("b", 5, 7));
        EXPECT_EQ(value, 7);
    });
}

TEST_F(Operators, AndOfAValueAndVoid) {
    expect_children_of_outer(2, []() -> Task<void> {
        const int value = co_await (branch("a", 3, 7) && branch("b", 5));
        EXPECT_EQ(value, 7);
    });
}

TEST_F(Operators, AndOfTwoValues) {
    expect_children_of_outer(2, []() -> Task<void> {
        const auto [a, b] = co_await (branch("a", 3, 7) && branch("b", 5, std::string("text")));
        EXPECT_EQ(a, 7);
        EXPECT_EQ(b, "text");
    });
}

TEST_F(Operators, AndOfThreeValuesGivesOneFlatTuple) {
    expect_children_of_outer(3, []() -> Task<void> {
        const auto [a, b, c] =
            co_await (branch("a", 5, 1) && branch("b", 1, std::string("2")) && branch("c", 3, 3.0));
        EXPECT_EQ(a, 1);
        EXPECT_EQ(b, "2");
        EXPECT_EQ(c, 3.0);
    });
}

TEST_F(Operators, AndOfTwoValuesAndVoidGivesATupleWithAMonostate) {
    expect_children_of_outer(3, []() -> Task<void> {
        const std::tuple<int, int, std::monostate> result =
            co_await (branch("a", 5, 1) && branch("b", 1, 2) && branch("c", 3));
        EXPECT_EQ(std::get<0>(result) + std::get<1>(result), 3);
    });
}

TEST_F(Operators, AndOfThreeVoids) {
    expect_children_of_outer(
        3, []() -> Task<void> { co_await (branch("a", 5) && branch("b", 1) && branch("c", 3)); });
}

TEST_F(Operators, OrOfTwoVoids) {
    expect_children_of_outer(2, []() -> Task<void> {
        const auto first = co_await (branch("a", 2) || for_ever("b"));
        EXPECT_EQ(first.index(), 0U);
        static_assert(
            std::is_same_v<decltype(first), const std::variant<std::monostate, std::monostate>>);
    });
}

TEST_F(Operators, OrOfVoidAndAValue) {
    expect_children_of_outer(2, []() -> Task<void> {
        const std::variant<std::monostate, int> first =
            co_await (for_ever("a") || branch("b", 5, 7));
        EXPECT_EQ(std::get<1>(first), 7);
    });
}

TEST_F(Operators, OrOfAValueAndVoid) {
    expect_children_of_outer(2, []() -> Task<void> {
        const std::variant<int, std::monostate> first =
            co_await (branch("a", 3, 7) || for_ever("b"));
        EXPECT_EQ(std::get<0>(first), 7);
    });
}

TEST_F(Operators, OrOfTwoValues) {
    expect_children_of_outer(2, []() -> Task<void> {
        const std::variant<int, std::string> first =
            co_await (int_for_ever("a") || branch("b", 5, std::string("text")));
        EXPECT_EQ(std::get<1>(first), "text");
    });
}

TEST_F(Operators, OrOfTwoValuesOfOneTypeTellsWhichWon) {
    expect_children_of_outer(2, []() -> Task<void> {
        const auto first = co_await (int_for_ever("a") || branch("b", 5, 3));
        EXPECT_EQ(first.index(), 1U);
    });
}

TEST_F(Operators, OrOfThreeGivesOneFlatVariantWhoeverWins) {
    for (std::size_t winner = 0; winner < 3; ++winner) {
        expect_children_of_outer(3, [winner]() -> Task<void> {
            const auto steps = [winner](std::size_t i) { return winner == i ? 1 : 30; };
            const std::variant<int, std::monostate, int> first = co_await (
                branch("a", steps(0), 10) || branch("b", steps(1)) || branch("c", steps(2), 30));
            EXPECT_EQ(first.index(), winner);
            if (winner == 0) { EXPECT_EQ(std::get<0>(first), 10); }
            if (winner == 2) { EXPECT_EQ(std::get<2>(first), 30); }
        });
    }
}

TEST_F(Operators, OrOfThreeEndingWithVoid) {
    expect_children_of_outer(3, []() -> Task<void> {
        const std::variant<int, int, std::monostate> first =
            co_await (branch("a", 30, 1) || branch("b", 30, 2) || branch("c", 1));
        EXPECT_EQ(first.index(), 2U);
    });
}

TEST_F(Operators, TakeMoveOnlyResults) {
    run_chain([]() -> Task<void> {
        const auto make = [](int value) -> Task<std::unique_ptr<int>> {
            co_await testing::yield();
            co_return std::make_unique<int>(value);
        };
        auto [a, b] = co_await (make(1) && make(2));
        EXPECT_EQ(*a + *b, 3);
        auto first = co_await (make(4) || make(5));
        EXPECT_EQ(*std::visit([](auto& p) { return p.get(); }, first), 4);
    });
}

struct NoDefault {
    explicit NoDefault(int v) : value(v) {}
    int value;
};

TEST_F(Operators, TakeResultsWithoutADefault) {
    run_chain([]() -> Task<void> {
        const auto [a, b] = co_await (branch("a", 1, NoDefault(1)) && branch("b", 2, NoDefault(2)));
        EXPECT_EQ(a.value + b.value, 3);
        const auto first = co_await (branch("c", 1, NoDefault(3)) || branch("d", 9, NoDefault(4)));
        EXPECT_EQ(std::get<0>(first).value, 3);
    });
}

TEST_F(Operators, AFailedBranchOfAndCancelsTheOtherAndItsExceptionIsRethrown) {
    expect_children_of_outer(2, []() -> Task<void> {
        std::string what;
        try {
            (void)co_await (failing("a", 3, "from a") && for_ever("b"));
        } catch (const std::runtime_error& error) { what = error.what(); }
        EXPECT_EQ(what, "from a");
    });
    expect_children_of_outer(2, []() -> Task<void> {
        std::string what;
        try {
            (void)co_await (for_ever("a") && failing("b", 3, "from b"));
        } catch (const std::runtime_error& error) { what = error.what(); }
        EXPECT_EQ(what, "from b");
    });
}

TEST_F(Operators, OrOutlivesAFailedBranch) {
    expect_children_of_outer(2, []() -> Task<void> {
        const std::variant<int, int> first =
            co_await (failing("a", 1, "lost") || branch("b", 9, 4));
        EXPECT_EQ(std::get<1>(first), 4);
    });
}

TEST_F(Operators, OrFailsOnlyWhenBothBranchesDo) {
    expect_children_of_outer(2, []() -> Task<void> {
        std::string what;
        try {
            (void)co_await (failing("a", 9, "second") || failing("b", 1, "first"));
        } catch (const asio::multiple_exceptions& errors) {
            try {
                std::rethrow_exception(errors.first_exception());
            } catch (const std::runtime_error& error) { what = error.what(); }
        }
        EXPECT_EQ(what, "first");
    });
}

TEST_F(Operators, TheLoserOfOrIsCancelledAndItsSpanEndsBeforeTheWinnersResultIsSeen) {
    run_chain([this]() -> Task<void> {
        Span outer("outer");
        const auto first = co_await (for_ever("loser") || branch("winner", 3));
        EXPECT_EQ(first.index(), 1U);
        const testing::SpanIndex ended(sink.take());
        EXPECT_EQ(ended.named("loser").name, "loser");
        EXPECT_EQ(ended.named("winner").name, "winner");
    });
}

TEST_F(Operators, ATimeoutIsOneOr) {
    expect_children_of_outer(1, []() -> Task<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(1));
        const auto first = co_await (for_ever("slow") || timer.async_wait(use_task));
        EXPECT_EQ(first.index(), 1U);
        EXPECT_TRUE(current_span_context().is_valid());
    });
}

TEST_F(Operators, Nest) {
    run_chain([]() -> Task<void> {
        Span outer("outer");
        const auto both = []() -> Task<void> {
            Span span("middle");
            co_await (branch("x", 3) && branch("y", 5));
            EXPECT_EQ(current_span_context(), span.context());
        };
        (void)co_await ((both() && branch("z", 4, 1)) || for_ever("never"));
        EXPECT_EQ(current_span_context(), outer.context());
    });

    const testing::SpanIndex spans(sink.take());
    EXPECT_EQ(spans.parent_of("x"), "middle");
    EXPECT_EQ(spans.parent_of("y"), "middle");
    EXPECT_EQ(spans.parent_of("middle"), "outer");
    EXPECT_EQ(spans.parent_of("z"), "outer");
    EXPECT_EQ(spans.parent_of("never"), "outer");
}

// Goal: chriskohlhoff/asio#1630. Method: asio::dispatch lets branches end while their group is still being launched, and
// what waits for the group end at once. ASan sees the use of what is gone, or its leak.
TEST_F(Operators, BranchesThatEndWhileTheirGroupIsLaunchedResumeNobodyTooEarly) {
    expect_children_of_outer(4, []() -> Task<void> {
        const auto leaf = []() -> Task<void> {
            const Span span("leaf");
            co_await asio::dispatch(use_task);
        };
        const auto both = [leaf]() -> Task<void> {
            co_await testing::yield();
            co_await (leaf() && leaf());
        };
        co_await (both() && both());
    });
}

TEST_F(Operators, WorkOnAStrand) {
    using Strand = BasicExecutor<asio::strand<asio::io_context::executor_type>>;
    asio::io_context io(1);
    weft::co_spawn(
        asio::make_strand(io),
        []() -> asio::awaitable<void, Strand> {
            Span outer("outer");
            const auto branch = [](std::string name) -> asio::awaitable<int, Strand> {
                Span span(name);
                for (int i = 0; i < 3; ++i) {
                    co_await asio::post(asio::use_awaitable_t<Strand>{});
                    EXPECT_EQ(current_span_context(), span.context());
                }
                co_return 1;
            };
            const auto [a, b] = co_await (branch("a") && branch("b"));
            EXPECT_EQ(a + b, 2);
            EXPECT_EQ((co_await (branch("c") || branch("d"))).index(), 0U);
            EXPECT_EQ(current_span_context(), outer.context());
        },
        testing::fail_on_exception);
    testing::run_on_threads(io, 2);

    const testing::SpanIndex spans(sink.take());
    for (const char* name : {"a", "b", "c", "d"}) { EXPECT_EQ(spans.parent_of(name), "outer"); }
}

// Groups whose size is known only at run time are made of weft::co_spawn and Asio's own parallel group.
TEST_F(Operators, ARangedGroupOfSpawnedChainsKeepsThemApart) {
    expect_children_of_outer(20, []() -> Task<void> {
        const auto executor = co_await asio::this_coro::executor;
        std::vector<decltype(weft::co_spawn(executor, branch("", 0, 0), asio::deferred))>
            operations;
        for (int i = 0; i < 20; ++i) {
            operations.push_back(weft::co_spawn(
                executor, branch("branch " + std::to_string(i), i % 5, i), asio::deferred));
        }
        const auto [order, errors, values] =
            co_await asio::experimental::make_parallel_group(std::move(operations))
                .async_wait(asio::experimental::wait_for_all(), use_task);
        EXPECT_EQ(order.size(), 20U);
        int sum = 0;
        for (const int value : values) { sum += value; }
        EXPECT_EQ(sum, 190);
        for (const auto& error : errors) { EXPECT_EQ(error, nullptr); }
    });
}

TEST_F(Operators, ARangedGroupThatWaitsForTheFirstCancelsTheOthers) {
    expect_children_of_outer(5, []() -> Task<void> {
        const auto executor = co_await asio::this_coro::executor;
        std::vector<decltype(weft::co_spawn(executor, for_ever(""), asio::deferred))> operations;
        for (int i = 0; i < 4; ++i) {
            operations.push_back(
                weft::co_spawn(executor, for_ever("waits " + std::to_string(i)), asio::deferred));
        }
        operations.push_back(weft::co_spawn(executor, branch("quick", 2), asio::deferred));
        const auto [order, errors] =
            co_await asio::experimental::make_parallel_group(std::move(operations))
                .async_wait(asio::experimental::wait_for_one(), use_task);
        EXPECT_EQ(order.front(), 4U);
    });
}

} // namespace
} // namespace weft
