#include <weft/runtime/operators.hpp>

// weft's operators for plain awaitables, in a program that has Asio's in sight as well.

#include "loop.hpp"

#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <stdexcept>
#include <string>
#include <tuple>
#include <variant>

namespace program {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
using namespace weft::awaitable_operators;

asio::awaitable<void> nothing() {
    weft::Span span("branch");
    for (int i = 0; i < 2; ++i) {
        co_await asio::post(asio::use_awaitable);
        EXPECT_EQ(weft::current_span_context(), span.context());
    }
}

template <class T>
asio::awaitable<T> value(T result) {
    co_await nothing();
    co_return result;
}

asio::awaitable<int> never() {
    weft::Span span("branch");
    asio::steady_timer timer(
        co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    co_await timer.async_wait(asio::use_awaitable);
    co_return 0;
}

asio::awaitable<void> never_nothing() { (void)co_await never(); }

asio::awaitable<int> failing(std::string what) {
    co_await nothing();
    throw std::runtime_error(what);
}

class PlainOperators : public weft::testing::WithoutFaults {
protected:
    // Runs `work` inside a span and requires that every branch's span is the child of that one.
    template <class Work>
    void expect_branches(std::size_t branches, Work work) {
        asio::io_context io(1);
        weft::co_spawn(io, in_outer(std::move(work)), weft::testing::fail_on_exception);
        weft::testing::run(io);
        expect_children_of_outer(branches);
    }
    template <class Work>
    static asio::awaitable<void> in_outer(Work work) {
        weft::Span outer("outer");
        co_await work();
        EXPECT_EQ(weft::current_span_context(), outer.context());
    }
    void expect_children_of_outer(std::size_t branches) {
        const weft::testing::SpanIndex spans(sink.take());
        EXPECT_EQ(spans.size(), branches + 1);
        const auto& outer = spans.named("outer");
        for (const auto& span : spans.all()) {
            if (span.name == "branch") { EXPECT_EQ(span.parent, outer.id()); }
        }
    }
    weft::testing::SpanSink sink;
};

TEST_F(PlainOperators, AndGivesEachBranchAContextInEveryOverload) {
    expect_branches(16, []() -> asio::awaitable<void> {
        co_await (nothing() && nothing());
        const int b = co_await (nothing() && value(2));
        const int c = co_await (value(3) && nothing());
        const std::tuple<int, std::string> d = co_await (value(4) && value(std::string("5")));
        const std::tuple<int, int, std::string> e =
            co_await (value(6) && value(7) && value(std::string("8")));
        const std::tuple<int, int, std::monostate> f =
            co_await (value(9) && value(10) && nothing());
        EXPECT_EQ(b + c + std::get<0>(d) + std::get<0>(e) + std::get<1>(f), 25);
        co_await (nothing() && nothing());
    });
}

TEST_F(PlainOperators, OrGivesEachBranchAContextInEveryOverload) {
    expect_branches(14, []() -> asio::awaitable<void> {
        const std::variant<std::monostate, std::monostate> a =
            co_await (nothing() || never_nothing());
        const std::variant<std::monostate, int> b = co_await (nothing() || never());
        const std::variant<int, std::monostate> c = co_await (never() || nothing());
        const std::variant<int, std::string> d = co_await (never() || value(std::string("d")));
        const std::variant<int, int, std::string> e =
            co_await (never() || never() || value(std::string("e")));
        const std::variant<int, int, std::monostate> f = co_await (never() || never() || nothing());
        EXPECT_EQ(a.index() + b.index(), 0U);
        EXPECT_EQ(c.index() + d.index(), 2U);
        EXPECT_EQ(e.index() + f.index(), 4U);
    });
}

TEST_F(PlainOperators, AFailedBranchOfAndCancelsTheOtherAndItsExceptionIsRethrown) {
    expect_branches(2, []() -> asio::awaitable<void> {
        std::string what;
        try {
            (void)co_await (failing("from a") && never());
        } catch (const std::runtime_error& error) { what = error.what(); }
        EXPECT_EQ(what, "from a");
    });
}

TEST_F(PlainOperators, OrFailsOnlyWhenBothBranchesDo) {
    expect_branches(4, []() -> asio::awaitable<void> {
        EXPECT_EQ(std::get<1>(co_await (failing("lost") || value(4))), 4);
        bool failed = false;
        try {
            (void)co_await (failing("a") || failing("b"));
        } catch (const asio::multiple_exceptions&) { failed = true; }
        EXPECT_TRUE(failed);
    });
}

TEST_F(PlainOperators, WorkOnAStrand) {
    asio::io_context io(2);
    weft::co_spawn(
        asio::make_strand(io), in_outer([]() -> asio::awaitable<void> {
            co_await (nothing() && nothing());
            (void)co_await (never() || nothing());
        }),
        weft::testing::fail_on_exception);
    weft::testing::run_on_threads(io, 2);

    expect_children_of_outer(4);
}

// Branches get a context even where their parent has none: a coroutine of asio::co_spawn has its thread's own.
TEST_F(PlainOperators, GiveEachBranchAContextUnderAPlainCoSpawn) {
    asio::io_context io(1);
    const auto both = []() -> asio::awaitable<void> { co_await (nothing() && nothing()); };
    asio::co_spawn(io, both, weft::testing::fail_on_exception);
    weft::testing::run(io);

    const auto spans = sink.take();
    EXPECT_EQ(spans.size(), 2U);
    for (const auto& span : spans) { EXPECT_FALSE(span.parent) << "both are roots"; }
}

TEST_F(PlainOperators, ADirectiveInAFunctionPrefersThemAsWell) {
    expect_branches(2, []() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        co_await (nothing() && nothing());
    });
}

} // namespace
} // namespace program
