#pragma once
// Attributes as they stand in a record: OTLP bytes of our own making, read in place. Nothing is copied or allocated, and
// nothing is decoded that is not asked for. Not for bytes from outside: lengths are believed.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>

namespace weft {

struct EncodedAttribute;

namespace detail {

/// One field of a message. `bytes` for length-delimited ones, `number` for all others.
struct EncodedField {
    char tag = 0;
    std::string_view bytes;
    std::uint64_t number = 0;
};
/// Takes the next field off `rest`; false when there is none. Field numbers below 16.
[[nodiscard]] bool next_field(std::string_view& rest, EncodedField& field) noexcept;

} // namespace detail

/// The elements of a repeated field, in order, decoded one at a time: `for (const auto attribute : span.attributes())`.
template <class Element>
class EncodedList {
public:
    /// Single pass is all that is needed, several are allowed.
    class iterator {
    public:
        using value_type = Element;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;

        iterator() noexcept = default;
        iterator(std::string_view rest, char tag) noexcept : rest_(rest), tag_(tag) { step(); }
        Element operator*() const noexcept { return Element::decode(field_.bytes); }
        iterator& operator++() noexcept {
            step();
            return *this;
        }
        iterator operator++(int) noexcept {
            auto before = *this;
            step();
            return before;
        }
        friend bool operator==(const iterator& at, std::default_sentinel_t) noexcept {
            return at.done_;
        }

    private:
        void step() noexcept {
            do { // Bound: the message.
                done_ = !detail::next_field(rest_, field_);
            } while (!done_ && field_.tag != tag_);
        }

        std::string_view rest_;
        detail::EncodedField field_;
        char tag_ = 0;
        bool done_ = true;
    };

    EncodedList() noexcept = default;
    EncodedList(std::string_view message, char tag) noexcept : message_(message), tag_(tag) {}
    [[nodiscard]] iterator begin() const noexcept { return {message_, tag_}; }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }
    [[nodiscard]] bool empty() const noexcept { return begin() == end(); }

private:
    std::string_view message_;
    char tag_ = 0;
};

/// One value, of a type that is known at run time. Lifetime: of the bytes that it was read from.
/// Source: OTLP schema, `AnyValue`.
class EncodedValue {
public:
    enum class Type : std::uint8_t { empty, boolean, integer, floating, string, bytes, array, map };

    EncodedValue() noexcept = default;
    [[nodiscard]] static EncodedValue decode(std::string_view message) noexcept;

    [[nodiscard]] Type type() const noexcept { return type_; }
    // Each accessor gives zero or nothing where the value is of another type.
    [[nodiscard]] bool boolean() const noexcept { return type_ == Type::boolean && number_ != 0; }
    [[nodiscard]] std::int64_t integer() const noexcept {
        return type_ == Type::integer ? static_cast<std::int64_t>(number_) : 0;
    }
    [[nodiscard]] double floating() const noexcept {
        return type_ == Type::floating ? std::bit_cast<double>(number_) : 0.0;
    }
    [[nodiscard]] std::string_view string() const noexcept {
        return type_ == Type::string ? bytes_ : std::string_view();
    }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        if (type_ != Type::bytes) { return {}; }
        return std::as_bytes(std::span(bytes_.data(), bytes_.size()));
    }
    [[nodiscard]] EncodedList<EncodedValue> array() const noexcept;
    [[nodiscard]] EncodedList<EncodedAttribute> map() const noexcept;

private:
    Type type_ = Type::empty;
    std::uint64_t number_ = 0;
    std::string_view bytes_;
};

/// A key and its value. Keys are unique in their list.
struct EncodedAttribute {
    std::string_view key;
    EncodedValue value;

    [[nodiscard]] static EncodedAttribute decode(std::string_view message) noexcept;
};

} // namespace weft
