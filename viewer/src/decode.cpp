#include "content_coding.hpp"
#include "text.hpp"

#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/viewer/otlp_codec.hpp>

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/common.h>
#if GOOGLE_PROTOBUF_VERSION < 4022000 // Later ones log through Abseil, which has no silencer.
#include <google/protobuf/stubs/logging.h>
#endif

#include <cstdint>
#include <limits>

namespace weft::otlp {
namespace {

void explain(std::string* detail, std::string_view text) {
    if (detail != nullptr) { *detail = text; }
}

std::string_view coding_name(ContentCoding coding) {
    switch (coding) {
    case ContentCoding::gzip:
        return "gzip";
    case ContentCoding::zstd:
        return "zstd";
    default:
        return "identity";
    }
}

template <class Message>
Result<Message> decode_as(const Payload& payload, std::string* detail) {
    Message message;
    if (const auto decoded = decode(payload, message, detail); !decoded) { return decoded.error(); }
    return message;
}

} // namespace

std::optional<MediaType> media_type(std::string_view content_type) {
    const std::string type = ascii_lower(trim(content_type.substr(0, content_type.find(';'))));
    if (type == "application/x-protobuf") { return MediaType::protobuf; }
    if (type == "application/json") { return MediaType::json; }
    return std::nullopt;
}

std::string_view content_type(MediaType type) noexcept {
    return type == MediaType::json ? "application/json" : "application/x-protobuf";
}

Result<void> decode(
    const Payload& payload, google::protobuf::Message& message, std::string* detail) {
    const auto type = media_type(payload.content_type);
    if (!type) {
        explain(detail, "Content-Type is neither application/x-protobuf nor application/json");
        return Errc::unsupported_encoding;
    }
    const auto coding = content_coding(payload.content_encoding);
    if (!coding) {
        explain(detail, "Content-Encoding is none of identity, gzip and zstd");
        return Errc::unsupported_encoding;
    }
    std::string buffer;
    const auto plain = undo_coding(*coding, payload.body, payload.body_bytes_max, buffer);
    if (!plain) {
        explain(
            detail, plain.error() == Errc::request_too_large
                        ? fmt::format("body is larger than {} bytes", payload.body_bytes_max)
                        : fmt::format("body is not whole {} data", coding_name(*coding)));
        return plain.error();
    }
    if (*type == MediaType::json) { return from_json(*plain, message, detail); }
    // Protobuf counts bytes in an int.
    if (plain->size() > std::numeric_limits<int>::max()) { return Errc::request_too_large; }
#if GOOGLE_PROTOBUF_VERSION < 4022000
    // Protobuf would complain on stderr about each string that is not UTF-8.
    const google::protobuf::LogSilencer silence;
#endif
    google::protobuf::io::CodedInputStream in(
        reinterpret_cast<const std::uint8_t*>(plain->data()), static_cast<int>(plain->size()));
    in.SetRecursionLimit(message_depth_max);
    if (!message.ParseFromCodedStream(&in) || !in.ConsumedEntireMessage()) {
        // Protobuf does not say which of the two it is.
        explain(
            detail, fmt::format(
                        "body is not a protobuf {}, or more than {} messages are nested in it",
                        message.GetDescriptor()->name(), message_depth_max));
        return Errc::decode_failed;
    }
    return {};
}

Result<collector::trace::v1::ExportTraceServiceRequest> decode_traces(
    const Payload& payload, std::string* detail) {
    return decode_as<collector::trace::v1::ExportTraceServiceRequest>(payload, detail);
}

Result<collector::metrics::v1::ExportMetricsServiceRequest> decode_metrics(
    const Payload& payload, std::string* detail) {
    return decode_as<collector::metrics::v1::ExportMetricsServiceRequest>(payload, detail);
}

Result<collector::logs::v1::ExportLogsServiceRequest> decode_logs(
    const Payload& payload, std::string* detail) {
    return decode_as<collector::logs::v1::ExportLogsServiceRequest>(payload, detail);
}

} // namespace weft::otlp
