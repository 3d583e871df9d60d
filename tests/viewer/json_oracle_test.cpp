// Bytes and JSON against the official classes: what we write, they read, and the other way round.
#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/testing/otlp_random.hpp>
#include <weft/viewer/otlp_codec.hpp>

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>
#include <opentelemetry/proto/collector/logs/v1/logs_service.pb.h>
#include <opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include <random>
#include <string>

namespace weft::otlp {
namespace {

namespace pb = google::protobuf;
namespace official = opentelemetry::proto::collector;

std::string from_hex_to_base64(const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto at = [&](std::size_t j) {
            return j < bytes.size() ? static_cast<unsigned>(static_cast<unsigned char>(bytes[j]))
                                    : 0u;
        };
        const unsigned group = (at(i) << 16) | (at(i + 1) << 8) | at(i + 2);
        for (std::size_t j = 0; j < 4; ++j) {
            out += i + j <= bytes.size() ? alphabet[(group >> (18 - 6 * j)) & 63] : '=';
        }
    }
    return out;
}

// OTLP/JSON differs from Protobuf's own JSON in one thing that matters to a reader: ids are hex.
std::string ids_as_base64(std::string json) {
    for (const std::string key : {"\"traceId\":\"", "\"spanId\":\"", "\"parentSpanId\":\""}) {
        for (auto at = json.find(key); at != std::string::npos; at = json.find(key, at + 1)) {
            const auto start = at + key.size();
            const auto length = json.find('"', start) - start;
            json.replace(start, length, from_hex_to_base64(json.substr(start, length)));
        }
    }
    return json;
}

// Goal: field by field equality with the official implementation. Method: random messages, compared
// as bytes: ours to theirs and back in protobuf, and through Protobuf's own JSON parser after
// turning hex ids into base64.
template <class Ours, class Official>
void expect_agreement(std::uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    testing::RandomOtlp random(seed);
    for (int i = 0; i < 60; ++i) {
        // Made from the official type, so that no field newer than it is in play.
        const auto theirs = random.make<Official>();
        Ours ours;
        ASSERT_TRUE(ours.ParseFromString(theirs.SerializeAsString()));
        ASSERT_TRUE(ours.SerializeAsString() == theirs.SerializeAsString()) << theirs.DebugString();

        Official from_json;
        const std::string json = to_json(ours);
        const auto status = pb::util::JsonStringToMessage(ids_as_base64(json), &from_json);
        ASSERT_TRUE(status.ok()) << status.ToString() << "\n" << json;
        ASSERT_TRUE(from_json.SerializeAsString() == ours.SerializeAsString()) << json;
    }
}

TEST(Oracle, AgreesOnRandomTraces) {
    expect_agreement<
        collector::trace::v1::ExportTraceServiceRequest,
        official::trace::v1::ExportTraceServiceRequest>(std::random_device{}());
}

TEST(Oracle, AgreesOnRandomMetrics) {
    expect_agreement<
        collector::metrics::v1::ExportMetricsServiceRequest,
        official::metrics::v1::ExportMetricsServiceRequest>(std::random_device{}());
}

TEST(Oracle, AgreesOnRandomLogs) {
    expect_agreement<
        collector::logs::v1::ExportLogsServiceRequest,
        official::logs::v1::ExportLogsServiceRequest>(std::random_device{}());
}

} // namespace
} // namespace weft::otlp
