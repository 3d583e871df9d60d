#include "../runtime/loop.hpp"
#include "decoded.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/with.hpp>
#include <weft/signals/rule_sampler.hpp>
#include <weft/signals/span_processor.hpp>

#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>

#include <functional>
#include <stdexcept>
#include <thread>

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Does what the test says, and writes down what it was called for.
class Scripted final : public SpanProcessor {
public:
    using Calls = std::vector<std::string>;
    explicit Scripted(Calls* calls = nullptr, std::string label = "")
        : calls_(calls), label_(std::move(label)) {}

    std::function<void(ReadWriteSpan&, const TraceContext&)> start;
    std::function<void(ReadWriteSpan&)> ending;
    std::function<void(const ReadableSpan&)> end;

private:
    void note(const char* call, const ReadableSpan& span) {
        if (calls_ != nullptr) {
            calls_->push_back(label_ + call + " " + std::string(span.name()));
        }
    }
    void on_start(ReadWriteSpan& span, const TraceContext& parent) override {
        note("start", span);
        if (start) { start(span, parent); }
    }
    void on_ending(ReadWriteSpan& span) override {
        note("ending", span);
        if (ending) { ending(span); }
    }
    void on_end(const ReadableSpan& span) override {
        note("end", span);
        if (end) { end(span); }
    }

    Calls* calls_;
    std::string label_;
};

struct Fixture {
    Scripted::Calls calls;
    std::shared_ptr<Scripted> processor = std::make_shared<Scripted>(&calls);
};

TEST(SpanProcessor, IsCalledInOrderAndAllOnEndingBeforeAnyOnEnd) {
    Scripted::Calls calls;
    SpanSink sink(
        {.processors = {
             std::make_shared<Scripted>(&calls, "a "), std::make_shared<Scripted>(&calls, "b ")}});
    Span("one").end();
    EXPECT_THAT(
        calls, ElementsAre(
                   "a start one", "b start one", "a ending one", "b ending one", "a end one",
                   "b end one"));
    EXPECT_EQ(sink.take().size(), 1U);
}

TEST(SpanProcessor, SeesAtTheStartWhatTheSpanIs) {
    Fixture f;
    SpanSink sink(
        {.sampler = annotating_sampler(Sampler::always_on(), {{"by.sampler", "yes"}}),
         .processors = {f.processor}});
    int seen = 0;
    const TraceContext remote{
        {random_trace_id(), random_span_id(), trace_flags::known, true},
        TraceState::from_validated("vendor=7")};
    const Link link{.context = remote, .attributes = {}};
    f.processor->start = [&](ReadWriteSpan& span, const TraceContext& parent) {
        ++seen;
        EXPECT_TRUE(span.is_recording());
        EXPECT_EQ(span.name(), "handle \uFFFD");
        EXPECT_EQ(span.kind(), SpanKind::server);
        EXPECT_EQ(parent.span, remote.span);
        EXPECT_EQ(parent.state.text(), "vendor=7");
        EXPECT_EQ(span.parent().span_id, remote.span.span_id);
        EXPECT_TRUE(span.parent().is_remote);
        EXPECT_EQ(span.context().trace_id, remote.span.trace_id);
        EXPECT_EQ(span.attribute("given")->integer(), 7);
        EXPECT_EQ(span.attribute("by.sampler")->string(), "yes");
        EXPECT_FALSE(span.attribute("other"));
        EXPECT_GT(span.start_time().unix_ns, 0);
        EXPECT_EQ(span.end_time().unix_ns, 0);
        EXPECT_FALSE(span.links().empty());
        EXPECT_TRUE(span.events().empty());
        const auto scope = span.scope();
        EXPECT_EQ(scope.name, "lib");
        EXPECT_EQ(scope.version, "1.2");
        EXPECT_EQ(scope.schema_url, "https://example.org/1");
        ASSERT_FALSE(scope.attributes.empty());
        EXPECT_EQ((*scope.attributes.begin()).key, "mode");
    };
    const Attribute mode[] = {{"mode", "fast"}};
    const Tracer tracer(InstrumentationScope{
        .name = "lib",
        .version = "1.2",
        .schema_url = "https://example.org/1",
        .attributes = mode});
    for (int i = 0; i < 2; ++i) { // The second finds the record of the first.
        Span(
            tracer, "handle \xff", {{"given", 7}},
            {.kind = SpanKind::server, .parent = remote, .links = {&link, 1}})
            .end();
    }
    EXPECT_EQ(seen, 2);
}

TEST(SpanProcessor, IsGivenTheCurrentSpanAsParentAndAnInvalidOneForARoot) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}});
    std::vector<SpanContext> parents;
    std::vector<SpanContext> current;
    f.processor->start = [&](ReadWriteSpan&, const TraceContext& parent) {
        parents.push_back(parent.span);
        current.push_back(current_span_context());
    };
    const Span outer("outer");
    const Span inner("inner");
    EXPECT_THAT(parents, ElementsAre(SpanContext{}, outer.context()));
    EXPECT_EQ(current, parents) << "the new span is not current yet";
    EXPECT_EQ(current_span_context(), inner.context());
}

TEST(SpanProcessor, PutsWhatItLikesOnASpanAtItsStart) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}});
    f.processor->start = [](ReadWriteSpan& span, const TraceContext&) {
        const auto baggage = current_baggage();
        if (const auto tenant = baggage.get("tenant")) { span.set_attribute("tenant", *tenant); }
    };
    const auto scope = with(Baggage().set("tenant", "acme"));
    Span("one", {{"tenant", "to be replaced"}}).end();
    EXPECT_EQ(attributes_of(sink.take_one())["tenant"], "acme");
}

TEST(SpanProcessor, ChangesASpanForTheLastTimeWhileItIsEnding) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}});
    f.processor->ending = [](ReadWriteSpan& span) {
        EXPECT_EQ(span.end_time().unix_ns, 2'000);
        EXPECT_TRUE(span.is_recording());
        span.set_attribute("ending", "yes");
        span.add_event("ending");
        span.update_name("renamed");
        span.set_error("too_slow", "took 1 us");
    };
    f.processor->end = [](const ReadableSpan& span) {
        EXPECT_EQ(span.name(), "renamed");
        EXPECT_EQ(span.status(), StatusCode::error);
        EXPECT_EQ(span.status_description(), "took 1 us");
    };
    Span("one", {}, {.start_time = WallTime(1'000)}).end(WallTime(2'000));
    const auto span = sink.take_one();
    EXPECT_EQ(span.name, "renamed");
    EXPECT_EQ(attributes_of(span)["ending"], "yes");
    EXPECT_EQ(messages(span, 11).size(), 1U);
    EXPECT_EQ(status_of(span), (DecodedStatus{2, "took 1 us"}));
    EXPECT_NE(span.header.flags & record_flags::error, 0) << "the tail decision reads it here";
}

TEST(SpanProcessor, CannotChangeASpanThatHasEnded) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}});
    f.processor->end = [](const ReadableSpan&) {
        auto current = current_span();
        EXPECT_FALSE(current.is_recording());
        current.set_attribute("late", true);
        current.update_name("late");
    };
    Span("one").end();
    const auto span = sink.take_one();
    EXPECT_EQ(span.name, "one");
    EXPECT_THAT(attributes_of(span), IsEmpty());
}

TEST(SpanProcessor, SeesWhatIsRecordedOnlyAndExportersDoNot) {
    Fixture f;
    SpanSink sink(
        {.sampler = always_record_sampler(Sampler::always_off()), .processors = {f.processor}});
    f.processor->end = [](const ReadableSpan& span) {
        EXPECT_FALSE(span.is_sampled());
        EXPECT_EQ(span.attribute("key")->string(), "value");
    };
    Span("one", {{"key", "value"}}).end();
    EXPECT_THAT(f.calls, ElementsAre("start one", "ending one", "end one"));
    EXPECT_THAT(sink.take(), IsEmpty());
}

TEST(SpanProcessor, DoesNotSeeWhatIsDropped) {
    Fixture f;
    SpanSink sink({.sampler = Sampler::always_off(), .processors = {f.processor}});
    Span("one").end();
    EXPECT_THAT(f.calls, IsEmpty());
}

TEST(SpanProcessor, SeesEverythingWhereNothingIsExported) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}, .is_exported = false});
    const std::string large(5000, 'x');
    Span("one", {{"large", large}}).end();
    EXPECT_THAT(f.calls, ElementsAre("start one", "ending one", "end one"));
    EXPECT_EQ(sink.provider().queue.records_accepted(), 0U);
    EXPECT_EQ(sink.provider().dropped_queue_full, 0U);
}

TEST(SpanProcessor, ThatThrowsHarmsNeitherTheSpanNorTheOthersAndIsCounted) {
    Fixture good;
    const auto bad = std::make_shared<Scripted>();
    bad->start = [](ReadWriteSpan&, const TraceContext&) { throw std::runtime_error("at start"); };
    bad->ending = [](ReadWriteSpan&) { throw 7; };
    bad->end = [](const ReadableSpan&) { throw std::runtime_error("at end"); };
    std::vector<std::string> lines;
    diagnostics().set_handler(
        [&](const Diagnostic& diagnostic) { lines.emplace_back(diagnostic.message); });
    const auto before = span_processor_faults();
    SpanSink sink({.processors = {bad, good.processor}});
    Span("one").end();
    Span("two").end();
    diagnostics().set_handler({});
    EXPECT_THAT(
        good.calls,
        ElementsAre("start one", "ending one", "end one", "start two", "ending two", "end two"));
    EXPECT_EQ(sink.take().size(), 2U);
    EXPECT_EQ(span_processor_faults() - before, 6U);
    ASSERT_EQ(lines.size(), 1U) << "and not one for each span";
    EXPECT_NE(lines[0].find("Scripted"), std::string::npos) << lines[0];
    EXPECT_NE(lines[0].find("on_start: at start"), std::string::npos) << lines[0];
}

TEST(SpanProcessor, MayStartSpansWhichNoProcessorSees) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}});
    const auto inside = [](auto&&...) { Span("inside").end(); };
    f.processor->start = inside;
    f.processor->ending = inside;
    f.processor->end = inside;
    Span("one").end();
    EXPECT_THAT(f.calls, ElementsAre("start one", "ending one", "end one"));
    EXPECT_EQ(sink.take().size(), 4U);
    EXPECT_EQ(current_span_context(), SpanContext{});
}

TEST(SpanProcessor, IsNotCalledAfterShutdownNotEvenForSpansThatItKnows) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}});
    Span known("known");
    sink.provider().gate.close(); // As Runtime::shutdown does.
    known.end();
    Span("late").end();
    EXPECT_THAT(f.calls, ElementsAre("start known"));
    EXPECT_EQ(sink.provider().dropped_after_shutdown, 2U);
}

TEST(SpanProcessor, SeesADetachedSpanAndOneThatEndsOnAnotherThread) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}});
    auto span = Span::detached(sink.tracer(), "detached");
    std::thread([&] { span.end(); }).join();
    EXPECT_THAT(f.calls, ElementsAre("start detached", "ending detached", "end detached"));
    EXPECT_EQ(sink.take().size(), 1U);
}

TEST(SpanProcessor, SeesTheEndOfASpanWhoseCoroutineIsDestroyed) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}});
    {
        asio::io_context io;
        weft::co_spawn(
            io,
            []() -> Task<void> {
                const Span span("abandoned");
                asio::steady_timer timer(
                    co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
                co_await timer.async_wait(use_task);
            },
            asio::detached);
        io.poll();
        EXPECT_THAT(f.calls, ElementsAre("start abandoned"));
    }
    EXPECT_THAT(f.calls, ElementsAre("start abandoned", "ending abandoned", "end abandoned"));
    EXPECT_EQ(sink.take().size(), 1U);
}

TEST(SpanProcessor, SeesEachSpanOfManyThreadsOnce) {
    struct Counting final : SpanProcessor {
        std::atomic<int> started{0};
        std::atomic<int> ended{0};
        void on_start(ReadWriteSpan& span, const TraceContext&) override {
            span.set_attribute("number", ++started);
        }
        void on_end(const ReadableSpan& span) override {
            if (span.attribute("number")->integer() > 0) { ++ended; }
        }
    };
    constexpr int threads = 4;
    constexpr int spans = 500;
    const auto counting = std::make_shared<Counting>();
    SpanSink sink({.processors = {counting}});
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i) {
        running.emplace_back([] {
            for (int n = 0; n < spans; ++n) { Span("one").end(); }
        });
    }
    for (auto& thread : running) { thread.join(); }
    EXPECT_EQ(counting->started, threads * spans);
    EXPECT_EQ(counting->ended, threads * spans);
    EXPECT_EQ(sink.take().size(), std::size_t{threads} * spans);
}

// A value of each type; that every combination is read right is the oracle test's matter.
TEST(EncodedValue, IsOfOneTypeAndNothingByTheOthers) {
    Fixture f;
    SpanSink sink({.processors = {f.processor}});
    f.processor->end = [](const ReadableSpan& span) {
        EXPECT_EQ(span.attribute("text")->string(), "t");
        EXPECT_EQ(span.attribute("text")->integer(), 0);
        EXPECT_EQ(span.attribute("whole")->integer(), -7);
        EXPECT_EQ(span.attribute("whole")->floating(), 0.0);
        EXPECT_EQ(span.attribute("part")->floating(), 0.5);
        EXPECT_FALSE(span.attribute("part")->boolean());
        EXPECT_TRUE(span.attribute("flag")->boolean());
        EXPECT_EQ(span.attribute("empty")->type(), EncodedValue::Type::empty);
        EXPECT_TRUE(span.attribute("empty")->string().empty());
        std::int64_t sum = 0;
        for (const auto value : span.attribute("list")->array()) { sum += value.integer(); }
        EXPECT_EQ(sum, 3);
        EXPECT_TRUE(span.attribute("list")->map().empty());
        for (const auto& [key, value] : span.attribute("map")->map()) {
            EXPECT_EQ(key, "inner");
            EXPECT_EQ(value.bytes().size(), 2U);
        }
        EXPECT_TRUE(span.attribute("map")->bytes().empty());
    };
    const std::byte bytes[] = {std::byte{1}, std::byte{2}};
    Span(
        "one", {{"text", "t"},
                {"whole", -7},
                {"part", 0.5},
                {"flag", true},
                {"empty", {}},
                {"list", AttributeArray{1, 2}},
                {"map", AttributeMap{{"inner", std::span<const std::byte>(bytes)}}}})
        .end();
    EXPECT_EQ(f.calls.size(), 3U);
}

} // namespace
} // namespace weft::testing
