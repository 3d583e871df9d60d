#pragma once
// Random OTLP messages of any type, by reflection: no field of the schema is forgotten.
#include <google/protobuf/message.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace weft::testing {

/// Fills messages with values that are likely to break an encoder: zero, the extremes, odd strings,
/// empty oneof members. The same seed gives the same messages. Values never nest deeper than
/// `depth_max`.
class RandomOtlp {
public:
    explicit RandomOtlp(std::uint64_t seed, int depth_max = 12)
        : generator_(seed), depth_max_(depth_max) {}

    void fill(google::protobuf::Message& message) { fill(message, 1); }

    template <class Message>
    [[nodiscard]] Message make() {
        Message message;
        fill(message);
        return message;
    }

private:
    using Field = google::protobuf::FieldDescriptor;

    [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return generator_() % bound; }

    void fill(google::protobuf::Message& message, int depth) {
        const auto& type = *message.GetDescriptor();
        for (int i = 0; i < type.field_count(); ++i) {
            const Field& field = *type.field(i);
            const auto* oneof = field.real_containing_oneof();
            // The first member of a oneof stands for the choice of one, or none.
            if (oneof != nullptr) {
                if (oneof->field(0) == &field) { choose(message, *oneof, depth); }
                continue;
            }
            const bool is_repeated = field.is_repeated();
            const std::uint64_t count = is_repeated    ? below(depth < depth_max_ / 2 ? 4 : 3)
                                        : below(4) > 0 ? 1
                                                       : 0;
            for (std::uint64_t j = 0; j < count; ++j) { set(message, field, depth); }
        }
    }

    void choose(
        google::protobuf::Message& message, const google::protobuf::OneofDescriptor& oneof,
        int depth) {
        const auto index = below(static_cast<std::uint64_t>(oneof.field_count()) + 1);
        if (index == 0) { return; }
        set(message, *oneof.field(static_cast<int>(index) - 1), depth);
    }

    [[nodiscard]] std::int64_t integer() {
        constexpr std::array<std::int64_t, 7> edges{
            0,
            1,
            -1,
            127,
            128,
            std::numeric_limits<std::int64_t>::min(),
            std::numeric_limits<std::int64_t>::max()};
        return below(2) == 0 ? edges[below(edges.size())] : static_cast<std::int64_t>(generator_());
    }

    [[nodiscard]] double real() {
        constexpr std::array<double, 9> edges{
            0.0,
            -0.0,
            0.1,
            1e308,
            5e-324,
            1e20,
            12345678901234567890.0,
            std::numeric_limits<double>::infinity(),
            -std::numeric_limits<double>::infinity()};
        return below(2) == 0 ? edges[below(edges.size())]
                             : std::ldexp(static_cast<double>(integer()), -20);
    }

    [[nodiscard]] std::string text() {
        constexpr std::array<const char*, 8> pieces{"",     "a", "\"\\", "\n\t\x01",
                                                    "\x7f", "é", "日本", "😀"};
        std::string out;
        for (auto count = below(4); count > 0; --count) { out += pieces[below(pieces.size())]; }
        return out;
    }

    [[nodiscard]] std::string bytes(const Field& field) {
        const bool is_trace_id = field.name() == "trace_id";
        std::string out(is_trace_id ? 16 : field.name().ends_with("span_id") ? 8 : below(7), '\0');
        for (char& c : out) { c = static_cast<char>(generator_()); }
        return out;
    }

    void set(google::protobuf::Message& message, const Field& field, int depth) {
        const auto& reflection = *message.GetReflection();
        const bool many = field.is_repeated();
        // Calls AddX for a repeated field and SetX for a singular one.
        const auto store = [&](auto add, auto set_one, auto value) {
            if (many) {
                (reflection.*add)(&message, &field, std::move(value));
            } else {
                (reflection.*set_one)(&message, &field, std::move(value));
            }
        };
        using R = google::protobuf::Reflection;
        switch (field.cpp_type()) {
        case Field::CPPTYPE_MESSAGE: {
            if (depth >= depth_max_) { return; }
            auto* inner = many ? reflection.AddMessage(&message, &field)
                               : reflection.MutableMessage(&message, &field);
            return fill(*inner, depth + 1);
        }
        case Field::CPPTYPE_STRING:
            return store(
                &R::AddString, &R::SetString,
                field.type() == Field::TYPE_BYTES ? bytes(field) : text());
        case Field::CPPTYPE_BOOL:
            return store(&R::AddBool, &R::SetBool, below(2) == 1);
        case Field::CPPTYPE_DOUBLE:
            return store(&R::AddDouble, &R::SetDouble, real());
        case Field::CPPTYPE_ENUM:
            // Enums are open: numbers without a name must survive as well.
            return store(&R::AddEnumValue, &R::SetEnumValue, static_cast<int>(below(30)));
        case Field::CPPTYPE_INT32:
            return store(&R::AddInt32, &R::SetInt32, static_cast<std::int32_t>(integer()));
        case Field::CPPTYPE_UINT32:
            return store(&R::AddUInt32, &R::SetUInt32, static_cast<std::uint32_t>(integer()));
        case Field::CPPTYPE_INT64:
            return store(&R::AddInt64, &R::SetInt64, integer());
        case Field::CPPTYPE_UINT64:
            return store(&R::AddUInt64, &R::SetUInt64, static_cast<std::uint64_t>(integer()));
        case Field::CPPTYPE_FLOAT:
            return;
        }
    }

    std::mt19937_64 generator_;
    int depth_max_;
};

} // namespace weft::testing
