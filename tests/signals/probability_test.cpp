#include <weft/signals/probability.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

// Source: OpenTelemetry, "TraceState: Probability Sampling" and "TraceState Handling".

namespace weft {
namespace {

std::string changed(std::string_view state, std::optional<std::uint64_t> threshold) {
    TraceStateBuffer buffer;
    return std::string(with_threshold(state, threshold, buffer));
}
std::string written(double probability) { return changed("", threshold_of(probability)); }

// The specification's check values.
TEST(Probability, IsWrittenWithFourDigits) {
    EXPECT_EQ(written(1.0), "ot=th:0");
    EXPECT_EQ(written(1.0 / 2), "ot=th:8");
    EXPECT_EQ(written(1.0 / 3), "ot=th:aaab");
    EXPECT_EQ(written(1.0 / 4), "ot=th:c");
    EXPECT_EQ(written(1.0 / 5), "ot=th:cccd");
    EXPECT_EQ(written(1.0 / 10), "ot=th:e666");
    EXPECT_EQ(written(1.0 / 100), "ot=th:fd70a");
    EXPECT_EQ(written(1.0 / 1000), "ot=th:ffbe77");
    EXPECT_EQ(written(1.0 / 10000), "ot=th:fff9724");
    EXPECT_EQ(written(0), "") << "what is never kept has no weight";
}

TEST(Probability, NeverRoundsToNothingAndTakesAnyNumber) {
    EXPECT_EQ(threshold_of(1e-30), threshold_never - 1);
    EXPECT_EQ(threshold_of(std::ldexp(1, -56)), threshold_never - 1);
    for (const double none : {0.0, -1.0, std::nan("")}) {
        EXPECT_EQ(threshold_of(none), threshold_never) << none;
    }
    EXPECT_EQ(threshold_of(std::numeric_limits<double>::infinity()), 0u);
    EXPECT_EQ(adjusted_count(threshold_never), 0.0);
    EXPECT_EQ(adjusted_count(threshold_of(0.25)), 4.0);
    auto random = testing::Random::seeded("NeverRoundsToNothingAndTakesAnyNumber");
    for (int i = 0; i < 10'000; ++i) {
        const double p =
            std::ldexp(static_cast<double>(random.word() >> 11), -53 - static_cast<int>(i % 50));
        ASSERT_NEAR(probability_of(threshold_of(p)), p, p * std::ldexp(1, -13) + std::ldexp(1, -56))
            << p;
    }
}

TEST(SamplingState, IsReadFromTheOtMember) {
    const auto state = read_sampling_state("a=1,ot=x:1;rv:0123456789abcd;th:c,b=2");
    EXPECT_EQ(state.threshold, 0xc0000000000000u);
    EXPECT_EQ(state.randomness, 0x0123456789abcdu);
    EXPECT_EQ(read_sampling_state("ot=th:0").threshold, 0u);
    EXPECT_EQ(read_sampling_state("ot=th:ffffffffffffff").threshold, threshold_never - 1);
}

TEST(SamplingState, IgnoresWhatIsMalformed) {
    for (const char* text :
         {"", "a=th:8", "ot=th:", "ot=th:8.0", "ot=th:C", "ot=th:000000000000000", "ot=th",
          "ot=TH:8", "ot=1th:8", "ot=th:-8", "xot=th:8", "ot=th :8", "ot=;;:8;"}) {
        EXPECT_FALSE(read_sampling_state(text).threshold) << text;
    }
    for (const char* text :
         {"ot=rv:8", "ot=rv:0123456789abcde", "ot=rv:0123456789abcX", "ot=rv:"}) {
        EXPECT_FALSE(read_sampling_state(text).randomness) << text;
    }
}

TEST(WithThreshold, PutsTheChangedMemberInFrontAndKeepsTheRest) {
    const auto half = threshold_never / 2;
    EXPECT_EQ(changed("", half), "ot=th:8");
    EXPECT_EQ(changed("a=1,b=2", half), "ot=th:8,a=1,b=2");
    EXPECT_EQ(changed("a=1,ot=th:c,b=2", half), "ot=th:8,a=1,b=2");
    EXPECT_EQ(
        changed("a=1,ot=x:1;th:c;rv:0123456789abcd", half), "ot=th:8;rv:0123456789abcd;x:1,a=1");
    EXPECT_EQ(changed("a=1,ot=th:8;th:8", half), "ot=th:8,a=1") << "sub-keys are unique";
    EXPECT_EQ(changed("a=1,ot=bad", half), "ot=th:8,a=1");
}

TEST(WithThreshold, RemovesTheThresholdAndNothingElse) {
    EXPECT_EQ(changed("a=1,ot=th:c,b=2", std::nullopt), "a=1,b=2");
    EXPECT_EQ(changed("ot=th:c", std::nullopt), "");
    EXPECT_EQ(changed("a=1,ot=x:1;th:c", std::nullopt), "ot=x:1,a=1");
    EXPECT_EQ(changed("a=1,ot=th:zz;rv:0123456789abcd", std::nullopt), "ot=rv:0123456789abcd,a=1");
}

TEST(WithThreshold, LeavesAStateAsItIsThatIsRightAlready) {
    for (const char* text : {"", "a=1", "a=1,ot=x:1", "a=1,ot=rv:0123456789abcd;x:"}) {
        const std::string_view before = text;
        TraceStateBuffer buffer;
        EXPECT_EQ(with_threshold(before, std::nullopt, buffer).data(), before.data()) << text;
    }
    EXPECT_EQ(changed("a=1,ot=x:1;th:8", threshold_never / 2), "a=1,ot=x:1;th:8");
}

TEST(WithThreshold, KeepsTheBoundsOfTheMemberAndOfTheState) {
    std::string members = "m0=0";
    for (int i = 1; i < 32; ++i) { members += ",m" + std::to_string(i) + "=0"; }
    const auto full = changed(members, 0);
    EXPECT_EQ(full, "ot=th:0," + members.substr(0, members.rfind(','))) << "the last of 33 goes";

    const std::string others = "a:" + std::string(200, 'x') + ";b:" + std::string(30, 'y');
    const auto member = changed("ot=" + others + ";rv:0123456789abcd", threshold_never - 1);
    EXPECT_EQ(member, "ot=th:ffffffffffffff;rv:0123456789abcd;a:" + std::string(200, 'x'))
        << "256 characters at most, rv before others";
}

TEST(WithThreshold, HoldsTheLargestStateThereIs) {
    std::string state;
    for (int i = 0; i < 32; ++i) {
        if (i != 0) { state += ','; }
        state += std::string(1, static_cast<char>('a' + i % 26)) + std::string(255, 'k') + "=" +
                 std::string(256, 'v');
    }
    EXPECT_EQ(changed(state, 0), "ot=th:0," + state.substr(0, state.rfind(',')));
    const auto state_with = TraceState::from_validated(state);
    EXPECT_EQ(
        with_threshold(with_threshold(state_with, 0), std::nullopt).text().size(), 31u * 514 - 1);
}

} // namespace
} // namespace weft
