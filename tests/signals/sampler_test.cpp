#include <weft/signals/composable_sampler.hpp>
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
SamplingResult ask(
    const Sampler& sampler, const SpanContext* parent, const TraceId& trace,
    const TraceState& state = {}) {
    return sampler.should_sample({parent, state, trace, "name", SpanKind::internal, {}, {}, 0});
}
bool samples(const Sampler& sampler, const SpanContext* parent, const TraceId& trace) {
    return ask(sampler, parent, trace).decision == SamplingDecision::record_and_sample;
}
TraceState state_of(std::string_view text) { return TraceState::from_validated(text); }
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
            EXPECT_EQ(samples(sampler, &parents[i], trace), i == on)
                << "case " << i << ", on for " << on;
        }
        EXPECT_EQ(samples(sampler, nullptr, trace), on == 0);
    }
}

TEST(Sampler, FollowsTheParentByDefault) {
    const auto sampler = Sampler::parent_based(Sampler::always_off());
    const auto trace = trace_with(7);
    for (const bool remote : {false, true}) {
        const SpanContext sampled{trace, random_span_id(), trace_flags::known, remote};
        const SpanContext dropped{trace, random_span_id(), trace_flags::random, remote};
        EXPECT_TRUE(samples(sampler, &sampled, trace));
        EXPECT_FALSE(samples(sampler, &dropped, trace));
    }
    EXPECT_FALSE(samples(sampler, nullptr, trace));
}

// B3 without a state and X-Ray's "?": the sender asks the receiver to decide.
TEST(Sampler, DecidesItselfWhereTheParentLeftItUndecided) {
    SpanContext parent;
    parent.trace_id.bytes[15] = parent.span_id.bytes[7] = 1;
    parent.is_remote = true;
    parent.flags = trace_flags::undecided;
    EXPECT_TRUE(samples(Sampler::parent_based(Sampler::always_on()), &parent, parent.trace_id));
    EXPECT_FALSE(samples(Sampler::parent_based(Sampler::always_off()), &parent, parent.trace_id));
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
        EXPECT_TRUE(samples(sampler, nullptr, trace_with(randomness_end - 1)));
        EXPECT_TRUE(samples(sampler, nullptr, trace_with(randomness_end - kept)));
        EXPECT_FALSE(samples(sampler, nullptr, trace_with(randomness_end - kept - 1)));
        EXPECT_FALSE(samples(sampler, nullptr, trace_with(0)));
    }
}

TEST(Sampler, TakesAnyNumberForARatio) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const double none : {0.0, -0.0, -1.0, -infinity, std::nan(""), std::ldexp(1, -58)}) {
        EXPECT_FALSE(
            samples(Sampler::trace_id_ratio(none), nullptr, trace_with(randomness_end - 1)))
            << none;
    }
    for (const double all : {1.0, 1.5, infinity}) {
        EXPECT_TRUE(samples(Sampler::trace_id_ratio(all), nullptr, trace_with(0))) << all;
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
        const bool kept = samples(low, nullptr, trace);
        low_count += kept ? 1 : 0;
        high_count += samples(high, nullptr, trace) ? 1 : 0;
        ASSERT_TRUE(!kept || samples(high, nullptr, trace));
    }
    EXPECT_NEAR(low_count, traces * 0.1, 6 * std::sqrt(traces * 0.1 * 0.9));
    EXPECT_NEAR(high_count, traces * 0.3, 6 * std::sqrt(traces * 0.3 * 0.7));
}

// Source: OpenTelemetry, "ProbabilitySampler": the flag of the parent is ignored, the weight is written.
TEST(Sampler, OfAProbabilityWritesItsThresholdIntoWhatItKeeps) {
    const auto sampler = Sampler::probability(0.25);
    const SpanContext dropped{trace_with(7), random_span_id(), 0, true};

    const auto kept = ask(sampler, nullptr, trace_with(0xc0000000000000));
    const auto kept_child =
        ask(sampler, &dropped, trace_with(0xffffffffffffff), state_of("a=1,ot=x:1"));
    const auto not_kept = ask(sampler, nullptr, trace_with(0xbfffffffffffff));
    const auto not_kept_child = ask(sampler, &dropped, trace_with(1), state_of("ot=th:8;x:1"));

    EXPECT_EQ(kept.decision, SamplingDecision::record_and_sample);
    EXPECT_EQ(kept.trace_state.text(), "ot=th:c");
    EXPECT_EQ(kept_child.decision, SamplingDecision::record_and_sample);
    EXPECT_EQ(kept_child.trace_state.text(), "ot=th:c;x:1,a=1");
    EXPECT_EQ(not_kept.decision, SamplingDecision::drop);
    EXPECT_EQ(not_kept.trace_state.text(), "");
    EXPECT_EQ(not_kept_child.decision, SamplingDecision::drop);
    EXPECT_EQ(not_kept_child.trace_state.text(), "ot=x:1");
}

TEST(Sampler, OfAProbabilityDecidesByTheRandomnessInTheTraceState) {
    const auto sampler = Sampler::probability(0.5);
    const SpanContext parent{trace_with(7), random_span_id(), 1, true};
    const auto kept = ask(sampler, &parent, trace_with(0), state_of("ot=rv:80000000000000"));
    EXPECT_EQ(kept.decision, SamplingDecision::record_and_sample);
    EXPECT_EQ(kept.trace_state.text(), "ot=th:8;rv:80000000000000");
    const auto dropped =
        ask(sampler, &parent, trace_with(randomness_end - 1), state_of("ot=rv:7fffffffffffff"));
    EXPECT_EQ(dropped.decision, SamplingDecision::drop);
    EXPECT_EQ(dropped.trace_state.text(), "ot=rv:7fffffffffffff") << "rv is never removed";
}

TEST(Sampler, KeepsTheParentsWeightOnlyWhereItTakesTheParentsDecision) {
    const auto on = Sampler::always_on();
    const auto off = Sampler::always_off();
    const auto ratio = Sampler::trace_id_ratio(0.5);
    const SpanContext sampled{trace_with(7), random_span_id(), trace_flags::sampled, true};
    const auto state = state_of("ot=th:c,a=1");
    struct Case {
        Sampler sampler;
        std::string_view after;
    };
    for (const auto& [sampler, after] :
         {Case{Sampler::parent_based(on), "ot=th:c,a=1"}, Case{on, "a=1"}, Case{off, "a=1"},
          Case{ratio, "a=1"}, Case{Sampler::parent_based(on, on, on, on, off), "a=1"},
          Case{Sampler::parent_based(on, on, ratio, on, off), "a=1"},
          Case{Sampler::parent_based(on, on, off, on, on), "ot=th:c,a=1"}}) {
        SCOPED_TRACE(sampler.description());
        EXPECT_EQ(ask(sampler, &sampled, trace_with(7), state).trace_state.text(), after);
        EXPECT_EQ(sampler.keeps_weight(&sampled), after.size() > 3);
    }
}

// A sampler of the user's that says what it is told to.
class Scripted final : public ComposableSampler {
public:
    explicit Scripted(SamplingIntent intent) : intent_(std::move(intent)) {}
    SamplingIntent intent(const SamplingInput&) noexcept override {
        ++asked;
        return intent_;
    }
    std::string description() const override { return "Scripted"; }
    int asked = 0;

private:
    const SamplingIntent intent_;
};

TEST(Sampler, AsksAComposedSamplerOnlyInItsOwnRow) {
    const auto scripted = std::make_shared<Scripted>(SamplingIntent::at(0));
    const auto sampler = Sampler::parent_based(Sampler::composed(scripted));
    const SpanContext sampled{trace_with(7), random_span_id(), trace_flags::sampled, false};
    const SpanContext dropped{trace_with(7), random_span_id(), 0, false};

    EXPECT_TRUE(samples(sampler, nullptr, trace_with(7)));
    EXPECT_TRUE(samples(sampler, &sampled, trace_with(7)));
    EXPECT_FALSE(samples(sampler, &dropped, trace_with(7)));

    EXPECT_EQ(scripted->asked, 1);
    EXPECT_EQ(sampler.look_up(nullptr, trace_with(7)), Sampler::Answer::ask);
    EXPECT_EQ(sampler.look_up(&sampled, trace_with(7)), Sampler::Answer::sample);
    EXPECT_EQ(sampler.description(), "ParentBased{root:Scripted}");
}

TEST(Sampler, OfNothingComposedRecordsNothing) {
    EXPECT_FALSE(samples(Sampler::composed(nullptr), nullptr, trace_with(randomness_end - 1)));
}

TEST(Sampler, TakesAttributesStateAndRecordOnlyFromAComposedSampler) {
    auto intent = SamplingIntent::unweighted(false);
    intent.records_anyway = true;
    intent.trace_state = state_of("ot=th:8,mine=1");
    for (int i = 0; i < 6; ++i) { intent.add_attribute("key", i); }
    const auto sampler = Sampler::composed(std::make_shared<Scripted>(std::move(intent)));

    const auto result = ask(sampler, nullptr, trace_with(7));

    EXPECT_EQ(result.decision, SamplingDecision::record_only);
    EXPECT_EQ(result.trace_state.text(), "mine=1") << "what is not kept has no weight";
    EXPECT_EQ(result.intent.attributes().size(), 4u);
    EXPECT_EQ(result.intent.discarded(), 2u);
}

// Within another sampler a table wishes what it would have decided.
TEST(Sampler, OfATableWishesWhatItDecides) {
    const SpanContext sampled{trace_with(7), random_span_id(), trace_flags::sampled, true};
    const auto wish = [&](const Sampler& sampler, const SpanContext* parent, const char* state) {
        const auto text = state_of(state);
        const auto trace = trace_with(7);
        return sampler.intent({parent, text, trace, "", SpanKind::internal, {}, {}, 0});
    };
    EXPECT_EQ(wish(Sampler::always_on(), nullptr, "").threshold, 0u);
    EXPECT_TRUE(wish(Sampler::always_on(), nullptr, "").is_weighted);
    EXPECT_EQ(wish(Sampler::always_off(), nullptr, "").threshold, threshold_never);
    EXPECT_EQ(wish(Sampler::trace_id_ratio(0.5), nullptr, "").threshold, randomness_end / 2);
    const auto follow = Sampler::parent_based(Sampler::always_off());
    EXPECT_EQ(wish(follow, &sampled, "ot=th:c").threshold, randomness_end / 4 * 3);
    EXPECT_TRUE(wish(follow, &sampled, "ot=th:c").is_weighted);
    EXPECT_EQ(wish(follow, &sampled, "").threshold, 0u);
    EXPECT_FALSE(wish(follow, &sampled, "").is_weighted) << "sampled by nobody knows what";
}

} // namespace
} // namespace weft
