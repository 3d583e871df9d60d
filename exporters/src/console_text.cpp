#include "console_text.hpp"

#include <weft/runtime/diagnostics.hpp>

#include <fmt/format.h>
#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <string_view>

// Field numbers are those of the opentelemetry-proto files; each reader names its message.

namespace weft::detail {
namespace {

using protozero::data_view;
using protozero::pbf_reader;

constexpr std::size_t text_bytes_max = 512;
constexpr int depth_max = 16; // Of values in values.

std::string shown(data_view text) {
    return printable(std::string_view(text.data(), text.size()), text_bytes_max);
}

std::string quoted(data_view text) {
    std::string out = "\"";
    for (const char c : shown(text)) {
        if (c == '"' || c == '\\') { out += '\\'; }
        out += c;
    }
    return out += '"';
}

std::string hex(data_view bytes) {
    std::string out;
    for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 16); ++i) {
        fmt::format_to(
            std::back_inserter(out), "{:02x}", static_cast<unsigned char>(bytes.data()[i]));
    }
    return out;
}

// "2026-11-27T06:30:01.123456Z".
std::string time_text(std::uint64_t unix_ns) {
    using namespace std::chrono;
    const auto since = microseconds(static_cast<std::int64_t>(unix_ns / 1000));
    const auto day = floor<days>(sys_time<microseconds>(since));
    const year_month_day date(day);
    const hh_mm_ss time(sys_time<microseconds>(since) - day);
    return fmt::format(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
        time.hours().count(), time.minutes().count(), time.seconds().count(),
        time.subseconds().count());
}

void append_value(std::string& out, data_view any_value, int depth = 0);

// KeyValue: " key=value".
void append_attribute(std::string& out, data_view key_value, int depth = 0) {
    data_view key;
    data_view value;
    for (pbf_reader reader(key_value); reader.next();) {
        switch (reader.tag()) {
        case 1:
            key = reader.get_view();
            break;
        case 2:
            value = reader.get_view();
            break;
        default:
            reader.skip();
        }
    }
    out += shown(key);
    out += '=';
    append_value(out, value, depth);
}

// ArrayValue and KeyValueList: a list of field 1.
template <class Append>
void append_list(std::string& out, data_view list, const char* brackets, Append append) {
    out += brackets[0];
    const char* separator = "";
    for (pbf_reader reader(list); reader.next();) {
        if (reader.tag() != 1) {
            reader.skip();
            continue;
        }
        out += separator;
        separator = ", ";
        append(reader.get_view());
    }
    out += brackets[1];
}

void append_value(std::string& out, data_view any_value, int depth) {
    if (depth > depth_max) {
        out += "...";
        return;
    }
    bool is_set = false;
    for (pbf_reader reader(any_value); reader.next();) {
        is_set = true;
        switch (reader.tag()) {
        case 1:
            out += quoted(reader.get_view());
            break;
        case 2:
            out += reader.get_bool() ? "true" : "false";
            break;
        case 3:
            out += fmt::format("{}", reader.get_int64());
            break;
        case 4:
            out += fmt::format("{}", reader.get_double());
            break;
        case 5:
            append_list(out, reader.get_view(), "[]", [&](data_view item) {
                append_value(out, item, depth + 1);
            });
            break;
        case 6:
            append_list(out, reader.get_view(), "{}", [&](data_view item) {
                append_attribute(out, item, depth + 1);
            });
            break;
        case 7:
            out += fmt::format("<{} bytes>", reader.get_view().size());
            break;
        default:
            reader.skip();
        }
    }
    if (!is_set) { out += "<empty>"; }
}

// The fields of any record that are shown the same way, collected in whatever order they come.
struct Record {
    std::string attributes;
    std::uint64_t time_ns = 0;

    void add_attribute(data_view key_value) {
        attributes += ' ';
        append_attribute(attributes, key_value);
    }
};

std::string_view kind_name(std::int32_t kind) {
    constexpr std::array<std::string_view, 6> names{"unspecified", "internal", "server",
                                                    "client",      "producer", "consumer"};
    const auto index = static_cast<std::size_t>(kind);
    return index < names.size() ? names[index] : "unknown";
}

// Status.
std::string status_text(data_view status) {
    data_view message;
    std::int32_t code = 0;
    for (pbf_reader reader(status); reader.next();) {
        switch (reader.tag()) {
        case 2:
            message = reader.get_view();
            break;
        case 3:
            code = reader.get_enum();
            break;
        default:
            reader.skip();
        }
    }
    if (code == 0) { return {}; }
    std::string out = code == 1 ? " status=ok" : " status=error";
    if (message.size() != 0) { out += fmt::format("({})", quoted(message)); }
    return out;
}

// Span.Event.
std::string event_line(data_view event) {
    Record record;
    data_view name;
    for (pbf_reader reader(event); reader.next();) {
        switch (reader.tag()) {
        case 1:
            record.time_ns = reader.get_fixed64();
            break;
        case 2:
            name = reader.get_view();
            break;
        case 3:
            record.add_attribute(reader.get_view());
            break;
        default:
            reader.skip();
        }
    }
    return fmt::format(
        "  {} event {}{}\n", time_text(record.time_ns), shown(name), record.attributes);
}

// Span.Link.
std::string link_line(data_view link) {
    Record record;
    std::string trace;
    std::string span;
    for (pbf_reader reader(link); reader.next();) {
        switch (reader.tag()) {
        case 1:
            trace = hex(reader.get_view());
            break;
        case 2:
            span = hex(reader.get_view());
            break;
        case 4:
            record.add_attribute(reader.get_view());
            break;
        default:
            reader.skip();
        }
    }
    return fmt::format("  link trace={} span={}{}\n", trace, span, record.attributes);
}

// Span.
void append_span(std::string& out, std::string_view from, data_view span) {
    Record record;
    data_view name;
    std::string trace;
    std::string id;
    std::string parent;
    std::string status;
    std::string below;
    std::int32_t kind = 0;
    std::uint64_t end_ns = 0;
    for (pbf_reader reader(span); reader.next();) {
        switch (reader.tag()) {
        case 1:
            trace = hex(reader.get_view());
            break;
        case 2:
            id = hex(reader.get_view());
            break;
        case 4:
            parent = hex(reader.get_view());
            break;
        case 5:
            name = reader.get_view();
            break;
        case 6:
            kind = reader.get_enum();
            break;
        case 7:
            record.time_ns = reader.get_fixed64();
            break;
        case 8:
            end_ns = reader.get_fixed64();
            break;
        case 9:
            record.add_attribute(reader.get_view());
            break;
        case 11:
            below += event_line(reader.get_view());
            break;
        case 13:
            below += link_line(reader.get_view());
            break;
        case 15:
            status = status_text(reader.get_view());
            break;
        default:
            reader.skip();
        }
    }
    const auto ns = end_ns > record.time_ns ? end_ns - record.time_ns : 0;
    out += fmt::format(
        "{} span {} {} kind={} duration={:.3f}ms{} trace={} span={}{}{}{}\n{}",
        time_text(record.time_ns), from, shown(name), kind_name(kind),
        static_cast<double>(ns) / 1e6, status, trace, id, parent.empty() ? "" : " parent=", parent,
        record.attributes, below);
}

/// Which fields a data point of one kind has, by number; 0: none. Time is 3 and sum is 5 in all of them.
struct PointFields {
    std::string_view kind;
    std::uint32_t attributes;
    std::uint32_t min = 0;
    std::uint32_t max = 0;
    bool is_number = false;
};

// NumberDataPoint, HistogramDataPoint, ExponentialHistogramDataPoint, SummaryDataPoint.
void append_point(
    std::string& out, std::string_view metric, const PointFields& fields, data_view point) {
    Record record;
    std::string values;
    const auto tell = [&](std::string_view what, auto value) {
        values += fmt::format(" {}={}", what, value);
    };
    for (pbf_reader reader(point); reader.next();) {
        const auto tag = reader.tag();
        if (tag == fields.attributes) {
            record.add_attribute(reader.get_view());
        } else if (tag == 3) {
            record.time_ns = reader.get_fixed64();
        } else if (fields.is_number && tag == 4) {
            tell("value", reader.get_double());
        } else if (fields.is_number && tag == 6) {
            tell("value", reader.get_sfixed64());
        } else if (!fields.is_number && tag == 4) {
            tell("count", reader.get_fixed64());
        } else if (!fields.is_number && tag == 5) {
            tell("sum", reader.get_double());
        } else if (fields.min != 0 && tag == fields.min) {
            tell("min", reader.get_double());
        } else if (fields.max != 0 && tag == fields.max) {
            tell("max", reader.get_double());
        } else {
            reader.skip();
        }
    }
    out += fmt::format(
        "{} {} {}{}{}\n", time_text(record.time_ns), fields.kind, metric, values,
        record.attributes);
}

// Metric, whose kind is the field that its points are in.
void append_metric(std::string& out, std::string_view from, data_view metric) {
    data_view name;
    data_view unit;
    for (pbf_reader reader(metric); reader.next();) {
        switch (reader.tag()) {
        case 1:
            name = reader.get_view();
            break;
        case 3:
            unit = reader.get_view();
            break;
        default:
            reader.skip();
        }
    }
    std::string of = fmt::format("{} {}", from, shown(name));
    if (unit.size() != 0) { of += fmt::format(" unit={}", shown(unit)); }
    for (pbf_reader reader(metric); reader.next();) {
        PointFields fields{};
        switch (reader.tag()) {
        case 5:
            fields = {.kind = "gauge", .attributes = 7, .is_number = true};
            break;
        case 7:
            fields = {.kind = "sum", .attributes = 7, .is_number = true};
            break;
        case 9:
            fields = {.kind = "histogram", .attributes = 9, .min = 11, .max = 12};
            break;
        case 10:
            fields = {.kind = "exponential_histogram", .attributes = 1, .min = 12, .max = 13};
            break;
        case 11:
            fields = {.kind = "summary", .attributes = 7};
            break;
        default:
            reader.skip();
            continue;
        }
        for (pbf_reader points(reader.get_view()); points.next();) {
            if (points.tag() == 1) {
                append_point(out, of, fields, points.get_view());
            } else {
                points.skip();
            }
        }
    }
}

// LogRecord.
void append_log(std::string& out, std::string_view from, data_view log) {
    Record record;
    std::uint64_t observed_ns = 0;
    std::int32_t severity = 0;
    data_view severity_text;
    data_view event;
    std::string body;
    std::string ids;
    for (pbf_reader reader(log); reader.next();) {
        switch (reader.tag()) {
        case 1:
            record.time_ns = reader.get_fixed64();
            break;
        case 2:
            severity = reader.get_enum();
            break;
        case 3:
            severity_text = reader.get_view();
            break;
        case 5:
            append_value(body, reader.get_view());
            break;
        case 6:
            record.add_attribute(reader.get_view());
            break;
        case 9:
            ids += " trace=" + hex(reader.get_view());
            break;
        case 10:
            ids += " span=" + hex(reader.get_view());
            break;
        case 11:
            observed_ns = reader.get_fixed64();
            break;
        case 12:
            event = reader.get_view();
            break;
        default:
            reader.skip();
        }
    }
    out += fmt::format(
        "{} log {} {}{}{}{}{}{}{}\n", time_text(record.time_ns != 0 ? record.time_ns : observed_ns),
        from,
        severity_text.size() != 0 ? shown(severity_text) : fmt::format("severity={}", severity),
        event.size() != 0 ? " event=" : "", shown(event), body.empty() ? "" : " ", body, ids,
        record.attributes);
}

// The string attribute of a Resource, or nothing.
std::string service_of(data_view resource) {
    std::string service;
    for (pbf_reader reader(resource); reader.next();) {
        if (reader.tag() != 1) {
            reader.skip();
            continue;
        }
        std::string attribute;
        const auto key_value = reader.get_view();
        pbf_reader key(key_value);
        if (key.next(1) && std::string_view(key.get_string()) == "service.name") {
            pbf_reader value(key_value);
            if (value.next(2)) {
                pbf_reader any(value.get_view());
                if (any.next(1)) { service = shown(any.get_view()); }
            }
        }
    }
    return service;
}

// InstrumentationScope's name.
std::string name_of(data_view scope) {
    pbf_reader reader(scope);
    return reader.next(1) ? shown(reader.get_view()) : std::string();
}

using AppendRecord = void (*)(std::string&, std::string_view, data_view);

// Export<Signal>ServiceRequest: Resource<Signal> { resource = 1, Scope<Signal> { scope = 1, records = 2 } = 2 } = 1.
void append_request(std::string& out, data_view request, AppendRecord append) {
    for (pbf_reader resources(request); resources.next(1);) {
        const auto resource_view = resources.get_view();
        pbf_reader resource(resource_view);
        const auto service = resource.next(1) ? service_of(resource.get_view()) : std::string();
        for (pbf_reader scopes(resource_view); scopes.next(2);) {
            const auto scope_view = scopes.get_view();
            pbf_reader scope(scope_view);
            const auto from =
                fmt::format("{}/{}", service, scope.next(1) ? name_of(scope.get_view()) : "");
            for (pbf_reader records(scope_view); records.next(2);) {
                append(out, from, records.get_view());
            }
        }
    }
}

} // namespace

std::string console_text(const Batch& batch) {
    constexpr std::array<AppendRecord, 3> of_signal{&append_span, &append_metric, &append_log};
    std::string out;
    try {
        append_request(
            out, {batch.body.data(), batch.body.size()},
            of_signal[static_cast<std::size_t>(batch.signal)]);
    } catch (const protozero::exception&) { return {}; }
    return out;
}

} // namespace weft::detail
