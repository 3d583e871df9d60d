#include "../runtime/loop.hpp"

#include <weft/runtime/operators.hpp>
#include <weft/signals/fields.hpp>

#include <gmock/gmock.h>
#include <protozero/pbf_reader.hpp>

#include <map>
#include <string>
#include <thread>

// Fields of log lines in the context: who sees which, how long, and what they are encoded as.

namespace weft {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::run_chain;
using ::testing::SizeIs;
using testing::use_task;
using testing::yield;

using FieldsTest = testing::WithoutFaults;
using Shown = std::map<std::string, std::string>;

// The text or number in an encoded AnyValue.
std::string text_of(protozero::pbf_reader value) {
    while (value.next()) {
        switch (value.tag()) {
        case 1:
            return value.get_string();
        case 3:
            return std::to_string(value.get_int64());
        default:
            value.skip();
        }
    }
    return "?";
}

protozero::pbf_reader reader(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What a log line would say, read from the encoded bytes; a key that comes twice fails.
Shown decoded(const Fields& fields) {
    std::string message;
    fields.for_each_block([&](std::span<const std::byte> block) {
        message.append(reinterpret_cast<const char*>(block.data()), block.size());
    });
    Shown shown;
    for (protozero::pbf_reader record(message); record.next();) {
        EXPECT_EQ(record.tag(), 6u) << "LogRecord.attributes";
        std::string key;
        std::string value;
        for (auto pair = record.get_message(); pair.next();) {
            if (pair.tag() == 1) {
                key = pair.get_string();
            } else {
                value = text_of(pair.get_message());
            }
        }
        EXPECT_TRUE(shown.emplace(key, value).second) << key << " comes twice";
    }
    return shown;
}

// The same, by the other way to read them: both must agree.
Shown shown() {
    const Fields fields = current_fields();
    Shown by_field;
    fields.for_each([&](std::string_view key, std::span<const std::byte> value) {
        EXPECT_TRUE(by_field.emplace(key, text_of(reader(value))).second) << key;
    });
    EXPECT_EQ(decoded(fields), by_field);
    EXPECT_EQ(fields.empty(), by_field.empty());
    return by_field;
}

TEST_F(FieldsTest, ThereAreNoneByDefault) {
    EXPECT_THAT(shown(), IsEmpty());
    EXPECT_EQ(current_fields().dropped(), 0u);
    EXPECT_FALSE(add_field("late", 1)) << "there is no request to add it to";
}

TEST_F(FieldsTest, AreCarriedForTheScopeAndThenWhatWasBefore) {
    {
        const auto outer = with_fields({{"request.id", "r1"}, {"n", 7}});
        EXPECT_THAT(shown(), ElementsAre(Pair("n", "7"), Pair("request.id", "r1")));
        {
            const auto inner = with_fields({{"step", "pay"}});
            EXPECT_THAT(
                shown(),
                ElementsAre(Pair("n", "7"), Pair("request.id", "r1"), Pair("step", "pay")));
        }
        EXPECT_THAT(shown(), SizeIs(2));
    }
    EXPECT_THAT(shown(), IsEmpty());
}

TEST_F(FieldsTest, OfInnerScopesWin) {
    const auto outer = with_fields({{"a", "outer"}, {"b", "outer"}});
    const auto middle = with_fields({{"b", "middle"}, {"c", "middle"}});
    const auto inner = with_fields({{"c", "inner"}, {"a", "inner"}});
    EXPECT_THAT(shown(), ElementsAre(Pair("a", "inner"), Pair("b", "middle"), Pair("c", "inner")));
}

TEST_F(FieldsTest, OfOneCallTheLastOfEqualKeysWins) {
    const auto scope = with_fields({{"a", 1}, {"b", 2}, {"a", 3}});
    EXPECT_THAT(shown(), ElementsAre(Pair("a", "3"), Pair("b", "2")));
}

TEST_F(FieldsTest, LeaveBaggageAndDeadlineAlone) {
    const auto baggage = with(current_baggage().set("tenant", "acme"));
    const auto fields = with_fields({{"a", 1}});
    EXPECT_EQ(current_baggage().get("tenant").value_or(""), "acme");
    const auto hurry = with(Deadline{std::chrono::steady_clock::time_point(std::chrono::hours(1))});
    EXPECT_THAT(shown(), SizeIs(1));
}

TEST_F(FieldsTest, AddedLateAreSeenByTheScopesAround) {
    const auto request = with_request_fields({{"request.id", "r1"}});
    {
        const auto inner = with_fields({{"step", "login"}});
        EXPECT_TRUE(add_field("user.id", "ada"));
        EXPECT_THAT(shown(), SizeIs(3));
    }
    EXPECT_THAT(shown(), ElementsAre(Pair("request.id", "r1"), Pair("user.id", "ada")));
}

TEST_F(FieldsTest, AddedLateWinOverTheRequestsOwnAndYieldToInnerScopes) {
    const auto request =
        with_request_fields({{"a", "request"}, {"b", "request"}, {"c", "request"}});
    const auto inner = with_fields({{"b", "inner"}, {"d", "inner"}});
    for (const auto* key : {"a", "b", "d", "e"}) { EXPECT_TRUE(add_field(key, "late")); }
    EXPECT_THAT(
        shown(), ElementsAre(
                     Pair("a", "late"), Pair("b", "inner"), Pair("c", "request"),
                     Pair("d", "inner"), Pair("e", "late")));
}

TEST_F(FieldsTest, AddedLateAgainReplaceWhatWas) {
    const auto request = with_request_fields({});
    for (int i = 0; i < 5; ++i) { EXPECT_TRUE(add_field("attempt", i)); }
    EXPECT_THAT(shown(), ElementsAre(Pair("attempt", "4")));
}

TEST_F(FieldsTest, AddedLateEndWithTheirRequest) {
    {
        const auto request = with_request_fields({});
        EXPECT_TRUE(add_field("user.id", "ada"));
    }
    EXPECT_THAT(shown(), IsEmpty());
    const auto next = with_request_fields({{"request.id", "r2"}});
    EXPECT_THAT(shown(), ElementsAre(Pair("request.id", "r2")));
}

TEST_F(FieldsTest, OfAServiceAreSeenInItsRequestsAndNotTheOtherWayRound) {
    const auto service = with_fields({{"service", "tea"}, {"mode", "day"}});
    EXPECT_TRUE(add_field("leader", "yes"));
    {
        const auto request = with_request_fields({{"request.id", "r1"}, {"mode", "night"}});
        EXPECT_TRUE(add_field("user.id", "ada"));
        EXPECT_TRUE(add_field("leader", "no"));
        EXPECT_THAT(
            shown(), ElementsAre(
                         Pair("leader", "no"), Pair("mode", "night"), Pair("request.id", "r1"),
                         Pair("service", "tea"), Pair("user.id", "ada")));
    }
    EXPECT_THAT(
        shown(), ElementsAre(Pair("leader", "yes"), Pair("mode", "day"), Pair("service", "tea")));
}

TEST_F(FieldsTest, ASnapshotStaysAsItWas) {
    Fields before;
    {
        const auto request = with_request_fields({{"a", 1}});
        EXPECT_TRUE(add_field("b", 2));
        before = current_fields();
        EXPECT_TRUE(add_field("c", 3));
    }
    EXPECT_THAT(decoded(before), ElementsAre(Pair("a", "1"), Pair("b", "2")));
}

TEST_F(FieldsTest, AreOneBlockWithoutLateOnes) {
    const auto outer = with_fields({{"a", 1}});
    const auto inner = with_fields({{"b", 2}});
    int blocks = 0;
    current_fields().for_each_block([&](std::span<const std::byte>) { ++blocks; });
    EXPECT_EQ(blocks, 1);
}

TEST_F(FieldsTest, ChainsKeepTheirOwnAcrossAwaits) {
    asio::io_context io(1);
    for (const std::string name : {"a", "b", "c"}) {
        weft::co_spawn(
            io,
            [name]() -> Task<void> {
                const auto scope = with_request_fields({{"request.id", name}});
                for (int i = 0; i < 5; ++i) {
                    co_await yield();
                    EXPECT_TRUE(add_field("user.id", "of " + name));
                    EXPECT_THAT(
                        shown(),
                        ElementsAre(Pair("request.id", name), Pair("user.id", "of " + name)));
                }
            },
            testing::fail_on_exception);
    }
    testing::run(io);
    EXPECT_THAT(shown(), IsEmpty());
}

TEST_F(FieldsTest, BranchesInheritShareLateOnesAndKeepTheirScopesToThemselves) {
    run_chain([]() -> Task<void> {
        const auto request = with_request_fields({{"request.id", "r1"}});
        const auto branch = [](std::string name) -> Task<void> {
            const auto own = with_fields({{"branch", name}});
            co_await yield();
            EXPECT_TRUE(add_field("seen by " + name, 1));
            co_await yield(2);
            const auto seen = shown();
            EXPECT_EQ(seen.at("branch"), name);
            EXPECT_TRUE(seen.contains("seen by left"));
            EXPECT_TRUE(seen.contains("seen by right"));
        };
        co_await (branch("left") && branch("right"));
        EXPECT_THAT(
            shown(),
            ElementsAre(
                Pair("request.id", "r1"), Pair("seen by left", "1"), Pair("seen by right", "1")));
    });
}

TEST_F(FieldsTest, ASpawnedChainKeepsThemWhenItsSpawnersScopeHasEnded) {
    asio::io_context io(1);
    {
        const auto scope = with_request_fields({{"request.id", "r1"}});
        weft::co_spawn(
            io,
            []() -> Task<void> {
                co_await yield(2);
                EXPECT_TRUE(add_field("late", "after the request"));
                EXPECT_THAT(shown(), SizeIs(2));
            },
            testing::fail_on_exception);
    }
    testing::run(io);
}

TEST_F(FieldsTest, AreRestoredWhenAnExceptionLeavesTheScope) {
    run_chain([]() -> Task<void> {
        const auto request = with_request_fields({{"request.id", "r1"}});
        try {
            const auto inner = with_fields({{"step", "pay"}});
            co_await yield();
            throw std::runtime_error("no money");
        } catch (const std::runtime_error&) {}
        EXPECT_THAT(shown(), ElementsAre(Pair("request.id", "r1")));
    });
}

TEST_F(FieldsTest, OtherThreadsSeeNothingOfThem) {
    const auto scope = with_fields({{"a", 1}});
    Shown seen{{"not", "asked"}};
    std::thread([&seen] { seen = shown(); }).join();
    EXPECT_THAT(seen, IsEmpty());
}

TEST_F(FieldsTest, AreRepairedAndLimitedLikeAttributes) {
    const auto scope = with_fields({{"bad\xff key", "bad\xff text"}, {"", "no key"}});
    EXPECT_THAT(shown(), ElementsAre(Pair("bad\xef\xbf\xbd key", "bad\xef\xbf\xbd text")));
    EXPECT_EQ(current_fields().dropped(), 1u);
    EXPECT_FALSE(add_field("", "no key"));
    EXPECT_TRUE(add_field("also bad\xff", 1));
    EXPECT_TRUE(shown().contains("also bad\xef\xbf\xbd"));
    EXPECT_EQ(current_fields().dropped(), 2u);
}

TEST_F(FieldsTest, BeyondTheCountAreDiscardedAndCounted) {
    std::vector<std::string> keys;
    for (std::uint32_t i = 0; i < FieldLimits::count + 2; ++i) {
        keys.push_back("k" + std::to_string(i));
    }
    std::vector<Attribute> fields;
    for (const auto& key : keys) { fields.push_back({key, 1}); }
    const auto outer = with_fields(fields);
    EXPECT_THAT(shown(), SizeIs(FieldLimits::count));
    EXPECT_EQ(current_fields().dropped(), 2u);
    const auto inner = with_fields({{"one more", 1}});
    EXPECT_THAT(shown(), SizeIs(FieldLimits::count)) << "what was there stays";
    EXPECT_EQ(current_fields().dropped(), 3u);
}

TEST_F(FieldsTest, BeyondTheBytesAreDiscardedAndCounted) {
    const std::string large(FieldLimits::bytes, 'x');
    const std::string half(FieldLimits::bytes / 2, 'y');
    const auto outer = with_fields({{"large", large}, {"half", half}, {"small", 1}});
    EXPECT_THAT(shown(), ElementsAre(Pair("half", half), Pair("small", "1")));
    EXPECT_EQ(current_fields().dropped(), 1u);
    const auto inner = with_fields({{"other half", half}});
    EXPECT_THAT(shown(), SizeIs(2));
    EXPECT_EQ(current_fields().dropped(), 2u);
}

TEST_F(FieldsTest, AddedLateBeyondTheirLimitsAreDiscardedAndCounted) {
    const auto request = with_request_fields({});
    EXPECT_FALSE(add_field("large", std::string(FieldLimits::late_bytes, 'x')));
    EXPECT_TRUE(add_field("long", std::string(FieldLimits::late_bytes - 100, 'x')));
    for (std::uint32_t i = 1; i < FieldLimits::late_count; ++i) {
        EXPECT_TRUE(add_field("k" + std::to_string(i), i));
    }
    EXPECT_FALSE(add_field("one more", 1));
    EXPECT_THAT(shown(), SizeIs(FieldLimits::late_count));
    EXPECT_EQ(current_fields().dropped(), 2u);
}

// Goal: E1. Method: chains of one request on three threads add and read; every field that was added before a read by the
// same thread is in it, whole.
TEST_F(FieldsTest, AddedLateByManyThreadsAreAllThere) {
    constexpr int each = 20; // Of three: below late_count.
    asio::io_context io;
    const auto request = with_request_fields({{"request.id", "r1"}});
    for (int t = 0; t < 3; ++t) {
        weft::co_spawn(
            io,
            [t]() -> Task<void> {
                for (int i = 0; i < each; ++i) {
                    const auto key = std::to_string(t) + "." + std::to_string(i);
                    EXPECT_TRUE(add_field(key, key));
                    EXPECT_EQ(shown().at(key), key);
                    co_await yield();
                }
            },
            testing::fail_on_exception);
    }
    testing::run_on_threads(io, 3);
    EXPECT_THAT(shown(), SizeIs(1 + 3 * each));
}

// Goal: the bound holds whoever races for the last place.
TEST_F(FieldsTest, AddedLateByManyThreadsStayWithinTheLimit) {
    asio::io_context io;
    const auto request = with_request_fields({});
    std::atomic<std::uint32_t> added{0};
    constexpr std::uint32_t each = FieldLimits::late_count;
    for (int t = 0; t < 3; ++t) {
        weft::co_spawn(
            io,
            [t, &added]() -> Task<void> {
                for (std::uint32_t i = 0; i < each; ++i) {
                    const auto key = std::to_string(t) + "." + std::to_string(i);
                    if (add_field(key, 1)) { ++added; }
                }
                co_return;
            },
            testing::fail_on_exception);
    }
    testing::run_on_threads(io, 3);
    EXPECT_LE(added, FieldLimits::late_count);
    EXPECT_EQ(shown().size(), added);
    EXPECT_EQ(current_fields().dropped(), 3 * each - added);
}

} // namespace
} // namespace weft
