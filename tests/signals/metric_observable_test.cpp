// Observable instruments: who asks them, when, and what becomes of what they say.

#include "metric_harness.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

namespace weft::testing {
namespace {

using namespace std::chrono_literals;
constexpr auto delta = TemporalityPreference::delta;
using Whole = std::int64_t;

asio::awaitable<void> pause(std::chrono::steady_clock::duration time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

/// A collection on a context of its own; what is left over then goes on until it is done.
MetricCapture collected_by_coroutine(MetricReader& reader, bool run_on = true) {
    asio::io_context context;
    MetricCapture capture;
    bool done = false;
    asio::co_spawn(context, reader.collect(capture), [&](const std::exception_ptr& error) {
        done = true;
        if (error) { std::rethrow_exception(error); }
        if (!run_on) { context.stop(); }
    });
    context.run();
    EXPECT_TRUE(done);
    EXPECT_EQ(capture.problems(), "");
    return capture;
}

TEST(MetricObservable, IsAskedOnceByEachCollectionOfEachReader) {
    Metrics metrics;
    auto one = metrics.reader();
    auto two = metrics.reader();
    int calls = 0;
    const ObservableGauge<> gauge(metrics.meter(), "gauge", {}, [&](Observations& to) {
        to.observe(++calls + 0.5, {{"a", 1}});
    });
    EXPECT_EQ(collected(one).floating("gauge", {{"a", 1}}), 1.5);
    EXPECT_EQ(collected(two).floating("gauge", {{"a", 1}}), 2.5);
    EXPECT_EQ(collected_by_coroutine(one).floating("gauge", {{"a", 1}}), 3.5);
    EXPECT_EQ(calls, 3);
}

TEST(MetricObservable, ShowsOnlyWhatWasSeenInThisCollection) {
    Metrics metrics;
    auto reader = metrics.reader();
    std::vector<int> there{1, 2};
    const ObservableUpDownCounter<> sizes(metrics.meter(), "sizes", {}, [&](Observations& to) {
        for (const int each : there) { to.observe<Whole>(each, {{"n", each}}); }
    });
    EXPECT_EQ(collected(reader).stream("sizes").points.size(), 2U);
    there = {2};
    EXPECT_EQ(collected(reader).stream("sizes").points.size(), 1U);
    there = {1};
    EXPECT_EQ(collected(reader).integer("sizes", {{"n", 1}}), 1);
    there = {};
    EXPECT_TRUE(collected(reader).streams().empty());
}

TEST(MetricObservable, GivesADeltaReaderTheDifference) {
    Metrics metrics;
    auto reader = metrics.reader(delta);
    auto total = metrics.reader();
    Whole value = 10;
    bool there = true;
    const ObservableCounter<> counter(metrics.meter(), "counter", {}, [&](Observations& to) {
        if (there) { to.observe(value, {{"a", 1}}); }
    });
    EXPECT_EQ(collected(reader).integer("counter", {{"a", 1}}), 10);
    value = 15;
    EXPECT_EQ(collected(reader).integer("counter", {{"a", 1}}), 5);
    EXPECT_EQ(collected(total).integer("counter", {{"a", 1}}), 15);
    there = false; // Such as a callback that was late.
    EXPECT_FALSE(collected(reader).has("counter", {{"a", 1}}));
    there = true;
    value = 18;
    EXPECT_EQ(collected(reader).integer("counter", {{"a", 1}}), 3); // Not all of it again.
    value = 4; // What is counted has begun anew.
    EXPECT_EQ(collected(reader).integer("counter", {{"a", 1}}), 4);
}

TEST(MetricObservable, AddsUpWhatAViewMakesEqual) {
    Metrics metrics(std::vector<View>{
        {.selector = {.name = "counter"}, .attributes = {.include = std::vector<std::string>{}}}});
    auto reader = metrics.reader(delta);
    Whole each = 1;
    const ObservableCounter<> counter(metrics.meter(), "counter", {}, [&](Observations& to) {
        for (int i = 0; i < 10; ++i) { to.observe(each, {{"i", i}}); }
    });
    EXPECT_EQ(collected(reader).integer("counter"), 10);
    each = 4;
    EXPECT_EQ(collected(reader).integer("counter"), 30);
}

TEST(MetricObservable, MayBeSeveralWithOneCallback) {
    Metrics metrics;
    auto reader = metrics.reader();
    const ObservableGauge<> used(metrics.meter(), "used");
    const ObservableUpDownCounter<> free(metrics.meter(), "free");
    const ObservableGauge<> stranger(metrics.meter(), "stranger");
    const ObservableCallback callback({used, free}, [&](Observations& to) {
        to.observe(used, 1.5);
        to.observe<Whole>(free, 7);
        to.observe(stranger, 1.0);
        to.observe<Whole>(used, 1);
    });
    Reports reports;
    const auto seen = collected(reader);
    EXPECT_EQ(seen.floating("used"), 1.5);
    EXPECT_EQ(seen.integer("free"), 7);
    EXPECT_FALSE(seen.has("stranger"));
    EXPECT_EQ(reports.count("metrics.observe.stranger"), 1U);
    EXPECT_EQ(reports.count("metrics.observe.used"), 1U);
}

TEST(MetricObservable, RefusesWhatTheInstrumentDoesNotTake) {
    Metrics metrics;
    auto reader = metrics.reader();
    const ObservableCounter<> counter(
        metrics.meter(), "observed.refused", {}, [](Observations& to) {
            to.observe<Whole>(-1);
            to.observe<Whole>(3, {{"a", 1}});
        });
    Reports reports;
    EXPECT_EQ(collected(reader).stream("observed.refused").points.size(), 1U);
    (void)collected(reader);
    EXPECT_EQ(metrics.counts().refused_values, 2U);
    EXPECT_EQ(reports.size(), 1U);
}

TEST(MetricObservable, ThatThrowsIsReportedAndKeepsWhatItHadSaid) {
    Metrics metrics;
    auto reader = metrics.reader();
    const ObservableGauge<> plain(metrics.meter(), "throws.plain", {}, [](Observations& to) {
        to.observe(1.0);
        throw std::runtime_error("plain trouble");
    });
    const ObservableGauge<> coroutine(
        metrics.meter(), "throws.coroutine", {}, [](Observations& to) -> asio::awaitable<void> {
            to.observe(2.0);
            co_await pause(1ms);
            throw std::runtime_error("coroutine's trouble");
        });
    const ObservableGauge<> odd(metrics.meter(), "throws.odd", {}, [](Observations&) { throw 7; });
    Reports reports;
    const auto seen = collected_by_coroutine(reader);
    EXPECT_EQ(seen.floating("throws.plain"), 1.0);
    EXPECT_EQ(seen.floating("throws.coroutine"), 2.0);
    EXPECT_EQ(reports.count("metrics.callback.throws.plain"), 1U);
    EXPECT_EQ(reports.count("metrics.callback.throws.coroutine"), 1U);
    EXPECT_EQ(reports.count("metrics.callback"), 3U);
}

TEST(MetricObservable, MayAwait) {
    Metrics metrics;
    auto reader = metrics.reader();
    const ObservableGauge<> gauge(
        metrics.meter(), "gauge", {}, [](Observations& to) -> asio::awaitable<void> {
            co_await pause(1ms);
            to.observe(1.5, {{"a", 1}});
            co_await pause(1ms);
            to.observe(2.5, {{"a", 2}});
        });
    const auto seen = collected_by_coroutine(reader);
    EXPECT_EQ(seen.floating("gauge", {{"a", 1}}), 1.5);
    EXPECT_EQ(seen.floating("gauge", {{"a", 2}}), 2.5);
    EXPECT_TRUE(collected(reader).streams().empty()); // Without a coroutine it is left out.
}

TEST(MetricObservable, ThatIsLateIsLeftOutAndNotAskedTwice) {
    Metrics metrics;
    MetricReader reader(metrics.provider(), {.callback_timeout = 20ms});
    std::atomic<int> asked{0};
    const ObservableGauge<> late(
        metrics.meter(), "late", {}, [&asked](Observations& to) -> asio::awaitable<void> {
            ++asked;
            to.observe(1.0, {{"when", "before"}});
            asio::steady_timer timer(co_await asio::this_coro::executor, 300ms);
            co_await timer.async_wait(asio::use_awaitable);
            to.observe(2.0, {{"when", "after"}});
        });
    const Counter<> counter(metrics.meter(), "counter");
    counter.add(1);
    Reports reports;
    asio::io_context context;
    MetricCapture first;
    MetricCapture second;
    asio::co_spawn(
        context,
        [&]() -> asio::awaitable<void> {
            co_await reader.collect(first);
            co_await reader.collect(second);
        },
        asio::detached);
    context.run();
    EXPECT_EQ(first.floating("late", {{"when", "before"}}), 1.0);
    EXPECT_FALSE(first.has("late", {{"when", "after"}}));
    EXPECT_EQ(first.integer("counter"), 1);
    EXPECT_FALSE(second.has("late", {{"when", "before"}}));
    EXPECT_FALSE(second.has("late", {{"when", "after"}}));
    EXPECT_EQ(asked.load(), 1);
    EXPECT_TRUE(contains(reports.only(), "is not done after")) << reports.only();
    EXPECT_EQ(collected_by_coroutine(reader).floating("late", {{"when", "before"}}), 1.0);
    EXPECT_EQ(asked.load(), 2);
}

TEST(MetricObservable, IsNotAskedOnceItsHandleIsGone) {
    Metrics metrics;
    auto reader = metrics.reader();
    const ObservableGauge<> gauge(metrics.meter(), "gauge");
    {
        const ObservableCallback callback({gauge}, [](Observations& to) { to.observe(1.0); });
        EXPECT_TRUE(collected(reader).has("gauge"));
    }
    EXPECT_FALSE(collected(reader).has("gauge"));
    ObservableCallback moved;
    {
        ObservableCallback callback({gauge}, [](Observations& to) { to.observe(2.0); });
        moved = std::move(callback);
    }
    EXPECT_EQ(collected(reader).floating("gauge"), 2.0);
    moved = {};
    EXPECT_FALSE(collected(reader).has("gauge"));
}

TEST(MetricObservable, IsNotBegunOnceItsHandleIsGoneEvenInACollectionThatHasBegun) {
    Metrics metrics;
    auto reader = metrics.reader();
    const ObservableGauge<> first(metrics.meter(), "first");
    const ObservableGauge<> second(metrics.meter(), "second");
    bool called = false;
    std::optional<ObservableCallback> later;
    const ObservableCallback callback({first}, [&](Observations& to) -> asio::awaitable<void> {
        co_await pause(1ms);
        later.reset();
        to.observe(1.0);
    });
    later.emplace(
        std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>>{second},
        ObservableCallback::Coroutine([&called](Observations&) -> asio::awaitable<void> {
            called = true;
            co_return;
        }));
    EXPECT_TRUE(collected_by_coroutine(reader).has("first"));
    EXPECT_FALSE(called);
}

TEST(MetricObservable, MayDestroyItsOwnHandleWhenItIsAsked) {
    Metrics metrics;
    auto reader = metrics.reader();
    const ObservableGauge<> gauge(metrics.meter(), "gauge");
    std::optional<ObservableCallback> callback;
    callback.emplace(
        std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>>{gauge},
        ObservableCallback::Plain([&](Observations& to) {
            callback.reset();
            to.observe(1.0);
        }));
    EXPECT_TRUE(collected(reader).has("gauge"));
    EXPECT_FALSE(collected(reader).has("gauge"));
}

TEST(MetricObservable, HandleWaitsForTheCallThatIsUnderWay) {
    Metrics metrics;
    auto reader = metrics.reader();
    const ObservableGauge<> gauge(metrics.meter(), "gauge");
    std::atomic<int> state{0};
    std::optional<ObservableCallback> callback;
    callback.emplace(
        std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>>{gauge},
        ObservableCallback::Plain([&](Observations&) {
            state = 1;
            std::this_thread::sleep_for(20ms); // Long enough for the other thread to be waiting.
            state = 2;
        }));
    std::thread remover([&] {
        while (state == 0) { std::this_thread::yield(); }
        callback.reset();
        EXPECT_EQ(state.load(), 2);
    });
    (void)collected(reader);
    remover.join();
}

TEST(MetricObservable, ReportsAfterItsCollectionGoNowhere) {
    Metrics metrics;
    auto reader = metrics.reader();
    std::optional<Observations> kept;
    const ObservableGauge<> gauge(metrics.meter(), "gauge", {}, [&](Observations& to) {
        kept = to;
        to.observe(1.0, {{"in", "time"}});
    });
    EXPECT_EQ(collected(reader).stream("gauge").points.size(), 1U);
    kept->observe(2.0, {{"too", "late"}});
    EXPECT_EQ(collected(reader).stream("gauge").points.size(), 1U);
}

TEST(MetricObservable, IsAwaitedOnAPoolOfThreads) {
    Metrics metrics;
    auto one = metrics.reader();
    auto two = metrics.reader();
    std::atomic<Whole> calls{0};
    const ObservableCounter<> counter(
        metrics.meter(), "counter", {}, [&calls](Observations& to) -> asio::awaitable<void> {
            const auto executor = co_await asio::this_coro::executor;
            co_await asio::post(executor, asio::use_awaitable);
            to.observe<Whole>(++calls);
        });
    asio::thread_pool pool(4);
    const auto collect_often = [](MetricReader& reader) -> asio::awaitable<int> {
        int seen = 0;
        for (int i = 0; i < 200; ++i) {
            MetricCapture capture;
            co_await reader.collect(capture);
            seen += capture.has("counter") ? 1 : 0;
        }
        co_return seen;
    };
    auto a = asio::co_spawn(pool, collect_often(one), asio::use_future);
    EXPECT_EQ(a.get(), 200);
    auto b = asio::co_spawn(pool, collect_often(one), asio::use_future);
    auto c = asio::co_spawn(pool, collect_often(two), asio::use_future);
    EXPECT_EQ(b.get(), 200);
    EXPECT_EQ(c.get(), 200);
    EXPECT_EQ(calls.load(), 600);
    pool.join();
}

TEST(MetricObservable, OverflowsWithoutLosingAnything) {
    Metrics metrics(MetricOptions{.cardinality_limit = 3});
    auto reader = metrics.reader();
    const ObservableCounter<> counter(metrics.meter(), "observed.many", {}, [](Observations& to) {
        for (int i = 0; i < 10; ++i) { to.observe<Whole>(1 << i, {{"i", i}}); }
    });
    for (int round = 0; round < 2; ++round) {
        const auto seen = collected(reader);
        EXPECT_EQ(seen.integer("observed.many", {{"i", 0}}), 1);
        EXPECT_EQ(seen.integer("observed.many", {{"otel.metric.overflow", true}}), 1023 - 7);
        EXPECT_EQ(seen.stream("observed.many").points.size(), 4U);
    }
}

} // namespace
} // namespace weft::testing
