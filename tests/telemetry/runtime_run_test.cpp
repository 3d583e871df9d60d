#include "receiver.hpp"

#include <weft/telemetry/runtime.hpp>
#include <weft/testing/json.hpp>

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>

// Runtime::run(): how a program's loop ends, by itself, by request, by a signal, by an exception.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr asio::use_awaitable_t<Executor> use_task{};

void ignore(const std::exception_ptr&) {}

// The library's own log for as long as this lives.
class Reported {
public:
    Reported() {
        diagnostics().set_handler([this](const Diagnostic& diagnostic) {
            const std::lock_guard lock(mutex_);
            lines_.emplace_back(diagnostic.message);
        });
    }
    ~Reported() { diagnostics().set_handler(nullptr); }
    Reported(const Reported&) = delete;
    Reported& operator=(const Reported&) = delete;

    [[nodiscard]] std::vector<std::string> lines() const {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

Task<void> sleep_for(asio::io_context& io, Clock::duration duration) {
    asio::steady_timer timer(io, duration);
    co_await timer.async_wait(use_task);
}

TEST(RuntimeRun, EndsWhenTheWorkIsDoneAndExportsIt) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    bool done = false;
    weft::co_spawn(
        runtime,
        [&]() -> Task<void> {
            const Span span("work");
            co_await sleep_for(runtime.io_context(), 1ms);
            done = true;
        },
        ignore);

    EXPECT_EQ(runtime.run(), 0);

    EXPECT_TRUE(done);
    EXPECT_THAT(receiver.names(), ElementsAre("work"));
    EXPECT_EQ(runtime.ledger().exported, 1u);
}

TEST(RuntimeRun, RunsABorrowedContextAndLeavesItUsable) {
    Receiver receiver;
    asio::io_context io;
    {
        Runtime runtime(io, receiver.options());
        EXPECT_EQ(&runtime.io_context(), &io);
        EXPECT_EQ(runtime.get_executor(), io.get_executor());
        bool done = false;
        weft::co_spawn(
            io, [&]() -> Task<void> { co_return void(done = true); }, ignore);
        EXPECT_EQ(runtime.run(), 0);
        EXPECT_TRUE(done);
        runtime.stop(); // Too late: it must not act when somebody runs the context after the
                        // runtime has gone.
    }
    bool later = false;
    asio::post(io, [&] { later = true; });
    io.restart();
    io.run();
    EXPECT_TRUE(later);
}

TEST(RuntimeRun, AStopThatWasCutShortMayEndAfterTheRuntimeHasGone) {
    Receiver receiver;
    asio::io_context io;
    auto options = receiver.options();
    options.stop_grace = 0ms;
    bool begun = false;
    bool ended = false;
    {
        Runtime runtime(io, options);
        const auto hook = runtime.host().on_stop([&]() -> Task<void> {
            begun = true;
            co_await asio::post(io, use_task);
            ended = true;
        });
        runtime.stop();
        EXPECT_EQ(runtime.run(), 0);
    }
    EXPECT_TRUE(begun);
    EXPECT_FALSE(ended) << "there was no time for it";
    io.restart();
    io.run();
    EXPECT_TRUE(ended);
}

TEST(RuntimeRun, UsesAsManyThreadsAsAsked) {
    Receiver receiver;
    auto options = receiver.options();
    options.threads = 3;
    Runtime runtime(options);
    std::mutex mutex;
    std::condition_variable met;
    std::set<std::thread::id> threads;
    for (int i = 0; i < 3; ++i) {
        asio::post(runtime.io_context(), [&] {
            const Span span("side by side");
            std::unique_lock lock(mutex);
            threads.insert(std::this_thread::get_id());
            met.notify_all();
            EXPECT_TRUE(met.wait_for(lock, 10s, [&] { return threads.size() == 3; }));
        });
    }

    EXPECT_EQ(runtime.run(), 0);

    EXPECT_EQ(threads.size(), 3u);
    EXPECT_EQ(receiver.names().size(), 3u);
}

TEST(RuntimeRun, StopFromAnotherThreadEndsALoopThatWouldGoOn) {
    Receiver receiver;
    for (const unsigned threads : {1u, 4u}) {
        auto options = receiver.options();
        options.threads = threads;
        options.stop_grace = 20ms;
        Runtime runtime(options);
        weft::co_spawn(runtime, sleep_for(runtime.io_context(), 1h), ignore);
        std::vector<std::thread> stoppers;
        for (int i = 0; i < 4; ++i) {
            stoppers.emplace_back([&] { runtime.stop(); });
        }
        const auto began = Clock::now();
        EXPECT_EQ(runtime.run(), 0);
        EXPECT_LT(Clock::now() - began, 5s);
        for (auto& stopper : stoppers) { stopper.join(); }
    }
}

TEST(RuntimeRun, AStopBeforeItEndsItAtOnce) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    runtime.stop();
    const auto began = Clock::now();
    EXPECT_EQ(runtime.run(), 0);
    EXPECT_LT(Clock::now() - began, 4s) << "there is nothing to wait for";
}

TEST(RuntimeRun, StopHooksRunLatestFirstWithTheLoopStillTurning) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    std::vector<std::string> order;
    const auto add = [&](std::string name) {
        return runtime.host().on_stop([&, name = std::move(name)]() -> Task<void> {
            order.push_back(name + " begins");
            const Span span(name);
            co_await sleep_for(runtime.io_context(), 1ms);
            order.push_back(name + " ends");
        });
    };
    const auto first = add("first");
    const auto second = add("second");
    bool finished = false;
    weft::co_spawn(
        runtime,
        [&]() -> Task<void> {
            const Span span("request");
            runtime.stop();
            co_await sleep_for(runtime.io_context(), 20ms);
            finished = true;
        },
        ignore);

    EXPECT_EQ(runtime.run(), 0);

    EXPECT_THAT(order, ElementsAre("second begins", "second ends", "first begins", "first ends"));
    EXPECT_TRUE(finished) << "what was under way has its time to finish";
    EXPECT_THAT(receiver.names(), ::testing::UnorderedElementsAre("first", "second", "request"));
}

TEST(RuntimeRun, AHookThatNeverEndsIsGivenItsGraceAndNoMore) {
    Receiver receiver;
    auto options = receiver.options();
    options.stop_grace = 60ms;
    const auto best = best_of(60ms, [&] {
        Runtime runtime(options);
        const auto hook = runtime.host().on_stop(
            [&]() -> Task<void> { co_await sleep_for(runtime.io_context(), 1h); });
        Span("exported all the same").end();
        runtime.stop();
        const auto began = Clock::now();
        EXPECT_EQ(runtime.run(), 0);
        const auto took = Clock::now() - began;
        EXPECT_GE(took, 60ms);
        EXPECT_EQ(runtime.ledger().exported, 1u);
        return took;
    });
    EXPECT_LE(best, 60ms + slack);
}

// Goal: work that a stop leaves behind does not vanish unmentioned, and a stop that leaves none is not accused of it.
// Method: each case has a grace of its own, since a line is not repeated within seconds.
TEST(RuntimeRun, SaysThatItAbandonsWorkWhenTheGraceIsOver) {
    Receiver receiver;
    auto grace = 21ms;
    for (const unsigned threads : {1u, 3u}) {
        for (const bool leaves_work : {true, false}) {
            SCOPED_TRACE(::testing::Message() << threads << " threads, " << leaves_work);
            const Reported reported;
            auto options = receiver.options();
            options.stop_grace = leaves_work ? grace++ : 30s + grace;
            options.threads = threads;
            asio::io_context io; // Borrowed, so that what is left can end after the runtime.
            asio::steady_timer open(io, 1h);
            {
                Runtime runtime(io, options);
                if (leaves_work) {
                    open.async_wait([](boost::system::error_code) {});
                }
                runtime.stop();
                EXPECT_EQ(runtime.run(), 0);
            }
            open.cancel();
            if (leaves_work) {
                EXPECT_THAT(
                    reported.lines(), ElementsAre(::testing::AllOf(
                                          HasSubstr(
                                              "Options::stop_grace (" +
                                              std::to_string(options.stop_grace.count()) + " ms)"),
                                          HasSubstr("still open are not exported"))));
            } else {
                EXPECT_THAT(reported.lines(), ::testing::IsEmpty());
            }
        }
    }
}

TEST(RuntimeRun, KeepsTheLineOfAnExceptionOneLine) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    asio::post(runtime.io_context(), [] { throw std::runtime_error("two\nlines\x1b[2J"); });
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(runtime.run(), 1);
    EXPECT_EQ(
        ::testing::internal::GetCapturedStderr(),
        "weft: error: an exception left a handler of the event loop: two lines [2J\n");
}

TEST(RuntimeRun, AHookThatThrowsKeepsNobodyFromStopping) {
    Receiver receiver;
    Runtime runtime(receiver.options());
    bool other = false;
    const auto good = runtime.host().on_stop([&]() -> Task<void> {
        other = true;
        co_return;
    });
    const auto bad = runtime.host().on_stop([]() -> Task<void> {
        throw std::runtime_error("cannot stop");
        co_return;
    });
    runtime.stop();
    EXPECT_EQ(runtime.run(), 0);
    EXPECT_TRUE(other);
}

// Goal: an exception out of a handler ends the program in order, on any number of threads, whatever
// is thrown.
TEST(RuntimeRun, AnExceptionOutOfAHandlerEndsItInOrderWithOne) {
    Receiver receiver;
    for (const unsigned threads : {1u, 3u}) {
        for (const bool standard : {true, false}) {
            SCOPED_TRACE(::testing::Message() << threads << " threads, " << standard);
            auto options = receiver.options();
            options.threads = threads;
            options.stop_grace = 2s;
            Runtime runtime(options);
            bool stopped_in_order = false;
            const auto hook = runtime.host().on_stop([&]() -> Task<void> {
                co_await sleep_for(runtime.io_context(), 1ms);
                stopped_in_order = true;
            });
            std::optional<asio::steady_timer> forever(std::in_place, runtime.io_context(), 1h);
            forever->async_wait([](boost::system::error_code) {});
            const auto cancel = runtime.host().on_stop([&]() -> Task<void> {
                forever.reset();
                co_return;
            });
            asio::post(runtime.io_context(), [&] {
                const Span span("fails");
                if (standard) { throw std::runtime_error("a fault of the program"); }
                throw 42;
            });
            asio::post(runtime.io_context(), [] { throw std::runtime_error("and another"); });

            ::testing::internal::CaptureStderr();
            const int code = runtime.run();
            const auto text = ::testing::internal::GetCapturedStderr();

            EXPECT_EQ(code, 1);
            EXPECT_TRUE(stopped_in_order);
            EXPECT_THAT(
                text, HasSubstr(standard ? "a fault of the program" : "not a std::exception"));
            EXPECT_EQ(runtime.ledger().exported, 1u);
        }
    }
}

TEST(RuntimeRun, AnExceptionInABorrowedContextLeavesNothingOfTheRuntimeThere) {
    Receiver receiver;
    asio::io_context io;
    {
        Runtime runtime(io, receiver.options());
        asio::post(io, [] { throw std::runtime_error("once"); });
        ::testing::internal::CaptureStderr();
        EXPECT_EQ(runtime.run(), 1);
        ::testing::internal::GetCapturedStderr();
    }
    io.restart();
    io.run();
}

TEST(RuntimeRun, ASignalEndsItInOrderAndIsTheProgramsAgainAfterwards) {
    Receiver receiver;
    for (const int signal : {SIGINT, SIGTERM}) {
        for (const bool with_telemetry : {true, false}) {
            auto options = receiver.options();
            options.stop_grace = 20ms;
            if (!with_telemetry) { options.disabled = true; }
            Runtime runtime(options);
            bool stopped = false;
            const auto hook = runtime.host().on_stop([&]() -> Task<void> {
                stopped = true;
                co_return;
            });
            weft::co_spawn(runtime, sleep_for(runtime.io_context(), 1h), ignore);
            asio::post(runtime.io_context(), [signal] { std::raise(signal); });

            EXPECT_EQ(runtime.run(), 0);

            EXPECT_TRUE(stopped);
            struct sigaction action {};
            sigaction(signal, nullptr, &action);
            EXPECT_EQ(action.sa_handler, SIG_DFL);
        }
    }
}

// ---- In a process of their own, as a service manager sees them.

class RuntimeProcess : public ::testing::Test {
protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

[[noreturn]] void serve_until_sigterm() {
    int code = 7;
    {
        Receiver receiver;
        Runtime runtime(receiver.options());
        asio::steady_timer open(runtime.io_context(), 1h);
        const auto hook = runtime.host().on_stop([&]() -> Task<void> {
            open.cancel();
            co_return;
        });
        weft::co_spawn(
            runtime,
            [&]() -> Task<void> {
                { const Span span("request"); }
                std::raise(SIGTERM);
                co_await open.async_wait(use_task);
            },
            ignore);
        code = runtime.run();
    }
    std::exit(code);
}

TEST_F(RuntimeProcess, PrintsItsLedgerAsOneLineOfJsonWhenAsked) {
    const auto is_the_ledger = [](const std::string& text) {
        const auto begin = text.find('{');
        const auto end = text.find('\n', begin);
        if (begin == std::string::npos || end == std::string::npos) { return false; }
        const Json object(text.substr(begin, end - begin));
        return object["service"].get_string().value() == "test" &&
               object["spans"]["created"].get_uint64().value() == 1 &&
               object["spans"]["exported"].get_uint64().value() == 1 &&
               text.find('{', end) == std::string::npos;
    };
    EXPECT_EXIT(
        {
            setenv("WEFT_LEDGER", "json", 1);
            serve_until_sigterm();
        },
        ::testing::ExitedWithCode(0), ::testing::Truly(is_the_ledger));
}

TEST_F(RuntimeProcess, PrintsNothingUnasked) {
    EXPECT_EXIT(
        {
            unsetenv("WEFT_LEDGER");
            serve_until_sigterm();
        },
        ::testing::ExitedWithCode(0), ::testing::Eq(""));
}

[[noreturn]] void ignore_a_first_sigterm() {
    Receiver receiver;
    auto options = receiver.options();
    options.stop_grace = 1h;
    Runtime runtime(options);
    const auto hook = runtime.host().on_stop(
        [&]() -> Task<void> { co_await sleep_for(runtime.io_context(), 1h); });
    weft::co_spawn(
        runtime,
        [&]() -> Task<void> {
            std::raise(SIGTERM);
            for (int i = 0; i < 10'000; ++i) {
                co_await sleep_for(runtime.io_context(), 1ms);
                struct sigaction action {};
                sigaction(SIGTERM, nullptr, &action);
                if (action.sa_handler == SIG_DFL) { std::raise(SIGTERM); }
            }
        },
        ignore);
    std::exit(runtime.run());
}

TEST_F(RuntimeProcess, ASecondSignalEndsItAtOnce) {
    EXPECT_EXIT(ignore_a_first_sigterm(), ::testing::KilledBySignal(SIGTERM), "");
}

struct EndsASpanAtExit {
    const Tracer tracer{"static"};
    std::optional<Span> open;
    ~EndsASpanAtExit() {
        open.reset();
        Span("by name", {{"a", 1}}).end();
        Span(tracer, "by tracer").end();
        const Span current("current");
        current_span().set_attribute("a", 1);
    }
};

TEST_F(RuntimeProcess, SpansInStaticDestructorsDoNoHarm) {
    EXPECT_EXIT(
        {
            static EndsASpanAtExit holder;
            {
                Receiver receiver;
                Runtime runtime(receiver.options());
                holder.open.emplace("ends after everything");
                Span("s").end();
            }
            std::exit(0);
        },
        ::testing::ExitedWithCode(0), "");
}

TEST_F(RuntimeProcess, AStaticRuntimeEndsWithTheProcess) {
    EXPECT_EXIT(
        {
            static EndsASpanAtExit holder; // Destroyed after the runtime.
            static Receiver receiver;
            static Runtime runtime(receiver.options());
            static EndsASpanAtExit earlier; // Destroyed before it.
            holder.open.emplace("ends after the runtime");
            earlier.open.emplace("ends before the runtime");
            std::exit(0);
        },
        ::testing::ExitedWithCode(0), "");
}

} // namespace
} // namespace weft::testing
