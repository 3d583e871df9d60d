#include <weft/signals/sampler.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>

namespace weft {
namespace {

TraceId trace_with(std::uint64_t randomness) {
    TraceId id;
    id.bytes.fill(0xff);
    for (std::size_t i = 0; i < 7; ++i) {
        id.bytes[15 - i] = static_cast<std::uint8_t>(randomness >> (8 * i));
    }
    return id;
}
constexpr std::uint64_t randomness_end = std::uint64_t{1} << 56;

TEST(Sampler, SaysWhatItIs) {
    EXPECT_EQ(Sampler::always_on().description(), "AlwaysOnSampler");
    EXPECT_EQ(Sampler::always_off().description(), "AlwaysOffSampler");
    EXPECT_EQ(Sampler::trace_id_ratio(0.0001).description(), "TraceIdRatioBased{0.000100}");
    EXPECT_EQ(
        Sampler::parent_based(Sampler::always_on()).description(),
        "ParentBased{root:AlwaysOnSampler}");
}

// Each of the five cases is answered by the delegate for it and by no other.
TEST(Sampler, AsksTheDelegateForTheKindOfParent) {
    const auto trace = trace_with(7);
    const std::array<SpanContext, 5> parents{{
        {},
        {trace, random_span_id(), trace_flags::sampled, true},
        {trace, random_span_id(), 0, true},
        {trace, random_span_id(), trace_flags::sampled, false},
        {trace, random_span_id(), 0, false},
    }};
    for (std::size_t on = 0; on < parents.size(); ++on) {
        const auto delegate = [&](std::size_t i) {
            return i == on ? Sampler::always_on() : Sampler::always_off();
        };
        const auto sampler =
            Sampler::parent_based(delegate(0), delegate(1), delegate(2), delegate(3), delegate(4));
        for (std::size_t i = 0; i < parents.size(); ++i) {
            EXPECT_EQ(sampler.should_sample(&parents[i], trace), i == on)
                << "case " << i << ", on for " << on;
        }
        EXPECT_EQ(sampler.should_sample(nullptr, trace), on == 0);
    }
}

TEST(Sampler, FollowsTheParentByDefault) {
    const auto sampler = Sampler::parent_based(Sampler::always_off());
    const auto trace = trace_with(7);
    for (const bool remote : {false, true}) {
        const SpanContext sampled{trace, random_span_id(), trace_flags::known, remote};
        const SpanContext dropped{trace, random_span_id(), trace_flags::random, remote};
        EXPECT_TRUE(sampler.should_sample(&sampled, trace));
        EXPECT_FALSE(sampler.should_sample(&dropped, trace));
    }
    EXPECT_FALSE(sampler.should_sample(nullptr, trace));
}

// B3 without a state and X-Ray's "?": the sender asks the receiver to decide.
TEST(Sampler, DecidesItselfWhereTheParentLeftItUndecided) {
    SpanContext parent;
    parent.trace_id.bytes[15] = parent.span_id.bytes[7] = 1;
    parent.is_remote = true;
    parent.flags = trace_flags::undecided;
    EXPECT_TRUE(
        Sampler::parent_based(Sampler::always_on()).should_sample(&parent, parent.trace_id));
    EXPECT_FALSE(
        Sampler::parent_based(Sampler::always_off()).should_sample(&parent, parent.trace_id));
}

TEST(Sampler, KeepsTheTracesAtAndAboveTheThresholdOfItsRatio) {
    struct Case {
        double ratio;
        std::uint64_t kept; // Of the 2^56 values.
    };
    const std::array cases{
        Case{0.5, randomness_end / 2}, Case{0.25, randomness_end / 4},
        Case{std::ldexp(1, -40), 1U << 16}, Case{std::ldexp(1, -55), 2},
        Case{std::ldexp(1, -56), 1}};
    for (const auto& [ratio, kept] : cases) {
        SCOPED_TRACE(ratio);
        const auto sampler = Sampler::trace_id_ratio(ratio);
        EXPECT_TRUE(sampler.should_sample(nullptr, trace_with(randomness_end - 1)));
        EXPECT_TRUE(sampler.should_sample(nullptr, trace_with(randomness_end - kept)));
        EXPECT_FALSE(sampler.should_sample(nullptr, trace_with(randomness_end - kept - 1)));
        EXPECT_FALSE(sampler.should_sample(nullptr, trace_with(0)));
    }
}

TEST(Sampler, TakesAnyNumberForARatio) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const double none : {0.0, -0.0, -1.0, -infinity, std::nan(""), std::ldexp(1, -58)}) {
        EXPECT_FALSE(
            Sampler::trace_id_ratio(none).should_sample(nullptr, trace_with(randomness_end - 1)))
            << none;
    }
    for (const double all : {1.0, 1.5, infinity}) {
        EXPECT_TRUE(Sampler::trace_id_ratio(all).should_sample(nullptr, trace_with(0))) << all;
    }
}

// Goal: the share is right, and a higher ratio keeps all that a lower one keeps. Bound: six
// standard deviations.
TEST(Sampler, KeepsItsShareAndASuperset) {
    auto random = testing::Random::seeded("KeepsItsShareAndASuperset");
    constexpr int traces = 100'000;
    const auto low = Sampler::trace_id_ratio(0.1);
    const auto high = Sampler::trace_id_ratio(0.3);
    int low_count = 0;
    int high_count = 0;
    for (int i = 0; i < traces; ++i) {
        const auto trace = trace_with(random.word() % randomness_end);
        const bool kept = low.should_sample(nullptr, trace);
        low_count += kept ? 1 : 0;
        high_count += high.should_sample(nullptr, trace) ? 1 : 0;
        ASSERT_TRUE(!kept || high.should_sample(nullptr, trace));
    }
    EXPECT_NEAR(low_count, traces * 0.1, 6 * std::sqrt(traces * 0.1 * 0.9));
    EXPECT_NEAR(high_count, traces * 0.3, 6 * std::sqrt(traces * 0.3 * 0.7));
}

} // namespace
} // namespace weft
