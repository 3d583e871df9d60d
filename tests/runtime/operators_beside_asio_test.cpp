#include <weft/runtime/operators.hpp>

// A program with Asio's operators in sight as well. It stands outside of weft's namespace, as programs do: inside, ours
// would hide Asio's, and nothing could be ambiguous.

#include "loop.hpp"

#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>

#include <string>
#include <tuple>
#include <variant>

namespace program {
namespace {

using namespace boost::asio::experimental::awaitable_operators;
using weft::Task;
using weft::testing::use_task;

Task<void> nothing() {
    weft::Span span("branch");
    co_await weft::testing::yield(2);
    EXPECT_EQ(weft::current_span_context(), span.context());
}

Task<int> number(int value) {
    co_await nothing();
    co_return value;
}

Task<std::string> text(std::string value) {
    co_await nothing();
    co_return value;
}

Task<int> never() {
    weft::Span span("branch");
    boost::asio::steady_timer timer(
        co_await boost::asio::this_coro::executor, boost::asio::steady_timer::time_point::max());
    co_await timer.async_wait(use_task);
    co_return 0;
}

Task<void> never_nothing() { (void)co_await never(); }

class OperatorsBesideAsio : public weft::testing::WithoutFaults {
protected:
    template <class Work>
    void expect_branches(std::size_t branches, Work work) {
        weft::testing::run_chain([&]() -> Task<void> {
            weft::Span outer("outer");
            co_await work();
            EXPECT_EQ(weft::current_span_context(), outer.context());
        });
        const weft::testing::SpanIndex spans(sink.take());
        EXPECT_EQ(spans.size(), branches + 1);
        const auto& outer = spans.named("outer");
        for (const auto& span : spans.all()) {
            if (span.name == "branch") { EXPECT_EQ(span.parent, outer.id()); }
        }
    }
    weft::testing::SpanSink sink;
};

TEST_F(OperatorsBesideAsio, AndIsOursInEveryOverload) {
    expect_branches(16, []() -> Task<void> {
        co_await (nothing() && nothing());
        const int b = co_await (nothing() && number(2));
        const int c = co_await (number(3) && nothing());
        const std::tuple<int, std::string> d = co_await (number(4) && text("5"));
        const std::tuple<int, int, std::string> e = co_await (number(6) && number(7) && text("8"));
        const std::tuple<int, int, std::monostate> f =
            co_await (number(9) && number(10) && nothing());
        EXPECT_EQ(b + c + std::get<0>(d) + std::get<0>(e) + std::get<1>(f), 25);
        co_await (nothing() && nothing());
    });
}

TEST_F(OperatorsBesideAsio, OrIsOursInEveryOverload) {
    expect_branches(14, []() -> Task<void> {
        const std::variant<std::monostate, std::monostate> a =
            co_await (nothing() || never_nothing());
        const std::variant<std::monostate, int> b = co_await (nothing() || never());
        const std::variant<int, std::monostate> c = co_await (never() || nothing());
        const std::variant<int, std::string> d = co_await (never() || text("d"));
        const std::variant<int, int, std::string> e = co_await (never() || never() || text("e"));
        const std::variant<int, int, std::monostate> f = co_await (never() || never() || nothing());
        EXPECT_EQ(a.index() + b.index(), 0U);
        EXPECT_EQ(c.index() + d.index(), 2U);
        EXPECT_EQ(e.index() + f.index(), 4U);
    });
}

TEST_F(OperatorsBesideAsio, AsiosOwnStillServePlainAwaitables) {
    boost::asio::io_context io(1);
    int sum = 0;
    boost::asio::co_spawn(
        io,
        [&]() -> boost::asio::awaitable<void> {
            const auto one = []() -> boost::asio::awaitable<int> { co_return 1; };
            const auto [a, b] = co_await (one() && one());
            const auto first = co_await (one() || one());
            sum = a + b + static_cast<int>(first.index());
        },
        weft::testing::fail_on_exception);
    weft::testing::run(io);

    EXPECT_EQ(sum, 2);
}

} // namespace
} // namespace program
