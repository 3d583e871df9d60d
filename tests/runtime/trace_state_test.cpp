#include <weft/runtime/span_context.hpp>
#include <weft/runtime/trace_state.hpp>

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weft {
namespace {

TEST(TraceState, IsEmptyUntilItIsGivenText) {
    EXPECT_TRUE(TraceState().empty());
    EXPECT_EQ(TraceState().text(), "");
    EXPECT_TRUE(TraceState::from_validated("").empty());
    EXPECT_FALSE(TraceState::from_validated("a=1").empty());
}

TEST(TraceState, KeepsACopyOfItsText) {
    std::string text = "vendor=value,other=thing";
    const auto state = TraceState::from_validated(text);
    text.assign(text.size(), '?');

    EXPECT_EQ(state.text(), "vendor=value,other=thing");
}

TEST(TraceState, KeepsTheLongestTextThatTheSpecificationAllows) {
    const std::string text(32 * 513, 'x');
    EXPECT_EQ(TraceState::from_validated(text).text(), text);
}

TEST(TraceState, CopiesShareTheTextAndOutliveTheOriginal) {
    TraceState copy;
    {
        const auto original = TraceState::from_validated("a=1");
        copy = original;
        EXPECT_EQ(copy.text().data(), original.text().data());
    }
    EXPECT_EQ(copy.text(), "a=1");
}

TEST(TraceState, IsEmptyAfterItWasMovedFrom) {
    auto from = TraceState::from_validated("a=1");
    TraceState to(std::move(from));
    EXPECT_EQ(to.text(), "a=1");
    EXPECT_TRUE(from.empty()); // NOLINT(bugprone-use-after-move): that is the claim.

    TraceState third;
    third = std::move(to);
    EXPECT_EQ(third.text(), "a=1");
    EXPECT_TRUE(to.empty()); // NOLINT(bugprone-use-after-move): that is the claim.
}

TEST(TraceState, SurvivesAssignmentToItself) {
    auto state = TraceState::from_validated("a=1");
    auto& same = state;
    state = same;
    EXPECT_EQ(state.text(), "a=1");
    state = std::move(same);
    EXPECT_EQ(state.text(), "a=1");
}

TEST(TraceState, ComparesByText) {
    EXPECT_EQ(TraceState::from_validated("a=1"), TraceState::from_validated("a=1"));
    EXPECT_FALSE(TraceState::from_validated("a=1") == TraceState::from_validated("a=2"));
    EXPECT_EQ(TraceState(), TraceState::from_validated(""));
}

TEST(SpanContext, IsValidOnlyWithBothIds) {
    SpanContext context;
    EXPECT_FALSE(context.is_valid());
    context.trace_id = random_trace_id();
    EXPECT_FALSE(context.is_valid());
    context.span_id = random_span_id();
    EXPECT_TRUE(context.is_valid());
    context.trace_id = {};
    EXPECT_FALSE(context.is_valid());
}

TEST(SpanContext, IsSampledByOneBitOfItsFlags) {
    SpanContext context;
    context.flags = 0xfe;
    EXPECT_FALSE(context.is_sampled());
    context.flags = 0x01;
    EXPECT_TRUE(context.is_sampled());
    context.flags = 0x03;
    EXPECT_TRUE(context.is_sampled());
}

} // namespace
} // namespace weft
