#include "spans.hpp"

#include <weft/viewer/trace_store.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace weft::viewer {
namespace {

using namespace std::chrono_literals;
using testing::at;
using testing::failed;
using testing::span_id;
using testing::stored;
using testing::trace_id;

constexpr auto now = TraceStore::Clock::time_point{};

std::vector<TraceId> ids(const std::vector<const StoredTrace*>& traces) {
    std::vector<TraceId> out;
    for (const auto* trace : traces) { out.push_back(trace->id()); }
    return out;
}
std::vector<TraceId> ids(const std::vector<FinishedTrace>& traces) {
    std::vector<TraceId> out;
    for (const auto& finished : traces) { out.push_back(finished.trace->id()); }
    return out;
}

TEST(TraceStore, GathersTheSpansOfATrace) {
    TraceStore store;
    store.add(trace_id(1), stored(10, 0), now);
    store.add(trace_id(2), stored(20, 0), now);
    store.add(trace_id(1), stored(11, 10), now);

    ASSERT_NE(store.find(trace_id(1)), nullptr);
    EXPECT_EQ(store.find(trace_id(1))->spans().size(), 2u);
    EXPECT_EQ(store.find(trace_id(2))->spans().size(), 1u);
    EXPECT_EQ(store.find(trace_id(3)), nullptr);
    EXPECT_EQ(store.counts(), (StoreCounts{.spans = 3, .traces = 2}));
}

TEST(TraceStore, CountsATraceAsBrokenWhileAParentIsMissing) {
    TraceStore store;
    store.add(trace_id(1), stored(12, 11), now);
    store.add(trace_id(1), stored(13, 11), now);
    EXPECT_EQ(store.counts().broken_traces, 1u);
    EXPECT_EQ(store.find(trace_id(1))->spans_without_parent(), 2u);

    store.add(trace_id(1), stored(11, 10), now);
    EXPECT_EQ(store.counts().broken_traces, 1u);
    EXPECT_EQ(store.find(trace_id(1))->spans_without_parent(), 1u);

    store.add(trace_id(1), stored(10, 0), now);
    EXPECT_EQ(store.counts().broken_traces, 0u);
    EXPECT_FALSE(store.find(trace_id(1))->is_broken());
}

TEST(TraceStore, DoesNotTakeAParentFromAnotherTrace) {
    TraceStore store;
    store.add(trace_id(1), stored(10, 0), now);
    store.add(trace_id(2), stored(20, 10), now);

    EXPECT_EQ(store.counts().broken_traces, 1u);
    EXPECT_TRUE(store.find(trace_id(2))->is_broken());
}

TEST(TraceStore, CountsADuplicateOnceAndKeepsTheFirst) {
    TraceStore store;
    store.add(trace_id(1), stored(10, 0), now);
    auto again = stored(10, 99);
    again.name = "again";
    store.add(trace_id(1), again, now);
    store.add(trace_id(2), stored(10, 0), now);

    EXPECT_EQ(store.counts(), (StoreCounts{.spans = 2, .duplicate_spans = 1, .traces = 2}));
    EXPECT_EQ(store.find(trace_id(1))->spans()[0].name, "span 10");
    EXPECT_FALSE(store.find(trace_id(1))->is_broken());
}

TEST(TraceStore, ForgetsTheLongestSilentTraceAtTheLimit) {
    TraceStore store({.traces_max = 2});
    store.add(trace_id(1), stored(1, 0), now);
    store.add(trace_id(2), stored(2, 0), now);
    store.add(trace_id(1), stored(3, 1), now);
    store.add(trace_id(3), stored(4, 0), now);

    EXPECT_NE(store.find(trace_id(1)), nullptr);
    EXPECT_EQ(store.find(trace_id(2)), nullptr);
    EXPECT_NE(store.find(trace_id(3)), nullptr);
    EXPECT_EQ(store.traces_kept(), 2u);
    EXPECT_EQ(store.counts(), (StoreCounts{.spans = 4, .traces = 3, .forgotten_traces = 1}));
}

TEST(TraceStore, RemembersThatAForgottenTraceWasBroken) {
    TraceStore store({.traces_max = 1});
    store.add(trace_id(1), stored(1, 99), now);
    store.add(trace_id(2), stored(2, 0), now);

    EXPECT_EQ(store.counts().broken_traces, 1u);
}

TEST(TraceStore, HealsAForgottenTraceWhenItsParentsArriveLate) {
    TraceStore store({.traces_max = 1});
    store.add(trace_id(1), stored(1, 98), now);
    store.add(trace_id(1), stored(2, 99), now);
    store.add(trace_id(2), stored(3, 0), now);
    ASSERT_EQ(store.counts().broken_traces, 1u);

    store.add(trace_id(1), stored(98, 0), now);
    EXPECT_EQ(store.counts().broken_traces, 1u);
    store.add(trace_id(1), stored(50, 98), now);
    EXPECT_EQ(store.counts().broken_traces, 1u);
    store.add(trace_id(1), stored(99, 98), now);
    EXPECT_EQ(store.counts().broken_traces, 0u);
    store.add(trace_id(1), stored(99, 98), now);
    EXPECT_EQ(store.counts().broken_traces, 0u);
}

// The memory of a forgotten trace is bounded: with very many parents missing it stays broken.
TEST(TraceStore, DoesNotRememberManyMissingParents) {
    TraceStore store({.traces_max = 1});
    for (std::uint64_t i = 1; i <= 17; ++i) { store.add(trace_id(1), stored(i, 100 + i), now); }
    store.add(trace_id(2), stored(3, 0), now);
    for (std::uint64_t i = 1; i <= 17; ++i) { store.add(trace_id(1), stored(100 + i, 0), now); }

    EXPECT_EQ(store.counts().broken_traces, 1u);
}

// Bounded once more: what was forgotten long ago counts as a new trace when it comes back.
TEST(TraceStore, ForgetsThatItForgot) {
    TraceStore store({.traces_max = 1});
    for (std::uint64_t i = 1; i <= 6; ++i) { store.add(trace_id(i), stored(1, 0), now); }
    store.add(trace_id(2), stored(2, 1), now);
    EXPECT_EQ(store.counts().late_spans, 1u);
    store.add(trace_id(1), stored(2, 1), now);

    EXPECT_EQ(store.counts().late_spans, 1u);
    EXPECT_EQ(store.counts().traces, 7u);
}

TEST(TraceStore, CountsALateSpanWithoutCountingItsTraceAgain) {
    TraceStore store({.traces_max = 1});
    store.add(trace_id(1), stored(1, 0), now);
    store.add(trace_id(2), stored(2, 0), now);
    store.add(trace_id(1), stored(3, 1), now);

    EXPECT_EQ(
        store.counts(),
        (StoreCounts{.spans = 3, .late_spans = 1, .traces = 2, .forgotten_traces = 1}));
    EXPECT_NE(store.find(trace_id(2)), nullptr);
}

TEST(TraceStore, KeepsWithinItsBytes) {
    TraceStore store({.bytes_max = 100'000});
    for (std::uint64_t i = 1; i <= 1000; ++i) {
        auto span = stored(i, 0);
        span.name.assign(1000, 'n');
        store.add(trace_id(i), std::move(span), now);
    }

    EXPECT_LT(store.traces_kept(), 100u);
    EXPECT_GT(store.traces_kept(), 10u);
    EXPECT_EQ(store.counts().forgotten_traces + store.traces_kept(), 1000u);
    EXPECT_NE(store.find(trace_id(1000)), nullptr);
}

TEST(TraceStore, ForgetsATraceThatIsTooLargeByItself) {
    TraceStore store({.bytes_max = 100'000});
    for (std::uint64_t i = 1; i <= 5000; ++i) { store.add(trace_id(1), stored(i, i - 1), now); }

    EXPECT_EQ(store.traces_kept(), 0u);
    EXPECT_EQ(store.counts().spans, 5000u);
    EXPECT_EQ(store.counts().traces, 1u);
    EXPECT_EQ(store.counts().forgotten_traces, 1u);
    EXPECT_GT(store.counts().late_spans, 0u);
}

TEST(TraceStore, FinishesAWholeTraceAfterAShortSilence) {
    TraceStore store({.quiet_whole = 1000ms, .quiet_broken = 6000ms});
    store.add(trace_id(1), stored(1, 0), at(0ms));
    store.add(trace_id(1), stored(2, 1), at(500ms));

    EXPECT_THAT(store.take_finished(at(1499ms), 10), ::testing::IsEmpty());
    const auto finished = store.take_finished(at(1500ms), 10);
    ASSERT_THAT(ids(finished), ::testing::ElementsAre(trace_id(1)));
    EXPECT_EQ(finished[0].spans_shown_before, 0u);
    EXPECT_THAT(store.take_finished(at(99'000ms), 10), ::testing::IsEmpty());
}

TEST(TraceStore, WaitsLongerForATraceWithoutItsRootOrAParent) {
    TraceStore store({.quiet_whole = 1000ms, .quiet_broken = 6000ms});
    store.add(trace_id(1), stored(2, 1), at(0ms));
    store.add(
        trace_id(2), stored(10, 10),
        at(0ms)); // Its own parent: nothing is missing, yet there is no root.

    EXPECT_THAT(store.take_finished(at(5999ms), 10), ::testing::IsEmpty());
    EXPECT_THAT(
        ids(store.take_finished(at(6000ms), 10)), ::testing::ElementsAre(trace_id(1), trace_id(2)));
}

TEST(TraceStore, GivesATraceOutAgainWhenMoreOfItArrives) {
    TraceStore store;
    store.add(trace_id(1), stored(1, 0), at(0ms));
    ASSERT_EQ(store.take_finished(at(1000ms), 10).size(), 1u);
    store.add(trace_id(1), stored(2, 1), at(3000ms));

    EXPECT_THAT(store.take_finished(at(3999ms), 10), ::testing::IsEmpty());
    const auto finished = store.take_finished(at(4000ms), 10);
    ASSERT_EQ(finished.size(), 1u);
    EXPECT_EQ(finished[0].spans_shown_before, 1u);
}

TEST(TraceStore, GivesOutNoMoreThanAskedAndTheRestNextTime) {
    TraceStore store;
    for (std::uint64_t i = 1; i <= 5; ++i) { store.add(trace_id(i), stored(i, 0), at(0ms)); }

    EXPECT_THAT(
        ids(store.take_finished(at(9000ms), 3)),
        ::testing::ElementsAre(trace_id(1), trace_id(2), trace_id(3)));
    EXPECT_THAT(ids(store.take_all(10)), ::testing::ElementsAre(trace_id(4), trace_id(5)));
    EXPECT_THAT(store.take_all(10), ::testing::IsEmpty());
}

TEST(TraceStore, FindsTheSlowestTracesWholeOnesFirst) {
    TraceStore store;
    store.add(trace_id(1), stored(1, 0, 0, 300), now);
    store.add(trace_id(2), stored(2, 0, 50, 500), now);
    store.add(trace_id(3), stored(3, 99, 0, 9000), now);
    store.add(trace_id(4), stored(4, 0, 0, 100), now);
    store.add(trace_id(4), stored(5, 4, 300, 100), now);

    EXPECT_THAT(
        ids(store.slowest(3)), ::testing::ElementsAre(trace_id(2), trace_id(4), trace_id(1)));
    EXPECT_THAT(ids(store.slowest(9)).back(), trace_id(3));
    EXPECT_EQ(store.find(trace_id(4))->duration_ns(), 400'000u);
}

TEST(TraceStore, FindsTheLatestFailedTracesWholeOnesFirst) {
    TraceStore store;
    store.add(trace_id(1), failed(stored(1, 0)), now);
    store.add(trace_id(2), stored(2, 0), now);
    store.add(trace_id(3), failed(stored(3, 0)), now);
    store.add(trace_id(4), failed(stored(4, 99)), now);

    EXPECT_THAT(
        ids(store.failed(9)), ::testing::ElementsAre(trace_id(3), trace_id(1), trace_id(4)));
    EXPECT_THAT(ids(store.failed(1)), ::testing::ElementsAre(trace_id(3)));
}

TEST(StoredTrace, HasNoDurationWhenItsSpansEndBeforeTheyStart) {
    TraceStore store;
    auto span = stored(1, 0);
    span.end_ns = span.start_ns - 5;
    store.add(trace_id(1), span, now);

    EXPECT_EQ(store.find(trace_id(1))->duration_ns(), 0u);
}

// Goal: the running counts equal a recount. Method: random spans over few traces and ids, so that
// parents, orphans and duplicates all happen; after each, the counts are compared with a slow
// model.
TEST(TraceStore, AgreesWithASlowModel) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    TraceStore store;
    std::map<std::uint64_t, std::map<std::uint64_t, std::uint64_t>>
        model; // Trace to span to parent.
    std::uint64_t duplicates = 0;
    for (int step = 0; step < 3000; ++step) {
        const auto trace = 1 + random() % 20;
        const auto span = 1 + random() % 30;
        const auto parent = random() % 31;
        store.add(trace_id(trace), stored(span, parent), now);
        if (!model[trace].emplace(span, parent).second) { ++duplicates; }

        std::uint64_t spans = 0;
        std::uint64_t broken = 0;
        for (const auto& [id, members] : model) {
            spans += members.size();
            broken += std::any_of(
                members.begin(), members.end(), [&, &all = members](const auto& member) {
                    return member.second != 0 && !all.contains(member.second);
                });
        }
        ASSERT_EQ(
            store.counts(), (StoreCounts{
                                .spans = spans,
                                .duplicate_spans = duplicates,
                                .traces = model.size(),
                                .broken_traces = broken}));
    }
}

} // namespace
} // namespace weft::viewer
