// Recording a span allocates nothing once the pools are warm. Its own binary: `operator new` is
// replaced.

#include "../support/counted_new.hpp"

#include <weft/signals/adaptive_sampler.hpp>
#include <weft/signals/span.hpp>
#include <weft/testing/span_sink.hpp>

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <string>

namespace weft::testing {
namespace {

constexpr int rounds = 1000;

void usual_span(const Tracer& tracer) {
    Span span(
        tracer, "GET /orders/{id}",
        {{"http.request.method", "GET"}, {"http.response.status_code", 200}});
    span.set_attribute("url.path", "/orders/7");
    span.set_attribute("duration.share", 0.25);
    span.add_event("cache.miss", {{"key", "order-7"}});
}

void empty_queue(SpanSink& sink) {
    sink.provider().queue.consume([](std::span<const std::byte>) { return true; });
}

/// Allocations of `rounds` calls, after as many that warm up.
std::uint64_t allocations_of(SpanSink& sink, const auto& call) {
    for (int i = 0; i < rounds; ++i) { call(); }
    empty_queue(sink);
    const auto before = allocations();
    for (int i = 0; i < rounds; ++i) { call(); }
    const auto after = allocations();
    empty_queue(sink);
    return after - before;
}

std::uint64_t dropped(SpanSink& sink) {
    const auto& provider = sink.provider();
    return provider.dropped_queue_full + provider.dropped_record_too_large +
           provider.dropped_no_memory;
}

TEST(Allocation, IsCountedAtAll) {
    const auto before = allocations();
    void* memory = ::operator new(1); // Not by an expression, which a compiler may leave out.
    EXPECT_EQ(allocations(), before + 1);
    ::operator delete(memory);
}

TEST(Allocation, IsNotDoneByASampledSpan) {
    SpanSink sink;
    const auto tracer = sink.tracer();
    EXPECT_EQ(allocations_of(sink, [&] { usual_span(tracer); }), 0U);
    EXPECT_EQ(dropped(sink), 0U);
    EXPECT_EQ(sink.provider().queue.records_consumed(), 2U * rounds);
}

TEST(Allocation, IsNotDoneByAChild) {
    SpanSink sink;
    const auto tracer = sink.tracer();
    const Span root(tracer, "root");
    EXPECT_EQ(allocations_of(sink, [&] { usual_span(tracer); }), 0U);
    EXPECT_EQ(sink.provider().queue.records_consumed(), 2U * rounds);
}

TEST(Allocation, IsNotDoneByEventsLinksAndARecordedException) {
    SpanSink sink;
    const Tracer tracer("test");
    const Span other(tracer, "other");
    const auto context = other.trace_context();
    const std::runtime_error error(
        "no such order"); // Its demangled type is malloc's, not operator new's.
    const auto rich_span = [&] {
        Span span(tracer, "rich");
        span.add_event("retried", {{"attempt", 2}});
        span.add_link(context, {{"why", "batch"}});
        span.record_exception(error);
        span.set_error("not_found");
    };
    EXPECT_EQ(allocations_of(sink, rich_span), 0U);
    EXPECT_EQ(dropped(sink), 0U);
}

TEST(Allocation, IsNotDoneByASpanThatOutgrowsItsRecord) {
    SpanSink sink;
    const auto tracer = sink.tracer();
    const std::string text(3000, 'x');
    EXPECT_EQ(allocations_of(sink, [&] { Span(tracer, "large", {{"text", text}}).end(); }), 0U);
    EXPECT_EQ(sink.provider().queue.records_consumed() + dropped(sink), 2U * rounds);
}

// Reads and writes all that the calls offer.
class Busy final : public SpanProcessor {
public:
    std::size_t read = 0;

private:
    void on_start(ReadWriteSpan& span, const TraceContext& parent) override {
        span.set_attribute("is.child", parent.is_valid());
    }
    void on_ending(ReadWriteSpan& span) override { span.add_event("ending"); }
    void on_end(const ReadableSpan& span) override {
        read += span.name().size() + span.scope().name.size();
        for (const auto attribute : span.attributes()) {
            read += attribute.key.size() + attribute.value.string().size();
        }
        for (const auto event : span.events()) { read += event.name.size(); }
    }
};

TEST(Allocation, IsNotDoneByASpanThatAProcessorChangesAndReads) {
    const auto busy = std::make_shared<Busy>();
    SpanSink sink({.processors = {busy}});
    const auto tracer = sink.tracer();
    EXPECT_EQ(allocations_of(sink, [&] { usual_span(tracer); }), 0U);
    EXPECT_EQ(sink.provider().queue.records_consumed(), 2U * rounds);
    EXPECT_GT(busy->read, 2U * rounds * std::string("GET /orders/{id}").size());
}

TEST(Allocation, IsNotDoneByAnUnsampledSpan) {
    SpanSink sink({.sampler = Sampler::always_off()});
    const auto tracer = sink.tracer();
    EXPECT_EQ(allocations_of(sink, [&] { usual_span(tracer); }), 0U);
    EXPECT_EQ(sink.provider().queue.records_accepted(), 0U);
}

TEST(Allocation, IsNotDoneByASamplerOfAProbability) {
    SpanSink sink({.sampler = Sampler::parent_based(Sampler::probability(0.5))});
    const auto tracer = sink.tracer();
    EXPECT_EQ(allocations_of(sink, [&] { usual_span(tracer); }), 0U);
    EXPECT_EQ(dropped(sink), 0U);
}

// The tracestate of a root that is kept; its children share it.
TEST(Allocation, IsDoneOnceForEachTraceThatTheAdaptiveSamplerKeeps) {
    SpanSink sink({.sampler = Sampler::parent_based(adaptive_sampler({.target_per_second = 1e6}))});
    const auto tracer = sink.tracer();
    const auto trace = [&] {
        const Span root(tracer, "root");
        usual_span(tracer);
    };
    EXPECT_LE(allocations_of(sink, trace), 1U * rounds);
    EXPECT_GT(sink.provider().queue.records_accepted(), 0U);
}

TEST(Allocation, IsNotDoneWhenTelemetryIsOff) {
    SpanSink sink({.make_default = false});
    const auto tracer = Tracer("off").bound_to(nullptr);
    EXPECT_EQ(allocations_of(sink, [&] { usual_span(tracer); }), 0U);
    EXPECT_EQ(sink.provider().queue.records_accepted(), 0U);
}

} // namespace
} // namespace weft::testing
