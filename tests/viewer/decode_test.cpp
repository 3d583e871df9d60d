#include "compress.hpp"

#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/testing/otlp_random.hpp>
#include <weft/testing/otlp_traces.hpp>
#include <weft/viewer/otlp_codec.hpp>

#include <gmock/gmock.h>

namespace weft::otlp {
namespace {

using testing::TraceRequest;

constexpr std::string_view protobuf = "application/x-protobuf";
constexpr std::string_view json = "application/json";

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// One resource and thus one field at the top, so that no truncation but the empty one is a message.
TraceRequest sample() {
    TraceRequest request;
    auto& span = testing::add_span(
        request, "shop", {.trace = 7, .span = 8, .parent = 9, .name = "näme \"x\""});
    testing::add_attribute(span, "order.id", std::int64_t{-42});
    testing::add_attribute(span, "text", "some words that compress, some words that compress");
    return request;
}

bool same(const google::protobuf::Message& a, const google::protobuf::Message& b) {
    return a.SerializeAsString() == b.SerializeAsString();
}

struct Wire {
    std::string_view content_type;
    std::string_view content_encoding;
    std::string body;
};

std::string encode(std::string_view plain, std::string_view coding) {
    return coding == "gzip"   ? testing::gzip(plain)
           : coding == "zstd" ? testing::zstd(plain)
                              : std::string(plain);
}

// The sample in all six forms.
std::vector<Wire> all_forms(const google::protobuf::Message& message) {
    std::vector<Wire> forms;
    for (const std::string_view type : {protobuf, json}) {
        const std::string plain = type == json ? to_json(message) : message.SerializeAsString();
        for (const std::string_view coding : {"", "gzip", "zstd"}) {
            forms.push_back({type, coding, encode(plain, coding)});
        }
    }
    return forms;
}

TEST(Decode, ReadsBothMediaTypesUnderEachCoding) {
    const TraceRequest sent = sample();
    for (const Wire& wire : all_forms(sent)) {
        SCOPED_TRACE(std::string(wire.content_type) + " " + std::string(wire.content_encoding));

        const auto got =
            decode_traces({wire.content_type, wire.content_encoding, bytes(wire.body)});

        ASSERT_TRUE(got);
        EXPECT_TRUE(same(*got, sent));
    }
}

// Goal: truncated input is an error and never a crash. Method: every proper prefix of each of the
// six forms; the empty protobuf body alone is a valid request with nothing in it.
TEST(Decode, RefusesEveryTruncation) {
    for (const Wire& wire : all_forms(sample())) {
        SCOPED_TRACE(std::string(wire.content_type) + " " + std::string(wire.content_encoding));
        for (std::size_t size = 0; size < wire.body.size(); ++size) {
            const bool is_empty_request =
                size == 0 && wire.content_type == protobuf && wire.content_encoding.empty();
            std::string detail;

            const auto got = decode_traces(
                {wire.content_type, wire.content_encoding,
                 bytes(std::string_view(wire.body).substr(0, size))},
                &detail);

            ASSERT_EQ(got.has_value(), is_empty_request)
                << size << " of " << wire.body.size() << " bytes";
            if (!is_empty_request) {
                EXPECT_EQ(got.error(), Errc::decode_failed);
                EXPECT_FALSE(detail.empty());
            }
        }
    }
}

// Every other byte value at every place: decodes to something or is refused, and never crashes.
TEST(Decode, SurvivesEveryCorruptByte) {
    int decoded = 0;
    int refused = 0;
    for (Wire& wire : all_forms(sample())) {
        for (std::size_t i = 0; i < wire.body.size(); ++i) {
            for (const int flip : {0x01, 0x80, 0xff}) {
                wire.body[i] = static_cast<char>(wire.body[i] ^ flip);
                const auto got =
                    decode_traces({wire.content_type, wire.content_encoding, bytes(wire.body)});
                ++(got ? decoded : refused);
                wire.body[i] = static_cast<char>(wire.body[i] ^ flip);
            }
        }
    }
    EXPECT_GT(decoded, 0);
    EXPECT_GT(refused, 0);
}

TEST(Decode, ReadsMetricsAndLogsWithEveryFieldOfTheSchema) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    testing::RandomOtlp random(seed);
    for (int i = 0; i < 20; ++i) {
        const auto metrics = random.make<collector::metrics::v1::ExportMetricsServiceRequest>();
        const auto logs = random.make<collector::logs::v1::ExportLogsServiceRequest>();
        for (const Wire& wire : all_forms(metrics)) {
            const auto got =
                decode_metrics({wire.content_type, wire.content_encoding, bytes(wire.body)});
            ASSERT_TRUE(got) << wire.content_type;
            EXPECT_TRUE(same(*got, metrics));
        }
        for (const Wire& wire : all_forms(logs)) {
            const auto got =
                decode_logs({wire.content_type, wire.content_encoding, bytes(wire.body)});
            ASSERT_TRUE(got) << wire.content_type;
            EXPECT_TRUE(same(*got, logs));
        }
    }
}

TEST(Decode, TakesContentTypeInAnyCaseAndIgnoresItsParameters) {
    const std::string body = sample().SerializeAsString();
    for (const std::string_view type :
         {"APPLICATION/X-PROTOBUF", " application/x-protobuf ; v=1"}) {
        EXPECT_TRUE(decode_traces({type, "", bytes(body)})) << type;
    }
    EXPECT_TRUE(decode_traces({"application/json; charset=utf-8", "", bytes("{}")}));
}

TEST(Decode, RefusesOtherContentTypes) {
    for (const std::string_view type :
         {"", "text/plain", "application/jsonp", "application/grpc", "json", ";"}) {
        const auto got = decode_traces({type, "", bytes("{}")});
        ASSERT_FALSE(got) << type;
        EXPECT_EQ(got.error(), Errc::unsupported_encoding) << type;
    }
}

TEST(Decode, TakesCodingNamesInAnyCase) {
    const std::string plain = sample().SerializeAsString();
    EXPECT_TRUE(decode_traces({protobuf, "Identity", bytes(plain)}));
    EXPECT_TRUE(decode_traces({protobuf, " GZip ", bytes(testing::gzip(plain))}));
    EXPECT_TRUE(decode_traces({protobuf, "x-gzip", bytes(testing::gzip(plain))}));
    EXPECT_TRUE(decode_traces({protobuf, "ZSTD", bytes(testing::zstd(plain))}));
}

TEST(Decode, RefusesOtherCodingsAndListsOfThem) {
    for (const std::string_view coding : {"br", "deflate", "gzip, zstd", "gzip,gzip", "snappy"}) {
        const auto got = decode_traces({protobuf, coding, bytes("")});
        ASSERT_FALSE(got) << coding;
        EXPECT_EQ(got.error(), Errc::unsupported_encoding) << coding;
    }
}

TEST(Decode, RefusesABodyThatIsNotInTheCodingNamed) {
    const std::string plain = sample().SerializeAsString();
    EXPECT_EQ(decode_traces({protobuf, "gzip", bytes(plain)}).error(), Errc::decode_failed);
    EXPECT_EQ(decode_traces({protobuf, "zstd", bytes(plain)}).error(), Errc::decode_failed);
    EXPECT_EQ(
        decode_traces({protobuf, "zstd", bytes(testing::gzip(plain))}).error(),
        Errc::decode_failed);
}

TEST(Decode, JoinsSeveralGzipMembersAndSeveralZstdFrames) {
    const TraceRequest sent = sample();
    const std::string plain = sent.SerializeAsString();
    const std::string_view whole = plain;
    for (const std::string_view coding : {"gzip", "zstd"}) {
        const std::string body =
            encode(whole.substr(0, 20), coding) + encode(whole.substr(20), coding);

        const auto got = decode_traces({protobuf, coding, bytes(body)});

        ASSERT_TRUE(got) << coding;
        EXPECT_TRUE(same(*got, sent));
    }
}

TEST(Decode, RefusesWhatFollowsTheLastMember) {
    const std::string plain = sample().SerializeAsString();
    EXPECT_EQ(
        decode_traces({protobuf, "gzip", bytes(testing::gzip(plain) + "x")}).error(),
        Errc::decode_failed);
    EXPECT_EQ(
        decode_traces({protobuf, "zstd", bytes(testing::zstd(plain) + "x")}).error(),
        Errc::decode_failed);
}

TEST(Decode, HoldsTheCapBeforeDecompression) {
    const std::string body = sample().SerializeAsString();
    EXPECT_TRUE(decode_traces({protobuf, "", bytes(body), body.size()}));
    EXPECT_EQ(
        decode_traces({protobuf, "", bytes(body), body.size() - 1}).error(),
        Errc::request_too_large);
}

TEST(Decode, HoldsTheCapAfterDecompressionToTheByte) {
    const std::string plain = to_json(sample()) + std::string(200'000, ' ');
    for (const std::string_view coding : {"gzip", "zstd"}) {
        const std::string body = encode(plain, coding);
        EXPECT_TRUE(decode_traces({json, coding, bytes(body), plain.size()})) << coding;
        EXPECT_EQ(
            decode_traces({json, coding, bytes(body), plain.size() - 1}).error(),
            Errc::request_too_large)
            << coding;
    }
}

// 128 MiB of zeros in a few kilobytes: refused at 64 MiB, without being unpacked any further.
TEST(Decode, RefusesADecompressionBomb) {
    std::string zeros(std::size_t{128} << 20, '\0');
    for (const std::string_view coding : {"gzip", "zstd"}) {
        const std::string body = encode(zeros, coding);
        ASSERT_LT(body.size(), std::size_t{1} << 20);
        std::string detail;

        const auto got = decode_traces({protobuf, coding, bytes(body)}, &detail);

        ASSERT_FALSE(got);
        EXPECT_EQ(got.error(), Errc::request_too_large);
        EXPECT_THAT(detail, ::testing::HasSubstr("67108864"));
    }
}

// RFC 9659: a window over 8 MiB is not for HTTP. Such a frame is a few bytes and would claim 128
// MiB.
TEST(Decode, RefusesAZstdWindowOverEightMebibytes) {
    const auto frame = [](int window_log) {
        const char descriptor = static_cast<char>((window_log - 10) << 3);
        return std::string("\x28\xb5\x2f\xfd\x00", 5) + descriptor + std::string("\x01\x00\x00", 3);
    };
    EXPECT_TRUE(decode_traces({protobuf, "zstd", bytes(frame(23))}));
    EXPECT_EQ(decode_traces({protobuf, "zstd", bytes(frame(24))}).error(), Errc::decode_failed);
    EXPECT_EQ(decode_traces({protobuf, "zstd", bytes(frame(27))}).error(), Errc::decode_failed);
}

TEST(Decode, RefusesProtobufTextThatIsNotUtf8) {
    TraceRequest request = sample();
    std::string body = request.SerializeAsString();
    const auto name = body.find("n\xc3\xa4me");
    ASSERT_NE(name, std::string::npos);
    body[name + 2] = 'x';

    EXPECT_EQ(decode_traces({protobuf, "", bytes(body)}).error(), Errc::decode_failed);
}

// A span with one attribute: an array in an array in ... `levels` deep.
TraceRequest nested(int levels) {
    TraceRequest request;
    auto& span = testing::add_span(request, "shop", {});
    auto* value = span.add_attributes()->mutable_value();
    for (int i = 0; i < levels; ++i) { value = value->mutable_array_value()->add_values(); }
    value->set_bool_value(true);
    return request;
}

TEST(Decode, BoundsNestingAlikeInBothMediaTypes) {
    // Request, ResourceSpans, ScopeSpans, Span, KeyValue and AnyValue are six messages; each level
    // adds two.
    constexpr int levels_max = (message_depth_max - 6) / 2;
    const TraceRequest deep = nested(levels_max);
    const TraceRequest too_deep = nested(levels_max + 2);
    // to_json() stops at the same depth, so the text is made by hand.
    std::string json_too_deep = to_json(nested(levels_max));
    const auto at = json_too_deep.find("{\"boolValue\":true}");
    ASSERT_NE(at, std::string::npos);
    json_too_deep.replace(at, 18, R"({"arrayValue":{"values":[{"arrayValue":{"values":[]}}]}})");

    EXPECT_TRUE(decode_traces({protobuf, "", bytes(deep.SerializeAsString())}));
    EXPECT_TRUE(decode_traces({json, "", bytes(to_json(deep))}));
    std::string detail;
    EXPECT_EQ(
        decode_traces({protobuf, "", bytes(too_deep.SerializeAsString())}, &detail).error(),
        Errc::decode_failed);
    EXPECT_EQ(
        detail, "body is not a protobuf ExportTraceServiceRequest, or more than 100 messages are "
                "nested in it");
    EXPECT_EQ(
        decode_traces({json, "", bytes(json_too_deep)}, &detail).error(), Errc::decode_failed);
    EXPECT_NE(detail.find("nested too deeply"), std::string::npos) << detail;
}

} // namespace
} // namespace weft::otlp
