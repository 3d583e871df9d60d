#include "sampler_variables.hpp"

#include "sampling_rules.hpp"

#include <weft/signals/adaptive_sampler.hpp>
#include <weft/signals/rate_limit_sampler.hpp>

#include <fmt/format.h>

namespace weft::detail {
namespace {

constexpr const char* argument = "OTEL_TRACES_SAMPLER_ARG";

Sampler read_rules(EnvironmentReader& env) {
    const auto text = env.text(argument);
    std::string problem;
    const auto rules = parse_sampling_rules(text.value_or(""), problem);
    if (rules) { return *rules; }
    env.report(
        argument, text.value_or(""),
        fmt::format(
            "{}; allowed is CONDITIONS -> SAMPLER; ..., such as http.route=/health -> off; "
            "kind=server,name=GET * -> 0.1; * -> adaptive(100); everything is sampled",
            problem));
    return Sampler::always_on();
}

Sampler read_root(EnvironmentReader& env, std::string_view name) {
    if (name == "traceidratio") {
        return Sampler::trace_id_ratio(env.ratio(argument).value_or(1.0));
    }
    if (name == "probability") { return Sampler::probability(env.ratio(argument).value_or(1.0)); }
    if (name == "rate_limit") {
        const auto rate = env.number(argument, 0.01, 1e6, RateLimit().per_second);
        return rate_limit_sampler({.per_second = rate});
    }
    if (name == "adaptive") {
        const auto target = env.number(argument, 0.01, 1e6, AdaptiveSampling().target_per_second);
        return adaptive_sampler({.target_per_second = target});
    }
    if (name == "rules") { return read_rules(env); }
    return name == "always_off" ? Sampler::always_off() : Sampler::always_on();
}

bool takes_argument(std::string_view name) { return name != "always_on" && name != "always_off"; }

void tell_unused_argument(EnvironmentReader& env, bool is_sampler_set) {
    const auto text = env.text(argument);
    if (!text) { return; }
    env.report(
        argument, *text,
        is_sampler_set ? "this OTEL_TRACES_SAMPLER takes no argument; it is ignored"
                       : "OTEL_TRACES_SAMPLER is not set, such as to parentbased_traceidratio; "
                         "it is ignored");
}

} // namespace

Sampler read_sampler(EnvironmentReader& env) {
    const auto sampler = env.choice(
        "OTEL_TRACES_SAMPLER",
        {"always_on", "always_off", "traceidratio", "probability", "rate_limit", "adaptive",
         "rules", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
         "parentbased_probability", "parentbased_rate_limit", "parentbased_adaptive",
         "parentbased_rules"});
    constexpr std::string_view parent_based = "parentbased_";
    std::string_view name = sampler ? *sampler : std::string_view("parentbased_always_on");
    const bool follows = name.starts_with(parent_based);
    if (follows) { name.remove_prefix(parent_based.size()); }
    if (!takes_argument(name)) { tell_unused_argument(env, sampler.has_value()); }
    const auto root = read_root(env, name);
    return follows ? Sampler::parent_based(root) : root;
}

} // namespace weft::detail
