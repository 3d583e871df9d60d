#include "wire_check.hpp"

#include <weft/runtime/utf8.hpp>

#include <array>
#include <cstdint>
#include <initializer_list>

namespace weft::detail {
namespace {

enum class Type : std::uint8_t {
    none,
    varint,
    fixed32,
    fixed64,
    bytes,
    id,
    text,
    packed64,
    packed,
    message
};

struct Message;
struct Field {
    std::uint32_t number = 0;
    Type type = Type::none;
    const Message* message = nullptr; // Of Type::message.
    std::size_t bytes = 0;            // Of Type::id.
};
struct Message {
    std::array<Field, 16> fields{};
};

// Source: OTLP schema. Declared first, because values nest in values.
extern const Message any_value;
extern const Message key_values;

constexpr Field attribute(std::uint32_t number, const Message& key_value) {
    return {number, Type::message, &key_value};
}

const Message array_value{{{{1, Type::message, &any_value}}}};
const Message key_value{{{{1, Type::text}, {2, Type::message, &any_value}}}};
const Message key_values{{{attribute(1, key_value)}}};
const Message any_value{
    {{{1, Type::text},
      {2, Type::varint},
      {3, Type::varint},
      {4, Type::fixed64},
      {5, Type::message, &array_value},
      {6, Type::message, &key_values},
      {7, Type::bytes}}}};
const Message resource{{{attribute(1, key_value), {2, Type::varint}}}};
const Message scope{
    {{{1, Type::text}, {2, Type::text}, attribute(3, key_value), {4, Type::varint}}}};

const Message event{
    {{{1, Type::fixed64}, {2, Type::text}, attribute(3, key_value), {4, Type::varint}}}};
const Message link{
    {{{1, Type::id, nullptr, 16},
      {2, Type::id, nullptr, 8},
      {3, Type::text},
      attribute(4, key_value),
      {5, Type::varint},
      {6, Type::fixed32}}}};
const Message status{{{{2, Type::text}, {3, Type::varint}}}};
const Message span{
    {{{1, Type::id, nullptr, 16},
      {2, Type::id, nullptr, 8},
      {3, Type::text},
      {4, Type::id, nullptr, 8},
      {5, Type::text},
      {6, Type::varint},
      {7, Type::fixed64},
      {8, Type::fixed64},
      attribute(9, key_value),
      {10, Type::varint},
      {11, Type::message, &event},
      {12, Type::varint},
      {13, Type::message, &link},
      {14, Type::varint},
      {15, Type::message, &status},
      {16, Type::fixed32}}}};
const Message spans{{{{2, Type::message, &span}}}};

const Message exemplar{
    {{{2, Type::fixed64},
      {3, Type::fixed64},
      {4, Type::id, nullptr, 8},
      {5, Type::id, nullptr, 16},
      {6, Type::fixed64},
      attribute(7, key_value)}}};
const Message number_point{
    {{{2, Type::fixed64},
      {3, Type::fixed64},
      {4, Type::fixed64},
      {5, Type::message, &exemplar},
      {6, Type::fixed64},
      attribute(7, key_value),
      {8, Type::varint}}}};
const Message histogram_point{
    {{{2, Type::fixed64},
      {3, Type::fixed64},
      {4, Type::fixed64},
      {5, Type::fixed64},
      {6, Type::packed64},
      {7, Type::packed64},
      {8, Type::message, &exemplar},
      attribute(9, key_value),
      {10, Type::varint},
      {11, Type::fixed64},
      {12, Type::fixed64}}}};
const Message buckets{{{{1, Type::varint}, {2, Type::packed}}}};
const Message exponential_point{
    {{attribute(1, key_value),
      {2, Type::fixed64},
      {3, Type::fixed64},
      {4, Type::fixed64},
      {5, Type::fixed64},
      {6, Type::varint},
      {7, Type::fixed64},
      {8, Type::message, &buckets},
      {9, Type::message, &buckets},
      {10, Type::varint},
      {11, Type::message, &exemplar},
      {12, Type::fixed64},
      {13, Type::fixed64},
      {14, Type::fixed64}}}};
const Message gauge{{{{1, Type::message, &number_point}}}};
const Message sum{{{{1, Type::message, &number_point}, {2, Type::varint}, {3, Type::varint}}}};
const Message histogram{{{{1, Type::message, &histogram_point}, {2, Type::varint}}}};
const Message exponential{{{{1, Type::message, &exponential_point}, {2, Type::varint}}}};
const Message metric{
    {{{1, Type::text},
      {2, Type::text},
      {3, Type::text},
      {5, Type::message, &gauge},
      {7, Type::message, &sum},
      {9, Type::message, &histogram},
      {10, Type::message, &exponential},
      attribute(12, key_value)}}};
const Message metrics{{{{2, Type::message, &metric}}}};

bool read_varint(std::string_view& rest, std::uint64_t& value) noexcept {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(rest.front());
        rest.remove_prefix(1);
        value |= std::uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) { return true; }
    }
    return false;
}

bool skip(std::string_view& rest, std::size_t bytes) noexcept {
    if (rest.size() < bytes) { return false; }
    rest.remove_prefix(bytes);
    return true;
}

bool are_varints(std::string_view rest) noexcept {
    std::uint64_t value = 0;
    while (!rest.empty()) { // Bound: each turn takes a byte or more.
        if (!read_varint(rest, value)) { return false; }
    }
    return true;
}

// Takes the content of a field of wire type 2.
bool read_content(std::string_view& rest, std::string_view& content) noexcept {
    std::uint64_t size = 0;
    if (!read_varint(rest, size) || size > rest.size()) { return false; }
    content = rest.substr(0, size);
    rest.remove_prefix(size);
    return true;
}

const Field* field_of(const Message& message, std::uint64_t number) noexcept {
    for (const Field& field : message.fields) {
        if (field.number == number && field.type != Type::none) { return &field; }
    }
    return nullptr;
}

bool is_message(std::string_view rest, const Message& message, int depth) noexcept;

bool is_content(std::string_view content, const Field& field, int depth) noexcept {
    switch (field.type) {
    case Type::message:
        return is_message(content, *field.message, depth - 1);
    case Type::text:
        return is_utf8(content);
    case Type::id:
        return content.size() == field.bytes || content.empty();
    case Type::packed64:
        return content.size() % 8 == 0;
    case Type::packed:
        return are_varints(content);
    default:
        return true;
    }
}

// Bound: each turn takes a byte or more; depth.
bool is_message(std::string_view rest, const Message& message, int depth) noexcept {
    if (depth == 0) { return false; }
    while (!rest.empty()) {
        std::uint64_t tag = 0;
        std::uint64_t value = 0;
        std::string_view content;
        if (!read_varint(rest, tag)) { return false; }
        const Field* field = field_of(message, tag >> 3);
        if (field == nullptr) { return false; }
        bool is_good = false;
        switch (field->type) {
        case Type::varint:
            is_good = (tag & 7) == 0 && read_varint(rest, value);
            break;
        case Type::fixed64:
            is_good = (tag & 7) == 1 && skip(rest, 8);
            break;
        case Type::fixed32:
            is_good = (tag & 7) == 5 && skip(rest, 4);
            break;
        default:
            is_good =
                (tag & 7) == 2 && read_content(rest, content) && is_content(content, *field, depth);
        }
        if (!is_good) { return false; }
    }
    return true;
}

constexpr int depth_max = 100; // Protobuf's own limit.

bool is_one_field(std::span<const std::byte> field, const Message& of) noexcept {
    std::string_view rest(reinterpret_cast<const char*>(field.data()), field.size());
    constexpr char tag = 0x12; // ScopeSpans.spans and ScopeMetrics.metrics.
    if (rest.empty() || rest.front() != tag) { return false; }
    std::string_view after = rest.substr(1);
    std::string_view content;
    return read_content(after, content) && after.empty() && is_message(rest, of, depth_max - 3);
}

} // namespace

bool is_span_field(std::span<const std::byte> field) noexcept { return is_one_field(field, spans); }
bool is_metric_field(std::span<const std::byte> field) noexcept {
    return is_one_field(field, metrics);
}
bool is_resource(std::string_view message) noexcept {
    return is_message(message, resource, depth_max - 2);
}
bool is_scope(std::string_view message) noexcept {
    return is_message(message, scope, depth_max - 3);
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) { // Bound: each turn takes a byte or more.
        const auto point = leading_code_point(text);
        if (!point.is_good) { return false; }
        text.remove_prefix(point.size);
    }
    return true;
}

std::string_view resource_text(std::string_view message, std::string_view key) noexcept {
    std::string_view found;
    if (!is_resource(message)) { return found; }
    while (!message.empty()) { // Bound: each turn takes a field off.
        std::uint64_t tag = 0;
        std::string_view pair;
        if (!read_varint(message, tag) || tag != 0x0a || !read_content(message, pair)) { break; }
        std::string_view name;
        std::string_view value;
        std::string_view text;
        if (read_varint(pair, tag) && tag == 0x0a && read_content(pair, name) && name == key &&
            read_varint(pair, tag) && tag == 0x12 && read_content(pair, value) &&
            read_varint(value, tag) && tag == 0x0a && read_content(value, text)) {
            found = text;
        }
    }
    return found;
}

} // namespace weft::detail
