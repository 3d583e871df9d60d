// Input: the first byte chooses the formats, the rest is lines "name: value", the fields of a message.
// Claims: nothing crashes; what was extracted is injected so that it is extracted as the same, by the same formats and
// by each format that can say it all; what is injected are header names and values that HTTP allows; a getter, which
// cannot enumerate, gives the same trace.
#include <weft/propagation/composite.hpp>
#include <weft/propagation/environment_carrier.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace weft;
using Fields = std::vector<std::pair<std::string, std::string>>;

void require(bool claim) {
    if (!claim) { std::abort(); }
}

Fields read_fields(std::string_view text) {
    Fields fields;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const auto colon = std::min(line.find(": "), line.size());
        fields.emplace_back(line.substr(0, colon), line.substr(std::min(colon + 2, line.size())));
    }
    return fields;
}

Propagators chosen(std::uint8_t selector) {
    if (selector % 8 == 7) {
        return {Propagator::tracecontext, Propagator::baggage, Propagator::b3,
                Propagator::jaeger,       Propagator::xray,    Propagator::ottrace,
                Propagator::b3multi};
    }
    return {static_cast<Propagator>(selector % 8 + 1)};
}

bool is_header(std::string_view name, std::string_view value) {
    const auto is_name = [](char c) { return c > 0x20 && c < 0x7f && c != ':' && c != ','; };
    const auto is_value = [](char c) { return (c >= 0x20 && c < 0x7f) || c == '\t'; };
    return !name.empty() && std::all_of(name.begin(), name.end(), is_name) &&
           std::all_of(value.begin(), value.end(), is_value);
}

Fields injected(const Propagators& propagators, const PropagatedContext& context) {
    Fields sent;
    inject(propagators, context, sent);
    for (const auto& [name, value] : sent) {
        require(is_header(name, value));
        require(replaces(propagators, context, name));
    }
    return sent;
}

bool same_trace(const TraceContext& a, const TraceContext& b) {
    return a.span == b.span && a.state == b.state;
}

void check_each_format(const PropagatedContext& context) {
    const auto again = [&](Propagator propagator) {
        const Propagators one{propagator};
        return extract(one, injected(one, context));
    };
    if (context.trace.is_valid()) {
        auto expected = context.trace;
        expected.span.flags &= trace_flags::known;
        require(same_trace(again(Propagator::tracecontext).trace, expected));
        expected = context.trace;
        expected.state = {};
        expected.span.flags &= static_cast<std::uint8_t>(~trace_flags::random);
        require(same_trace(again(Propagator::b3).trace, expected));
        require(same_trace(again(Propagator::b3multi).trace, expected));
        expected.span.flags &= static_cast<std::uint8_t>(~trace_flags::debug);
        require(same_trace(again(Propagator::xray).trace, expected));
    }
    // Values may grow past the header's limit when they are encoded; then entries are left out, but none is changed.
    for (const auto entry : again(Propagator::baggage).baggage) {
        require(context.baggage.find(entry.name) == entry);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) { return 0; }
    const auto propagators = chosen(data[0]);
    const auto fields = read_fields({reinterpret_cast<const char*>(data) + 1, size - 1});

    const auto context = extract(propagators, fields);
    require(context.trace.is_valid() || context.trace.state.empty());
    require(!context.trace.is_valid() || context.trace.span.is_remote);
    require(context.baggage.size() <= Baggage::entries_max);

    const auto getter = [&](std::string_view name) {
        std::vector<std::string> values;
        carrier::for_each_value(
            fields, name, [&](std::string_view value) { values.emplace_back(value); });
        return values;
    };
    require(same_trace(extract(propagators, getter).trace, context.trace));
    check_each_format(context);

    // One turn may lose what the formats cannot say; from then on nothing may.
    const auto once = extract(propagators, injected(propagators, context));
    const auto twice = extract(propagators, injected(propagators, once));
    require(same_trace(once.trace, twice.trace));
    require(once.baggage == twice.baggage);

    EnvironmentCarrier environment;
    inject(propagators, {context.trace, {}}, environment);
    require(same_trace(extract(propagators, environment).trace, once.trace));
    return 0;
}
