#pragma once
#include <weft/runtime/error.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// Protobuf stays out of this header; include the generated one to look into a message.
namespace google::protobuf {
class Message;
}
namespace weft::otlp::collector {
namespace trace::v1 {
class ExportTraceServiceRequest;
}
namespace metrics::v1 {
class ExportMetricsServiceRequest;
}
namespace logs::v1 {
class ExportLogsServiceRequest;
}
} // namespace weft::otlp::collector

namespace weft::otlp {

/// The two encodings of OTLP/HTTP.
enum class MediaType { protobuf, json };

/// Reads a Content-Type header: any case, parameters ignored. Nothing when OTLP has no such type.
[[nodiscard]] std::optional<MediaType> media_type(std::string_view content_type);
/// The header's value for answers.
[[nodiscard]] std::string_view content_type(MediaType type) noexcept;

/// Largest body, before and after decompression. Source: OTLP specification, "Request size limits".
inline constexpr std::size_t body_bytes_max_default = std::size_t{64} << 20;
/// Deepest nesting of messages, the same in both encodings: Protobuf's own default, which most receivers keep. Deeper
/// ones are refused as decode_failed.
inline constexpr int message_depth_max = 100;

/// A request body as it came off the wire, with the headers that say how to read it.
struct Payload {
    std::string_view content_type;
    std::string_view content_encoding; ///< Empty or identity, gzip or zstd.
    std::span<const std::byte> body;
    std::size_t body_bytes_max = body_bytes_max_default; ///< Also holds after decompression.
};

/// Decompresses and decodes into `message`, which is undefined after a failure. `detail` gets one
/// line about what is wrong, made of printable ASCII and without the sender's data. Errors:
/// unsupported_encoding (type or coding), request_too_large (either side of decompression),
/// decode_failed. Cost: memory for the decompressed body and the message, which hostile input can
/// make about 40 times larger.
[[nodiscard]] Result<void> decode(
    const Payload& payload, google::protobuf::Message& message, std::string* detail = nullptr);
/// As above, for the body of one signal.
[[nodiscard]] Result<collector::trace::v1::ExportTraceServiceRequest> decode_traces(
    const Payload& payload, std::string* detail = nullptr);
[[nodiscard]] Result<collector::metrics::v1::ExportMetricsServiceRequest> decode_metrics(
    const Payload& payload, std::string* detail = nullptr);
[[nodiscard]] Result<collector::logs::v1::ExportLogsServiceRequest> decode_logs(
    const Payload& payload, std::string* detail = nullptr);

/// Reads OTLP/JSON into an empty message of any OTLP type. Unknown keys are ignored, null is
/// absent, ids are hex of any case; enum names, keys given twice and two members of one oneof are
/// refused. Errors: decode_failed. Source: OTLP specification, "JSON Protobuf Encoding".
[[nodiscard]] Result<void> from_json(
    std::string_view json, google::protobuf::Message& message, std::string* detail = nullptr);

/// Writes OTLP/JSON without line breaks: ids in lowercase hex, enums and 32-bit integers as
/// numbers, 64-bit integers as strings, defaults left out. Bytes that are not UTF-8 become U+FFFD;
/// deeper than `message_depth_max` becomes {}. Source: as above.
[[nodiscard]] std::string to_json(const google::protobuf::Message& message);

} // namespace weft::otlp
