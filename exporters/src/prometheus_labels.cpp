// Attributes, as encoded for OTLP, to labels.

#include "base64.hpp"
#include "prometheus_names.hpp"
#include "prometheus_number.hpp"

#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace weft::detail {
namespace {

constexpr int depth_max = 64; // Deeper than any encoder of ours writes.

// Fields of AnyValue. Source: OTLP schema, common.v1.
enum Field : protozero::pbf_tag_type {
    string_value = 1,
    bool_value = 2,
    int_value = 3,
    double_value = 4,
    array_value = 5,
    map_value = 6,
    bytes_value = 7
};

std::string_view view(protozero::data_view data) noexcept { return {data.data(), data.size()}; }

void append_json_string(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    out.push_back('"');
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += "\\u00";
            out.push_back(digits[static_cast<unsigned char>(c) >> 4]);
            out.push_back(digits[static_cast<unsigned char>(c) & 15]);
        } else {
            out.push_back(c);
        }
    }
    out.push_back('"');
}

void append_double(std::string& out, double value) {
    if (std::isnan(value)) {
        out += "NaN";
    } else if (std::isinf(value)) {
        out += value < 0 ? "-Infinity" : "Infinity";
    } else {
        std::array<char, number_bytes_max> digits;
        const auto* const end =
            std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
        out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
    }
}

void append_json(std::string& out, std::string_view any_value, int depth);

void append_json_array(std::string& out, protozero::pbf_reader array, int depth) {
    out.push_back('[');
    for (bool first = true; array.next(); first = false) {
        if (!first) { out.push_back(','); }
        append_json(out, view(array.get_view()), depth + 1);
    }
    out.push_back(']');
}

void append_json_map(std::string& out, protozero::pbf_reader map, int depth) {
    out.push_back('{');
    for (bool first = true; map.next(); first = false) {
        if (!first) { out.push_back(','); }
        std::string_view key;
        std::string_view value;
        for (auto entry = map.get_message(); entry.next();) {
            const auto tag = entry.tag(); // Before its value is taken.
            (tag == 1 ? key : value) = view(entry.get_view());
        }
        append_json_string(out, key);
        out.push_back(':');
        append_json(out, value, depth + 1);
    }
    out.push_back('}');
}

void append_json(std::string& out, std::string_view any_value, int depth) {
    protozero::pbf_reader reader(any_value.data(), any_value.size());
    if (depth > depth_max || !reader.next()) {
        out += "null";
        return;
    }
    switch (reader.tag()) {
    case string_value:
        return append_json_string(out, view(reader.get_view()));
    case bool_value:
        out += reader.get_bool() ? "true" : "false";
        return;
    case int_value:
        out += std::to_string(reader.get_int64());
        return;
    case double_value: {
        const double value = reader.get_double();
        if (std::isfinite(value)) { return append_double(out, value); }
        out.push_back('"'); // JSON has no number for it.
        append_double(out, value);
        out.push_back('"');
        return;
    }
    case array_value:
        return append_json_array(out, reader.get_message(), depth);
    case map_value:
        return append_json_map(out, reader.get_message(), depth);
    default:
        out.push_back('"');
        append_base64(out, view(reader.get_view()));
        out.push_back('"');
    }
}

std::uint32_t mix(std::uint32_t hash, std::string_view text, std::uint32_t type) noexcept {
    for (const char c : text) { // FNV-1a.
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    }
    return (hash ^ (type + 256)) * 16777619u;
}

} // namespace

void append_value_text(std::string& out, std::string_view any_value) {
    protozero::pbf_reader reader(any_value.data(), any_value.size());
    if (!reader.next()) { return; }
    switch (reader.tag()) {
    case string_value:
        out += view(reader.get_view());
        return;
    case double_value:
        return append_double(out, reader.get_double());
    case bytes_value:
        return append_base64(out, view(reader.get_view()));
    default:
        return append_json(out, any_value, 0);
    }
}

void sort_labels(std::span<Label> labels) {
    std::sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) {
        return a.name < b.name;
    });
}

Labels read_labels(
    std::string_view key_values, const PrometheusNaming& naming,
    std::span<const std::string> taken) {
    Labels result;
    std::string value;
    for (protozero::pbf_reader fields(key_values.data(), key_values.size()); fields.next();) {
        if (fields.wire_type() != protozero::pbf_wire_type::length_delimited) {
            fields.skip(); // A resource's count of dropped attributes.
            continue;
        }
        std::string_view key;
        std::string_view any;
        for (auto field = fields.get_message(); field.next();) {
            const auto tag = field.tag(); // As above.
            (tag == 1 ? key : any) = view(field.get_view());
        }
        value.clear();
        append_value_text(value, any);
        std::string name = label_name(key, naming);
        // Bound: each turn makes the name longer than any one that is taken, in the end.
        while (std::find(taken.begin(), taken.end(), name) != taken.end()) {
            name.insert(0, "exported_");
        }
        const std::uint32_t type = any.empty() ? 0 : static_cast<unsigned char>(any.front());
        result.shape = mix(result.shape, key, type);
        const bool is_string = type == (string_value << 3 | 2);
        result.changed |= name != key || !is_string || value.empty();
        const auto known =
            std::find_if(result.labels.begin(), result.labels.end(), [&](const Label& label) {
                return label.name == name;
            });
        if (known == result.labels.end()) {
            result.labels.push_back({std::move(name), value});
        } else {
            known->value.append(";").append(value);
            result.joined = true;
        }
    }
    // To Prometheus an empty label is one that is not there.
    std::erase_if(result.labels, [](const Label& label) { return label.value.empty(); });
    sort_labels(result.labels);
    return result;
}

} // namespace weft::detail
