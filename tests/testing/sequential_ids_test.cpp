#include <weft/testing/in_memory.hpp>
#include <weft/testing/sequential_ids.hpp>

#include <gmock/gmock.h>

#include <set>
#include <thread>

namespace weft::testing {
namespace {

TEST(SequentialIds, AreTheSameInEveryRun) {
    for (int run = 0; run < 2; ++run) {
        InMemoryTelemetry telemetry({.id_generator = std::make_shared<SequentialIds>()});
        {
            const Span outer("outer");
            const Span inner("inner");
        }
        const Span other("other");
        EXPECT_EQ(other.context().trace_id.to_hex(), "00000000000000000000000000000002");
        EXPECT_EQ(other.context().span_id.to_hex(), "0000000000000003");
        const auto spans = telemetry.spans();
        ASSERT_EQ(spans.size(), 2u);
        EXPECT_EQ(spans[1].trace_id.to_hex(), "00000000000000000000000000000001");
        EXPECT_EQ(spans[1].span_id.to_hex(), "0000000000000001");
        EXPECT_EQ(spans[0].span_id.to_hex(), "0000000000000002");
        EXPECT_EQ(spans[0].parent_id, spans[1].span_id);
    }
}

TEST(SequentialIds, AreUniqueAcrossThreads) {
    constexpr int each = 2'000;
    InMemoryTelemetry telemetry({.id_generator = std::make_shared<SequentialIds>()});
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([] {
            for (int i = 0; i < each; ++i) { const Span span("s"); }
        });
    }
    for (auto& thread : threads) { thread.join(); }
    std::set<SpanId> ids;
    for (const auto& span : telemetry.spans()) { ids.insert(span.span_id); }
    EXPECT_EQ(ids.size(), 3u * each);
}

TEST(SequentialIds, DoNotClaimToBeRandom) {
    InMemoryTelemetry telemetry({.id_generator = std::make_shared<SequentialIds>()});
    const Span root("root");
    EXPECT_EQ(root.context().flags & trace_flags::random, 0);
    InMemoryTelemetry other;
    const Span random("random", {}, {.parent = SpanParent::root()});
    EXPECT_EQ(random.context().flags & trace_flags::random, trace_flags::random);
}

// Gives what it is told to.
class FixedIds : public IdGenerator {
public:
    FixedIds(TraceId trace, SpanId span, bool random)
        : trace_(trace), span_(span), random_(random) {}
    TraceId new_trace_id() noexcept override { return trace_; }
    SpanId new_span_id() noexcept override { return span_; }
    bool is_random() const noexcept override { return random_; }

private:
    TraceId trace_;
    SpanId span_;
    bool random_;
};

TEST(IdGenerator, ThatGivesInvalidIdsIsOverruled) {
    InMemoryTelemetry telemetry(
        {.id_generator = std::make_shared<FixedIds>(TraceId{}, SpanId{}, false)});
    const Span span("s");
    EXPECT_TRUE(span.context().is_valid());
    EXPECT_EQ(span.context().flags & trace_flags::random, trace_flags::random);
}

TEST(IdGenerator, ThatIsRandomSetsTheRandomFlag) {
    const auto trace = *TraceId::from_hex("0af7651916cd43dd8448eb211c80319c");
    const auto id = *SpanId::from_hex("b7ad6b7169203331");
    InMemoryTelemetry telemetry({.id_generator = std::make_shared<FixedIds>(trace, id, true)});
    const Span span("s");
    EXPECT_EQ(span.context().trace_id, trace);
    EXPECT_EQ(span.context().span_id, id);
    EXPECT_EQ(span.context().flags & trace_flags::random, trace_flags::random);
}

TEST(IdGenerator, IsNotAskedForTheTraceOfAChild) {
    const auto parent_trace = *TraceId::from_hex("0af7651916cd43dd8448eb211c80319c");
    InMemoryTelemetry telemetry({.id_generator = std::make_shared<SequentialIds>()});
    const TraceContext remote{
        .span = {parent_trace, *SpanId::from_hex("b7ad6b7169203331"), trace_flags::sampled, true},
        .state = {}};
    const Span child("c", {}, {.parent = remote});
    EXPECT_EQ(child.context().trace_id, parent_trace);
    EXPECT_EQ(child.context().span_id.to_hex(), "0000000000000001");
}

} // namespace
} // namespace weft::testing
