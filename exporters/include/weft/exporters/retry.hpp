#pragma once
#include <weft/runtime/ids.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace weft {

/// When a failed export is tried again, and when it is given up.
/// Source: OTLP specification, "Retryable Response Codes"; the numbers are ours.
struct RetryPolicy {
    std::chrono::milliseconds initial_backoff{1000}; ///< First wait. 1 ms to 24 h.
    double multiplier = 1.5;                         ///< Each wait is this much longer. 1 to 10.
    std::chrono::milliseconds max_backoff{30000};    ///< Longest, before jitter. Up to 24 h.
    double jitter = 0.2; ///< Each wait varies by up to this share, both ways. 0 to 1.
    /// Given up after this long, not counting time parked by Retry-After. 0 to 7 days; 0: one
    /// attempt only, whatever the answer.
    std::chrono::milliseconds max_elapsed{300000};
};

/// The waits of one batch. Pure: the random source is a parameter.
class Backoff {
public:
    using Random = std::uint64_t (*)() noexcept;

    explicit Backoff(const RetryPolicy& policy, Random random = &random_u64) noexcept
        : policy_(policy), random_(random),
          base_ms_(static_cast<double>(policy.initial_backoff.count())) {}

    /// The next wait: 1 ms to max_backoff * (1 + jitter).
    [[nodiscard]] std::chrono::milliseconds next() noexcept {
        const double base = base_ms_;
        base_ms_ = std::min(
            base_ms_ * policy_.multiplier, static_cast<double>(policy_.max_backoff.count()));
        const double waited = base * (1.0 + policy_.jitter * (2.0 * unit() - 1.0));
        return std::chrono::milliseconds(static_cast<std::int64_t>(std::max(waited, 1.0)));
    }

    /// A wait of at least `floor`, for a receiver that named one: it is never undercut, and jitter
    /// spreads the crowd.
    [[nodiscard]] std::chrono::milliseconds at_least(std::chrono::milliseconds floor) noexcept {
        const auto spread = std::min<double>(
            static_cast<double>(floor.count()),
            static_cast<double>(policy_.initial_backoff.count()));
        return floor + std::chrono::milliseconds(
                           static_cast<std::int64_t>(spread * policy_.jitter * unit()));
    }

    /// Starts over at initial_backoff.
    void reset() noexcept { base_ms_ = static_cast<double>(policy_.initial_backoff.count()); }

private:
    // 0 to 1, 53 random bits: what a double holds exactly.
    [[nodiscard]] double unit() noexcept { return static_cast<double>(random_() >> 11) * 0x1p-53; }

    RetryPolicy policy_;
    Random random_;
    double base_ms_;
};

} // namespace weft
