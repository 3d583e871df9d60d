#include <weft/signals/adaptive_sampler.hpp>
#include <weft/signals/composable_sampler.hpp>
#include <weft/testing/random.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace weft {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t second = 1'000'000'000;

TraceId trace_with(std::uint64_t randomness) {
    TraceId id;
    for (std::size_t i = 0; i < 7; ++i) {
        id.bytes[15 - i] = static_cast<std::uint8_t>(randomness >> (8 * i));
    }
    id.bytes[0] = 1;
    return id;
}

struct Tally {
    double arrived = 0;
    double kept = 0;
    double estimate = 0; // Sum of adjusted counts.
    double variance = 0; // Of the estimate, itself estimated.
};

// A stream of root spans on a simulated clock, one Poisson process for each name.
class Load {
public:
    Load(const Sampler& sampler, const char* test)
        : sampler_(sampler), random_(testing::Random::seeded(test)) {}

    void set_rate(const std::string& name, double per_second) {
        auto& stream = streams_[name];
        stream.rate = per_second;
        stream.next = per_second > 0 ? now_ + wait(per_second) : never;
    }

    // Runs for a time; `kept` is told of each span that is kept.
    template <class Kept>
    void run(double seconds, Kept&& kept) {
        const auto end = now_ + static_cast<std::int64_t>(seconds * 1e9);
        for (;;) {
            auto first = streams_.end();
            for (auto it = streams_.begin(); it != streams_.end(); ++it) {
                if (first == streams_.end() || it->second.next < first->second.next) { first = it; }
            }
            if (first == streams_.end() || first->second.next >= end) { break; }
            now_ = first->second.next;
            first->second.next = now_ + wait(first->second.rate);
            arrive(first->first, kept);
        }
        now_ = end;
    }
    void run(double seconds) {
        run(seconds, [](const std::string&, std::int64_t) {});
    }

    // A span out of nowhere.
    template <class Kept>
    void arrive(const std::string& name, Kept&& kept) {
        const TraceState none;
        const auto trace = trace_with(random_.word() % threshold_never);
        const auto result =
            sampler_.should_sample({nullptr, none, trace, name, SpanKind::server, {}, {}, now_});
        auto& tally = tallies[name];
        ++tally.arrived;
        if (result.decision != SamplingDecision::record_and_sample) { return; }
        const auto state = read_sampling_state(result.trace_state.text());
        ASSERT_TRUE(state.threshold) << "kept without a weight";
        const double count = adjusted_count(*state.threshold);
        ++tally.kept;
        tally.estimate += count;
        tally.variance += count * (count - 1);
        kept(name, now_);
    }
    void arrive(const std::string& name) {
        arrive(name, [](const std::string&, std::int64_t) {});
    }

    [[nodiscard]] Tally total() const {
        Tally sum;
        for (const auto& [name, tally] : tallies) {
            sum.arrived += tally.arrived;
            sum.kept += tally.kept;
            sum.estimate += tally.estimate;
            sum.variance += tally.variance;
        }
        return sum;
    }
    std::map<std::string, Tally> tallies;

private:
    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
    struct Stream {
        double rate = 0;
        std::int64_t next = never;
    };
    [[nodiscard]] std::int64_t wait(double rate) {
        const double uniform = (static_cast<double>(random_.word() >> 11) + 1) * 0x1p-53;
        return static_cast<std::int64_t>(-std::log(uniform) / rate * 1e9);
    }

    const Sampler sampler_;
    testing::Random random_;
    std::map<std::string, Stream> streams_;
    std::int64_t now_ = second;
};

// Goal: the target holds within 10 % in every single second, also in those in which the load jumps by twenty, up and
// down. Method: a Poisson load on a simulated clock; the jump comes at the worst place, in the middle of a second.
TEST(AdaptiveSampler, HoldsItsTargetAcrossAStepOfTwenty) {
    constexpr double target = 1000;
    Load load(
        Sampler::parent_based(adaptive_sampler({.target_per_second = target})),
        "HoldsItsTargetAcrossAStepOfTwenty");
    std::map<std::int64_t, double> kept_in;
    const auto count = [&](const std::string&, std::int64_t now) { ++kept_in[now / second]; };
    load.set_rate("GET /", 2000);
    load.run(5.5, count);
    load.set_rate("GET /", 40'000);
    load.run(5.0, count);
    load.set_rate("GET /", 2000);
    load.run(5.5, count);

    double sum = 0;
    for (std::int64_t at = 2; at <= 16; ++at) { // The first second is for getting to know the load.
        EXPECT_NEAR(kept_in[at], target, target / 10) << "second " << at;
        sum += kept_in[at];
    }
    EXPECT_NEAR(sum / 15, target, target / 100);
}

// A small target needs a longer look: there are only so many spans to tell by.
TEST(AdaptiveSampler, HoldsASmallTargetAcrossAStepOfTwenty) {
    constexpr double target = 20;
    Load load(
        adaptive_sampler({.target_per_second = target}), "HoldsASmallTargetAcrossAStepOfTwenty");
    load.set_rate("GET /", 100);
    load.run(20);
    for (const double rate : {100.0, 2000.0, 100.0}) {
        const auto before = load.total().kept;
        load.set_rate("GET /", rate);
        load.run(20);
        EXPECT_NEAR(load.total().kept - before, 20 * target, 2 * target) << rate << "/s";
    }
}

TEST(AdaptiveSampler, KeepsEverythingBelowItsTarget) {
    Load load(adaptive_sampler({.target_per_second = 100}), "KeepsEverythingBelowItsTarget");
    load.set_rate("a", 20);
    load.set_rate("b", 10);
    load.run(60);
    EXPECT_GE(load.total().kept, load.total().arrived * 0.99);
    EXPECT_LE(load.total().kept, load.total().arrived);
}

// Goal: a rare route is kept whole beside busy ones, and busy ones share what it leaves.
TEST(AdaptiveSampler, NeverStarvesARareRoute) {
    Load load(
        Sampler::parent_based(adaptive_sampler({.target_per_second = 100})),
        "NeverStarvesARareRoute");
    load.set_rate("busy", 5000);
    load.set_rate("middling", 500);
    load.set_rate("rare", 1);
    load.set_rate("very rare", 0.05);
    load.run(400);

    const auto& tallies = load.tallies;
    EXPECT_GE(tallies.at("rare").kept, tallies.at("rare").arrived * 0.95);
    EXPECT_EQ(tallies.at("very rare").kept, tallies.at("very rare").arrived);
    EXPECT_NEAR(
        tallies.at("busy").kept, tallies.at("middling").kept, tallies.at("busy").kept * 0.1);
    EXPECT_NEAR(load.total().kept, 100 * 400, 100 * 400 * 0.02);
}

// Goal: adjusted counts add up to what arrived, for each route and over load steps. Bound: five standard deviations, as
// the weights themselves tell, and 2 % in all.
TEST(AdaptiveSampler, LetsCountsBeScaledBackWithoutBias) {
    Load load(
        Sampler::parent_based(adaptive_sampler({.target_per_second = 200})),
        "LetsCountsBeScaledBackWithoutBias");
    for (int round = 0; round < 20; ++round) {
        const double factor = round % 3 == 0 ? 20 : 1;
        load.set_rate("a", 300 * factor);
        load.set_rate("b", 50);
        load.set_rate("c", round % 2 == 0 ? 2000 : 0);
        load.set_rate("d", 3);
        load.run(5);
    }
    for (const auto& [name, tally] : load.tallies) {
        // One more: what was dropped at a probability close to 1 does not show in the variance.
        EXPECT_NEAR(tally.estimate, tally.arrived, 5 * std::sqrt(tally.variance + 1)) << name;
        EXPECT_LE(tally.kept, tally.arrived);
    }
    const auto total = load.total();
    EXPECT_GT(total.arrived, 10 * total.kept) << "or else there was little to scale";
    EXPECT_NEAR(
        total.estimate / total.arrived, 1, 0.02 + 5 * std::sqrt(total.variance) / total.arrived);
}

// Goal: names without end cost neither memory nor the target; those that were there first keep their shares.
TEST(AdaptiveSampler, SharesOnePlaceAmongLatecomers) {
    Load load(
        adaptive_sampler({.target_per_second = 100, .keys_max = 8}),
        "SharesOnePlaceAmongLatecomers");
    load.set_rate("first", 100);
    load.run(10);
    const auto before = load.total().kept;
    for (int i = 0; i < 20'000; ++i) {
        load.arrive("order " + std::to_string(i));
        load.run(0.001);
    }
    EXPECT_NEAR(load.total().kept - before, 20 * 100, 20 * 100 * 0.1);
    EXPECT_GE(load.tallies.at("first").kept, load.tallies.at("first").arrived * 0.3);
    const auto total = load.total();
    EXPECT_NEAR(total.estimate, total.arrived, 5 * std::sqrt(total.variance));
}

TEST(AdaptiveSampler, GivesAPlaceThatLiesIdleToANewName) {
    Load load(
        adaptive_sampler({.target_per_second = 50, .keys_max = 8}),
        "GivesAPlaceThatLiesIdleToANewName");
    for (int i = 0; i < 100; ++i) { load.arrive("old " + std::to_string(i)); }
    load.run(61);
    load.set_rate("busy", 5000);
    load.run(5);
    load.set_rate("rare", 1);
    load.run(100);
    EXPECT_GE(load.tallies.at("rare").kept, load.tallies.at("rare").arrived * 0.9)
        << "it has a place of its own beside the busy one";
}

TEST(AdaptiveSampler, TellsRoutesOfOneNameApart) {
    const auto sampler = adaptive_sampler({.target_per_second = 10, .key_attribute = "http.route"});
    auto random = testing::Random::seeded("TellsRoutesOfOneNameApart");
    const TraceState none;
    int rare_kept = 0;
    for (int i = 0; i < 100'000; ++i) {
        const bool rare = i % 5000 == 4999;
        const Attribute route[] = {
            {"http.method", "GET"}, {"http.route", rare ? "/rare" : "/busy"}};
        const auto trace = trace_with(random.word() % threshold_never);
        const auto result = sampler.should_sample(
            {nullptr,
             none,
             trace,
             "GET",
             SpanKind::server,
             route,
             {},
             second + std::int64_t{i} * 1'000'000});
        if (rare && result.decision == SamplingDecision::record_and_sample) { ++rare_kept; }
    }
    EXPECT_EQ(rare_kept, 20);
}

TEST(AdaptiveSampler, SurvivesAClockThatStandsOrGoesBack) {
    Load load(adaptive_sampler({.target_per_second = 10}), "SurvivesAClockThatStandsOrGoesBack");
    for (int i = 0; i < 1000; ++i) { load.arrive("now"); }
    load.run(-100);
    for (int i = 0; i < 1000; ++i) { load.arrive("then"); }
    load.run(200);
    load.set_rate("now", 1000);
    load.run(20);
    const auto before = load.total().kept;
    load.run(20);
    EXPECT_NEAR(load.total().kept - before, 200, 20);
}

TEST(AdaptiveSampler, RefusesWhatItCannotDo) {
    for (const double target : {0.0, -1.0, 2e6, std::nan("")}) {
        EXPECT_THROW((void)adaptive_sampler({.target_per_second = target}), std::invalid_argument);
    }
    EXPECT_THAT(
        problem_in(AdaptiveSampling{.target_per_second = 0}),
        HasSubstr("target_per_second is 0: allowed is 0.01 to 1000000"));
    EXPECT_THAT(
        problem_in(AdaptiveSampling{.keys_max = 5000}),
        HasSubstr("keys_max is 5000: allowed is 8"));
    EXPECT_EQ(problem_in(AdaptiveSampling{}), "");
}

// Goal: four threads at once, on few names, so that updates and claims collide; what they keep is counted right.
TEST(AdaptiveSampler, TakesManyThreads) {
    const auto sampler = adaptive_sampler({.target_per_second = 1000, .keys_max = 8});
    constexpr int spans = 20'000;
    std::vector<double> kept(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kept.size(); ++t) {
        threads.emplace_back([&, t] {
            testing::Random random(t);
            const TraceState none;
            for (int i = 0; i < spans; ++i) {
                const auto name = "name " + std::to_string(random.below(12));
                const auto trace = trace_with(random.word() % threshold_never);
                const auto result = sampler.should_sample(
                    {nullptr,
                     none,
                     trace,
                     name,
                     SpanKind::server,
                     {},
                     {},
                     second + std::int64_t{i} * 100'000});
                kept[t] += result.decision == SamplingDecision::record_and_sample ? 1 : 0;
            }
        });
    }
    for (auto& thread : threads) { thread.join(); }
    // Two seconds by each thread's own clock, which differ while they run: only the order of magnitude is certain.
    const double all = std::accumulate(kept.begin(), kept.end(), 0.0);
    EXPECT_GT(all, 500);
    EXPECT_LT(all, 4 * spans * 0.75);
}

} // namespace
} // namespace weft
