#pragma once
// A finished span as plain values, for tests to look at: decoded from the bytes that would have been exported.

#include <weft/runtime/ids.hpp>
#include <weft/signals/span.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace weft::testing {

class Value;

/// Keys and their values in the order in which they were encoded. No key comes twice.
using Attributes = std::vector<std::pair<std::string, Value>>;

/// The value of an attribute, of any OpenTelemetry type. Equal values have one type: 1 is not 1.0.
class Value {
public:
    using Bytes = std::vector<std::byte>;
    using Array = std::vector<Value>;
    using Variant = std::variant<
        std::monostate, bool, std::int64_t, double, std::string, Bytes, Array, Attributes>;

    Value() noexcept = default; ///< The empty value.
    Value(std::same_as<bool> auto value) : data_(value) {}
    template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>) Value(T value)
        : data_(static_cast<std::int64_t>(value)) {}
    Value(std::floating_point auto value) : data_(static_cast<double>(value)) {}
    Value(std::string text) : data_(std::move(text)) {}
    Value(std::string_view text) : data_(std::string(text)) {}
    Value(const char* text) : data_(std::string(text)) {}
    Value(Bytes bytes) : data_(std::move(bytes)) {}
    Value(Array values) : data_(std::move(values)) {}
    Value(Attributes entries) : data_(std::move(entries)) {}

    [[nodiscard]] const Variant& variant() const noexcept { return data_; }
    /// The value if it is a T, else null: `value.get_if<std::int64_t>()`.
    template <class T>
    [[nodiscard]] const T* get_if() const noexcept {
        return std::get_if<T>(&data_);
    }
    friend bool operator==(const Value& a, const Value& b) { return a.data_ == b.data_; }

private:
    Variant data_;
};

/// The value of a key, or null.
[[nodiscard]] const Value* find(const Attributes& attributes, std::string_view key) noexcept;

/// A value as tests print it: texts in quotes, bytes in hex, `[...]` and `{...}`. At most 200 characters of a text.
[[nodiscard]] std::string to_text(const Value& value);

/// One event of a span.
struct FinishedEvent {
    std::string name;
    std::int64_t unix_ns = 0;
    Attributes attributes;
    std::uint32_t dropped_attributes = 0;
};

/// One link of a span.
struct FinishedLink {
    TraceId trace_id;
    SpanId span_id;
    std::string trace_state;
    std::uint32_t flags = 0; ///< As FinishedSpan::flags.
    Attributes attributes;
    std::uint32_t dropped_attributes = 0;
};

/// Which library made a span.
struct FinishedScope {
    std::string name;
    std::string version;
    std::string schema_url;
    Attributes attributes;
};

/// A span that has ended. Source: OTLP schema, trace.v1 `Span`.
struct FinishedSpan {
    std::string name;
    SpanKind kind = SpanKind::internal;
    TraceId trace_id;
    SpanId span_id;
    SpanId parent_id; ///< Invalid for the root of a trace.
    std::string trace_state;
    /// OTLP's SpanFlags: the W3C trace flags, and above them whether the parent is remote.
    std::uint32_t flags = 0;
    std::int64_t start_unix_ns = 0;
    std::int64_t end_unix_ns = 0;
    Attributes attributes;
    std::vector<FinishedEvent> events;
    std::vector<FinishedLink> links;
    StatusCode status = StatusCode::unset;
    std::string status_description;
    FinishedScope scope;
    Attributes resource; ///< Empty without a Runtime.
    std::uint32_t dropped_attributes = 0;
    std::uint32_t dropped_events = 0;
    std::uint32_t dropped_links = 0;

    [[nodiscard]] std::int64_t duration_ns() const noexcept { return end_unix_ns - start_unix_ns; }
    [[nodiscard]] bool is_root() const noexcept { return !parent_id.is_valid(); }
    /// Its parent is another program's: it came in a header.
    [[nodiscard]] bool has_remote_parent() const noexcept {
        return parent_id.is_valid() && (flags & 0x200U) != 0;
    }
    /// The value of an attribute, or null.
    [[nodiscard]] const Value* attribute(std::string_view key) const noexcept {
        return find(attributes, key);
    }
};

/// The first span of this name, or null.
[[nodiscard]] const FinishedSpan* find(
    const std::vector<FinishedSpan>& spans, std::string_view name) noexcept;

/// For GoogleTest's messages, which find these by their names: a value, a span as one line, spans as trees.
void PrintTo(const Value& value, std::ostream* out);
void PrintTo(const FinishedEvent& event, std::ostream* out);
void PrintTo(const FinishedLink& link, std::ostream* out);
void PrintTo(const FinishedSpan& span, std::ostream* out);
void PrintTo(const std::vector<FinishedSpan>& spans, std::ostream* out);

} // namespace weft::testing
