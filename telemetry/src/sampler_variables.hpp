#pragma once
#include "environment.hpp"

#include <weft/signals/sampler.hpp>

namespace weft::detail {

/// What OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG ask for. Besides the specification's names there are
/// probability, rate_limit, adaptive and rules, each also with parentbased_ before it.
[[nodiscard]] Sampler read_sampler(EnvironmentReader& env);

} // namespace weft::detail
