#pragma once
// Consistent probability sampling: how a trace's fate and its weight travel in the `ot` member of the tracestate.
//
// Every trace has 56 random bits R (the trace id's low seven bytes, or `rv`). A sampler of probability p has the
// threshold T = (1 - p) * 2^56 and keeps the trace when R >= T. What is kept carries `th`, the threshold, and so
// stands for 2^56 / (2^56 - T) spans: whoever counts spans counts that, and the sum is right on average, whichever
// services sampled and however often the threshold changed meanwhile.
//
// Source: OpenTelemetry, "TraceState: Probability Sampling" and "TraceState Handling".

#include <weft/runtime/span_context.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

/// One more than the largest randomness, and the threshold that keeps nothing.
inline constexpr std::uint64_t threshold_never = std::uint64_t{1} << 56;

/// The threshold of a probability (0 to 1, clamped; not a number is 0), exact to 2^-56.
[[nodiscard]] std::uint64_t exact_threshold(double probability) noexcept;
/// As above, rounded to the specification's precision of four hex digits, leading f digits apart, so that `th` is short.
/// A probability above 0 never becomes 0. Off by at most 2^-13 of the probability.
[[nodiscard]] std::uint64_t threshold_of(double probability) noexcept;
/// The share of traces that a threshold keeps.
[[nodiscard]] double probability_of(std::uint64_t threshold) noexcept;
/// How many spans one that was kept by this threshold stands for. Shape: 1 or more; 0 for threshold_never.
[[nodiscard]] double adjusted_count(std::uint64_t threshold) noexcept;

/// The low seven bytes, which W3C level 2 promises to be random.
[[nodiscard]] inline std::uint64_t trace_randomness(const TraceId& id) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 9; i < 16; ++i) { value = value << 8 | id.bytes[i]; }
    return value;
}

/// What a tracestate says about sampling. A malformed sub-key counts as absent.
struct SamplingState {
    std::optional<std::uint64_t> threshold;  ///< `th`: less than 2^56.
    std::optional<std::uint64_t> randomness; ///< `rv`: less than 2^56.
};
/// Cost: no allocation; nothing to speak of without an `ot` member.
[[nodiscard]] SamplingState read_sampling_state(std::string_view tracestate) noexcept;

/// R of a trace: `rv` where there is one, else the trace id's.
[[nodiscard]] inline std::uint64_t randomness_of(
    const TraceId& id, std::string_view tracestate) noexcept {
    if (tracestate.empty()) { return trace_randomness(id); }
    return read_sampling_state(tracestate).randomness.value_or(trace_randomness(id));
}

/// Room for any tracestate, one `ot` member more included.
using TraceStateBuffer = std::array<char, 16'896>;

/// The text with `th` set to the threshold, or without `th`. Other sub-keys stay (but for malformed ones, and the last
/// where `ot` would grow past its 256 characters); a changed `ot` moves to the front, and the last of 33 members goes.
/// Lifetime: the result points into `buffer`, or is `tracestate` itself when nothing changes.
[[nodiscard]] std::string_view with_threshold(
    std::string_view tracestate, std::optional<std::uint64_t> threshold,
    TraceStateBuffer& buffer) noexcept;
/// As above, on a state. Cost: one allocation when it changes.
[[nodiscard]] TraceState with_threshold(
    const TraceState& state, std::optional<std::uint64_t> threshold) noexcept;

} // namespace weft
