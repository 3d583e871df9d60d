#pragma once
// Protobuf wire encoding of attributes into a growing buffer.
//
// Nested messages are written with one byte left for their length, which is filled in afterwards; only when the
// content turns out to need more than 127 bytes is it moved up. Nearly every attribute is shorter.

#include <weft/signals/attribute.hpp>
#include <weft/signals/limits.hpp>

#include <protozero/varint.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace weft::detail::wire {

// Tag bytes: field number << 3 | wire type. Source: OTLP schema, common.v1 and trace.v1.
inline constexpr char key_value_key = 0x0a;
inline constexpr char key_value_value = 0x12;
inline constexpr char any_string = 0x0a;
inline constexpr char any_bool = 0x10;
inline constexpr char any_int = 0x18;
inline constexpr char any_double = 0x21;
inline constexpr char any_array = 0x2a;
inline constexpr char any_map = 0x32;
inline constexpr char any_bytes = 0x3a;
inline constexpr char repeated_values = 0x0a;

inline char* put_varint(char* out, std::uint64_t value) noexcept {
    return out + protozero::add_varint_to_buffer(out, value);
}
inline char* put_fixed64(char* out, std::uint64_t value) noexcept {
    static_assert(
        std::endian::native == std::endian::little, "fixed64 is little-endian on the wire");
    std::memcpy(out, &value, sizeof value);
    return out + sizeof value;
}
inline char* put_fixed32(char* out, std::uint32_t value) noexcept {
    std::memcpy(out, &value, sizeof value);
    return out + sizeof value;
}
inline char* put_bytes(char* out, const void* data, std::size_t size) noexcept {
    if (size != 0) { std::memcpy(out, data, size); }
    return out + size;
}

/// A byte buffer that starts in storage of its owner's and moves to pooled chunks, then to the heap, up to a bound.
/// Nothing here throws: a write that does not fit sets `failed()`, and the caller rolls back to a mark.
class Buffer {
public:
    void reset(char* storage, std::uint32_t capacity, std::uint32_t size_max) noexcept {
        data_ = storage;
        capacity_ = capacity;
        size_max_ = size_max;
        size_ = 0;
        failed_ = false;
        source_ = Source::owner;
    }
    /// Gives back what the buffer grew into.
    void release() noexcept {
        if (source_ != Source::owner) [[unlikely]] { release_slow(); }
    }

    [[nodiscard]] char* data() const noexcept { return data_; }
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    void roll_back(std::uint32_t mark) noexcept {
        size_ = mark;
        failed_ = false;
    }

    /// Where the next `bytes` may be written, or null. `advance_to` takes what was written.
    [[nodiscard]] char* room(std::size_t bytes) noexcept {
        if (bytes <= capacity_ - size_) [[likely]] { return data_ + size_; }
        return grow(bytes) ? data_ + size_ : nullptr;
    }
    void advance_to(const char* end) noexcept { size_ = static_cast<std::uint32_t>(end - data_); }

    void put_tag(char tag) noexcept {
        if (char* p = room(1); p != nullptr) { *p = tag, ++size_; }
    }
    void put_varint_field(char tag, std::uint64_t value) noexcept {
        if (char* p = room(11); p != nullptr) {
            *p = tag;
            advance_to(put_varint(p + 1, value));
        }
    }
    void put_fixed64_field(char tag, std::uint64_t value) noexcept {
        if (char* p = room(9); p != nullptr) {
            *p = tag;
            advance_to(put_fixed64(p + 1, value));
        }
    }
    void put_bytes_field(char tag, const void* data, std::size_t size) noexcept;
    /// Text, repaired where it is not UTF-8 and cut at `code_points_max`.
    void put_text_field(char tag, std::string_view text, std::uint32_t code_points_max) noexcept;

    /// A nested message: `end_message(begin_message(tag))` around its fields.
    [[nodiscard]] std::uint32_t begin_message(char tag) noexcept {
        if (char* p = room(2); p != nullptr) {
            p[0] = tag;
            size_ += 2;
        }
        return size_;
    }
    void end_message(std::uint32_t start) noexcept {
        if (failed_) { return; }
        const std::uint32_t length = size_ - start;
        if (length < 128) [[likely]] {
            data_[start - 1] = static_cast<char>(length);
        } else {
            end_long_message(start, length);
        }
    }

    /// Removes [at, at + count) from the middle.
    void erase(std::uint32_t at, std::uint32_t count) noexcept {
        std::memmove(data_ + at, data_ + at + count, size_ - at - count);
        size_ -= count;
    }

private:
    enum class Source : std::uint8_t { owner, small_chunk, large_chunk, heap };
    bool grow(std::size_t bytes) noexcept;
    void release_slow() noexcept;
    void end_long_message(std::uint32_t start, std::uint32_t length) noexcept;

    char* data_ = nullptr;
    void* owned_ = nullptr; // The chunk or heap block that data_ lies in, to give back.
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = 0;
    std::uint32_t size_max_ = 0;
    bool failed_ = false;
    Source source_ = Source::owner;
};

struct ValueLimits {
    std::uint32_t length = SpanLimits::unlimited;
    std::uint32_t depth = SpanLimits{}.attribute_value_depth;
};

/// One KeyValue field. Returns false, leaving the buffer as it was, when it does not fit or the key is empty.
bool put_attribute(
    Buffer& out, char tag, std::string_view key, const AttributeValue& value,
    ValueLimits limits) noexcept;

/// All of `attributes` as KeyValue fields: the last of equal keys wins, at most `count_max` distinct ones are kept.
/// Returns how many were discarded.
std::uint32_t put_attributes(
    Buffer& out, char tag, std::span<const Attribute> attributes, std::uint32_t count_max,
    ValueLimits limits) noexcept;

} // namespace weft::detail::wire
