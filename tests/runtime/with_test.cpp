#include "loop.hpp"

#include <weft/runtime/operators.hpp>
#include <weft/runtime/with.hpp>

#include <boost/asio/bind_executor.hpp>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// What a chain carries beside its span: where it is visible, and how long.

namespace weft {
namespace {

using testing::run_chain;
using testing::use_task;
using testing::yield;

using With = testing::WithoutFaults;
using ContextKeys = testing::WithoutFaults;
using Clock = std::chrono::steady_clock;

inline constexpr ContextKey<std::string> user_key("user");
inline constexpr ContextKey<std::string> same_name_key("user");
inline constexpr ContextKey<int> depth_key("depth");

std::string user() {
    const auto value = current(user_key);
    return value ? *value : "none";
}

std::string tenant() {
    const auto baggage = current_baggage();
    return std::string(baggage.get("tenant").value_or("none"));
}

Baggage of_tenant(std::string_view name) { return current_baggage().set("tenant", name); }

TEST_F(With, NothingIsCarriedByDefault) {
    EXPECT_TRUE(current_baggage().empty());
    EXPECT_FALSE(current_deadline().is_set());
}

TEST_F(With, BaggageIsCarriedForTheScopeAndThenWhatWasBefore) {
    {
        const auto outer = with(of_tenant("a"));
        EXPECT_EQ(tenant(), "a");
        {
            const auto inner = with(of_tenant("b").set("more", "1"));
            EXPECT_EQ(tenant(), "b");
            EXPECT_EQ(current_baggage().size(), 2U);
        }
        EXPECT_EQ(tenant(), "a");
        const auto none = with(Baggage());
        EXPECT_EQ(tenant(), "none");
    }
    EXPECT_EQ(tenant(), "none");
}

TEST_F(With, EachKindLeavesTheOthersAlone) {
    const auto at = Clock::time_point(std::chrono::hours(1));
    const auto baggage = with(of_tenant("a"));
    const auto deadline = with(Deadline{at});
    const auto quiet = with(suppress_telemetry);
    EXPECT_EQ(tenant(), "a");
    EXPECT_EQ(current_deadline().at, at);
    {
        const auto other = with(of_tenant("b"));
        EXPECT_EQ(current_deadline().at, at);
    }
    EXPECT_EQ(tenant(), "a");
}

TEST_F(With, ANestedDeadlineIsNeverTheLaterOne) {
    const Clock::time_point start{};
    const auto outer = with(Deadline{start + std::chrono::seconds(2)});
    {
        const auto later = with(Deadline{start + std::chrono::seconds(3)});
        EXPECT_EQ(current_deadline().at, start + std::chrono::seconds(2));
        const auto sooner = with(Deadline{start + std::chrono::seconds(1)});
        EXPECT_EQ(current_deadline().at, start + std::chrono::seconds(1));
    }
    EXPECT_EQ(current_deadline().at, start + std::chrono::seconds(2));
}

TEST_F(With, ADeadlineBeyondTheEndOfTimeIsNone) {
    EXPECT_FALSE(Deadline::in(std::chrono::nanoseconds::max()).is_set());
    EXPECT_TRUE(Deadline::in(std::chrono::seconds(1)).is_set());
    EXPECT_LT(Deadline::in(std::chrono::seconds(-1)).at, Clock::now());
}

TEST_F(With, ChainsKeepTheirOwnAcrossAwaits) {
    asio::io_context io(1);
    for (const std::string name : {"a", "b", "c"}) {
        weft::co_spawn(
            io,
            [name]() -> Task<void> {
                const auto scope = with(of_tenant(name));
                for (int i = 0; i < 5; ++i) {
                    co_await yield();
                    EXPECT_EQ(tenant(), name);
                }
            },
            testing::fail_on_exception);
    }
    testing::run(io);
    EXPECT_EQ(tenant(), "none");
}

TEST_F(With, SpawnedChainsAndBranchesInheritAndDoNotGiveBack) {
    run_chain([]() -> Task<void> {
        const auto scope = with(of_tenant("parent"));
        const auto child = [](std::string name) -> Task<void> {
            EXPECT_EQ(tenant(), "parent");
            const auto own = with(of_tenant(name));
            co_await yield(2);
            EXPECT_EQ(tenant(), name);
        };
        co_await (child("left") && child("right"));
        EXPECT_EQ(tenant(), "parent");
        co_await weft::co_spawn(co_await asio::this_coro::executor, child("spawned"), use_task);
        EXPECT_EQ(tenant(), "parent");
    });
}

TEST_F(With, AChainKeepsWhatItInheritedWhenItsSpawnersScopeHasEnded) {
    asio::io_context io(1);
    {
        const auto scope = with(of_tenant("spawner"));
        weft::co_spawn(
            io,
            []() -> Task<void> {
                co_await yield(2);
                EXPECT_EQ(tenant(), "spawner");
            },
            testing::fail_on_exception);
    }
    testing::run(io);
}

TEST_F(With, ABoundCallbackSeesItsChains) {
    asio::io_context io(1);
    std::string seen;
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            const auto scope = with(of_tenant("chain"));
            asio::post(bind_context(io.get_executor()), [&] { seen = tenant(); });
            co_await yield(3);
        },
        testing::fail_on_exception);
    testing::run(io);
    EXPECT_EQ(seen, "chain");
}

TEST_F(With, OtherThreadsSeeNothingOfIt) {
    const auto scope = with(of_tenant("here"));
    std::string seen;
    std::thread([&seen] { seen = tenant(); }).join();
    EXPECT_EQ(seen, "none");
}

TEST_F(With, AScopeEndsThoughItsSliceStartedAnOperationMeanwhile) {
    run_chain([]() -> Task<void> {
        const auto executor = co_await asio::this_coro::executor;
        {
            const auto scope = with(of_tenant("short"));
            asio::post(executor, [] {}); // Gives the slot up; the slice goes on without it.
        }
        EXPECT_EQ(tenant(), "none");
        co_await yield();
        EXPECT_EQ(tenant(), "none");
    });
}

TEST_F(With, ARecycledSlotHasNothingLeft) {
    std::uint32_t index = 0;
    {
        asio::io_context io(1);
        weft::co_spawn(
            io,
            [&index]() -> Task<void> {
                // Destroyed while suspended, where it restores nothing.
                const auto scope = with(of_tenant("used"));
                const auto hurry = with(Deadline{Clock::time_point(std::chrono::hours(1))});
                index = detail::active_slot()->pool_index;
                co_await yield(2);
            },
            asio::detached);
        io.run_one();
    }
    run_chain([&index]() -> Task<void> {
        EXPECT_EQ(detail::active_slot()->pool_index, index) << "the test means the same slot again";
        EXPECT_EQ(tenant(), "none");
        EXPECT_FALSE(current_deadline().is_set());
        co_return;
    });
}

TEST_F(With, AScopeOfACoroutineThatIsDestroyedWhileSuspendedTouchesNobodyElse) {
    const auto here = with(of_tenant("owner"));
    {
        asio::io_context io(1);
        weft::co_spawn(
            io,
            []() -> Task<void> {
                const auto scope = with(of_tenant("suspended"));
                co_await asio::post(use_task);
                co_await asio::post(use_task);
            },
            asio::detached);
        io.run_one();
    }
    EXPECT_EQ(tenant(), "owner");
}

TEST_F(ContextKeys, HaveTheirValueForTheScopeAndThenWhatWasBefore) {
    EXPECT_EQ(current(user_key), nullptr);
    {
        const auto outer = with(user_key, "ada");
        EXPECT_EQ(user(), "ada");
        {
            const auto inner = with(user_key, "bob");
            EXPECT_EQ(user(), "bob");
        }
        EXPECT_EQ(user(), "ada");
    }
    EXPECT_EQ(user(), "none");
}

TEST_F(ContextKeys, AreToldApartByIdentityAndNotByName) {
    const auto scope = with(user_key, "ada");
    EXPECT_EQ(user_key.name(), same_name_key.name());
    EXPECT_EQ(current(same_name_key), nullptr);
}

TEST_F(ContextKeys, AndTheOthersLeaveEachOtherAlone) {
    const auto baggage = with(of_tenant("acme"));
    const auto one = with(user_key, "ada");
    const auto two = with(depth_key, 3);
    const auto quiet = with(suppress_telemetry);
    const auto other = with(of_tenant("other"));
    EXPECT_EQ(user(), "ada");
    EXPECT_EQ(*current(depth_key), 3);
    EXPECT_EQ(tenant(), "other");
}

TEST_F(ContextKeys, AreInheritedByChainsThatOutliveTheScope) {
    asio::io_context io(1);
    {
        const auto scope = with(user_key, "ada");
        weft::co_spawn(
            io,
            []() -> Task<void> {
                const auto own = with(depth_key, 1);
                co_await yield(2);
                EXPECT_EQ(user(), "ada");
            },
            testing::fail_on_exception);
    }
    testing::run(io);
    EXPECT_EQ(current(depth_key), nullptr);
}

TEST_F(ContextKeys, GiveValuesThatLiveAsLongAsSomebodyHoldsThem) {
    std::shared_ptr<const std::string> held;
    {
        const auto scope = with(user_key, "ada");
        held = current(user_key);
    }
    EXPECT_EQ(*held, "ada");
    EXPECT_EQ(held.use_count(), 1);
}

TEST_F(ContextKeys, TakeTypesThatCannotBeCopied) {
    static constexpr ContextKey<std::unique_ptr<int>> key("pointer");
    const auto scope = with(key, std::make_unique<int>(7));
    EXPECT_EQ(**current(key), 7);
}

TEST_F(ContextKeys, WhoseValueCannotBeMovedInAreNotSet) {
    struct Throws {
        Throws() = default;
        Throws(Throws&&) { throw std::runtime_error("no"); }
    };
    static constexpr ContextKey<Throws> key("throws");
    const auto user_scope = with(user_key, "ada");
    const auto scope = with(key, Throws());
    EXPECT_EQ(current(key), nullptr);
    EXPECT_EQ(user(), "ada");
}

// One scope in the other, for they cannot be kept in a container.
template <class Keys, class Then>
void with_each(const Keys& keys, std::size_t next, Then&& then) {
    if (next == keys.size()) {
        then();
        return;
    }
    const auto scope = with(keys[next], 1);
    with_each(keys, next + 1, then);
}

template <std::size_t... Index>
void expect_bounded(std::index_sequence<Index...>) {
    static const std::array<ContextKey<int>, sizeof...(Index)> keys{
        ((void)Index, ContextKey<int>("k"))...};
    with_each(keys, 0, [] {
        std::size_t set = 0;
        for (const auto& key : keys) { set += current(key) != nullptr ? 1 : 0; }
        EXPECT_EQ(set, detail::context_entries_max);
        // One that is there may change though there is no room for more.
        const auto scope = with(keys.front(), 2);
        EXPECT_EQ(*current(keys.front()), 2);
    });
    for (const auto& key : keys) { EXPECT_EQ(current(key), nullptr); }
}

TEST_F(ContextKeys, BeyondTheirNumberAreNotSet) {
    expect_bounded(std::make_index_sequence<detail::context_entries_max + 3>());
}

} // namespace
} // namespace weft
