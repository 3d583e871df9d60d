#pragma once
// A span's message as a test wants to compare it: every value as text.
#include <weft/testing/span_sink.hpp>

#include <protozero/pbf_reader.hpp>

#include <map>
#include <string>
#include <vector>

namespace weft::http::testing {

using Attributes = std::map<std::string, std::string>;

struct DecodedSpan {
    std::string name;
    int kind = 0;
    Attributes attributes;
    std::vector<std::string> events; // Names.
    std::vector<Attributes> event_attributes;
    int status = 0;
    std::string status_text;
    SpanId id;
    SpanId parent;
    TraceId trace;
    std::string trace_state;

    [[nodiscard]] std::string operator[](const std::string& key) const {
        const auto at = attributes.find(key);
        return at == attributes.end() ? "(absent)" : at->second;
    }
};

[[nodiscard]] inline std::string value_text(protozero::pbf_reader value) {
    std::string text;
    while (value.next()) {
        switch (value.tag()) {
        case 1:
            text = value.get_string();
            break;
        case 2:
            text = value.get_bool() ? "true" : "false";
            break;
        case 3:
            text = std::to_string(value.get_int64());
            break;
        case 4:
            text = std::to_string(value.get_double());
            break;
        default:
            value.skip();
        }
    }
    return text;
}

inline void add_attribute(Attributes& attributes, protozero::pbf_reader pair) {
    std::string key;
    std::string text;
    while (pair.next()) {
        switch (pair.tag()) {
        case 1:
            key = pair.get_string();
            break;
        case 2:
            text = value_text(pair.get_message());
            break;
        default:
            pair.skip();
        }
    }
    attributes[key] = text;
}

[[nodiscard]] inline DecodedSpan decode(const weft::testing::SunkSpan& sunk) {
    DecodedSpan span;
    span.id = sunk.id();
    span.parent = sunk.parent;
    span.trace = sunk.trace_id();
    span.trace_state = sunk.trace_state;
    for (protozero::pbf_reader fields(sunk.message); fields.next();) {
        switch (fields.tag()) {
        case 5:
            span.name = fields.get_string();
            break;
        case 6:
            span.kind = fields.get_int32();
            break;
        case 9:
            add_attribute(span.attributes, fields.get_message());
            break;
        case 11: {
            auto event = fields.get_message();
            Attributes attributes;
            std::string name;
            while (event.next()) {
                switch (event.tag()) {
                case 2:
                    name = event.get_string();
                    break;
                case 3:
                    add_attribute(attributes, event.get_message());
                    break;
                default:
                    event.skip();
                }
            }
            span.events.push_back(name);
            span.event_attributes.push_back(attributes);
            break;
        }
        case 15: {
            auto status = fields.get_message();
            while (status.next()) {
                switch (status.tag()) {
                case 2:
                    span.status_text = status.get_string();
                    break;
                case 3:
                    span.status = status.get_int32();
                    break;
                default:
                    status.skip();
                }
            }
            break;
        }
        default:
            fields.skip();
        }
    }
    return span;
}

} // namespace weft::http::testing
