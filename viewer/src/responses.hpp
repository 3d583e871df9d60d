#pragma once
#include <weft/viewer/otlp_codec.hpp>
#include <weft/viewer/receiver.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace weft::viewer {

enum class Signal : std::uint8_t { traces, metrics, logs };

/// 200 with the signal's Export*ServiceResponse. `partial_success` is there when something was
/// refused or `message` says something; both nothing means full success.
[[nodiscard]] HttpAnswer accepted(
    Signal signal, otlp::MediaType type, std::int64_t refused, std::string_view message);

/// An error with a google.rpc.Status in the request's encoding, or plain text when that is unknown.
[[nodiscard]] HttpAnswer refused(
    unsigned status, std::optional<otlp::MediaType> type, std::string_view message);

} // namespace weft::viewer
