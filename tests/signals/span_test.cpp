#include "decoded.hpp"

#include <weft/runtime/manual_clock.hpp>
#include <weft/runtime/with.hpp>
#include <weft/testing/span_sink.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <utility>

namespace weft::testing {
namespace {

TraceContext remote_parent(std::uint8_t flags = trace_flags::known) {
    return {
        {random_trace_id(), random_span_id(), flags, true}, TraceState::from_validated("vendor=7")};
}

// The bits behind trace_flags::known are ours: they travel from span to span, not to the receiver.
TEST(SpanFlags, PassDebugOnAndDropUndecidedAndExportNeither) {
    SpanSink sink;
    for (const std::uint8_t flags :
         {std::uint8_t{trace_flags::sampled | trace_flags::debug},
          std::uint8_t{trace_flags::sampled | trace_flags::undecided}}) {
        const auto parent = remote_parent(flags);
        {
            Span outer("outer", {}, {.parent = parent});
            outer.add_link(parent);
            const Span inner("inner");
            for (const auto& context : {outer.context(), inner.context()}) {
                EXPECT_EQ(context.flags, trace_flags::sampled | (flags & trace_flags::debug));
            }
        }
        for (const auto& span : sink.take()) { EXPECT_EQ(span.flags & 0xff, trace_flags::sampled); }
    }
}

TEST(UnsampledSpan, HasAnIdOfItsOwnAndIsItsChildrensParent) {
    SpanSink sink({.sampler = Sampler::parent_based(Sampler::always_off())});
    const Span outer("outer");
    const Span inner("inner");
    EXPECT_FALSE(outer.is_recording());
    EXPECT_TRUE(outer.context().is_valid());
    EXPECT_FALSE(outer.context().is_sampled());
    EXPECT_TRUE(inner.context().span_id.is_valid());
    EXPECT_NE(inner.context().span_id, outer.context().span_id);
    EXPECT_EQ(inner.context().trace_id, outer.context().trace_id);
    EXPECT_EQ(current_span_context(), inner.context());
}

TEST(SpanTimes, AreThoseThatTheSpanWillShow) {
    SpanSink sink;
    Span span("work");
    const auto times = span.times();
    EXPECT_GE(times.elapsed_ns(), 0);
    span.end(times.now);
    const auto header = sink.take_one().header;
    EXPECT_EQ(header.start_unix_ns, times.start.unix_ns);
    EXPECT_EQ(header.end_unix_ns - header.start_unix_ns, times.elapsed_ns());
    EXPECT_EQ(span.times().now.unix_ns, 0) << "it has ended";
}

TEST(SpanTimes, AreNoneForASpanThatIsNotRecording) {
    SpanSink sink({.sampler = Sampler::always_off()});
    const Span span("work");
    EXPECT_EQ(span.times().elapsed_ns(), 0);
    EXPECT_EQ(span.times().start.unix_ns, 0);
}

TEST(SpanStatus, IsFinalOnceItIsOk) {
    SpanSink sink;
    {
        Span span("status");
        span.set_status(StatusCode::error, "first");
        span.set_status(StatusCode::unset);
        span.set_status(StatusCode::error, "second");
    }
    EXPECT_EQ(status_of(sink.take_one()), (DecodedStatus{2, "second"}));
    {
        Span span("status");
        span.set_status(StatusCode::error, "first");
        span.set_status(StatusCode::ok, "no text for this one");
        span.set_status(StatusCode::error, "too late");
    }
    EXPECT_EQ(status_of(sink.take_one()), (DecodedStatus{1, ""}));
    Span("status").set_status(StatusCode::unset, "nothing");
    EXPECT_EQ(status_of(sink.take_one()), DecodedStatus());
}

TEST(SpanException, IsAnEventWithTheDynamicTypeAndNoStatus) {
    SpanSink sink;
    {
        Span span("failing");
        const std::out_of_range error("the reason");
        span.record_exception(
            static_cast<const std::exception&>(error), {{"exception.message", "mine"}});
        span.record_exception(std::make_exception_ptr(std::logic_error("in a pointer")));
        span.record_exception(std::make_exception_ptr(7));
        span.record_exception(std::exception_ptr());
    }
    const auto span = sink.take_one();
    const auto events = messages(span, 11);
    ASSERT_EQ(events.size(), 3U) << "none of a null pointer";
    EXPECT_EQ(messages(events[0], 2).front(), "exception");
    auto attributes = attributes_of(events[0], 3);
    EXPECT_EQ(attributes["exception.type"], "std::out_of_range");
    EXPECT_EQ(attributes["exception.message"], "mine");
    EXPECT_EQ(attributes.size(), 2U);
    attributes = attributes_of(events[1], 3);
    EXPECT_EQ(attributes["exception.type"], "std::logic_error");
    EXPECT_EQ(attributes["exception.message"], "in a pointer");
    EXPECT_EQ(attributes_of(events[2], 3)["exception.type"], "int");
    EXPECT_EQ(status_of(span), DecodedStatus());
}

TEST(SpanEnd, CountsOnceAndKeepsTheIdentity) {
    SpanSink sink;
    Span span("once");
    const auto context = span.context();
    EXPECT_TRUE(context.is_valid());
    span.end();
    span.end();
    span.set_attribute("late", 1);
    span.update_name("late");
    EXPECT_FALSE(span.is_recording());
    EXPECT_EQ(span.context(), context);
    EXPECT_EQ(sink.take_one().name, "once");
}

TEST(SpanEnd, TakesTheCallersTimeAndNeverRunsBackwardsOnItsOwn) {
    const ManualClock clock(1'000, 5'000'000);
    SpanSink sink;
    Span("now").end();
    auto header = sink.take_one().header;
    EXPECT_EQ(header.start_unix_ns, 5'001'000);
    EXPECT_EQ(header.end_unix_ns, 5'001'000);
    Span("future", {}, {.start_time = WallTime(9'000'000)}).end();
    header = sink.take_one().header;
    EXPECT_EQ(header.start_unix_ns, 9'000'000);
    EXPECT_EQ(header.end_unix_ns, 9'000'000);
    Span("given").end(WallTime(4'000'000)); // The caller's word, also when it is before the start.
    EXPECT_EQ(sink.take_one().header.end_unix_ns, 4'000'000);
}

TEST(SpanMove, HandsTheSpanOnAndEndsTheOneItReplaces) {
    SpanSink sink;
    const auto tracer = sink.tracer();
    Span first = Span::detached(tracer, "first");
    const auto first_context = first.context();
    Span second(std::move(first));
    EXPECT_FALSE(first.is_recording());
    EXPECT_EQ(second.context(), first_context);
    EXPECT_TRUE(sink.take().empty());

    second = Span::detached(tracer, "other");
    EXPECT_EQ(sink.take_one().name, "first");
    auto& same = second;
    second = std::move(same);
    EXPECT_TRUE(second.is_recording());
    second.end();
    EXPECT_EQ(sink.take_one().name, "other");
}

TEST(DetachedSpan, IsCurrentOnlyWhenItIsMadeSo) {
    SpanSink sink;
    Span span = Span::detached(sink.tracer(), "detached");
    EXPECT_FALSE(current_span_context().is_valid());
    span.make_current();
    span.make_current();
    EXPECT_EQ(current_span_context(), span.context());
    span.end();
    EXPECT_FALSE(current_span_context().is_valid());
}

TEST(SpanParent, IsTheCurrentSpanTheGivenOneOrNone) {
    SpanSink sink;
    const Span outer("outer");
    Span("child").end();
    auto span = sink.take_one();
    EXPECT_EQ(span.parent, outer.context().span_id);
    EXPECT_EQ(span.flags, 0x103U);

    Span("root", {}, {.parent = SpanParent::root()}).end();
    span = sink.take_one();
    EXPECT_FALSE(span.parent.is_valid());
    EXPECT_NE(span.trace_id(), outer.context().trace_id);
    EXPECT_EQ(span.flags, 0x103U);

    for (const std::uint8_t flags : {trace_flags::sampled, trace_flags::known}) {
        const auto parent = remote_parent(flags);
        Span("remote", {}, {.parent = parent}).end();
        span = sink.take_one();
        EXPECT_EQ(span.parent, parent.span.span_id);
        EXPECT_EQ(span.trace_id(), parent.span.trace_id);
        EXPECT_EQ(span.flags, 0x300U | flags) << "the random bit is the parent's";
        EXPECT_EQ(span.trace_state, "vendor=7");
    }
}

TEST(SpanParent, HandsItsTraceStateDown) {
    SpanSink sink;
    const Span outer("outer", {}, {.parent = remote_parent()});
    Span inner("inner");
    EXPECT_EQ(inner.trace_context().state.text(), "vendor=7");
    inner.end();
    EXPECT_EQ(inner.trace_context().state.text(), "vendor=7");
    EXPECT_EQ(sink.take_one().trace_state, "vendor=7");
}

TEST(SuppressedSpan, IsNotRecorded) {
    SpanSink sink;
    {
        const auto quiet = with(suppress_telemetry);
        EXPECT_FALSE(Span("quiet").is_recording());
    }
    EXPECT_TRUE(sink.take().empty());
    Span("heard").end();
    EXPECT_EQ(sink.take_one().name, "heard");
}

TEST(SpanWithoutARuntime, DoesNothingButPassAGivenParentOn) {
    const auto tracer = Tracer("off").bound_to(nullptr);
    {
        Span span(tracer, "nothing");
        span.set_attribute("key", 1);
        span.record_exception(std::runtime_error("nothing"));
        EXPECT_FALSE(span.is_recording());
        EXPECT_FALSE(span.context().is_valid());
    }
    const auto parent = remote_parent();
    {
        const Span span(tracer, "nothing", {}, {.parent = parent});
        EXPECT_FALSE(span.is_recording());
        EXPECT_EQ(span.context(), parent.span);
        EXPECT_EQ(current_trace_context().state.text(), "vendor=7");
        const Span root(tracer, "nothing", {}, {.parent = SpanParent::root()});
        EXPECT_FALSE(root.context().is_valid());
        EXPECT_FALSE(current_span_context().is_valid()) << "what was current is not its parent";
    }
    EXPECT_FALSE(current_span_context().is_valid());
}

TEST(SpanWithoutARuntime, PassesAGivenParentOnThroughADetachedSpan) {
    const auto tracer = Tracer("off").bound_to(nullptr);
    EXPECT_FALSE(Span::detached(tracer, "nothing").context().is_valid());
    const auto parent = remote_parent();
    auto span = Span::detached(tracer, "nothing", {}, {.parent = parent});
    EXPECT_FALSE(span.is_recording());
    EXPECT_EQ(span.context(), parent.span);
    EXPECT_EQ(span.trace_context().state.text(), "vendor=7");
    EXPECT_FALSE(current_span_context().is_valid());
    span.make_current();
    EXPECT_EQ(current_span_context(), parent.span);
    span.end();
    EXPECT_EQ(span.context(), parent.span);
    EXPECT_FALSE(current_span_context().is_valid());
}

TEST(DroppedSpan, IsCountedWhenTheQueueIsFullAndAfterShutdown) {
    SpanSink sink({.queue_bytes = 16 << 10});
    constexpr std::uint64_t count = 500;
    for (std::uint64_t i = 0; i < count; ++i) { Span("filling").end(); }
    const auto& provider = sink.provider();
    const auto arrived = sink.take().size();
    EXPECT_GT(arrived, 0U);
    EXPECT_GT(provider.dropped_queue_full, 0U);
    EXPECT_EQ(provider.dropped_queue_full + arrived, count);

    sink.provider().gate.close();
    Span("late").end();
    EXPECT_EQ(provider.dropped_after_shutdown, 1U);
    EXPECT_TRUE(sink.take().empty());
}

TEST(SpanFollowing, StartsATraceOfItsOwnThatIsLinkedToWhatWasCurrent) {
    SpanSink sink;
    SpanContext request;
    SpanContext job;
    {
        const Span outer("request");
        request = outer.context();
        const auto following = Span::following("job");
        job = following.context();
        EXPECT_EQ(current_span_context(), job);
    }
    const SpanIndex spans(sink.take());
    EXPECT_EQ(spans.parent_of("job"), "");
    EXPECT_NE(job.trace_id, request.trace_id);
    const auto links = messages(spans.named("job"), 13);
    ASSERT_EQ(links.size(), 1U);
    EXPECT_EQ(
        messages(links.front(), 1).front(),
        std::string(request.trace_id.bytes.begin(), request.trace_id.bytes.end()));
    EXPECT_EQ(
        messages(links.front(), 2).front(),
        std::string(request.span_id.bytes.begin(), request.span_id.bytes.end()));
}

TEST(SpanFollowing, HasNoLinkWhereNothingIsCurrent) {
    SpanSink sink;
    Span::following("job").end();
    EXPECT_TRUE(messages(sink.take_one(), 13).empty());
}

} // namespace
} // namespace weft::testing
