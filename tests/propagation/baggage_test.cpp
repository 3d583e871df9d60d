#include "context_maker.hpp"
#include "counted_new.hpp"

#include <weft/propagation/baggage.hpp>

#include <gmock/gmock.h>

#include <map>
#include <string>

// Source: W3C Baggage, "Header Content", "Limits"; OpenTelemetry Propagators API, "W3C Baggage".

namespace weft::w3c {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using weft::testing::Pairs;

std::string text_of(const Baggage& baggage) { return std::string(BaggageText(baggage).view()); }

void expect_dropped(std::string_view line, const Baggage& rest, std::size_t dropped) {
    BaggageParser parser;
    parser.add_line(line);
    EXPECT_EQ(parser.finish(), rest) << line;
    EXPECT_EQ(parser.dropped(), dropped) << line;
}

TEST(BaggageHeader, ReadsMembersWithMetadata) {
    expect_dropped(
        "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue",
        Baggage()
            .set("key1", "value1", "property1;property2")
            .set("key2", "value2")
            .set("key3", "value3", "propertyKey=propertyValue"),
        0);
}

TEST(BaggageHeader, KeepsMetadataByteForByte) {
    for (const auto* metadata : {"a=\"b\\c\"", "%20=%zz", "a = b ;; c\t;d", ";", "a=b=c"}) {
        const auto baggage = parse_baggage("k=v;" + std::string(metadata));
        EXPECT_EQ(baggage.find("k")->metadata, metadata);
        EXPECT_EQ(text_of(baggage), "k=v;" + std::string(metadata));
    }
}

TEST(BaggageHeader, DecodesPercentAndKeepsEqualsAndPlus) {
    expect_dropped(
        "a=%20%09%2C%3B%5c%22%25,b=x=y=,c=1+1,d=J%C3%BCrgen",
        Baggage().set("a", " \t,;\\\"%").set("b", "x=y=").set("c", "1+1").set("d", "J\xc3\xbcrgen"),
        0);
}

TEST(BaggageHeader, LeavesAPercentSignThatBeginsNoEscape) {
    expect_dropped(
        "a=100%,b=%4,c=%zz%41", Baggage().set("a", "100%").set("b", "%4").set("c", "%zzA"), 0);
}

TEST(BaggageHeader, ReplacesBadUtf8) {
    expect_dropped(
        "a=x%FFy,b=%C3", Baggage().set("a", "x\xef\xbf\xbdy").set("b", "\xef\xbf\xbd"), 0);
}

TEST(BaggageHeader, AcceptsEmptyValuesEmptyMembersAndEmptyHeaders) {
    expect_dropped("a=,,b= ;m, \t ,", Baggage().set("a", "").set("b", "", "m"), 0);
    for (const auto* line : {"", " ", ",", " ,\t,"}) { expect_dropped(line, Baggage(), 0); }
}

TEST(BaggageHeader, TakesEveryTokenAsANameAndTellsCasesApart) {
    const std::string name = "!#$%&'*+-.^_`|~09azAZ";
    expect_dropped(name + "=1,a=1,A=2", Baggage().set(name, "1").set("a", "1").set("A", "2"), 0);
}

TEST(BaggageHeader, KeepsTheLastOfMembersWithTheSameName) {
    expect_dropped("a=1;m,b=2,a=3", Baggage().set("b", "2").set("a", "3"), 0);
}

TEST(BaggageHeader, DropsABadMemberAloneAndCountsIt) {
    const auto rest = Baggage().set("x", "1").set("y", "2");
    for (const auto* bad :
         {"a", "=", "=1", " =1", "a b=1", "a\"=1", "(a)=1", "a=b c", "a=\"b\"", "a=b\\c",
          "a=\xc3\xbc", "\xc3\xbc=1", "a=1\n", "a=1;m\n", "a=1;\xc3\xbc", "a=1;m\x7f", ";m",
          "a;m=1", "[a]=1"}) {
        expect_dropped("x=1," + std::string(bad) + ",y=2", rest, 1);
    }
    expect_dropped(std::string_view("x=1,a=\0,y=2", 11), rest, 1);
}

TEST(BaggageHeader, RefusesEveryOtherCharacterInAValue) {
    for (int c = 0; c < 256; ++c) {
        const bool allowed = c == 0x21 || (c >= 0x23 && c <= 0x2b) || (c >= 0x2d && c <= 0x3a) ||
                             (c >= 0x3c && c <= 0x5b) || (c >= 0x5d && c <= 0x7e);
        if (allowed || c == ',' || c == ';') { continue; }
        expect_dropped(std::string("k=a") + static_cast<char>(c) + "b", Baggage(), 1);
    }
}

std::string numbered(int count) {
    std::string line;
    for (int i = 0; i < count; ++i) { line += (i > 0 ? ",k" : "k") + std::to_string(i) + "=v"; }
    return line;
}

TEST(BaggageHeader, Keeps64MembersAndDropsTheRestWhole) {
    BaggageParser parser;
    parser.add_line(numbered(70));
    EXPECT_EQ(parser.finish(), parse_baggage(numbered(64)));
    EXPECT_EQ(parser.finish().size(), 64U);
    EXPECT_EQ(parser.dropped(), 6U);
}

TEST(BaggageHeader, KeepsAllOf8192BytesAndDropsAMemberBeyond) {
    const auto line = "a=" + std::string(4000, 'x') + ",b=" + std::string(4187, 'y');
    ASSERT_EQ(line.size(), 8192U);
    EXPECT_EQ(text_of(parse_baggage(line)), line);
    expect_dropped(
        "a=1,b=" + std::string(8200, 'y') + ",c=2", Baggage().set("a", "1").set("c", "2"), 1);
    expect_dropped("a=" + std::string(60'000, '%'), Baggage(), 1);
}

TEST(BaggageHeader, JoinsSeveralLinesUnderOneLimit) {
    const Pairs pairs{{"baggage", "a=1,b=2"}, {"Baggage", numbered(64)}, {"BAGGAGE", "a=3"}};
    const auto before = propagation_faults().baggage;
    const auto baggage = extract_baggage(pairs);
    EXPECT_EQ(baggage.size(), 64U);
    EXPECT_EQ(baggage.get("a"), "3");
    EXPECT_EQ(propagation_faults().baggage, before + 2);
}

TEST(BaggageExtract, LaysTheHeaderOverWhatIsGiven) {
    const auto given = Baggage().set("a", "1", "m").set("b", "2");
    EXPECT_EQ(extract_baggage(Pairs{}, given), given);
    EXPECT_EQ(extract_baggage(Pairs{{"baggage", "bad"}}, given), given);
    EXPECT_EQ(
        extract_baggage(Pairs{{"baggage", "b=3"}}, given),
        Baggage().set("a", "1", "m").set("b", "3"));
}

TEST(BaggageExtract, ReadsAGetterWithOneValueOrMore) {
    const auto one = [](std::string_view name) { return name == "baggage" ? "a=1" : ""; };
    EXPECT_EQ(extract_baggage(one), Baggage().set("a", "1"));
    const auto all = [](std::string_view) { return std::vector<std::string>{"a=1", "b=2"}; };
    EXPECT_EQ(extract_baggage(all), Baggage().set("a", "1").set("b", "2"));
}

TEST(BaggageExtract, AllocatesOnceAndNotWithoutTheHeader) {
    const Pairs none{{"other", "1"}};
    const Pairs some{{"baggage", "a=%31,b=2;m"}};
    auto before = weft::testing::allocations();
    EXPECT_TRUE(extract_baggage(none).empty());
    EXPECT_EQ(weft::testing::allocations(), before);
    before = weft::testing::allocations();
    EXPECT_EQ(extract_baggage(some).size(), 2U);
    EXPECT_EQ(weft::testing::allocations(), before + 1);
}

TEST(BaggageInject, EncodesEverythingThatIsNoValueOctet) {
    EXPECT_EQ(
        text_of(Baggage().set("k", "a b,c;d\\e\"f%g=h\xc3\xbc\r\n\x7f")),
        "k=a%20b%2Cc%3Bd%5Ce%22f%25g=h%C3%BC%0D%0A%7F");
}

TEST(BaggageInject, EncodesInMetadataOnlyWhatHasNoPlaceInAHeader) {
    EXPECT_EQ(
        text_of(Baggage().set("k", "v", " a=\"b\";c,d\r\nx\xc3\xbc ")),
        "k=v;a=\"b\";c%2Cd%0D%0Ax%C3%BC");
}

TEST(BaggageInject, LeavesOutAndCountsANameThatIsNoToken) {
    const auto before = propagation_faults().baggage;
    Pairs sent;
    inject_baggage(Baggage().set("a b", "1").set("ok", "2").set("\xc3\xbc", "3"), sent);
    EXPECT_THAT(sent, ElementsAre(Pair("baggage", "ok=2")));
    EXPECT_EQ(propagation_faults().baggage, before + 2);
}

TEST(BaggageInject, LeavesOutWholeEntriesBeyond8192Characters) {
    const BaggageText text(
        Baggage().set("a", std::string(100, 'x')).set("b", std::string(2800, ' ')).set("c", "1"));
    EXPECT_EQ(text.view(), "a=" + std::string(100, 'x') + ",c=1");
    EXPECT_EQ(text.dropped(), 1U);
}

TEST(BaggageInject, WritesOneHeaderAndNoneForAnEmptyBaggage) {
    Pairs sent{{"Baggage", "old=1"}, {"BAGGAGE", "old=2"}};
    inject_baggage(Baggage(), sent);
    EXPECT_EQ(sent.size(), 2U);
    inject_baggage(Baggage().set("new", "1"), sent);
    EXPECT_THAT(sent, ElementsAre(Pair("baggage", "new=1")));
    Pairs none;
    inject_baggage(Baggage().set("a b", "cannot be sent"), none);
    EXPECT_TRUE(none.empty());
}

TEST(BaggageInject, AllocatesNothingItself) {
    const auto baggage = Baggage().set("a", "\xc3\xbc", "m").set("b", "2");
    std::size_t chars = 0;
    const auto before = weft::testing::allocations();
    inject_baggage(
        baggage, [&](std::string_view, std::string_view value) { chars = value.size(); });
    EXPECT_EQ(weft::testing::allocations(), before);
    EXPECT_EQ(chars, 14U);
}

} // namespace
} // namespace weft::w3c
