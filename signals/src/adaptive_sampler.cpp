// How the adaptive sampler holds its target.
//
// Each span name (with its route) is a key with counters of its own. The hot path finds the key, counts the arrival and
// compares the trace's randomness with the key's threshold. Every slice of time, or as soon as a key has had
// clearly more arrivals than expected, one thread works everything out anew:
//
//   rate[key]   moving average of arrivals; replaced at once when the last 32 or more say something else by half
//   debt        what was kept beyond target * time: paid back within `feedback` seconds by aiming lower
//   level       the water level: sum of min(rate[key], level) = target. A key keeps min(1, level / rate[key]).
//
// I1  A threshold depends on what came before a span, never on the span's own randomness: so 1 / probability counts
//     without bias however wildly thresholds move.
// I2  No probability is 0: what is never kept could not be counted.
// I3  The table never grows. A key takes a free place in its set of eight, or one that has been idle for a minute,
//     else the place that all latecomers share.
//
// Threads: any call `intent`. Counters are relaxed: each is a sum that is read late at worst. What only the updating
// thread touches is guarded by `updating_`.

#include <weft/signals/adaptive_sampler.hpp>
#include <weft/signals/composable_sampler.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <vector>

namespace weft {
namespace {

constexpr std::size_t ways = 8; // Places that a key may be in.
constexpr double ns = 1e-9;
constexpr std::int64_t update_gap_ns = 50'000; // Rates over less time than this mean nothing.
constexpr std::int64_t idle_ns = 60'000'000'000;
constexpr double evidence = 32; // Arrivals that are enough to believe a jump of the rate.

class AdaptiveSampler final : public ComposableSampler {
public:
    explicit AdaptiveSampler(const AdaptiveSampling& options)
        : target_(options.target_per_second), key_attribute_(options.key_attribute),
          feedback_s_(std::max(0.1, 20 / target_)), keys_(std::bit_ceil(options.keys_max) + 1) {
        order_.reserve(keys_.size());
        keys_.back().hash.store(1, std::memory_order_relaxed); // No other thread knows us yet.
    }

    SamplingIntent intent(const SamplingInput& input) noexcept override {
        const auto now_ns = input.now_ns();
        Key& key = find(hash_of(input), now_ns);
        // relaxed, here and below: see "Threads" above.
        if (now_ns >= update_at_.load(std::memory_order_relaxed) ||
            key.arrivals.load(std::memory_order_relaxed) >=
                key.look_at.load(std::memory_order_relaxed)) {
            update(now_ns);
        }
        key.arrivals.fetch_add(1, std::memory_order_relaxed);                 // As above.
        const auto threshold = key.threshold.load(std::memory_order_relaxed); // As above.
        if (threshold == 0 ||
            randomness_of(input.trace_id, input.trace_state.text()) >= threshold) {
            key.kept.fetch_add(1, std::memory_order_relaxed); // As above.
        }
        return SamplingIntent::at(threshold);
    }

    std::string description() const override {
        return fmt::format("AdaptiveSampler{{{}/s}}", target_);
    }

private:
    struct alignas(64) Key {
        std::atomic<std::uint64_t> hash{0}; // 0: free. Claimed by any thread, by compare-exchange.
        std::atomic<std::uint64_t> arrivals{0};  // Written by any thread, read by the updater.
        std::atomic<std::uint64_t> kept{0};      // As arrivals.
        std::atomic<std::uint64_t> look_at{1};   // Arrivals that call for an update. The updater's.
        std::atomic<std::uint64_t> threshold{0}; // Written by the updater, read by any thread.
        std::atomic<std::int64_t> last_ns{0};    // As threshold: when an update last saw arrivals.
        // The updater's.
        std::uint64_t arrivals_seen = 0;
        std::uint64_t kept_seen = 0;
        double rate = 0;     // Arrivals per second.
        double recent = 0;   // Arrivals since the rate was last questioned,
        double recent_s = 0; // and the seconds in which they came.
    };

    [[nodiscard]] std::uint64_t hash_of(const SamplingInput& input) const noexcept {
        const std::hash<std::string_view> hash;
        std::uint64_t word = hash(input.name);
        if (!key_attribute_.empty()) {
            for (const auto& attribute : input.attributes) {
                if (attribute.key == key_attribute_ &&
                    attribute.value.type() == AttributeValue::Type::string) {
                    word = std::rotl(word, 25) ^ hash(attribute.value.string());
                }
            }
        }
        return word | 2; // Neither free (0) nor the shared place (1).
    }

    // The key's place, claimed if need be (I3).
    [[nodiscard]] Key& find(std::uint64_t hash, std::int64_t now_ns) noexcept {
        const std::size_t places = keys_.size() - 1;
        Key* const set = keys_.data() + ((hash >> 8) * ways & (places - 1));
        for (std::size_t i = 0; i < ways; ++i) {
            // relaxed: a place that changes hands under us costs a count in the wrong place.
            if (set[i].hash.load(std::memory_order_relaxed) == hash) { return set[i]; }
        }
        for (std::size_t i = 0; i < ways; ++i) {
            auto old = set[i].hash.load(std::memory_order_relaxed); // As above.
            const auto last_ns = set[i].last_ns.load(std::memory_order_relaxed);
            if (old != 0 && now_ns - last_ns < idle_ns) { continue; }
            // relaxed: as above; the place's counters go on from where they are.
            if (set[i].hash.compare_exchange_strong(
                    old, hash, std::memory_order_relaxed, std::memory_order_relaxed)) {
                // relaxed, three times: as above. The first span of a name is kept.
                set[i].last_ns.store(now_ns, std::memory_order_relaxed);
                set[i].threshold.store(0, std::memory_order_relaxed);
                set[i].look_at.store(
                    set[i].arrivals.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
                return set[i];
            }
        }
        return keys_.back();
    }

    // Works the thresholds out anew, unless another thread is at it.
    void update(std::int64_t now_ns) noexcept {
        // acquire: pairs with the release below, for what only the updater touches.
        if (updating_.test_and_set(std::memory_order_acquire)) { return; }
        if (last_ns_ == none) { last_ns_ = now_ns; }
        if (now_ns - last_ns_ >= update_gap_ns) {
            const double seconds = static_cast<double>(now_ns - last_ns_) * ns;
            last_ns_ = now_ns;
            count(seconds, now_ns);
            publish(now_ns);
        }
        updating_.clear(std::memory_order_release); // See acquire above.
    }

    // Rates and debt.
    void count(double seconds, std::int64_t now_ns) noexcept {
        const double keep = std::exp(-seconds / memory_s_);
        double kept = 0;
        order_.clear();
        for (Key& key : keys_) {
            // relaxed, in this function: see "Threads" above.
            if (key.hash.load(std::memory_order_relaxed) == 0) { continue; }
            const auto arrivals = key.arrivals.load(std::memory_order_relaxed);
            const auto kept_now = key.kept.load(std::memory_order_relaxed);
            const auto fresh = static_cast<double>(arrivals - key.arrivals_seen);
            kept += static_cast<double>(kept_now - key.kept_seen);
            key.arrivals_seen = arrivals;
            key.kept_seen = kept_now;
            // relaxed: as above.
            if (fresh > 0) { key.last_ns.store(now_ns, std::memory_order_relaxed); }
            key.rate = key.rate * keep + fresh / seconds * (1 - keep);
            believe_a_jump(key, fresh, seconds);
            order_.push_back(&key); // Room was reserved for all.
        }
        debt_ += kept - target_ * seconds;
        debt_ = std::clamp(debt_, -target_ * feedback_s_, std::max(target_, evidence));
    }

    static void believe_a_jump(Key& key, double fresh, double seconds) noexcept {
        key.recent += fresh;
        key.recent_s += seconds;
        if (std::max(key.recent, key.rate * key.recent_s) < evidence) { return; }
        const double measured = key.recent / key.recent_s;
        if (measured > 1.5 * key.rate || measured < key.rate / 1.5) { key.rate = measured; }
        key.recent = key.recent_s = 0;
    }

    // Level and thresholds.
    void publish(std::int64_t now_ns) noexcept {
        const double aim = std::clamp(target_ - debt_ / feedback_s_, target_ / 10, target_ * 2);
        const double level = water_level(aim);
        const double own = std::min(level * target_ / aim, target_); // Without the debt.
        memory_s_ = std::clamp(10 / own, 0.05, 10.0);
        const double slice_s = std::clamp(memory_s_ / 10, 0.005, 0.1);
        for (Key* key : order_) {
            const double share = key->rate <= level ? 1.0 : level / key->rate;
            // relaxed, twice: see "Threads" above.
            key->threshold.store(threshold_of(share), std::memory_order_relaxed); // I2: share > 0.
            key->look_at.store(
                key->arrivals_seen +
                    static_cast<std::uint64_t>(std::max(evidence, 2 * key->rate * slice_s)),
                std::memory_order_relaxed);
        }
        // relaxed: as above.
        update_at_.store(
            now_ns + static_cast<std::int64_t>(slice_s / ns), std::memory_order_relaxed);
    }

    // The most that one key may keep for all of them together to keep `aim`; infinite when all may keep everything.
    [[nodiscard]] double water_level(double aim) noexcept {
        std::sort(order_.begin(), order_.end(), [](const Key* a, const Key* b) {
            return a->rate < b->rate;
        });
        double left = aim;
        for (std::size_t i = 0; i < order_.size(); ++i) {
            const double fair = left / static_cast<double>(order_.size() - i);
            if (order_[i]->rate > fair) { return fair; }
            left -= order_[i]->rate;
        }
        return std::numeric_limits<double>::infinity();
    }

    static constexpr std::int64_t none = std::numeric_limits<std::int64_t>::min();

    const double target_;
    const std::string key_attribute_;
    const double feedback_s_;
    std::vector<Key> keys_; // A power of two of places, and one for all latecomers.
    std::atomic<std::int64_t> update_at_{none}; // Written by the updater, read by any thread.
    std::atomic_flag updating_ = ATOMIC_FLAG_INIT;
    // The updater's.
    std::vector<Key*> order_; // Keys in use, by rate.
    std::int64_t last_ns_ = none;
    double debt_ = 0;
    double memory_s_ = 0.05; // Of the moving averages.
};

} // namespace

std::string problem_in(const AdaptiveSampling& options) {
    if (!(options.target_per_second >= 0.01 && options.target_per_second <= 1e6)) {
        return fmt::format(
            "AdaptiveSampling::target_per_second is {}: allowed is 0.01 to 1000000",
            options.target_per_second);
    }
    if (options.keys_max < ways || options.keys_max > 4096) {
        return fmt::format(
            "AdaptiveSampling::keys_max is {}: allowed is {} to 4096", options.keys_max, ways);
    }
    return {};
}

Sampler adaptive_sampler(const AdaptiveSampling& options) {
    if (auto problem = problem_in(options); !problem.empty()) {
        throw std::invalid_argument(problem);
    }
    return Sampler::composed(std::make_shared<AdaptiveSampler>(options));
}

} // namespace weft
