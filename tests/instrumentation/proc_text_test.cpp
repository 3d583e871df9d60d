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

TEST(ProcText, AddsUpTheCpusAndCountsThem) {
    const auto times =
        parse_cpu_times("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1\ncpu17 0\nintr 5\n");
    ASSERT_TRUE(times.has_value());
    EXPECT_EQ(times->user, 1U);
    EXPECT_EQ(times->nice, 2U);
    EXPECT_EQ(times->system, 3U);
    EXPECT_EQ(times->idle, 4U);
    EXPECT_EQ(times->iowait, 5U);
    EXPECT_EQ(times->interrupt, 13U);
    EXPECT_EQ(times->steal, 8U);
    EXPECT_EQ(times->cpus, 2U);
    for (const auto* odd :
         {"", "cpu", "cpu0 1 2 3", "cpu 1 2 3 4 5 6 7\ncpu0 1", "cpu 1 2 3 4 5 6 7 x\ncpu0 1",
          "cpu 1 2 3 4 5 6 7 8\n", "cpu 1 2 3 4 5 6 7 8\ncpux 1",
          "cpu 1 2 3 4 5 6 7 8\ncpu 1 2 3 4 5 6 7 8\ncpu0 1", "cpu -1 2 3 4 5 6 7 8\ncpu0 1"}) {
        EXPECT_FALSE(parse_cpu_times(odd).has_value()) << odd;
    }
}

TEST(ProcText, ReadsTheMachinesMemory) {
    const std::string text =
        "MemTotal: 8000 kB\nMemFree: 1000 kB\nMemAvailable: 5000 kB\nBuffers: 200 kB\n"
        "Cached: 3000 kB\nSwapCached: 9 kB\nSwapTotal: 900 kB\nSwapFree: 600 kB\n"
        "SReclaimable: 300 kB\n";
    const auto memory = parse_memory(text);
    ASSERT_TRUE(memory.has_value());
    EXPECT_EQ(memory->total, 8000U);
    EXPECT_EQ(memory->cached, 3000U) << "not that of the longer name";
    EXPECT_EQ(memory->available, 5000U);
    EXPECT_EQ(memory->reclaimable, 300U);
    EXPECT_EQ(memory->swap_free, 600U);
    const auto without = [&](const std::string& name) {
        auto cut = text;
        cut.replace(cut.find(name), name.size(), "X");
        return parse_memory(cut);
    };
    for (const auto* name : {"MemTotal", "MemFree", "Buffers", "Cached", "SwapTotal", "SwapFree"}) {
        EXPECT_FALSE(without(name).has_value()) << name;
    }
    EXPECT_FALSE(without("MemAvailable")->available.has_value());
    EXPECT_EQ(without("SReclaimable")->reclaimable, 0U);
}

TEST(ProcText, ReadsInterfacesOneByOne) {
    std::string_view text = "Inter-|   Receive\n face |bytes    packets\n"
                            "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                            "eth0:100 2 30 40 5 6 7 8 900 10 110 120 13 14 15 16 17\n"
                            "eth0:1:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                            "cut: 1 2 3\n: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                            "two words: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                            "last: 7 0 0 0 0 0 0 0 8 0 0 0 0 0 0 0";
    auto one = next_interface(text);
    ASSERT_TRUE(one.has_value());
    EXPECT_EQ(one->name, "lo");
    one = next_interface(text);
    ASSERT_TRUE(one.has_value());
    EXPECT_EQ(one->name, "eth0") << "without a space behind it";
    EXPECT_EQ(one->received.bytes, 100U);
    EXPECT_EQ(one->received.errors, 30U);
    EXPECT_EQ(one->received.dropped, 40U);
    EXPECT_EQ(one->sent.bytes, 900U);
    EXPECT_EQ(one->sent.errors, 110U);
    EXPECT_EQ(one->sent.dropped, 120U);
    one = next_interface(text);
    ASSERT_TRUE(one.has_value());
    EXPECT_EQ(one->name, "eth0:1");
    one = next_interface(text);
    ASSERT_TRUE(one.has_value());
    EXPECT_EQ(one->name, "last") << "lines that are none are passed over";
    EXPECT_FALSE(next_interface(text).has_value());
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
