#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace weft {

struct Attribute;
class AttributeValue;

/// A map value: `{"user", AttributeMap{{"id", 7}, {"plan", "free"}}}`. Lifetime: of the full expression.
class AttributeMap {
public:
    AttributeMap(std::initializer_list<Attribute> entries) noexcept;
    explicit AttributeMap(std::span<const Attribute> entries) noexcept;
    [[nodiscard]] std::span<const Attribute> entries() const noexcept;

private:
    const Attribute* data_;
    std::size_t size_;
};

/// An array of values of any type: `{"mixed", AttributeArray{1, "two", 3.0}}`. Lifetime: of the full expression.
class AttributeArray {
public:
    AttributeArray(std::initializer_list<AttributeValue> values) noexcept;
    explicit AttributeArray(std::span<const AttributeValue> values) noexcept;
    [[nodiscard]] std::span<const AttributeValue> values() const noexcept;

private:
    const AttributeValue* data_;
    std::size_t size_;
};

namespace detail {
// Named one by one: asking AttributeValue itself would be a question that contains itself.
template <class T>
inline constexpr bool is_attribute_element =
    std::same_as<T, std::byte> || std::same_as<T, bool> || std::same_as<T, std::int64_t> ||
    std::same_as<T, double> || std::same_as<T, std::string> || std::same_as<T, std::string_view>;
} // namespace detail

/// A view of one attribute value of any OpenTelemetry type. It owns nothing: what it refers to must live until the
/// call that takes it returns. An unsigned integer above the int64 range becomes its decimal text.
/// Source: OpenTelemetry common, "Attribute" and "AnyValue".
class AttributeValue {
public:
    enum class Type : std::uint8_t {
        empty,
        boolean,
        integer,
        large_unsigned,
        floating,
        string,
        bytes,
        boolean_array,
        integer_array,
        floating_array,
        string_array,
        string_view_array,
        array,
        map,
    };

    constexpr AttributeValue() noexcept : type_(Type::empty), integer_(0) {}
    constexpr AttributeValue(std::same_as<bool> auto value) noexcept
        : type_(Type::boolean), integer_(value ? 1 : 0) {}
    template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>) constexpr AttributeValue(
        T value) noexcept
        : type_(Type::integer), integer_(static_cast<std::int64_t>(value)) {
        if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8) {
            if (integer_ < 0) { type_ = Type::large_unsigned; }
        }
    }
    constexpr AttributeValue(std::floating_point auto value) noexcept
        : type_(Type::floating), floating_(static_cast<double>(value)) {}
    constexpr AttributeValue(std::string_view text) noexcept
        : type_(Type::string), size_(text.size()), data_(text.data()) {}
    constexpr AttributeValue(const char* text) noexcept ///< Null: the empty text.
        : AttributeValue(text == nullptr ? std::string_view() : std::string_view(text)) {}
    AttributeValue(const std::string& text) noexcept : AttributeValue(std::string_view(text)) {}
    constexpr AttributeValue(std::span<const std::byte> bytes) noexcept
        : type_(Type::bytes), size_(bytes.size()), data_(bytes.data()) {}
    constexpr AttributeValue(std::span<const bool> values) noexcept
        : AttributeValue(Type::boolean_array, values) {}
    constexpr AttributeValue(std::span<const std::int64_t> values) noexcept
        : AttributeValue(Type::integer_array, values) {}
    constexpr AttributeValue(std::span<const double> values) noexcept
        : AttributeValue(Type::floating_array, values) {}
    constexpr AttributeValue(std::span<const std::string> values) noexcept
        : AttributeValue(Type::string_array, values) {}
    constexpr AttributeValue(std::span<const std::string_view> values) noexcept
        : AttributeValue(Type::string_view_array, values) {}
    /// Any contiguous container of the above element types: std::vector, std::array, std::span.
    template <class Container>
    requires(
        !std::convertible_to<const Container&, std::string_view> &&
        requires(const Container& c) { std::span(c.data(), c.size()); } &&
        detail::is_attribute_element<
            typename Container::value_type>) constexpr AttributeValue(const Container&
                                                                          values) noexcept
        : AttributeValue(
              std::span<const typename Container::value_type>(values.data(), values.size())) {}
    AttributeValue(const AttributeArray& array) noexcept
        : type_(Type::array), size_(array.values().size()), data_(array.values().data()) {}
    AttributeValue(const AttributeMap& map) noexcept
        : type_(Type::map), size_(map.entries().size()), data_(map.entries().data()) {}

    [[nodiscard]] constexpr Type type() const noexcept { return type_; }
    // Each accessor is for its own type only.
    [[nodiscard]] constexpr bool boolean() const noexcept { return integer_ != 0; }
    [[nodiscard]] constexpr std::int64_t integer() const noexcept { return integer_; }
    [[nodiscard]] constexpr double floating() const noexcept { return floating_; }
    [[nodiscard]] std::string_view string() const noexcept {
        return {static_cast<const char*>(data_), size_};
    }
    template <class T>
    [[nodiscard]] std::span<const T> elements() const noexcept {
        return {static_cast<const T*>(data_), size_};
    }

private:
    template <class T>
    constexpr AttributeValue(Type type, std::span<const T> values) noexcept
        : type_(type), size_(values.size()), data_(values.data()) {}

    Type type_;
    std::size_t size_ = 0;
    union {
        std::int64_t integer_;
        double floating_;
        const void* data_;
    };
};

/// One key and its value. Keys are non-empty and case-sensitive; see the semantic conventions for names.
struct Attribute {
    std::string_view key;
    AttributeValue value;
};

inline AttributeMap::AttributeMap(std::initializer_list<Attribute> entries) noexcept
    : AttributeMap(std::span<const Attribute>(entries.begin(), entries.size())) {}
inline AttributeMap::AttributeMap(std::span<const Attribute> entries) noexcept
    : data_(entries.data()), size_(entries.size()) {}
inline std::span<const Attribute> AttributeMap::entries() const noexcept { return {data_, size_}; }
inline AttributeArray::AttributeArray(std::initializer_list<AttributeValue> values) noexcept
    : AttributeArray(std::span<const AttributeValue>(values.begin(), values.size())) {}
inline AttributeArray::AttributeArray(std::span<const AttributeValue> values) noexcept
    : data_(values.data()), size_(values.size()) {}
inline std::span<const AttributeValue> AttributeArray::values() const noexcept {
    return {data_, size_};
}

} // namespace weft
