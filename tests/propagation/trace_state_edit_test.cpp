#include <weft/propagation/trace_context.hpp>
#include <weft/propagation/trace_state_edit.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/span.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weft::w3c {
namespace {

TraceState state_of(std::string_view line) { return *parse_tracestate(line); }

std::string members(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) { text += (i > 0 ? ",k" : "k") + std::to_string(i) + "=v"; }
    return text;
}

TEST(TraceStateMember, IsFoundByItsWholeKey) {
    const auto state = state_of("foo=1,ot=th:8;rv:6e6d1a75832a2f,fo= 2");

    EXPECT_EQ(find_member(state, "ot"), "th:8;rv:6e6d1a75832a2f");
    EXPECT_EQ(find_member(state, "fo"), " 2");
    EXPECT_EQ(find_member(state, "o"), std::nullopt);
    EXPECT_EQ(find_member(state, "foo=1"), std::nullopt);
    EXPECT_EQ(find_member(state, ""), std::nullopt);
    EXPECT_EQ(find_member(TraceState{}, "ot"), std::nullopt);
}

// "Mutating the tracestate Field": modified keys MUST be moved to the beginning.
TEST(TraceStateMember, GoesToTheFrontWhenAdded) {
    EXPECT_EQ(with_member(state_of("a=1,b=2"), "c", "3")->text(), "c=3,a=1,b=2");
    EXPECT_EQ(with_member(TraceState{}, "c", "3")->text(), "c=3");
}

TEST(TraceStateMember, GoesToTheFrontWhenChangedAndTheOthersKeepTheirOrder) {
    EXPECT_EQ(with_member(state_of("a=1,b=2,c=3,d=4"), "c", "9")->text(), "c=9,a=1,b=2,d=4");
}

TEST(TraceStateMember, PushesOutTheLastOf32WhenAdded) {
    const auto full = state_of(members(32));

    const auto added = with_member(full, "new", "1");

    EXPECT_EQ(added->text(), "new=1," + members(31));
    EXPECT_TRUE(parse_tracestate(added->text()).has_value());
}

TEST(TraceStateMember, PushesNothingOutWhenChangedAmong32) {
    const auto changed = with_member(state_of(members(32)), "k31", "x");
    EXPECT_EQ(changed->text(), "k31=x," + members(31));
}

TEST(TraceStateMember, IsRefusedWhenItBreaksTheGrammar) {
    const auto state = state_of("a=1");
    EXPECT_EQ(with_member(state, "", "1").error(), Errc::header_malformed);
    EXPECT_EQ(with_member(state, "A", "1").error(), Errc::header_malformed);
    EXPECT_EQ(with_member(state, std::string(257, 'k'), "1").error(), Errc::header_malformed);
    EXPECT_EQ(with_member(state, "k", "").error(), Errc::header_malformed);
    EXPECT_EQ(with_member(state, "k", "a,b").error(), Errc::header_malformed);
    EXPECT_EQ(with_member(state, "k", "a=b").error(), Errc::header_malformed);
    EXPECT_EQ(with_member(state, "k", "a ").error(), Errc::header_malformed);
    EXPECT_EQ(with_member(state, "k", std::string(257, 'v')).error(), Errc::header_malformed);
}

TEST(TraceStateMember, TakesTheLongestKeyAndValue) {
    const std::string key(256, 'k');
    const std::string value(256, 'v');
    EXPECT_EQ(with_member(state_of("a=1"), key, value)->text(), key + "=" + value + ",a=1");
}

TEST(TraceStateMember, IsRemovedAlone) {
    EXPECT_EQ(without_member(state_of("a=1,b=2,c=3"), "b").text(), "a=1,c=3");
    EXPECT_EQ(without_member(state_of("a=1"), "a").text(), "");
    EXPECT_EQ(without_member(state_of("a=1"), "b").text(), "a=1");
}

// "tracestate Limits": whole members; entries over 128 characters first, then from the end.
TEST(TraceStateShortening, LeavesAStateThatFits) {
    const auto state = state_of("a=1,b=2");
    EXPECT_EQ(shortened(state, 7).text(), "a=1,b=2");
    EXPECT_EQ(shortened(state, 512).text(), "a=1,b=2");
}

TEST(TraceStateShortening, DropsLongMembersBeforeOthers) {
    const auto big = "big=" + std::string(200, 'x');
    const auto state = state_of("a=1," + big + ",b=2");
    EXPECT_EQ(shortened(state, 100).text(), "a=1,b=2");
}

TEST(TraceStateShortening, DropsNoMoreLongMembersThanNeeded) {
    const auto first = "first=" + std::string(200, 'x');
    const auto second = "second=" + std::string(200, 'x');
    const auto state = state_of(first + ",a=1," + second + ",b=2");
    EXPECT_EQ(shortened(state, 300).text(), first + ",a=1,b=2");
}

TEST(TraceStateShortening, DropsFromTheEndWhenNoneIsLong) {
    EXPECT_EQ(shortened(state_of("a=1,b=2,c=3"), 8).text(), "a=1,b=2");
    EXPECT_EQ(shortened(state_of("a=1,b=2,c=3"), 7).text(), "a=1,b=2");
    EXPECT_EQ(shortened(state_of("a=1,b=2,c=3"), 6).text(), "a=1");
    EXPECT_TRUE(shortened(state_of("a=1,b=2,c=3"), 2).empty());
}

// What a span is born with is what its children inherit and what is sent.
TEST(TraceStateMember, IsEditedForASpanThroughItsParent) {
    detail::TraceProvider provider(Sampler::parent_based(Sampler::always_on()), {}, 64 << 10, 1);
    const auto tracer = Tracer("test").bound_to(&provider);
    TraceContext parent{
        {random_trace_id(), random_span_id(), trace_flags::known, true},
        state_of("vendor=7,old=1")};
    parent.state = without_member(*with_member(parent.state, "mine", "1"), "old");
    const Span span(tracer, "edited", {}, {.parent = parent});
    const Span child(tracer, "child");
    EXPECT_EQ(span.trace_context().state.text(), "mine=1,vendor=7");
    EXPECT_EQ(child.trace_context().state.text(), "mine=1,vendor=7");
    EXPECT_EQ(child.context().trace_id, parent.span.trace_id);
}

} // namespace
} // namespace weft::w3c
