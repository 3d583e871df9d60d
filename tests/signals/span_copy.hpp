#pragma once
// A processor that copies every span that ends into the official classes, by its readable view alone.

#include <weft/signals/span_processor.hpp>

#include <opentelemetry/proto/trace/v1/trace.pb.h>

#include <string>

namespace weft::testing {

class SpanCopier final : public SpanProcessor {
public:
    opentelemetry::proto::trace::v1::Span copy; ///< The last one's.
    std::string scope;

private:
    using AnyValue = opentelemetry::proto::common::v1::AnyValue;

    static std::string bytes_of(const auto& id) {
        return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
    }
    static std::uint32_t flags_of(const SpanContext& own, bool is_remote) {
        return (own.flags & trace_flags::known) | 0x100U | (is_remote ? 0x200U : 0U);
    }
    static void copy_value(const EncodedValue& from, AnyValue& to) {
        switch (from.type()) {
        case EncodedValue::Type::empty:
            break;
        case EncodedValue::Type::boolean:
            to.set_bool_value(from.boolean());
            break;
        case EncodedValue::Type::integer:
            to.set_int_value(from.integer());
            break;
        case EncodedValue::Type::floating:
            to.set_double_value(from.floating());
            break;
        case EncodedValue::Type::string:
            to.set_string_value(std::string(from.string()));
            break;
        case EncodedValue::Type::bytes:
            to.set_bytes_value(from.bytes().data(), from.bytes().size());
            break;
        case EncodedValue::Type::array:
            to.mutable_array_value();
            for (const auto value : from.array()) {
                copy_value(value, *to.mutable_array_value()->add_values());
            }
            break;
        case EncodedValue::Type::map:
            to.mutable_kvlist_value();
            copy_attributes(from.map(), *to.mutable_kvlist_value()->mutable_values());
            break;
        }
    }
    static void copy_attributes(const EncodedList<EncodedAttribute>& from, auto& to) {
        for (const auto& [key, value] : from) {
            auto& pair = *to.Add();
            pair.set_key(std::string(key));
            copy_value(value, *pair.mutable_value());
        }
    }

    void on_end(const ReadableSpan& span) override {
        copy.Clear();
        copy.set_trace_id(bytes_of(span.context().trace_id));
        copy.set_span_id(bytes_of(span.context().span_id));
        copy.set_trace_state(std::string(span.trace_state().text()));
        if (span.parent().is_valid()) { copy.set_parent_span_id(bytes_of(span.parent().span_id)); }
        copy.set_flags(flags_of(span.context(), span.parent().is_remote));
        copy.set_name(std::string(span.name()));
        copy.set_kind(static_cast<opentelemetry::proto::trace::v1::Span::SpanKind>(span.kind()));
        copy.set_start_time_unix_nano(static_cast<std::uint64_t>(span.start_time().unix_ns));
        copy.set_end_time_unix_nano(static_cast<std::uint64_t>(span.end_time().unix_ns));
        copy_attributes(span.attributes(), *copy.mutable_attributes());
        copy.set_dropped_attributes_count(span.dropped_attributes());
        for (const auto event : span.events()) {
            auto& to = *copy.add_events();
            to.set_name(std::string(event.name));
            to.set_time_unix_nano(static_cast<std::uint64_t>(event.time.unix_ns));
            copy_attributes(event.attributes, *to.mutable_attributes());
            to.set_dropped_attributes_count(event.dropped_attributes);
        }
        copy.set_dropped_events_count(span.dropped_events());
        for (const auto link : span.links()) {
            auto& to = *copy.add_links();
            to.set_trace_id(bytes_of(link.context.trace_id));
            to.set_span_id(bytes_of(link.context.span_id));
            to.set_trace_state(std::string(link.trace_state));
            to.set_flags(flags_of(link.context, link.context.is_remote));
            copy_attributes(link.attributes, *to.mutable_attributes());
            to.set_dropped_attributes_count(link.dropped_attributes);
        }
        copy.set_dropped_links_count(span.dropped_links());
        if (span.status() != StatusCode::unset) {
            auto& status = *copy.mutable_status();
            status.set_code(
                static_cast<opentelemetry::proto::trace::v1::Status::StatusCode>(span.status()));
            status.set_message(std::string(span.status_description()));
        }
        scope = span.scope().name;
    }
};

} // namespace weft::testing
