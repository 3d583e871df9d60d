// Messages into OTLP/JSON, by descriptor like the reader, so that the two cannot disagree about a
// field.
#include "scalars.hpp"
#include "schema.hpp"
#include "text.hpp"

#include <weft/viewer/otlp_codec.hpp>

#include <fmt/format.h>
#include <google/protobuf/message.h>

#include <cmath>
#include <iterator>
#include <vector>

namespace weft::otlp {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

class Writer {
public:
    explicit Writer(std::string& out) : out_(out) {}

    void write_message(const pb::Message& message, int depth) {
        out_ += '{';
        if (depth <= message_depth_max) { write_fields(message, depth); }
        out_ += '}';
    }

private:
    void write_fields(const pb::Message& message, int depth) {
        std::vector<const Field*> fields; // Those that are present, by number.
        message.GetReflection()->ListFields(message, &fields);
        const char* separator = "";
        for (const Field* field : fields) {
            out_ += separator;
            separator = ",";
            append_json_string(out_, field->json_name());
            out_ += ':';
            if (!field->is_repeated()) {
                write_value(message, *field, -1, depth);
                continue;
            }
            out_ += '[';
            const int count = message.GetReflection()->FieldSize(message, field);
            for (int i = 0; i < count; ++i) {
                if (i > 0) { out_ += ','; }
                write_value(message, *field, i, depth);
            }
            out_ += ']';
        }
    }

    // `index` is -1 for a singular field.
    void write_value(const pb::Message& message, const Field& field, int index, int depth) {
        const pb::Reflection& in = *message.GetReflection();
        const bool one = index < 0;
        switch (field.cpp_type()) {
        case Field::CPPTYPE_MESSAGE:
            return write_message(
                one ? in.GetMessage(message, &field)
                    : in.GetRepeatedMessage(message, &field, index),
                depth + 1);
        case Field::CPPTYPE_STRING: {
            std::string scratch;
            return write_string(
                field, one ? in.GetStringReference(message, &field, &scratch)
                           : in.GetRepeatedStringReference(message, &field, index, &scratch));
        }
        case Field::CPPTYPE_BOOL:
            out_ += (one ? in.GetBool(message, &field) : in.GetRepeatedBool(message, &field, index))
                        ? "true"
                        : "false";
            return;
        case Field::CPPTYPE_DOUBLE:
            return write_double(
                one ? in.GetDouble(message, &field) : in.GetRepeatedDouble(message, &field, index));
        case Field::CPPTYPE_ENUM:
            return print(
                "{}", one ? in.GetEnumValue(message, &field)
                          : in.GetRepeatedEnumValue(message, &field, index));
        case Field::CPPTYPE_INT32:
            return print(
                "{}",
                one ? in.GetInt32(message, &field) : in.GetRepeatedInt32(message, &field, index));
        case Field::CPPTYPE_UINT32:
            return print(
                "{}",
                one ? in.GetUInt32(message, &field) : in.GetRepeatedUInt32(message, &field, index));
        case Field::CPPTYPE_INT64:
            return print(
                "\"{}\"",
                one ? in.GetInt64(message, &field) : in.GetRepeatedInt64(message, &field, index));
        case Field::CPPTYPE_UINT64:
            return print(
                "\"{}\"",
                one ? in.GetUInt64(message, &field) : in.GetRepeatedUInt64(message, &field, index));
        case Field::CPPTYPE_FLOAT:
            break; // The schema has none.
        }
        out_ += "null";
    }

    void write_string(const Field& field, const std::string& text) {
        if (field.type() == Field::TYPE_STRING) { return append_json_string(out_, text); }
        out_ += '"';
        out_ += is_id(field) ? to_hex(text) : to_base64(text);
        out_ += '"';
    }

    void write_double(double number) {
        if (std::isnan(number)) {
            out_ += "\"NaN\"";
        } else if (std::isinf(number)) {
            out_ += number > 0 ? "\"Infinity\"" : "\"-Infinity\"";
        } else if (number == 0 && std::signbit(number)) {
            out_ += "-0.0"; // Without a fraction, readers take it for an integer, without a sign.
        } else {
            print("{}", number); // The shortest text that reads back as the same double.
        }
    }

    template <class Number>
    void print(fmt::format_string<const Number&> format, const Number& number) {
        fmt::format_to(std::back_inserter(out_), format, number);
    }

    std::string& out_;
};

} // namespace

std::string to_json(const pb::Message& message) {
    std::string out;
    Writer(out).write_message(message, 1);
    return out;
}

} // namespace weft::otlp
