#include "wire.hpp"

#include "utf8.hpp"

#include <weft/runtime/fork.hpp>
#include <weft/runtime/pool.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace weft::detail::wire {
namespace {

struct SmallChunk : PoolItem<SmallChunk> {
    static constexpr std::uint32_t bytes = 4096 - 16;
    char data[bytes];
};
struct LargeChunk : PoolItem<LargeChunk> {
    static constexpr std::uint32_t bytes = 32768 - 16;
    char data[bytes];
};
using SmallChunks =
    StablePool<SmallChunk, 64, 1024>; // At most 256 MiB of spans that are open at once;
using LargeChunks = StablePool<LargeChunk, 8, 1024>; // beyond that the heap serves.
[[maybe_unused]] ForkGuard small_at_fork(ForkOrder::leaf, SmallChunks::mutex());
[[maybe_unused]] ForkGuard large_at_fork(ForkOrder::leaf, LargeChunks::mutex());

void put_value(
    Buffer& out, const AttributeValue& value, ValueLimits limits, std::uint32_t depth) noexcept;

void put_nested_value(
    Buffer& out, char tag, const AttributeValue& value, ValueLimits limits,
    std::uint32_t depth) noexcept {
    const auto start = out.begin_message(tag);
    put_value(out, value, limits, depth);
    out.end_message(start);
}

template <class T>
void put_array(
    Buffer& out, std::span<const T> values, ValueLimits limits, std::uint32_t depth) noexcept {
    const auto start = out.begin_message(any_array);
    for (const T& element : values) {
        if (out.failed()) { return; }
        put_nested_value(out, repeated_values, AttributeValue(element), limits, depth + 1);
    }
    out.end_message(start);
}

bool equal_later(std::span<const Attribute> attributes, std::size_t index) noexcept {
    const auto& key = attributes[index].key;
    const auto later = attributes.subspan(index + 1);
    if (later.empty()) { return false; }
    const bool ascii = is_ascii(key);
    return std::any_of(later.begin(), later.end(), [&](const Attribute& other) {
        return other.key == key || (!ascii && are_equal_repaired(other.key, key));
    });
}

void put_map(
    Buffer& out, std::span<const Attribute> entries, ValueLimits limits,
    std::uint32_t depth) noexcept {
    const auto start = out.begin_message(any_map);
    for (std::size_t i = 0; i < entries.size() && !out.failed(); ++i) {
        if (equal_later(entries, i)) { continue; } // Keys of a map are unique: the last wins.
        const auto entry = out.begin_message(repeated_values);
        out.put_text_field(key_value_key, entries[i].key, SpanLimits::unlimited);
        put_nested_value(out, key_value_value, entries[i].value, limits, depth + 1);
        out.end_message(entry);
    }
    out.end_message(start);
}

void put_text_of_unsigned(Buffer& out, std::uint64_t value) noexcept {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.put_bytes_field(any_string, digits, static_cast<std::size_t>(end - digits));
}

// The content of an AnyValue. Arrays and maps below the depth limit become the empty value.
void put_value(
    Buffer& out, const AttributeValue& value, ValueLimits limits, std::uint32_t depth) noexcept {
    using Type = AttributeValue::Type;
    const bool too_deep = depth > limits.depth;
    switch (value.type()) {
    case Type::empty:
        return;
    case Type::boolean:
        return out.put_varint_field(any_bool, value.boolean() ? 1 : 0);
    case Type::integer:
        return out.put_varint_field(any_int, static_cast<std::uint64_t>(value.integer()));
    case Type::large_unsigned:
        return put_text_of_unsigned(out, static_cast<std::uint64_t>(value.integer()));
    case Type::floating:
        return out.put_fixed64_field(any_double, std::bit_cast<std::uint64_t>(value.floating()));
    case Type::string:
        return out.put_text_field(any_string, value.string(), limits.length);
    case Type::bytes: {
        const auto bytes = value.elements<std::byte>();
        return out.put_bytes_field(
            any_bytes, bytes.data(), std::min<std::size_t>(bytes.size(), limits.length));
    }
    default:
        break;
    }
    if (too_deep) { return; }
    switch (value.type()) {
    case Type::boolean_array:
        return put_array(out, value.elements<bool>(), limits, depth);
    case Type::integer_array:
        return put_array(out, value.elements<std::int64_t>(), limits, depth);
    case Type::floating_array:
        return put_array(out, value.elements<double>(), limits, depth);
    case Type::string_array:
        return put_array(out, value.elements<std::string>(), limits, depth);
    case Type::string_view_array:
        return put_array(out, value.elements<std::string_view>(), limits, depth);
    case Type::array:
        return put_array(out, value.elements<AttributeValue>(), limits, depth);
    case Type::map:
        return put_map(out, value.elements<Attribute>(), limits, depth);
    default:
        return;
    }
}

// The common case in one piece: a short clean key, a scalar or a short clean text, one-byte lengths throughout.
// Null when the case is not common.
char* put_short(
    char* p, char tag, std::string_view key, const AttributeValue& value,
    std::uint32_t length_limit) noexcept {
    using Type = AttributeValue::Type;
    char* const start = p;
    p += 2;
    *p++ = key_value_key;
    *p++ = static_cast<char>(key.size());
    if (!copy_ascii(p, key.data(), key.size())) { return nullptr; }
    p += key.size();
    *p++ = key_value_value;
    char* const value_length = p++;
    switch (value.type()) {
    case Type::boolean:
        *p++ = any_bool;
        *p++ = value.boolean() ? 1 : 0;
        break;
    case Type::integer:
        *p++ = any_int;
        p = put_varint(p, static_cast<std::uint64_t>(value.integer()));
        break;
    case Type::floating:
        *p++ = any_double;
        p = put_fixed64(p, std::bit_cast<std::uint64_t>(value.floating()));
        break;
    case Type::string: {
        const auto text = value.string();
        if (text.size() > length_limit) { return nullptr; }
        *p++ = any_string;
        *p++ = static_cast<char>(text.size());
        if (!copy_ascii(p, text.data(), text.size())) { return nullptr; }
        p += text.size();
        break;
    }
    default:
        return nullptr;
    }
    *value_length = static_cast<char>(p - value_length - 1);
    start[0] = tag;
    start[1] = static_cast<char>(p - start - 2);
    return p;
}

constexpr std::size_t short_message_max = 127;
constexpr std::size_t short_overhead = 18; // Tags, lengths and the longest scalar.

} // namespace

bool Buffer::grow(std::size_t bytes) noexcept {
    const std::size_t wanted = size_ + bytes;
    if (failed_ || wanted > size_max_) {
        failed_ = true;
        return false;
    }
    char* data = nullptr;
    void* owned = nullptr;
    std::uint32_t capacity = 0;
    Source source = Source::heap;
    if (wanted <= SmallChunk::bytes) {
        if (auto* chunk = SmallChunks::acquire(); chunk != nullptr) {
            data = chunk->data;
            owned = chunk;
            capacity = std::min(SmallChunk::bytes, size_max_);
            source = Source::small_chunk;
        }
    } else if (wanted <= LargeChunk::bytes) {
        if (auto* chunk = LargeChunks::acquire(); chunk != nullptr) {
            data = chunk->data;
            owned = chunk;
            capacity = std::min(LargeChunk::bytes, size_max_);
            source = Source::large_chunk;
        }
    }
    if (data == nullptr) {
        capacity = static_cast<std::uint32_t>(std::min<std::size_t>(2 * wanted, size_max_));
        data = static_cast<char*>(std::malloc(capacity));
        owned = data;
        if (data == nullptr) {
            failed_ = true;
            return false;
        }
    }
    put_bytes(data, data_, size_);
    release();
    data_ = data;
    owned_ = owned;
    capacity_ = capacity;
    source_ = source;
    return true;
}

void Buffer::release_slow() noexcept {
    switch (source_) {
    case Source::owner:
        return;
    case Source::small_chunk:
        SmallChunks::release(static_cast<SmallChunk*>(owned_));
        break;
    case Source::large_chunk:
        LargeChunks::release(static_cast<LargeChunk*>(owned_));
        break;
    case Source::heap:
        std::free(owned_);
        break;
    }
    source_ = Source::owner;
}

void Buffer::end_long_message(std::uint32_t start, std::uint32_t length) noexcept {
    const auto extra = static_cast<std::uint32_t>(protozero::length_of_varint(length)) - 1;
    if (room(extra) == nullptr) { return; }
    std::memmove(data_ + start + extra, data_ + start, length);
    put_varint(data_ + start - 1, length);
    size_ += extra;
}

void Buffer::put_bytes_field(char tag, const void* data, std::size_t size) noexcept {
    if (char* p = room(size + 11); p != nullptr) {
        *p = tag;
        advance_to(put_bytes(put_varint(p + 1, size), data, size));
    }
}

void Buffer::put_text_field(
    char tag, std::string_view text, std::uint32_t code_points_max) noexcept {
    if (text.size() < 128 && text.size() <= code_points_max) {
        if (char* p = room(text.size() + 2);
            p != nullptr && copy_ascii(p + 2, text.data(), text.size())) {
            p[0] = tag;
            p[1] = static_cast<char>(text.size());
            advance_to(p + 2 + text.size());
            return;
        }
    }
    if (is_ascii(text)) {
        return put_bytes_field(
            tag, text.data(), std::min<std::size_t>(text.size(), code_points_max));
    }
    const auto start =
        begin_message(tag); // A text field has the shape of a message: length, then content.
    if (char* p = room(repaired_size(text, code_points_max)); p != nullptr) {
        advance_to(copy_repaired(text, code_points_max, p));
    }
    end_message(start);
}

bool put_attribute(
    Buffer& out, char tag, std::string_view key, const AttributeValue& value,
    ValueLimits limits) noexcept {
    if (key.empty() || out.failed()) { return false; }
    const std::size_t text =
        value.type() == AttributeValue::Type::string ? value.string().size() : 0;
    if (key.size() + text + short_overhead <= short_message_max) [[likely]] {
        if (char* p = out.room(short_message_max); p != nullptr) {
            if (char* end = put_short(p, tag, key, value, limits.length); end != nullptr) {
                out.advance_to(end);
                return true;
            }
        }
    }
    const auto mark = out.size();
    out.roll_back(mark); // A short try that found no room is no failure yet.
    const auto start = out.begin_message(tag);
    out.put_text_field(key_value_key, key, SpanLimits::unlimited);
    put_nested_value(out, key_value_value, value, limits, 1);
    out.end_message(start);
    if (out.failed()) {
        out.roll_back(mark);
        return false;
    }
    return true;
}

std::uint32_t put_attributes(
    Buffer& out, char tag, std::span<const Attribute> attributes, std::uint32_t count_max,
    ValueLimits limits) noexcept {
    std::uint32_t kept = 0;
    std::uint32_t discarded = 0;
    for (std::size_t i = 0; i < attributes.size(); ++i) {
        if (equal_later(attributes, i)) { continue; }
        if (kept < count_max &&
            put_attribute(out, tag, attributes[i].key, attributes[i].value, limits)) {
            ++kept;
        } else {
            ++discarded;
        }
    }
    return discarded;
}

} // namespace weft::detail::wire
