// Text as proc(5) shows it, and text as it should not be.
#include "proc_text.hpp"

#include <gtest/gtest.h>

#include <string>

namespace weft::detail {
namespace {

constexpr std::string_view fields =
    " S 1 4242 4242 0 -1 4194560 1500 20 3 0 12 34 5 6 20 0 7 0 123456 98765432 2500 "
    "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n";

std::string stat_of(std::string_view command) {
    return "4242 (" + std::string(command) + ")" + std::string(fields);
}

TEST(ProcText, FindsThreadsAndStartBehindAnyCommand) {
    for (const auto* command : {"server", "", "a b", ")", "(x) S 1 (", "a)\n9 (b", "\xff\x01"}) {
        const auto stat = parse_process_stat(stat_of(command));
        ASSERT_TRUE(stat.has_value()) << command;
        EXPECT_EQ(stat->threads, 7U) << command;
        EXPECT_EQ(stat->start_ticks, 123456U) << command;
    }
}

TEST(ProcText, RefusesAStatThatIsCutOrOdd) {
    const auto whole = stat_of("server");
    const auto start_end = whole.find("123456") + 6;
    for (std::size_t size = 0; size < start_end - 5; ++size) {
        EXPECT_FALSE(parse_process_stat(std::string_view(whole).substr(0, size)).has_value())
            << size;
    }
    EXPECT_TRUE(parse_process_stat(std::string_view(whole).substr(0, start_end)).has_value());
    for (const auto* odd : {"x", "-7", "7x", "99999999999999999999999", "0x7"}) {
        auto text = whole;
        text.replace(text.find(" 7 0 123456") + 1, 1, odd);
        EXPECT_FALSE(parse_process_stat(text).has_value()) << odd;
    }
    EXPECT_FALSE(parse_process_stat("").has_value());
    EXPECT_FALSE(parse_process_stat("no command at all").has_value());
}

TEST(ProcText, ReadsPages) {
    const auto pages = parse_statm("5000 1200 300 10 0 900 0\n");
    ASSERT_TRUE(pages.has_value());
    EXPECT_EQ(pages->total, 5000U);
    EXPECT_EQ(pages->resident, 1200U);
    EXPECT_TRUE(parse_statm("18446744073709551615 0").has_value());
    for (const auto* odd :
         {"", "5000", "5000 ", "x 1200", "5000 x", "-1 5", "18446744073709551616 1"}) {
        EXPECT_FALSE(parse_statm(odd).has_value()) << odd;
    }
}

TEST(ProcText, FindsANumberByTheNameOfItsLine) {
    constexpr std::string_view io = "rchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\n"
                                    "cancelled_write_bytes: 7\n";
    EXPECT_EQ(parse_named_number(io, "read_bytes"), 4096U);
    EXPECT_EQ(parse_named_number(io, "write_bytes"), 8192U) << "not that of the longer name";
    EXPECT_EQ(parse_named_number("cpu 1 2\nbtime 1700000000\nprocesses 5\n", "btime"), 1700000000U);
    EXPECT_EQ(parse_named_number("btime 17", "btime"), 17U);
    for (const auto* odd :
         {"", "\n\n", "btime", "btime ", "btime x", "btimes 17", "xbtime 17", "btime17",
          "btime -1"}) {
        EXPECT_FALSE(parse_named_number(odd, "btime").has_value()) << odd;
    }
}

} // namespace
} // namespace weft::detail
