#include <weft/runtime/pool.hpp>
#include <weft/runtime/trace_state.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace weft::detail {
namespace {

struct Item : PoolItem<Item> {
    int holders = 0; // Plain on purpose: TSan sees it when an item is in two hands.
};
using Pool = StablePool<Item, 64, 16>;

// Goal: an item is in one place at a time (I1), also when released by a thread that did not acquire it and when threads
// come and go. Method: threads swap items through a shared shelf and mark them while they hold them.
TEST(StablePoolThreads, AnItemIsNeverInTwoHands) {
    std::mutex mutex; // Guards shelf.
    std::vector<Item*> shelf;
    const auto seed = testing::Random::seeded("StablePool threads").word();
    for (int generation = 0; generation < 8; ++generation) {
        std::vector<std::thread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&, thread] {
                testing::Random random(seed + static_cast<unsigned>(generation * 4 + thread));
                std::vector<Item*> mine;
                for (int step = 0; step < 3000; ++step) {
                    if (random.one_in(2)) {
                        if (auto* item = Pool::acquire(); item != nullptr) {
                            ASSERT_EQ(item->holders++, 0);
                            ASSERT_EQ(Pool::at(item->pool_index), item);
                            mine.push_back(item);
                        }
                    } else if (!mine.empty()) {
                        auto* item = mine.back();
                        mine.pop_back();
                        ASSERT_EQ(item->holders--, 1);
                        Pool::release(item);
                    }
                    if (random.one_in(20)) {
                        const std::lock_guard lock(mutex);
                        mine.swap(shelf);
                    }
                }
                const std::lock_guard lock(mutex);
                shelf.insert(shelf.end(), mine.begin(), mine.end());
            });
        }
        for (auto& thread : threads) { thread.join(); }
    }
    for (auto* item : shelf) {
        EXPECT_EQ(item->holders--, 1);
        Pool::release(item);
    }

    std::vector<Item*> all;
    while (auto* item = Pool::acquire()) {
        ASSERT_EQ(item->holders++, 0);
        all.push_back(item);
    }
    EXPECT_EQ(all.size(), Pool::capacity_max) << "items were lost";
}

TEST(TraceStateThreads, CopiesOnSeveralThreadsShareOneTextUntilTheLastGoes) {
    for (int turn = 0; turn < 200; ++turn) {
        auto state = TraceState::from_validated("vendor=" + std::to_string(turn));
        std::vector<std::thread> threads;
        for (int thread = 0; thread < 3; ++thread) {
            threads.emplace_back([copy = state, turn] {
                TraceState mine;
                for (int i = 0; i < 20; ++i) {
                    mine = copy;
                    ASSERT_EQ(mine.text(), "vendor=" + std::to_string(turn));
                }
            });
        }
        state = {};
        for (auto& thread : threads) { thread.join(); }
    }
}

} // namespace
} // namespace weft::detail
