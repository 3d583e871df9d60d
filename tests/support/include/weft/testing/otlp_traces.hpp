#pragma once
// Short ways to write OTLP trace requests in tests.
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::testing {

using TraceRequest = otlp::collector::trace::v1::ExportTraceServiceRequest;

/// An id of `size` bytes that ends in `number`, big-endian.
[[nodiscard]] inline std::string id_bytes(std::size_t size, std::uint64_t number) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < 8 && i < size; ++i) {
        bytes[size - 1 - i] = static_cast<char>(number >> (8 * i));
    }
    return bytes;
}

/// What tells one test span from another; the rest is filled in.
struct SpanSpec {
    std::uint64_t trace = 1;
    std::uint64_t span = 1;
    std::uint64_t parent = 0; // 0: a root.
    std::string name = "work";
    std::uint64_t start_us = 0;
    std::uint64_t duration_us = 1000;
};

/// The moment from which SpanSpec counts: 2023-11-14T22:13:20Z.
inline constexpr std::uint64_t epoch_ns = 1'700'000'000'000'000'000;

/// Adds a span of that service, under a resource and a scope of its own.
inline otlp::trace::v1::Span& add_span(
    TraceRequest& request, std::string_view service, const SpanSpec& spec) {
    auto& resource = *request.add_resource_spans();
    auto& name = *resource.mutable_resource()->add_attributes();
    name.set_key("service.name");
    name.mutable_value()->set_string_value(std::string(service));
    auto& span = *resource.add_scope_spans()->add_spans();
    span.set_trace_id(id_bytes(16, spec.trace));
    span.set_span_id(id_bytes(8, spec.span));
    if (spec.parent != 0) { span.set_parent_span_id(id_bytes(8, spec.parent)); }
    span.set_name(spec.name);
    span.set_kind(otlp::trace::v1::Span::SPAN_KIND_INTERNAL);
    span.set_start_time_unix_nano(epoch_ns + spec.start_us * 1000);
    span.set_end_time_unix_nano(epoch_ns + (spec.start_us + spec.duration_us) * 1000);
    return span;
}

inline void add_attribute(
    otlp::trace::v1::Span& span, std::string_view key, std::string_view value) {
    auto& attribute = *span.add_attributes();
    attribute.set_key(std::string(key));
    attribute.mutable_value()->set_string_value(std::string(value));
}

inline void add_attribute(otlp::trace::v1::Span& span, std::string_view key, std::int64_t value) {
    auto& attribute = *span.add_attributes();
    attribute.set_key(std::string(key));
    attribute.mutable_value()->set_int_value(value);
}

} // namespace weft::testing
