#include "span_reader.hpp"

#include <weft/otlp/resource/v1/resource.pb.h>
#include <weft/otlp/trace/v1/trace.pb.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

namespace weft::viewer {
namespace {

using otlp::common::v1::AnyValue;

constexpr std::size_t text_bytes_max = 512;
constexpr std::size_t value_bytes_max = 256;
constexpr int attributes_max = 64;
constexpr int events_max = 16;
constexpr int event_attributes_max = 16;

// At most `bytes_max` bytes, cut between characters.
std::string cut(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) { return std::string(text); }
    std::size_t end = bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) { --end; }
    return std::string(text.substr(0, end)) + "...";
}

// Recursion is bounded by the decoder's limit on nesting, the work by `bytes_max`.
void append_value(std::string& out, const AnyValue& value, std::size_t bytes_max) {
    if (out.size() >= bytes_max) { return; }
    const auto print = [&](const auto& number) {
        fmt::format_to(std::back_inserter(out), "{}", number);
    };
    switch (value.value_case()) {
    case AnyValue::kStringValue:
        out += cut(value.string_value(), bytes_max - out.size());
        return;
    case AnyValue::kBoolValue:
        print(value.bool_value());
        return;
    case AnyValue::kIntValue:
        print(value.int_value());
        return;
    case AnyValue::kDoubleValue:
        print(value.double_value());
        return;
    case AnyValue::kBytesValue:
        fmt::format_to(std::back_inserter(out), "<{} bytes>", value.bytes_value().size());
        return;
    case AnyValue::kArrayValue: {
        const char* separator = "[";
        for (const auto& item : value.array_value().values()) {
            if (out.size() >= bytes_max) { break; }
            out += separator;
            separator = ", ";
            append_value(out, item, bytes_max);
        }
        out += value.array_value().values().empty() ? "[]" : "]";
        return;
    }
    case AnyValue::kKvlistValue: {
        const char* separator = "{";
        for (const auto& member : value.kvlist_value().values()) {
            if (out.size() >= bytes_max) { break; }
            out += separator;
            separator = ", ";
            out += cut(member.key(), bytes_max - std::min(bytes_max, out.size())) + "=";
            append_value(out, member.value(), bytes_max);
        }
        out += value.kvlist_value().values().empty() ? "{}" : "}";
        return;
    }
    default:
        return; // Nothing, or an index into a profile's strings.
    }
}

const AnyValue* find(
    const google::protobuf::RepeatedPtrField<otlp::common::v1::KeyValue>& all,
    std::string_view key) {
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.key() == key; });
    return found == all.end() ? nullptr : &found->value();
}

// The status message says it best; without one, the exception that was recorded last.
std::string error_text(const otlp::trace::v1::Span& span) {
    if (!span.status().message().empty()) { return cut(span.status().message(), text_bytes_max); }
    for (auto event = span.events().rbegin(); event != span.events().rend(); ++event) {
        if (event->name() != "exception") { continue; }
        const AnyValue* type = find(event->attributes(), "exception.type");
        const AnyValue* message = find(event->attributes(), "exception.message");
        std::string text = type == nullptr ? "" : value_text(*type, text_bytes_max);
        if (message == nullptr) { return text; }
        const std::string words = value_text(*message, text_bytes_max);
        if (!text.empty() && !words.empty()) { text += ": "; }
        return text + words;
    }
    return {};
}

// The first ones of a span or an event, and how many there were besides.
template <class Message>
void read_attributes(
    const Message& from, int count_max, TextAttributes& attributes, std::uint64_t& hidden) {
    const int count = std::min(from.attributes_size(), count_max);
    attributes.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        const auto& attribute = from.attributes(i);
        attributes.emplace_back(
            cut(attribute.key(), value_bytes_max), value_text(attribute.value(), value_bytes_max));
    }
    hidden = std::uint64_t{from.dropped_attributes_count()} +
             static_cast<std::uint64_t>(from.attributes_size() - count);
}

StoredEvent read_event(const otlp::trace::v1::Span::Event& event) {
    StoredEvent stored;
    stored.time_ns = event.time_unix_nano();
    stored.name = cut(event.name(), text_bytes_max);
    read_attributes(event, event_attributes_max, stored.attributes, stored.attributes_hidden);
    return stored;
}

template <std::size_t N>
BasicId<N> read_id(const std::string& bytes) {
    BasicId<N> id;
    if (bytes.size() == N) { std::memcpy(id.bytes.data(), bytes.data(), N); }
    return id;
}

} // namespace

std::string value_text(const AnyValue& value, std::size_t bytes_max) {
    std::string out;
    append_value(out, value, bytes_max);
    return out;
}

std::string service_name(const otlp::resource::v1::Resource& resource) {
    const AnyValue* name = find(resource.attributes(), "service.name");
    if (name == nullptr || name->string_value().empty()) { return "unknown_service"; }
    return cut(name->string_value(), text_bytes_max);
}

StoredSpan read_span(const otlp::trace::v1::Span& span, std::string_view service) {
    StoredSpan stored;
    stored.id = read_id<8>(span.span_id());
    stored.parent = read_id<8>(span.parent_span_id());
    stored.start_ns = span.start_time_unix_nano();
    stored.end_ns = span.end_time_unix_nano();
    stored.kind = span.kind();
    stored.status = span.status().code();
    stored.service = service;
    stored.name = cut(span.name(), text_bytes_max);
    if (stored.is_error()) { stored.error = error_text(span); }
    read_attributes(span, attributes_max, stored.attributes, stored.attributes_hidden);
    const int events = std::min(span.events_size(), events_max);
    stored.events.reserve(static_cast<std::size_t>(events));
    for (int i = 0; i < events; ++i) { stored.events.push_back(read_event(span.events(i))); }
    stored.events_hidden = std::uint64_t{span.dropped_events_count()} +
                           static_cast<std::uint64_t>(span.events_size() - events);
    return stored;
}

} // namespace weft::viewer
