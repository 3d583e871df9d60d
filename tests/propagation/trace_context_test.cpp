#include "counted_new.hpp"

#include <weft/propagation/trace_context.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weft::w3c {
namespace {

constexpr std::string_view trace_hex = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view span_hex = "b7ad6b7169203331";

std::string value_of(
    std::string_view version, std::string_view trace, std::string_view span,
    std::string_view flags) {
    std::string text;
    for (const auto part : {version, trace, span, flags}) {
        if (!text.empty()) { text += '-'; }
        text += part;
    }
    return text;
}

std::string good(std::string_view version = "00", std::string_view flags = "01") {
    return value_of(version, trace_hex, span_hex, flags);
}

std::string text_of(const SpanContext& context) {
    const auto text = format_traceparent(context);
    return {text.data(), text.size()};
}

void expect_malformed(std::string_view value) {
    const auto parsed = parse_traceparent(value);
    EXPECT_TRUE(parsed.has_error()) << "accepted: " << value;
    if (parsed.has_error()) { EXPECT_EQ(parsed.error(), Errc::header_malformed); }
}

// W3C Trace Context, "traceparent Header Field Values".
TEST(Traceparent, ReadsEachFieldOfVersion00) {
    const auto parsed = parse_traceparent(good());

    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(parsed->trace_id.to_hex(), trace_hex);
    EXPECT_EQ(parsed->span_id.to_hex(), span_hex);
    EXPECT_EQ(parsed->flags, trace_flags::sampled);
    EXPECT_TRUE(parsed->is_sampled());
}

TEST(Traceparent, IsRemoteWhenParsed) { EXPECT_TRUE(parse_traceparent(good())->is_remote); }

TEST(Traceparent, ReadsEveryHexDigitInEveryPlace) {
    constexpr std::string_view digits = "0123456789abcdef";
    for (std::size_t place = 0; place < trace_hex.size(); ++place) {
        for (const char digit : digits) {
            std::string trace(trace_hex);
            trace[place] = digit;
            const auto parsed = parse_traceparent(value_of("00", trace, span_hex, "00"));
            ASSERT_TRUE(parsed.has_value()) << trace;
            EXPECT_EQ(parsed->trace_id.to_hex(), trace);
        }
    }
    for (std::size_t place = 0; place < span_hex.size(); ++place) {
        for (const char digit : digits) {
            std::string span(span_hex);
            span[place] = digit;
            const auto parsed = parse_traceparent(value_of("00", trace_hex, span, "00"));
            ASSERT_TRUE(parsed.has_value()) << span;
            EXPECT_EQ(parsed->span_id.to_hex(), span);
        }
    }
}

TEST(Traceparent, StripsSpacesAndTabsAroundTheValue) {
    for (const auto* blank : {" ", "\t", " \t ", "\t\t  "}) {
        EXPECT_TRUE(parse_traceparent(blank + good()).has_value());
        EXPECT_TRUE(parse_traceparent(good() + blank).has_value());
        EXPECT_TRUE(parse_traceparent(blank + good() + blank).has_value());
    }
}

TEST(Traceparent, RefusesOtherWhiteSpaceAroundTheValue) {
    for (const char blank : {'\n', '\r', '\v', '\f', '\0'}) {
        expect_malformed(blank + good());
        expect_malformed(good() + blank);
    }
}

TEST(Traceparent, RefusesVersionFf) {
    expect_malformed(good("ff"));
    expect_malformed(good("ff") + "-more");
}

TEST(Traceparent, RefusesAnythingAfterTheFlagsOfVersion00) {
    for (const auto* rest : {"-", "-01", "-x", ".", "x", "0", "-what-the-future-will-be-like"}) {
        expect_malformed(good() + rest);
    }
}

TEST(Traceparent, ReadsWhatItKnowsOfAHigherVersion) {
    for (const auto* version : {"01", "09", "0a", "cc", "fe"}) {
        for (const auto* rest : {"", "-", "-x", "-what-the-future-will-be-like", "-01-02.!~"}) {
            const auto parsed = parse_traceparent(good(version) + rest);
            ASSERT_TRUE(parsed.has_value()) << version << rest;
            EXPECT_EQ(parsed->trace_id.to_hex(), trace_hex);
            EXPECT_EQ(text_of(*parsed), good()) << "sent on as version 00";
        }
    }
}

TEST(Traceparent, RefusesAHigherVersionWhoseFlagsAreNotFollowedByADash) {
    for (const auto* rest : {".", "0", "x", ".what-the-future-will-be-like", "1-x"}) {
        expect_malformed(good("cc") + rest);
    }
}

TEST(Traceparent, RefusesAVersionThatIsNotTwoDigitsAndADash) {
    for (const auto* start :
         {"", "-", "0-", "000-", "0", "00", "0x-", ".0-", "xx-", "00.", "00_", "01."}) {
        expect_malformed(start + good().substr(3));
        expect_malformed(start + good().substr(3) + "0000");
    }
}

TEST(Traceparent, RefusesUppercaseHexAnywhere) {
    const auto lower = value_of("cc", "abcdefabcdefabcdefabcdefabcdefab", "abcdefabcdefabcd", "0b");
    ASSERT_TRUE(parse_traceparent(lower).has_value());
    for (std::size_t i = 0; i < lower.size(); ++i) {
        if (lower[i] < 'a' || lower[i] > 'f') { continue; }
        auto upper = lower;
        upper[i] = static_cast<char>(upper[i] - 'a' + 'A');
        expect_malformed(upper);
    }
}

TEST(Traceparent, RefusesAnAllZeroTraceId) {
    expect_malformed(value_of("00", std::string(32, '0'), span_hex, "01"));
}

TEST(Traceparent, RefusesAnAllZeroParentId) {
    expect_malformed(value_of("00", trace_hex, std::string(16, '0'), "01"));
}

TEST(Traceparent, RefusesEveryFieldOfTheWrongLength) {
    const std::string trace(trace_hex);
    const std::string span(span_hex);
    expect_malformed(value_of("00", trace.substr(1), span, "01"));
    expect_malformed(value_of("00", trace + "1", span, "01"));
    expect_malformed(value_of("00", trace, span.substr(1), "01"));
    expect_malformed(value_of("00", trace, span + "1", "01"));
    expect_malformed(value_of("00", trace, span, "1"));
    expect_malformed(value_of("00", trace, span, "001"));
    expect_malformed(value_of("00", trace.substr(1), span + "1", "01"));
    expect_malformed(value_of("00", trace + "1", span.substr(1), "01"));
}

TEST(Traceparent, RefusesEveryOtherCharacterInEveryPlace) {
    const auto text = good();
    for (std::size_t place = 0; place < text.size(); ++place) {
        for (int c = 0; c < 256; ++c) {
            const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            if (text[place] == '-' ? c == '-' : digit) { continue; }
            // A blank at either end is stripped, which makes the value too short.
            auto broken = text;
            broken[place] = static_cast<char>(c);
            ASSERT_TRUE(parse_traceparent(broken).has_error())
                << "place " << place << " char " << c;
        }
    }
}

TEST(Traceparent, RefusesEveryTruncation) {
    const auto text = good();
    for (std::size_t size = 0; size < text.size(); ++size) {
        expect_malformed(text.substr(0, size));
    }
}

TEST(Traceparent, RefusesTwoValuesJoinedByAComma) {
    expect_malformed(good() + "," + good());
    expect_malformed(good() + ", " + good());
    expect_malformed(good("cc") + "-x," + good());
    expect_malformed("," + good());
    expect_malformed(good() + ",");
}

// "Trace Flags": a bit field of which two bits are known.
TEST(Traceparent, KeepsTheKnownFlagsAndNoOthers) {
    for (unsigned flags = 0; flags < 256; ++flags) {
        constexpr std::string_view digits = "0123456789abcdef";
        const std::string text{digits[flags >> 4], digits[flags & 15]};
        for (const auto* version : {"00", "cc"}) {
            const auto parsed = parse_traceparent(good(version, text));
            ASSERT_TRUE(parsed.has_value()) << text;
            EXPECT_EQ(parsed->flags, flags & 3) << text;
            EXPECT_EQ(parsed->is_sampled(), (flags & 1) != 0) << text;
        }
    }
}

TEST(Traceparent, PassesTheRandomFlagOnAsItCame) {
    EXPECT_EQ(text_of(*parse_traceparent(good("00", "02"))), good("00", "02"));
    EXPECT_EQ(text_of(*parse_traceparent(good("00", "03"))), good("00", "03"));
    EXPECT_EQ(text_of(*parse_traceparent(good("00", "01"))), good("00", "01"));
    EXPECT_EQ(text_of(*parse_traceparent(good("00", "00"))), good("00", "00"));
}

TEST(Traceparent, IsWrittenWithUnknownFlagsAsZero) {
    auto context = *parse_traceparent(good());
    context.flags = 0xff;
    EXPECT_EQ(text_of(context), good("00", "03"));
}

TEST(Traceparent, IsWrittenAsItWasRead) { EXPECT_EQ(text_of(*parse_traceparent(good())), good()); }

TEST(Traceparent, IsReadAndWrittenWithoutAnAllocation) {
    const auto text = good();
    const auto before = testing::allocations();

    const auto parsed = parse_traceparent(text);
    const auto written = format_traceparent(*parsed);

    EXPECT_EQ(testing::allocations(), before);
    EXPECT_EQ(std::string_view(written.data(), written.size()), text);
}

} // namespace
} // namespace weft::w3c
