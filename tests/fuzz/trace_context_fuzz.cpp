// Input: lines. Each is "p" and a traceparent, or "s" and a tracestate line; other lines are other headers.
// Claims: nothing crashes; what was accepted is written so that it is read back as the same; a change of an accepted
// state gives an acceptable one.
#include <weft/propagation/propagate.hpp>
#include <weft/propagation/trace_state_edit.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace weft;

void require(bool claim) {
    if (!claim) { std::abort(); }
}

void check_traceparent(std::string_view value) {
    const auto parsed = w3c::parse_traceparent(value);
    if (!parsed) { return; }
    require(parsed->is_valid() && parsed->is_remote);
    const auto written = w3c::format_traceparent(*parsed);
    const auto again = w3c::parse_traceparent({written.data(), written.size()});
    require(again && *again == *parsed);
}

void check_state(const TraceState& state) {
    const auto again = w3c::parse_tracestate(state.text());
    require(again && *again == state);

    const auto added = w3c::with_member(state, "ot", "th:8");
    require(added && w3c::find_member(*added, "ot") == "th:8");
    require(w3c::parse_tracestate(added->text()).has_value());
    require(!w3c::find_member(w3c::without_member(*added, "ot"), "ot"));

    const auto short_state = w3c::shortened(state, 512);
    require(short_state.text().size() <= 512);
    require(w3c::parse_tracestate(short_state.text()).has_value());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::string_view> states;
    while (!rest.empty()) {
        const auto end = std::min(rest.find('\n'), rest.size());
        const auto line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (line.starts_with('p')) {
            check_traceparent(line.substr(1));
            headers.emplace_back("TraceParent", line.substr(1));
        } else if (line.starts_with('s')) {
            states.push_back(line.substr(1));
            headers.emplace_back("tracestate", line.substr(1));
        } else {
            headers.emplace_back(line, line);
        }
    }
    const auto state = w3c::parse_tracestate(states);
    if (state) { check_state(*state); }

    const auto context = w3c::extract(headers);
    if (!context.is_valid()) {
        require(context.state.empty());
        return 0;
    }
    require(context.state == (state ? *state : TraceState{}));
    std::vector<std::pair<std::string, std::string>> sent;
    w3c::inject(context, sent);
    const auto again = w3c::extract(sent);
    require(again.span == context.span && again.state == context.state);
    return 0;
}
