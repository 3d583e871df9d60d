// OTLP specification, "JSON Protobuf Encoding": each rule with what it allows and what it does not.
#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/viewer/otlp_codec.hpp>

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace weft::otlp {
namespace {

using ::testing::HasSubstr;

template <class Message>
Message read(std::string_view json) {
    Message message;
    std::string detail;
    EXPECT_TRUE(from_json(json, message, &detail)) << json << "\n" << detail;
    return message;
}

template <class Message>
std::string refusal(std::string_view json) {
    Message message;
    std::string detail = "accepted";
    const auto read = from_json(json, message, &detail);
    if (!read) { EXPECT_EQ(read.error(), Errc::decode_failed); }
    return detail;
}

using trace::v1::Span;
using Point = metrics::v1::NumberDataPoint;
using Histogram = metrics::v1::HistogramDataPoint;
using Exponential = metrics::v1::ExponentialHistogramDataPoint;
using common::v1::AnyValue;

TEST(FromJson, ReadsIdsAsHexOfAnyCase) {
    const auto span =
        read<Span>(R"({"traceId":"0AF7651916cd43dd8448EB211C80319C","spanId":"b7AD6b7169203331",
                                     "parentSpanId":""})");
    EXPECT_EQ(span.trace_id(), "\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c");
    EXPECT_EQ(span.span_id(), "\xb7\xad\x6b\x71\x69\x20\x33\x31");
    EXPECT_EQ(span.parent_span_id(), "");
    EXPECT_EQ(read<logs::v1::LogRecord>(R"({"traceId":"ff","spanId":"01"})").trace_id(), "\xff");
    EXPECT_EQ(read<metrics::v1::Exemplar>(R"({"traceId":"ff","spanId":"01"})").span_id(), "\x01");
    EXPECT_EQ(read<Span::Link>(R"({"traceId":"ff","spanId":"01"})").span_id(), "\x01");
}

TEST(FromJson, RefusesIdsThatAreNotHex) {
    for (const char* id :
         {"\"abc\"", "\"0x\"", "\"g0\"", "\"CvdlGRbNQ92ESOshHIAxnA==\"", "\" 00\"", "12", "[]"}) {
        EXPECT_THAT(
            refusal<Span>(std::string(R"({"traceId":)") + id + "}"), HasSubstr("traceId: not"))
            << id;
    }
}

TEST(FromJson, ReadsOtherBytesAsBase64) {
    const auto bytes = [](const char* text) {
        return read<AnyValue>(std::string(R"({"bytesValue":")") + text + "\"}").bytes_value();
    };
    EXPECT_EQ(bytes(""), "");
    EXPECT_EQ(bytes("AA=="), std::string(1, '\0'));
    EXPECT_EQ(bytes("aGVsbG8="), "hello");
    EXPECT_EQ(bytes("aGVsbG8"), "hello");
    EXPECT_EQ(bytes("+/+/"), "\xfb\xff\xbf");
    EXPECT_EQ(bytes("-_-_"), "\xfb\xff\xbf");
    EXPECT_EQ(bytes("Zm9v"), "foo");
}

TEST(FromJson, RefusesWhatIsNotBase64) {
    for (const char* text :
         {"A", "AAAAA", "A===", "====", "=", "AA=A", "AA*=", "AA ==", "AAA==", "AAAA="}) {
        EXPECT_THAT(
            refusal<AnyValue>(std::string(R"({"bytesValue":")") + text + "\"}"),
            HasSubstr("bytesValue: not base64"))
            << text;
    }
}

TEST(FromJson, KnowsOnlyLowerCamelCaseKeys) {
    const auto span = read<Span>(
        R"({"trace_id":"ff","dropped_events_count":3,"droppedEventsCount":4,"Name":"x"})");
    EXPECT_EQ(span.trace_id(), "");
    EXPECT_EQ(span.dropped_events_count(), 4u);
    EXPECT_EQ(span.name(), "");
}

TEST(FromJson, IgnoresUnknownKeysWhateverTheyHold) {
    const auto span =
        read<Span>(R"({"":1,"x":{"y":[1,{"z":null}]},"name":"n","kind2":"SPAN_KIND_SERVER"})");
    EXPECT_EQ(span.name(), "n");
}

TEST(FromJson, TakesNullAsAbsent) {
    const auto span =
        read<Span>(R"({"name":null,"kind":null,"traceId":null,"attributes":null,"status":null,
                                     "startTimeUnixNano":null})");
    EXPECT_EQ(span.ByteSizeLong(), 0u);
    EXPECT_FALSE(span.has_status());
    EXPECT_EQ(read<AnyValue>(R"({"intValue":null,"stringValue":"s"})").string_value(), "s");
}

TEST(FromJson, RefusesNullInAnArray) {
    EXPECT_THAT(refusal<Span>(R"({"events":[{},null]})"), HasSubstr("events[1]: not an object"));
}

TEST(FromJson, ReadsEnumsAsNumbersAlsoWithoutAName) {
    EXPECT_EQ(read<Span>(R"({"kind":3})").kind(), Span::SPAN_KIND_CLIENT);
    EXPECT_EQ(static_cast<int>(read<Span>(R"({"kind":77})").kind()), 77);
    EXPECT_EQ(
        read<trace::v1::Status>(R"({"code":2.0})").code(), trace::v1::Status::STATUS_CODE_ERROR);
}

TEST(FromJson, RefusesEnumNamesAndQuotedNumbers) {
    for (const char* kind : {"\"SPAN_KIND_CLIENT\"", "\"3\"", "1.5", "4294967296", "true", "[]"}) {
        EXPECT_THAT(
            refusal<Span>(std::string(R"({"kind":)") + kind + "}"),
            HasSubstr("kind: not an enum's number"))
            << kind;
    }
}

TEST(FromJson, Reads64BitIntegersAsStringOrNumber) {
    EXPECT_EQ(
        read<Span>(R"({"startTimeUnixNano":"1544712660300000000"})").start_time_unix_nano(),
        1544712660300000000u);
    EXPECT_EQ(
        read<Span>(R"({"startTimeUnixNano":1544712660300000000})").start_time_unix_nano(),
        1544712660300000000u);
    EXPECT_EQ(
        read<Span>(R"({"endTimeUnixNano":"18446744073709551615"})").end_time_unix_nano(),
        UINT64_MAX);
    EXPECT_EQ(
        read<Span>(R"({"endTimeUnixNano":18446744073709551615})").end_time_unix_nano(), UINT64_MAX);
    EXPECT_EQ(read<AnyValue>(R"({"intValue":"-9223372036854775808"})").int_value(), INT64_MIN);
    EXPECT_EQ(read<AnyValue>(R"({"intValue":-9223372036854775808})").int_value(), INT64_MIN);
    EXPECT_EQ(read<AnyValue>(R"({"intValue":1.2e3})").int_value(), 1200);
    EXPECT_EQ(read<Point>(R"({"asInt":"-7"})").as_int(), -7);
}

TEST(FromJson, RefusesIntegersThatDoNotFitOrAreNone) {
    for (const char* value :
         {"\"9223372036854775808\"", "9223372036854775808", "1.5", "1e19", "\"\"", "\"1.0\"",
          "\" 1\"", "\"1x\"", "\"+1\"", "\"0x10\"", "true", "{}", "[1]", "\"NaN\""}) {
        EXPECT_THAT(
            refusal<AnyValue>(std::string(R"({"intValue":)") + value + "}"),
            HasSubstr("intValue: not an integer"))
            << value;
    }
    for (const char* value :
         {"-1", "\"-1\"", "18446744073709551616", "\"18446744073709551616\"", "1e30"}) {
        EXPECT_THAT(
            refusal<Span>(std::string(R"({"endTimeUnixNano":)") + value + "}"),
            HasSubstr("endTimeUnixNano: not an integer"))
            << value;
    }
}

TEST(FromJson, Reads32BitIntegersAsNumberOrString) {
    EXPECT_EQ(read<Span>(R"({"flags":4294967295,"droppedLinksCount":"12"})").flags(), UINT32_MAX);
    EXPECT_EQ(read<Span>(R"({"droppedLinksCount":"12"})").dropped_links_count(), 12u);
    EXPECT_EQ(read<Exponential>(R"({"scale":-3})").scale(), -3);
    EXPECT_THAT(refusal<Span>(R"({"flags":4294967296})"), HasSubstr("flags: not an integer"));
    EXPECT_THAT(refusal<Span>(R"({"flags":-1})"), HasSubstr("flags: not an integer"));
    EXPECT_THAT(
        refusal<Exponential>(R"({"scale":2147483648})"), HasSubstr("scale: not an integer"));
}

TEST(FromJson, ReadsDoublesAsNumberOrText) {
    const auto number = [](const char* text) {
        return read<AnyValue>(std::string(R"({"doubleValue":)") + text + "}").double_value();
    };
    EXPECT_EQ(number("1.5"), 1.5);
    EXPECT_EQ(number("-3"), -3.0);
    EXPECT_EQ(number("\"2.5e3\""), 2500.0);
    EXPECT_EQ(number("5e-324"), 5e-324);
    EXPECT_TRUE(std::isnan(number("\"NaN\"")));
    EXPECT_EQ(number("\"Infinity\""), std::numeric_limits<double>::infinity());
    EXPECT_EQ(number("\"-Infinity\""), -std::numeric_limits<double>::infinity());
    EXPECT_TRUE(std::signbit(number("-0.0")));
}

// JavaScript prints doubles below 1e21 without an exponent.
TEST(FromJson, ReadsDoublesPrintedAsLongIntegers) {
    EXPECT_EQ(read<AnyValue>(R"({"doubleValue":100000000000000000000})").double_value(), 1e20);
    EXPECT_EQ(
        read<AnyValue>(R"({"doubleValue":-123456789012345680000})").double_value(),
        -123456789012345680000.0);
    const auto list =
        read<AnyValue>(R"({"arrayValue":{"values":[{"stringValue":"100000000000000000000 \" 1"},
        {"doubleValue":100000000000000000000},{"intValue":1},{"doubleValue":1.5e300}]}})");
    ASSERT_EQ(list.array_value().values_size(), 4);
    EXPECT_EQ(list.array_value().values(0).string_value(), "100000000000000000000 \" 1");
    EXPECT_EQ(list.array_value().values(1).double_value(), 1e20);
    EXPECT_EQ(list.array_value().values(2).int_value(), 1);
    EXPECT_EQ(list.array_value().values(3).double_value(), 1.5e300);
}

TEST(FromJson, RefusesWhatIsNoDouble) {
    for (const char* value :
         {"\"nan\"", "\"inf\"", "\"+1\"", "\"1.\"", "\".5\"", "\"\"", "\"0x1p3\"", "\"-\"",
          "\"1 \"", "true", "{}", "\"Infinityy\""}) {
        EXPECT_THAT(
            refusal<AnyValue>(std::string(R"({"doubleValue":)") + value + "}"),
            HasSubstr("doubleValue: not a number"))
            << value;
    }
}

TEST(FromJson, ReadsPackedFieldsFromArraysOfEitherForm) {
    const auto point = read<Histogram>(R"({"bucketCounts":["1",2,"18446744073709551615"],
                                           "explicitBounds":[0.5,"Infinity"]})");
    ASSERT_EQ(point.bucket_counts_size(), 3);
    EXPECT_EQ(point.bucket_counts(1), 2u);
    EXPECT_EQ(point.bucket_counts(2), UINT64_MAX);
    ASSERT_EQ(point.explicit_bounds_size(), 2);
    EXPECT_EQ(point.explicit_bounds(1), std::numeric_limits<double>::infinity());
}

TEST(FromJson, KeepsThePresenceOfZeros) {
    EXPECT_EQ(read<Point>(R"({"asInt":0})").value_case(), Point::kAsInt);
    EXPECT_EQ(read<Point>("{}").value_case(), Point::VALUE_NOT_SET);
    EXPECT_TRUE(read<Histogram>(R"({"sum":0})").has_sum());
    EXPECT_FALSE(read<Histogram>("{}").has_sum());
    EXPECT_EQ(read<AnyValue>(R"({"stringValue":""})").value_case(), AnyValue::kStringValue);
    EXPECT_EQ(read<AnyValue>(R"({"arrayValue":{}})").value_case(), AnyValue::kArrayValue);
    EXPECT_EQ(read<AnyValue>("{}").value_case(), AnyValue::VALUE_NOT_SET);
}

TEST(FromJson, RefusesTwoMembersOfOneChoice) {
    EXPECT_THAT(
        refusal<AnyValue>(R"({"intValue":1,"stringValue":"s"})"),
        HasSubstr("stringValue: another member of the same choice"));
    EXPECT_THAT(
        refusal<metrics::v1::Metric>(R"({"gauge":{},"sum":{}})"), HasSubstr("sum: another member"));
}

TEST(FromJson, RefusesAKeyGivenTwice) {
    EXPECT_THAT(refusal<Span>(R"({"name":"a","name":"b"})"), HasSubstr("name: given twice"));
    EXPECT_THAT(refusal<Span>(R"({"events":[],"events":[]})"), HasSubstr("events: given twice"));
    EXPECT_THAT(refusal<Histogram>(R"({"sum":1,"sum":1})"), HasSubstr("sum: given twice"));
}

TEST(FromJson, RefusesTheWrongKindOfValue) {
    EXPECT_THAT(refusal<Span>(R"({"name":1})"), HasSubstr("name: not a string"));
    EXPECT_THAT(refusal<Span>(R"({"status":[]})"), HasSubstr("status: not an object"));
    EXPECT_THAT(refusal<Span>(R"({"attributes":{}})"), HasSubstr("attributes: not an array"));
    EXPECT_THAT(
        refusal<Span>(R"({"attributes":{"k":"v"}})"), HasSubstr("attributes: not an array"));
    EXPECT_THAT(refusal<AnyValue>(R"({"boolValue":1})"), HasSubstr("boolValue: not true or false"));
    EXPECT_THAT(
        refusal<AnyValue>(R"({"boolValue":"true"})"), HasSubstr("boolValue: not true or false"));
    EXPECT_THAT(
        refusal<AnyValue>(R"({"stringValue":true})"), HasSubstr("stringValue: not a string"));
}

TEST(FromJson, SaysWhereTheFaultIs) {
    EXPECT_EQ(
        refusal<collector::trace::v1::ExportTraceServiceRequest>(
            R"({"resourceSpans":[{},{"scopeSpans":[{"spans":[{"attributes":[{"key":"k","value":{"intValue":"x"}}]}]}]}]})"),
        "JSON: resourceSpans[1].scopeSpans[0].spans[0].attributes[0].value.intValue: not an "
        "integer that fits");
}

TEST(FromJson, RefusesTextThatIsNotJson) {
    using Request = collector::logs::v1::ExportLogsServiceRequest;
    for (const std::string_view text :
         {"",
          " ",
          "{",
          "}",
          "{}}",
          "{} {}",
          "[",
          "nul",
          "{\"a\":}",
          "{'a':1}",
          "{\"a\":1,}",
          "{\"a\" 1}",
          "\"",
          "{\"a\":\"\\ud800\"}",
          "{\"a\":\"\n\"}",
          "{\"a\":\"\xff\"}",
          "{\"a\":01}",
          "{\"a\":1.}",
          "{\"a\":+1}",
          "\xef\xbb\xbf"}) {
        EXPECT_THAT(refusal<Request>(text), HasSubstr("JSON: ")) << text;
    }
}

TEST(FromJson, RefusesARootThatIsNotAnObject) {
    using Request = collector::logs::v1::ExportLogsServiceRequest;
    for (const char* text : {"[]", "null", "1", "\"x\"", "true"}) {
        EXPECT_EQ(refusal<Request>(text), "JSON: not an object") << text;
    }
}

TEST(FromJson, BoundsTheNestingOfUnknownValues) {
    const std::string open(100'000, '[');
    EXPECT_THAT(
        refusal<Span>("{\"x\":" + open + std::string(100'000, ']') + "}"), HasSubstr("JSON: "));
    EXPECT_THAT(refusal<Span>("{\"x\":" + open), HasSubstr("JSON: "));
}

TEST(FromJson, DecodesEscapesAndKeepsNulCharacters) {
    EXPECT_EQ(
        read<Span>(R"({"name":"\u0041\n\"\\\/\ud83d\ude00"})").name(), "A\n\"\\/\xf0\x9f\x98\x80");
    EXPECT_EQ(read<Span>(R"({"name":"a\u0000b"})").name(), std::string("a\0b", 3));
    EXPECT_EQ(read<Span>(R"({"na\u006de":"n"})").name(), "n");
}

} // namespace
} // namespace weft::otlp
