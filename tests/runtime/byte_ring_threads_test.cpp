#include <weft/runtime/byte_ring.hpp>
#include <weft/runtime/record_queue.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

namespace weft {
namespace {

// A record that proves itself: who sent it, the how-manieth it is, and bytes that follow from both.
struct Stamp {
    std::uint32_t producer;
    std::uint32_t number;
};

constexpr std::size_t payload_bytes(Stamp stamp, std::size_t payload_max) {
    return sizeof(Stamp) +
           (stamp.number * 37 + stamp.producer * 11) % (payload_max - sizeof(Stamp) + 1);
}

std::byte filler(Stamp stamp, std::size_t i) {
    return static_cast<std::byte>(stamp.producer * 131 + stamp.number * 17 + i * 3 + 1);
}

void write_payload(std::byte* place, Stamp stamp, std::size_t size) {
    std::memcpy(place, &stamp, sizeof stamp);
    for (std::size_t i = sizeof stamp; i < size; ++i) { place[i] = filler(stamp, i); }
}

// Checks a payload byte for byte and that it is its producer's next one.
class Checker {
public:
    Checker(unsigned producers, std::size_t payload_max)
        : next_(producers), payload_max_(payload_max) {}

    void check(std::span<const std::byte> payload) {
        Stamp stamp{};
        ASSERT_GE(payload.size(), sizeof stamp);
        std::memcpy(&stamp, payload.data(), sizeof stamp);
        ASSERT_LT(stamp.producer, next_.size());
        ASSERT_EQ(stamp.number, next_[stamp.producer]++) << "of producer " << stamp.producer;
        ASSERT_EQ(payload.size(), payload_bytes(stamp, payload_max_));
        for (std::size_t i = sizeof stamp; i < payload.size(); ++i) {
            ASSERT_EQ(payload[i], filler(stamp, i));
        }
        ++total;
    }

    std::uint64_t total = 0;

private:
    std::vector<std::uint32_t> next_;
    std::size_t payload_max_;
};

// Goal: edges E1 to E3. Method: several producers, a ring far smaller than the stream, a visitor that sometimes stops.
TEST(ByteRingThreads, KeepsEachProducersRecordsInOrderAndIntact) {
    constexpr unsigned producers = 3;
    constexpr std::uint32_t records_each = 40'000;
    ByteRing ring(4096);
    std::vector<std::thread> threads;
    for (std::uint32_t producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&ring, producer] {
            for (std::uint32_t number = 0; number < records_each;) {
                const Stamp stamp{producer, number};
                const auto size = payload_bytes(stamp, ring.payload_max());
                std::byte* place = ring.claim(size);
                if (place == nullptr) {
                    std::this_thread::yield();
                    continue;
                }
                write_payload(place, stamp, size);
                ring.commit(place, size);
                (void)ring.past_half();
                ++number;
            }
        });
    }

    Checker checker(producers, ring.payload_max());
    auto random = testing::Random::seeded("ByteRing threads");
    while (checker.total < producers * records_each && !::testing::Test::HasFatalFailure()) {
        std::size_t room = random.one_in(3) ? random.below(10) : 1'000'000;
        const auto frames =
            ring.consume(random.between(1, 8192), [&](std::span<const std::byte> payload) {
                if (room-- == 0) { return false; }
                checker.check(payload);
                return true;
            });
        if (frames == 0) { std::this_thread::yield(); }
        ASSERT_GE(ring.frames_accepted(), ring.frames_consumed());
        ASSERT_EQ(ring.frames_consumed(), checker.total);
    }
    for (auto& thread : threads) { thread.join(); }

    EXPECT_EQ(ring.frames_accepted(), producers * records_each);
    EXPECT_EQ(ring.frames_consumed(), producers * records_each);
    EXPECT_EQ(ring.used_bytes(), 0U);
}

// Goal: a claim is refused only when there is no room. Method: each producer has one small record under way at most, so
// the ring is never near full; a producer that lost the CPU in the middle of a claim must not take that for "full".
TEST(ByteRingThreads, RefusesNobodyWhileThereIsRoom) {
    constexpr unsigned producers = 4;
    constexpr int records_each = 60'000;
    ByteRing ring(ByteRing::capacity_min);
    std::array<std::atomic<int>, producers>
        consumed{};              // Written by the consumer, read by the producer it is named for.
    std::atomic<int> refused{0}; // Counted by every producer.
    std::vector<std::thread> threads;
    for (unsigned producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (int number = 0; number < records_each; ++number) {
                std::byte* place = ring.claim(sizeof producer);
                while (place == nullptr) {
                    refused.fetch_add(1, std::memory_order_relaxed); // A counter.
                    place = ring.claim(sizeof producer);
                }
                std::memcpy(place, &producer, sizeof producer);
                ring.commit(place, sizeof producer);
                (void)ring.past_half();
                // relaxed: only how far the consumer has come.
                while (consumed[producer].load(std::memory_order_relaxed) <= number) {
                    std::this_thread::yield();
                }
            }
        });
    }
    for (int left = producers * records_each; left > 0;) {
        const auto frames = ring.consume(ring.capacity(), [&](std::span<const std::byte> payload) {
            unsigned producer = 0;
            std::memcpy(&producer, payload.data(), sizeof producer);
            consumed[producer].fetch_add(1, std::memory_order_relaxed); // As above.
            return true;
        });
        left -= static_cast<int>(frames);
        if (frames == 0) { std::this_thread::yield(); }
    }
    for (auto& thread : threads) { thread.join(); }

    EXPECT_EQ(refused.load(std::memory_order_relaxed), 0); // Joined.
}

// Goal: counts read by a third thread are never ahead of themselves. Method: sampled while records fly.
TEST(ByteRingThreads, ALedgerReadElsewhereNeverSeesMoreConsumedThanAccepted) {
    ByteRing ring(2048);
    std::atomic<bool> stop{false}; // Written by the test, read by the producers and the sampler.
    constexpr std::uint64_t records = 300'000;
    std::thread producer([&] {
        for (std::uint64_t i = 0; i < records;) {
            std::byte* place = ring.claim(8);
            if (place == nullptr) {
                std::this_thread::yield();
                continue;
            }
            std::memcpy(place, &i, sizeof i);
            ring.commit(place, 8);
            ++i;
        }
    });
    std::thread sampler([&] {
        std::uint64_t last = 0;
        while (!stop.load(std::memory_order_relaxed)) { // A flag that stands alone.
            const auto consumed = ring.frames_consumed();
            const auto accepted = ring.frames_accepted();
            ASSERT_GE(accepted, consumed);
            ASSERT_GE(accepted, last);
            ASSERT_LE(accepted, records);
            ASSERT_LE(ring.used_bytes(), ring.capacity());
            last = accepted;
        }
    });
    for (std::uint64_t taken = 0; taken < records;) {
        const auto frames = ring.consume(ring.capacity(), [](auto) { return true; });
        taken += frames;
        if (frames == 0) { std::this_thread::yield(); }
    }
    stop.store(true, std::memory_order_relaxed); // As above.
    producer.join();
    sampler.join();

    EXPECT_EQ(ring.frames_accepted(), records);
}

// Goal: the whole queue as the drain uses it. Method: producers on several shards, a consumer that sleeps in poll(2) and
// is woken by the descriptor or by its timer; what is refused is counted by the producers, and all adds up.
TEST(RecordQueueThreads, DeliversEveryAcceptedRecordOnceToAConsumerThatSleeps) {
    constexpr unsigned producers = 4;
    constexpr std::uint32_t records_each = 20'000;
    RecordQueue queue(16 * 1024, 2);
    constexpr std::size_t payload_max = 200;
    std::atomic<std::uint64_t> full{0}; // Counted by the producers.
    std::vector<std::thread> threads;
    for (std::uint32_t producer = 0; producer < producers; ++producer) {
        threads.emplace_back([&, producer] {
            for (std::uint32_t number = 0; number < records_each;) {
                const Stamp stamp{producer, number};
                const auto size = payload_bytes(stamp, payload_max);
                const auto pushed =
                    queue.push(size, [&](std::byte* place) { write_payload(place, stamp, size); });
                if (pushed == RecordQueue::Push::accepted) {
                    ++number;
                } else {
                    full.fetch_add(1, std::memory_order_relaxed); // A counter.
                    std::this_thread::yield();
                }
            }
        });
    }

    Checker checker(producers, payload_max);
    while (checker.total < producers * records_each && !::testing::Test::HasFatalFailure()) {
        queue.arm();
        const auto taken = queue.consume([&](std::span<const std::byte> payload) {
            checker.check(payload);
            return true;
        });
        if (taken == 0) {
            pollfd entry{queue.wake_descriptor(), POLLIN, 0};
            constexpr int timer_ms =
                5; // The drain's own: records below the half-full mark wait for it.
            (void)poll(&entry, 1, timer_ms);
        }
        queue.disarm();
    }
    for (auto& thread : threads) { thread.join(); }

    EXPECT_EQ(queue.records_accepted(), producers * records_each);
    EXPECT_EQ(queue.records_consumed(), producers * records_each);
    EXPECT_EQ(queue.used_bytes(), 0U);
}

// A drain that sleeps without a timer must be woken by the record that passes the half-full mark.
TEST(RecordQueueThreads, WakesASleepingConsumerAtHalfFull) {
    for (int turn = 0; turn < 50; ++turn) {
        RecordQueue queue(1024, 1);
        queue.arm();
        std::thread producer([&queue] {
            for (int i = 0; i < 9; ++i) {
                queue.push(56, [](std::byte* place) { std::memset(place, 1, 56); });
            }
        });
        pollfd entry{queue.wake_descriptor(), POLLIN, 0};
        EXPECT_EQ(poll(&entry, 1, 60'000), 1);
        producer.join();
        queue.disarm();
        EXPECT_EQ(queue.consume([](auto) { return true; }), 9U);
    }
}

} // namespace
} // namespace weft
