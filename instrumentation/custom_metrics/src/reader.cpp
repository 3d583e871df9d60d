#include "reader.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/detail/instrument_names.hpp>

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace weft::detail {
namespace {

namespace dom = simdjson::dom;
using dom::element_type;

constexpr std::size_t depth_max = 16; // Ours is 3; more is refused by its field.

// Where something is wrong within an item, and what.
struct Fault {
    unsigned status = 400;
    std::string field{};
    std::string reason{};
};
using Verdict = std::optional<Fault>;

Fault fault(std::string_view field, std::string reason) {
    return {400, std::string(field), std::move(reason)};
}

constexpr std::array kinds{
    InstrumentKind::counter, InstrumentKind::gauge, InstrumentKind::histogram,
    InstrumentKind::up_down_counter};

std::string_view json_type(element_type type) noexcept {
    switch (type) {
    case element_type::ARRAY:
        return "an array";
    case element_type::OBJECT:
        return "an object";
    case element_type::STRING:
        return "a text";
    case element_type::BOOL:
        return "a boolean";
    case element_type::NULL_VALUE:
        return "null";
    default:
        return "a number";
    }
}

std::optional<double> number_in(const dom::element& value) noexcept {
    double number = 0; // Integers too.
    if (value.get_double().get(number) != simdjson::SUCCESS) { return std::nullopt; }
    return number;
}

bool is_number(element_type type) noexcept {
    return type == element_type::INT64 || type == element_type::UINT64 ||
           type == element_type::DOUBLE;
}

// A text of at most so many bytes.
Verdict read_text(
    std::string_view field, const dom::element& value, std::size_t bytes_max,
    std::string_view& out) {
    if (value.get_string().get(out) != simdjson::SUCCESS) {
        return fault(field, fmt::format("it is {}, not a text", json_type(value.type())));
    }
    if (out.size() > bytes_max) {
        return fault(field, fmt::format("it has {} bytes: allowed are {}", out.size(), bytes_max));
    }
    return {};
}

Verdict read_type(const dom::element& value, InstrumentKind& out) {
    std::string_view text;
    if (auto wrong = read_text("type", value, 64, text)) { return wrong; }
    const auto found = std::find_if(
        kinds.begin(), kinds.end(), [&](InstrumentKind kind) { return type_name(kind) == text; });
    if (found == kinds.end()) {
        return fault(
            "type", fmt::format(
                        "it is \"{}\": allowed are counter, gauge, histogram and updowncounter",
                        printable(text, 64)));
    }
    out = *found;
    return {};
}

Verdict check_value(InstrumentKind kind, double value) {
    const bool may_be_negative =
        kind == InstrumentKind::gauge || kind == InstrumentKind::up_down_counter;
    if (!std::isfinite(value)) { return fault("value", "it is beyond the range of a double"); }
    if (value < 0 && !may_be_negative) {
        return fault(
            "value", fmt::format("it is {}: a {} takes 0 or more", value, type_name(kind)));
    }
    return {};
}

Verdict check_timestamp(
    const CustomMetricsOptions& options, const dom::element& value, std::int64_t now_ns) {
    const auto seconds = number_in(value);
    if (!seconds) {
        return fault(
            "timestamp",
            fmt::format("it is {}, not a number of seconds since 1970", json_type(value.type())));
    }
    const double age = static_cast<double>(now_ns) / 1e9 - *seconds;
    if (age > static_cast<double>(options.past_max.count())) {
        return fault(
            "timestamp", fmt::format(
                             "it is {:.0f} s in the past: allowed are {}; it is in seconds since "
                             "1970",
                             age, options.past_max.count()));
    }
    if (-age > static_cast<double>(options.future_max.count())) {
        return fault(
            "timestamp", fmt::format(
                             "it is {:.0f} s in the future: allowed are {}; it is in seconds since "
                             "1970",
                             -age, options.future_max.count()));
    }
    return {};
}

Verdict read_labels(
    const CustomMetricsOptions& options, const dom::element& value, std::vector<Attribute>& out) {
    dom::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) {
        return fault("labels", fmt::format("it is {}, not an object", json_type(value.type())));
    }
    const std::size_t begin = out.size();
    for (const auto [key, label] : object) {
        const auto field = "labels." + printable(key, 64);
        if (out.size() - begin == options.labels_max) {
            return fault("labels", fmt::format("there are more than {}", options.labels_max));
        }
        if (key.empty()) { return fault(field, "its name is empty"); }
        if (key.size() > options.label_key_bytes_max) {
            return fault(
                field, fmt::format(
                           "its name has {} bytes: allowed are {}", key.size(),
                           options.label_key_bytes_max));
        }
        if (std::any_of(out.begin() + static_cast<std::ptrdiff_t>(begin), out.end(), [&](auto& l) {
                return l.key == key;
            })) {
            return fault(field, "it is there twice");
        }
        switch (label.type()) {
        case element_type::STRING: {
            std::string_view text;
            if (auto wrong = read_text(field, label, options.label_value_bytes_max, text)) {
                return wrong;
            }
            out.push_back({key, text});
            break;
        }
        case element_type::BOOL:
            out.push_back({key, label.get_bool().value_unsafe()});
            break;
        case element_type::INT64:
            out.push_back({key, label.get_int64().value_unsafe()});
            break;
        case element_type::UINT64:
            out.push_back({key, label.get_uint64().value_unsafe()});
            break;
        case element_type::DOUBLE:
            out.push_back({key, label.get_double().value_unsafe()});
            break;
        default:
            return fault(
                field,
                fmt::format(
                    "it is {}: allowed are texts, numbers and booleans", json_type(label.type())));
        }
    }
    return {};
}

// The fields of an item, each at most once.
struct Fields {
    std::optional<dom::element> name, type, value, labels, timestamp, unit, description;

    Verdict take(std::string_view key, const dom::element& what) {
        auto* const place = key == "name"          ? &name
                            : key == "type"        ? &type
                            : key == "value"       ? &value
                            : key == "labels"      ? &labels
                            : key == "timestamp"   ? &timestamp
                            : key == "unit"        ? &unit
                            : key == "description" ? &description
                                                   : nullptr;
        if (place == nullptr) {
            return fault(
                printable(key, 64),
                "there is no such field: allowed are name, type, value, labels, timestamp, unit "
                "and description");
        }
        if (place->has_value()) { return fault(key, "it is there twice"); }
        *place = what;
        return {};
    }
    Verdict missing() const {
        for (const auto& [field, place] :
             {std::pair{"name", &name}, std::pair{"type", &type}, std::pair{"value", &value}}) {
            if (!place->has_value()) { return fault(field, "it is missing"); }
        }
        return {};
    }
};

Verdict read_name(
    const CustomMetricsOptions& options, const dom::element& value, CustomMetricsItem& item) {
    std::string_view text;
    if (auto wrong = read_text("name", value, 255, text)) { return wrong; }
    if (text.empty()) { return fault("name", "it is empty"); }
    item.name = options.prefix;
    item.name += text;
    if (auto problem = problem_in_instrument_name(item.name); !problem.empty()) {
        return fault("name", std::move(problem));
    }
    item.key = item.name;
    for (char& c : item.key) {
        if (c >= 'A' && c <= 'Z') { c = static_cast<char>(c - 'A' + 'a'); }
    }
    return {};
}

Verdict read_unit(const dom::element& value, CustomMetricsItem& item) {
    std::string_view text;
    if (auto wrong = read_text("unit", value, 63, text)) { return wrong; }
    const bool good =
        std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    if (!good) { return fault("unit", "it is not printable ASCII: use the UCUM code"); }
    item.unit = text;
    return {};
}

Verdict read_item(
    const CustomMetricsOptions& options, const dom::element& value, std::int64_t now_ns,
    CustomMetricsItem& item, std::vector<Attribute>& labels) {
    dom::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) {
        return fault({}, fmt::format("it is {}, not an object", json_type(value.type())));
    }
    Fields fields;
    for (const auto [key, what] : object) {
        if (auto wrong = fields.take(key, what)) { return wrong; }
    }
    if (auto wrong = fields.missing()) { return wrong; }
    if (auto wrong = read_name(options, *fields.name, item)) { return wrong; }
    if (auto wrong = read_type(*fields.type, item.kind)) { return wrong; }
    const auto number =
        is_number(fields.value->type()) ? number_in(*fields.value) : std::optional<double>();
    if (!number) {
        return fault(
            "value", fmt::format("it is {}, not a number", json_type(fields.value->type())));
    }
    item.value = *number;
    if (auto wrong = check_value(item.kind, item.value)) { return wrong; }
    if (fields.unit) {
        if (auto wrong = read_unit(*fields.unit, item)) { return wrong; }
    }
    if (fields.description) {
        if (auto wrong = read_text(
                "description", *fields.description, options.description_bytes_max,
                item.description)) {
            return wrong;
        }
    }
    if (fields.timestamp) {
        if (auto wrong = check_timestamp(options, *fields.timestamp, now_ns)) { return wrong; }
    }
    item.labels_begin = labels.size();
    if (fields.labels) {
        if (auto wrong = read_labels(options, *fields.labels, labels)) { return wrong; }
    }
    item.labels_end = labels.size();
    return {};
}

} // namespace

std::string_view type_name(InstrumentKind kind) noexcept {
    switch (kind) {
    case InstrumentKind::counter:
        return "counter";
    case InstrumentKind::gauge:
        return "gauge";
    case InstrumentKind::histogram:
        return "histogram";
    default:
        return "updowncounter";
    }
}

struct CustomMetricsReader::Json {
    explicit Json(std::size_t bytes_max) : parser(bytes_max) {}
    dom::parser parser;
};

CustomMetricsReader::CustomMetricsReader(const CustomMetricsOptions& options)
    : options_(options), json_(std::make_unique<Json>(options.body_bytes_max)) {}

CustomMetricsReader::~CustomMetricsReader() = default;

std::optional<CustomMetricsRefusal> CustomMetricsReader::read(
    std::string_view body, std::int64_t now_ns) {
    items_.clear();
    labels_.clear();
    if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        return CustomMetricsRefusal{400, {}, {}, "the body is empty"};
    }
    dom::element root;
    auto error = json_->parser.allocate(body.size(), depth_max);
    if (error == simdjson::SUCCESS) {
        error = json_->parser.parse(body.data(), body.size()).get(root);
    }
    if (error == simdjson::MEMALLOC) { throw std::bad_alloc(); }
    if (error != simdjson::SUCCESS) {
        return CustomMetricsRefusal{
            400, {}, {}, fmt::format("the body is not JSON: {}", simdjson::error_message(error))};
    }
    dom::array array;
    const bool is_array = root.get_array().get(array) == simdjson::SUCCESS;
    if (!is_array && !root.is_object()) {
        return CustomMetricsRefusal{
            400,
            {},
            {},
            fmt::format(
                "the body is {}: it is to be an object or an array of them",
                json_type(root.type()))};
    }
    const auto take = [&](const dom::element& what) -> std::optional<CustomMetricsRefusal> {
        auto wrong = read_item(options_, what, now_ns, items_.emplace_back(), labels_);
        if (!wrong) { return {}; }
        return CustomMetricsRefusal{
            wrong->status, items_.size() - 1, std::move(wrong->field), std::move(wrong->reason)};
    };
    if (!is_array) { return take(root); }
    for (const auto what : array) {
        if (items_.size() == options_.items_max) {
            return CustomMetricsRefusal{
                413,
                {},
                {},
                fmt::format(
                    "there are more than {} items: send them in several requests",
                    options_.items_max)};
        }
        if (auto refusal = take(what)) { return refusal; }
    }
    return {};
}

} // namespace weft::detail
