#include "../runtime/loop.hpp"

#include <weft/runtime/manual_clock.hpp>
#include <weft/runtime/with.hpp>
#include <weft/signals/open_spans.hpp>
#include <weft/signals/traced.hpp>
#include <weft/testing/span_sink.hpp>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

// What is listed of the spans that are open, and what is not.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> names(const std::vector<OpenSpan>& spans) {
    std::vector<std::string> found;
    for (const auto& span : spans) { found.push_back(span.name); }
    return found;
}
std::vector<std::string> open_names(OpenSpansOptions options = {}) {
    return names(open_spans(options));
}

/// The one of this name, or an empty one and a failure.
OpenSpan named(std::string_view name) {
    for (auto& span : open_spans()) {
        if (span.name == name) { return span; }
    }
    ADD_FAILURE() << "no open span " << name;
    return {};
}

class OpenSpans : public WithoutFaults {
protected:
    void TearDown() override {
        EXPECT_THAT(open_names(), IsEmpty()) << "left open by the test";
        WithoutFaults::TearDown();
    }
    SpanSink sink;
};

TEST_F(OpenSpans, AreListedFromTheirStartToTheirEnd) {
    EXPECT_THAT(open_names(), IsEmpty());
    Span outer("outer");
    EXPECT_THAT(open_names(), ElementsAre("outer"));
    Span inner("inner");
    EXPECT_THAT(open_names(), ElementsAre("outer", "inner"));
    inner.end();
    EXPECT_THAT(open_names(), ElementsAre("outer"));
    outer.end();
    EXPECT_THAT(open_names(), IsEmpty());
}

TEST_F(OpenSpans, HaveTheIdentityKindAndScopeOfTheSpan) {
    const Span outer("outer");
    const Tracer tracer = sink.tracer("a scope");
    const Span inner(tracer, "inner", {}, {.kind = SpanKind::producer});

    const auto root = named("outer");
    EXPECT_EQ(root.trace_id, outer.context().trace_id);
    EXPECT_EQ(root.span_id, outer.context().span_id);
    EXPECT_FALSE(root.parent_span_id.is_valid());
    EXPECT_EQ(root.kind, SpanKind::internal);
    EXPECT_EQ(root.scope, "weft");
    const auto child = named("inner");
    EXPECT_EQ(child.trace_id, outer.context().trace_id);
    EXPECT_EQ(child.span_id, inner.context().span_id);
    EXPECT_EQ(child.parent_span_id, outer.context().span_id);
    EXPECT_EQ(child.kind, SpanKind::producer);
    EXPECT_EQ(child.scope, "a scope");
}

TEST_F(OpenSpans, AreAsOldAsTheClockSays) {
    ManualClock clock(1'000);
    const Span first("first");
    clock.advance(std::chrono::nanoseconds(30));
    const Span second("second");
    clock.advance(std::chrono::nanoseconds(12));

    EXPECT_EQ(named("first").age_ns, 42);
    EXPECT_EQ(named("second").age_ns, 12);
}

TEST_F(OpenSpans, GivenAStartAreAsOldAsThatAndNeverNegative) {
    const auto now = steady_now_ns() + wall_offset_ns();
    const Span early("early", {}, {.start_time = WallTime(now - 5'000'000'000)});
    const Span late("late", {}, {.start_time = WallTime(now + 3'600'000'000'000)});

    EXPECT_GE(named("early").age_ns, 5'000'000'000);
    EXPECT_EQ(named("late").age_ns, 0);
    EXPECT_THAT(open_names(), ElementsAre("early", "late"));
}

TEST_F(OpenSpans, ThatAreNotRecordedAreNotListed) {
    {
        const SpanSink off({.sampler = Sampler::always_off()});
        const Span unsampled("unsampled");
        EXPECT_TRUE(unsampled.context().is_valid());
        const auto quiet = with(suppress_telemetry);
        const Span suppressed("suppressed");
        EXPECT_THAT(open_names(), IsEmpty());
    }
}

TEST_F(OpenSpans, OfARuntimeThatWasShutDownAreListedUntilTheyEnd) {
    Span span("late");
    sink.provider().gate.close(); // What shutdown does.
    EXPECT_THAT(open_names(), ElementsAre("late"));
    span.end();
    EXPECT_THAT(open_names(), IsEmpty());
}

TEST_F(OpenSpans, TakeTheNameThatTheyAreGivenLater) {
    Span span("first");
    span.set_attribute("key", "value");
    span.update_name("second, which is longer than the first");
    EXPECT_THAT(open_names(), ElementsAre("second, which is longer than the first"));
    span.update_name("3");
    EXPECT_THAT(open_names(), ElementsAre("3"));
    span.update_name("");
    EXPECT_THAT(open_names(), ElementsAre(""));
}

TEST_F(OpenSpans, ShowTheBeginningOfALongNameInWholeCodePoints) {
    std::string text;
    for (std::size_t size = 0; size < 20'000; size = size * 5 / 4 + 1) {
        text.assign(size, 'x');
        Span span(text);
        const auto shown = open_names();
        ASSERT_EQ(shown.size(), 1U);
        // The encoded length takes a byte below 128, two below 16384, then three.
        const std::size_t room = size < 128 ? 63 : size < 16'384 ? 62 : 61;
        EXPECT_EQ(shown.front(), text.substr(0, std::min(room, size)));
    }
    // Three bytes each; 62 is not divisible by that.
    text.clear();
    for (int i = 0; i < 50; ++i) { text += "\u20ac"; }
    const Span span(text);
    EXPECT_THAT(open_names(), ElementsAre(text.substr(0, 60)));
}

TEST_F(OpenSpans, WithManyAttributesKeepTheirName) {
    Span span("much to say");
    for (int i = 0; i < 100; ++i) {
        span.set_attribute("key " + std::to_string(i), std::string(200, 'x'));
    }
    EXPECT_THAT(open_names(), ElementsAre("much to say"));
    span.update_name("renamed in the end");
    EXPECT_THAT(open_names(), ElementsAre("renamed in the end"));
}

TEST_F(OpenSpans, AreLimitedToTheOldest) {
    std::vector<Span> spans;
    for (int i = 0; i < 300; ++i) { // More than a slab of the pool holds.
        spans.push_back(Span::detached(Tracer(), std::to_string(i)));
    }
    EXPECT_THAT(open_names({.limit = 3}), ElementsAre("0", "1", "2"));
    EXPECT_EQ(open_spans().size(), 300U);
    EXPECT_EQ(open_span_count(), 300U);
    EXPECT_THAT(open_names({.limit = 0}), IsEmpty());
}

TEST_F(OpenSpans, MayBeAskedForByAge) {
    ManualClock clock(1'000);
    const Span old("old");
    clock.advance(std::chrono::nanoseconds(100));
    const Span young("young");
    EXPECT_THAT(open_names({.min_age_ns = 100}), ElementsAre("old"));
    EXPECT_THAT(open_names({.min_age_ns = 101}), IsEmpty());
}

TEST_F(OpenSpans, OfARecycledRecordAreListedOnce) {
    for (int i = 0; i < 1000; ++i) {
        const Span span("turn " + std::to_string(i));
        ASSERT_THAT(open_names(), ElementsAre("turn " + std::to_string(i)));
    }
}

TEST_F(OpenSpans, KnowWhereTheyWereStarted) {
    const Tracer tracer;
    const auto line = std::source_location::current().line();
    const Span plain("plain");
    const Span traced(tracer, "of a tracer");
    const Span detached = Span::detached(tracer, "detached");
    const Span following = Span::following("following");
    const Span operation = Span::operation(tracer, "operation");

    int offset = 0;
    for (const auto& span : open_spans()) {
        EXPECT_EQ(span.where.line(), line + static_cast<unsigned>(++offset)) << span.name;
        EXPECT_THAT(span.where.file_name(), EndsWith("open_spans_test.cpp"));
        EXPECT_THAT(span.where.function_name(), HasSubstr("KnowWhereTheyWereStarted"));
    }
    EXPECT_EQ(offset, 5);
}

TEST_F(OpenSpans, MayBeToldWhereTheyWereStarted) {
    const Span span("x", {}, {}, std::source_location());
    EXPECT_EQ(named("x").where.line(), 0U);
    EXPECT_THAT(to_text(open_spans()), Not(HasSubstr("open_spans_test.cpp")));
}

TEST_F(OpenSpans, OfAThreadAreOnAThread) {
    const Span outer("outer");
    const Span inner("inner");
    EXPECT_EQ(named("outer").state, OpenSpanState::thread);
    EXPECT_EQ(named("outer").innermost_name, "inner");
    EXPECT_EQ(named("inner").innermost_span_id, inner.context().span_id);
}

TEST_F(OpenSpans, ThatWereMadeCurrentLaterTakeTheirPlaceInTheChain) {
    Span late = Span::detached(Tracer(), "late");
    const Span outer("outer");
    EXPECT_EQ(named("late").state, OpenSpanState::detached);
    EXPECT_EQ(named("outer").innermost_name, "outer");
    late.make_current();
    EXPECT_EQ(named("late").state, OpenSpanState::thread);
    EXPECT_EQ(named("outer").innermost_name, "late");
    late.end();
    EXPECT_EQ(named("outer").innermost_name, "outer");
}

TEST_F(OpenSpans, OfAChainAreRunningOrSuspended) {
    asio::io_context io(1);
    asio::steady_timer timer(io, asio::steady_timer::time_point::max());
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            const Span outer("outer");
            EXPECT_EQ(named("outer").state, OpenSpanState::running);
            const Span inner("inner");
            co_await weft::traced("wrapped", [](asio::steady_timer& t) -> Task<void> {
                boost::system::error_code ignored;
                co_await t.async_wait(asio::redirect_error(use_task, ignored));
            }(timer));
        },
        fail_on_exception);
    io.poll();

    const auto outer = named("outer");
    EXPECT_EQ(outer.state, OpenSpanState::suspended);
    EXPECT_EQ(outer.innermost_name, "wrapped");
    EXPECT_EQ(outer.awaited_operations, 0U);
    EXPECT_EQ(named("inner").state, OpenSpanState::suspended);
    timer.cancel();
    run(io);
}

TEST_F(OpenSpans, SayWhichOperationTheirChainAwaitsAndForHowLong) {
    ManualClock clock(1'000);
    asio::io_context io(1);
    asio::steady_timer timer(io, asio::steady_timer::time_point::max());
    unsigned line = 0;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            const Span outer("outer");
            clock.advance(std::chrono::nanoseconds(5));
            const Span inner("inner");
            boost::system::error_code ignored;
            line = std::source_location::current().line() + 2;
            co_await timer.async_wait(
                weft::traced("read", asio::redirect_error(use_task, ignored)));
        },
        fail_on_exception);
    io.poll();
    clock.advance(std::chrono::nanoseconds(37));

    for (const auto* name : {"outer", "inner"}) {
        const auto span = named(name);
        EXPECT_EQ(span.innermost_name, "inner");
        EXPECT_EQ(span.awaited_operations, 1U);
        EXPECT_EQ(span.awaits, "read");
        EXPECT_EQ(span.awaits_ns, 37);
    }
    const auto operation = named("read");
    EXPECT_EQ(operation.state, OpenSpanState::detached);
    EXPECT_EQ(operation.kind, SpanKind::client);
    EXPECT_EQ(operation.where.line(), line);
    EXPECT_EQ(operation.awaited_operations, 0U);
    timer.cancel();
    run(io);
}

TEST_F(OpenSpans, CountTheOperationsThatAreAwaitedAndNameTheOldest) {
    ManualClock clock(1'000);
    asio::io_context io(1);
    asio::steady_timer timer(io, asio::steady_timer::time_point::max());
    const Span span("span");
    timer.async_wait(weft::traced("first", [](boost::system::error_code) {}));
    clock.advance(std::chrono::nanoseconds(5));
    timer.async_wait(weft::traced("second", [](boost::system::error_code) {}));

    EXPECT_EQ(named("span").awaited_operations, 2U);
    EXPECT_EQ(named("span").awaits, "first");
    EXPECT_EQ(named("span").awaits_ns, 5);
    timer.cancel();
    run(io);
    EXPECT_EQ(named("span").awaited_operations, 0U);
}

TEST_F(OpenSpans, OfTwoChainsDoNotMix) {
    asio::io_context io(1);
    asio::steady_timer timer(io, asio::steady_timer::time_point::max());
    for (const auto* name : {"a", "b"}) {
        weft::co_spawn(
            io,
            [&timer, name]() -> Task<void> {
                const Span outer(std::string("outer ") + name);
                const Span inner(std::string("inner ") + name);
                boost::system::error_code ignored;
                co_await timer.async_wait(weft::traced(
                    std::string("read ") + name, asio::redirect_error(use_task, ignored)));
            },
            fail_on_exception);
    }
    io.poll();

    for (const std::string name : {"a", "b"}) {
        EXPECT_EQ(named("outer " + name).innermost_name, "inner " + name);
        EXPECT_EQ(named("outer " + name).awaits, "read " + name);
        EXPECT_EQ(named("outer " + name).awaited_operations, 1U);
    }
    timer.cancel();
    run(io);
}

TEST_F(OpenSpans, WhoseChainIsOverAreDetached) {
    Span kept;
    run_chain([&]() -> Task<void> {
        kept = Span("kept");
        co_return;
    });
    EXPECT_EQ(named("kept").state, OpenSpanState::detached);
    EXPECT_EQ(named("kept").innermost_span_id, kept.context().span_id);
    // The chain's slot serves another one now.
    run_chain([&]() -> Task<void> {
        const Span other("other");
        EXPECT_EQ(named("kept").state, OpenSpanState::detached);
        EXPECT_EQ(named("kept").innermost_name, "kept");
        co_return;
    });
}

TEST_F(OpenSpans, OfADestroyedChainAreGone) {
    {
        asio::io_context io(1);
        asio::steady_timer timer(io, asio::steady_timer::time_point::max());
        weft::co_spawn(
            io,
            [&]() -> Task<void> {
                const Span span("span");
                co_await timer.async_wait(use_task);
            },
            fail_on_exception);
        io.poll();
        EXPECT_THAT(open_names(), ElementsAre("span"));
    }
    EXPECT_THAT(open_names(), IsEmpty());
}

TEST(OpenSpansMisused, ThatEndedElsewhereAreGoneAtOnce) {
    SpanSink sink;
    const Span own("own");
    Span moved("moved");
    std::thread([&] { moved.end(); }).join();
    EXPECT_THAT(open_names(), ElementsAre("own"));
    EXPECT_EQ(named("own").innermost_name, "own");
}

TEST(OpenSpansText, SaysEverythingOfASpanInAParagraph) {
    OpenSpan span;
    span.name = "GET /orders/{id}";
    span.trace_id.bytes.fill(0xab);
    span.span_id.bytes.fill(0x12);
    span.parent_span_id.bytes.fill(0x34);
    span.age_ns = 12'345'678'901;
    span.kind = SpanKind::server;
    span.scope = "weft.http";
    span.state = OpenSpanState::suspended;
    span.innermost_span_id.bytes.fill(0x56);
    span.innermost_name = "load";
    span.awaited_operations = 3;
    span.awaits = "read";
    span.awaits_ns = 3'200'000'000;
    EXPECT_EQ(
        to_text(std::vector<OpenSpan>{span}),
        "1 open span\n"
        "\n"
        "    12.346 s  GET /orders/{id}  (server, suspended)\n"
        "              in \"load\", awaits \"read\" for 3.200 s and 2 more\n"
        "              trace abababababababababababababababab span 1212121212121212 "
        "parent 3434343434343434 scope weft.http\n");
}

TEST(OpenSpansText, HasALineForNone) { EXPECT_EQ(to_text({}), "0 open spans\n"); }

TEST(OpenSpansText, LetsNoNameSteerATerminal) {
    OpenSpan span;
    span.name = "red\x1b[31m\nline";
    EXPECT_THAT(to_text(std::vector<OpenSpan>{span}), HasSubstr("red?[31m?line  (internal"));
}

} // namespace
} // namespace weft::testing
