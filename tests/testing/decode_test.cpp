#include "decode.hpp"

#include <weft/runtime/manual_clock.hpp>
#include <weft/runtime/record.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/testing/in_memory.hpp>

#include <gmock/gmock.h>
#include <protozero/exception.hpp>

#include <array>
#include <limits>

// A finished span says what the program said, field by field.

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

FinishedSpan one(InMemoryTelemetry& telemetry) {
    auto spans = telemetry.spans();
    EXPECT_EQ(spans.size(), 1u);
    return spans.empty() ? FinishedSpan{} : std::move(spans.front());
}

TEST(FinishedSpan, HasAttributesOfEveryType) {
    InMemoryTelemetry telemetry;
    const std::array<std::byte, 2> raw{std::byte{0}, std::byte{255}};
    {
        Span span("s");
        span.set_attribute("bool", true);
        span.set_attribute("no", false);
        span.set_attribute("int", -7);
        span.set_attribute("large", std::numeric_limits<std::uint64_t>::max());
        span.set_attribute("double", 0.5);
        span.set_attribute("text", "tea \xe2\x98\x95");
        span.set_attribute("empty text", "");
        span.set_attribute("nothing", AttributeValue());
        span.set_attribute("raw", std::span<const std::byte>(raw));
        span.set_attribute("ints", std::vector<std::int64_t>{1, 2});
        span.set_attribute("mixed", AttributeArray{1, "two", 3.0});
        span.set_attribute("map", AttributeMap{{"k", 1}, {"m", AttributeMap{{"deep", true}}}});
    }

    const auto span = one(telemetry);

    EXPECT_THAT(
        span.attributes,
        ElementsAre(
            Pair("bool", Value(true)), Pair("no", Value(false)), Pair("int", Value(-7)),
            Pair("large", Value("18446744073709551615")), Pair("double", Value(0.5)),
            Pair("text", Value("tea \xe2\x98\x95")), Pair("empty text", Value("")),
            Pair("nothing", Value()), Pair("raw", Value(Value::Bytes{raw[0], raw[1]})),
            Pair("ints", Value(Value::Array{1, 2})),
            Pair("mixed", Value(Value::Array{1, "two", 3.0})),
            Pair("map", Value(Attributes{{"k", 1}, {"m", Attributes{{"deep", true}}}}))));
    EXPECT_EQ(*span.attribute("int"), Value(-7));
    EXPECT_EQ(span.attribute("none"), nullptr);
    ASSERT_NE(span.attribute("text"), nullptr);
    EXPECT_NE(span.attribute("text")->get_if<std::string>(), nullptr);
    EXPECT_EQ(span.attribute("text")->get_if<bool>(), nullptr);
}

TEST(FinishedSpan, HasIdentityKindTimesStatusEventsAndLinks) {
    InMemoryTelemetry telemetry;
    const ManualClock clock(1'000, 5'000'000'000);
    const TraceContext remote{
        .span =
            {*TraceId::from_hex("0af7651916cd43dd8448eb211c80319c"),
             *SpanId::from_hex("b7ad6b7169203331"), trace_flags::sampled, true},
        .state = TraceState::from_validated("vendor=1")};
    const std::array<Attribute, 1> why{{{"why", "retry"}}};
    const std::array<Link, 1> links{{{.context = remote, .attributes = why}}};
    SpanContext context;
    {
        Span span("s", {}, {.kind = SpanKind::consumer, .parent = remote, .links = links});
        context = span.context();
        span.add_event("e", {{"n", 1}}, WallTime(42));
        span.set_status(StatusCode::error, "broken");
    }

    const auto span = one(telemetry);

    EXPECT_EQ(span.name, "s");
    EXPECT_EQ(span.kind, SpanKind::consumer);
    EXPECT_EQ(span.trace_id, remote.span.trace_id);
    EXPECT_EQ(span.span_id, context.span_id);
    EXPECT_EQ(span.parent_id, remote.span.span_id);
    EXPECT_FALSE(span.is_root());
    EXPECT_TRUE(span.has_remote_parent());
    EXPECT_EQ(span.trace_state, "vendor=1");
    EXPECT_EQ(span.flags, 0x301u);
    EXPECT_EQ(span.start_unix_ns, 5'000'001'000);
    EXPECT_EQ(span.duration_ns(), 0);
    EXPECT_EQ(span.status, StatusCode::error);
    EXPECT_EQ(span.status_description, "broken");
    ASSERT_EQ(span.events.size(), 1u);
    EXPECT_EQ(span.events[0].name, "e");
    EXPECT_EQ(span.events[0].unix_ns, 42);
    EXPECT_THAT(span.events[0].attributes, ElementsAre(Pair("n", Value(1))));
    ASSERT_EQ(span.links.size(), 1u);
    EXPECT_EQ(span.links[0].trace_id, remote.span.trace_id);
    EXPECT_EQ(span.links[0].span_id, remote.span.span_id);
    EXPECT_EQ(span.links[0].trace_state, "vendor=1");
    EXPECT_EQ(span.links[0].flags, 0x301u);
    EXPECT_THAT(span.links[0].attributes, ElementsAre(Pair("why", Value("retry"))));
}

TEST(FinishedSpan, SaysWhatLimitsDiscarded) {
    InMemoryOptions options;
    options.span_limits.attribute_count = 1;
    options.span_limits.event_count = 1;
    options.span_limits.link_count = 0;
    options.span_limits.event_attribute_count = 0;
    InMemoryTelemetry telemetry(options);
    {
        Span span("s", {{"a", 1}, {"b", 2}, {"c", 3}});
        span.add_event("first", {{"x", 1}});
        span.add_event("second");
        span.add_link({.span = span.context(), .state = {}});
    }

    const auto span = one(telemetry);

    EXPECT_EQ(span.attributes.size(), 1u);
    EXPECT_EQ(span.dropped_attributes, 2u);
    EXPECT_EQ(span.dropped_events, 1u);
    EXPECT_EQ(span.dropped_links, 1u);
    EXPECT_EQ(span.events.at(0).dropped_attributes, 1u);
}

TEST(FinishedSpan, HasTheScopeOfItsTracer) {
    InMemoryTelemetry telemetry;
    const std::array<Attribute, 1> attributes{{{"team", "a"}}};
    const Tracer tracer(InstrumentationScope{"lib", "1.2", "https://example.com/s", attributes});
    { const Span span(tracer, "s"); }
    const auto span = one(telemetry);
    EXPECT_EQ(span.scope.name, "lib");
    EXPECT_EQ(span.scope.version, "1.2");
    EXPECT_EQ(span.scope.schema_url, "https://example.com/s");
    EXPECT_THAT(span.scope.attributes, ElementsAre(Pair("team", Value("a"))));
    EXPECT_TRUE(span.resource.empty());
}

TEST(Values, OfDifferentTypesAreNotEqual) {
    EXPECT_NE(Value(1), Value(1.0));
    EXPECT_NE(Value(1), Value("1"));
    EXPECT_NE(Value(true), Value(1));
    EXPECT_NE(Value(), Value(""));
    EXPECT_EQ(Value(Value::Array{1}), Value(Value::Array{1}));
    EXPECT_NE(Value(Value::Array{1}), Value(Value::Array{1, 2}));
}

// Goal: no truncation is read as something whole, and none is read beyond its end. Method: every prefix of a record, in
// memory of its own size (for ASan).
TEST(Decode, RefusesEveryTruncationOfARecord) {
    weft::detail::TraceProvider provider(Sampler::always_on(), {}, 1 << 20, 1);
    {
        Span span(
            Tracer("t").bound_to(&provider), "s",
            {{"k", AttributeMap{{"a", AttributeArray{1, "x"}}}}});
        span.add_event("e", {{"n", 1.5}});
        span.set_error("broken", "why");
    }
    std::vector<std::string> bodies;
    provider.queue.consume([&](std::span<const std::byte> payload) {
        const auto body = payload.subspan(sizeof(RecordHeader));
        bodies.emplace_back(reinterpret_cast<const char*>(body.data()), body.size());
        return true;
    });
    ASSERT_EQ(bodies.size(), 1u);
    EXPECT_EQ(detail::decode_record(bodies[0]).status_description, "why");
    for (std::size_t size = 1; size < bodies[0].size(); ++size) {
        const std::vector<char> prefix(
            bodies[0].begin(), bodies[0].begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_THROW(
            (void)detail::decode_record({prefix.data(), prefix.size()}), protozero::exception)
            << size;
    }
}

} // namespace
} // namespace weft::testing
