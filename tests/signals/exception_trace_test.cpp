#include "../runtime/loop.hpp"
#include "decoded.hpp"

#include <weft/signals/traced.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// Where an exception was thrown, with weft::throw_traces linked. Functions whose names are looked for are not inlined,
// and not optimised into others' tails.

namespace weft::testing {

// Before main: neither the hook nor a runtime is there.
const bool threw_before_main = [] {
    try {
        throw std::runtime_error("before main");
    } catch (const std::runtime_error&) { return true; }
}();

volatile int never_set = 0; // What the compiler cannot see through.

// Exported, so that it differs from what is local to this file.
[[gnu::noinline]] void throw_exported(const std::string& text) {
    if (never_set >= 0) { throw std::runtime_error(text); }
}

namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ExceptionTrace : public WithoutFaults {
protected:
    SpanSink sink;

    /// exception.stacktrace of the one event of the one span; "" without one.
    std::string stack() {
        const auto events = messages(sink.take_one(), 11);
        return events.size() == 1 ? attributes_of(events[0], 3)["exception.stacktrace"] : "";
    }
    std::string stack_of(const auto& error) {
        Span("one").record_exception(error);
        return stack();
    }
};

[[gnu::noinline]] void throw_local(int what) {
    if (what == 1) { throw std::invalid_argument("one"); }
    throw what;
}
[[gnu::noinline]] void call_throw_local(int what) {
    throw_local(what);
    never_set = 1;
}

[[gnu::noinline]] std::exception_ptr caught(int what) {
    try {
        call_throw_local(what);
    } catch (...) { return std::current_exception(); }
    return {};
}

std::size_t lines_of(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_F(ExceptionTrace, StartsAtTheFunctionThatThrowsAlsoALocalOne) {
    try {
        call_throw_local(1);
    } catch (const std::exception& error) {
        const auto text = stack_of(error);
        const auto first = text.substr(0, text.find('\n'));
        EXPECT_THAT(first, StartsWith("#0 "));
        EXPECT_THAT(first, HasSubstr("throw_local(int)"));
        EXPECT_THAT(first, HasSubstr("signals_exception_trace_test+0x"));
        EXPECT_THAT(text, HasSubstr("call_throw_local(int)"));
        EXPECT_LT(text.find("throw_local"), text.find("call_throw_local"));
    }
    try {
        throw_exported("text");
    } catch (const std::exception& error) {
        EXPECT_THAT(stack_of(error), StartsWith("#0 weft::testing::throw_exported("));
    }
}

TEST_F(ExceptionTrace, IsKnownOfWhatAStandardFunctionThrows) {
    try {
        (void)std::vector<int>().at(static_cast<std::size_t>(never_set));
        FAIL();
    } catch (const std::exception& error) {
        const auto text = stack_of(error);
        EXPECT_THAT(text.substr(0, text.find('\n')), HasSubstr("(libstdc++.so")); // Named or not.
        EXPECT_THAT(text, HasSubstr("IsKnownOfWhatAStandardFunctionThrows"));
    }
}

TEST_F(ExceptionTrace, IsKnownOfAPointerAndOfWhatIsNoStdException) {
    EXPECT_THAT(stack_of(caught(1)), HasSubstr("throw_local(int)"));
    EXPECT_THAT(stack_of(caught(7)), HasSubstr("throw_local(int)"));
}

TEST_F(ExceptionTrace, SaysWhereAPointerWasMadeWithoutAThrow) {
    struct Maker {
        [[gnu::noinline]] static std::exception_ptr make() {
            auto made = std::make_exception_ptr(std::logic_error("made"));
            never_set = 2;
            return made;
        }
    };
    EXPECT_THAT(stack_of(Maker::make()), HasSubstr("Maker::make()"));
}

TEST_F(ExceptionTrace, StaysTheFirstThrowsWhenItIsThrownAgain) {
    struct Again {
        [[gnu::noinline]] static void rethrow(int what) {
            try {
                call_throw_local(what);
            } catch (...) {
                never_set = 3;
                throw;
            }
        }
    };
    try {
        Again::rethrow(1);
    } catch (const std::exception& error) {
        EXPECT_THAT(
            stack_of(error), StartsWith("#0 weft::testing::(anonymous namespace)::throw_local"));
    }
}

TEST_F(ExceptionTrace, StaysTheFirstThrowsOnAnotherThread) {
    const auto error = caught(1);
    std::string text;
    std::thread([&] {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& here) { text = stack_of(here); }
    }).join();
    EXPECT_THAT(text, HasSubstr("call_throw_local(int)"));
}

Task<void> innermost_frame() {
    co_await yield();
    call_throw_local(1);
}
template <int Depth>
Task<void> frame() {
    if constexpr (Depth == 1) {
        co_await innermost_frame();
    } else {
        co_await frame<Depth - 1>();
    }
}

TEST_F(ExceptionTrace, ComesThroughFourCoroutinesIntoATracedSpan) {
    asio::io_context io;
    weft::co_spawn(
        io,
        []() -> Task<void> {
            try {
                co_await traced("work", frame<3>());
            } catch (const std::invalid_argument&) {}
        },
        fail_on_exception);
    run(io);
    EXPECT_THAT(stack(), HasSubstr("call_throw_local(int)"));
}

TEST_F(ExceptionTrace, IsEachOnesOwnWhenTheyAreNested) {
    try {
        call_throw_local(1);
    } catch (const std::exception& outer) {
        try {
            throw_exported("while the other is handled");
        } catch (const std::exception& inner) {
            EXPECT_THAT(stack_of(inner), StartsWith("#0 weft::testing::throw_exported("));
        }
        EXPECT_THAT(stack_of(outer), HasSubstr("call_throw_local(int)"));
    }
}

[[gnu::noinline]] int recurse(int depth) {
    if (depth == 0) {
        throw_exported("deep");
        return 0;
    }
    const int below = recurse(depth - 1);
    return below + never_set;
}

TEST_F(ExceptionTrace, IsBoundInFramesAndBytes) {
    try {
        (void)recurse(500);
    } catch (const std::exception& error) {
        const auto text = stack_of(error);
        EXPECT_EQ(lines_of(text), 64U) << text;
        EXPECT_LE(text.size(), 8192U);
        EXPECT_THAT(text, HasSubstr("recurse(int)"));
    }
}

template <int Depth, class... Long>
[[gnu::noinline]] int recurse_by_long_names() {
    if constexpr (Depth == 0) {
        throw_exported("deep");
        return 0;
    } else {
        return recurse_by_long_names<Depth - 1, Long...>() + never_set;
    }
}

TEST_F(ExceptionTrace, SaysHowManyFramesDidNotFit) {
    using Text = std::vector<std::vector<std::vector<std::string>>>;
    try {
        (void)recurse_by_long_names<50, Text, Text, Text, Text>();
    } catch (const std::exception& error) {
        const auto text = stack_of(error);
        EXPECT_LE(text.size(), 8192U);
        EXPECT_GT(text.size(), 7000U);
        EXPECT_THAT(text, HasSubstr("\n... and "));
        EXPECT_THAT(text, ::testing::EndsWith(" more\n"));
    }
}

TEST_F(ExceptionTrace, IsNotToldOfACopyOrOfWhatWasNeverThrown) {
    EXPECT_EQ(stack_of(std::runtime_error("never thrown")), "");
    try {
        call_throw_local(1);
    } catch (const std::invalid_argument& error) {
        const std::invalid_argument copy(error);
        EXPECT_EQ(stack_of(static_cast<const std::exception&>(copy)), "");
    }
}

TEST_F(ExceptionTrace, IsNotThatOfAnEarlierExceptionAtTheSameAddress) {
    for (int i = 0; i < 1000; ++i) { // The allocator gives the same memory again and again.
        (void)caught(1);
        try {
            throw_exported("text");
        } catch (const std::exception& error) {
            if (i == 999) {
                EXPECT_THAT(stack_of(error), StartsWith("#0 weft::testing::throw_exported("));
            }
        }
    }
}

TEST_F(ExceptionTrace, GivesWayToTheCallersOwn) {
    try {
        call_throw_local(1);
    } catch (const std::exception& error) {
        Span("one").record_exception(error, {{"exception.stacktrace", "mine"}});
        EXPECT_EQ(stack(), "mine");
    }
}

TEST(ExceptionTraceLimits, AreThoseOfAnyAttribute) {
    SpanSink sink({.limits = {.attribute_value_length = 20}});
    try {
        call_throw_local(1);
    } catch (const std::exception& error) { Span("one").record_exception(error); }
    const auto event = messages(sink.take_one(), 11);
    ASSERT_EQ(event.size(), 1U);
    EXPECT_EQ(attributes_of(event[0], 3)["exception.stacktrace"].size(), 20U);
}

TEST(ExceptionTraceLimits, KeepTheEventWithoutTheStackWhereItHasNoRoom) {
    SpanSink sink({.queue_bytes = std::size_t{64} << 10, .shards = 1});
    const auto room = sink.provider().queue.record_max();
    {
        Span span("one");
        const std::string text(room - 3000, 'x');
        span.set_attribute("large", text);
        try {
            (void)recurse(100);
        } catch (const std::exception& error) { span.record_exception(error); }
    }
    const auto span = sink.take_one();
    const auto events = messages(span, 11);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(attributes_of(events[0], 3)["exception.message"], "deep");
    EXPECT_FALSE(attributes_of(events[0], 3).contains("exception.stacktrace"));
    EXPECT_EQ(number(span, 12), 0U);
}

TEST_F(ExceptionTrace, HoldsUnderManyThreadsThatThrow) {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 300; ++i) {
                try {
                    if (t % 2 == 0) { throw_exported("text"); }
                    call_throw_local(1);
                } catch (const std::exception& error) {
                    Span("thread").record_exception(error, {{"even", t % 2 == 0 ? "yes" : "no"}});
                }
            }
        });
    }
    for (auto& thread : threads) { thread.join(); }
    std::size_t told = 0;
    for (const auto& span : sink.take()) {
        auto attributes = attributes_of(messages(span, 11).front(), 3);
        const auto& text = attributes["exception.stacktrace"];
        const auto* expected = attributes["even"] == "yes" ? "throw_exported" : "throw_local";
        if (!text.empty()) { ++told; }
        if (!text.empty() && text.substr(0, text.find('\n')).find(expected) == std::string::npos) {
            ++wrong;
        }
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_GT(told, 1100U) << "of 1200: an entry that others hold is done without";
}

TEST(ThrowTraces, AreHarmlessBeforeMain) { EXPECT_TRUE(threw_before_main); }

} // namespace
} // namespace weft::testing
