// How to test the spans of a program: without a collector, without a network, and with a whole tree in every failure.
// Expect: all tests pass.
#include "tea.hpp"

#include <weft/testing/in_memory.hpp>
#include <weft/testing/manual_clock.hpp>
#include <weft/testing/matchers.hpp>
#include <weft/testing/sequential_ids.hpp>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>

#include <exception>
#include <memory>
#include <thread>

namespace {

namespace wt = weft::testing;

void run(weft::Task<bool> task) {
    weft::asio::io_context io(1);
    weft::co_spawn(io, std::move(task), [](const std::exception_ptr& error, bool) {
        if (error) { std::rethrow_exception(error); }
    });
    io.run();
}

// [readme:first]
TEST(Tea, IsBrewedWithLeavesFromThePantry) {
    wt::InMemoryTelemetry telemetry; // Spans come here while it lives.

    run(shop::brew("oolong"));

    EXPECT_THAT(telemetry.spans(), wt::Tree("brew", {wt::Tree("fetch leaves")}));
}
// [/readme:first]

// [readme:matchers]
TEST(Tea, WithoutLeavesIsAnErrorOfThePantry) {
    wt::InMemoryTelemetry telemetry;

    run(shop::brew("none"));

    using ::testing::Contains;
    using ::testing::StartsWith;
    EXPECT_THAT(
        telemetry.spans(),
        wt::Tree(
            "brew", {wt::Tree("fetch leaves")
                         .with(wt::HasKind(weft::SpanKind::client))
                         .with(wt::HasStatus(weft::StatusCode::error, "no leaves"))
                         .with(wt::HasAttribute("error.type", wt::Text(StartsWith("out_of"))))})
            .with(wt::HasEvent("leaves counted", wt::HasAttribute("count", 0))));
    EXPECT_THAT(telemetry.spans(), Contains(wt::HasAttribute("tea.kind", "none")));
}
// [/readme:matchers]

// [readme:text]
TEST(Tea, IsTheSameTreeInEveryRun) {
    wt::InMemoryTelemetry telemetry({.id_generator = std::make_shared<wt::SequentialIds>()});
    wt::ManualClock clock; // Of spans; timers run as ever.
    {
        const weft::Span kettle("kettle");
        clock.advance(std::chrono::milliseconds(250));
        const weft::Span whistle("whistle", {{"loud", true}});
        clock.advance(std::chrono::microseconds(1500));
    }
    EXPECT_EQ(
        wt::to_tree_text(telemetry.spans()), "trace 00000000000000000000000000000001: 2 spans\n"
                                             "  kettle 252 ms\n"
                                             "    whistle 1.50 ms loud=true\n");
}
// [/readme:text]

// [readme:runtime]
TEST(Program, ExportsWhatItDid) {
    const auto sink = std::make_shared<wt::InMemorySink>();
    weft::Options options;
    options.service_name = "tea";
    options.sink = sink; // In place of OTLP/HTTP: no collector is looked for.
    weft::Runtime runtime(options);
    weft::co_spawn(runtime, shop::brew("oolong"), [](const std::exception_ptr&, bool) {});
    runtime.run(); // To its clean end: everything is exported.

    EXPECT_THAT(sink->spans(), wt::Tree("brew", {wt::Tree("fetch leaves")}));
    EXPECT_EQ(runtime.ledger().dropped_total(), 0U);
}
// [/readme:runtime]

// [readme:wait]
TEST(Tea, OfAnotherThreadIsWaitedFor) {
    wt::InMemoryTelemetry telemetry;
    std::jthread kitchen([] { run(shop::brew("oolong")); });
    ASSERT_TRUE(telemetry.wait_for_blocking(2)); // Looks until there are two; false after 10 s.
    EXPECT_THAT(telemetry.spans(), wt::HasTree(wt::Tree("brew", {wt::Tree("fetch leaves")})));
}
// [/readme:wait]

} // namespace
