#include "spans.hpp"

#include <weft/viewer/trace_text.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

namespace weft::viewer {
namespace {

using testing::failed;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::span_id;
using testing::stored;
using testing::trace_id;

constexpr auto now = TraceStore::Clock::time_point{};

std::string print(std::vector<StoredSpan> spans, const TextOptions& options = {}) {
    TraceStore store;
    for (auto& span : spans) { store.add(trace_id(0xabc), std::move(span), now); }
    return format_trace(*store.find(trace_id(0xabc)), options);
}

StoredSpan named(StoredSpan span, std::string service, std::string name, std::int32_t kind) {
    span.service = std::move(service);
    span.name = std::move(name);
    span.kind = kind;
    return span;
}

// A request through two services: the gateway asks for stock and for an order; the order fails.
std::vector<StoredSpan> shop_trace() {
    std::vector<StoredSpan> spans;
    spans.push_back(named(stored(1, 0, 0, 312'400), "gateway", "GET /checkout/{id}", 2));
    spans.back().attributes = {
        {"http.request.method", "GET"},
        {"url.path", "/checkout/7"},
        {"http.route", "/checkout/{id}"},
        {"network.peer.address", "127.0.0.1"},
        {"http.response.status_code", "502"}};
    spans.back() = failed(spans.back());
    spans.push_back(named(stored(3, 1, 1'250, 300'000), "gateway", "GET", 3));
    spans.push_back(named(stored(4, 3, 1'900, 298'007), "orders", "GET /orders/{id}", 2));
    spans.back() = failed(spans.back(), "pool exhausted");
    spans.push_back(named(stored(5, 4, 2'000, 12), "orders", "load order", 1));
    spans.push_back(named(stored(2, 1, 15, 800), "gateway", "check stock", 1));
    spans.back().status = 1;
    spans.push_back(named(stored(6, 4, 2'050, 0), "orders", "publish", 4));
    return spans;
}

constexpr std::string_view shop_text =
    "trace 00000000000000000000000000000abc: 6 spans, 2 services, 312.4 ms, 2 errors\n"
    "      +0 ns   312.4 ms  gateway: GET /checkout/{id} [server] ERROR  url.path=/checkout/7 "
    "http.response.status_code=502\n"
    "   +15.0 us   800.0 us  ├─ gateway: check stock [internal] OK\n"
    "   +1.25 ms   300.0 ms  └─ gateway: GET [client]\n"
    "   +1.90 ms   298.0 ms     └─ orders: GET /orders/{id} [server] ERROR pool exhausted\n"
    "   +2.00 ms    12.0 us        ├─ orders: load order [internal]\n"
    "   +2.05 ms       0 ns        └─ orders: publish [producer]\n";

TEST(FormatTrace, DrawsATreeAcrossServices) { EXPECT_EQ(print(shop_trace()), shop_text); }

TEST(FormatTrace, GivesTheSameTextForEveryOrderOfArrival) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    for (int i = 0; i < 50; ++i) {
        auto spans = shop_trace();
        std::shuffle(spans.begin(), spans.end(), random);
        ASSERT_EQ(print(spans), shop_text);
    }
}

TEST(FormatTrace, PrintsASingleSpan) {
    EXPECT_EQ(
        print({stored(1, 0, 0, 7)}),
        "trace 00000000000000000000000000000abc: 1 span, 1 service, 7.00 us\n"
        "      +0 ns    7.00 us  shop: span 1 [internal]\n");
}

TEST(FormatTrace, MarksASpanWhoseParentIsMissing) {
    EXPECT_EQ(
        print({stored(1, 0, 0, 100), stored(2, 77, 10, 20), stored(3, 2, 11, 5)}),
        "trace 00000000000000000000000000000abc: 3 spans, 1 service, 100.0 us, BROKEN: 1 span "
        "without a parent\n"
        "      +0 ns   100.0 us  shop: span 1 [internal]\n"
        "   +10.0 us    20.0 us  shop: span 2 [internal] (parent 000000000000004d missing)\n"
        "   +11.0 us    5.00 us  └─ shop: span 3 [internal]\n");
}

TEST(FormatTrace, PrintsSpansWhoseParentsFormARing) {
    EXPECT_EQ(
        print({stored(1, 2, 5, 1), stored(2, 1, 6, 1), stored(3, 3, 7, 1)}),
        "trace 00000000000000000000000000000abc: 3 spans, 1 service, 3.00 us\n"
        "      +0 ns    1.00 us  shop: span 1 [internal] (its parents form a ring)\n"
        "   +1.00 us    1.00 us  └─ shop: span 2 [internal]\n"
        "   +2.00 us    1.00 us  shop: span 3 [internal] (its parents form a ring)\n");
}

TEST(FormatTrace, DrawsRailsOnlyWhereASiblingFollows) {
    EXPECT_EQ(
        print(
            {stored(1, 0, 0, 9), stored(2, 1, 1, 1), stored(3, 2, 2, 1), stored(4, 3, 3, 1),
             stored(5, 2, 4, 1), stored(6, 1, 5, 1), stored(7, 6, 6, 1)}),
        "trace 00000000000000000000000000000abc: 7 spans, 1 service, 9.00 us\n"
        "      +0 ns    9.00 us  shop: span 1 [internal]\n"
        "   +1.00 us    1.00 us  ├─ shop: span 2 [internal]\n"
        "   +2.00 us    1.00 us  │  ├─ shop: span 3 [internal]\n"
        "   +3.00 us    1.00 us  │  │  └─ shop: span 4 [internal]\n"
        "   +4.00 us    1.00 us  │  └─ shop: span 5 [internal]\n"
        "   +5.00 us    1.00 us  └─ shop: span 6 [internal]\n"
        "   +6.00 us    1.00 us     └─ shop: span 7 [internal]\n");
}

TEST(FormatTrace, PutsTheLongerOfTwoSiblingsThatStartTogetherFirst) {
    const std::string text =
        print({stored(1, 0, 0, 9), stored(2, 1, 1, 1), stored(4, 1, 1, 5), stored(3, 1, 1, 1)});

    EXPECT_LT(text.find("span 4"), text.find("span 2"));
    EXPECT_LT(text.find("span 2"), text.find("span 3"));
}

TEST(FormatTrace, ShowsTheFirstAttributesAndCountsTheRest) {
    auto span = stored(1, 0);
    for (int i = 0; i < 9; ++i) {
        span.attributes.emplace_back("k" + std::to_string(i), std::to_string(i));
    }
    span.attributes.insert(span.attributes.begin(), {"thread.id", "1"});

    EXPECT_THAT(print({span}), HasSubstr("[internal]  k0=0 k1=1 k2=2 k3=3 k4=4 k5=5 (+3)\n"));
    EXPECT_THAT(print({span}, {.attributes_max = 0}), HasSubstr("[internal] (+9)\n"));
}

// Whatever the reason: left out here, not kept by the store, or dropped by the sender's own limits.
TEST(FormatTrace, CountsEveryAttributeThatIsNotShown) {
    auto span = stored(1, 0);
    for (int i = 0; i < 7; ++i) { span.attributes.emplace_back("k" + std::to_string(i), "v"); }
    span.attributes_hidden = 90;
    EXPECT_THAT(print({span}), HasSubstr("k5=v (+91)\n"));
}

TEST(FormatTrace, ShowsEventsBelowTheirSpan) {
    auto parent = stored(1, 0, 0, 9'000);
    parent.events.push_back({parent.start_ns + 1'250'000, "cache miss", {{"key", "42"}}});
    auto child = failed(stored(2, 1, 2'000, 100), "no such tea");
    child.events.push_back(
        {child.start_ns + 5'000,
         "exception",
         {{"exception.type", "std::out_of_range"},
          {"exception.message", std::string(90, 'm')},
          {"exception.stacktrace", "main\nbrew"}},
         2});
    EXPECT_EQ(
        print({parent, child, stored(3, 1, 3'000, 100)}),
        "trace 00000000000000000000000000000abc: 3 spans, 1 service, 9.00 ms, 1 error\n"
        "      +0 ns    9.00 ms  shop: span 1 [internal]\n"
        "   +1.25 ms             │  · cache miss  key=42\n"
        "   +2.00 ms   100.0 us  ├─ shop: span 2 [internal] ERROR no such tea\n"
        "   +2.00 ms             │     · exception  exception.type=std::out_of_range "
        "exception.message=" +
            std::string(90, 'm') +
            " (+2)\n"
            "   +3.00 ms   100.0 us  └─ shop: span 3 [internal]\n");
}

TEST(FormatTrace, BoundsAndEscapesEvents) {
    auto span = stored(1, 0);
    for (int i = 0; i < 12; ++i) { span.events.push_back({0, "e\n" + std::to_string(i), {}}); }
    span.events_hidden = 5;
    const std::string text = print({span});
    EXPECT_THAT(text, HasSubstr("      +0 ns                · e\\x0a7\n"));
    EXPECT_THAT(text, Not(HasSubstr("e\\x0a8")));
    EXPECT_THAT(
        text, ::testing::EndsWith("\n                           · ... 9 events not shown\n"));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
}

TEST(FormatTrace, EscapesWhatCouldReachTheTerminal) {
    auto span = failed(stored(1, 0), "\x1b[2J\r\nbad\x7f");
    span.service = "a\tb";
    span.name = "x\xc2\x9b"
                "31m \xe2\x80\xae"
                "evil \xff";
    span.attributes = {{"k\n", "v\x07"}};

    const std::string text = print({span});

    EXPECT_THAT(
        text, HasSubstr("a\\x09b: x\\x9b31m \\u202eevil \xef\xbf\xbd [internal] ERROR "
                        "\\x1b[2J\\x0d\\x0abad\\x7f"));
    EXPECT_THAT(text, HasSubstr("k\\x0a=v\\x07"));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(FormatTrace, ColoursOnlyWhenAsked) {
    EXPECT_THAT(print(shop_trace()), Not(HasSubstr("\x1b")));
    const std::string text = print(shop_trace(), {.colour = true});
    EXPECT_THAT(text, HasSubstr("\x1b[31mERROR pool exhausted\x1b[0m"));
    EXPECT_THAT(text, HasSubstr("\x1b[36morders\x1b[0m"));
}

TEST(FormatTrace, StopsAtItsLineLimitAndSaysSo) {
    std::vector<StoredSpan> spans{stored(1, 0)};
    for (std::uint64_t i = 2; i <= 30; ++i) { spans.push_back(stored(i, 1, i)); }

    const std::string text = print(spans, {.lines_max = 10});

    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 12);
    EXPECT_THAT(text, ::testing::EndsWith("  ... 20 spans not shown\n"));
}

// A hostile trace: one chain of many spans. Neither the stack nor the text may grow with its depth
// squared.
TEST(FormatTrace, SurvivesAVeryDeepChain) {
    std::vector<StoredSpan> spans;
    for (std::uint64_t i = 1; i <= 50'000; ++i) { spans.push_back(stored(i, i - 1, i)); }

    const std::string text = print(spans, {.lines_max = 100'000, .depth_max = 5});

    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 50'001);
    EXPECT_LT(text.size(), 50'000u * 100);
}

TEST(FormatTrace, NamesAKindItDoesNotKnow) {
    EXPECT_THAT(print({named(stored(1, 0), "s", "n", 0)}), HasSubstr("s: n\n"));
    EXPECT_THAT(print({named(stored(1, 0), "s", "n", 5)}), HasSubstr("[consumer]"));
    EXPECT_THAT(print({named(stored(1, 0), "s", "n", 6)}), HasSubstr("[unknown kind]"));
    EXPECT_THAT(print({named(stored(1, 0), "s", "n", -1)}), HasSubstr("[unknown kind]"));
}

TEST(FormatTrace, GivesASpanThatEndsBeforeItStartsNoDuration) {
    auto span = stored(1, 0, 100);
    span.end_ns = 0;
    EXPECT_THAT(print({span}), HasSubstr("      +0 ns       0 ns  shop"));
}

TEST(FormatDuration, UsesTheUnitThatReadsBest) {
    EXPECT_EQ(format_duration(0), "0 ns");
    EXPECT_EQ(format_duration(999), "999 ns");
    EXPECT_EQ(format_duration(1'000), "1.00 us");
    EXPECT_EQ(format_duration(9'994), "9.99 us");
    EXPECT_EQ(format_duration(9'996), "10.0 us");
    EXPECT_EQ(format_duration(999'940), "999.9 us");
    EXPECT_EQ(format_duration(999'960), "1.00 ms");
    EXPECT_EQ(format_duration(312'400'000), "312.4 ms");
    EXPECT_EQ(format_duration(999'999'999), "1.00 s");
    EXPECT_EQ(format_duration(61'500'000'000), "61.5 s");
    EXPECT_EQ(format_duration(3'600'000'000'000), "3600 s");
    EXPECT_EQ(format_duration(UINT64_MAX), "18446744074 s");
}

TEST(Printable, CutsAtCharactersNotBytes) {
    EXPECT_EQ(printable("日本語テキスト", 3), "日本語...");
    EXPECT_EQ(printable("日本語", 3), "日本語");
    EXPECT_EQ(printable("abc", 0), "...");
    EXPECT_EQ(printable("", 0), "");
}

} // namespace
} // namespace weft::viewer
