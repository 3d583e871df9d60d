#include "record_shortener.hpp"

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace weft::detail {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;
using protozero::tag_and_type;

constexpr std::size_t whole = std::numeric_limits<std::size_t>::max();
constexpr std::size_t count_field_bytes_max =
    6; // A dropped_attributes_count that was not there before.

// Where a message holds what may be cut. 0: it has no such field. Source: OTLP schema.
struct Shape {
    protozero::pbf_tag_type attributes;
    protozero::pbf_tag_type dropped_count;
    protozero::pbf_tag_type body;
    protozero::pbf_tag_type events;
};
constexpr Shape span_shape{9, 10, 0, 11};
constexpr Shape event_shape{3, 4, 0, 0};
constexpr Shape log_shape{6, 7, 5, 0};

std::string_view view(pbf_reader& reader) {
    const auto bytes = reader.get_view();
    return {bytes.data(), bytes.size()};
}

std::size_t cut_between_characters(std::string_view text, std::size_t size) noexcept {
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) { --size; }
    return size;
}

// Copies a record, values cut to `value_bytes_max`. Notes the length of each value that may be cut.
class Copier {
public:
    explicit Copier(std::size_t value_bytes_max) : value_bytes_max_(value_bytes_max) {}

    std::string copy(std::string_view message, const Shape& shape) {
        ++messages;
        std::string out;
        std::uint32_t dropped = 0;
        std::uint32_t cut = 0;
        pbf_reader reader(message.data(), message.size());
        for (;;) { // Bound: each turn takes a field off.
            const char* const begin = reader.data().data();
            if (!reader.next()) { break; }
            const bool is_message = reader.wire_type() == pbf_wire_type::length_delimited;
            const auto number = reader.tag();
            if (is_message && number == shape.attributes) {
                put(out, number, copy_key_value(view(reader), cut));
            } else if (is_message && number == shape.body) {
                put(out, number, copy_value(view(reader), cut));
            } else if (is_message && number == shape.events) {
                put(out, number, copy(view(reader), event_shape));
            } else if (
                reader.tag_and_type() == tag_and_type(shape.dropped_count, pbf_wire_type::varint)) {
                dropped = reader.get_uint32();
            } else {
                reader.skip();
                out.append(begin, reader.data().data());
            }
        }
        if (dropped + cut != 0) {
            protozero::pbf_writer(out).add_uint32(shape.dropped_count, dropped + cut);
        }
        return out;
    }

    std::vector<std::size_t> lengths;
    std::size_t messages = 0;

private:
    static void put(std::string& out, protozero::pbf_tag_type number, const std::string& content) {
        protozero::pbf_writer(out).add_message(number, content);
    }

    std::string copy_key_value(std::string_view message, std::uint32_t& cut) {
        std::string out;
        pbf_reader reader(message.data(), message.size());
        for (;;) { // Bound: as above.
            const char* const begin = reader.data().data();
            if (!reader.next()) { return out; }
            if (reader.tag_and_type() == tag_and_type(2, pbf_wire_type::length_delimited)) {
                put(out, 2, copy_value(view(reader), cut));
            } else {
                reader.skip();
                out.append(begin, reader.data().data());
            }
        }
    }

    std::string copy_value(std::string_view message, std::uint32_t& cut) {
        std::string out;
        pbf_reader reader(message.data(), message.size());
        for (;;) { // Bound: as above.
            const char* const begin = reader.data().data();
            if (!reader.next()) { return out; }
            const bool is_string =
                reader.tag_and_type() == tag_and_type(1, pbf_wire_type::length_delimited);
            const bool is_bytes =
                reader.tag_and_type() == tag_and_type(7, pbf_wire_type::length_delimited);
            if (!is_string && !is_bytes) {
                reader.skip();
                out.append(begin, reader.data().data());
                continue;
            }
            const auto number = reader.tag();
            auto value = view(reader);
            lengths.push_back(value.size());
            if (value.size() > value_bytes_max_) {
                value = value.substr(
                    0,
                    is_string ? cut_between_characters(value, value_bytes_max_) : value_bytes_max_);
                ++cut;
            }
            protozero::pbf_writer(out).add_bytes(number, value.data(), value.size());
        }
    }

    const std::size_t value_bytes_max_;
};

// The longest that values may be so that `excess` bytes go; nothing if all of them are not enough.
std::optional<std::size_t> level(std::vector<std::size_t> lengths, std::size_t excess) {
    std::sort(lengths.begin(), lengths.end(), std::greater<>());
    std::size_t sum = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        sum += lengths[i];
        const std::size_t next = i + 1 < lengths.size() ? lengths[i + 1] : 0;
        // With the first i + 1 cut down to the length of the next, is that enough?
        if (sum >= excess + next * (i + 1)) { return (sum - excess) / (i + 1); }
    }
    return std::nullopt;
}

} // namespace

std::optional<std::string> shorten_record(
    Signal signal, std::string_view record, std::size_t bytes_max) {
    if (signal == Signal::metrics) { return std::nullopt; }
    const auto& shape = signal == Signal::traces ? span_shape : log_shape;
    Copier measuring(whole);
    const auto copied = measuring.copy(record, shape);
    if (copied.size() <= bytes_max) { return copied; }
    const auto excess = copied.size() - bytes_max + measuring.messages * count_field_bytes_max;
    const auto value_bytes_max = level(std::move(measuring.lengths), excess);
    if (!value_bytes_max) { return std::nullopt; }
    Copier cutting(*value_bytes_max);
    return cutting.copy(record, shape);
}

} // namespace weft::detail
