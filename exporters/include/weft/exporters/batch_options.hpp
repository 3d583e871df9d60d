#pragma once
#include <chrono>
#include <cstddef>
#include <string>

namespace weft {

/// How records are grouped for export.
/// Source: OpenTelemetry Trace SDK, "Batching processor" (delay and records are the specification's defaults).
struct BatchOptions {
    /// Most spans, metric points or log records in one request; a record with more goes alone. 1 to 2^20.
    std::size_t records_max = 512;
    std::size_t bytes_max =
        4u
        << 20; ///< Most bytes of records in one request; a larger record goes alone. 1 KiB to 32 MiB.
    std::chrono::milliseconds delay{
        5000}; ///< Longest a record waits for its batch once seen by a poll. 0 to a day.
    std::size_t queue_bytes = 4u << 20; ///< Ring memory, touched as it is used. 64 KiB to 256 MiB.
    std::size_t waiting_bytes_max =
        4u << 20; ///< With this much waiting for the sink, rings are left to fill. 1 KiB to 1 GiB.
    std::chrono::milliseconds poll{
        100}; ///< How often a queue below half is looked at. 1 ms to 10 s.
    unsigned shards =
        2; ///< Rings that `queue_bytes` is divided over. 1 to 64, rounded up to a power of two.
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const BatchOptions& options);

/// Most memory that the records of one signal take on their way out, whatever the receiver does: rings, the batch that is
/// built, batches that wait, and those in flight with their compressed copies. `connections` is the sink's. Units: bytes.
/// It is a bound and not what is used: batches are as large as what is in them, ring pages count once touched.
[[nodiscard]] std::size_t memory_max(const BatchOptions& options, std::size_t connections) noexcept;

} // namespace weft
