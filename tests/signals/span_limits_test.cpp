#include "decoded.hpp"
#include "reference_text.hpp"

#include <weft/testing/random.hpp>
#include <weft/testing/span_sink.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace weft::testing {
namespace {

constexpr std::uint32_t dropped_attributes = 10;
constexpr std::uint32_t dropped_events = 12;
constexpr std::uint32_t dropped_links = 14;

TEST(SpanLimits, KeepAsManyAttributesAsTheySayAndCountTheRest) {
    for (const std::uint32_t count : {0U, 2U, 3U, 4U, 9U}) {
        SCOPED_TRACE(count);
        SpanSink sink({.limits = {.attribute_count = 3}});
        {
            Span span("limited");
            for (std::uint32_t i = 0; i < count; ++i) {
                span.set_attribute("key" + std::to_string(i), i);
            }
            span.set_attribute("key0", "again"); // A replacement needs no place of its own.
        }
        const auto span = sink.take_one();
        EXPECT_EQ(attributes_of(span).size(), std::clamp(count, 1U, 3U));
        EXPECT_EQ(attributes_of(span)["key0"], "again");
        EXPECT_EQ(number(span, dropped_attributes), count > 3 ? count - 3 : 0);
    }
}

TEST(SpanLimits, KeepAsManyEventsAndLinksAsTheySayAndCountTheRest) {
    for (const std::uint32_t count : {0U, 1U, 2U, 3U, 7U}) {
        SCOPED_TRACE(count);
        SpanSink sink({.limits = {.event_count = 2, .link_count = 2}});
        {
            Span span("limited");
            for (std::uint32_t i = 0; i < count; ++i) {
                span.add_event("event");
                span.add_link({{random_trace_id(), random_span_id(), 1, true}, {}});
            }
        }
        const auto span = sink.take_one();
        const std::uint32_t over = count > 2 ? count - 2 : 0;
        EXPECT_EQ(messages(span, 11).size(), count - over);
        EXPECT_EQ(messages(span, 13).size(), count - over);
        EXPECT_EQ(number(span, dropped_events), over);
        EXPECT_EQ(number(span, dropped_links), over);
    }
}

TEST(SpanLimits, CutTextBetweenCodePoints) {
    const std::string text = "aé€😀b";
    const auto points = reference_code_points(text);
    for (std::uint32_t length = 0; length <= points.size() + 1; ++length) {
        SCOPED_TRACE(length);
        SpanSink sink({.limits = {.attribute_value_length = length}});
        Span("cut", {{"text", text}}).end();
        EXPECT_EQ(attributes_of(sink.take_one())["text"], reference_text(text, length));
    }
}

TEST(SpanLimits, CutALongTextThatIsNotAsciiToItsBeginning) {
    SpanSink sink({.limits = {.attribute_value_length = 5}, .queue_bytes = 64 << 10});
    std::string text;
    for (int i = 0; i < 20'000; ++i) { text += "é"; } // Far more than the ring takes.
    Span("cut", {{"text", text}}).end();
    const auto span = sink.take_one();
    EXPECT_EQ(attributes_of(span)["text"], "ééééé");
    EXPECT_EQ(number(span, dropped_attributes), 0U);
}

TEST(Utf8Repair, KeepsTheGoodByteBehindABadOne) {
    SpanSink sink;
    Span("repaired", {{"text", "\xC3(\xE2\x82)\xF0\x9F\x98!"}}).end();
    EXPECT_EQ(attributes_of(sink.take_one())["text"], "\uFFFD(\uFFFD)\uFFFD!");
}

// Goal: what leaves is what the standard's decoder makes of it. Method: random bytes near the edges
// of the ranges.
TEST(Utf8Repair, AgreesWithTheStandardsDecoder) {
    auto random = Random::seeded("AgreesWithTheStandardsDecoder");
    constexpr std::array<unsigned char, 24> edges{0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                                  0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed,
                                                  0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xf8, 0xfe, 0xff};
    SpanSink sink;
    for (int i = 0; i < 50'000; ++i) {
        std::string text;
        for (auto left = random.below(12); left > 0; --left) {
            text += static_cast<char>(random.pick(edges));
        }
        Span("repaired", {{"text", text}}).end();
        ASSERT_EQ(attributes_of(sink.take_one())["text"], reference_text(text));
    }
}

// Every size around the record's own storage, the small and the large chunk, and the most the ring
// takes.
TEST(LargeSpan, ArrivesWhateverItsSize) {
    for (const std::size_t ring : {8U << 10, 64U << 10, 256U << 10, 512U << 10}) {
        SpanSink sink({.queue_bytes = ring});
        const auto record_max = sink.provider().queue.record_max();
        for (const std::size_t near : {704UL, 4096UL, 32'768UL, record_max}) {
            for (std::size_t size = near - 400; size < std::min(near + 100, 2 * record_max);
                 size += 7) {
                SCOPED_TRACE(std::to_string(ring) + " " + std::to_string(size));
                {
                    Span span("large");
                    span.set_attribute("text", std::string(size, 'x'));
                    span.set_attribute("after", std::string(130, 'y'));
                }
                const auto span = sink.take_one();
                ASSERT_EQ(span.name, "large");
                const auto attributes = attributes_of(span);
                ASSERT_EQ(attributes.size() + number(span, dropped_attributes), 2U);
                if (size + 600 < record_max) { ASSERT_EQ(attributes.size(), 2U); }
            }
        }
        EXPECT_EQ(sink.provider().dropped_record_too_large, 0U);
    }
}

TEST(LargeSpan, CountsTheAttributesForWhichThereIsNoRoomAndStillArrives) {
    SpanSink sink({.queue_bytes = 64 << 10});
    constexpr std::uint32_t count = 100;
    {
        Span span("full");
        for (std::uint32_t i = 0; i < count; ++i) {
            span.set_attribute("key" + std::to_string(i), std::string(200, 'x'));
        }
    }
    const auto span = sink.take_one();
    ASSERT_EQ(span.name, "full");
    const auto kept = attributes_of(span).size();
    EXPECT_GT(kept, 30U);
    EXPECT_LT(kept, 40U) << "an eighth of the ring is 8 KiB";
    EXPECT_EQ(number(span, dropped_attributes), count - kept);
}

} // namespace
} // namespace weft::testing
