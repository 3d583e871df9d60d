// What the probe of a loop finds, on loops whose state the test knows.
#include "loop_threads.hpp"
#include "probe_thread.hpp"

#include <weft/event_loop/event_loop_metrics.hpp>
#include <weft/runtime/executor.hpp>
#include <weft/runtime/spawn.hpp>
#include <weft/testing/metric_snapshot.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

namespace weft::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::SizeIs;

constexpr std::chrono::seconds patience{30};
constexpr auto lag = "asio.event_loop.lag";

template <class Condition>
bool eventually(Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) { return false; }
        std::this_thread::sleep_for(milliseconds(1)); // A poll with a bound.
    }
    return true;
}

Task<void> turn(int times) {
    for (int i = 0; i < times; ++i) {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable_t<Executor>{});
    }
}

Task<void> turn_until(const std::atomic<bool>& stop) {
    while (!stop) { co_await turn(1); }
}

class RunningLoop {
public:
    explicit RunningLoop(int threads = 1) : guard_(context.get_executor()) {
        for (int i = 0; i < threads; ++i) {
            threads_.emplace_back([this] { context.run(); });
        }
    }
    ~RunningLoop() {
        guard_.reset();
        context.stop();
        for (auto& thread : threads_) { thread.join(); }
    }
    asio::io_context context;

private:
    asio::executor_work_guard<asio::io_context::executor_type> guard_;
    std::vector<std::thread> threads_;
};

TEST(EventLoopMetrics, MeasureHowLongAHandlerWaits) {
    MetricSource source;
    RunningLoop loop;
    const EventLoopMetrics metrics(loop.context, {.name = "main", .interval = milliseconds(5)});
    ASSERT_TRUE(eventually([&] { return source.collect().point(lag).count >= 3; }));
    const auto seen = source.collect();
    EXPECT_EQ(seen.point(lag)["asio.event_loop.name"], "main");
    EXPECT_EQ(seen[lag].unit, "s");
    EXPECT_GE(seen.point(lag).sum, 0);
    EXPECT_EQ(seen.point("asio.event_loop.thread.count").value, 1);
    const auto busy = seen.point("asio.event_loop.utilization").value;
    EXPECT_GE(busy, 0);
    EXPECT_LE(busy, 1);
}

TEST(EventLoopMetrics, ShowALoopThatHangsAndThenHowLong) {
    MetricSource source;
    RunningLoop loop;
    const EventLoopMetrics metrics(loop.context, {.interval = milliseconds(5)});
    ASSERT_TRUE(eventually([&] { return source.collect().point(lag).count >= 1; }));
    std::promise<void> open;
    auto opened = open.get_future();
    std::atomic<bool> hangs{false};
    asio::post(loop.context, [&] {
        hangs = true;
        opened.wait();
    });
    ASSERT_TRUE(eventually([&] { return hangs.load(); }));
    ASSERT_TRUE(
        eventually([&] { return source.collect().point("asio.event_loop.stall").value >= 0.05; }));
    const auto before = source.collect().point(lag);
    open.set_value();
    ASSERT_TRUE(eventually([&] { return source.collect().point(lag).count > before.count; }));
    EXPECT_GE(source.collect().point(lag).sum - before.sum, 0.05)
        << "one probe, waiting all the time";
    ASSERT_TRUE(
        eventually([&] { return source.collect().point("asio.event_loop.stall").value < 0.05; }));
}

TEST(EventLoopMetrics, CountSlicesAndThoseAheadOfTheProbe) {
    MetricSource source;
    RunningLoop loop;
    const EventLoopMetrics metrics(loop.context, {.interval = milliseconds(5)});
    ASSERT_TRUE(eventually([&] { return source.collect().point(lag).count >= 1; }));
    const auto before = source.collect().point("asio.event_loop.handlers").value;
    constexpr int turns = 1000;
    weft::co_spawn(loop.context, turn(turns), asio::use_future).get();
    EXPECT_GE(source.collect().point("asio.event_loop.handlers").value - before, turns);

    constexpr int chains = 50;
    constexpr auto depth = "asio.event_loop.queue.depth";
    std::atomic<bool> stop{false};
    std::vector<std::future<void>> running;
    for (int i = 0; i < chains; ++i) {
        running.push_back(weft::co_spawn(loop.context, turn_until(stop), asio::use_future));
    }
    EXPECT_TRUE(eventually([&] { return source.collect().point(depth).value >= chains - 1; }))
        << "each of them is in the queue when a probe comes";
    EXPECT_LE(source.collect().point(depth).value, 3 * chains);
    stop = true;
    for (auto& chain : running) { chain.get(); }
    EXPECT_TRUE(eventually([&] { return source.collect().point(depth).value == 0; }));
}

TEST(EventLoopMetrics, DoNotKeepALoopRunning) {
    MetricSource source;
    asio::io_context context;
    const EventLoopMetrics metrics(context, {.interval = milliseconds(1)});
    ASSERT_TRUE(eventually([&] {
        context.restart();
        context.run(); // Returns though the metrics live on.
        return source.collect().point(lag).count >= 2;
    }));
}

TEST(EventLoopMetrics, MayEndBeforeTheirProbeHasRun) {
    MetricSource source;
    asio::io_context context;
    {
        const EventLoopMetrics metrics(context, {.interval = milliseconds(1)});
        ASSERT_TRUE(
            eventually([&] { return source.collect().point("asio.event_loop.stall").value > 0; }));
    }
    EXPECT_EQ(context.run(), 1U) << "one probe at a time";
    EXPECT_TRUE(source.collect().metrics.empty()) << "and it measured nothing any more";
}

TEST(EventLoopMetrics, SurviveAProbeThatIsDestroyedUnrun) {
    MetricSource source;
    std::optional<asio::io_context> context(std::in_place);
    std::optional<EventLoopMetrics> metrics(
        std::in_place, *context, EventLoopOptions{.interval = milliseconds(1)});
    ASSERT_TRUE(
        eventually([&] { return source.collect().point("asio.event_loop.stall").value > 0; }));
    metrics.reset();
    context.reset();
}

TEST(EventLoopMetrics, TellLoopsApartByName) {
    MetricSource source;
    RunningLoop first;
    RunningLoop second;
    const EventLoopMetrics one(first.context, {.name = "one", .interval = milliseconds(2)});
    const EventLoopMetrics two(second.context, {.name = "two", .interval = milliseconds(2)});
    ASSERT_TRUE(eventually([&] {
        const auto seen = source.collect();
        return seen.point(lag, "asio.event_loop.name", "one").count > 0 &&
               seen.point(lag, "asio.event_loop.name", "two").count > 0;
    }));
    EXPECT_THAT(source.collect()["asio.event_loop.thread.count"].points, SizeIs(2));
}

TEST(EventLoopMetrics, RefuseAnIntervalOfNothing) {
    asio::io_context context;
    try {
        const EventLoopMetrics metrics(context, {.interval = milliseconds(0)});
        FAIL();
    } catch (const std::invalid_argument& error) {
        EXPECT_STREQ(
            error.what(), "weft::EventLoopOptions::interval is 0 ms: allowed is 1 ms or more");
    }
}

TEST(LoopThreads, KeepWhatEndedThreadsHaveDone) {
    const auto threads = std::make_shared<detail::LoopThreads>();
    std::thread([&] {
        threads->add_this_thread();
        threads->add_this_thread();
        EXPECT_EQ(threads->totals().threads, 1U);
        const auto begin = std::clock();
        while (std::clock() - begin < CLOCKS_PER_SEC / 100) {}
        asio::io_context context;
        weft::co_spawn(context, turn(20), [](const std::exception_ptr&) {});
        context.run();
    }).join();
    const auto after = threads->totals();
    EXPECT_EQ(after.threads, 0U);
    EXPECT_GE(after.slices, 20U);
    EXPECT_GT(after.cpu_ns, 0);
}

TEST(LoopThreads, MayGoBeforeTheirThreads) {
    auto threads = std::make_shared<detail::LoopThreads>();
    std::thread([&] {
        threads->add_this_thread();
        threads.reset();
    }).join();
}

TEST(ProbeThread, GoesOnAfterAnException) {
    std::atomic<int> calls{0};
    {
        const detail::ProbeThread thread(milliseconds(1), [&] {
            ++calls;
            throw std::runtime_error("a probe that could not be posted");
        });
        EXPECT_TRUE(eventually([&] { return calls.load() >= 2; }));
    }
    const int after = calls;
    std::this_thread::yield();
    EXPECT_EQ(calls, after);
}

TEST(ProbeThread, EndsAtOnceHoweverLongItsInterval) {
    const auto begin = std::chrono::steady_clock::now();
    {
        const detail::ProbeThread thread(std::chrono::hours(1), [] {});
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, patience);
}

} // namespace
} // namespace weft::testing
