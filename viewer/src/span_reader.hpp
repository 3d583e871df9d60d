#pragma once
#include <weft/viewer/trace_store.hpp>

#include <string>
#include <string_view>

namespace weft::otlp::common::v1 {
class AnyValue;
}
namespace weft::otlp::resource::v1 {
class Resource;
}
namespace weft::otlp::trace::v1 {
class Span;
}

namespace weft::viewer {

/// The resource's service.name, or "unknown_service".
[[nodiscard]] std::string service_name(const otlp::resource::v1::Resource& resource);

/// What the store keeps of a span that passed check(). Long texts are cut and attributes past 64
/// left out.
[[nodiscard]] StoredSpan read_span(const otlp::trace::v1::Span& span, std::string_view service);

/// A value as one line of text of about `bytes_max` bytes at most: 7, true, [1, 2], {key=value}, <3
/// bytes>.
[[nodiscard]] std::string value_text(
    const otlp::common::v1::AnyValue& value, std::size_t bytes_max);

} // namespace weft::viewer
