#include <weft/runtime/ids.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>
#include <unordered_set>
#include <vector>

namespace weft {
namespace {

TEST(Ids, AMillionAreDistinctAndNoneIsZero) {
    constexpr std::size_t count = 1'000'000;
    std::vector<std::array<std::uint8_t, 8>> span_ids;
    std::vector<std::array<std::uint8_t, 16>> trace_ids;
    for (std::size_t i = 0; i < count; ++i) {
        const auto span_id = random_span_id();
        const auto trace_id = random_trace_id();
        ASSERT_TRUE(span_id.is_valid());
        ASSERT_TRUE(trace_id.is_valid());
        span_ids.push_back(span_id.bytes);
        trace_ids.push_back(trace_id.bytes);
    }
    std::sort(span_ids.begin(), span_ids.end());
    std::sort(trace_ids.begin(), trace_ids.end());

    EXPECT_EQ(std::adjacent_find(span_ids.begin(), span_ids.end()), span_ids.end());
    EXPECT_EQ(std::adjacent_find(trace_ids.begin(), trace_ids.end()), trace_ids.end());
}

// W3C level 2 promises 56 random bits; all of ours are. The bound is eight standard deviations wide.
TEST(Ids, EveryBitOfATraceIdIsSetHalfOfTheTime) {
    constexpr int count = 100'000;
    std::array<int, 128> set{};
    for (int i = 0; i < count; ++i) {
        const auto id = random_trace_id();
        for (std::size_t bit = 0; bit < set.size(); ++bit) {
            set[bit] += id.bytes[bit / 8] >> (bit % 8) & 1;
        }
    }
    for (std::size_t bit = 0; bit < set.size(); ++bit) {
        EXPECT_NEAR(set[bit], count / 2, 8 * 158) << bit;
    }
}

TEST(Ids, ThreadsDoNotRepeatEachOther) {
    constexpr std::size_t each = 10'000;
    std::array<std::vector<SpanId>, 4> made;
    std::vector<std::thread> threads;
    for (auto& ids : made) {
        threads.emplace_back([&ids] {
            for (std::size_t i = 0; i < each; ++i) { ids.push_back(random_span_id()); }
        });
    }
    for (auto& thread : threads) { thread.join(); }

    std::unordered_set<SpanId> all;
    for (const auto& ids : made) { all.insert(ids.begin(), ids.end()); }
    EXPECT_EQ(all.size(), 4 * each);
}

// The next ids of this process and of a child forked here and now.
TEST(Ids, AForkedChildMakesOthersThanItsParent) {
    (void)random_span_id(); // Seeded, so that the child inherits a generator in use.
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    std::array<TraceId, 4> of_child{};
    const auto child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        for (auto& id : of_child) { id = random_trace_id(); }
        const auto written = write(ends[1], of_child.data(), sizeof of_child);
        _exit(written == sizeof of_child ? 0 : 1);
    }
    std::array<TraceId, 4> of_parent{};
    for (auto& id : of_parent) { id = random_trace_id(); }
    ASSERT_EQ(
        read(ends[0], of_child.data(), sizeof of_child), static_cast<ssize_t>(sizeof of_child));
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    close(ends[0]);
    close(ends[1]);

    EXPECT_EQ(status, 0);
    for (const auto& a : of_parent) {
        for (const auto& b : of_child) { EXPECT_NE(a, b); }
    }
}

TEST(Ids, TwoChildrenOfOneParentDiffer) {
    (void)random_span_id();
    std::array<std::uint64_t, 2> words{};
    for (auto& word : words) {
        int ends[2];
        ASSERT_EQ(pipe(ends), 0);
        const auto child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            const auto mine = random_u64();
            _exit(write(ends[1], &mine, sizeof mine) == sizeof mine ? 0 : 1);
        }
        ASSERT_EQ(read(ends[0], &word, sizeof word), static_cast<ssize_t>(sizeof word));
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
        close(ends[0]);
        close(ends[1]);
    }
    EXPECT_NE(words[0], words[1]);
}

TEST(Ids, AreWrittenAndReadAsLowercaseHex) {
    SpanId id;
    id.bytes = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7};

    EXPECT_EQ(id.to_hex(), "00f067aa0ba902b7");
    EXPECT_EQ(SpanId::from_hex("00f067aa0ba902b7"), id);
    for (int i = 0; i < 100; ++i) {
        const auto trace_id = random_trace_id();
        EXPECT_EQ(TraceId::from_hex(trace_id.to_hex()), trace_id);
    }
}

TEST(Ids, EveryDigitOfEitherCaseReadsBackWhereAnyCaseIsAllowed) {
    for (int value = 0; value < 256; ++value) {
        constexpr const char* lower = "0123456789abcdef";
        constexpr const char* upper = "0123456789ABCDEF";
        for (const char* digits : {lower, upper}) {
            const char text[] = {digits[value / 16], digits[value % 16]};
            std::uint8_t byte = 0;
            EXPECT_TRUE(detail::read_hex({text, 2}, &byte, 1, true));
            EXPECT_EQ(byte, value);
        }
    }
}

TEST(Ids, RefuseHexOfAnotherLengthCaseOrAlphabet) {
    EXPECT_FALSE(SpanId::from_hex(""));
    EXPECT_FALSE(SpanId::from_hex("00f067aa0ba902b"));
    EXPECT_FALSE(SpanId::from_hex("00f067aa0ba902b70"));
    EXPECT_FALSE(SpanId::from_hex("00F067AA0BA902B7"));
    for (const char bad : {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\x7f', '\xff', '-'}) {
        for (const std::size_t at : {0U, 7U, 15U}) {
            std::string text = "00f067aa0ba902b7";
            text[at] = bad;
            EXPECT_FALSE(SpanId::from_hex(text)) << static_cast<int>(bad) << " at " << at;
            std::uint8_t bytes[8];
            EXPECT_FALSE(detail::read_hex(text, bytes, sizeof bytes, true));
        }
    }
}

TEST(Ids, AreInvalidOnlyWhenAllBytesAreZero) {
    EXPECT_FALSE(TraceId{}.is_valid());
    EXPECT_FALSE(static_cast<bool>(SpanId{}));
    for (std::size_t i = 0; i < 16; ++i) {
        TraceId id;
        id.bytes[i] = 1;
        EXPECT_TRUE(id.is_valid()) << i;
    }
}

} // namespace
} // namespace weft
