#include "retry_after.hpp"

#include <gtest/gtest.h>

#include <string>

namespace weft::detail {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::system_clock;

// Sun, 06 Nov 1994 08:49:37 GMT, the moment that RFC 9110 uses in its examples.
const system_clock::time_point moment =
    sys_days(std::chrono::year(1994) / 11 / 6) + 8h + 49min + 37s;

TEST(RetryAfter, ReadsSeconds) {
    EXPECT_EQ(parse_retry_after("120", moment), 120s);
    EXPECT_EQ(parse_retry_after("0", moment), 0s);
    EXPECT_EQ(parse_retry_after("007", moment), 7s);
    EXPECT_EQ(parse_retry_after("\t30 ", moment), 30s);
}

// RFC 9110, "Date/Time Formats": a recipient must accept all three.
TEST(RetryAfter, ReadsAllThreeDateForms) {
    for (const char* form :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
          "Sun Nov  6 08:49:37 1994"}) {
        EXPECT_EQ(parse_retry_after(form, moment - 90s), 90s) << form;
        EXPECT_EQ(parse_retry_after(form, moment), 0s) << form;
        EXPECT_EQ(parse_retry_after(form, moment + 1h), 0s) << form;
    }
    EXPECT_EQ(parse_retry_after("Wed Nov 16 08:49:37 1994", moment + 240h - 5s), 5s);
}

TEST(RetryAfter, RoundsUpToWholeSeconds) {
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", moment - 1500ms), 2s);
}

TEST(RetryAfter, CapsAtADay) {
    EXPECT_EQ(parse_retry_after("86401", moment), 24h);
    EXPECT_EQ(parse_retry_after(std::string(5000, '9'), moment), 24h);
    EXPECT_EQ(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", moment), 24h);
}

// RFC 9110: a two-digit year that seems more than 50 years ahead is the most recent past year with
// those digits.
TEST(RetryAfter, TakesATwoDigitYearForTheNearestOne) {
    const system_clock::time_point in_2026 = sys_days(std::chrono::year(2026) / 1 / 1);
    EXPECT_EQ(parse_retry_after("Thursday, 01-Jan-26 00:00:10 GMT", in_2026), 10s);
    EXPECT_EQ(parse_retry_after("Wednesday, 01-Jan-76 00:00:00 GMT", in_2026), 24h); // 2076
    EXPECT_EQ(parse_retry_after("Saturday, 01-Jan-77 00:00:00 GMT", in_2026), 0s);   // 1977
}

TEST(RetryAfter, AllowsALeapSecond) {
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:60 GMT", moment), 23s);
}

TEST(RetryAfter, RefusesWhatIsNeitherForm) {
    for (const char* bad :
         {"",
          " ",
          "-1",
          "+1",
          "1.5",
          "1 2",
          "0x10",
          "soon",
          "1s",
          "Sun, 06 Nov 1994 08:49:37",
          "Sun, 06 Nov 1994 08:49:37 UTC",
          "Sun, 06 Nov 1994 08:49:37 GMT ;x",
          "Sun, 6 Nov 1994 08:49:37 GMT",
          "Sun, 32 Nov 1994 08:49:37 GMT",
          "Sun, 30 Feb 1994 08:49:37 GMT",
          "Sun, 06 Foo 1994 08:49:37 GMT",
          "Xxx, 06 Nov 1994 08:49:37 GMT",
          "Sun, 06 Nov 1994 24:49:37 GMT",
          "Sun, 06 Nov 1994 08:60:37 GMT",
          "Sun, 06 Nov 1994 08:49:61 GMT",
          "Sunday, 06-Nov-1994 08:49:37 GMT",
          "Sun Nov 6 08:49:37 1994",
          "Sun Nov  6 08:49:37 94",
          "Sun, 06 Nov 1994 08:49:3"}) {
        EXPECT_EQ(parse_retry_after(bad, moment), std::nullopt) << bad;
    }
}

TEST(RetryAfter, RefusesEveryTruncationOfADate) {
    const std::string whole = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(parse_retry_after(whole.substr(0, size), moment), std::nullopt) << size;
    }
}

} // namespace
} // namespace weft::detail
