#include <weft/runtime/diagnostics.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

std::chrono::steady_clock::time_point manual_time;
std::chrono::steady_clock::time_point read_manual_time() noexcept { return manual_time; }

// Collects "level key message suppressed".
class DiagnosticsTest : public ::testing::Test {
protected:
    DiagnosticsOptions options(DiagnosticLevel level = DiagnosticLevel::info) {
        return {
            .level = level,
            .handler =
                [this](const Diagnostic& d) {
                    lines.push_back(
                        std::string(name(d.level)) + ' ' + std::string(d.key) + ' ' +
                        std::string(d.message) + ' ' + std::to_string(d.suppressed));
                },
            .interval = 10s,
            .now = &read_manual_time};
    }

    std::vector<std::string> lines;
};

TEST_F(DiagnosticsTest, ShowsTheFirstMessageOfAKeyAtOnce) {
    Diagnostics log(options());
    log.report(DiagnosticLevel::error, "a", "one");
    log.report(DiagnosticLevel::warning, "b", "two");
    EXPECT_THAT(lines, ElementsAre("error a one 0", "warning b two 0"));
}

TEST_F(DiagnosticsTest, ShowsOneMessageAnIntervalAndHowManyItWithheld) {
    Diagnostics log(options());
    for (int i = 0; i < 5; ++i) { log.report(DiagnosticLevel::error, "a", std::to_string(i)); }
    manual_time += 9999ms;
    log.report(DiagnosticLevel::error, "a", "5");
    manual_time += 1ms;
    log.report(DiagnosticLevel::error, "a", "6");
    manual_time += 10s;
    log.report(DiagnosticLevel::error, "a", "7");
    EXPECT_THAT(lines, ElementsAre("error a 0 0", "error a 6 5", "error a 7 0"));
}

TEST_F(DiagnosticsTest, HidesWhatIsBelowItsLevel) {
    Diagnostics log(options(DiagnosticLevel::warning));
    log.report(DiagnosticLevel::info, "a", "hidden");
    log.report(DiagnosticLevel::warning, "a", "shown");
    log.set_level(DiagnosticLevel::debug);
    log.report(DiagnosticLevel::debug, "b", "shown too");
    log.set_level(DiagnosticLevel::none);
    log.report(DiagnosticLevel::error, "c", "hidden");
    EXPECT_THAT(lines, ElementsAre("warning a shown 0", "debug b shown too 0"));
}

TEST_F(DiagnosticsTest, MakesAMessageOnlyIfItIsShown) {
    Diagnostics log(options());
    int made = 0;
    const auto make = [&made] { return std::to_string(++made); };
    log.report(DiagnosticLevel::debug, "a", make);
    log.report(DiagnosticLevel::error, "a", make);
    log.report(DiagnosticLevel::error, "a", make);
    EXPECT_EQ(made, 1);
    EXPECT_THAT(lines, ElementsAre("error a 1 0"));
}

TEST_F(DiagnosticsTest, SurvivesAHandlerAndAMessageThatThrow) {
    int calls = 0;
    Diagnostics log(
        {.handler =
             [&calls](const Diagnostic&) {
                 ++calls;
                 throw std::runtime_error("handler");
             },
         .interval = 0ms});
    log.report(DiagnosticLevel::error, "a", "message");
    EXPECT_EQ(calls, 1);
    log.report(
        DiagnosticLevel::error, "a", []() -> std::string { throw std::runtime_error("message"); });
    EXPECT_EQ(calls, 1);
    log.set_handler(options().handler);
    log.report(DiagnosticLevel::error, "a", "after");
    EXPECT_THAT(lines, ElementsAre("error a after 0"));
}

TEST_F(DiagnosticsTest, LetsAHandlerReportItself) {
    Diagnostics* inside = nullptr;
    std::vector<std::string> seen;
    Diagnostics log({.handler = [&](const Diagnostic& d) {
        seen.emplace_back(d.key);
        if (d.key == "outer") {
            inside->report(DiagnosticLevel::error, "inner", "from the handler");
        }
    }});
    inside = &log;
    log.report(DiagnosticLevel::error, "outer", "message");
    EXPECT_THAT(seen, ElementsAre("outer", "inner"));
}

TEST_F(DiagnosticsTest, BoundsTheKeysItRemembers) {
    Diagnostics log(options());
    for (int i = 0; i < 1000; ++i) {
        log.report(DiagnosticLevel::error, "key" + std::to_string(i), "m");
    }
    // 128 of their own and one line for all the others together.
    EXPECT_EQ(lines.size(), 129u);
    manual_time += 10s;
    log.report(DiagnosticLevel::error, "key5000", "m");
    EXPECT_EQ(lines.back(), "error key5000 m 0") << "old keys must make room";
}

TEST_F(DiagnosticsTest, MakesMessagesFitForALine) {
    Diagnostics log(options());
    log.report(DiagnosticLevel::error, "a", "x\ny" + std::string(5000, 'z'));
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0].find('\n'), std::string::npos);
    EXPECT_LT(lines[0].size(), 1100u);
}

TEST_F(DiagnosticsTest, WritesOneLineToStderrWithoutAHandler) {
    Diagnostics log({.now = &read_manual_time});
    ::testing::internal::CaptureStderr();
    log.report(DiagnosticLevel::warning, "a", "the collector is gone");
    log.report(DiagnosticLevel::warning, "a", "the collector is gone");
    manual_time += 10s;
    log.report(DiagnosticLevel::warning, "a", "the collector is gone");
    EXPECT_EQ(
        ::testing::internal::GetCapturedStderr(),
        "weft: warning: the collector is gone\n"
        "weft: warning: the collector is gone (1 more like it withheld)\n");
}

// Under TSan: reporters, a change of handler and a change of level meet.
TEST_F(DiagnosticsTest, LosesNoCountBetweenThreads) {
    std::atomic<std::uint64_t> accounted{0};
    const DiagnosticHandler count = [&accounted](const Diagnostic& d) {
        accounted += 1 + d.suppressed;
    };
    Diagnostics log({.level = DiagnosticLevel::info, .handler = count, .interval = 1ms});
    constexpr int per_thread = 20'000;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&log] {
                for (int i = 0; i < per_thread; ++i) {
                    log.report(DiagnosticLevel::error, "a", "m");
                }
            });
        }
        for (int i = 0; i < 200; ++i) {
            log.set_handler(count);
            log.set_level(i % 2 == 0 ? DiagnosticLevel::error : DiagnosticLevel::debug);
        }
    }
    std::this_thread::sleep_until(
        std::chrono::steady_clock::now() + 2ms); // The interval, so that the last one is shown.
    log.report(DiagnosticLevel::error, "a", "last");
    EXPECT_EQ(accounted.load(), 4u * per_thread + 1);
}

TEST(DiagnosticLevel, IsReadInAnyCase) {
    EXPECT_EQ(parse_diagnostic_level("NONE"), DiagnosticLevel::none);
    EXPECT_EQ(parse_diagnostic_level("error"), DiagnosticLevel::error);
    EXPECT_EQ(parse_diagnostic_level("Warning"), DiagnosticLevel::warning);
    EXPECT_EQ(parse_diagnostic_level("warn"), DiagnosticLevel::warning);
    EXPECT_EQ(parse_diagnostic_level("info"), DiagnosticLevel::info);
    EXPECT_EQ(parse_diagnostic_level("dEBUG"), DiagnosticLevel::debug);
    for (const char* bad : {"", "1", "verbose", "error "}) {
        EXPECT_EQ(parse_diagnostic_level(bad), std::nullopt);
    }
}

TEST_F(DiagnosticsTest, HoldsBackWhatItsThreadReportsWhileAskedTo) {
    Diagnostics log(options());
    {
        const HeldDiagnostics outer;
        log.report(DiagnosticLevel::error, "a", "one");
        log.report(DiagnosticLevel::error, "a", "withheld as ever");
        {
            const HeldDiagnostics inner;
            log.report(DiagnosticLevel::warning, "b", [] { return std::string("two"); });
        }
        EXPECT_THAT(lines, IsEmpty()) << "the outer one still holds";
        std::thread([&] { log.report(DiagnosticLevel::info, "c", "another thread's"); }).join();
        EXPECT_THAT(lines, ElementsAre("info c another thread's 0"));
    }
    EXPECT_THAT(
        lines, ElementsAre("info c another thread's 0", "error a one 0", "warning b two 0"));
    log.report(DiagnosticLevel::info, "d", "at once");
    EXPECT_EQ(lines.size(), 4u);
}

TEST_F(DiagnosticsTest, AHandlerMayReportAndHoldBackItself) {
    auto given = options();
    Diagnostics* told = nullptr;
    given.handler = [&](const Diagnostic& d) {
        lines.push_back(std::string(d.key));
        const HeldDiagnostics own;
        if (d.key == "a") { told->report(DiagnosticLevel::error, "from the handler", "two"); }
    };
    Diagnostics log(given);
    told = &log;
    {
        const HeldDiagnostics held;
        log.report(DiagnosticLevel::error, "a", "one");
        log.report(DiagnosticLevel::error, "b", "three");
    }
    EXPECT_THAT(lines, ElementsAre("a", "from the handler", "b"));
}

TEST(Printable, KeepsUtf8OfEveryLength) {
    const std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    EXPECT_EQ(printable(text, 100), text);
}

TEST(Printable, ReplacesBytesThatAreNoUtf8) {
    const std::string mark = "\xef\xbf\xbd";
    EXPECT_EQ(
        printable(
            "a\xff"
            "b",
            100),
        "a" + mark + "b");
    EXPECT_EQ(printable("\xc0\x80", 100), mark + mark);            // Overlong.
    EXPECT_EQ(printable("\xe2\x82", 100), mark + mark);            // Cut off.
    EXPECT_EQ(printable("\xed\xa0\x80", 100), mark + mark + mark); // Surrogate.
    EXPECT_EQ(printable("\xf5\x80\x80\x80", 100), mark + mark + mark + mark);
}

TEST(Printable, BlanksControlAndDirectionCharacters) {
    EXPECT_EQ(
        printable(
            std::string_view(
                "a\0b\x1b"
                "c\x7f"
                "d\n",
                8),
            100),
        "a b c d ");
    EXPECT_EQ(printable("\xc2\x85|\xe2\x80\xa8|\xe2\x80\xae|\xe2\x81\xa6|", 100), " | | | |");
}

TEST(Printable, CutsBetweenCharacters) {
    EXPECT_EQ(printable("abcdef", 6), "abcdef");
    EXPECT_EQ(printable("abcdefg", 6), "abc...");
    EXPECT_EQ(printable("ab\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 9), "ab\xe2\x82\xac...");
    for (std::size_t cap = 3; cap < 20; ++cap) {
        EXPECT_LE(printable("a\xf0\x9f\x98\x80\xff\xff\xe2\x82\xac tail", cap).size(), cap);
    }
}

} // namespace
} // namespace weft
