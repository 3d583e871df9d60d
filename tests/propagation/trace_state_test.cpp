#include "counted_new.hpp"

#include <weft/propagation/trace_context.hpp>

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

namespace weft::w3c {
namespace {

void expect_text(std::string_view line, std::string_view text) {
    const auto parsed = parse_tracestate(line);
    ASSERT_TRUE(parsed.has_value()) << "refused: " << line;
    EXPECT_EQ(parsed->text(), text);
}

void expect_malformed(std::string_view line) {
    const auto parsed = parse_tracestate(line);
    EXPECT_TRUE(parsed.has_error()) << "accepted: " << line;
    if (parsed.has_error()) { EXPECT_EQ(parsed.error(), Errc::header_malformed); }
}

std::string numbered_members(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
        if (i > 0) { text += ','; }
        text += "k" + std::to_string(i) + "=v" + std::to_string(i);
    }
    return text;
}

// W3C Trace Context level 2, "tracestate Header Field Values".
TEST(Tracestate, KeepsMembersInTheirOrder) {
    expect_text(
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
}

TEST(Tracestate, AcceptsEveryCharacterAKeyMayHave) {
    const std::string key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@";
    expect_text(key + "=1", key + "=1");
    expect_text("0a=1", "0a=1");
    expect_text("foo@=1", "foo@=1");
    expect_text("foo@@bar=1", "foo@@bar=1");
    expect_text("foo@bar@baz=1", "foo@bar@baz=1");
    expect_text(std::string(242, 't') + "@v=1", std::string(242, 't') + "@v=1");
    expect_text("t@" + std::string(15, 'v') + "=1", "t@" + std::string(15, 'v') + "=1");
}

TEST(Tracestate, RefusesEveryOtherCharacterInAKey) {
    for (int c = 0; c < 256; ++c) {
        const auto character = static_cast<char>(c);
        if (c != 0 &&
            std::string_view("abcdefghijklmnopqrstuvwxyz0123456789_-*/@=,").find(character) !=
                std::string_view::npos) {
            continue;
        }
        expect_malformed(std::string("a") + character + "b=1");
    }
}

TEST(Tracestate, RefusesAKeyThatDoesNotStartWithALetterOrDigit) {
    for (const auto* line : {"@foo=1", "_foo=1", "-foo=1", "*foo=1", "/foo=1", "Foo=1", ".foo=1"}) {
        expect_malformed(line);
    }
}

TEST(Tracestate, RefusesUppercaseDotsAndSpacesInAKey) {
    for (const auto* line : {"fOO=1", "foo.bar=1", "foo bar=1", "foo =1", "foo\t=1", "FOO=1"}) {
        expect_malformed(line);
    }
}

TEST(Tracestate, RefusesAnEmptyKeyAndAMemberWithoutEquals) {
    for (const auto* line : {"=1", "=", "foo", "foo=1,bar", "foo=1,=2", ",foo,"}) {
        expect_malformed(line);
    }
}

TEST(Tracestate, AcceptsAKeyOf256CharactersAndNoLonger) {
    expect_text(std::string(256, 'k') + "=1", std::string(256, 'k') + "=1");
    expect_malformed(std::string(257, 'k') + "=1");
    expect_malformed("foo=1," + std::string(257, 'k') + "=1");
}

TEST(Tracestate, AcceptsEveryCharacterAValueMayHave) {
    std::string value;
    for (char c = 0x20; c <= 0x7e; ++c) {
        if (c != ',' && c != '=') { value += c; }
    }
    expect_text("foo=" + value, "foo=" + value);
}

TEST(Tracestate, RefusesEveryOtherCharacterInAValue) {
    for (int c = 0; c < 256; ++c) {
        if (c >= 0x20 && c <= 0x7e && c != '=') { continue; }
        expect_malformed(std::string("foo=a") + static_cast<char>(c) + "b");
    }
}

TEST(Tracestate, AcceptsAValueOf256CharactersAndNoLonger) {
    expect_text("foo=" + std::string(256, 'v'), "foo=" + std::string(256, 'v'));
    expect_malformed("foo=" + std::string(257, 'v'));
}

TEST(Tracestate, RefusesAnEmptyValue) {
    for (const auto* line : {"foo=", "foo= ", "foo=,bar=1", "bar=1,foo=", "foo=\t"}) {
        expect_malformed(line);
    }
}

TEST(Tracestate, KeepsLeadingSpacesOfAValueAndDropsTrailingOnes) {
    expect_text("foo=  1", "foo=  1");
    expect_text("foo=1  ", "foo=1");
    expect_text("foo= 1 , bar=2\t", "foo= 1,bar=2");
    expect_text("foo=a b", "foo=a b");
}

TEST(Tracestate, DropsBlanksAroundMembers) {
    expect_text(" foo=1 \t,\t bar=2 ", "foo=1,bar=2");
    expect_text("foo=1 \t , \t bar=2, \t baz=3", "foo=1,bar=2,baz=3");
}

TEST(Tracestate, IsEmptyForAnEmptyHeader) {
    for (const auto* line : {"", " ", "\t", ",", ",,,", " , ,\t"}) { expect_text(line, ""); }
    EXPECT_TRUE(parse_tracestate("")->empty());
}

TEST(Tracestate, LeavesEmptyMembersOut) {
    expect_text("foo=1,", "foo=1");
    expect_text(",foo=1", "foo=1");
    expect_text("foo=1,,bar=2", "foo=1,bar=2");
    expect_text("foo=1, \t ,bar=2,,,", "foo=1,bar=2");
}

TEST(Tracestate, Accepts32MembersAndDiscardsAllOf33) {
    expect_text(numbered_members(32), numbered_members(32));
    expect_malformed(numbered_members(33));
}

TEST(Tracestate, DoesNotCountEmptyMembers) {
    expect_text(numbered_members(32) + ",,, ,", numbered_members(32));
}

TEST(Tracestate, CountsDuplicatesAgainstTheLimit) {
    expect_malformed(numbered_members(32) + ",k0=again");
}

TEST(Tracestate, HoldsTheLongestTextTheGrammarAllows) {
    std::string longest;
    for (int i = 0; i < 32; ++i) {
        auto key = std::string(256, 'k');
        key[0] = static_cast<char>('a' + i % 26);
        key[1] = static_cast<char>('a' + i / 26);
        longest += (i > 0 ? "," : "") + key + "=" + std::string(256, 'v');
    }
    ASSERT_EQ(longest.size(), tracestate_chars_max);

    expect_text(longest, longest);
}

TEST(Tracestate, KeepsTheFirstOfMembersWithTheSameKey) {
    expect_text("foo=1,foo=2", "foo=1");
    expect_text("foo=1,bar=2,foo=1", "foo=1,bar=2");
    expect_text("foo=1,fo=2,fooo=3", "foo=1,fo=2,fooo=3");
}

TEST(Tracestate, DiscardsEverythingForOneBadMember) {
    for (const auto* line :
         {"foo=1,bar=2=3", "foo=1,BAR=2", "foo=1,bar", "foo=1;bar=2=", "=1,foo=1",
          "foo=1,b\tr=2"}) {
        expect_malformed(line);
    }
}

TEST(Tracestate, JoinsSeveralLinesInOrder) {
    const std::array<std::string_view, 3> lines{"foo=1,bar=2", "rojo=1,congo=2", "baz=3"};
    EXPECT_EQ(parse_tracestate(lines)->text(), "foo=1,bar=2,rojo=1,congo=2,baz=3");
}

TEST(Tracestate, AcceptsEmptyLinesBesideFullOnes) {
    const std::array<std::string_view, 4> lines{"", "foo=1", " ", "bar=2,"};
    EXPECT_EQ(parse_tracestate(lines)->text(), "foo=1,bar=2");
    EXPECT_TRUE(parse_tracestate(std::span<const std::string_view>{})->empty());
}

TEST(Tracestate, AppliesTheLimitToAllLinesTogether) {
    const auto members = numbered_members(32);
    const std::array<std::string_view, 2> lines{members, "one=more"};
    EXPECT_EQ(parse_tracestate(lines).error(), Errc::header_malformed);
}

TEST(Tracestate, ReducesDuplicatesAcrossLines) {
    const std::array<std::string_view, 2> lines{"foo=1", "foo=2,bar=3"};
    EXPECT_EQ(parse_tracestate(lines)->text(), "foo=1,bar=3");
}

TEST(Tracestate, DiscardsAllLinesForOneBadOne) {
    const std::array<std::string_view, 3> lines{"foo=1", "bad", "bar=2"};
    EXPECT_EQ(parse_tracestate(lines).error(), Errc::header_malformed);
}

TEST(Tracestate, DoesNotJoinAMemberAcrossTwoLines) {
    const std::array<std::string_view, 2> lines{"foo=", "1"};
    EXPECT_EQ(parse_tracestate(lines).error(), Errc::header_malformed);
}

TEST(Tracestate, IsReadWithOneAllocationAndNoneWhenEmpty) {
    auto before = testing::allocations();
    EXPECT_TRUE(parse_tracestate("foo=1,bar=2").has_value());
    EXPECT_EQ(testing::allocations(), before + 1);

    before = testing::allocations();
    EXPECT_TRUE(parse_tracestate("").has_value());
    EXPECT_TRUE(parse_tracestate("BAD").has_error());
    EXPECT_EQ(testing::allocations(), before);
}

} // namespace
} // namespace weft::w3c
