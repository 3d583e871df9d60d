#include <weft/signals/composable_sampler.hpp>
#include <weft/signals/rate_limit_sampler.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace weft {
namespace {

// A leaky bucket kept as one number: the time at which everything granted so far is paid for. A grant moves it on by
// one interval, and is refused while it lies further ahead than the burst allows.
class RateLimitSampler final : public ComposableSampler {
public:
    RateLimitSampler(const RateLimit& limit, Sampler inner)
        : per_second_(limit.per_second), inner_(std::move(inner)),
          interval_ns_(std::llround(1e9 / limit.per_second)),
          ahead_ns_max_(std::llround(
              1e9 / limit.per_second *
              ((limit.burst == 0 ? std::max(limit.per_second, 1.0) : limit.burst) - 1))) {}

    SamplingIntent intent(const SamplingInput& input) noexcept override {
        auto intent = inner_.intent(input);
        const bool kept =
            intent.threshold == 0 ||
            randomness_of(input.trace_id, input.trace_state.text()) >= intent.threshold;
        if (kept && !try_take(input.now_ns())) { intent.threshold = threshold_never; }
        intent.is_weighted = false;
        return intent;
    }

    std::string description() const override {
        return fmt::format("RateLimitSampler{{{}/s,{}}}", per_second_, inner_.description());
    }

private:
    [[nodiscard]] bool try_take(std::int64_t now_ns) noexcept {
        auto paid = paid_until_ns_.load(std::memory_order_relaxed); // The number stands alone.
        std::int64_t next = 0;
        do { // Bound: a failed exchange is another thread's success.
            const auto from = std::max(paid, now_ns);
            if (from - now_ns > ahead_ns_max_) { return false; }
            next = from + interval_ns_;
            // relaxed: as above.
        } while (!paid_until_ns_.compare_exchange_weak(
            paid, next, std::memory_order_relaxed, std::memory_order_relaxed));
        return true;
    }

    const double per_second_;
    const Sampler inner_;
    const std::int64_t interval_ns_;
    const std::int64_t ahead_ns_max_;
    // Read and written by any thread.
    std::atomic<std::int64_t> paid_until_ns_{std::numeric_limits<std::int64_t>::min()};
};

} // namespace

std::string problem_in(const RateLimit& limit) {
    if (!(limit.per_second >= 0.01 && limit.per_second <= 1e6)) {
        return fmt::format(
            "RateLimit::per_second is {}: allowed is 0.01 to 1000000", limit.per_second);
    }
    if (limit.burst != 0 && !(limit.burst >= 1 && limit.burst <= 1e6)) {
        return fmt::format(
            "RateLimit::burst is {}: allowed is 1 to 1000000, or 0 for a second's worth",
            limit.burst);
    }
    return {};
}

Sampler rate_limit_sampler(const RateLimit& limit, const Sampler& inner) {
    if (auto problem = problem_in(limit); !problem.empty()) {
        throw std::invalid_argument(problem);
    }
    return Sampler::composed(std::make_shared<RateLimitSampler>(limit, inner));
}

} // namespace weft
