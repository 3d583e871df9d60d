#include <weft/signals/rule_sampler.hpp>
#include <weft/signals/span.hpp>
#include <weft/testing/forked.hpp>
#include <weft/testing/span_sink.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

// What otel.sdk.span.started and otel.sdk.span.live are made of.

namespace weft::testing {
namespace {

using detail::ParentOrigin;
using detail::SpanTotals;

std::uint64_t started(const SpanTotals& totals, SamplingDecision decision, ParentOrigin parent) {
    return totals.started[static_cast<std::size_t>(decision)][static_cast<std::size_t>(parent)];
}
std::uint64_t started_in_all(const SpanTotals& totals) {
    std::uint64_t all = 0;
    for (const auto& of_decision : totals.started) {
        for (const auto count : of_decision) { all += count; }
    }
    return all;
}
std::uint64_t live(
    const SpanTotals& totals, SamplingDecision decision = SamplingDecision::record_and_sample) {
    return totals.live[static_cast<std::size_t>(decision)];
}

class CountingSink : public SpanSink {
public:
    explicit CountingSink(SpanSinkOptions options = {}) : SpanSink(std::move(options)) {
        provider().counts.enable();
    }
    [[nodiscard]] SpanTotals totals() { return provider().counts.totals(); }
};

TraceContext remote_parent() {
    return {{random_trace_id(), random_span_id(), trace_flags::sampled, true}, {}};
}

TEST(SpanCounts, TellWhereTheParentIs) {
    CountingSink sink;
    {
        const Span root("root");
        const Span child("child");
        const Span grandchild("grandchild");
        const Span served("served", {}, {.parent = remote_parent()});
    }
    const auto totals = sink.totals();
    constexpr auto sampled = SamplingDecision::record_and_sample;
    EXPECT_EQ(started(totals, sampled, ParentOrigin::none), 1u);
    EXPECT_EQ(started(totals, sampled, ParentOrigin::local), 2u);
    EXPECT_EQ(started(totals, sampled, ParentOrigin::remote), 1u);
    EXPECT_EQ(started_in_all(totals), 4u);
    EXPECT_EQ(live(totals), 0u);
}

TEST(SpanCounts, CountASpanThatIsNotRecordedAsStartedAndNeverAsLive) {
    CountingSink sink({.sampler = Sampler::always_off()});
    const Span span("dropped");
    EXPECT_EQ(started(sink.totals(), SamplingDecision::drop, ParentOrigin::none), 1u);
    for (const auto count : sink.totals().live) { EXPECT_EQ(count, 0u); }
}

TEST(SpanCounts, TellWhatIsRecordedForProcessorsAlone) {
    CountingSink sink({.sampler = always_record_sampler(Sampler::always_off())});
    const Span span("recorded");
    ASSERT_TRUE(span.is_recording());
    EXPECT_EQ(started(sink.totals(), SamplingDecision::record_only, ParentOrigin::none), 1u);
    EXPECT_EQ(live(sink.totals(), SamplingDecision::record_only), 1u);
    EXPECT_EQ(live(sink.totals()), 0u);
}

TEST(SpanCounts, FollowASpanThatIsMovedAndEndsOnAnotherThread) {
    CountingSink sink;
    auto span = std::make_optional(Span::detached(sink.tracer(), "work"));
    Span second("second");
    EXPECT_EQ(live(sink.totals()), 2u);
    std::thread([&] { span.reset(); }).join();
    EXPECT_EQ(live(sink.totals()), 1u);
    const Span moved = std::move(second);
    EXPECT_EQ(live(sink.totals()), 1u);
    second.end();
    EXPECT_EQ(live(sink.totals()), 1u);
}

TEST(SpanCounts, OfAProviderThatIsNotAskedAreNone) {
    SpanSink sink;
    const Span span("work");
    EXPECT_FALSE(sink.provider().counts.is_enabled());
    EXPECT_EQ(started_in_all(sink.provider().counts.totals()), 0u);
}

TEST(SpanCounts, OfTwoProvidersAreApart) {
    CountingSink one;
    CountingSink two({.make_default = false});
    const Span first(one.tracer(), "one");
    EXPECT_EQ(live(one.totals()), 1u);
    EXPECT_EQ(started_in_all(two.totals()), 0u);
}

// Goal: no start is lost, and no reading shows more open spans than there can be. Method: threads that come and go make
// spans of which half end on another thread, while one reads.
TEST(SpanCounts, OfThreadsThatComeAndGoAreExactAndNeverImpossible) {
    constexpr int rounds = 20;
    constexpr int threads = 3;
    constexpr std::uint64_t spans = 300;
    CountingSink sink({.queue_bytes = std::size_t{1} << 24});
    std::atomic<bool> done{false};
    std::thread reader([&] {
        std::uint64_t before = 0;
        while (!done) {
            const auto totals = sink.totals();
            const auto all = started_in_all(totals);
            EXPECT_GE(all, before);
            EXPECT_LE(live(totals), all);
            before = all;
            (void)sink.take(); // Keeps the queue from filling.
        }
    });
    for (int round = 0; round < rounds; ++round) {
        std::vector<std::thread> working;
        for (int i = 0; i < threads; ++i) {
            working.emplace_back([&] {
                std::vector<Span> elsewhere;
                for (std::uint64_t j = 0; j < spans; ++j) {
                    auto span = Span::detached(sink.tracer(), "work");
                    if (j % 2 == 0) { elsewhere.push_back(std::move(span)); }
                }
                std::thread([given = std::move(elsewhere)]() mutable { given.clear(); }).join();
            });
        }
        for (auto& thread : working) { thread.join(); }
    }
    done = true;
    reader.join();
    EXPECT_EQ(started_in_all(sink.totals()), rounds * threads * spans);
    EXPECT_EQ(live(sink.totals()), 0u);
}

TEST(SpanCounts, OfAForkedChildBeginAtZeroAndLeaveTheParentsSpansToIt) {
    CountingSink sink;
    std::optional<Span> outer(std::in_place, "parent's");
    Forked child([&] {
        EXPECT_EQ(started_in_all(sink.totals()), 0u);
        {
            const Span own("child's");
            EXPECT_EQ(live(sink.totals()), 1u);
        }
        outer.reset();
        EXPECT_EQ(live(sink.totals()), 0u);
        const Span next("child's");
        EXPECT_EQ(live(sink.totals()), 1u) << "the parent's end was not counted here";
        EXPECT_EQ(started_in_all(sink.totals()), 2u);
    });
    EXPECT_EQ(child.wait(), "exit 0");
    EXPECT_EQ(live(sink.totals()), 1u);
    outer.reset();
    EXPECT_EQ(live(sink.totals()), 0u);
}

} // namespace
} // namespace weft::testing
