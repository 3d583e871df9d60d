#include "otlp_json.hpp"
#include "sink_fixture.hpp"

#include <weft/exporters/otlp_http.hpp>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>

#include <gtest/gtest.h>

#include <set>
#include <string>

// Bodies in another encoding, and batches that are too large for one request.

namespace weft::testing {
namespace {

using otlp::collector::trace::v1::ExportTraceServiceRequest;
using ::testing::HasSubstr;

// Spans of these names, each with an attribute of so many bytes.
std::shared_ptr<const Batch> spans(std::size_t count, std::size_t value_bytes) {
    ExportTraceServiceRequest request;
    auto& resource = *request.add_resource_spans();
    resource.mutable_resource()->add_attributes()->set_key("service.name");
    auto& scope = *resource.add_scope_spans();
    for (std::size_t i = 0; i < count; ++i) {
        auto& span = *scope.add_spans();
        span.set_name("span " + std::to_string(i));
        span.set_trace_id(std::string(16, '\x11'));
        auto& attribute = *span.add_attributes();
        attribute.set_key("value");
        attribute.mutable_value()->set_string_value(std::string(value_bytes, 'v'));
    }
    return std::make_shared<const Batch>(Batch{Signal::traces, count, request.SerializeAsString()});
}

class OtlpHttpPartsTest : public SinkTest {
protected:
    // The names of all spans received; each request must keep to the cap.
    std::multiset<std::string> received_names(std::size_t cap) const {
        std::multiset<std::string> names;
        for (const auto& request : server.requests()) {
            EXPECT_LE(request.body.size(), cap);
            ExportTraceServiceRequest parsed;
            EXPECT_TRUE(parsed.ParseFromString(request.body));
            for (const auto& r : parsed.resource_spans()) {
                EXPECT_EQ(r.resource().attributes(0).key(), "service.name");
                for (const auto& s : r.scope_spans()) {
                    for (const auto& span : s.spans()) { names.insert(span.name()); }
                }
            }
        }
        return names;
    }
};

TEST_F(OtlpHttpPartsTest, SendsJsonWhereItIsAskedFor) {
    auto given = options();
    given.encoding = OtlpEncoding::json;
    use(given);
    const auto batch = spans(3, 100);

    EXPECT_EQ(send(batch).exported, 3u);
    EXPECT_EQ(send(batch).exported, 3u);

    ASSERT_EQ(server.request_count(), 2u);
    for (const auto& request : server.requests()) {
        EXPECT_EQ(request.header("content-type"), "application/json");
        EXPECT_EQ(request.body, detail::otlp_json(*batch));
    }
}

TEST_F(OtlpHttpPartsTest, CompressesJsonAndSendsTheSameBytesAgain) {
    auto given = options();
    given.encoding = OtlpEncoding::json;
    given.compression = Compression::zstd;
    use(given);
    server.script({answer(415), answer(503)});
    const auto batch = spans(20, 100);

    EXPECT_EQ(send(batch).exported, 20u);

    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 3u);
    EXPECT_EQ(requests[0].header("content-encoding"), "zstd");
    EXPECT_EQ(requests[1].header("content-encoding"), "gzip");
    for (const auto& request : requests) {
        EXPECT_EQ(
            decode_body(request.header("content-encoding"), request.body),
            detail::otlp_json(*batch));
    }
    EXPECT_EQ(requests[1].body, requests[2].body);
}

TEST_F(OtlpHttpPartsTest, UnderstandsAnswersInJson) {
    auto given = options();
    given.encoding = OtlpEncoding::json;
    use(given);
    server.script({answer(
        200, {{"Content-Type", "application/json"}},
        R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}})")});
    EXPECT_EQ(send(spans(3, 10)).rejected, 2u);
}

TEST_F(OtlpHttpPartsTest, DropsWhatCannotBeMadeJson) {
    auto given = options();
    given.encoding = OtlpEncoding::json;
    use(given);
    const auto outcome = send(make_batch(10));
    EXPECT_EQ(outcome.reason, DropReason::encode_failed);
    EXPECT_EQ(server.connections(), 0u);
}

TEST_F(OtlpHttpPartsTest, SplitsABatchOverTheCapIntoSeveralRequests) {
    auto given = options();
    given.request_bytes_max = 2000;
    use(given);
    const auto batch = spans(50, 200);

    const auto outcome = send(batch);

    EXPECT_EQ(outcome.exported, 50u);
    EXPECT_GE(server.request_count(), 6u);
    EXPECT_EQ(outcome.attempts, static_cast<int>(server.request_count()));
    EXPECT_EQ(server.connections(), 1u);
    const auto names = received_names(2000);
    EXPECT_EQ(names.size(), 50u);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 50u);
}

TEST_F(OtlpHttpPartsTest, SplitsJsonByTheSizeOfTheJson) {
    auto given = options();
    given.request_bytes_max = 3000;
    given.encoding = OtlpEncoding::json;
    use(given);
    EXPECT_EQ(send(spans(50, 200)).exported, 50u);
    for (const auto& request : server.requests()) {
        EXPECT_LE(request.body.size(), 3000u);
        EXPECT_TRUE(request.body.starts_with(R"({"resourceSpans":[)"));
    }
    EXPECT_GE(server.request_count(), 5u);
}

TEST_F(OtlpHttpPartsTest, RetriesAPartAloneAndCountsEachByItsOwnEnd) {
    auto given = options();
    given.request_bytes_max = 2000;
    use(given);
    const auto batch = spans(30, 200);
    server.script({answer(200), answer(503), answer(200), answer(400)});

    const auto outcome = send(batch);

    EXPECT_GT(outcome.exported, 0u);
    EXPECT_GT(outcome.dropped, 0u);
    EXPECT_LT(outcome.dropped, 10u);
    EXPECT_EQ(outcome.exported + outcome.dropped, 30u);
    EXPECT_EQ(outcome.reason, DropReason::rejected_by_status);
    const auto requests = server.requests();
    EXPECT_EQ(requests[1].body, requests[2].body) << "the retry is of that part";
}

TEST_F(OtlpHttpPartsTest, ShortensARecordOverTheCapAndSaysSo) {
    auto given = options();
    given.request_bytes_max = 2000;
    use(given);

    EXPECT_EQ(send(spans(2, 5000)).exported, 2u);

    EXPECT_EQ(received_names(2000).size(), 2u);
    EXPECT_TRUE(reported("2 records with values cut, for alone they are over request_bytes_max"));
}

TEST_F(OtlpHttpPartsTest, DropsARecordThatCannotBeShortenedEnough) {
    auto given = options();
    given.request_bytes_max = 60;
    use(given);

    const auto outcome = send(spans(3, 10));

    EXPECT_EQ(outcome.dropped, 3u);
    EXPECT_EQ(outcome.reason, DropReason::record_too_large);
    EXPECT_EQ(server.connections(), 0u);
    EXPECT_TRUE(reported(
        "3 records dropped, record_too_large (a record over request_bytes_max, 60 bytes)"));
}

// We ask for no compressed answers. A receiver that sends one all the same is not inflated: a bomb is as large as it came.
TEST_F(OtlpHttpPartsTest, InflatesNoAnswer) {
    std::string bomb;
    Compressor compressor(Compression::gzip, 9);
    const std::string zeros(std::size_t{64} << 20, '\0');
    bomb = *compressor.compress(zeros);
    server.script({answer(
        200, {{"Content-Type", "application/x-protobuf"}, {"Content-Encoding", "gzip"}}, bomb)});
    const auto outcome = send(spans(1, 10));
    EXPECT_EQ(outcome.exported, 1u) << "the status says that it was accepted";
    EXPECT_TRUE(reported("not an OTLP response"));
}

} // namespace
} // namespace weft::testing
