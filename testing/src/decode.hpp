#pragma once
// OTLP trace bytes into plain values. The bytes are weft's own: what is not well-formed throws protozero::exception.

#include <weft/testing/finished_span.hpp>

#include <string_view>
#include <vector>

namespace weft::testing::detail {

/// A Span message.
[[nodiscard]] FinishedSpan decode_span(std::string_view message);
/// The one Span that a record's body is: a `spans` field of ScopeSpans.
[[nodiscard]] FinishedSpan decode_record(std::string_view body);
/// An InstrumentationScope message.
[[nodiscard]] FinishedScope decode_scope(std::string_view message);
/// Appends the spans of an ExportTraceServiceRequest message.
void decode_request(std::string_view message, std::vector<FinishedSpan>& out);

} // namespace weft::testing::detail
