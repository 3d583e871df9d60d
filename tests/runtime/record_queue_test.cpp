#include <weft/runtime/record_queue.hpp>

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace weft {
namespace {

using Push = RecordQueue::Push;

Push push(RecordQueue& queue, std::string_view text) {
    return queue.push(
        text.size(), [&](std::byte* place) { std::memcpy(place, text.data(), text.size()); });
}

std::string text_of(std::span<const std::byte> payload) {
    return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

std::vector<std::string> take(RecordQueue& queue) {
    std::vector<std::string> records;
    queue.consume([&](std::span<const std::byte> payload) {
        records.push_back(text_of(payload));
        return true;
    });
    return records;
}

bool is_readable(RecordQueue& queue) {
    pollfd entry{queue.wake_descriptor(), POLLIN, 0};
    return poll(&entry, 1, 0) == 1;
}

// Calls `work` on `count` fresh threads, one after the other; each has the next shard.
template <class Work>
void on_fresh_threads(unsigned count, Work work) {
    for (unsigned i = 0; i < count; ++i) {
        std::thread([&] { work(i); }).join();
    }
}

TEST(RecordQueue, DividesItsBytesOverItsShards) {
    RecordQueue queue(64 * 1024, 4);

    EXPECT_EQ(queue.capacity(), 64U * 1024);
    EXPECT_EQ(queue.record_max(), 16U * 1024 / 8 - 8);
}

TEST(RecordQueue, HasAtLeastOneShardOfAtLeastTheRingsMinimum) {
    RecordQueue queue(0, 0);

    EXPECT_EQ(queue.capacity(), ByteRing::capacity_min);
    EXPECT_EQ(push(queue, "x"), Push::accepted);
    EXPECT_EQ(take(queue), std::vector<std::string>{"x"});
}

TEST(RecordQueue, TellsTooLargeFromFull) {
    RecordQueue queue(1024, 1);
    EXPECT_EQ(push(queue, std::string(queue.record_max() + 1, 'x')), Push::too_large);
    EXPECT_EQ(push(queue, std::string(queue.record_max(), 'x')), Push::accepted);

    Push last = Push::accepted;
    for (int i = 0; i < 100 && last == Push::accepted; ++i) { last = push(queue, "filler"); }

    EXPECT_EQ(last, Push::full);
    EXPECT_EQ(push(queue, std::string(queue.record_max() + 1, 'x')), Push::too_large);
}

TEST(RecordQueue, DoesNotCallWriteForARecordItRefuses) {
    RecordQueue queue(1024, 1);
    while (push(queue, "filler") == Push::accepted) {}

    EXPECT_EQ(queue.push(1, [](std::byte*) { FAIL() << "no room to write to"; }), Push::full);
    EXPECT_EQ(
        queue.push(4096, [](std::byte*) { FAIL() << "no room to write to"; }), Push::too_large);
}

TEST(RecordQueue, AThreadKeepsToItsShardAndThreadsAreSpreadEvenly) {
    RecordQueue queue(4 * 1024, 4);
    std::vector<int> accepted(8);
    // Each fresh thread fills its shard. Four shards: the first four threads find theirs empty, the next none.
    on_fresh_threads(8, [&](unsigned i) {
        while (push(queue, std::string(40, 'x')) == Push::accepted) { ++accepted[i]; }
    });

    for (unsigned i = 0; i < 4; ++i) { EXPECT_EQ(accepted[i], 1024 / 48) << i; }
    for (unsigned i = 4; i < 8; ++i) { EXPECT_EQ(accepted[i], 0) << i; }
    EXPECT_EQ(queue.records_accepted(), 4U * (1024 / 48));
}

TEST(RecordQueue, RoundsItsShardsUpToAPowerOfTwoAndSpreadsThreadsOverAllOfThem) {
    for (const auto& [asked, made] : {std::pair{3U, 4U}, {4U, 4U}, {5U, 8U}, {1U, 1U}}) {
        SCOPED_TRACE(asked);
        RecordQueue queue(made * 1024, asked);
        EXPECT_EQ(queue.capacity(), made * 1024U);
        on_fresh_threads(made, [&](unsigned) {
            EXPECT_EQ(push(queue, std::string(queue.record_max(), 'x')), Push::accepted);
        });
        for (const auto count : queue.mark()) { EXPECT_EQ(count, 1U); }
    }
}

TEST(RecordQueue, TakesAThreadThatAlsoUsesQueuesOfOtherShardCounts) {
    RecordQueue one(1024, 1);
    RecordQueue two(2048, 2);
    RecordQueue eight(8192, 8);
    on_fresh_threads(8, [&](unsigned) {
        for (RecordQueue* queue : {&one, &two, &eight}) {
            EXPECT_EQ(push(*queue, "x"), Push::accepted);
        }
    });
    EXPECT_EQ(one.mark(), RecordQueue::Mark(1, 8));
    EXPECT_EQ(two.mark(), RecordQueue::Mark(2, 4));
    EXPECT_EQ(eight.mark(), RecordQueue::Mark(8, 1));
}

TEST(RecordQueue, CountsOverAllShards) {
    RecordQueue queue(3 * 1024, 3);
    on_fresh_threads(6, [&](unsigned) { EXPECT_EQ(push(queue, "123456789"), Push::accepted); });
    EXPECT_EQ(queue.records_accepted(), 6U);
    EXPECT_EQ(queue.records_consumed(), 0U);
    EXPECT_EQ(queue.used_bytes(), 6U * 24);

    EXPECT_EQ(take(queue).size(), 6U);

    EXPECT_EQ(queue.records_consumed(), 6U);
    EXPECT_EQ(queue.records_accepted(), 6U);
    EXPECT_EQ(queue.used_bytes(), 0U);
}

TEST(RecordQueue, KeepsARefusedRecordAndReturnsOnlyWhatWasTaken) {
    RecordQueue queue(2 * 1024, 2);
    on_fresh_threads(2, [&](unsigned i) {
        for (int j = 0; j < 3; ++j) { push(queue, std::to_string(i) + std::to_string(j)); }
    });
    int seen = 0;

    EXPECT_EQ(queue.consume([&](auto) { return ++seen <= 4; }), 4U);

    EXPECT_EQ(queue.records_consumed(), 4U);
    EXPECT_EQ(take(queue).size(), 2U);
}

TEST(RecordQueue, KeepsAProducersOrderHoweverTheVisitorStops) {
    RecordQueue queue(3 * 1024, 3);
    on_fresh_threads(3, [&](unsigned i) {
        for (char j = 'a'; j < 'a' + 20; ++j) { push(queue, std::to_string(i) + j); }
    });
    std::map<char, std::string> order; // By producer.

    for (int turn = 0; turn < 60; ++turn) {
        int room = 1 + turn % 3;
        queue.consume([&](std::span<const std::byte> payload) {
            if (room-- == 0) { return false; }
            order[text_of(payload)[0]] += text_of(payload)[1];
            return true;
        });
    }

    ASSERT_EQ(order.size(), 3U);
    for (const auto& [producer, letters] : order) {
        EXPECT_EQ(letters, "abcdefghijklmnopqrst") << producer;
    }
}

// Goal: no shard starves. Method: one producer that always has records, small batches, and one record elsewhere.
TEST(RecordQueue, ServesEveryShardThoughOneIsNeverEmptyAndBatchesAreSmall) {
    RecordQueue queue(4 * 1024, 4);
    std::vector<int> turns_waited(4);
    on_fresh_threads(
        4, [&](unsigned i) { push(queue, std::string(1, static_cast<char>('a' + i))); });
    std::string order;

    for (int turn = 0; turn < 40 && order.size() < 4; ++turn) {
        push(queue, "busy"); // This thread's shard, whichever it is.
        push(queue, "busy");
        bool taken = false;
        queue.consume([&](std::span<const std::byte> payload) {
            if (taken) { return false; }
            taken = true;
            if (const auto text = text_of(payload); text != "busy") { order += text; }
            return true;
        });
    }

    EXPECT_EQ(order.size(), 4U) << "served: " << order;
}

TEST(RecordQueue, SignalsOnceWhenARingPassesHalf) {
    RecordQueue queue(1024, 1);
    queue.arm();
    for (int i = 0; i < 8; ++i) { push(queue, std::string(56, 'x')); }
    EXPECT_FALSE(is_readable(queue));

    push(queue, "over the half");
    EXPECT_TRUE(is_readable(queue));
    push(queue, "again");

    std::uint64_t count = 0;
    ASSERT_EQ(read(queue.wake_descriptor(), &count, sizeof count), 8);
    EXPECT_EQ(count, 1U);
    EXPECT_FALSE(is_readable(queue));
}

TEST(RecordQueue, SignalsWhenARecordFindsNoRoom) {
    RecordQueue queue(1024, 1);
    while (push(queue, std::string(56, 'x')) == Push::accepted) {}
    EXPECT_FALSE(is_readable(queue)) << "nobody had armed it";
    queue.arm();

    EXPECT_EQ(push(queue, std::string(56, 'x')), Push::full);

    EXPECT_TRUE(is_readable(queue));
}

TEST(RecordQueue, DoesNotSignalForARecordThatIsTooLarge) {
    RecordQueue queue(1024, 1);
    queue.arm();

    EXPECT_EQ(push(queue, std::string(4096, 'x')), Push::too_large);

    EXPECT_FALSE(is_readable(queue));
}

TEST(RecordQueue, WakesOnlyWhileArmed) {
    RecordQueue queue(1024, 1);
    queue.wake();
    EXPECT_FALSE(is_readable(queue));

    queue.arm();
    queue.wake();
    EXPECT_TRUE(is_readable(queue));

    queue.disarm();
    EXPECT_FALSE(is_readable(queue));
    queue.wake();
    EXPECT_FALSE(is_readable(queue));
}

TEST(RecordQueue, CanBeArmedAgainAfterEachWake) {
    RecordQueue queue(1024, 1);
    for (int i = 0; i < 3; ++i) {
        queue.arm();
        queue.wake();
        EXPECT_TRUE(is_readable(queue)) << i;
        queue.disarm();
        EXPECT_FALSE(is_readable(queue)) << i;
    }
}

TEST(RecordQueue, KeepsErrnoOfTheThreadThatWakesIt) {
    RecordQueue queue(1024, 1);
    queue.arm();
    errno = ENOENT;

    queue.wake();

    EXPECT_EQ(errno, ENOENT);
}

TEST(RecordQueue, ClosesItsDescriptorWhenItGoes) {
    int descriptor = -1;
    {
        RecordQueue queue(1024, 1);
        descriptor = queue.wake_descriptor();
        ASSERT_GE(descriptor, 0);
    }
    std::uint64_t count = 0;
    EXPECT_EQ(read(descriptor, &count, sizeof count), -1);
    EXPECT_EQ(errno, EBADF);
}

TEST(RecordQueue, TakesLatePushesAfterItWasDiscarded) {
    RecordQueue queue(2 * 1024, 2);
    for (int i = 0; i < 5; ++i) { push(queue, "early"); }
    queue.discard();

    EXPECT_EQ(push(queue, "late"), Push::accepted);
    EXPECT_EQ(queue.records_accepted(), 6U);
}

} // namespace
} // namespace weft
