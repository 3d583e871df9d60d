#pragma once
#include "shown.hpp"
#include "wire.hpp"

#include <weft/runtime/pool.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/span.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace weft::detail {

/// An open span: its place in the context, and the OTLP fields that are already encoded.
/// `body` holds attributes, events, links, name and status in the order in which they were set; a field that may be
/// replaced (an attribute, the name, the status) is found again, cut out and appended anew. Identity, times, kind,
/// counts and flags are plain members and are encoded when the span ends, straight into the ring.
struct SpanRecord : ScopeNode, PoolItem<SpanRecord> {
    // Makes the record a little more than 1 KiB; a usual HTTP span takes 400 bytes.
    static constexpr std::uint32_t inline_bytes = 704;

    /// A field of `body` of which there is at most one.
    struct Region {
        std::uint32_t at = 0;
        std::uint32_t size = 0;
    };

    // The provider's gate's when the span began. First, where it fills the padding behind PoolItem.
    std::uint32_t generation = 0;
    Shown shown; // Open while the span is recording.
    TraceProvider* provider = nullptr;
    SpanId parent_span_id;
    std::uint16_t scope = 0;
    SpanKind kind = SpanKind::internal;
    StatusCode status = StatusCode::unset;
    bool has_parent = false;
    bool parent_is_remote = false;
    bool is_shown = false; // To processors; written and read only where there are any.
    std::int64_t start_unix_ns = 0;
    std::int64_t end_unix_ns = 0;
    std::uint64_t keys_seen = 0; // Bit set of key hashes: a clear bit proves that a key is new.
    Region name;
    Region status_field;
    std::uint32_t attributes = 0;
    std::uint32_t events = 0;
    std::uint32_t links = 0;
    std::uint32_t dropped_attributes = 0;
    std::uint32_t dropped_events = 0;
    std::uint32_t dropped_links = 0;
    wire::Buffer body;
    char storage[inline_bytes];

    void count_start(TraceProvider& by) const noexcept {
        by.counts.count_start(
            decision(), !has_parent        ? ParentOrigin::none
                        : parent_is_remote ? ParentOrigin::remote
                                           : ParentOrigin::local);
    }
    /// Of one that is recording.
    void count_end() const noexcept {
        // One that was begun before a fork is open in the parent, and was never counted here.
        if (generation == provider->gate.generation()) [[likely]] {
            provider->counts.count_end(decision());
        }
    }
    [[nodiscard]] SamplingDecision decision() const noexcept {
        if (!recording) { return SamplingDecision::drop; }
        return span.is_sampled() ? SamplingDecision::record_and_sample
                                 : SamplingDecision::record_only;
    }
};
static_assert(sizeof(SpanRecord) <= 1216);

/// False, and nothing changed, when there is no room. What goes over the limit counts as dropped, and done.
[[nodiscard]] bool put_event(
    SpanRecord& record, std::string_view name, std::span<const Attribute> attributes,
    std::int64_t time, std::uint32_t discarded_before) noexcept;

using SpanPool = StablePool<SpanRecord, 128, 8192>;

/// See names_in_slot.
std::pair<std::string, std::string> open_names_in_slot(std::uint32_t slot_index);

} // namespace weft::detail
