#pragma once
#include <weft/signals/sampler.hpp>

#include <string>

namespace weft {

/// A hard limit. Unlike the adaptive sampler it never exceeds it, and its counts cannot be scaled back: prefer that one
/// unless the receiver charges or breaks by the span.
struct RateLimit {
    double per_second =
        100; ///< Spans, or traces when it is the root of a parent-based sampler. 0.01 to 10^6.
    double burst =
        0; ///< How many may come at once after a pause. 1 to 10^6; 0: as many as a second's.
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const RateLimit& limit);

/// Keeps what `inner` keeps, up to the limit: first come, first kept. No weight is written (`th` is removed).
/// Threads: any. Cost: one compare-exchange. Errors: std::invalid_argument with the text of `problem_in`.
[[nodiscard]] Sampler rate_limit_sampler(
    const RateLimit& limit, const Sampler& inner = Sampler::always_on());

} // namespace weft
