#pragma once
// Attribute values as a slow model of their own, views of them for the library, and random ones.

#include "reference_text.hpp"

#include <weft/signals/attribute.hpp>
#include <weft/signals/limits.hpp>
#include <weft/testing/random.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace weft::testing {

struct ModelEntry;

struct ModelValue {
    enum class Kind {
        empty,
        boolean,
        integer,
        large_unsigned,
        floating,
        string,
        bytes,
        array,
        map
    };
    Kind kind = Kind::empty;
    bool boolean = false;
    std::int64_t integer = 0; // Of a large unsigned too: its bits.
    double floating = 0;
    std::string text; // Strings and bytes.
    std::vector<ModelValue> items;
    std::vector<ModelEntry> entries;
};

struct ModelEntry {
    ModelEntry(std::string key, ModelValue value)
        : first(std::move(key)), second(std::move(value)) {}

    std::string first;
    ModelValue second;
};
using ModelAttributes = std::vector<ModelEntry>;

/// What is to arrive of `value`.
[[nodiscard]] inline ModelValue limited(
    const ModelValue& value, const SpanLimits& limits, std::uint32_t depth = 1) {
    using Kind = ModelValue::Kind;
    ModelValue out = value;
    const bool nests = value.kind == Kind::array || value.kind == Kind::map;
    if (nests && depth > limits.attribute_value_depth) { return {}; }
    if (value.kind == Kind::large_unsigned) {
        out.kind = Kind::string;
        out.text = std::to_string(static_cast<std::uint64_t>(value.integer));
    } else if (value.kind == Kind::string) {
        out.text = reference_text(value.text, limits.attribute_value_length);
    } else if (value.kind == Kind::bytes) {
        out.text = value.text.substr(0, limits.attribute_value_length);
    }
    for (auto& item : out.items) { item = limited(item, limits, depth + 1); }
    out.entries.clear();
    for (const auto& [key, entry] : value.entries) {
        std::erase_if(out.entries, [&](const auto& earlier) { return earlier.first == key; });
        out.entries.emplace_back(key, limited(entry, limits, depth + 1));
    }
    return out;
}

/// Views of model values, and the memory they look at. Lifetime: of this object and of the values.
class ModelViews {
public:
    explicit ModelViews(Random& random) : random_(random) {}

    [[nodiscard]] AttributeValue view(const ModelValue& value) {
        using Kind = ModelValue::Kind;
        switch (value.kind) {
        case Kind::empty:
            return {};
        case Kind::boolean:
            return value.boolean;
        case Kind::integer:
            return integer(value.integer);
        case Kind::large_unsigned:
            return static_cast<std::uint64_t>(value.integer);
        case Kind::floating:
            return value.floating;
        case Kind::string:
            return std::string_view(value.text);
        case Kind::bytes:
            return std::as_bytes(std::span(value.text));
        case Kind::array:
            return array(value.items);
        case Kind::map:
            return AttributeMap(view(value.entries));
        }
        return {};
    }
    [[nodiscard]] std::span<const Attribute> view(const ModelAttributes& attributes) {
        std::vector<Attribute> views;
        for (const auto& [key, value] : attributes) { views.push_back({key, view(value)}); }
        return attributes_.emplace_back(std::move(views));
    }

private:
    // By the widest or the narrowest type that holds it.
    [[nodiscard]] AttributeValue integer(std::int64_t value) {
        if (random_.one_in(2)) { return value; }
        if (std::in_range<std::int8_t>(value)) { return static_cast<std::int8_t>(value); }
        if (std::in_range<std::uint16_t>(value)) { return static_cast<std::uint16_t>(value); }
        if (std::in_range<std::int32_t>(value)) { return static_cast<std::int32_t>(value); }
        if (std::in_range<std::uint32_t>(value)) { return static_cast<std::uint32_t>(value); }
        return value > 0 ? AttributeValue(static_cast<std::uint64_t>(value))
                         : AttributeValue(value);
    }

    [[nodiscard]] AttributeValue array(const std::vector<ModelValue>& items) {
        using Kind = ModelValue::Kind;
        const auto all = [&](Kind kind) {
            return !items.empty() &&
                   std::all_of(items.begin(), items.end(), [&](const ModelValue& item) {
                       return item.kind == kind;
                   });
        };
        if (random_.one_in(8)) { return mixed(items); }
        if (all(Kind::boolean) && items.size() <= std::tuple_size_v<Booleans>) {
            auto& values = booleans_.emplace_back();
            for (std::size_t i = 0; i < items.size(); ++i) { values[i] = items[i].boolean; }
            return std::span<const bool>(values.data(), items.size());
        }
        if (all(Kind::integer)) {
            auto& values = integers_.emplace_back();
            for (const auto& item : items) { values.push_back(item.integer); }
            return values;
        }
        if (all(Kind::floating)) {
            auto& values = doubles_.emplace_back();
            for (const auto& item : items) { values.push_back(item.floating); }
            return values;
        }
        if (all(Kind::string) && random_.one_in(2)) {
            auto& values = strings_.emplace_back();
            for (const auto& item : items) { values.push_back(item.text); }
            return values;
        }
        if (all(Kind::string)) {
            auto& values = string_views_.emplace_back();
            for (const auto& item : items) { values.emplace_back(item.text); }
            return values;
        }
        return mixed(items);
    }
    [[nodiscard]] AttributeValue mixed(const std::vector<ModelValue>& items) {
        std::vector<AttributeValue> views;
        for (const auto& item : items) { views.push_back(view(item)); }
        return AttributeArray(
            std::span<const AttributeValue>(values_.emplace_back(std::move(views))));
    }

    using Booleans = std::array<bool, 16>;
    Random& random_;
    std::deque<Booleans> booleans_;
    std::deque<std::vector<std::int64_t>> integers_;
    std::deque<std::vector<double>> doubles_;
    std::deque<std::vector<std::string>> strings_;
    std::deque<std::vector<std::string_view>> string_views_;
    std::deque<std::vector<AttributeValue>> values_;
    std::deque<std::vector<Attribute>> attributes_;
};

[[nodiscard]] inline std::string random_unicode(Random& random, std::size_t points) {
    std::string out;
    const auto trail = [](std::size_t bits) { return static_cast<char>(0x80 | (bits & 0x3f)); };
    for (std::size_t i = 0; i < points; ++i) {
        constexpr std::array<std::size_t, 4> ends{0x80, 0x800, 0x10000, 0x110000};
        std::size_t point = random.below(random.pick(ends));
        if (point >= 0xd800 && point < 0xe000) { point = 0x20ac; }
        if (point < 0x80) {
            out += static_cast<char>(point);
        } else if (point < 0x800) {
            (out += static_cast<char>(0xc0 | point >> 6)) += trail(point);
        } else if (point < 0x10000) {
            ((out += static_cast<char>(0xe0 | point >> 12)) += trail(point >> 6)) += trail(point);
        } else {
            (((out += static_cast<char>(0xf0 | point >> 18)) += trail(point >> 12)) +=
             trail(point >> 6)) += trail(point);
        }
    }
    return out;
}

[[nodiscard]] inline std::string random_ascii(Random& random, std::size_t size) {
    std::string out(size, ' ');
    for (char& c : out) { c = static_cast<char>(random.below(0x80)); }
    return out;
}

/// Text of every kind: empty, plain, around the one-byte length, long, Unicode, with zero bytes,
/// broken.
[[nodiscard]] inline std::string random_text(Random& random) {
    switch (random.below(10)) {
    case 0:
        return {};
    case 1:
        return random_ascii(random, random.between(60, 140));
    case 2:
        return random_unicode(random, random.below(60));
    case 3:
        return random.one_in(20) ? random_ascii(random, random.between(140, 20'000)) : "plain";
    case 4:
        return random.bytes(random.below(40));
    case 5: { // Valid but for its end.
        auto text = random_unicode(random, random.between(1, 12));
        text.resize(text.size() - random.below(std::min<std::size_t>(text.size(), 4)));
        return text;
    }
    case 6: { // Valid but for one byte.
        auto text = random_unicode(random, random.between(1, 12));
        text[random.below(text.size())] = static_cast<char>(random.word());
        return text;
    }
    case 7:
        return std::string("\0before and after\0", random.below(18));
    default:
        return random_ascii(random, random.below(24));
    }
}

/// Few enough to meet again; never empty, always UTF-8.
[[nodiscard]] inline std::string random_key(Random& random) {
    if (random.one_in(12)) { return random_ascii(random, random.between(1, 200)); }
    if (random.one_in(12)) { return random_unicode(random, random.between(1, 8)); }
    // Those of one length with the same first, middle and last byte meet in the span's set of
    // hashes.
    constexpr std::array<std::string_view, 10> keys{
        "http.method", "url.path", "a",     "b",   "kabcm",
        "kbbcm",       "kcbcm",    "kdbcm", "été", "server.address"};
    return std::string(random.pick(keys));
}

[[nodiscard]] inline ModelValue random_scalar(Random& random, ModelValue::Kind kind) {
    using Kind = ModelValue::Kind;
    using Doubles = std::numeric_limits<double>;
    constexpr std::array<std::int64_t, 9> integers{
        0,
        1,
        -1,
        127,
        128,
        65'536,
        1LL << 32,
        std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int64_t>::min()};
    constexpr std::array<double, 9> doubles{
        0.0,
        -0.0,
        1.5,
        Doubles::quiet_NaN(),
        Doubles::infinity(),
        -Doubles::infinity(),
        Doubles::denorm_min(),
        Doubles::max(),
        Doubles::lowest()};
    ModelValue value;
    value.kind = kind;
    value.boolean = kind == Kind::boolean && random.one_in(2);
    if (kind == Kind::integer) {
        value.integer =
            random.one_in(2) ? random.pick(integers) : static_cast<std::int64_t>(random.word());
    } else if (kind == Kind::large_unsigned) {
        value.integer = static_cast<std::int64_t>(
            random.one_in(3) ? ~std::uint64_t{0} : random.word() | std::uint64_t{1} << 63);
    } else if (kind == Kind::floating) {
        value.floating =
            random.one_in(2) ? random.pick(doubles) : static_cast<double>(random.word()) / 3;
    } else if (kind == Kind::string) {
        value.text = random_text(random);
    } else if (kind == Kind::bytes) {
        value.text = random.bytes(random.one_in(10) ? random.between(120, 300) : random.below(20));
    }
    return value;
}

[[nodiscard]] inline ModelValue random_value(Random& random, std::uint32_t depth = 1) {
    using Kind = ModelValue::Kind;
    constexpr std::array scalars{Kind::empty,    Kind::boolean, Kind::integer, Kind::large_unsigned,
                                 Kind::floating, Kind::string,  Kind::string,  Kind::bytes};
    constexpr std::array typed{Kind::boolean, Kind::integer, Kind::floating, Kind::string};
    const auto choice = random.below(10 + depth * 2);
    if (choice > 2) { return random_scalar(random, random.pick(scalars)); }
    ModelValue value;
    value.kind = choice == 2 ? Kind::map : Kind::array;
    const auto count = random.below(random.one_in(10) ? 16 : 5);
    const auto kind = random.pick(typed);
    for (std::size_t i = 0; i < count; ++i) {
        if (choice == 0) { value.items.push_back(random_scalar(random, kind)); }
        if (choice == 1) { value.items.push_back(random_value(random, depth + 1)); }
        if (choice == 2) {
            auto key = random.one_in(20) ? std::string() : random_key(random);
            value.entries.emplace_back(std::move(key), random_value(random, depth + 1));
        }
    }
    return value;
}

/// A map or array inside the other, `levels` of them, and a string in the innermost.
[[nodiscard]] inline ModelValue nested_value(std::uint32_t levels, bool maps) {
    using Kind = ModelValue::Kind;
    ModelValue value;
    value.kind = Kind::string;
    value.text = "innermost";
    for (std::uint32_t i = 0; i < levels; ++i) {
        ModelValue outer;
        outer.kind = maps ? Kind::map : Kind::array;
        if (maps) {
            outer.entries.emplace_back("in", std::move(value));
        } else {
            outer.items.push_back(std::move(value));
        }
        value = std::move(outer);
    }
    return value;
}

[[nodiscard]] inline ModelAttributes random_attributes(Random& random, std::size_t count_max) {
    ModelAttributes attributes;
    const auto count = random.below(count_max + 1);
    for (std::size_t i = 0; i < count; ++i) {
        attributes.emplace_back(
            random.one_in(60) ? std::string() : random_key(random), random_value(random));
    }
    return attributes;
}

} // namespace weft::testing
