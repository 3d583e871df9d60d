#include "loop.hpp"

#include <weft/runtime/host.hpp>

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace weft {
namespace {

class HostTest : public testing::WithoutFaults {
protected:
    [[nodiscard]] auto hook(char letter) {
        return [this, letter]() -> Task<void> {
            calls += letter;
            co_await testing::yield();
        };
    }
    void stop() {
        weft::co_spawn(io, host->stop(), testing::fail_on_exception);
        testing::run(io);
    }

    asio::io_context io{1};
    std::optional<Host> host{std::in_place, io};
    std::string calls;
};

TEST_F(HostTest, RunsItsHooksLatestFirst) {
    const auto a = host->on_stop(hook('a'));
    const auto b = host->on_stop(hook('b'));
    const auto c = host->on_stop(hook('c'));

    stop();

    EXPECT_EQ(calls, "cba");
}

TEST_F(HostTest, WaitsForAHookBeforeItRunsTheNext) {
    const auto first = host->on_stop(hook('1'));
    const auto slow = host->on_stop([this]() -> Task<void> {
        asio::steady_timer timer(io, std::chrono::milliseconds(2));
        calls += '(';
        co_await timer.async_wait(testing::use_task);
        calls += ')';
    });

    stop();

    EXPECT_EQ(calls, "()1");
}

TEST_F(HostTest, RunsAHookOnlyOnce) {
    const auto a = host->on_stop(hook('a'));

    stop();
    stop();

    EXPECT_EQ(calls, "a");
}

TEST_F(HostTest, TwoStopsAtOnceShareTheHooks) {
    const auto a = host->on_stop(hook('a'));
    const auto b = host->on_stop(hook('b'));
    weft::co_spawn(io, host->stop(), testing::fail_on_exception);
    stop();

    EXPECT_EQ(calls.size(), 2U);
}

TEST_F(HostTest, StoppingWithoutHooksDoesNothing) {
    stop();
    EXPECT_EQ(calls, "");
}

TEST_F(HostTest, AHookWhoseHandleHasGoneIsNotRun) {
    const auto a = host->on_stop(hook('a'));
    { const auto b = host->on_stop(hook('b')); }

    stop();

    EXPECT_EQ(calls, "a");
}

TEST_F(HostTest, AMovedHandleKeepsItsHook) {
    StopHook kept;
    {
        auto a = host->on_stop(hook('a'));
        kept = std::move(a);
    }
    StopHook again(std::move(kept));

    stop();

    EXPECT_EQ(calls, "a");
}

TEST_F(HostTest, AssigningOverAHandleUnregistersItsHook) {
    auto a = host->on_stop(hook('a'));
    {
        auto b = host->on_stop(hook('b'));
        a = std::move(b);
    }

    stop();

    EXPECT_EQ(calls, "b");
}

TEST_F(HostTest, AnExceptionOfOneHookDoesNotKeepTheOthersFromRunning) {
    const auto a = host->on_stop(hook('a'));
    const auto late = host->on_stop([]() -> Task<void> {
        co_await testing::yield();
        throw std::runtime_error("cannot stop");
    });
    const auto b = host->on_stop(hook('b'));
    const auto early = host->on_stop([]() -> Task<void> { throw 42; });

    stop();

    EXPECT_EQ(calls, "ba");
}

TEST_F(HostTest, AHookRegisteredByAHookIsRunToo) {
    StopHook inner;
    const auto outer = host->on_stop([&]() -> Task<void> {
        calls += 'o';
        inner = host->on_stop(hook('i'));
        co_return;
    });

    stop();

    EXPECT_EQ(calls, "oi");
}

TEST_F(HostTest, AHookMayUnregisterItself) {
    std::optional<StopHook> self;
    self = host->on_stop([&]() -> Task<void> {
        self.reset();
        co_await testing::yield();
        calls += 's';
    });
    const auto other = host->on_stop(hook('o'));

    stop();

    EXPECT_EQ(calls, "os");
}

TEST_F(HostTest, AHookMayUnregisterOneThatHasNotRunYet) {
    std::optional<StopHook> other = host->on_stop(hook('x'));
    const auto first = host->on_stop([&]() -> Task<void> {
        other.reset();
        co_return;
    });

    stop();

    EXPECT_EQ(calls, "");
}

// A part may own another part: its hook's captures then hold a second handle of the same host.
TEST_F(HostTest, AHandleMayGoBecauseAnotherHooksCapturesGo) {
    auto owned = std::make_shared<StopHook>(host->on_stop(hook('i')));
    std::optional<StopHook> owner =
        host->on_stop([owned, this]() -> Task<void> { return hook('o')(); });
    owned.reset();

    owner.reset();
    stop();

    EXPECT_EQ(calls, "");
}

TEST_F(HostTest, AHandleMayOutliveItsHost) {
    auto handle = host->on_stop(hook('a'));
    host.reset();
    handle = StopHook();
    EXPECT_EQ(calls, "");
}

TEST_F(HostTest, MayGoWhileAHookWaits) {
    const auto a = host->on_stop(hook('a'));
    const auto b = host->on_stop([this]() -> Task<void> {
        host.reset();
        co_await testing::yield();
        calls += 'b';
    });

    stop();

    EXPECT_EQ(calls, "ba");
}

TEST_F(HostTest, TakesHooksFromSeveralThreads) {
    std::atomic<int> ran{0}; // Counted on the loop's thread, read after the run.
    std::vector<std::vector<StopHook>> handles(4);
    std::vector<std::thread> threads;
    for (auto& mine : handles) {
        threads.emplace_back([&] {
            for (int i = 0; i < 50; ++i) {
                mine.push_back(host->on_stop([&ran]() -> Task<void> {
                    ran.fetch_add(1, std::memory_order_relaxed); // A counter.
                    co_return;
                }));
                if (i % 2 == 1) { mine.pop_back(); }
            }
        });
    }
    for (auto& thread : threads) { thread.join(); }

    stop();

    EXPECT_EQ(ran.load(std::memory_order_relaxed), 100); // One thread by now.
}

} // namespace
} // namespace weft
