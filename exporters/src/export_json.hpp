#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::otlp {

/// The few members of an Export<Signal>ServiceResponse or a google.rpc.Status that matter to a
/// client.
struct ExportFields {
    std::int64_t rejected = 0;  ///< partial_success.rejected_*
    std::string error_message;  ///< partial_success.error_message
    std::string status_message; ///< Status.message
};

/// Picks those members out of a JSON object; everything else is skipped over, not validated.
/// Receivers should answer in the request's encoding, which is protobuf, but some proxies and back
/// ends answer JSON all the same.
/// Errors: nullopt if the text is not one JSON object or ends early.
[[nodiscard]] std::optional<ExportFields> read_export_json(std::string_view text);

} // namespace weft::otlp
