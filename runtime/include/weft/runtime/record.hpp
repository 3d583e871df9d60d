#pragma once
// What travels through a ring: a fixed header that decisions read, then the OTLP bytes that nobody touches again.

#include <weft/runtime/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace weft {

/// Bits of `RecordHeader::flags`.
namespace record_flags {
inline constexpr std::uint8_t sampled = 0x01;
inline constexpr std::uint8_t error = 0x02;      ///< The span's status is Error.
inline constexpr std::uint8_t local_root = 0x04; ///< No parent, or a remote one.
} // namespace record_flags

/// Leads every record in a ring. The rest of the record is one field of the batch it will be part of, tag and length
/// included (a `spans` field of ScopeSpans, a `metrics` field of ScopeMetrics), so that assembling a batch is copying.
struct RecordHeader {
    std::uint16_t scope = 0; ///< Index in the process's table of instrumentation scopes.
    std::uint8_t flags = 0;
    std::uint8_t reserved = 0;
    std::uint32_t items =
        1; ///< What the ledger counts: 1 span, or the metric points of the body. Not 0.
    TraceId trace_id;
    SpanId span_id;
    std::int64_t start_unix_ns = 0;
    std::int64_t end_unix_ns = 0;
};
static_assert(sizeof(RecordHeader) == 48 && std::is_trivially_copyable_v<RecordHeader>);

struct Record {
    RecordHeader header;
    std::span<const std::byte> body;
};

} // namespace weft
