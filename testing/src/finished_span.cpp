#include <weft/testing/finished_span.hpp>
#include <weft/testing/span_tree.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

namespace weft::testing {
namespace {

constexpr std::size_t text_chars_max = 200;

void put_quoted(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text.substr(0, text_chars_max)) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
            out += c; // Valid UTF-8 by weft's own encoder, but for where it is cut.
        }
    }
    out += text.size() > text_chars_max ? "\"..." : "\"";
}

struct ToText {
    std::string& out;

    void operator()(std::monostate) const { out += "(empty)"; }
    void operator()(bool value) const { out += value ? "true" : "false"; }
    void operator()(std::int64_t value) const { out += fmt::format("{}", value); }
    void operator()(double value) const {
        const auto text = fmt::format("{}", value);
        out += text;
        if (text.find_first_not_of("-0123456789") == std::string::npos) { out += ".0"; }
    }
    void operator()(const std::string& value) const { put_quoted(out, value); }
    void operator()(const Value::Bytes& value) const {
        out += "0x";
        for (const auto byte : std::span(value).first(std::min(value.size(), text_chars_max / 2))) {
            out += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
        }
        if (value.size() > text_chars_max / 2) { out += "..."; }
    }
    void operator()(const Value::Array& values) const {
        out += '[';
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (i != 0) { out += ", "; }
            std::visit(*this, values[i].variant());
        }
        out += ']';
    }
    void operator()(const Attributes& entries) const {
        out += '{';
        for (std::size_t i = 0; i < entries.size(); ++i) {
            if (i != 0) { out += ", "; }
            put_quoted(out, entries[i].first);
            out += ": ";
            std::visit(*this, entries[i].second.variant());
        }
        out += '}';
    }
};

} // namespace

const Value* find(const Attributes& attributes, std::string_view key) noexcept {
    const auto found = std::find_if(attributes.begin(), attributes.end(), [&](const auto& entry) {
        return entry.first == key;
    });
    return found == attributes.end() ? nullptr : &found->second;
}

const FinishedSpan* find(const std::vector<FinishedSpan>& spans, std::string_view name) noexcept {
    const auto found = std::find_if(
        spans.begin(), spans.end(), [&](const FinishedSpan& span) { return span.name == name; });
    return found == spans.end() ? nullptr : &*found;
}

std::string to_text(const Value& value) {
    std::string out;
    std::visit(ToText{out}, value.variant());
    return out;
}

void PrintTo(const Value& value, std::ostream* out) { *out << to_text(value); }

void PrintTo(const FinishedEvent& event, std::ostream* out) {
    *out << "event " << to_text(Value(event.name)) << ' ' << to_text(Value(event.attributes));
}

void PrintTo(const FinishedLink& link, std::ostream* out) {
    *out << "link to trace " << link.trace_id.to_hex() << ", span " << link.span_id.to_hex() << ' '
         << to_text(Value(link.attributes));
}

void PrintTo(const FinishedSpan& span, std::ostream* out) {
    *out << to_line(span) << " (trace " << span.trace_id.to_hex() << ", span "
         << span.span_id.to_hex();
    if (!span.is_root()) { *out << ", parent " << span.parent_id.to_hex(); }
    *out << ')';
}

void PrintTo(const std::vector<FinishedSpan>& spans, std::ostream* out) {
    *out << '\n' << to_tree_text(spans);
}

} // namespace weft::testing
