#include "otlp_json.hpp"

#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/testing/otlp_random.hpp>
#include <weft/viewer/otlp_codec.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

#ifdef WEFT_HAVE_OTLP_ORACLE
#include <google/protobuf/util/json_util.h>
#include <opentelemetry/proto/collector/logs/v1/logs_service.pb.h>
#include <opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>
#endif

namespace weft::detail {
namespace {

using otlp::collector::logs::v1::ExportLogsServiceRequest;
using otlp::collector::metrics::v1::ExportMetricsServiceRequest;
using otlp::collector::trace::v1::ExportTraceServiceRequest;
using testing::RandomOtlp;

std::string json_of(Signal signal, const std::string& body) {
    Batch batch;
    batch.signal = signal;
    batch.body = body;
    return otlp_json(batch);
}

// A field of the length-delimited kind.
std::string field(int number, const std::string& content) {
    std::string out;
    for (std::size_t rest = static_cast<std::size_t>(number) * 8 + 2; out.empty() || rest != 0;) {
        out += static_cast<char>((rest & 127) | (rest > 127 ? 128 : 0));
        rest >>= 7;
    }
    std::size_t size = content.size();
    for (; size > 127; size >>= 7) { out += static_cast<char>((size & 127) | 128); }
    out += static_cast<char>(size);
    return out + content;
}

// A request around the bytes of one span, metric or log record; the numbers are the same for all three.
std::string request_of(const std::string& record) { return field(1, field(2, field(2, record))); }
std::string json_of_record(Signal signal, const std::string& record) {
    const auto json = json_of(signal, request_of(record));
    const std::string records = signal == Signal::traces    ? "\"spans\":["
                                : signal == Signal::metrics ? "\"metrics\":["
                                                            : "\"logRecords\":[";
    const auto begin = json.find(records) + records.size();
    constexpr std::size_t behind = 6; // ]}]}]} closes list and message three times.
    return json.substr(begin, json.size() - begin - behind);
}

// The reader of the viewer goes by Protobuf's own descriptors: it shares no table with what it checks.
template <class Request>
void expect_same_as_by_descriptor(Signal signal, std::uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomOtlp random(seed);
    for (int i = 0; i < 200; ++i) {
        const auto request = random.make<Request>();
        const auto json = json_of(signal, request.SerializeAsString());
        ASSERT_EQ(json, otlp::to_json(request));
        ASSERT_EQ(json.find('\n'), std::string::npos);
    }
}

TEST(OtlpJson, WritesEveryFieldOfEverySignal) {
    const std::uint64_t seed = std::random_device{}();
    expect_same_as_by_descriptor<ExportTraceServiceRequest>(Signal::traces, seed);
    expect_same_as_by_descriptor<ExportMetricsServiceRequest>(Signal::metrics, seed + 1);
    expect_same_as_by_descriptor<ExportLogsServiceRequest>(Signal::logs, seed + 2);
}

// Goal: lists whose entries are scattered, values given twice, messages in parts and members of a oneof one after another
// read as Protobuf reads them. Method: the bytes of random messages one after another, which Protobuf defines as their
// merger.
template <class Record, class Request, class Add>
void expect_merged(Signal signal, std::uint64_t seed, Add add) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomOtlp random(seed);
    for (int i = 0; i < 200; ++i) {
        std::string bytes;
        for (int part = 0; part < 3; ++part) { bytes += random.make<Record>().SerializeAsString(); }
        Record merged;
        ASSERT_TRUE(merged.ParseFromString(bytes));
        Request request;
        *add(request) = merged;
        ASSERT_EQ(json_of(signal, request_of(bytes)), otlp::to_json(request));
    }
}

TEST(OtlpJson, MergesWhatIsScatteredAsProtobufDoes) {
    const std::uint64_t seed = std::random_device{}();
    expect_merged<otlp::trace::v1::Span, ExportTraceServiceRequest>(
        Signal::traces, seed,
        [](auto& r) { return r.add_resource_spans()->add_scope_spans()->add_spans(); });
    expect_merged<otlp::metrics::v1::Metric, ExportMetricsServiceRequest>(
        Signal::metrics, seed + 1,
        [](auto& r) { return r.add_resource_metrics()->add_scope_metrics()->add_metrics(); });
    expect_merged<otlp::logs::v1::LogRecord, ExportLogsServiceRequest>(
        Signal::logs, seed + 2,
        [](auto& r) { return r.add_resource_logs()->add_scope_logs()->add_log_records(); });
}

TEST(OtlpJson, WritesEachKeyOnceWhereEntriesLieScattered) {
    otlp::trace::v1::Span first;
    first.add_attributes()->set_key("a");
    first.add_events()->set_name("e");
    otlp::trace::v1::Span second;
    second.add_attributes()->set_key("b");

    const auto json =
        json_of_record(Signal::traces, first.SerializeAsString() + second.SerializeAsString());

    EXPECT_EQ(json, R"({"attributes":[{"key":"a"},{"key":"b"}],"events":[{"name":"e"}]})");
}

TEST(OtlpJson, TakesTheLastMemberOfAOneof) {
    const std::string number = "\x18\x07"; // Field 3, a varint.
    const std::string text = field(1, "x");

    EXPECT_EQ(
        json_of_record(Signal::logs, field(5, text + number)), R"({"body":{"intValue":"7"}})");
    EXPECT_EQ(
        json_of_record(Signal::logs, field(5, number + text)), R"({"body":{"stringValue":"x"}})");
}

TEST(OtlpJson, WritesIdsInHexAndOtherBytesInBase64) {
    otlp::logs::v1::LogRecord record;
    record.mutable_body()->set_bytes_value("hello");
    record.set_trace_id("\xAB\xCD");
    record.set_span_id(std::string("\x00\x01", 2));

    EXPECT_EQ(
        json_of_record(Signal::logs, record.SerializeAsString()),
        R"({"body":{"bytesValue":"aGVsbG8="},"traceId":"abcd","spanId":"0001"})");
}

TEST(OtlpJson, WritesNumbersByTheirWidthAndNonFiniteOnesAsText) {
    otlp::metrics::v1::Metric metric;
    auto& point = *metric.mutable_histogram()->add_data_points();
    point.set_count(std::numeric_limits<std::uint64_t>::max());
    point.add_bucket_counts(3);
    point.set_flags(1);
    for (const double bound :
         {0.1, -0.0, 5.0, std::numeric_limits<double>::infinity(),
          -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        point.add_explicit_bounds(bound);
    }

    EXPECT_EQ(
        json_of_record(Signal::metrics, metric.SerializeAsString()),
        R"({"histogram":{"dataPoints":[{"count":"18446744073709551615","bucketCounts":["3"],)"
        R"("explicitBounds":[0.1,-0.0,5,"Infinity","-Infinity","NaN"],"flags":1}]}})");
}

TEST(OtlpJson, EscapesWhatWouldEndALineOrAString) {
    otlp::logs::v1::LogRecord record;
    record.mutable_body()->set_string_value(std::string("\"\\/\n\r\t\x1f\x7f\0é😀", 15));

    EXPECT_EQ(
        json_of_record(Signal::logs, record.SerializeAsString()),
        "{\"body\":{\"stringValue\":\"\\\"\\\\/\\u000a\\u000d\\u0009\\u001f\x7f\\u0000é😀\"}}");
}

TEST(OtlpJson, ReplacesWhatIsNotUtf8) {
    for (const std::string bad :
         {"\x80", "\xc2", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"}) {
        const auto json = json_of_record(Signal::logs, field(5, field(1, "<" + bad + ">")));

        otlp::logs::v1::LogRecord back;
        ASSERT_TRUE(otlp::from_json(json, back)) << json;
        EXPECT_TRUE(back.body().string_value().starts_with("<\xef\xbf\xbd")) << json;
        EXPECT_TRUE(back.body().string_value().ends_with(">")) << json;
    }
}

TEST(OtlpJson, LeavesOutUnknownFieldsAndWrongTypes) {
    const std::string record =
        field(4, "reserved") + field(99, "new") + field(1, "a time as text") + field(3, "INFO");

    EXPECT_EQ(json_of_record(Signal::logs, record), R"({"severityText":"INFO"})");
}

TEST(OtlpJson, ReadsListsOfNumbersPackedAndUnpacked) {
    const std::string one("\x01\0\0\0\0\0\0\0", 8);
    const std::string point = std::string("\x31") + one + field(6, one + one) + "\x31" + one;

    EXPECT_EQ(
        json_of_record(Signal::metrics, field(9, field(1, point))),
        R"({"histogram":{"dataPoints":[{"bucketCounts":["1","1","1","1"]}]}})");
}

TEST(OtlpJson, CutsOffWhatIsNestedTooDeeply) {
    std::string value;
    for (int i = 0; i < 1000; ++i) { value = field(5, field(1, value)); }

    const auto json = json_of_record(Signal::logs, field(5, value));

    EXPECT_LT(json.size(), 3000u);
    EXPECT_NE(json.find("{}"), std::string::npos);
}

TEST(OtlpJson, WritesAnEmptyRequest) { EXPECT_EQ(json_of(Signal::metrics, ""), "{}"); }

// Each truncation of a valid request is refused, or is valid itself; nothing is left half written.
TEST(OtlpJson, RefusesWhatIsNoProtobufAndLeavesTheOutputAsItWas) {
    RandomOtlp random(7);
    const auto body = random.make<ExportTraceServiceRequest>().SerializeAsString();
    std::size_t refused = 0;
    for (std::size_t size = 0; size < body.size(); ++size) {
        std::string out = "before";
        const bool done =
            append_otlp_json(out, Signal::traces, std::string_view(body).substr(0, size));
        if (!done) {
            ++refused;
            ASSERT_EQ(out, "before");
            ASSERT_EQ(json_of(Signal::traces, body.substr(0, size)), "");
        } else {
            ExportTraceServiceRequest back;
            ASSERT_TRUE(otlp::from_json(std::string_view(out).substr(6), back));
        }
    }
    EXPECT_GT(refused, body.size() / 2);
}

#ifdef WEFT_HAVE_OTLP_ORACLE

namespace official = opentelemetry::proto::collector;

// OTLP/JSON differs from Protobuf's own JSON in one thing that matters to a reader: ids are hex. Base64 of the same
// bytes is had from a bytes value, which the oracle below also reads back.
std::string ids_as_base64(std::string json) {
    constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (const std::string key : {"\"traceId\":\"", "\"spanId\":\"", "\"parentSpanId\":\""}) {
        for (auto at = json.find(key); at != std::string::npos; at = json.find(key, at + 1)) {
            const auto start = at + key.size();
            const auto length = json.find('"', start) - start;
            unsigned bits = 0;
            int count = 0;
            std::string base64;
            for (std::size_t i = 0; i < length; ++i) {
                bits = bits << 4 |
                       static_cast<unsigned>(std::stoi(json.substr(start + i, 1), nullptr, 16));
                count += 4;
                if (count < 6) { continue; }
                count -= 6;
                base64 += alphabet[bits >> count & 63];
            }
            if (count > 0) { base64 += alphabet[bits << (6 - count) & 63]; }
            while (base64.size() % 4 != 0) { base64 += '='; }
            json.replace(start, length, base64);
        }
    }
    return json;
}

template <class Official>
void expect_the_official_classes_read_it(Signal signal, std::uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomOtlp random(seed);
    for (int i = 0; i < 100; ++i) {
        const auto request = random.make<Official>();
        const auto json = json_of(signal, request.SerializeAsString());
        Official back;
        const auto status = google::protobuf::util::JsonStringToMessage(ids_as_base64(json), &back);
        ASSERT_TRUE(status.ok()) << status.ToString() << "\n" << json;
        ASSERT_TRUE(back.SerializeAsString() == request.SerializeAsString()) << json;
    }
}

TEST(OtlpJsonOracle, IsReadByTheOfficialClassesAsWhatItWas) {
    const std::uint64_t seed = std::random_device{}();
    expect_the_official_classes_read_it<official::trace::v1::ExportTraceServiceRequest>(
        Signal::traces, seed);
    expect_the_official_classes_read_it<official::metrics::v1::ExportMetricsServiceRequest>(
        Signal::metrics, seed + 1);
    expect_the_official_classes_read_it<official::logs::v1::ExportLogsServiceRequest>(
        Signal::logs, seed + 2);
}

#endif

} // namespace
} // namespace weft::detail
