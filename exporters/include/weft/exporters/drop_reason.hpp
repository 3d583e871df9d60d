#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weft {

/// Why a record was neither exported nor rejected by the receiver. The ledger counts by these; the
/// names are stable.
enum class DropReason : std::uint8_t {
    none, ///< Nothing was dropped.
    /// The ring had no room: the exporter is slower than the program, or its destination is down.
    queue_full,
    record_too_large, ///< One record is larger than the ring or the request cap allows.
    encode_failed,    ///< The record or the batch could not be encoded, say for want of memory.
    retry_exhausted,  ///< Every attempt failed for `RetryPolicy::max_elapsed`.
    /// The receiver answered with a status that forbids a retry; the message says `http_<status>`.
    rejected_by_status,
    request_too_large,  ///< Over `OtlpHttpOptions::request_bytes_max`, hence not sent.
    response_too_large, ///< The answer is over `response_bytes_max`; final by the protocol.
    shutdown,           ///< The exporter was stopped or cancelled before the batch was accepted.
    tail_sampled_out,   ///< A decision on its whole trace removed it: see TailSampling.
    internal_error,     ///< An exception inside the exporter.
    filtered,           ///< Not meant for this destination: see DestinationSetup::filter.
    spool_full,         ///< Deleted unsent: the spool made room, see SpoolOptions::when_full.
    spool_corrupt,      ///< Destroyed on disk.
    unrecoverable, ///< In the durable ring of a process that died: half written, or damaged since.
};

inline constexpr std::size_t drop_reason_count = 15; ///< Size of an array indexed by DropReason.

/// The snake_case name that ledgers, metrics and reports show.
[[nodiscard]] constexpr std::string_view name(DropReason reason) noexcept {
    constexpr std::array<std::string_view, drop_reason_count> names{
        "none",
        "queue_full",
        "record_too_large",
        "encode_failed",
        "retry_exhausted",
        "rejected_by_status",
        "request_too_large",
        "response_too_large",
        "shutdown",
        "tail_sampled_out",
        "internal_error",
        "filtered",
        "spool_full",
        "spool_corrupt",
        "unrecoverable"};
    const auto index = static_cast<std::size_t>(reason);
    return index < names.size() ? names[index] : "unknown";
}
static_assert(name(DropReason::unrecoverable) == "unrecoverable");

} // namespace weft
