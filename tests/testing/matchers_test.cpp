#include "spans.hpp"

#include <weft/testing/matchers.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>

#include <algorithm>

// Every matcher passes where it should, and says why it does not where it should not.

namespace weft::testing {
namespace {

using ::testing::_;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::DoubleNear;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Spans = std::vector<FinishedSpan>;

// What a failed EXPECT_THAT would print of a matcher and a value: "is x | has y".
template <class T, class M>
std::string why_not(const T& value, const M& matcher) {
    const auto safe = ::testing::SafeMatcherCast<const T&>(matcher);
    ::testing::StringMatchResultListener listener;
    if (safe.MatchAndExplain(value, &listener)) { return "it matches"; }
    std::ostringstream out;
    safe.DescribeTo(&out);
    return out.str() + " | " + listener.str();
}

FinishedSpan brew() {
    auto span = span_of("brew", 2, 1);
    span.kind = SpanKind::client;
    span.attributes = {{"tea.kind", "oolong"}, {"cups", 2}, {"load", 0.5}};
    span.status = StatusCode::error;
    span.status_description = "too hot";
    span.events = {
        {"exception", span.start_unix_ns, {{"exception.type", "std::runtime_error"}}, 0}};
    span.links = {{id_of<16>(9), id_of<8>(8), "", 0x101, {{"why", "retry"}}, 0}};
    return span;
}

TEST(HasName, ComparesNamesAndTakesMatchers) {
    EXPECT_THAT(brew(), HasName("brew"));
    EXPECT_THAT(brew(), HasName(std::string("brew")));
    EXPECT_THAT(brew(), HasName(StartsWith("br")));
    EXPECT_THAT(brew(), Not(HasName("bre")));
    EXPECT_THAT(brew().events[0], HasName("exception"));
    EXPECT_THAT(why_not(brew(), HasName("x")), HasSubstr("is named \"x\""));
}

TEST(HasKind, ComparesKinds) {
    EXPECT_THAT(brew(), HasKind(SpanKind::client));
    EXPECT_EQ(why_not(brew(), HasKind(SpanKind::server)), "is of kind server | is of kind client");
}

TEST(HasAttribute, ComparesValuesOfOneType) {
    EXPECT_THAT(brew(), HasAttribute("tea.kind"));
    EXPECT_THAT(brew(), HasAttribute("tea.kind", "oolong"));
    EXPECT_THAT(brew(), HasAttribute("cups", 2));
    EXPECT_THAT(brew(), HasAttribute("load", 0.5));
    EXPECT_THAT(brew(), Not(HasAttribute("cups", 2.0)));
    EXPECT_THAT(brew(), Not(HasAttribute("cups", "2")));
    EXPECT_THAT(brew().events[0], HasAttribute("exception.type", "std::runtime_error"));
    EXPECT_THAT(brew().links[0], HasAttribute("why", "retry"));
}

TEST(HasAttribute, TakesMatchersOfTheContent) {
    EXPECT_THAT(brew(), HasAttribute("tea.kind", Text(StartsWith("oo"))));
    EXPECT_THAT(brew(), HasAttribute("cups", Integer(Ge(2))));
    EXPECT_THAT(brew(), HasAttribute("load", Floating(DoubleNear(0.4, 0.2))));
    EXPECT_THAT(brew(), HasAttribute("load", _));
    EXPECT_THAT(brew(), Not(HasAttribute("cups", Text(_)))) << "another type";
    EXPECT_THAT(brew(), Not(HasAttribute("cups", Integer(Ge(3)))));
}

TEST(HasAttribute, SaysWhatThereIs) {
    EXPECT_EQ(
        why_not(brew(), HasAttribute("pot")),
        "has the attribute \"pot\" | has the attributes "
        "{\"tea.kind\": \"oolong\", \"cups\": 2, \"load\": 0.5}");
    EXPECT_EQ(
        why_not(brew(), HasAttribute("pot", 1)),
        "has the attribute \"pot\" whose value is equal to 1 | has the attributes "
        "{\"tea.kind\": \"oolong\", \"cups\": 2, \"load\": 0.5}");
    EXPECT_THAT(why_not(brew(), HasAttribute("cups", 3)), HasSubstr("| where cups is 2"));
}

TEST(HasStatus, ComparesCodeAndDescription) {
    EXPECT_THAT(brew(), HasStatus(StatusCode::error));
    EXPECT_THAT(brew(), HasStatus(StatusCode::error, "too hot"));
    EXPECT_THAT(brew(), HasStatus(StatusCode::error, HasSubstr("hot")));
    EXPECT_THAT(brew(), Not(HasStatus(StatusCode::error, "too cold")));
    EXPECT_EQ(
        why_not(brew(), HasStatus(StatusCode::ok)),
        "has the status ok | has the status error, \"too hot\"");
    EXPECT_EQ(
        why_not(brew(), HasStatus(StatusCode::ok, "too hot")),
        "has the status ok and a description that is equal to \"too hot\" | "
        "has the status error, \"too hot\"");
}

TEST(HasEvent, ComparesNamesAndTakesMatchers) {
    EXPECT_THAT(brew(), HasEvent("exception"));
    EXPECT_THAT(
        brew(), HasEvent("exception", HasAttribute("exception.type", "std::runtime_error")));
    EXPECT_THAT(brew(), Not(HasEvent("exception", HasAttribute("exception.type", "other"))));
    EXPECT_EQ(
        why_not(brew(), HasEvent("boils")),
        "has the event \"boils\" | has the events { event \"exception\" "
        "{\"exception.type\": \"std::runtime_error\"} }");
    EXPECT_THAT(
        why_not(brew(), HasEvent("exception", HasAttribute("pot"))),
        HasSubstr("has an event \"exception\" that has the attribute \"pot\""));
}

TEST(IsChildOf, ComparesTraceAndParent) {
    const auto parent = span_of("parent", 1);
    const SpanContext context{parent.trace_id, parent.span_id, 1, false};
    EXPECT_THAT(brew(), IsChildOf(parent));
    EXPECT_THAT(brew(), IsChildOf(context));
    const std::string wanted = "is a child of span 0000000000000003 in trace "
                               "00000000000000000000000000000001 | ";
    EXPECT_EQ(
        why_not(brew(), IsChildOf(span_of("x", 3))),
        wanted + "is a child of span 0000000000000001");
    EXPECT_EQ(why_not(parent, IsChildOf(span_of("x", 3))), wanted + "is a root");
    auto elsewhere = brew();
    elsewhere.trace_id = id_of<16>(2);
    EXPECT_EQ(
        why_not(elsewhere, IsChildOf(span_of("x", 3))),
        wanted + "is in trace 00000000000000000000000000000002");
}

TEST(IsRoot, TakesSpansWithoutAParentOnly) {
    EXPECT_THAT(span_of("root", 1), IsRoot());
    EXPECT_EQ(why_not(brew(), IsRoot()), "is a root | is a child of span 0000000000000001");
    auto remote = brew();
    remote.flags |= 0x200;
    EXPECT_EQ(why_not(remote, IsRoot()), "is a root | is a child of remote span 0000000000000001");
}

TEST(HasLinkTo, ComparesTraceAndSpan) {
    auto target = span_of("target", 8);
    EXPECT_THAT(why_not(brew(), HasLinkTo(target)), HasSubstr("has the links { link to trace "));
    target.trace_id = id_of<16>(9);
    EXPECT_THAT(brew(), HasLinkTo(target));
    EXPECT_THAT(
        why_not(span_of("x", 1), HasLinkTo(target)),
        HasSubstr("has a link to span 0000000000000008 in trace "
                  "00000000000000000000000000000009 | has the links {}"));
}

TEST(InSameTraceAs, ComparesTraces) {
    EXPECT_THAT(brew(), InSameTraceAs(span_of("x", 7)));
    auto other = span_of("x", 7);
    other.trace_id = id_of<16>(2);
    EXPECT_EQ(
        why_not(brew(), InSameTraceAs(other)),
        "is in trace 00000000000000000000000000000002 | is in trace "
        "00000000000000000000000000000001");
}

Spans tea() {
    return {
        span_of("GET /tea", 1, 0, 0, 25), span_of("brew", 2, 1, 2, 20), span_of("db", 3, 2, 3),
        span_of("cache", 4, 1, 1)};
}

TEST(TreeMatcher, TakesAWholeTraceWhateverTheOrder) {
    auto spans = tea();
    const Tree expected("GET /tea", {Tree("brew", {Tree("db")}), Tree("cache")});
    EXPECT_THAT(spans, expected);
    EXPECT_THAT(spans, Tree("GET /tea", {Tree("cache"), Tree("brew", {Tree("db")})}));
    std::reverse(spans.begin(), spans.end());
    EXPECT_THAT(spans, expected);
}

TEST(TreeMatcher, TakesMatchersOfNamesAndSpans) {
    EXPECT_THAT(
        tea(), Tree(
                   StartsWith("GET"),
                   {Tree("brew", {Tree(_)}).with(HasKind(SpanKind::internal)), Tree("cache")})
                   .with(IsRoot()));
}

TEST(TreeMatcher, PlacesChildrenThatFitSeveralExpectations) {
    auto first = span_of("call", 2, 1, 1);
    first.attributes = {{"n", 1}};
    const Spans spans{span_of("root", 1), first, span_of("call", 3, 1, 2)};
    // The greedy choice would give the span with n to the first expectation.
    EXPECT_THAT(spans, Tree("root", {Tree("call"), Tree("call").with(HasAttribute("n"))}));
    EXPECT_THAT(
        spans,
        Not(Tree(
            "root", {Tree("call").with(HasAttribute("n")), Tree("call").with(HasAttribute("n"))})));
}

TEST(TreeMatcher, SaysWhatIsMissingAndWhatIsThereUnasked) {
    EXPECT_THAT(
        why_not(tea(), Tree("GET /tea", {Tree("cache"), Tree("brew", {Tree("tap")})})),
        HasSubstr("| where below span \"GET /tea\" there is no child that is equal to \"brew\" "
                  "(\"brew\" is one where below span \"brew\" there is no child that is equal to "
                  "\"tap\"; there is \"db\", which was not expected or does not fit); there is "
                  "\"brew\", which was not expected or does not fit"));
    EXPECT_THAT(
        why_not(tea(), Tree("GET /tea", {Tree("brew", {Tree("db")})})),
        HasSubstr("| where below span \"GET /tea\" there is \"cache\", which was not expected"));
    EXPECT_THAT(
        why_not(tea(), Tree("POST /tea")),
        HasSubstr("| whose span \"GET /tea\" should be one whose name is equal to \"POST /tea\""));
    EXPECT_THAT(
        why_not(tea(), Tree("GET /tea").with(HasKind(SpanKind::server))),
        HasSubstr("| whose span \"GET /tea\" should be one that is of kind server, but it is of "
                  "kind internal"));
}

TEST(TreeMatcher, DescribesItselfAsATree) {
    EXPECT_THAT(
        why_not(Spans{}, Tree("a", {Tree("b").with(IsRoot()), Tree("c")})),
        StartsWith("is the tree\n  is equal to \"a\"\n    is equal to \"b\", is a root\n    is "
                   "equal to \"c\"\n | which is 0 trees and not one"));
}

TEST(TreeMatcher, TakesNoOrphanForARootButARemoteChild) {
    EXPECT_THAT(
        why_not(Spans{span_of("lost", 2, 1)}, Tree("lost")),
        HasSubstr("| whose span \"lost\" has a parent that is not among the spans"));
    auto remote = span_of("handler", 2, 1);
    remote.flags |= 0x200;
    EXPECT_THAT(Spans{remote}, Tree("handler"));
}

Spans two_trees() {
    auto other = span_of("job", 5, 0, 50);
    other.trace_id = id_of<16>(2);
    auto spans = tea();
    spans.push_back(other);
    return spans;
}

TEST(TreesMatcher, TakesExactlyTheseTrees) {
    const Tree get("GET /tea", {Tree("brew", {Tree("db")}), Tree("cache")});
    EXPECT_THAT(two_trees(), Trees({Tree("job"), get}));
    EXPECT_THAT(Spans{}, Trees({}));
    EXPECT_THAT(why_not(two_trees(), get), HasSubstr("| which is 2 trees and not one"));
    EXPECT_THAT(
        why_not(two_trees(), Trees({get})),
        HasSubstr("| which is 2 trees; 0 of the 1 expected ones are missing; the one of \"job\" "
                  "was not expected or does not fit"));
    EXPECT_THAT(
        why_not(two_trees(), Trees({get, Tree("job"), Tree("job")})),
        HasSubstr("| which is 2 trees; 1 of the 3 expected ones are missing"));
}

TEST(HasTreeMatcher, TakesATreeAmongOthers) {
    EXPECT_THAT(two_trees(), HasTree(Tree("job")));
    EXPECT_THAT(
        why_not(two_trees(), HasTree(Tree("job", {Tree("step")}))),
        HasSubstr("| none of whose 2 trees fits:\n  \"GET /tea\": whose span \"GET /tea\" should "
                  "be one whose name is equal to \"job\"\n  \"job\": where below span \"job\" "
                  "there is no child that is equal to \"step\""));
}

// What everybody sees who looks at a failed test: the whole tree.
TEST(Messages, OfAFailedMatcherShowTheWholeTree) {
    const auto spans =
        tea(); // A static would do, too: EXPECT_NONFATAL_FAILURE cannot see locals in some compilers.
    EXPECT_NONFATAL_FAILURE(
        EXPECT_THAT(spans, Tree("GET /tea")), "  Actual: \n"
                                              "trace 00000000000000000000000000000001: 4 spans\n"
                                              "  GET /tea 25.0 ms\n"
                                              "    cache 1.00 ms\n"
                                              "    brew 20.0 ms\n"
                                              "      db 1.00 ms\n");
    EXPECT_NONFATAL_FAILURE(
        EXPECT_THAT(spans, Contains(HasName("tap"))), "    brew 20.0 ms\n      db 1.00 ms\n");
    EXPECT_NONFATAL_FAILURE(
        EXPECT_THAT(brew(), IsRoot()),
        "  Actual: brew [client] 1.00 ms ERROR \"too hot\" tea.kind=\"oolong\" cups=2 load=0.5 "
        "(trace 00000000000000000000000000000001, span 0000000000000002, parent 0000000000000001)");
    EXPECT_NONFATAL_FAILURE(
        EXPECT_EQ(spans.size(), 3u) << to_tree_text(spans), "  GET /tea 25.0 ms");
}

TEST(Messages, OfAMatcherInAnAllOfSayWhichPartFailed) {
    EXPECT_NONFATAL_FAILURE(
        EXPECT_THAT(brew(), AllOf(HasName("brew"), HasKind(SpanKind::server))),
        "is of kind client");
}

} // namespace
} // namespace weft::testing
