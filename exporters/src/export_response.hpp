#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::otlp {

/// What the receiver decided about a whole request.
enum class ExportVerdict : std::uint8_t {
    success,   ///< Accepted. A message, if any, is a warning.
    partial,   ///< Accepted but for `rejected` records. Not to be sent again.
    retryable, ///< Not accepted now. The same bytes may be sent again.
    fatal,     ///< Refused for good.
};

/// An HTTP answer to an export, as it came off the wire.
struct ExportAnswer {
    int status = 0;
    std::string_view content_type = {};
    std::string_view body = {};
    std::optional<std::chrono::seconds> retry_after = std::nullopt;
};

struct ExportResponse {
    ExportVerdict verdict = ExportVerdict::fatal;
    std::uint64_t rejected = 0; ///< Only with `partial`; not yet compared with what was sent.
    std::string message; ///< The receiver's own words, printable, at most 512 bytes; often empty.
    std::optional<std::chrono::seconds> retry_after; ///< Only with `retryable`.
    bool body_understood = true; ///< False: the body is not what OTLP promises for this status.
};

/// Reads an answer. The status alone decides between accepted and not; the body adds the rejected
/// count and words. Bodies are protobuf or JSON; HTML, other text, rubbish and nothing at all are
/// survived. A `partial_success` that is present but empty is full success, and so is a 2xx whose
/// body cannot be read (sending again would duplicate).
/// Errors: none, any input gives an answer. Cost: linear in the body.
/// Source: OTLP specification, "OTLP/HTTP Response".
[[nodiscard]] ExportResponse classify(const ExportAnswer& answer);

} // namespace weft::otlp
