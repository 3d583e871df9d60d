#include "export_response.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <protozero/pbf_writer.hpp>

#include <string>

namespace weft::otlp {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::string_view protobuf = "application/x-protobuf";
constexpr std::string_view json = "application/json";

// Export<Signal>ServiceResponse with a partial_success. The three signals use the same field
// numbers.
std::string partial_success(std::int64_t rejected, const std::string& message) {
    std::string body;
    protozero::pbf_writer response(body);
    protozero::pbf_writer partial(response, 1);
    if (rejected != 0) { partial.add_int64(1, rejected); }
    if (!message.empty()) { partial.add_string(2, message); }
    partial.commit();
    return body;
}

// google.rpc.Status with one google.protobuf.Any among its details.
std::string status_body(const std::string& message) {
    std::string body;
    protozero::pbf_writer status(body);
    status.add_int32(1, 3);
    status.add_string(2, message);
    protozero::pbf_writer any(status, 3);
    any.add_string(1, "type.googleapis.com/google.rpc.BadRequest");
    any.add_bytes(2, std::string("\x0a\x02hi", 4));
    any.commit();
    return body;
}

ExportResponse classify_ok(std::string_view content_type, std::string_view body) {
    return classify({.status = 200, .content_type = content_type, .body = body});
}

// OTLP specification, "Full Success".
TEST(ExportResponse, IsFullSuccessWithoutPartialSuccess) {
    for (const auto& [type, body] :
         {std::pair{protobuf, ""}, std::pair{json, "{}"}, std::pair{json, " {\n} "},
          std::pair{std::string_view(), ""}, std::pair{std::string_view("text/html"), ""}}) {
        const auto response = classify_ok(type, body);
        EXPECT_EQ(response.verdict, ExportVerdict::success);
        EXPECT_TRUE(response.body_understood);
        EXPECT_EQ(response.message, "");
    }
}

// The Collector answers so; a client must not take it for a partial success.
TEST(ExportResponse, IsFullSuccessWithAnEmptyPartialSuccess) {
    for (const auto& [type, body] :
         {std::pair{protobuf, partial_success(0, "")},
          std::pair{json, std::string(R"({"partialSuccess":{}})")},
          std::pair{json, std::string(R"({"partialSuccess":null})")},
          std::pair{
              json,
              std::string(R"({"partialSuccess":{"rejectedSpans":"0","errorMessage":""}})")}}) {
        const auto response = classify_ok(type, body);
        EXPECT_EQ(response.verdict, ExportVerdict::success);
        EXPECT_TRUE(response.body_understood);
        EXPECT_EQ(response.rejected, 0u);
        EXPECT_EQ(response.message, "");
    }
}

// OTLP specification, "Partial Success".
TEST(ExportResponse, CountsWhatAPartialSuccessRejected) {
    const auto response = classify_ok(protobuf, partial_success(3, "too old"));
    EXPECT_EQ(response.verdict, ExportVerdict::partial);
    EXPECT_EQ(response.rejected, 3u);
    EXPECT_EQ(response.message, "too old");
}

TEST(ExportResponse, CountsWhatAJsonPartialSuccessRejected) {
    for (const char* key : {"rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"}) {
        for (const char* number : {"3", "\"3\""}) {
            const auto body = std::string(R"({"x":[{"message":"no"}],"partialSuccess":{"y":{},")") +
                              key + "\": " + number +
                              R"(, "errorMessage" : "t\u006fo \"old\"\ud83d\ude00"}})";
            const auto response = classify_ok("application/json; charset=utf-8", body);
            EXPECT_EQ(response.verdict, ExportVerdict::partial) << body;
            EXPECT_EQ(response.rejected, 3u) << body;
            EXPECT_EQ(response.message, "too \"old\"\xf0\x9f\x98\x80");
        }
    }
}

TEST(ExportResponse, IsSuccessWithAWarningWhenNothingWasRejected) {
    for (const auto& response :
         {classify_ok(protobuf, partial_success(0, "slow down")),
          classify_ok(json, R"({"partialSuccess":{"errorMessage":"slow down"}})")}) {
        EXPECT_EQ(response.verdict, ExportVerdict::success);
        EXPECT_EQ(response.message, "slow down");
    }
}

TEST(ExportResponse, TakesANegativeRejectedCountForNone) {
    EXPECT_EQ(classify_ok(protobuf, partial_success(-5, "")).verdict, ExportVerdict::success);
    EXPECT_EQ(
        classify_ok(json, R"({"partialSuccess":{"rejectedSpans":"-5"}})").verdict,
        ExportVerdict::success);
}

TEST(ExportResponse, SkipsUnknownFields) {
    std::string body = partial_success(2, "m");
    protozero::pbf_writer writer(body);
    writer.add_string(15, "later");
    writer.add_fixed64(16, 1);
    writer.add_fixed32(17, 1);
    writer.add_uint64(18, 1);
    const auto response = classify_ok(protobuf, body);
    EXPECT_EQ(response.rejected, 2u);
    EXPECT_TRUE(response.body_understood);
}

TEST(ExportResponse, IgnoresAKnownFieldOfAnotherWireType) {
    std::string body;
    protozero::pbf_writer writer(body);
    writer.add_uint64(1, 7);
    EXPECT_EQ(classify_ok(protobuf, body).verdict, ExportVerdict::success);
}

TEST(ExportResponse, SurvivesEveryTruncationOfAPartialSuccess) {
    const auto body = partial_success(300, "a message");
    for (std::size_t size = 0; size < body.size(); ++size) {
        const auto response = classify_ok(protobuf, std::string_view(body).substr(0, size));
        EXPECT_EQ(response.verdict, ExportVerdict::success)
            << size; // Accepted all the same: the status says so.
        EXPECT_EQ(response.body_understood, size == 0) << size;
    }
}

TEST(ExportResponse, SurvivesEveryTruncationOfJson) {
    const std::string body =
        R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"a\u00e9\n"},"x":[1,{"y":null}]})";
    for (std::size_t size = 1; size < body.size(); ++size) {
        EXPECT_FALSE(classify_ok(json, std::string_view(body).substr(0, size)).body_understood)
            << size;
    }
}

TEST(ExportResponse, DoesNotUnderstandOtherBodiesOfASuccessButAcceptsThem) {
    for (const auto& [type, body] :
         {std::pair{protobuf, "\xff\xff garbage"}, std::pair{json, "[]"}, std::pair{json, "{}x"},
          std::pair{std::string_view("text/html"), "<html><title>Log in</title></html>"},
          std::pair{std::string_view("application/grpc"), "\x01\x02"}}) {
        const auto response = classify_ok(type, body);
        EXPECT_EQ(response.verdict, ExportVerdict::success) << type;
        EXPECT_FALSE(response.body_understood) << type;
    }
    EXPECT_EQ(classify_ok("text/html", "<html><TITLE>Log in</title></html>").message, "Log in");
}

TEST(ExportResponse, AcceptsEverySuccessfulStatus) {
    for (int status = 200; status <= 299; ++status) {
        EXPECT_EQ(classify({.status = status}).verdict, ExportVerdict::success) << status;
    }
}

// OTLP specification, "Retryable Response Codes": these four and no other.
TEST(ExportResponse, IsRetryableForFourStatusesOnly) {
    for (int status = -1; status <= 1000; ++status) {
        if (status >= 200 && status <= 299) { continue; }
        const bool retryable = status == 429 || status == 502 || status == 503 || status == 504;
        EXPECT_EQ(
            classify({.status = status, .retry_after = 9s}).verdict,
            retryable ? ExportVerdict::retryable : ExportVerdict::fatal)
            << status;
    }
}

TEST(ExportResponse, PassesRetryAfterOnWithRetryableStatusesOnly) {
    EXPECT_EQ(classify({.status = 503, .retry_after = 9s}).retry_after, 9s);
    EXPECT_EQ(classify({.status = 503}).retry_after, std::nullopt);
    EXPECT_EQ(classify({.status = 500, .retry_after = 9s}).retry_after, std::nullopt);
    EXPECT_EQ(classify({.status = 200, .retry_after = 9s}).retry_after, std::nullopt);
}

TEST(ExportResponse, TellsTheWordsOfAStatusMessage) {
    EXPECT_EQ(
        classify({.status = 400, .content_type = protobuf, .body = status_body("bad span id")})
            .message,
        "bad span id");
    EXPECT_EQ(
        classify({.status = 503,
                  .content_type = json,
                  .body = R"({"code":14,"message":"queue is full","details":[]})"})
            .message,
        "queue is full");
}

TEST(ExportResponse, TellsTheWordsOfOtherErrorBodies) {
    const auto message_of = [](std::string_view type, std::string_view body) {
        return classify({.status = 429, .content_type = type, .body = body}).message;
    };
    EXPECT_EQ(message_of("text/plain", "slow down\n"), "slow down");
    EXPECT_EQ(
        message_of("Text/Plain; charset=utf-8", "\r\n  first\x01 line \nsecond"), "first  line");
    EXPECT_EQ(message_of("text/plain", "\n\n"), "");
    EXPECT_EQ(message_of("text/plain", std::string(5000, 'x')).size(), 512u);
    EXPECT_EQ(message_of("", "\xff\xfe\xfd"), "");
    EXPECT_EQ(message_of("", "no type"), "no type");
    EXPECT_EQ(
        message_of("text/html", "<html>\r\n<head><title>429 Too Many Requests</title></head>"),
        "429 Too Many Requests");
    EXPECT_EQ(message_of("text/html", "<html><title"), "");
    EXPECT_EQ(
        message_of(protobuf, "plain text in spite of the type"), "plain text in spite of the type");
    EXPECT_EQ(message_of(json, "not json"), "not json");
    EXPECT_EQ(message_of("application/octet-stream", std::string_view("\x00\x01\x02", 3)), "");
    EXPECT_EQ(message_of(protobuf, ""), "");
}

TEST(ExportResponse, MakesMessagesFitForALog) {
    const auto message =
        classify({.status = 400,
                  .content_type = protobuf,
                  .body = status_body(
                      "a\r\nweft: error: forged\x1b[2J \xff\xfe" + std::string(4000, 'x'))})
            .message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_EQ(message.find('\x1b'), std::string::npos);
    EXPECT_EQ(message.find('\xff'), std::string::npos);
    EXPECT_LE(message.size(), 512u);
    EXPECT_THAT(message, HasSubstr("a  weft: error: forged"));
}

TEST(ExportResponse, ReadsTheMediaTypeInAnyCaseAndIgnoresItsParameters) {
    EXPECT_EQ(classify_ok("Application/X-Protobuf ; v=1", partial_success(1, "")).rejected, 1u);
    EXPECT_EQ(
        classify_ok("APPLICATION/JSON;charset=utf-8", R"({"partialSuccess":{"rejectedSpans":1}})")
            .rejected,
        1u);
}

TEST(ExportResponse, TriesProtobufWhenNoTypeIsGiven) {
    EXPECT_EQ(classify_ok("", partial_success(4, "")).rejected, 4u);
}

TEST(ExportResponse, SurvivesDeepJson) {
    const std::string deep(1'000'000, '[');
    EXPECT_FALSE(classify_ok(json, R"({"x":)" + deep + "}").body_understood);
    EXPECT_TRUE(
        classify_ok(json, R"({"x":)" + deep + std::string(deep.size(), ']') + "}").body_understood);
}

TEST(ExportResponse, TakesOddJsonNumbersForNone) {
    for (const char* number :
         {"1e3", "99999999999999999999", "null", "\"many\"", "true", "{}", "[]"}) {
        const auto response = classify_ok(
            json, std::string(R"({"partialSuccess":{"rejectedSpans":)") + number +
                      R"(,"errorMessage":"m"}})");
        EXPECT_EQ(response.verdict, ExportVerdict::success) << number;
        EXPECT_EQ(response.message, "m") << number;
    }
}

} // namespace
} // namespace weft::otlp
