// OTLP/JSON into messages, in two steps: simdjson checks the whole text (grammar, UTF-8, nesting),
// then the tree is copied into a message by asking the message's descriptor what each key means. So
// there is no code per message type, and a field added to the schema is read without a line here.
//
// Bounds: simdjson does not recurse; the copy recurses once per nested message, at most
// message_depth_max times.
#include "scalars.hpp"
#include "schema.hpp"

#include <weft/viewer/otlp_codec.hpp>

#include <fmt/format.h>
#include <google/protobuf/message.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

namespace weft::otlp {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;
using simdjson::dom::element;
using simdjson::dom::element_type;

// What is wrong and where. The path is built while the recursion unwinds, so success pays nothing
// for it.
class Failure {
public:
    bool because(std::string_view reason) {
        reason_ = reason;
        return false;
    }
    bool under(std::string_view key) {
        path_ = path_.empty() || path_.starts_with('[') ? fmt::format("{}{}", key, path_)
                                                        : fmt::format("{}.{}", key, path_);
        return false;
    }
    bool under(std::size_t index) {
        path_ = path_.empty() ? fmt::format("[{}]", index) : fmt::format("[{}].{}", index, path_);
        return false;
    }
    [[nodiscard]] std::string text() const {
        return path_.empty() ? fmt::format("JSON: {}", reason_)
                             : fmt::format("JSON: {}: {}", path_, reason_);
    }

private:
    std::string path_;
    std::string reason_;
};

// Where one value goes: a singular field is set, a repeated one gets an element more.
struct Slot {
    pb::Message& message;
    const Field& field;

    [[nodiscard]] const pb::Reflection& reflection() const { return *message.GetReflection(); }
};

// Calls Set##Type or Add##Type of the message's reflection.
#define WEFT_STORE(slot, Type, value)                                                              \
    ((slot).field.is_repeated()                                                                    \
         ? (slot).reflection().Add##Type(&(slot).message, &(slot).field, (value))                  \
         : (slot).reflection().Set##Type(&(slot).message, &(slot).field, (value)))

// A JSON number or string as an integer of this width. A number with a fraction or beyond the range
// is none.
template <class Integer>
std::optional<Integer> to_integer(const element& value) {
    switch (value.type()) {
    case element_type::INT64: {
        const std::int64_t number = value.get_int64().value_unsafe();
        if (!std::in_range<Integer>(number)) { return std::nullopt; }
        return static_cast<Integer>(number);
    }
    case element_type::UINT64: {
        const std::uint64_t number = value.get_uint64().value_unsafe();
        if (!std::in_range<Integer>(number)) { return std::nullopt; }
        return static_cast<Integer>(number);
    }
    case element_type::DOUBLE: {
        const double number = value.get_double().value_unsafe();
        // Both limits are exact powers of two, so the comparison is exact although the largest
        // integer is not a double.
        constexpr double lowest = static_cast<double>(std::numeric_limits<Integer>::min());
        constexpr int bits = std::numeric_limits<Integer>::digits;
        if (!(number >= lowest && number < std::ldexp(1.0, bits)) || std::trunc(number) != number) {
            return std::nullopt;
        }
        return static_cast<Integer>(number);
    }
    case element_type::STRING:
        return integer_from_text<Integer>(value.get_string().value_unsafe());
    default:
        return std::nullopt;
    }
}

std::optional<double> to_double(const element& value) {
    double number = 0;
    if (value.is_string()) { return double_from_text(value.get_string().value_unsafe()); }
    if (value.get_double().get(number) != simdjson::SUCCESS) { return std::nullopt; }
    return number;
}

// JavaScript writes the double 1e20 as 100000000000000000000, which simdjson takes for an integer
// and refuses. With a fraction added it is read as the double that was meant.
std::string with_long_integers_as_doubles(std::string_view json) {
    constexpr std::size_t digits_safe = 18; // Any integer this short fits 64 bits.
    std::string out;
    out.reserve(json.size() + 64);
    while (!json.empty()) { // Each turn takes at least one character.
        std::size_t token_bytes = 1;
        bool widen = false;
        if (json[0] == '"') {
            while (token_bytes < json.size() && json[token_bytes] != '"') {
                token_bytes += json[token_bytes] == '\\' ? 2 : 1;
            }
            ++token_bytes;
        } else if (json[0] == '-' || (json[0] >= '0' && json[0] <= '9')) {
            token_bytes = std::min(json.find_first_not_of("+-.eE0123456789"), json.size());
            const auto token = json.substr(0, token_bytes);
            widen =
                token_bytes > digits_safe && token.find_first_of(".eE") == std::string_view::npos;
        }
        token_bytes = std::min(token_bytes, json.size());
        out += json.substr(0, token_bytes);
        if (widen) { out += ".0"; }
        json.remove_prefix(token_bytes);
    }
    return out;
}

class Reader {
public:
    explicit Reader(Failure& failure) : failure_(failure) {}

    bool read_message(const element& value, pb::Message& message, int depth) {
        simdjson::dom::object object;
        if (value.get_object().get(object) != simdjson::SUCCESS) {
            return failure_.because("not an object");
        }
        if (depth > message_depth_max) { return failure_.because("nested too deeply"); }
        const pb::Descriptor& type = *message.GetDescriptor();
        std::uint64_t seen = 0; // One bit a field; no message of the schema has more than 20.
        for (const auto [key, member] : object) {
            const Field* field = type.FindFieldByCamelcaseName(std::string(key));
            if (field == nullptr || member.is_null()) { continue; }
            const std::uint64_t bit = std::uint64_t{1} << (field->index() & 63);
            if ((seen & bit) != 0) {
                failure_.because("given twice");
                return failure_.under(field->json_name());
            }
            seen |= bit;
            if (!read_field(member, {message, *field}, depth)) {
                return failure_.under(field->json_name());
            }
        }
        return true;
    }

private:
    bool read_field(const element& value, Slot slot, int depth) {
        if (!slot.field.is_repeated()) {
            const pb::OneofDescriptor* oneof = slot.field.real_containing_oneof();
            if (oneof != nullptr && slot.reflection().HasOneof(slot.message, oneof)) {
                return failure_.because("another member of the same choice is given too");
            }
            return read_value(value, slot, depth);
        }
        simdjson::dom::array array;
        if (value.get_array().get(array) != simdjson::SUCCESS) {
            return failure_.because("not an array");
        }
        std::size_t index = 0;
        for (const element item : array) {
            if (!read_value(item, slot, depth)) { return failure_.under(index); }
            ++index;
        }
        return true;
    }

    bool read_value(const element& value, Slot slot, int depth) {
        switch (slot.field.cpp_type()) {
        case Field::CPPTYPE_MESSAGE: {
            pb::Message* inner = slot.field.is_repeated()
                                     ? slot.reflection().AddMessage(&slot.message, &slot.field)
                                     : slot.reflection().MutableMessage(&slot.message, &slot.field);
            return read_message(value, *inner, depth + 1);
        }
        case Field::CPPTYPE_STRING:
            return read_string(value, slot);
        case Field::CPPTYPE_BOOL: {
            bool truth = false;
            if (value.get_bool().get(truth) != simdjson::SUCCESS) {
                return failure_.because("not true or false");
            }
            WEFT_STORE(slot, Bool, truth);
            return true;
        }
        case Field::CPPTYPE_DOUBLE: {
            const auto number = to_double(value);
            if (!number) { return failure_.because("not a number"); }
            WEFT_STORE(slot, Double, *number);
            return true;
        }
        case Field::CPPTYPE_ENUM:
            return read_enum(value, slot);
        default:
            return read_integer(value, slot);
        }
    }

    bool read_enum(const element& value, Slot slot) {
        // Names and digits in quotes are both strings, and OTLP allows neither.
        const auto number = value.is_string() ? std::nullopt : to_integer<std::int32_t>(value);
        if (!number) { return failure_.because("not an enum's number"); }
        WEFT_STORE(slot, EnumValue, *number);
        return true;
    }

    bool read_integer(const element& value, Slot slot) {
        const auto store = [&]<class Integer>(auto set) {
            const auto number = to_integer<Integer>(value);
            if (!number) { return failure_.because("not an integer that fits"); }
            set(*number);
            return true;
        };
        switch (slot.field.cpp_type()) {
        case Field::CPPTYPE_INT32:
            return store.template operator()<std::int32_t>(
                [&](auto n) { WEFT_STORE(slot, Int32, n); });
        case Field::CPPTYPE_INT64:
            return store.template operator()<std::int64_t>(
                [&](auto n) { WEFT_STORE(slot, Int64, n); });
        case Field::CPPTYPE_UINT32:
            return store.template operator()<std::uint32_t>(
                [&](auto n) { WEFT_STORE(slot, UInt32, n); });
        case Field::CPPTYPE_UINT64:
            return store.template operator()<std::uint64_t>(
                [&](auto n) { WEFT_STORE(slot, UInt64, n); });
        default:
            return failure_.because("a type that OTLP does not use");
        }
    }

    bool read_string(const element& value, Slot slot) {
        std::string_view text;
        if (value.get_string().get(text) != simdjson::SUCCESS) {
            return failure_.because("not a string");
        }
        if (slot.field.type() == Field::TYPE_STRING) {
            WEFT_STORE(slot, String, std::string(text));
            return true;
        }
        auto bytes = is_id(slot.field) ? from_hex(text) : from_base64(text);
        if (!bytes) { return failure_.because(is_id(slot.field) ? "not hex" : "not base64"); }
        WEFT_STORE(slot, String, std::move(*bytes));
        return true;
    }

    Failure& failure_;
};

#undef WEFT_STORE

} // namespace

Result<void> from_json(std::string_view json, pb::Message& message, std::string* detail) {
    Failure failure;
    simdjson::dom::parser parser;
    element root;
    auto error = parser.parse(json.data(), json.size()).get(root);
    if (error != simdjson::SUCCESS && error != simdjson::MEMALLOC) {
        // Which error a long integer gives depends on simdjson's version, so look for one instead.
        const std::string widened = with_long_integers_as_doubles(json);
        if (widened.size() != json.size()) { error = parser.parse(widened).get(root); }
    }
    if (error == simdjson::MEMALLOC) { throw std::bad_alloc(); }
    bool read = false;
    if (error != simdjson::SUCCESS) {
        failure.because(simdjson::error_message(error));
    } else {
        read = Reader(failure).read_message(root, message, 1);
    }
    if (read) { return {}; }
    if (detail != nullptr) { *detail = failure.text(); }
    return Errc::decode_failed;
}

} // namespace weft::otlp
