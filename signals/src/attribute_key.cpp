#include "attribute_key.hpp"

#include "thread_metrics.hpp"
#include "utf8.hpp"
#include "wire.hpp"

#include <weft/runtime/ids.hpp>

#include <fmt/format.h>

#include <memory>
#include <new>
#include <utility>

namespace weft::detail {
namespace {

constexpr std::uint32_t encoded_bytes_max = 1u << 20;

bool is_fixed(AttributeValue::Type type) noexcept {
    return type == AttributeValue::Type::boolean || type == AttributeValue::Type::integer ||
           type == AttributeValue::Type::floating;
}

std::uint64_t bits_of(std::string_view value) noexcept {
    std::uint64_t bits;
    std::memcpy(&bits, value.data(), sizeof bits);
    return bits;
}

std::uint64_t read(const char* p) noexcept {
    std::uint64_t word;
    std::memcpy(&word, p, sizeof word);
    return word;
}

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{a} * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

} // namespace

void AttributeKey::put_encoded(const Attribute& attribute) noexcept {
    wire::Buffer buffer;
    buffer.reset(nullptr, 0, encoded_bytes_max);
    // A KeyValue with an empty key is refused, so the value is cut out of one with a short key.
    const bool good = wire::put_attribute(buffer, wire::repeated_values, "k", attribute.value, {});
    if (!good) {
        failed_ = true;
        buffer.release();
        return;
    }
    const char* p = buffer.data() + 1;
    const char* const end = buffer.data() + buffer.size();
    const auto skip_length = [&p] {
        while ((static_cast<unsigned char>(*p++) & 0x80) != 0) {} // Bound: a length of our own.
    };
    skip_length();
    p += 4; // The key's tag, length and text, and the value's tag.
    skip_length();
    const std::string_view value(p, static_cast<std::size_t>(end - p));
    if (char* out = room(attribute.key.size() + 9 + value.size()); out != nullptr) {
        out = put_key(out, attribute.key);
        *out++ = static_cast<char>(AttributeValue::Type::map);
        out = put_length(out, value.size());
        copy(out, value);
        size_ += attribute.key.size() + 9 + value.size();
    }
    buffer.release();
}

bool AttributeKey::grow(std::size_t bytes) noexcept {
    std::size_t wanted = std::max(std::min(capacity_ * 2, bytes_max), size_ + bytes);
    char* fresh = nullptr;
    if (wanted <= bytes_max && !failed_) {
        auto* const metrics = thread_metrics_if_leased();
        if (metrics != nullptr && metrics->spare_bytes >= wanted) {
            fresh = metrics->spare.release();
            wanted = std::exchange(metrics->spare_bytes, 0);
        } else {
            fresh = new (std::nothrow) char[wanted];
        }
    }
    if (fresh == nullptr) {
        failed_ = true;
        return false;
    }
    std::memcpy(fresh, data_, size_);
    if (data_ != inline_) { release(); }
    data_ = fresh;
    capacity_ = wanted;
    return true;
}

void AttributeKey::release() noexcept {
    std::unique_ptr<char[]> memory(data_);
    auto* const metrics = thread_metrics_if_leased();
    if (metrics == nullptr || metrics->spare_bytes >= capacity_) { return; }
    metrics->spare = std::move(memory); // For the thread's next large set.
    metrics->spare_bytes = capacity_;
}

namespace {

bool is_utf8(std::string_view text) noexcept {
    if (is_ascii(text)) { return true; }
    while (!text.empty()) { // Bound: each turn passes a character.
        const auto point = leading_code_point(text);
        if (!point.is_good) { return false; }
        text.remove_prefix(point.size);
    }
    return true;
}

std::string repaired(std::string_view text) {
    std::string good(repaired_size(text, SpanLimits::unlimited), '\0');
    copy_repaired(text, SpanLimits::unlimited, good.data());
    return good;
}

} // namespace

bool repair_key(std::string_view key, std::string& good) {
    const auto is_text = [](const KeyPart& part) {
        return part.type == AttributeValue::Type::string;
    };
    bool is_good = true;
    for_each_part(key, [&](const KeyPart& part) {
        is_good = is_good && is_utf8(part.key) && (!is_text(part) || is_utf8(part.value));
    });
    if (is_good) { return false; }
    for_each_part(key, [&](const KeyPart& part) {
        const std::string name = repaired(part.key);
        const std::string value = is_text(part) ? repaired(part.value) : std::string(part.value);
        append_part(good, {name, part.type, value});
    });
    return true;
}

void append_part(std::string& key, const KeyPart& part) {
    const auto put_length = [&key](std::size_t length) {
        const auto narrow = static_cast<std::uint32_t>(length);
        key.append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
    };
    put_length(part.key.size());
    key += part.key;
    key += static_cast<char>(part.type);
    if (!is_fixed(part.type)) { put_length(part.value.size()); }
    key += part.value;
}

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t salt) noexcept {
    // Label values come from outside: without a secret, somebody could choose many that share a place.
    static const std::uint64_t secret = random_u64() | 1;
    constexpr std::uint64_t k1 = 0x9e3779b97f4a7c15;
    constexpr std::uint64_t k2 = 0xbf58476d1ce4e5b9;
    const char* p = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t hash = mix(secret ^ bytes.size(), k1 ^ salt);
    for (; left > 16; left -= 16, p += 16) { hash = mix(read(p) ^ k1 ^ hash, read(p + 8) ^ k2); }
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    if (left >= 8) {
        a = read(p);
        b = read(p + left - 8);
    } else if (left != 0) {
        for (std::size_t i = 0; i < left; ++i) { a = a << 8 | static_cast<unsigned char>(p[i]); }
    }
    hash = mix(a ^ k1 ^ hash, b ^ k2);
    return mix(hash ^ secret, k1);
}

std::string encode_key(std::string_view key, char tag) {
    wire::Buffer buffer;
    buffer.reset(nullptr, 0, encoded_bytes_max);
    for_each_part(key, [&](const KeyPart& part) {
        switch (part.type) {
        case AttributeValue::Type::boolean:
            wire::put_attribute(buffer, tag, part.key, bits_of(part.value) != 0, {});
            return;
        case AttributeValue::Type::integer:
            wire::put_attribute(
                buffer, tag, part.key, static_cast<std::int64_t>(bits_of(part.value)), {});
            return;
        case AttributeValue::Type::floating:
            wire::put_attribute(
                buffer, tag, part.key, std::bit_cast<double>(bits_of(part.value)), {});
            return;
        case AttributeValue::Type::string:
            wire::put_attribute(buffer, tag, part.key, part.value, {});
            return;
        default: {
            const auto start = buffer.begin_message(tag);
            buffer.put_text_field(wire::key_value_key, part.key, SpanLimits::unlimited);
            buffer.put_bytes_field(wire::key_value_value, part.value.data(), part.value.size());
            buffer.end_message(start);
        }
        }
    });
    if (buffer.failed()) {
        buffer.release();
        throw std::bad_alloc();
    }
    std::string encoded(buffer.data() == nullptr ? "" : buffer.data(), buffer.size());
    buffer.release();
    return encoded;
}

std::string value_text(const KeyPart& part) {
    switch (part.type) {
    case AttributeValue::Type::boolean:
        return bits_of(part.value) != 0 ? "true" : "false";
    case AttributeValue::Type::integer:
        return std::to_string(static_cast<std::int64_t>(bits_of(part.value)));
    case AttributeValue::Type::floating:
        return fmt::format("{}", std::bit_cast<double>(bits_of(part.value)));
    case AttributeValue::Type::string:
        return std::string(part.value);
    default:
        return "...";
    }
}

} // namespace weft::detail
