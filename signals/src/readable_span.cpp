#include "span_record.hpp"

#include <weft/signals/readable_span.hpp>

#include <cstring>

namespace weft {
namespace {

// Source: OTLP schema, trace.v1: what stands in an open span's `body`.
constexpr char tag_attribute = 0x4a;
constexpr char tag_event = 0x5a;
constexpr char tag_link = 0x6a;

std::string_view body_of(const detail::SpanRecord& record) noexcept {
    return {record.body.data(), record.body.size()};
}

// The content of a field of which there is at most one.
std::string_view content_of(
    const detail::SpanRecord& record, detail::SpanRecord::Region region) noexcept {
    auto rest = body_of(record).substr(region.at, region.size);
    detail::EncodedField field;
    return detail::next_field(rest, field) ? field.bytes : std::string_view();
}

void read_id(std::string_view bytes, auto& id) noexcept {
    if (bytes.size() == id.bytes.size()) {
        std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
    }
}

} // namespace

EncodedEvent EncodedEvent::decode(std::string_view message) noexcept {
    EncodedEvent event;
    event.attributes = {message, 0x1a};
    for (detail::EncodedField field; detail::next_field(message, field);) {
        if (field.tag == 0x09) { event.time.unix_ns = static_cast<std::int64_t>(field.number); }
        if (field.tag == 0x12) { event.name = field.bytes; }
        if (field.tag == 0x20) {
            event.dropped_attributes = static_cast<std::uint32_t>(field.number);
        }
    }
    return event;
}

EncodedLink EncodedLink::decode(std::string_view message) noexcept {
    EncodedLink link;
    link.attributes = {message, 0x22};
    for (detail::EncodedField field; detail::next_field(message, field);) {
        if (field.tag == 0x0a) { read_id(field.bytes, link.context.trace_id); }
        if (field.tag == 0x12) { read_id(field.bytes, link.context.span_id); }
        if (field.tag == 0x1a) { link.trace_state = field.bytes; }
        if (field.tag == 0x28) {
            link.dropped_attributes = static_cast<std::uint32_t>(field.number);
        }
        if (field.tag == 0x35) {
            link.context.flags = static_cast<std::uint8_t>(field.number);
            link.context.is_remote = (field.number & 0x200) != 0; // Source: OTLP, SpanFlags.
        }
    }
    return link;
}

std::string_view ReadableSpan::name() const noexcept { return content_of(*read_, read_->name); }
SpanKind ReadableSpan::kind() const noexcept { return read_->kind; }
const SpanContext& ReadableSpan::context() const noexcept { return read_->span; }
const TraceState& ReadableSpan::trace_state() const noexcept { return read_->state; }

SpanContext ReadableSpan::parent() const noexcept {
    if (!read_->has_parent) { return {}; }
    SpanContext parent;
    parent.trace_id = read_->span.trace_id;
    parent.span_id = read_->parent_span_id;
    parent.is_remote = read_->parent_is_remote;
    return parent;
}

WallTime ReadableSpan::start_time() const noexcept { return WallTime(read_->start_unix_ns); }
WallTime ReadableSpan::end_time() const noexcept { return WallTime(read_->end_unix_ns); }
StatusCode ReadableSpan::status() const noexcept { return read_->status; }

std::string_view ReadableSpan::status_description() const noexcept {
    auto message = content_of(*read_, read_->status_field);
    for (detail::EncodedField field; detail::next_field(message, field);) {
        if (field.tag == 0x12) { return field.bytes; }
    }
    return {};
}

EncodedList<EncodedAttribute> ReadableSpan::attributes() const noexcept {
    return {body_of(*read_), tag_attribute};
}

std::optional<EncodedValue> ReadableSpan::attribute(std::string_view key) const noexcept {
    for (const auto attribute : attributes()) {
        if (attribute.key == key) { return attribute.value; }
    }
    return std::nullopt;
}

EncodedList<EncodedEvent> ReadableSpan::events() const noexcept {
    return {body_of(*read_), tag_event};
}
EncodedList<EncodedLink> ReadableSpan::links() const noexcept {
    return {body_of(*read_), tag_link};
}
std::uint32_t ReadableSpan::dropped_attributes() const noexcept {
    return read_->dropped_attributes;
}
std::uint32_t ReadableSpan::dropped_events() const noexcept { return read_->dropped_events; }
std::uint32_t ReadableSpan::dropped_links() const noexcept { return read_->dropped_links; }

EncodedInstrumentationScope ReadableSpan::scope() const noexcept {
    EncodedInstrumentationScope scope;
    detail::EncodedScope encoded;
    try {
        encoded = detail::encoded_scope(read_->scope);
    } catch (...) { // No memory for the table itself: then there is no scope in it.
        return scope;
    }
    scope.schema_url = encoded.schema_url;
    scope.attributes = {encoded.message, 0x1a};
    for (detail::EncodedField field; detail::next_field(encoded.message, field);) {
        if (field.tag == 0x0a) { scope.name = field.bytes; }
        if (field.tag == 0x12) { scope.version = field.bytes; }
    }
    return scope;
}

} // namespace weft
