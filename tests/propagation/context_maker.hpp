#pragma once
// Contexts and carriers for the tests of the formats.
#include <weft/propagation/propagated_context.hpp>
#include <weft/propagation/trace_context.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::testing {

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::string_view trace_hex = "0af7651916cd43dd8448eb211c80319c";
inline constexpr std::string_view span_hex = "b7ad6b7169203331";

[[nodiscard]] inline TraceContext context_of(
    std::uint8_t flags, std::string_view trace = trace_hex, std::string_view span = span_hex) {
    TraceContext context;
    context.span.trace_id = *TraceId::from_hex(trace);
    context.span.span_id = *SpanId::from_hex(span);
    context.span.flags = flags;
    context.span.is_remote = true;
    return context;
}

[[nodiscard]] inline TraceContext with_state(TraceContext context, std::string_view state) {
    context.state = *w3c::parse_tracestate(state);
    return context;
}

/// The value of the only field of this very name, casing included.
[[nodiscard]] inline std::string value_of(const Pairs& pairs, std::string_view name) {
    std::string found = "(absent)";
    for (const auto& [key, value] : pairs) {
        if (key == name) { found = found == "(absent)" ? value : "(repeated)"; }
    }
    return found;
}

} // namespace weft::testing
