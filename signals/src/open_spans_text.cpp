#include <weft/signals/open_spans.hpp>

#include <fmt/format.h>

#include <iterator>

namespace weft {
namespace {

std::string_view word_for(OpenSpanState state) noexcept {
    switch (state) {
    case OpenSpanState::suspended:
        return "suspended";
    case OpenSpanState::running:
        return "running";
    case OpenSpanState::thread:
        return "on a thread";
    case OpenSpanState::detached:
        break;
    }
    return "detached";
}

std::string_view word_for(SpanKind kind) noexcept {
    switch (kind) {
    case SpanKind::server:
        return "server";
    case SpanKind::client:
        return "client";
    case SpanKind::producer:
        return "producer";
    case SpanKind::consumer:
        return "consumer";
    case SpanKind::internal:
        break;
    }
    return "internal";
}

// Names come from anywhere; what is printed must not steer a terminal.
std::string printable(std::string text) {
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) { c = '?'; }
    }
    return text;
}

std::string age_text(std::int64_t ns) {
    return fmt::format("{:.3f} s", static_cast<double>(ns) * 1e-9);
}

// "in "load order", awaits "read" for 1.200 s and 1 more"; empty when there is nothing to say.
std::string activity(const OpenSpan& span) {
    std::string text;
    if (span.innermost_span_id != span.span_id) {
        text = fmt::format("in \"{}\"", printable(span.innermost_name));
    }
    if (span.awaited_operations != 0) {
        text += fmt::format(
            "{}awaits \"{}\" for {}", text.empty() ? "" : ", ", printable(span.awaits),
            age_text(span.awaits_ns));
    }
    if (span.awaited_operations > 1) {
        text += fmt::format(" and {} more", span.awaited_operations - 1);
    }
    return text;
}

} // namespace

std::string to_text(std::span<const OpenSpan> spans) {
    std::string text = fmt::format(
        "{} open span{}{}\n", spans.size(), spans.size() == 1 ? "" : "s",
        spans.size() > 1 ? ", oldest first" : "");
    const auto out = std::back_inserter(text);
    for (const auto& span : spans) {
        fmt::format_to(
            out, "\n{:>12}  {}  ({}, {})\n", age_text(span.age_ns), printable(span.name),
            word_for(span.kind), word_for(span.state));
        if (const auto now = activity(span); !now.empty()) {
            fmt::format_to(out, "{:14}{}\n", "", now);
        }
        fmt::format_to(
            out, "{:14}trace {} span {} {} scope {}\n", "", span.trace_id.to_hex(),
            span.span_id.to_hex(),
            span.parent_span_id ? "parent " + span.parent_span_id.to_hex() : "root",
            printable(span.scope));
        if (span.where.line() != 0) {
            fmt::format_to(
                out, "{:14}{}:{}, {}\n", "", span.where.file_name(), span.where.line(),
                span.where.function_name());
        }
    }
    return text;
}

} // namespace weft
