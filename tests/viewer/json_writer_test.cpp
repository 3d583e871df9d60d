#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/testing/otlp_random.hpp>
#include <weft/testing/otlp_traces.hpp>
#include <weft/viewer/otlp_codec.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace weft::otlp {
namespace {

using common::v1::AnyValue;

TEST(ToJson, WritesIdsInLowercaseHexAndOtherBytesInBase64) {
    trace::v1::Span span;
    span.set_trace_id("\xAB\xCD");
    span.set_parent_span_id(std::string(8, '\x1f'));
    span.add_attributes()->mutable_value()->set_bytes_value("hello");

    EXPECT_EQ(
        to_json(span), R"({"traceId":"abcd","parentSpanId":"1f1f1f1f1f1f1f1f",)"
                       R"("attributes":[{"value":{"bytesValue":"aGVsbG8="}}]})");
}

TEST(ToJson, PadsBase64) {
    AnyValue value;
    for (const auto& [bytes, text] :
         {std::pair{"", ""},
          {"f", "Zg=="},
          {"fo", "Zm8="},
          {"foo", "Zm9v"},
          {"foob", "Zm9vYg=="},
          {"\xff\xfe\xfd", "//79"}}) {
        value.set_bytes_value(bytes);
        EXPECT_EQ(to_json(value), std::string(R"({"bytesValue":")") + text + "\"}");
    }
}

TEST(ToJson, Writes64BitIntegersAsStringsAnd32BitOnesAsNumbers) {
    metrics::v1::ExponentialHistogramDataPoint point;
    point.set_time_unix_nano(UINT64_MAX);
    point.set_count(3);
    point.set_scale(-2);
    point.set_flags(1);
    point.mutable_positive()->add_bucket_counts(1);
    point.mutable_positive()->add_bucket_counts(UINT64_MAX);

    EXPECT_EQ(
        to_json(point), R"({"timeUnixNano":"18446744073709551615","count":"3","scale":-2,)"
                        R"("positive":{"bucketCounts":["1","18446744073709551615"]},"flags":1})");
}

TEST(ToJson, WritesEnumsAsNumbers) {
    trace::v1::Span span;
    span.set_kind(trace::v1::Span::SPAN_KIND_SERVER);
    span.mutable_status()->set_code(trace::v1::Status::STATUS_CODE_ERROR);

    EXPECT_EQ(to_json(span), R"({"kind":2,"status":{"code":2}})");
}

TEST(ToJson, WritesDoublesShortestAndNonFiniteOnesAsText) {
    metrics::v1::HistogramDataPoint point;
    for (const double bound :
         {0.1, 1e300, 5.0, std::numeric_limits<double>::infinity(),
          -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        point.add_explicit_bounds(bound);
    }

    EXPECT_EQ(to_json(point), R"({"explicitBounds":[0.1,1e+300,5,"Infinity","-Infinity","NaN"]})");
}

TEST(ToJson, LeavesDefaultsOutButKeepsPresentZeros) {
    metrics::v1::NumberDataPoint number;
    EXPECT_EQ(to_json(number), "{}");
    number.set_as_int(0);
    EXPECT_EQ(to_json(number), R"({"asInt":"0"})");
    metrics::v1::HistogramDataPoint point;
    point.set_min(0);
    EXPECT_EQ(to_json(point), R"({"min":0})");
    AnyValue value;
    EXPECT_EQ(to_json(value), "{}");
    value.mutable_array_value();
    EXPECT_EQ(to_json(value), R"({"arrayValue":{}})");
    value.set_bool_value(false);
    EXPECT_EQ(to_json(value), R"({"boolValue":false})");
}

TEST(ToJson, EscapesText) {
    AnyValue value;
    value.set_string_value(std::string("\"\\/\n\x1f\x7f\0é😀", 13));
    EXPECT_EQ(to_json(value), "{\"stringValue\":\"\\\"\\\\/\\u000a\\u001f\x7f\\u0000é😀\"}");
}

std::string written(std::string text) {
    AnyValue value;
    value.set_string_value(std::move(text));
    const std::string json = to_json(value);
    constexpr std::size_t before = 16; // {"stringValue":"
    return json.substr(before, json.size() - before - 2);
}

// The Unicode Standard, table of well-formed UTF-8 byte sequences: each row's neighbours outside.
TEST(ToJson, ReplacesEachByteThatIsNotUtf8) {
    for (const std::string_view bad :
         {"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x80\x80",
          "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
          "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
        std::string expected = "<";
        for (const char c : bad) { expected += c == 'A' ? "A" : "\xef\xbf\xbd"; }

        EXPECT_EQ(written("<" + std::string(bad) + ">"), expected + ">");
    }
    for (const std::string good :
         {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
          "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
        EXPECT_EQ(written(good), good);
    }
}

TEST(ToJson, CutsOffWhatIsNestedTooDeeply) {
    AnyValue root;
    AnyValue* value = &root;
    for (int i = 0; i < 100'000 / 50; ++i) { value = value->mutable_array_value()->add_values(); }
    const std::string json = to_json(root);
    AnyValue back;
    std::string detail;

    EXPECT_LT(json.size(), 4000u);
    // One more level than the reader takes is written as {}, which it takes as well or refuses, but
    // never garbles.
    EXPECT_FALSE(from_json(json, back, &detail));
    EXPECT_NE(detail.find("nested too deeply"), std::string::npos);
}

// Goal: what we write, we read, for every field of the schema. Method: random messages made by
// reflection, compared as protobuf bytes, which also tells 0.0 from -0.0.
template <class Message>
void expect_round_trips(std::uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    testing::RandomOtlp random(seed);
    for (int i = 0; i < 100; ++i) {
        const auto sent = random.make<Message>();
        const std::string json = to_json(sent);
        Message got;
        std::string detail;
        ASSERT_TRUE(from_json(json, got, &detail)) << detail << "\n" << json;
        ASSERT_TRUE(got.SerializeAsString() == sent.SerializeAsString()) << json;
        ASSERT_TRUE(to_json(got) == json);
    }
}

TEST(ToJson, RoundTripsEveryFieldOfEverySignal) {
    const std::uint64_t seed = std::random_device{}();
    expect_round_trips<testing::TraceRequest>(seed);
    expect_round_trips<collector::metrics::v1::ExportMetricsServiceRequest>(seed + 1);
    expect_round_trips<collector::logs::v1::ExportLogsServiceRequest>(seed + 2);
    expect_round_trips<collector::trace::v1::ExportTraceServiceResponse>(seed + 3);
}

} // namespace
} // namespace weft::otlp
