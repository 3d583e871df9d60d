#include <weft/custom_metrics/options.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/detail/instrument_names.hpp>

#include <fmt/format.h>

namespace weft {
namespace {

template <class T>
std::string range_problem(std::string_view field, T value, T low, T high) {
    // The form that a NaN fails.
    if (value >= low && value <= high) { return {}; }
    return fmt::format("{} is {}: allowed is {} to {}", field, value, low, high);
}

std::string prefix_problem(const std::string& prefix) {
    if (prefix.size() > 128) {
        return fmt::format("prefix has {} characters: allowed are 128", prefix.size());
    }
    const auto problem =
        prefix.empty() ? std::string() : detail::problem_in_instrument_name(prefix);
    if (problem.empty()) { return {}; }
    return fmt::format("prefix is \"{}\": {}", printable(prefix, 64), problem);
}

} // namespace

std::string problem_in(const CustomMetricsOptions& options) {
    if (auto problem = problem_in(options.authorization); !problem.empty()) { return problem; }
    if (!options.authorization.is_set() && !options.allow_unauthenticated) {
        return "authorization is not set: set authorization.bearer_tokens or authorization.user, "
               "or allow_unauthenticated to let everybody in";
    }
    using Size = std::size_t;
    for (auto problem :
         {prefix_problem(options.prefix),
          range_problem<Size>("names_max", options.names_max, 1, 10'000),
          range_problem<Size>("body_bytes_max", options.body_bytes_max, 2, 64u << 20),
          range_problem<Size>("items_max", options.items_max, 1, 100'000),
          range_problem<Size>("labels_max", options.labels_max, 0, 64),
          range_problem<Size>("label_key_bytes_max", options.label_key_bytes_max, 1, 1024),
          range_problem<Size>("label_value_bytes_max", options.label_value_bytes_max, 1, 4096),
          range_problem<Size>("description_bytes_max", options.description_bytes_max, 0, 65536),
          range_problem("requests_per_second", options.requests_per_second, 0.01, 1e6),
          range_problem<std::int64_t>("past_max", options.past_max.count(), 0, 86400),
          range_problem<std::int64_t>("future_max", options.future_max.count(), 0, 86400)}) {
        if (!problem.empty()) { return problem; }
    }
    return {};
}

} // namespace weft
