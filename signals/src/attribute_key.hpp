#pragma once
// An attribute set as bytes that can be hashed and compared: what a thread looks its series up by.
//
// The bytes hold the attributes in the order in which they were given, so that the same set in another order is another
// key of the same series. Only a key that has not been seen yet is sorted and encoded as OTLP.
//
//   attribute = key length (4 bytes), key, type (1 byte), value: 8 bytes, or length (4 bytes) and bytes

#include <weft/signals/attribute.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

/// The key of one measurement, in storage of its own. Never throws; a set that does not fit is `too_large`.
class AttributeKey {
public:
    static constexpr std::size_t inline_bytes = 512;
    static constexpr std::size_t bytes_max = 64 * 1024;

    explicit AttributeKey(std::span<const Attribute> attributes) noexcept {
        for (const auto& attribute : attributes) { put(attribute); }
    }
    /// `common`: the bytes of another key, whose attributes come first.
    AttributeKey(std::string_view common, std::span<const Attribute> attributes) noexcept {
        if (!common.empty()) {
            if (char* const p = room(common.size()); p != nullptr) {
                std::memcpy(p, common.data(), common.size());
                size_ += common.size();
            }
        }
        for (const auto& attribute : attributes) { put(attribute); }
    }
    AttributeKey(const AttributeKey&) = delete;
    AttributeKey& operator=(const AttributeKey&) = delete;
    ~AttributeKey() {
        if (data_ != inline_) [[unlikely]] { release(); }
    }

    [[nodiscard]] bool too_large() const noexcept { return failed_; }
    [[nodiscard]] std::string_view bytes() const noexcept { return {data_, size_}; }

private:
    void put(const Attribute& attribute) noexcept {
        const auto& value = attribute.value;
        const std::size_t key_size = attribute.key.size();
        if (key_size == 0) [[unlikely]] { return; } // No attribute at all.
        switch (value.type()) {
        case AttributeValue::Type::boolean:
        case AttributeValue::Type::integer:
        case AttributeValue::Type::floating: {
            char* p = room(key_size + 13);
            if (p == nullptr) { return; }
            p = put_key(p, attribute.key);
            *p++ = static_cast<char>(value.type());
            std::uint64_t bits;
            if (value.type() == AttributeValue::Type::floating) {
                const double floating = value.floating();
                std::memcpy(&bits, &floating, sizeof bits);
            } else {
                bits = static_cast<std::uint64_t>(value.integer());
            }
            std::memcpy(p, &bits, sizeof bits);
            size_ += key_size + 13;
            return;
        }
        case AttributeValue::Type::string: {
            const auto text = value.string();
            char* p = room(key_size + 9 + text.size());
            if (p == nullptr) { return; }
            p = put_key(p, attribute.key);
            *p++ = static_cast<char>(AttributeValue::Type::string);
            p = put_length(p, text.size());
            copy(p, text);
            size_ += key_size + 9 + text.size();
            return;
        }
        default:
            put_encoded(attribute);
        }
    }
    void put_encoded(
        const Attribute& attribute) noexcept; // Arrays, maps, bytes and the like, as an AnyValue.

    static char* put_length(char* p, std::size_t length) noexcept {
        const auto narrow = static_cast<std::uint32_t>(length);
        std::memcpy(p, &narrow, sizeof narrow);
        return p + sizeof narrow;
    }
    static char* put_key(char* p, std::string_view key) noexcept {
        p = put_length(p, key.size());
        copy(p, key);
        return p + key.size();
    }
    // Short texts are the rule, and a call to memcpy costs more than they do.
    static void copy(char* to, std::string_view text) noexcept {
        const std::size_t size = text.size();
        if (size >= 8 && size <= 64) [[likely]] {
            for (std::size_t i = 0; i + 8 < size; i += 8) {
                std::memcpy(to + i, text.data() + i, 8);
            }
            std::memcpy(to + size - 8, text.data() + size - 8, 8);
        } else if (size >= 4 && size < 8) {
            std::memcpy(to, text.data(), 4);
            std::memcpy(to + size - 4, text.data() + size - 4, 4);
        } else if (size < 4) {
            for (std::size_t i = 0; i < size; ++i) { to[i] = text[i]; }
        } else {
            std::memcpy(to, text.data(), size);
        }
    }
    [[nodiscard]] char* room(std::size_t bytes) noexcept {
        if (bytes <= capacity_ - size_) [[likely]] { return data_ + size_; }
        return grow(bytes) ? data_ + size_ : nullptr;
    }
    [[nodiscard]] bool grow(std::size_t bytes) noexcept;
    void release() noexcept;

    char* data_ = inline_;
    std::size_t size_ = 0;
    std::size_t capacity_ = inline_bytes;
    bool failed_ = false;
    char inline_[inline_bytes];
};

/// One attribute of a key: its own key, and the type and value bytes, as they are.
struct KeyPart {
    std::string_view key;
    AttributeValue::Type type;
    std::string_view value;
};

/// Calls `visit(KeyPart)` for each attribute, in the order given.
template <class Visit>
void for_each_part(std::string_view key, Visit&& visit) {
    const char* p = key.data();
    const char* const end = p + key.size();
    const auto length = [&p] {
        std::uint32_t value;
        std::memcpy(&value, p, sizeof value);
        p += sizeof value;
        return std::size_t{value};
    };
    while (p < end) { // Bound: each turn passes one attribute of our own encoding.
        KeyPart part;
        const auto key_size = length();
        part.key = {p, key_size};
        p += key_size;
        part.type = static_cast<AttributeValue::Type>(*p++);
        const bool fixed = part.type == AttributeValue::Type::boolean ||
                           part.type == AttributeValue::Type::integer ||
                           part.type == AttributeValue::Type::floating;
        const auto size = fixed ? std::size_t{8} : length();
        part.value = {p, size};
        p += size;
        visit(part);
    }
}

/// Errors: std::bad_alloc.
void append_part(std::string& key, const KeyPart& part);

/// 64 bits that differ for different bytes, and between processes. Cost: about 1 ns for each 16 bytes.
[[nodiscard]] std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t salt) noexcept;

/// Replaces what is not UTF-8, as it leaves the program, so that what looks the same there is one series. False, with
/// `good` untouched, if there is nothing to replace. Errors: std::bad_alloc.
[[nodiscard]] bool repair_key(std::string_view key, std::string& good);

/// The set in its one form: UTF-8, keys sorted, of equal ones the last, and only those that `keep(key)` wants.
/// Errors: std::bad_alloc.
template <class Keep>
[[nodiscard]] std::string canonical_key(std::string_view key, Keep&& keep) {
    std::string good;
    if (repair_key(key, good)) { key = good; }
    std::vector<KeyPart> parts;
    for_each_part(key, [&](const KeyPart& part) {
        if (!keep(part.key)) { return; }
        const auto at = std::lower_bound(
            parts.begin(), parts.end(), part,
            [](const KeyPart& a, const KeyPart& b) { return a.key < b.key; });
        if (at != parts.end() && at->key == part.key) {
            *at = part;
        } else {
            parts.insert(at, part);
        }
    });
    std::string canonical;
    canonical.reserve(key.size());
    for (const auto& part : parts) { append_part(canonical, part); }
    return canonical;
}

/// The attributes as KeyValue fields, each with `tag`; texts are repaired where they are not UTF-8.
/// Errors: std::bad_alloc.
[[nodiscard]] std::string encode_key(std::string_view key, char tag);

/// A value as text, for reports: strings as they are, others as in JSON; "..." for arrays and maps.
[[nodiscard]] std::string value_text(const KeyPart& part);

} // namespace weft::detail
