#include "decode.hpp"

#include <protozero/pbf_reader.hpp>

#include <cstring>

// Field numbers. Source: OTLP schema, common.v1, resource.v1, trace.v1, collector.trace.v1.

namespace weft::testing::detail {
namespace {

using protozero::pbf_reader;

pbf_reader reader(std::string_view message) { return pbf_reader(message.data(), message.size()); }

std::string_view view_of(pbf_reader& field) {
    const auto view = field.get_view();
    return {view.data(), view.size()};
}

template <std::size_t N>
BasicId<N> id_of(pbf_reader& field) {
    BasicId<N> id;
    const auto bytes = view_of(field);
    if (bytes.size() == N) { std::memcpy(id.bytes.data(), bytes.data(), N); }
    return id;
}

Value decode_value(pbf_reader message);

std::pair<std::string, Value> decode_key_value(pbf_reader message) {
    std::pair<std::string, Value> entry;
    while (message.next()) {
        switch (message.tag()) {
        case 1:
            entry.first = message.get_string();
            break;
        case 2:
            entry.second = decode_value(message.get_message());
            break;
        default:
            message.skip();
        }
    }
    return entry;
}

// The field `number` of a message that has nothing else: ArrayValue, KeyValueList.
template <class Visit>
void for_each_field(pbf_reader message, protozero::pbf_tag_type number, Visit&& visit) {
    while (message.next()) {
        if (message.tag() == number) {
            visit(message);
        } else {
            message.skip();
        }
    }
}

// Depth: that of the span's own limits, 64 at most.
Value decode_value(pbf_reader message) {
    Value value;
    while (message.next()) {
        switch (message.tag()) {
        case 1:
            value = Value(message.get_string());
            break;
        case 2:
            value = Value(message.get_bool());
            break;
        case 3:
            value = Value(message.get_int64());
            break;
        case 4:
            value = Value(message.get_double());
            break;
        case 5: {
            Value::Array values;
            for_each_field(message.get_message(), 1, [&](pbf_reader& field) {
                values.push_back(decode_value(field.get_message()));
            });
            value = Value(std::move(values));
            break;
        }
        case 6: {
            Attributes entries;
            for_each_field(message.get_message(), 1, [&](pbf_reader& field) {
                entries.push_back(decode_key_value(field.get_message()));
            });
            value = Value(std::move(entries));
            break;
        }
        case 7: {
            const auto bytes = view_of(message);
            const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
            value = Value(Value::Bytes(data, data + bytes.size()));
            break;
        }
        default:
            message.skip();
        }
    }
    return value;
}

FinishedEvent decode_event(pbf_reader message) {
    FinishedEvent event;
    while (message.next()) {
        switch (message.tag()) {
        case 1:
            event.unix_ns = static_cast<std::int64_t>(message.get_fixed64());
            break;
        case 2:
            event.name = message.get_string();
            break;
        case 3:
            event.attributes.push_back(decode_key_value(message.get_message()));
            break;
        case 4:
            event.dropped_attributes = message.get_uint32();
            break;
        default:
            message.skip();
        }
    }
    return event;
}

FinishedLink decode_link(pbf_reader message) {
    FinishedLink link;
    while (message.next()) {
        switch (message.tag()) {
        case 1:
            link.trace_id = id_of<16>(message);
            break;
        case 2:
            link.span_id = id_of<8>(message);
            break;
        case 3:
            link.trace_state = message.get_string();
            break;
        case 4:
            link.attributes.push_back(decode_key_value(message.get_message()));
            break;
        case 5:
            link.dropped_attributes = message.get_uint32();
            break;
        case 6:
            link.flags = message.get_fixed32();
            break;
        default:
            message.skip();
        }
    }
    return link;
}

void decode_status(pbf_reader message, FinishedSpan& span) {
    while (message.next()) {
        switch (message.tag()) {
        case 2:
            span.status_description = message.get_string();
            break;
        case 3:
            span.status = static_cast<StatusCode>(message.get_enum());
            break;
        default:
            message.skip();
        }
    }
}

// One field of a Span, where `message` stands.
void decode_field(pbf_reader& message, FinishedSpan& span) {
    switch (message.tag()) {
    case 1:
        span.trace_id = id_of<16>(message);
        break;
    case 2:
        span.span_id = id_of<8>(message);
        break;
    case 3:
        span.trace_state = message.get_string();
        break;
    case 4:
        span.parent_id = id_of<8>(message);
        break;
    case 5:
        span.name = message.get_string();
        break;
    case 6:
        span.kind = static_cast<SpanKind>(message.get_enum());
        break;
    case 7:
        span.start_unix_ns = static_cast<std::int64_t>(message.get_fixed64());
        break;
    case 8:
        span.end_unix_ns = static_cast<std::int64_t>(message.get_fixed64());
        break;
    case 9:
        span.attributes.push_back(decode_key_value(message.get_message()));
        break;
    case 10:
        span.dropped_attributes = message.get_uint32();
        break;
    case 11:
        span.events.push_back(decode_event(message.get_message()));
        break;
    case 12:
        span.dropped_events = message.get_uint32();
        break;
    case 13:
        span.links.push_back(decode_link(message.get_message()));
        break;
    case 14:
        span.dropped_links = message.get_uint32();
        break;
    case 15:
        decode_status(message.get_message(), span);
        break;
    case 16:
        span.flags = message.get_fixed32();
        break;
    default:
        message.skip();
    }
}

void decode_scope_spans(
    std::string_view message, const Attributes& resource, std::vector<FinishedSpan>& out) {
    FinishedScope scope;
    std::string schema_url;
    const auto first = out.size();
    for (auto fields = reader(message); fields.next();) {
        switch (fields.tag()) {
        case 1:
            scope = decode_scope(view_of(fields));
            break;
        case 2:
            out.push_back(decode_span(view_of(fields)));
            break;
        case 3:
            schema_url = fields.get_string();
            break;
        default:
            fields.skip();
        }
    }
    scope.schema_url = std::move(schema_url);
    for (auto i = first; i < out.size(); ++i) { // What is said once, of all of them.
        out[i].scope = scope;
        out[i].resource = resource;
    }
}

void decode_resource_spans(std::string_view message, std::vector<FinishedSpan>& out) {
    Attributes resource;
    for_each_field(reader(message), 1, [&](pbf_reader& field) {
        for_each_field(field.get_message(), 1, [&](pbf_reader& attribute) {
            resource.push_back(decode_key_value(attribute.get_message()));
        });
    });
    for_each_field(reader(message), 2, [&](pbf_reader& field) {
        decode_scope_spans(view_of(field), resource, out);
    });
}

} // namespace

FinishedSpan decode_span(std::string_view message) {
    FinishedSpan span;
    for (auto fields = reader(message); fields.next();) { decode_field(fields, span); }
    return span;
}

FinishedSpan decode_record(std::string_view body) {
    FinishedSpan span;
    for_each_field(reader(body), 2, [&](pbf_reader& field) { span = decode_span(view_of(field)); });
    return span;
}

FinishedScope decode_scope(std::string_view message) {
    FinishedScope scope;
    for (auto fields = reader(message); fields.next();) {
        switch (fields.tag()) {
        case 1:
            scope.name = fields.get_string();
            break;
        case 2:
            scope.version = fields.get_string();
            break;
        case 3:
            scope.attributes.push_back(decode_key_value(fields.get_message()));
            break;
        default:
            fields.skip();
        }
    }
    return scope;
}

void decode_request(std::string_view message, std::vector<FinishedSpan>& out) {
    for_each_field(
        reader(message), 1, [&](pbf_reader& field) { decode_resource_spans(view_of(field), out); });
}

} // namespace weft::testing::detail
