#include <weft/exporters/metric_queue.hpp>
#include <weft/runtime/record.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace weft::testing {
namespace {

// A record that is its number, so many bytes long.
std::string record(std::uint32_t number, std::size_t bytes = 1000) {
    std::string record(bytes, 'r');
    std::memcpy(record.data(), &number, sizeof number);
    return record;
}

void put(MetricQueue& queue, const std::string& record, std::uint32_t points = 1) {
    queue.put(std::as_bytes(std::span(record)), points);
}

std::vector<std::uint32_t> take(RecordQueue& ring) {
    std::vector<std::uint32_t> numbers;
    ring.consume([&](std::span<const std::byte> payload) {
        std::uint32_t number = 0;
        std::memcpy(&number, payload.data(), sizeof number);
        numbers.push_back(number);
        return true;
    });
    return numbers;
}

Ledger ledger_of(const MetricQueue& queue) {
    Ledger ledger;
    queue.add_to(ledger);
    return ledger;
}

std::uint64_t dropped(const Ledger& ledger, DropReason reason) {
    return ledger.dropped[static_cast<std::size_t>(reason)];
}

TEST(MetricQueue, KeepsWhatFindsNoRoomInOrder) {
    RecordQueue ring(32u << 10, 1);
    MetricQueue queue(ring, 1u << 20);
    for (std::uint32_t i = 0; i < 100; ++i) { put(queue, record(i), 10); }
    EXPECT_EQ(ledger_of(queue).queued, 1000u);

    std::vector<std::uint32_t> all;
    bool empty = false;
    for (int turns = 0; turns < 100 && !empty; ++turns) {
        const auto some = take(ring);
        EXPECT_LT(some.size(), 40u) << "more than the ring holds";
        all.insert(all.end(), some.begin(), some.end());
        empty = queue.hand_over();
        if (turns == 1) { put(queue, record(100), 10); } // Behind those that wait.
    }
    const auto rest = take(ring);
    all.insert(all.end(), rest.begin(), rest.end());

    ASSERT_EQ(all.size(), 101u);
    for (std::uint32_t i = 0; i < 101; ++i) { EXPECT_EQ(all[i], i); }
    EXPECT_EQ(ledger_of(queue).queued, 1010u) << "whether they have been consumed, the drain knows";
    EXPECT_EQ(ledger_of(queue).dropped_total(), 0u);
}

TEST(MetricQueue, DropsAndCountsWhatIsMoreThanMayWait) {
    RecordQueue ring(32u << 10, 1);
    MetricQueue queue(ring, 10 * 1008);
    for (std::uint32_t i = 0; i < 100; ++i) { put(queue, record(i), 7); }

    auto kept = take(ring);
    EXPECT_TRUE(queue.hand_over());
    const auto waited = take(ring);

    EXPECT_EQ(waited.size(), 10u);
    EXPECT_EQ(waited.front(), kept.size());
    const auto ledger = ledger_of(queue);
    EXPECT_TRUE(ledger.is_balanced());
    EXPECT_EQ(ledger.created, 700u);
    EXPECT_EQ(dropped(ledger, DropReason::queue_full), 7 * (100 - kept.size() - waited.size()));
}

TEST(MetricQueue, RefusesARecordThatNoRingTakes) {
    RecordQueue ring(32u << 10, 1);
    MetricQueue queue(ring, 1u << 20);
    put(queue, record(1, ring.record_max() + 1), 3);
    put(queue, record(2, ring.record_max()), 4);
    EXPECT_TRUE(queue.hand_over());
    EXPECT_EQ(take(ring), std::vector<std::uint32_t>{2});
    EXPECT_EQ(ledger_of(queue).queued, 4u);
    EXPECT_EQ(ledger_of(queue).dropped_total(), 3u);
}

TEST(MetricQueue, CountsByReasonWhatWaitedForNothing) {
    RecordQueue ring(32u << 10, 1);
    MetricQueue queue(ring, 1u << 20);
    for (std::uint32_t i = 0; i < 100; ++i) { put(queue, record(i), 2); }
    const auto in_ring = take(ring).size();

    EXPECT_EQ(queue.drop_waiting(DropReason::queue_full), 2 * (100 - in_ring));
    EXPECT_EQ(queue.drop_waiting(DropReason::queue_full), 0u);

    EXPECT_TRUE(queue.hand_over());
    EXPECT_TRUE(take(ring).empty());
    const auto ledger = ledger_of(queue);
    EXPECT_TRUE(ledger.is_balanced());
    EXPECT_EQ(ledger.queued, 2 * in_ring);
    EXPECT_EQ(dropped(ledger, DropReason::queue_full), 2 * (100 - in_ring));
}

TEST(MetricQueue, TakesNothingMoreOnceItIsClosed) {
    RecordQueue ring(32u << 10, 1);
    MetricQueue queue(ring, 1u << 20);
    for (std::uint32_t i = 0; i < 100; ++i) { put(queue, record(i)); }
    const auto in_ring = take(ring).size();
    queue.close();
    put(queue, record(100), 5);

    EXPECT_TRUE(queue.hand_over());
    EXPECT_TRUE(take(ring).empty());
    const auto ledger = ledger_of(queue);
    EXPECT_EQ(ledger.created, 105u);
    EXPECT_EQ(ledger.queued, in_ring);
    EXPECT_EQ(dropped(ledger, DropReason::shutdown), 105 - in_ring);
}

// Goal: whatever happens in whatever order, each point is counted once. Method: random calls against two sums.
TEST(MetricQueue, CountsEachPointOnceWhateverHappens) {
    auto random = Random::seeded("CountsEachPointOnceWhateverHappens");
    for (int round = 0; round < 30; ++round) {
        RecordQueue ring(16u << 10, 1);
        MetricQueue queue(ring, random.below(60'000));
        std::uint64_t points = 0;
        std::uint64_t refused = 0;
        for (int i = 0; i < 300; ++i) {
            const auto some = static_cast<std::uint32_t>(random.between(1, 100));
            switch (random.below(8)) {
            case 0:
                (void)take(ring);
                break;
            case 1:
                (void)queue.hand_over();
                break;
            case 2:
                if (random.one_in(5)) { queue.drop_waiting(DropReason::queue_full); }
                break;
            case 3:
                queue.drop(some, DropReason::record_too_large);
                points += some;
                refused += some;
                break;
            default:
                put(queue, record(0, random.between(4, ring.record_max() + 10)), some);
                points += some;
            }
            const auto ledger = ledger_of(queue);
            ASSERT_TRUE(ledger.is_balanced()) << ledger.to_json();
            ASSERT_EQ(ledger.created, points);
            ASSERT_EQ(dropped(ledger, DropReason::record_too_large), refused);
        }
    }
}

} // namespace
} // namespace weft::testing
