#pragma once
#include <chrono>
#include <cstddef>
#include <string>

namespace weft {

/// Which traces are worth exporting, decided when they are over: what this process knows of a trace (its local trace) is
/// held back until its local root has ended, then kept for the first reason that applies or dropped (`tail_sampled_out`).
/// The head sampler should keep everything, or be `Sampler::probability`: then weights multiply. A head sampler that
/// writes no `th` and drops some (traceidratio, a rate limit) makes weights wrong.
/// A trace id has one decision here. What comes late follows it, but for an error and a slow root: they are still kept.
struct TailSampling {
    bool enabled = false;
    bool keep_errors = true; ///< A span of the trace has the status Error.
    /// The local root took at least this. 0: never mind. At most `window`, for a trace is not known longer.
    std::chrono::milliseconds latency{0};
    /// The local root took longer than this share of the last few thousand of its name, say 0.99. Known to a quarter of an
    /// octave, once there have been 100. 0: never mind.
    double latency_percentile = 0;
    /// The local root's name has had fewer traces than this in the current minute. 0: never mind. At most 10^6.
    unsigned rare_per_minute = 0;
    /// Of the others, 0 to 1. What is kept by it gets a weight: `ot=th` in the exported tracestate.
    double probability = 0.1;
    /// After the local root, for spans that other threads are about to hand in. 0 to 1 minute.
    std::chrono::milliseconds linger{200};
    /// Longest that a trace is held for a root that does not end. 1 ms to an hour. Decided then by what is known.
    std::chrono::milliseconds window{10'000};
    /// All that waits here, tables included. 1 MiB to 4 GiB. When it is full, the oldest traces are decided early.
    std::size_t bytes_max = 32u << 20;
    /// Decisions that are remembered for late spans, 32 bytes each. 64 to 2^24, rounded up to a power of two.
    std::size_t decisions_max = 32u << 10;
    std::size_t routes_max =
        256; ///< Names with statistics of their own, 300 bytes each. 8 to 65536, rounded up as well.
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const TailSampling& options);

} // namespace weft
