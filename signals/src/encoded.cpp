#include "wire.hpp"

#include <weft/signals/encoded.hpp>

namespace weft {
namespace detail {
namespace {

enum WireType : std::uint8_t { varint = 0, fixed64 = 1, delimited = 2, fixed32 = 5 };

std::uint64_t take_varint(std::string_view& rest) noexcept {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) { // Bound: ten bytes.
        const auto byte = static_cast<unsigned char>(rest.front());
        rest.remove_prefix(1);
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) { break; }
    }
    return value;
}

template <class Fixed>
std::uint64_t take_fixed(std::string_view& rest) noexcept {
    Fixed value = 0;
    std::memcpy(&value, rest.data(), sizeof value);
    rest.remove_prefix(sizeof value);
    return value;
}

} // namespace

bool next_field(std::string_view& rest, EncodedField& field) noexcept {
    if (rest.empty()) { return false; }
    field.tag = rest.front();
    rest.remove_prefix(1);
    switch (field.tag & 7) {
    case delimited: {
        const auto length = static_cast<std::size_t>(take_varint(rest));
        field.bytes = rest.substr(0, length);
        rest.remove_prefix(field.bytes.size());
        return true;
    }
    case fixed64:
        field.number = take_fixed<std::uint64_t>(rest);
        return true;
    case fixed32:
        field.number = take_fixed<std::uint32_t>(rest);
        return true;
    default:
        field.number = take_varint(rest);
        return true;
    }
}

} // namespace detail

namespace wire = detail::wire;

EncodedValue EncodedValue::decode(std::string_view message) noexcept {
    EncodedValue value;
    detail::EncodedField field;
    if (!detail::next_field(message, field)) { return value; }
    value.number_ = field.number;
    value.bytes_ = field.bytes;
    switch (field.tag) {
    case wire::any_bool:
        value.type_ = Type::boolean;
        break;
    case wire::any_int:
        value.type_ = Type::integer;
        break;
    case wire::any_double:
        value.type_ = Type::floating;
        break;
    case wire::any_string:
        value.type_ = Type::string;
        break;
    case wire::any_bytes:
        value.type_ = Type::bytes;
        break;
    case wire::any_array:
        value.type_ = Type::array;
        break;
    case wire::any_map:
        value.type_ = Type::map;
        break;
    default:
        break;
    }
    return value;
}

EncodedList<EncodedValue> EncodedValue::array() const noexcept {
    if (type_ != Type::array) { return {}; }
    return {bytes_, wire::repeated_values};
}

EncodedList<EncodedAttribute> EncodedValue::map() const noexcept {
    if (type_ != Type::map) { return {}; }
    return {bytes_, wire::repeated_values};
}

EncodedAttribute EncodedAttribute::decode(std::string_view message) noexcept {
    EncodedAttribute attribute;
    for (detail::EncodedField field; detail::next_field(message, field);) {
        if (field.tag == wire::key_value_key) {
            attribute.key = field.bytes;
        } else if (field.tag == wire::key_value_value) {
            attribute.value = EncodedValue::decode(field.bytes);
        }
    }
    return attribute;
}

} // namespace weft
