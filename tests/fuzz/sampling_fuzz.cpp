// Input: the first line is a tracestate, the rest sampling rules as OTEL_TRACES_SAMPLER_ARG has them.
// Claims: nothing crashes; a weight that is written is read back, changes nothing else that counts and can be taken off
// again; rules that are accepted decide.
#include "sampling_rules.hpp"

#include <weft/propagation/trace_context.hpp>
#include <weft/signals/composable_sampler.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace weft;

void require(bool claim) {
    if (!claim) { std::abort(); }
}

void check_state(std::string_view text) {
    const auto before = read_sampling_state(text);
    require(!before.threshold || *before.threshold < threshold_never);
    const auto parsed = w3c::parse_tracestate(text);
    if (!parsed) { return; } // Only accepted states get this far in a program.
    const auto state = parsed->text();
    const auto given = read_sampling_state(state);
    for (const std::uint64_t threshold :
         {std::uint64_t{0}, threshold_never / 2, threshold_never - 1}) {
        TraceStateBuffer buffer;
        const auto with = with_threshold(state, threshold, buffer);
        require(w3c::parse_tracestate(with).has_value());
        require(read_sampling_state(with).threshold == threshold);
        require(read_sampling_state(with).randomness == given.randomness);
        TraceStateBuffer other;
        const auto without = with_threshold(with, std::nullopt, other);
        require(w3c::parse_tracestate(without).has_value());
        require(!read_sampling_state(without).threshold);
        require(read_sampling_state(without).randomness == given.randomness);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto end = std::min(input.find('\n'), input.size());
    check_state(input.substr(0, end));

    std::string problem;
    const auto sampler =
        detail::parse_sampling_rules(input.substr(std::min(end + 1, size)), problem);
    require(sampler.has_value() == problem.empty());
    if (!sampler) { return 0; }
    const TraceState none;
    const auto trace = random_trace_id();
    const Attribute attributes[] = {{"http.route", "/orders/{id}"}, {"number", 7}};
    const auto result = sampler->should_sample(
        {nullptr, none, trace, "GET /orders/{id}", SpanKind::server, attributes, {}, 1});
    const bool kept = result.decision == SamplingDecision::record_and_sample;
    require(kept || result.trace_state.empty());
    return 0;
}
