// Random spans, parsed by the official OTLP classes and compared with a slow model of what was set.

#include "model_span.hpp"
#include "span_copy.hpp"

#include <weft/runtime/manual_clock.hpp>
#include <weft/testing/span_sink.hpp>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>
#include <opentelemetry/proto/trace/v1/trace.pb.h>
#include <protozero/pbf_writer.hpp>

#include <bit>
#include <stdexcept>

namespace weft::testing {
namespace {

namespace common = opentelemetry::proto::common::v1;
namespace trace = opentelemetry::proto::trace::v1;
namespace collector = opentelemetry::proto::collector::trace::v1;
using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

bool has_unknown_fields(const google::protobuf::Message& message) {
    return !message.GetReflection()->GetUnknownFields(message).empty();
}

/// Parses a record's body as the field of ScopeSpans that it is. False for anything that is not
/// just one span.
AssertionResult parse(const SunkSpan& sunk, trace::ScopeSpans& spans) {
    google::protobuf::io::CodedInputStream in(
        reinterpret_cast<const std::uint8_t*>(sunk.body.data()),
        static_cast<int>(sunk.body.size()));
    if (!spans.ParseFromCodedStream(&in) || !in.ConsumedEntireMessage()) {
        return AssertionFailure() << "the official classes refuse the body";
    }
    if (spans.spans_size() != 1 || spans.has_scope() || !spans.schema_url().empty() ||
        has_unknown_fields(spans) || has_unknown_fields(spans.spans(0))) {
        return AssertionFailure() << "not just one span: " << spans.ShortDebugString();
    }
    if (sunk.message.empty()) { return AssertionFailure() << "the body has more than one field"; }
    std::map<std::uint32_t, int> count;
    for (protozero::pbf_reader fields(sunk.message); fields.next(); fields.skip()) {
        ++count[fields.tag()];
    }
    for (const std::uint32_t singular : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 10U, 12U, 14U, 15U, 16U}) {
        if (count[singular] > 1) {
            return AssertionFailure() << "field " << singular << " comes twice";
        }
    }
    return AssertionSuccess();
}

AssertionResult same(const common::AnyValue& found, const ModelValue& model);

template <class KeyValues>
AssertionResult same(const KeyValues& found, const std::map<std::string, ModelValue>& model) {
    if (static_cast<std::size_t>(found.size()) != model.size()) {
        return AssertionFailure() << found.size() << " attributes, not " << model.size();
    }
    for (const auto& pair : found) {
        const auto expected = model.find(pair.key());
        if (expected == model.end()) {
            return AssertionFailure() << "key " << pair.key() << " is not expected";
        }
        if (auto result = same(pair.value(), expected->second); !result) {
            return result << " in " << pair.key();
        }
    }
    return AssertionSuccess(); // The callers check that no key comes twice.
}

std::map<std::string, ModelValue> by_key(const std::vector<ModelEntry>& entries) {
    std::map<std::string, ModelValue> map;
    for (const auto& [key, value] : entries) { map.emplace(key, value); }
    return map;
}

template <class KeyValues>
bool has_unique_keys(const KeyValues& pairs) {
    std::map<std::string, int> count;
    return std::all_of(
        pairs.begin(), pairs.end(), [&](const auto& pair) { return ++count[pair.key()] == 1; });
}

AssertionResult same(const common::AnyValue& found, const ModelValue& model) {
    using Kind = ModelValue::Kind;
    bool is_same = false;
    switch (model.kind) {
    case Kind::empty:
        is_same = found.value_case() == common::AnyValue::VALUE_NOT_SET;
        break;
    case Kind::boolean:
        is_same = found.has_bool_value() && found.bool_value() == model.boolean;
        break;
    case Kind::integer:
        is_same = found.has_int_value() && found.int_value() == model.integer;
        break;
    case Kind::large_unsigned:
        break; // The model has made text of it.
    case Kind::floating:
        is_same = found.has_double_value() && std::bit_cast<std::uint64_t>(found.double_value()) ==
                                                  std::bit_cast<std::uint64_t>(model.floating);
        break;
    case Kind::string:
        is_same = found.has_string_value() && found.string_value() == model.text;
        break;
    case Kind::bytes:
        is_same = found.has_bytes_value() && found.bytes_value() == model.text;
        break;
    case Kind::array: {
        const auto& values = found.array_value().values();
        is_same = found.has_array_value() &&
                  static_cast<std::size_t>(values.size()) == model.items.size();
        for (std::size_t i = 0; is_same && i < model.items.size(); ++i) {
            if (auto result = same(values[static_cast<int>(i)], model.items[i]); !result) {
                return result;
            }
        }
        break;
    }
    case Kind::map: {
        const auto& pairs = found.kvlist_value().values();
        if (!found.has_kvlist_value() || !has_unique_keys(pairs)) { break; }
        return same(pairs, by_key(model.entries));
    }
    }
    if (is_same) { return AssertionSuccess(); }
    return AssertionFailure() << "kind " << static_cast<int>(model.kind) << " and text '"
                              << model.text << "' came as " << found.ShortDebugString();
}

std::string bytes_of(const auto& id) {
    return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::uint32_t flags_of(std::uint8_t flags, bool remote) {
    return flags | 0x100U | (remote ? 0x200U : 0U);
}

void expect_identity(const trace::Span& found, const ModelSpan& model) {
    EXPECT_EQ(found.trace_id(), bytes_of(model.self.trace_id));
    EXPECT_EQ(found.span_id(), bytes_of(model.self.span_id));
    EXPECT_EQ(
        found.parent_span_id(), model.parent.is_valid() ? bytes_of(model.parent.span_id) : "");
    EXPECT_EQ(found.trace_state(), model.trace_state);
    EXPECT_EQ(
        found.flags(),
        flags_of(model.self.flags, model.parent.is_valid() && model.parent.is_remote));
    EXPECT_EQ(found.name(), model.name);
    EXPECT_EQ(static_cast<int>(found.kind()), static_cast<int>(model.kind));
    EXPECT_EQ(found.start_time_unix_nano(), static_cast<std::uint64_t>(model.start));
    EXPECT_EQ(found.end_time_unix_nano(), static_cast<std::uint64_t>(model.end));
    EXPECT_EQ(found.has_status(), model.status != StatusCode::unset);
    EXPECT_EQ(static_cast<int>(found.status().code()), static_cast<int>(model.status));
    EXPECT_EQ(found.status().message(), model.status_text);
}

void expect_contents(const trace::Span& found, const ModelSpan& model) {
    EXPECT_TRUE(has_unique_keys(found.attributes()));
    EXPECT_TRUE(same(found.attributes(), model.attributes.kept));
    EXPECT_EQ(found.dropped_attributes_count(), model.attributes.dropped);
    EXPECT_EQ(found.dropped_events_count(), model.dropped_events);
    EXPECT_EQ(found.dropped_links_count(), model.dropped_links);
    ASSERT_EQ(static_cast<std::size_t>(found.events_size()), model.events.size());
    for (std::size_t i = 0; i < model.events.size(); ++i) {
        const auto& event = found.events(static_cast<int>(i));
        const auto& expected = model.events[i];
        EXPECT_EQ(event.name(), expected.name);
        EXPECT_EQ(event.time_unix_nano(), static_cast<std::uint64_t>(expected.time));
        EXPECT_TRUE(has_unique_keys(event.attributes()));
        EXPECT_TRUE(same(event.attributes(), expected.attributes.kept));
        EXPECT_EQ(event.dropped_attributes_count(), expected.attributes.dropped);
    }
    ASSERT_EQ(static_cast<std::size_t>(found.links_size()), model.links.size());
    for (std::size_t i = 0; i < model.links.size(); ++i) {
        const auto& link = found.links(static_cast<int>(i));
        const auto& expected = model.links[i];
        EXPECT_EQ(link.trace_id(), bytes_of(expected.context.span.trace_id));
        EXPECT_EQ(link.span_id(), bytes_of(expected.context.span.span_id));
        EXPECT_EQ(link.trace_state(), expected.context.state.text());
        EXPECT_EQ(
            link.flags(), flags_of(expected.context.span.flags, expected.context.span.is_remote));
        EXPECT_TRUE(has_unique_keys(link.attributes()));
        EXPECT_TRUE(same(link.attributes(), expected.attributes.kept));
        EXPECT_EQ(link.dropped_attributes_count(), expected.attributes.dropped);
    }
}

void expect_header(const RecordHeader& header, const ModelSpan& model) {
    EXPECT_EQ(header.items, 1u);
    EXPECT_EQ(header.scope, model.scope);
    EXPECT_EQ(header.trace_id, model.self.trace_id);
    EXPECT_EQ(header.span_id, model.self.span_id);
    EXPECT_EQ(header.start_unix_ns, model.start);
    EXPECT_EQ(header.end_unix_ns, model.end);
    std::uint8_t flags = record_flags::sampled;
    if (model.status == StatusCode::error) { flags |= record_flags::error; }
    if (!model.parent.is_valid() || model.parent.is_remote) { flags |= record_flags::local_root; }
    EXPECT_EQ(header.flags, flags);
}

/// Makes one span in every way the API has, and its model beside it.
class Act {
public:
    Act(Random& random, SpanSink& sink, ManualClock& clock)
        : random_(random), sink_(sink), clock_(clock), views_(random) {
        model_.limits = sink.provider().limits;
    }

    ModelSpan run() {
        Span span = start();
        for (auto steps = random_.below(random_.one_in(10) ? 80 : 16); steps > 0; --steps) {
            step(span);
        }
        model_.self = span.context();
        model_.end = random_.one_in(3) ? static_cast<std::int64_t>(random_.word() >> 2) + 1 : 0;
        span.end(WallTime(model_.end));
        if (model_.end == 0) { model_.end = std::max(model_.start, now()); }
        return model_;
    }

private:
    TraceContext context() {
        TraceContext context;
        if (random_.one_in(8)) { return context; }
        context.span = {
            random_trace_id(), random_span_id(), static_cast<std::uint8_t>(random_.below(4)),
            random_.one_in(2)};
        if (random_.one_in(2)) {
            context.state =
                TraceState::from_validated("vendor=" + std::to_string(random_.below(1000)));
        }
        return context;
    }
    std::int64_t now() {
        const auto time = steady_now_ns() + wall_offset_ns();
        clock_.advance(std::chrono::nanoseconds(random_.below(5000)));
        return time;
    }

    Span start() {
        SpanOptions options;
        options.kind = static_cast<SpanKind>(random_.between(1, 5));
        if (random_.one_in(2)) {
            auto parent = context();
            parent.span.flags |= trace_flags::sampled;
            if (parent.is_valid()) {
                model_.parent = parent.span;
                model_.trace_state = parent.state.text();
            }
            options.parent = parent;
        }
        if (random_.one_in(4)) {
            options.start_time = WallTime(static_cast<std::int64_t>(random_.word() >> 2) + 1);
        }
        model_.kind = options.kind;
        auto name = random_text(random_);
        model_.name = reference_text(name);
        const auto attributes = random_attributes(random_, 6);
        for (const auto& [key, value] : attributes) { model_.set(key, value); }
        std::vector<Link> links;
        std::vector<ModelAttributes> link_attributes(random_.below(4));
        for (auto& given : link_attributes) {
            given = random_attributes(random_, 4);
            links.push_back({context(), views_.view(given)});
            model_.add_link(links.back().context, given);
        }
        options.links = links;
        const Tracer tracer = sink_.tracer(random_.one_in(2) ? "one" : "other");
        model_.scope = tracer.scope_index();
        model_.start = options.start_time.unix_ns != 0 ? options.start_time.unix_ns
                                                       : steady_now_ns() + wall_offset_ns();
        return Span(tracer, name, views_.view(attributes), options);
    }

    void step(Span& span) {
        const auto given = random_attributes(random_, 4);
        const auto all = views_.view(given);
        const auto text = random_text(random_);
        switch (random_.below(12)) {
        case 0:
            span.update_name(text), model_.name = reference_text(text);
            break;
        case 1: {
            const auto code =
                static_cast<StatusCode>(random_.one_in(12) ? 1 : 2 * random_.below(2));
            span.set_status(code, text), model_.set_status(code, text);
            break;
        }
        case 2: {
            span.set_error("kind", text);
            model_.set("error.type", string_value("kind"));
            model_.set_status(StatusCode::error, text);
            break;
        }
        case 3:
            event(span, text, given, all);
            break;
        case 4: {
            const auto linked = context();
            with_list(
                all, [&](std::initializer_list<Attribute> list) { span.add_link(linked, list); });
            model_.add_link(linked, given);
            break;
        }
        case 5: {
            with_list(
                all, [&](std::initializer_list<Attribute> list) { span.set_attributes(list); });
            for (const auto& [key, value] : given) { model_.set(key, value); }
            break;
        }
        case 6:
            exception(span, text, given, all);
            break;
        default: {
            const auto key = random_key(random_);
            const auto value =
                random_.one_in(40)
                    ? nested_value(
                          static_cast<std::uint32_t>(random_.between(60, 70)), random_.one_in(2))
                    : random_value(random_);
            span.set_attribute(key, views_.view(value));
            model_.set(key, value);
        }
        }
    }
    void event(
        Span& span, const std::string& name, const ModelAttributes& given,
        std::span<const Attribute> all) {
        std::int64_t at =
            random_.one_in(2) ? static_cast<std::int64_t>(random_.word() >> 2) + 1 : 0;
        with_list(all, [&](std::initializer_list<Attribute> list) {
            span.add_event(name, list, WallTime(at));
        });
        if (at == 0) { at = now(); }
        model_.add_event(reference_text(name), at, given);
    }
    void exception(
        Span& span, const std::string& text, const ModelAttributes& given,
        std::span<const Attribute> all) {
        const std::runtime_error error(text); // Its text ends at the first zero byte.
        with_list(all, [&](std::initializer_list<Attribute> list) {
            span.record_exception(error, list);
        });
        ModelAttributes attributes{
            {"exception.type", string_value("std::runtime_error")},
            {"exception.message", string_value(error.what())}};
        attributes.insert(attributes.end(), given.begin(), given.end());
        model_.add_event("exception", now(), attributes);
    }

    static ModelValue string_value(std::string text) {
        ModelValue value;
        value.kind = ModelValue::Kind::string;
        value.text = std::move(text);
        return value;
    }
    // An initializer list cannot be made at run time: by their number.
    static void with_list(std::span<const Attribute> all, const auto& call) {
        switch (all.size()) {
        case 0:
            return call({});
        case 1:
            return call({all[0]});
        case 2:
            return call({all[0], all[1]});
        case 3:
            return call({all[0], all[1], all[2]});
        default:
            return call({all[0], all[1], all[2], all[3]});
        }
    }

    Random& random_;
    SpanSink& sink_;
    ManualClock& clock_;
    ModelViews views_;
    ModelSpan model_;
};

SpanLimits random_limits(Random& random) {
    SpanLimits limits;
    const auto sometimes = [&](std::uint32_t& limit, std::size_t max) {
        if (random.one_in(3)) { limit = static_cast<std::uint32_t>(random.below(max)); }
    };
    sometimes(limits.attribute_count, 12);
    sometimes(limits.attribute_value_length, 60);
    sometimes(limits.event_count, 4);
    sometimes(limits.link_count, 4);
    sometimes(limits.event_attribute_count, 4);
    sometimes(limits.link_attribute_count, 4);
    if (random.one_in(3)) {
        limits.attribute_value_depth = static_cast<std::uint32_t>(random.between(1, 6));
    }
    return limits;
}

// Goal: what arrives is what was set. Method: thousands of random spans, in lots of one provider
// with random limits.
TEST(SpanEncoding, MeansToTheOfficialClassesWhatWasSet) {
    auto random = Random::seeded("MeansToTheOfficialClassesWhatWasSet");
    constexpr int lots = 60;
    constexpr int spans_of_a_lot = 60;
    for (int lot = 0; lot < lots; ++lot) {
        ManualClock clock;
        SpanSinkOptions options{
            .limits = random_limits(random), .queue_bytes = std::size_t{64} << 20};
        const auto copier = std::make_shared<SpanCopier>();
        options.processors = {copier};
        if (lot == 0) { options.limits = {}; }
        SpanSink sink(std::move(options));
        for (int i = 0; i < spans_of_a_lot; ++i) {
            SCOPED_TRACE("lot " + std::to_string(lot) + ", span " + std::to_string(i));
            const auto model = Act(random, sink, clock).run();
            const auto sunk = sink.take();
            ASSERT_EQ(sunk.size(), 1U);
            trace::ScopeSpans spans;
            ASSERT_TRUE(parse(sunk.front(), spans));
            expect_header(sunk.front().header, model);
            expect_identity(spans.spans(0), model);
            expect_contents(spans.spans(0), model);
            EXPECT_EQ(copier->copy.SerializeAsString(), spans.spans(0).SerializeAsString())
                << "a processor reads: " << copier->copy.ShortDebugString();
            if (::testing::Test::HasFailure()) { return; }
        }
    }
}

TEST(SpanEncoding, KeepsValuesAtTheDepthLimitAndEmptiesThoseBelowIt) {
    SpanSink sink;
    auto random = Random(1);
    ModelViews views(random);
    for (const bool maps : {false, true}) {
        for (const std::uint32_t levels : {1U, 29U, 30U, 31U, 80U}) {
            SCOPED_TRACE(levels);
            const auto value = nested_value(levels, maps);
            Span(sink.tracer(), "deep", {{"value", views.view(value)}}).end();
            trace::ScopeSpans spans;
            ASSERT_TRUE(parse(sink.take_one(), spans));
            const auto& attributes = spans.spans(0).attributes();
            ASSERT_EQ(attributes.size(), 1);
            EXPECT_TRUE(same(attributes[0].value(), limited(value, {})));
            EXPECT_EQ(
                attributes[0].ShortDebugString().find("innermost") != std::string::npos,
                levels <= 30);
            EXPECT_EQ(spans.spans(0).dropped_attributes_count(), 0U);
        }
    }
}

// The deepest place of a trace is an event's attribute in a whole request.
TEST(SpanEncoding, IsAcceptedByTheOfficialClassesAsTheyAreHoweverDeepTheValues) {
    SpanSink sink;
    auto random = Random(1);
    ModelViews views(random);
    for (const bool maps : {false, true}) {
        const auto value = nested_value(80, maps);
        {
            Span span("deep");
            span.add_event("deeper", {{"value", views.view(value)}});
        }
        std::string message = sink.take_one().body;
        for (int outer = 0; outer < 2; ++outer) { // ResourceSpans.scope_spans, then the request.
            std::string field;
            protozero::pbf_writer(field).add_message(outer == 0 ? 2 : 1, message);
            message = std::move(field);
        }
        collector::ExportTraceServiceRequest request;
        ASSERT_TRUE(request.ParseFromString(message));
        const auto& span = request.resource_spans(0).scope_spans(0).spans(0);
        ASSERT_EQ(span.events_size(), 1);
        EXPECT_TRUE(same(span.events(0).attributes(0).value(), limited(value, {})));
    }
}

TEST(SpanEncoding, KeepsOneOfKeysThatBecomeEqualByRepair) {
    SpanSink sink;
    for (const bool at_start : {true, false}) {
        SCOPED_TRACE(at_start);
        constexpr std::string_view bad = "key\xff";
        constexpr std::string_view other = "key\xfe";
        constexpr std::string_view repaired = "key\uFFFD";
        const Attribute both[] = {{bad, 1}, {other, 2}, {repaired, 3}, {"key", 4}};
        {
            Span span(
                sink.tracer(), "repaired",
                at_start ? std::span(both) : std::span<const Attribute>());
            if (!at_start) {
                for (const auto& [key, value] : both) { span.set_attribute(key, value); }
            }
            span.set_attribute("map", AttributeMap(std::span(both)));
            span.add_event("event", {both[0], both[1], both[2], both[3]});
        }
        trace::ScopeSpans spans;
        ASSERT_TRUE(parse(sink.take_one(), spans));
        const auto& span = spans.spans(0);
        EXPECT_EQ(span.dropped_attributes_count(), 0U);
        ASSERT_EQ(span.attributes_size(), 3);
        const auto& map = span.attributes(2).value().kvlist_value().values();
        for (const auto* pairs : {&span.attributes(), &span.events(0).attributes(), &map}) {
            EXPECT_TRUE(has_unique_keys(*pairs));
            EXPECT_EQ(pairs->Get(0).key(), repaired);
            EXPECT_EQ(pairs->Get(0).value().int_value(), 3);
            EXPECT_EQ(pairs->Get(1).key(), "key");
        }
    }
}

} // namespace
} // namespace weft::testing
