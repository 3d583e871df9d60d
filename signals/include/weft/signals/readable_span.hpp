#pragma once
#include <weft/signals/encoded.hpp>
#include <weft/signals/span.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

/// An event of a span that is being read.
struct EncodedEvent {
    std::string_view name;
    WallTime time;
    EncodedList<EncodedAttribute> attributes;
    std::uint32_t dropped_attributes = 0;

    [[nodiscard]] static EncodedEvent decode(std::string_view message) noexcept;
};

/// A link of a span that is being read.
struct EncodedLink {
    SpanContext context;
    std::string_view trace_state;
    EncodedList<EncodedAttribute> attributes;
    std::uint32_t dropped_attributes = 0;

    [[nodiscard]] static EncodedLink decode(std::string_view message) noexcept;
};

/// The instrumentation scope of a span that is being read. Lifetime: for ever.
struct EncodedInstrumentationScope {
    std::string_view name;
    std::string_view version;
    std::string_view schema_url;
    EncodedList<EncodedAttribute> attributes;
};

/// What a span says, as it is exported: repaired, cut and counted by the limits. Attributes, events and links are read
/// from the encoded bytes as they are asked for; nothing is allocated.
/// Lifetime: of the processor's call that it is given to; what it returns, until the span is changed.
/// Source: OpenTelemetry Trace SDK, "Additional Span Interfaces", readable span.
class ReadableSpan {
public:
    ReadableSpan(const ReadableSpan&) = delete;
    ReadableSpan& operator=(const ReadableSpan&) = delete;

    [[nodiscard]] std::string_view name() const noexcept;
    [[nodiscard]] SpanKind kind() const noexcept;
    [[nodiscard]] const SpanContext& context() const noexcept;
    [[nodiscard]] const TraceState& trace_state() const noexcept;
    /// Invalid for a root.
    [[nodiscard]] SpanContext parent() const noexcept;
    /// False when only processors see the span: it was recorded but not sampled.
    [[nodiscard]] bool is_sampled() const noexcept { return context().is_sampled(); }
    [[nodiscard]] WallTime start_time() const noexcept;
    /// Zero before the end.
    [[nodiscard]] WallTime end_time() const noexcept;
    [[nodiscard]] StatusCode status() const noexcept;
    [[nodiscard]] std::string_view status_description() const noexcept;

    [[nodiscard]] EncodedList<EncodedAttribute> attributes() const noexcept;
    /// The value of one key. Cost: a walk over the attributes before it.
    [[nodiscard]] std::optional<EncodedValue> attribute(std::string_view key) const noexcept;
    [[nodiscard]] EncodedList<EncodedEvent> events() const noexcept;
    [[nodiscard]] EncodedList<EncodedLink> links() const noexcept;
    [[nodiscard]] std::uint32_t dropped_attributes() const noexcept;
    [[nodiscard]] std::uint32_t dropped_events() const noexcept;
    [[nodiscard]] std::uint32_t dropped_links() const noexcept;

    /// Cost: a mutex.
    [[nodiscard]] EncodedInstrumentationScope scope() const noexcept;

protected:
    explicit ReadableSpan(const detail::SpanRecord& record) noexcept : read_(&record) {}
    ~ReadableSpan() = default;

private:
    friend struct detail::SpanViews;
    const detail::SpanRecord* read_;
};

} // namespace weft
