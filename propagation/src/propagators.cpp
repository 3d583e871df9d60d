#include <weft/propagation/composite.hpp>

#include <algorithm>
#include <atomic>

namespace weft {
namespace {

constexpr std::array<std::string_view, propagators_max> names{
    "tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "ottrace"};

// Written by a Runtime at its start and end, read by every request.
constinit std::atomic<Propagators> in_force{Propagators{}};

constexpr std::size_t index_of(Propagator propagator) noexcept {
    return static_cast<std::size_t>(propagator) - 1;
}

template <class Names>
bool is_one_of(const Names& own, std::string_view name) noexcept {
    return std::any_of(own.begin(), own.end(), [&](std::string_view known) {
        return carrier::same_name(known, name);
    });
}

} // namespace

std::string_view name(Propagator propagator) noexcept {
    const auto index = index_of(propagator);
    return index < names.size() ? names[index] : "unknown";
}

std::optional<Propagator> parse_propagator(std::string_view text) noexcept {
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) { return std::nullopt; }
    return static_cast<Propagator>(found - names.begin() + 1);
}

FieldNames fields(const Propagators& propagators) noexcept {
    FieldNames all;
    const auto add = [&](const auto& own) {
        for (const auto name : own) { all.add(name); }
    };
    for (const auto propagator : propagators) {
        switch (propagator) {
        case Propagator::tracecontext:
            add(w3c::fields);
            break;
        case Propagator::baggage:
            all.add(w3c::baggage_header);
            break;
        case Propagator::b3:
            add(b3::single_fields);
            break;
        case Propagator::b3multi:
            add(b3::multi_fields);
            break;
        case Propagator::jaeger:
            add(jaeger::fields);
            break;
        case Propagator::xray:
            add(xray::fields);
            break;
        case Propagator::ottrace:
            add(ottrace::fields);
            break;
        }
    }
    return all;
}

Propagators default_propagators() noexcept {
    // relaxed: the word is all there is; a request that starts as it changes may use either.
    return in_force.load(std::memory_order_relaxed);
}

void set_default_propagators(const Propagators& propagators) noexcept {
    in_force.store(propagators, std::memory_order_relaxed); // relaxed: as above.
}

bool replaces(
    const Propagators& propagators, const PropagatedContext& context,
    std::string_view name) noexcept {
    const bool trace = context.trace.is_valid();
    const bool baggage = !context.baggage.empty();
    const auto is_entry = [&](std::string_view prefix) {
        return baggage && !detail::behind_prefix(name, prefix).empty();
    };
    for (const auto propagator : propagators) {
        bool found = false;
        switch (propagator) {
        case Propagator::tracecontext:
            found = trace && is_one_of(w3c::fields, name);
            break;
        case Propagator::baggage:
            found = baggage && carrier::same_name(name, w3c::baggage_header);
            break;
        case Propagator::b3:
            found = trace && is_one_of(b3::single_fields, name);
            break;
        case Propagator::b3multi:
            found = trace && (is_one_of(b3::multi_fields, name) ||
                              carrier::same_name(name, b3::parent_span_id_header));
            break;
        case Propagator::jaeger:
            found = (trace && is_one_of(jaeger::fields, name)) || is_entry(jaeger::baggage_prefix);
            break;
        case Propagator::xray:
            found = trace && is_one_of(xray::fields, name);
            break;
        case Propagator::ottrace:
            found =
                (trace && is_one_of(ottrace::fields, name)) || is_entry(ottrace::baggage_prefix);
            break;
        }
        if (found) { return true; }
    }
    return false;
}

} // namespace weft
