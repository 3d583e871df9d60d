#include "failing_new.hpp"

#include <weft/exporters/batch_builder.hpp>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/signals/resource.hpp>
#include <weft/signals/scope.hpp>

#include <gtest/gtest.h>

#ifdef WEFT_HAVE_OTLP_ORACLE
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>
#endif

#include <algorithm>
#include <new>
#include <random>
#include <string>
#include <vector>

namespace weft::testing {
namespace {

// The classes that read what the builder wrote: our schema's, and the official ones where they are
// installed.
struct Ours {
    using Request = otlp::collector::trace::v1::ExportTraceServiceRequest;
    using ScopeSpans = otlp::trace::v1::ScopeSpans;
};
#ifdef WEFT_HAVE_OTLP_ORACLE
struct Official {
    using Request = opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
    using ScopeSpans = opentelemetry::proto::trace::v1::ScopeSpans;
};
using Schemas = ::testing::Types<Ours, Official>;
#else
using Schemas = ::testing::Types<Ours>;
#endif

// One `spans` field of ScopeSpans, as the wire has it.
std::string span_field(const std::string& name, std::size_t attributes) {
    Ours::ScopeSpans scope;
    auto& span = *scope.add_spans();
    span.set_trace_id(std::string(16, 't'));
    span.set_span_id(std::string(8, 's'));
    span.set_name(name);
    for (std::size_t i = 0; i < attributes; ++i) {
        auto& attribute = *span.add_attributes();
        attribute.set_key("key" + std::to_string(i));
        attribute.mutable_value()->set_string_value(std::string(i, 'v'));
    }
    return scope.SerializeAsString();
}

void add(BatchBuilder& builder, const std::string& field, std::uint16_t scope = 0) {
    Record record;
    record.header.scope = scope;
    record.body = std::as_bytes(std::span(field));
    builder.add(record);
}

EncodedResource some_resource() {
    Resource resource;
    resource.set("service.name", "shop").set("service.replicas", 3);
    return {resource.encoded(), "https://example.test/resource"};
}

std::uint16_t scope_number(std::size_t i) {
    const auto name = "builder.scope" + std::to_string(i);
    const auto url = "https://example.test/" + std::to_string(i);
    const Attribute attributes[] = {{"number", static_cast<std::int64_t>(i)}};
    return detail::register_scope(
        {name, "1." + std::to_string(i), i % 2 == 0 ? url : std::string(), attributes});
}

template <class Schema>
class BatchBuilderTest : public ::testing::Test {};
TYPED_TEST_SUITE(BatchBuilderTest, Schemas);

// Source: OTLP schema; spec section "Self-test list", 7.
TYPED_TEST(BatchBuilderTest, WritesOneResourceAndOneScopeSpansForEachScope) {
    const std::uint16_t one = scope_number(1);
    const std::uint16_t two = scope_number(2);
    BatchBuilder builder(Signal::traces, some_resource());
    for (const auto scope : {two, one, two, two, one}) { add(builder, span_field("n", 1), scope); }

    const auto batch = builder.finish();

    typename TypeParam::Request request;
    ASSERT_TRUE(request.ParseFromString(batch->body));
    EXPECT_EQ(batch->signal, Signal::traces);
    EXPECT_EQ(batch->records, 5u);
    ASSERT_EQ(request.resource_spans_size(), 1);
    const auto& resource = request.resource_spans(0);
    EXPECT_EQ(resource.schema_url(), "https://example.test/resource");
    ASSERT_EQ(resource.resource().attributes_size(), 2);
    EXPECT_EQ(resource.resource().attributes(0).key(), "service.name");
    EXPECT_EQ(resource.resource().attributes(0).value().string_value(), "shop");
    EXPECT_EQ(resource.resource().attributes(1).value().int_value(), 3);
    ASSERT_EQ(resource.scope_spans_size(), 2);
    const auto& first = resource.scope_spans(0);
    EXPECT_EQ(first.scope().name(), "builder.scope2");
    EXPECT_EQ(first.scope().version(), "1.2");
    EXPECT_EQ(first.scope().attributes(0).value().int_value(), 2);
    EXPECT_EQ(first.schema_url(), "https://example.test/2");
    EXPECT_EQ(first.spans_size(), 3);
    const auto& second = resource.scope_spans(1);
    EXPECT_EQ(second.scope().name(), "builder.scope1");
    EXPECT_EQ(second.schema_url(), "");
    EXPECT_EQ(second.spans_size(), 2);
}

// Goal: every span's bytes are the record's, in order within its scope. Method: random sizes and
// scopes, also sizes at which lengths take another byte; fields re-encoded one by one and compared.
// The builder is used again and again.
TYPED_TEST(BatchBuilderTest, KeepsEverySpanByteForByte) {
    constexpr unsigned seed = 77;
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    std::vector<std::uint16_t> scopes;
    for (std::size_t i = 0; i < 20; ++i) { scopes.push_back(scope_number(i)); }
    BatchBuilder builder(Signal::traces, some_resource());
    for (int round = 0; round < 50; ++round) {
        std::vector<std::vector<std::string>> expected(scopes.size());
        const std::size_t records = 1 + random() % 60;
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < records; ++i) {
            const std::size_t at = random() % (1 + random() % scopes.size());
            const std::size_t sizes[] = {0, 1, 90, 127, 128, 16'300, random() % 300};
            const auto field = span_field(std::string(sizes[random() % 7], 'n'), random() % 5);
            expected[at].push_back(field);
            bytes += field.size();
            add(builder, field, scopes[at]);
        }
        EXPECT_EQ(builder.records(), records);
        EXPECT_EQ(builder.bytes(), bytes);
        EXPECT_FALSE(builder.empty());

        const auto batch = builder.finish();

        EXPECT_TRUE(builder.empty());
        EXPECT_EQ(builder.bytes(), 0u);
        typename TypeParam::Request request;
        ASSERT_TRUE(request.ParseFromString(batch->body));
        EXPECT_EQ(request.SerializeAsString().size(), batch->body.size())
            << "no unknown or repeated fields";
        const auto& groups = request.resource_spans(0).scope_spans();
        EXPECT_EQ(groups.size(), std::count_if(expected.begin(), expected.end(), [](const auto& e) {
                      return !e.empty();
                  }));
        for (const auto& group : groups) {
            EXPECT_GT(group.spans_size(), 0) << "an empty envelope";
            const auto number =
                static_cast<std::size_t>(group.scope().attributes(0).value().int_value());
            ASSERT_EQ(static_cast<std::size_t>(group.spans_size()), expected[number].size());
            for (int i = 0; i < group.spans_size(); ++i) {
                typename TypeParam::ScopeSpans alone;
                *alone.add_spans() = group.spans(i);
                EXPECT_EQ(alone.SerializeAsString(), expected[number][static_cast<std::size_t>(i)]);
            }
        }
    }
}

TYPED_TEST(BatchBuilderTest, AnEmptyResourceAndScopeAreStillThere) {
    const auto nameless = detail::register_scope({.name = ""});
    BatchBuilder builder(Signal::traces, {});
    add(builder, span_field("n", 0), nameless);

    const auto batch = builder.finish();

    typename TypeParam::Request request;
    ASSERT_TRUE(request.ParseFromString(batch->body));
    ASSERT_EQ(request.resource_spans_size(), 1);
    EXPECT_TRUE(request.resource_spans(0).has_resource());
    EXPECT_EQ(request.resource_spans(0).schema_url(), "");
    ASSERT_EQ(request.resource_spans(0).scope_spans_size(), 1);
    EXPECT_TRUE(request.resource_spans(0).scope_spans(0).has_scope());
    EXPECT_EQ(request.resource_spans(0).scope_spans(0).spans_size(), 1);
}

TEST(BatchBuilder, CountsWhatARecordHoldsAndNotTheRecord) {
    const auto field = span_field("n", 1);
    BatchBuilder builder(Signal::traces, some_resource());
    for (const std::uint32_t items : {1u, 40u, 400'000u}) {
        Record record;
        record.header.items = items;
        record.body = std::as_bytes(std::span(field));
        builder.add(record);
    }
    EXPECT_EQ(builder.records(), 400'041u);
    EXPECT_EQ(builder.finish()->records, 400'041u);
    EXPECT_TRUE(builder.empty());
}

TEST(BatchBuilder, ClearForgetsWhatWasCollected) {
    BatchBuilder builder(Signal::traces, some_resource());
    add(builder, span_field("lost", 2), scope_number(3));
    builder.clear();
    EXPECT_TRUE(builder.empty());
    EXPECT_EQ(builder.bytes(), 0u);
    add(builder, span_field("kept", 2), scope_number(4));

    const auto batch = builder.finish();

    Ours::Request request;
    ASSERT_TRUE(request.ParseFromString(batch->body));
    EXPECT_EQ(batch->records, 1u);
    ASSERT_EQ(request.resource_spans(0).scope_spans_size(), 1);
    EXPECT_EQ(request.resource_spans(0).scope_spans(0).spans(0).name(), "kept");
}

TEST(BatchBuilder, AFinishedBatchIsIndependentOfTheBuilder) {
    BatchBuilder builder(Signal::traces, some_resource());
    add(builder, span_field("first", 2));
    const auto first = builder.finish();
    const auto copy = first->body;
    for (int i = 0; i < 100; ++i) { add(builder, span_field("second", 2)); }
    const auto second = builder.finish();
    EXPECT_EQ(first->body, copy);
    EXPECT_EQ(second->records, 100u);
}

// Goal: without memory a record or a batch is refused and nothing else changes. Method: the n-th
// allocation fails, for every n until none is left to fail; then the same call succeeds and the
// result is what it would have been.
TEST(BatchBuilder, IsAsItWasWhenMemoryRunsOut) {
    std::vector<std::string> fields;
    for (std::size_t i = 0; i < 40; ++i) {
        fields.push_back(span_field(std::string(i * 7, 'n'), i % 4));
    }
    std::vector<std::uint16_t> scopes;
    for (std::size_t i = 0; i < 8; ++i) { scopes.push_back(scope_number(i)); }
    BatchBuilder reference(Signal::traces, some_resource());
    for (std::size_t i = 0; i < fields.size(); ++i) {
        add(reference, fields[i], scopes[i % scopes.size()]);
    }
    const auto expected = reference.finish();

    BatchBuilder builder(Signal::traces, some_resource());
    std::size_t failures = 0;
    const auto retry = [&](auto call) {
        const auto records = builder.records();
        const auto bytes = builder.bytes();
        for (int n = 0;; ++n) {
            FailingNew failing(n);
            try {
                call();
                return;
            } catch (const std::bad_alloc&) { ++failures; }
            failing.disarm();
            ASSERT_EQ(builder.records(), records);
            ASSERT_EQ(builder.bytes(), bytes);
        }
    };
    for (std::size_t i = 0; i < fields.size(); ++i) {
        retry([&] { add(builder, fields[i], scopes[i % scopes.size()]); });
    }
    std::shared_ptr<const Batch> batch;
    retry([&] { batch = builder.finish(); });

    EXPECT_GT(failures, 10u) << "the test has made nothing fail";
    EXPECT_EQ(batch->body, expected->body);
    EXPECT_EQ(batch->records, expected->records);
}

} // namespace
} // namespace weft::testing
