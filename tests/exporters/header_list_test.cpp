#include <weft/exporters/header_list.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// A list of one good pair, one bad pair and one more good pair keeps the good ones.
void expect_refused(const std::string& pair, const std::string& named, const std::string& reason) {
    const auto list = parse_header_list("first=1," + pair + ",last=2");
    EXPECT_THAT(list.fields, ElementsAre(HeaderField{"first", "1"}, HeaderField{"last", "2"}))
        << pair;
    EXPECT_THAT(
        list.errors, ElementsAre(AllOf(HasSubstr("pair 2"), HasSubstr(named), HasSubstr(reason))))
        << pair;
}

TEST(HeaderList, ReadsPairsInOrder) {
    const auto list = parse_header_list("api-key=abc,x-tenant=7");
    EXPECT_THAT(
        list.fields, ElementsAre(HeaderField{"api-key", "abc"}, HeaderField{"x-tenant", "7"}));
    EXPECT_THAT(list.errors, IsEmpty());
}

TEST(HeaderList, TrimsBlanksAroundNamesAndValues) {
    const auto list = parse_header_list(" \ta = b c\t, d= ");
    EXPECT_THAT(list.fields, ElementsAre(HeaderField{"a", "b c"}, HeaderField{"d", ""}));
}

TEST(HeaderList, DecodesPercentSequencesInValues) {
    const auto list = parse_header_list("authorization=Basic%20QWxh%3D%3d,list=a%2Cb%3Bc");
    EXPECT_THAT(
        list.fields,
        ElementsAre(HeaderField{"authorization", "Basic QWxh=="}, HeaderField{"list", "a,b;c"}));
}

TEST(HeaderList, SplitsAtTheFirstEqualsSign) {
    EXPECT_THAT(parse_header_list("a=b==").fields, ElementsAre(HeaderField{"a", "b=="}));
}

TEST(HeaderList, LetsTheLastOfARepeatedNameWinWhateverItsCase) {
    EXPECT_THAT(
        parse_header_list("Key=1,other=2,kEY=3").fields,
        ElementsAre(HeaderField{"Key", "3"}, HeaderField{"other", "2"}));
}

TEST(HeaderList, IsEmptyForEmptyTextAndStrayCommas) {
    for (const char* text : {"", " ", ",", " , ,"}) {
        const auto list = parse_header_list(text);
        EXPECT_THAT(list.fields, IsEmpty());
        EXPECT_THAT(list.errors, IsEmpty());
    }
}

TEST(HeaderList, RefusesNamesThatTheExporterSetsItself) {
    for (const char* name :
         {"Content-Type", "content-encoding", "CONTENT-LENGTH", "Host", "Connection",
          "Transfer-Encoding", "Expect", "Upgrade", "TE", "Trailer", "Keep-Alive"}) {
        expect_refused(std::string(name) + "=x", name, "set by the exporter itself");
    }
}

TEST(HeaderList, RefusesNamesThatAreNoTokens) {
    for (const char* name : {"", "a b", "a:b", "a\xc3\xa9"}) {
        expect_refused(std::string(name) + "=x", "", "not a valid header name");
    }
}

TEST(HeaderList, NeverShowsATextThatCannotBeAName) {
    // The tail of a value that held a comma.
    const auto list = parse_header_list("authorization=Bearer abc,SECRET/part=tail,SECRET part=%");
    for (const auto& error : list.errors) {
        EXPECT_EQ(error.find("SECRET"), std::string::npos) << error;
    }
    EXPECT_EQ(list.errors.size(), 2U);
}

TEST(HeaderList, RefusesBadPercentSequences) {
    for (const char* value : {"%", "%4", "%zz", "%4g", "100%"}) {
        expect_refused("key=" + std::string(value), "key", "two hex digits");
    }
}

TEST(HeaderList, RefusesControlCharactersThatWouldForgeAHeader) {
    expect_refused("key=a%0d%0aevil: 1", "key", "control characters");
    expect_refused("key=a%00b", "key", "control characters");
    expect_refused("key=a\nb", "key", "control characters");
    expect_refused("key=a%7f", "key", "control characters");
}

TEST(HeaderList, RefusesAnUnencodedSemicolon) { expect_refused("key=a;p=1", "key", "%3B"); }

TEST(HeaderList, NeverShowsAValueInAnError) {
    // The tail of a value that holds an unencoded comma has no '=': the secret must not be taken
    // for a name.
    const auto list =
        parse_header_list("a=Bearer hush1,hush2,b=hush3%,c=hush4;x,d=hush5%00,Host=hush6, =hush7");
    EXPECT_THAT(list.errors, SizeIs(6));
    for (const auto& error : list.errors) { EXPECT_THAT(error, Not(HasSubstr("hush"))); }
}

TEST(HeaderList, MakesANameFitForALog) {
    const auto list = parse_header_list("\x1b[31m" + std::string(500, 'n') + " =x");
    ASSERT_THAT(list.errors, SizeIs(1));
    EXPECT_THAT(list.errors[0], Not(HasSubstr("\x1b")));
    EXPECT_LT(list.errors[0].size(), 200u);
}

TEST(HeaderList, StopsAtSixtyFourHeaders) {
    std::string text;
    for (int i = 0; i < 65; ++i) { text += "k" + std::to_string(i) + "=v,"; }
    const auto list = parse_header_list(text);
    EXPECT_THAT(list.fields, SizeIs(64));
    EXPECT_THAT(list.errors, ElementsAre(HasSubstr("more than 64")));
}

TEST(HeaderList, RefusesMoreThanSixteenKilobytesAltogether) {
    const auto list = parse_header_list("k=" + std::string(16 * 1024, 'v'));
    EXPECT_THAT(list.fields, IsEmpty());
    EXPECT_THAT(list.errors, SizeIs(1));
}

TEST(HeaderField, IsCheckedWhenItComesByCodeToo) {
    EXPECT_EQ(problem_in(HeaderField{"x-key", "v\tw"}), "");
    EXPECT_THAT(problem_in(HeaderField{"x-key", "v\r\n"}), HasSubstr("control characters"));
    EXPECT_THAT(problem_in(HeaderField{"Host", "h"}), HasSubstr("Host"));
}

} // namespace
} // namespace weft
