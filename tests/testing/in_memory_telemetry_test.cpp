#include <weft/runtime/spawn.hpp>
#include <weft/telemetry/runtime.hpp>
#include <weft/testing/in_memory.hpp>
#include <weft/testing/matchers.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>

#include <atomic>
#include <memory>
#include <thread>

namespace weft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The text of the exception that a look throws, or "".
template <class Look>
std::string lost(Look&& look) {
    try {
        (void)look();
        return "";
    } catch (const LostSpans& e) { return e.what(); }
}

TEST(InMemoryTelemetry, HasTheSpansThatHaveEndedInThatOrder) {
    InMemoryTelemetry telemetry;
    const Span open("open");
    {
        const Span first("first");
        const Span second("second");
    }
    EXPECT_THAT(telemetry.spans(), ElementsAre(HasName("second"), HasName("first")));
    EXPECT_THAT(telemetry.spans(), SizeIs(2)) << "a second look finds them again";
    EXPECT_EQ(telemetry.span_count(), 2u);
}

TEST(InMemoryTelemetry, ForgetsWhatWasBeforeAClear) {
    InMemoryTelemetry telemetry;
    { const Span span("before"); }
    telemetry.clear();
    EXPECT_THAT(telemetry.spans(), IsEmpty());
    { const Span span("after"); }
    EXPECT_THAT(telemetry.spans(), ElementsAre(HasName("after")));
}

TEST(InMemoryTelemetry, IsTheDefaultWhileItLives) {
    EXPECT_FALSE(Tracer().is_enabled());
    {
        InMemoryTelemetry telemetry;
        EXPECT_TRUE(Tracer().is_enabled());
    }
    EXPECT_FALSE(Tracer().is_enabled());
}

TEST(InMemoryTelemetry, ThatIsNotMadeDefaultHasTheSpansOfItsTracerOnly) {
    InMemoryTelemetry telemetry({.make_default = false});
    { const Span span("nobody's"); }
    { const Span span(telemetry.tracer(), "its own"); }
    EXPECT_THAT(telemetry.spans(), ElementsAre(HasName("its own")));
}

TEST(InMemoryTelemetry, OfTwoTheInnermostIsTheDefault) {
    InMemoryTelemetry outer;
    { const Span span("a"); }
    {
        InMemoryTelemetry inner;
        { const Span span("b"); }
        EXPECT_THAT(inner.spans(), ElementsAre(HasName("b")));
    }
    { const Span span("c"); }
    EXPECT_THAT(outer.spans(), ElementsAre(HasName("a"), HasName("c")));
}

TEST(InMemoryTelemetry, EndsInAnyOrder) {
    auto outer = std::make_unique<InMemoryTelemetry>();
    auto inner = std::make_unique<InMemoryTelemetry>();
    outer.reset();
    { const Span span("still the inner one's"); }
    EXPECT_THAT(inner->spans(), SizeIs(1));
    inner.reset();
    EXPECT_FALSE(Tracer().is_enabled());
}

TEST(InMemoryTelemetry, SurvivesASpanThatOutlivesIt) {
    auto telemetry = std::make_unique<InMemoryTelemetry>();
    {
        const Span span("late");
        telemetry.reset();
    }
    InMemoryTelemetry next;
    EXPECT_THAT(next.spans(), IsEmpty());
}

TEST(InMemoryTelemetry, HasTheSpansOfSeveralThreads) {
    constexpr int each = 500;
    InMemoryTelemetry telemetry;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([] {
            for (int i = 0; i < each; ++i) {
                const Span outer("outer");
                const Span inner("inner");
            }
        });
    }
    for (auto& thread : threads) { thread.join(); }

    const auto spans = telemetry.spans();

    EXPECT_EQ(spans.size(), 3u * 2 * each);
    const SpanTree tree(spans);
    ASSERT_EQ(tree.tops().size(), 3u * each);
    for (const auto top : tree.tops()) { EXPECT_EQ(tree.children(top).size(), 1u); }
}

TEST(InMemoryTelemetry, WaitsForSpansOfAnotherThread) {
    InMemoryTelemetry telemetry;
    std::atomic<bool> go{false};
    std::thread other([&go] {
        while (!go.load(std::memory_order_acquire)) { std::this_thread::yield(); } // See below.
        const Span span("other");
    });
    EXPECT_FALSE(telemetry.wait_for_blocking(1, 5ms));
    go.store(true, std::memory_order_release); // The other thread's loop acquires it.
    EXPECT_TRUE(telemetry.wait_for_blocking(1, 60s));
    other.join();
}

TEST(InMemoryTelemetry, WaitsInACoroutineForSpansOfAnotherChain) {
    InMemoryTelemetry telemetry;
    asio::io_context io(1);
    asio::steady_timer gate(io, std::chrono::steady_clock::time_point::max());
    bool found = false;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            found = co_await telemetry.wait_for(2, 60s);
            EXPECT_TRUE(found);
            EXPECT_FALSE(co_await telemetry.wait_for(3, 2ms));
        },
        [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
    for (int i = 0; i < 2; ++i) {
        weft::co_spawn(
            io,
            []() -> Task<void> {
                const Span span("chain");
                asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
                co_await timer.async_wait(asio::use_awaitable_t<Executor>{});
            },
            [](const std::exception_ptr& error) { EXPECT_FALSE(error); });
    }
    io.run_for(60s);
    EXPECT_TRUE(found);
}

TEST(InMemoryTelemetry, IsLoudAboutAFullQueue) {
    InMemoryTelemetry telemetry({.queue_bytes = 64 << 10});
    for (int i = 0; i < 2'000; ++i) { const Span span("s"); }

    const auto text = lost([&] { return telemetry.spans(); });

    EXPECT_THAT(
        text,
        AllOf(
            HasSubstr("spans that this test should see were lost: "),
            HasSubstr("found the queue full (InMemoryOptions::queue_bytes is 65536: raise it")));
    EXPECT_NE(lost([&] { return telemetry.span_count(); }), "") << "every look says it";
    EXPECT_THROW((void)telemetry.wait_for_blocking(1, 60s), LostSpans);
    telemetry.clear();
    { const Span span("after"); }
    EXPECT_THAT(telemetry.spans(), ElementsAre(HasName("after")));
}

TEST(InMemoryTelemetry, KeepsMoreThanItsQueueWhenItIsLookedAt) {
    InMemoryTelemetry telemetry({.queue_bytes = 64 << 10});
    for (int i = 0; i < 2'000; ++i) {
        const Span span("s");
        if (i % 100 == 0) { (void)telemetry.span_count(); }
    }
    EXPECT_EQ(telemetry.span_count(), 2'000u - 0u);
}

TEST(InMemoryTelemetry, IsLoudAboutMoreThanItKeeps) {
    InMemoryTelemetry telemetry({.bytes_max = 1'000});
    for (int i = 0; i < 100; ++i) { const Span span("s"); }
    EXPECT_THAT(
        lost([&] { return telemetry.spans(); }),
        HasSubstr("more than InMemoryOptions::bytes_max, 1000 bytes: raise it, or call clear()"));
    telemetry.clear();
    EXPECT_THAT(telemetry.spans(), IsEmpty());
}

TEST(InMemoryTelemetry, RefusesOptionsOutOfRangeAndNamesThem) {
    const auto problem = [](const InMemoryOptions& options) -> std::string {
        try {
            InMemoryTelemetry telemetry(options);
            return "";
        } catch (const std::invalid_argument& e) { return e.what(); }
    };
    EXPECT_EQ(
        problem({.queue_bytes = 1000}),
        "InMemoryOptions::queue_bytes is 1000 bytes: allowed is 65536 to 268435456 bytes");
    InMemoryOptions deep;
    deep.span_limits.attribute_value_depth = 65;
    EXPECT_EQ(
        problem(deep),
        "InMemoryOptions::span_limits.attribute_value_depth is 65: allowed is 1 to 64");
    EXPECT_FALSE(Tracer().is_enabled()) << "one that could not be made is nobody's default";
}

TEST(InMemoryTelemetry, AsksItsSampler) {
    InMemoryTelemetry telemetry({.sampler = Sampler::always_off()});
    { const Span span("s"); }
    EXPECT_THAT(telemetry.spans(), IsEmpty());
}

Options offline() {
    Options options;
    options.sink = std::make_shared<InMemorySink>();
    return options;
}

TEST(InMemoryTelemetry, ComesBeforeARuntimeAndThenStandsBack) {
    Runtime runtime(offline());
    {
        InMemoryTelemetry telemetry;
        { const Span span("test's"); }
        EXPECT_THAT(telemetry.spans(), ElementsAre(HasName("test's")));
    }
    { const Span span("runtime's"); }
    EXPECT_EQ(runtime.ledger().created, 1u);
}

TEST(InMemoryTelemetry, DoesNotBringBackARuntimeThatHasBeenShutDownMeanwhile) {
    auto runtime = std::make_unique<Runtime>(offline());
    {
        InMemoryTelemetry telemetry;
        runtime.reset();
    }
    EXPECT_FALSE(Tracer().is_enabled());
    Runtime next(offline());
    { const Span span("next"); }
    EXPECT_EQ(next.ledger().created, 1u);
}

TEST(InMemoryTelemetry, WorksAfterARuntime) {
    {
        Runtime runtime(offline());
        const Span span("runtime's");
    }
    InMemoryTelemetry telemetry;
    { const Span span("test's"); }
    EXPECT_THAT(telemetry.spans(), ElementsAre(HasName("test's")));
}

TEST(InMemoryTelemetry, ComesAndGoesManyTimes) {
    for (int i = 0; i < 500; ++i) { // Descriptors and pages are given back.
        InMemoryTelemetry telemetry;
        { const Span span("s"); }
        ASSERT_EQ(telemetry.span_count(), 1u);
    }
}

} // namespace
} // namespace weft::testing
