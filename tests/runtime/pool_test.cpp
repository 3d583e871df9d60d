#include <weft/runtime/pool.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

namespace weft::detail {
namespace {

// A pool's storage is static and lives as long as the process: each test has a pool of its own.
template <int Test>
struct Item : PoolItem<Item<Test>> {
    int value = 7;
};
template <int Test>
using SmallPool = StablePool<Item<Test>, 4, 2>; // Eight items at most.

template <class Pool>
auto acquire_all() {
    std::vector<decltype(Pool::acquire())> items;
    while (auto* item = Pool::acquire()) { items.push_back(item); }
    return items;
}

template <class Pool, class Items>
void release_all(Items& items) {
    for (auto* item : items) { Pool::release(item); }
    items.clear();
}

template <class Work>
void on_a_thread(Work work) {
    std::thread(work).join();
}

TEST(StablePool, HandsOutDistinctItemsUpToItsCapacityAndThenNone) {
    using Pool = SmallPool<1>;
    auto items = acquire_all<Pool>();

    EXPECT_EQ(items.size(), Pool::capacity_max);
    EXPECT_EQ(std::set(items.begin(), items.end()).size(), items.size());
    EXPECT_EQ(Pool::acquire(), nullptr);
    EXPECT_EQ(Pool::acquire(), nullptr) << "also a second time";
}

TEST(StablePool, RecyclesWhatWasReleasedLatestFirst) {
    using Pool = SmallPool<2>;
    auto items = acquire_all<Pool>();
    items[3]->value = 42;

    Pool::release(items[0]);
    Pool::release(items[3]);

    EXPECT_EQ(Pool::acquire(), items[3]);
    EXPECT_EQ(items[3]->value, 42) << "an item is recycled, not made anew";
    EXPECT_EQ(Pool::acquire(), items[0]);
    EXPECT_EQ(Pool::acquire(), nullptr);
}

TEST(StablePool, FindsAnItemByItsIndexForEver) {
    using Pool = SmallPool<3>;
    auto items = acquire_all<Pool>();
    std::set<std::uint32_t> indices;
    for (auto* item : items) {
        indices.insert(item->pool_index);
        EXPECT_EQ(Pool::at(item->pool_index), item);
    }
    EXPECT_EQ(indices.size(), items.size());
    EXPECT_LT(*indices.rbegin(), Pool::capacity_max);

    auto copy = items;
    release_all<Pool>(items);

    for (auto* item : copy) { EXPECT_EQ(Pool::at(item->pool_index), item); }
}

TEST(StablePool, GivesAThreadsItemsBackWhenTheThreadEnds) {
    using Pool = SmallPool<4>;
    on_a_thread([] {
        auto items = acquire_all<Pool>();
        EXPECT_EQ(items.size(), Pool::capacity_max);
        release_all<Pool>(items);
    });

    EXPECT_EQ(acquire_all<Pool>().size(), Pool::capacity_max);
}

TEST(StablePool, GivesBackWhatAThreadOnlyReleased) {
    using Pool = SmallPool<5>;
    auto items = acquire_all<Pool>();
    on_a_thread([&] { release_all<Pool>(items); });

    EXPECT_EQ(acquire_all<Pool>().size(), Pool::capacity_max);
}

TEST(StablePool, ManyThreadsThatOnlyReleaseLeakNothing) {
    using Pool = SmallPool<6>;
    for (int i = 0; i < 50; ++i) {
        auto items = acquire_all<Pool>();
        ASSERT_EQ(items.size(), Pool::capacity_max) << "after " << i << " threads";
        on_a_thread([&] { release_all<Pool>(items); });
    }
}

TEST(StablePool, AThreadCanUseWhatAnotherReleased) {
    using Pool = SmallPool<7>;
    auto items = acquire_all<Pool>();
    const std::set mine(items.begin(), items.end());
    on_a_thread([&] {
        EXPECT_EQ(Pool::acquire(), nullptr);
        release_all<Pool>(items);
        for (auto* item : acquire_all<Pool>()) {
            EXPECT_TRUE(mine.contains(item));
            items.push_back(item);
        }
    });
    EXPECT_EQ(items.size(), Pool::capacity_max);
}

TEST(StablePool, SharesSurplusBeforeTheThreadEnds) {
    using Pool = StablePool<Item<8>, 64, 4>;
    auto items = acquire_all<Pool>();
    ASSERT_EQ(items.size(), 256U);
    release_all<Pool>(items); // Far more than one thread may keep.

    std::size_t elsewhere = 0;
    on_a_thread([&] { elsewhere = acquire_all<Pool>().size(); });

    EXPECT_GE(elsewhere, 256 - 2 * Pool::batch);
}

// Destructors of thread-locals run in an order nobody controls; a span may end in one of them.
template <class Pool>
struct ReleasesLate {
    std::vector<decltype(Pool::acquire())> items;
    ~ReleasesLate() { release_all<Pool>(items); }
};

TEST(StablePool, TakesBackItemsFromThreadLocalDestructorsThatRunLast) {
    using Pool = SmallPool<9>;
    on_a_thread([] {
        static thread_local ReleasesLate<Pool>
            late; // Made before the pool's own guard, so destroyed after it.
        late.items = acquire_all<Pool>();
        EXPECT_EQ(late.items.size(), Pool::capacity_max);
    });

    EXPECT_EQ(acquire_all<Pool>().size(), Pool::capacity_max);
}

template <class Pool>
struct UsesLate {
    ~UsesLate() {
        auto items = acquire_all<Pool>();
        EXPECT_EQ(items.size(), Pool::capacity_max);
        release_all<Pool>(items);
    }
};

TEST(StablePool, StillServesThreadLocalDestructorsThatRunLast) {
    using Pool = SmallPool<10>;
    on_a_thread([] {
        static thread_local UsesLate<Pool> late;
        (void)&late;
        auto items = acquire_all<Pool>();
        release_all<Pool>(items);
    });

    EXPECT_EQ(acquire_all<Pool>().size(), Pool::capacity_max);
}

} // namespace
} // namespace weft::detail
