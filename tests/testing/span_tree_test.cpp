#include "spans.hpp"

#include <weft/testing/span_tree.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<FinishedSpan> tea() {
    auto root = span_of("GET /tea/{kind}", 1, 0, 0, 25);
    root.kind = SpanKind::server;
    root.attributes = {{"http.route", "/tea/{kind}"}, {"http.response.status_code", 500}};
    root.status = StatusCode::error;
    root.status_description = "no \"leaves\"";
    auto brew = span_of("brew", 2, 1, 2, 20);
    brew.attributes = {
        {"tea.hot", true},
        {"tea.share", 0.5},
        {"tea.cups", 2.0},
        {"tea.kinds", Value::Array{"oolong", 7}},
        {"tea.map", Attributes{{"k", Value()}}},
        {"tea.raw", Value::Bytes{std::byte{0x0a}, std::byte{0xff}}}};
    brew.events = {{"boils", brew.start_unix_ns + 1'500'000, {{"celsius", 100}}, 1}};
    brew.links = {{id_of<16>(9), id_of<8>(8), "", 0x101, {{"why", "retry"}}, 0}};
    brew.dropped_attributes = 3;
    auto db = span_of("db", 3, 2, 3, 1);
    db.kind = SpanKind::client;
    db.status = StatusCode::ok;
    return {db, brew, span_of("cache", 4, 1, 1, 0), root};
}

TEST(TreeText, ShowsEverySpanWithKindDurationStatusAttributesEventsAndLinks) {
    EXPECT_EQ(
        to_tree_text(tea()),
        "trace 00000000000000000000000000000001: 4 spans\n"
        "  GET /tea/{kind} [server] 25.0 ms ERROR \"no \\\"leaves\\\"\" http.route=\"/tea/{kind}\""
        " http.response.status_code=500\n"
        "    cache 0 ns\n"
        "    brew 20.0 ms tea.hot=true tea.share=0.5 tea.cups=2.0 tea.kinds=[\"oolong\", 7]"
        " tea.map={\"k\": (empty)} tea.raw=0x0aff (+3 dropped)\n"
        "        -> trace 00000000000000000000000000000009, span 0000000000000008 why=\"retry\"\n"
        "        * boils +1.50 ms celsius=100 (+1 dropped)\n"
        "      db [client] 1.00 ms OK\n");
}

TEST(TreeText, IsTheSameWhateverOrderTheSpansCameIn) {
    auto spans = tea();
    const auto expected = to_tree_text(spans);
    std::sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
        return a.span_id < b.span_id;
    });
    do { // 24 orders.
        ASSERT_EQ(to_tree_text(spans), expected);
    } while (std::next_permutation(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
        return a.span_id < b.span_id;
    }));
}

TEST(TreeText, OfNoSpansSaysSo) { EXPECT_EQ(to_tree_text({}), "no spans\n"); }

TEST(TreeText, TellsAMissingParentFromARemoteOne) {
    auto remote = span_of("remote", 2, 7);
    remote.flags |= 0x200;

    EXPECT_EQ(
        to_tree_text({span_of("lost", 1, 6), remote}),
        "trace 00000000000000000000000000000001: 2 spans\n"
        "  lost 1.00 ms (parent 0000000000000006 is missing)\n"
        "  remote 1.00 ms (parent 0000000000000007 is remote)\n");
}

TEST(TreeText, KeepsTheRootsOfATraceTogetherAndTracesInOrderOfStart) {
    auto other = span_of("other", 3, 0, 1);
    other.trace_id = id_of<16>(2);

    EXPECT_EQ(
        to_tree_text({span_of("late", 2, 0, 2), other, span_of("early", 1, 0, 0)}),
        "trace 00000000000000000000000000000001: 2 spans\n"
        "  early 1.00 ms\n"
        "  late 1.00 ms\n"
        "trace 00000000000000000000000000000002: 1 span\n"
        "  other 1.00 ms\n");
}

TEST(TreeText, EscapesControlCharactersAndCutsLongTexts) {
    auto span = span_of("x", 1);
    span.attributes = {{"k", "a\nb\x01"}, {"long", std::string(500, 'y')}};

    const auto text = to_tree_text({span});

    EXPECT_THAT(text, HasSubstr("k=\"a\\nb\\x01\""));
    EXPECT_THAT(text, HasSubstr("long=\"" + std::string(200, 'y') + "\"..."));
}

TEST(TreeText, WritesDurationsInFourDigitsAtMost) {
    const auto of = [](std::int64_t ns) {
        auto span = span_of("x", 1);
        span.end_unix_ns = span.start_unix_ns + ns;
        return to_line(span).substr(2);
    };
    EXPECT_EQ(of(999), "999 ns");
    EXPECT_EQ(of(1'000), "1.00 us");
    EXPECT_EQ(of(12'345), "12.3 us");
    EXPECT_EQ(of(999'949), "1000 us");
    EXPECT_EQ(of(999'960), "1.00 ms");
    EXPECT_EQ(of(61'000'000'000), "61.0 s");
    EXPECT_EQ(of(-5'000'000), "-5.00 ms");
}

TEST(SpanTree, OfARingHasOneTopAndEverySpanOnce) {
    const std::vector<FinishedSpan> spans{
        span_of("hangs on", 4, 3), span_of("a", 1, 3, 1), span_of("b", 2, 1, 2),
        span_of("c", 3, 2, 3)};

    const SpanTree tree(spans);

    ASSERT_THAT(tree.tops(), SizeIs(1));
    std::size_t shown = tree.tops().size();
    for (std::size_t i = 0; i < spans.size(); ++i) { shown += tree.children(i).size(); }
    EXPECT_EQ(shown, spans.size());
    EXPECT_FALSE(tree.is_orphan(tree.tops().front()));
    EXPECT_EQ(std::ranges::count(to_tree_text(spans), '\n'), 5);
}

TEST(SpanTree, OfASpanThatIsItsOwnParentHasItOnTop) {
    const std::vector<FinishedSpan> spans{span_of("self", 1, 1)};
    EXPECT_THAT(SpanTree(spans).tops(), ElementsAre(0));
}

TEST(SpanTree, PutsTheLongerOfTwoSpansThatStartTogetherFirst) {
    const std::vector<FinishedSpan> spans{
        span_of("short", 1, 0, 0, 1), span_of("long", 2, 0, 0, 9)};
    EXPECT_THAT(SpanTree(spans).tops(), ElementsAre(1, 0));
}

TEST(SpanTree, DoesNotTakeASpanOfAnotherTraceForAParent) {
    auto child = span_of("child", 2, 1);
    child.trace_id = id_of<16>(2);
    const std::vector<FinishedSpan> spans{span_of("parent", 1), child};
    EXPECT_TRUE(SpanTree(spans).is_orphan(1));
}

// Goal: neither recursion nor quadratic work. Method: a chain and a crowd that would take minutes.
TEST(SpanTree, TakesManySpansInAChainAndInManyTraces) {
    constexpr std::uint32_t count = 20'000;
    std::vector<FinishedSpan> chain;
    std::vector<FinishedSpan> crowd;
    for (std::uint32_t i = 1; i <= count; ++i) {
        auto span = span_of("s", 0);
        std::memcpy(span.span_id.bytes.data(), &i, sizeof i);
        const auto parent = i - 1;
        std::memcpy(span.parent_id.bytes.data(), &parent, sizeof parent);
        chain.push_back(span);
        span.parent_id = {};
        std::memcpy(span.trace_id.bytes.data(), &i, sizeof i);
        crowd.push_back(span);
    }
    EXPECT_EQ(std::ranges::count(to_tree_text(chain), '\n'), 1 + count);
    EXPECT_EQ(std::ranges::count(to_tree_text(crowd), '\n'), 2 * count);
}

} // namespace
} // namespace weft::testing
