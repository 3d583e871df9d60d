#pragma once
#include <weft/signals/sampler.hpp>

#include <cstddef>
#include <string>

namespace weft {

/// A sampler that keeps as many as you asked for, whatever the load.
struct AdaptiveSampling {
    /// Traces kept per second when it is the root of a parent-based sampler, as it should be; spans when it is asked
    /// about each. 0.01 to 10^6. Below it everything is kept.
    double target_per_second = 100;
    /// Names, with routes, that get a share of their own. 8 to 4096, rounded up to a power of two. Further ones share one.
    std::size_t keys_max = 256;
    /// What tells spans of one name apart. Empty: nothing.
    std::string key_attribute = "http.route";
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const AdaptiveSampling& options);

/// Divides `target_per_second` fairly over the span names (with their routes): a rare one keeps all it has, what it leaves
/// goes to the busy ones. Each decision is by probability and writes `ot=th`, so that counts can be scaled back
/// without bias. A jump of the load is noticed within some tens of spans, and what was kept too many or too few is
/// made up for within a tenth of a second or 20 spans.
/// Threads: any. Cost: a clock read and two shared counters, no lock; every few milliseconds one thread works the shares out anew (some
/// microseconds for 256 names) while others go on. A sampled root allocates its tracestate.
/// Errors: std::invalid_argument with the text of `problem_in`.
[[nodiscard]] Sampler adaptive_sampler(const AdaptiveSampling& options);

} // namespace weft
