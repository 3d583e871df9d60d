// OTLP bytes into OTLP/JSON, by walking over the bytes: nothing is decoded into objects.
//
// In Protobuf the entries of a list may lie scattered among other fields, and do: a span's attributes and events are
// written as the program sets them. In JSON a key stands once. So a message is walked over twice:
//
//   pass 1  notes for each field of the schema where its first entry begins and its last one ends
//   pass 2  per field, by number: from there to there, skipping what is not of the field
//
// Of a singular field the last value counts, as it does in Protobuf; a message that comes in parts is the parts one after
// another; and of a oneof the member that came last.

#include "otlp_json.hpp"

#include "otlp_json_schema.hpp"

#include <weft/runtime/ids.hpp>
#include <weft/runtime/utf8.hpp>

#include <fmt/format.h>
#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>

namespace weft::detail {
namespace {

using namespace json_schema;
using protozero::pbf_reader;
using protozero::pbf_wire_type;

constexpr int depth_max = 100;

// Of the largest message.
constexpr std::size_t fields_max = 16;

constexpr pbf_wire_type wire_type_of(Kind kind) noexcept {
    switch (kind) {
    case Kind::text:
    case Kind::bytes:
    case Kind::id:
    case Kind::message:
        return pbf_wire_type::length_delimited;
    case Kind::fixed32:
        return pbf_wire_type::fixed32;
    case Kind::fixed64:
    case Kind::sfixed64:
    case Kind::real:
        return pbf_wire_type::fixed64;
    default:
        return pbf_wire_type::varint;
    }
}

// Numbers of a list may come in one run.
constexpr bool is_packed(const Field& field, pbf_wire_type found) noexcept {
    return field.many == Many::list && found == pbf_wire_type::length_delimited;
}

constexpr bool fits(const Field& field, pbf_wire_type found) noexcept {
    return found == wire_type_of(field.kind) || is_packed(field, found);
}

// Where a field's entries lie in their message.
struct Place {
    const char* begin = nullptr;
    const char* end = nullptr;
    std::size_t count = 0;
};

class Writer {
public:
    explicit Writer(std::string& out) : out_(out) {}

    // Errors: protozero::exception.
    void write_message(std::string_view bytes, Type type, int depth) {
        out_ += '{';
        if (depth <= depth_max) {
            write_fields(bytes, schema[static_cast<std::size_t>(type)], depth);
        }
        out_ += '}';
    }

private:
    void write_fields(std::string_view bytes, Fields fields, int depth) {
        std::array<Place, fields_max> places;
        find_fields(bytes, fields, places);
        bool is_first = true;
        for (std::size_t i = 0; i < fields.size(); ++i) {
            if (places[i].count == 0) { continue; }
            if (!is_first) { out_ += ','; }
            is_first = false;
            out_ += fields[i].key;
            if (fields[i].many == Many::list) {
                write_list(fields[i], places[i], depth);
            } else {
                write_single(fields[i], places[i], depth);
            }
        }
    }

    static void find_fields(
        std::string_view bytes, Fields fields, std::array<Place, fields_max>& places) {
        pbf_reader reader(bytes.data(), bytes.size());
        std::size_t guess =
            0;     // Most encoders write fields by their numbers, so that few are looked at twice.
        for (;;) { // Bound: each turn takes a field off.
            const char* const begin = reader.data().data();
            if (!reader.next()) { return; }
            const auto number = reader.tag();
            const auto found = reader.wire_type();
            reader.skip();
            while (guess > 0 && fields[guess].number > number) { --guess; }
            while (guess + 1 < fields.size() && fields[guess].number < number) { ++guess; }
            if (fields[guess].number != number || !fits(fields[guess], found)) { continue; }
            if (fields[guess].many == Many::oneof) { forget_siblings(fields, guess, places); }
            auto& place = places[guess];
            // Of a number or a text the last alone; of lists and messages from the first on.
            const bool replaces =
                fields[guess].many != Many::list && fields[guess].kind != Kind::message;
            if (place.count++ == 0 || replaces) { place.begin = begin; }
            place.end = reader.data().data();
        }
    }

    // There is one oneof a message, so that its members need no name.
    static void forget_siblings(
        Fields fields, std::size_t chosen, std::array<Place, fields_max>& places) {
        for (std::size_t i = 0; i < fields.size(); ++i) {
            if (i != chosen && fields[i].many == Many::oneof) { places[i].count = 0; }
        }
    }

    // Calls `entry` with the reader before each value of the field.
    template <class Entry>
    static void for_each(const Field& field, const Place& place, Entry entry) {
        pbf_reader reader(place.begin, static_cast<std::size_t>(place.end - place.begin));
        while (reader.next()) {
            if (reader.tag() != field.number || !fits(field, reader.wire_type())) {
                reader.skip();
                continue;
            }
            entry(reader);
        }
    }

    void write_list(const Field& field, const Place& place, int depth) {
        out_ += '[';
        bool is_first = true;
        const auto separate = [&] {
            if (!is_first) { out_ += ','; }
            is_first = false;
        };
        for_each(field, place, [&](pbf_reader& reader) {
            if (wire_type_of(field.kind) != pbf_wire_type::length_delimited &&
                reader.wire_type() == pbf_wire_type::length_delimited) {
                write_packed(field, reader, separate);
                return;
            }
            separate();
            write_value(field, reader, depth);
        });
        out_ += ']';
    }

    template <class Separate>
    void write_packed(const Field& field, pbf_reader& reader, Separate separate) {
        const auto each = [&](const auto& values, auto write) {
            for (const auto value : values) {
                separate();
                write(value);
            }
        };
        switch (field.kind) {
        case Kind::fixed64:
            return each(reader.get_packed_fixed64(), [&](std::uint64_t v) { write_quoted(v); });
        case Kind::uint64:
            return each(reader.get_packed_uint64(), [&](std::uint64_t v) { write_quoted(v); });
        case Kind::real:
            return each(reader.get_packed_double(), [&](double v) { write_real(v); });
        default:
            reader.skip(); // The schema has no other list of numbers.
        }
    }

    // The last value; of a message, all its parts.
    void write_single(const Field& field, const Place& place, int depth) {
        if (field.kind == Kind::message && place.count > 1) {
            std::string parts;
            for_each(field, place, [&](pbf_reader& reader) {
                const auto part = reader.get_view();
                parts.append(part.data(), part.size());
            });
            return write_message(parts, field.type, depth + 1);
        }
        for_each(field, place, [&](pbf_reader& reader) { write_value(field, reader, depth); });
    }

    void write_value(const Field& field, pbf_reader& reader, int depth) {
        switch (field.kind) {
        case Kind::text:
            return write_text(view(reader));
        case Kind::bytes:
            return write_base64(view(reader));
        case Kind::id:
            return write_hex(view(reader));
        case Kind::boolean:
            out_ += reader.get_bool() ? "true" : "false";
            return;
        case Kind::int32:
            return write_plain(reader.get_int32());
        case Kind::uint32:
            return write_plain(reader.get_uint32());
        case Kind::sint32:
            return write_plain(reader.get_sint32());
        case Kind::int64:
            return write_quoted(reader.get_int64());
        case Kind::uint64:
            return write_quoted(reader.get_uint64());
        case Kind::fixed32:
            return write_plain(reader.get_fixed32());
        case Kind::fixed64:
            return write_quoted(reader.get_fixed64());
        case Kind::sfixed64:
            return write_quoted(reader.get_sfixed64());
        case Kind::real:
            return write_real(reader.get_double());
        case Kind::message:
            return write_message(view(reader), field.type, depth + 1);
        }
    }

    static std::string_view view(pbf_reader& reader) {
        const auto bytes = reader.get_view();
        return {bytes.data(), bytes.size()};
    }

    template <class Integer>
    void write_plain(Integer value) {
        char digits[20];
        const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
        out_.append(digits, end);
    }

    template <class Integer>
    void write_quoted(Integer value) {
        out_ += '"';
        write_plain(value);
        out_ += '"';
    }

    void write_real(double value) {
        if (std::isnan(value)) {
            out_ += R"("NaN")";
        } else if (std::isinf(value)) {
            out_ += value > 0 ? R"("Infinity")" : R"("-Infinity")";
        } else if (value == 0 && std::signbit(value)) {
            out_ +=
                "-0.0"; // Without a fraction, readers take it for an integer, which has no sign.
        } else {
            fmt::format_to(std::back_inserter(out_), "{}", value); // The shortest that reads back.
        }
    }

    void write_text(std::string_view text) {
        out_ += '"';
        while (!text.empty()) { // Bound: each turn takes bytes off.
            const auto plain = plain_prefix(text);
            out_.append(text, 0, plain);
            text.remove_prefix(plain);
            if (!text.empty()) { text.remove_prefix(write_special(text)); }
        }
        out_ += '"';
    }

    // How many bytes need no second look: printable ASCII apart from '"' and the backslash.
    static std::size_t plain_prefix(std::string_view text) noexcept {
        std::size_t size = 0;
        while (size < text.size()) {
            const auto byte = static_cast<unsigned char>(text[size]);
            if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\') { break; }
            ++size;
        }
        return size;
    }

    // One character that is not plain; how many bytes it took.
    std::size_t write_special(std::string_view text) {
        const char c = text.front();
        if (static_cast<unsigned char>(c) >= 0x80) {
            const auto point = leading_code_point(text);
            out_ += point.is_good ? text.substr(0, point.size) : std::string_view("\xef\xbf\xbd");
            return point.size;
        }
        if (c == '"' || c == '\\') {
            out_ += {'\\', c};
            return 1;
        }
        constexpr char hex[] = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(c);
        out_ += "\\u00";
        out_ += {hex[byte >> 4], hex[byte & 15]};
        return 1;
    }

    void write_hex(std::string_view bytes) {
        out_ += '"';
        const auto begin = out_.size();
        out_.resize(begin + 2 * bytes.size());
        detail::write_hex(
            reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), out_.data() + begin);
        out_ += '"';
    }

    void write_base64(std::string_view bytes) {
        constexpr char alphabet[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        out_ += '"';
        for (std::size_t i = 0; i < bytes.size(); i += 3) {
            const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
            std::uint32_t group = 0;
            for (std::size_t j = 0; j < 3; ++j) {
                group = (group << 8) | (j < count ? static_cast<std::uint8_t>(bytes[i + j]) : 0u);
            }
            for (std::size_t j = 0; j < 4; ++j) {
                out_ += j <= count ? alphabet[(group >> (18 - 6 * j)) & 63] : '=';
            }
        }
        out_ += '"';
    }

    std::string& out_;
};

Type request_type(Signal signal) noexcept {
    if (signal == Signal::traces) { return Type::traces_data; }
    return signal == Signal::metrics ? Type::metrics_data : Type::logs_data;
}

} // namespace

bool append_otlp_json(std::string& out, Signal signal, std::string_view body) {
    const auto size_before = out.size();
    try {
        Writer(out).write_message(body, request_type(signal), 1);
        return true;
    } catch (const protozero::exception&) {
        out.resize(size_before);
        return false;
    }
}

std::string otlp_json(const Batch& batch) {
    std::string out;
    out.reserve(
        batch.body.size() * 5 /
        2); // What spans grow to, so that most batches need no second allocation.
    if (!append_otlp_json(out, batch.signal, batch.body)) { out.clear(); }
    return out;
}

} // namespace weft::detail
