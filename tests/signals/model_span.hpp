#pragma once
// A slow model of a span: what the calls made on it must lead to.

#include "model_value.hpp"

#include <weft/signals/span.hpp>

#include <map>
#include <string>
#include <vector>

namespace weft::testing {

/// Kept attributes and the count of discarded ones.
struct ModelFields {
    std::map<std::string, ModelValue> kept;
    std::uint32_t dropped = 0;
};

/// Of an event or a link: the last of equal keys counts, in the order of those, up to a limit.
[[nodiscard]] inline ModelFields model_fields(
    const ModelAttributes& given, std::uint32_t count_max, const SpanLimits& limits) {
    ModelFields fields;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const auto& [key, value] = given[i];
        const auto same = [&](const auto& later) { return later.first == key; };
        if (std::any_of(given.begin() + static_cast<std::ptrdiff_t>(i) + 1, given.end(), same)) {
            continue;
        }
        if (key.empty() || fields.kept.size() >= count_max) {
            ++fields.dropped;
        } else {
            fields.kept.emplace(key, limited(value, limits));
        }
    }
    return fields;
}

struct ModelEvent {
    std::string name;
    std::int64_t time = 0;
    ModelFields attributes;
};
struct ModelLink {
    TraceContext context;
    ModelFields attributes;
};

struct ModelSpan {
    SpanLimits limits;
    std::string name;
    SpanKind kind = SpanKind::internal;
    ModelFields attributes;
    std::vector<ModelEvent> events;
    std::uint32_t dropped_events = 0;
    std::vector<ModelLink> links;
    std::uint32_t dropped_links = 0;
    StatusCode status = StatusCode::unset;
    std::string status_text;
    std::int64_t start = 0;
    std::int64_t end = 0;
    SpanContext parent; // Invalid: a root.
    SpanContext self;
    std::string trace_state;
    std::uint16_t scope = 0;

    void set(const std::string& key, const ModelValue& value) {
        auto& kept = attributes.kept;
        if (key.empty() || (!kept.contains(key) && kept.size() >= limits.attribute_count)) {
            ++attributes.dropped;
            return;
        }
        kept[key] = limited(value, limits);
    }
    void add_event(std::string event, std::int64_t time, const ModelAttributes& given) {
        if (events.size() >= limits.event_count) {
            ++dropped_events;
            return;
        }
        events.push_back(
            {std::move(event), time, model_fields(given, limits.event_attribute_count, limits)});
    }
    void add_link(const TraceContext& context, const ModelAttributes& given) {
        if (!context.is_valid() && context.state.empty() && given.empty()) { return; }
        if (links.size() >= limits.link_count) {
            ++dropped_links;
            return;
        }
        links.push_back({context, model_fields(given, limits.link_attribute_count, limits)});
    }
    void set_status(StatusCode code, const std::string& text) {
        if (status == StatusCode::ok || code == StatusCode::unset) { return; }
        status = code;
        status_text = code == StatusCode::error ? reference_text(text) : "";
    }
};

} // namespace weft::testing
