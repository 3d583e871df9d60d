#include "../support/counted_new.hpp"
#include "loop.hpp"

#include <weft/runtime/executor.hpp>
#include <weft/signals/span.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/static_thread_pool.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <type_traits>

namespace weft {
namespace {

using IoExecutor = asio::io_context::executor_type;
using PoolExecutor = asio::thread_pool::executor_type;

template <class E>
constexpr bool is_fit_for_asio =
    asio::execution::is_executor<E>::value&& std::is_nothrow_copy_constructible_v<E>&&
        std::is_nothrow_move_constructible_v<E>&& std::is_nothrow_destructible_v<E>&& noexcept(
            std::declval<const E&>() ==
            std::declval<
                const E&>()) && noexcept(std::declval<const E&>() != std::declval<const E&>()) &&
    asio::can_query_v<E, asio::execution::context_t>&& std::is_convertible_v<
        E, asio::any_io_executor>;

static_assert(is_fit_for_asio<Executor>);
static_assert(is_fit_for_asio<BasicExecutor<PoolExecutor>>);
static_assert(is_fit_for_asio<BasicExecutor<asio::strand<IoExecutor>>>);
static_assert(is_fit_for_asio<BasicExecutor<asio::strand<PoolExecutor>>>);
static_assert(is_fit_for_asio<BasicExecutor<asio::any_io_executor>>);
static_assert(is_fit_for_asio<BasicExecutor<asio::strand<asio::any_io_executor>>>);

static_assert(sizeof(Executor) == 16, "two words, as an io_context's executor is one");
static_assert(std::is_trivially_copyable_v<detail::SlotHandle>);
static_assert(
    !std::is_convertible_v<IoExecutor, Executor>, "a context must not be lost by a conversion");
static_assert(!std::is_constructible_v<Executor, IoExecutor>);

Executor executor_without_context(asio::io_context& io) { return Executor(io.get_executor(), {}); }

TEST(Executor, IsEqualWhenInnerExecutorAndSlotAre) {
    asio::io_context one;
    asio::io_context two;
    const auto lease = detail::SlotLease::fork();
    const Executor executor(one.get_executor(), lease.handle());
    const auto copy = executor;

    EXPECT_TRUE(executor == copy);
    EXPECT_FALSE(executor != copy);
    EXPECT_FALSE(executor == Executor(two.get_executor(), lease.handle()));
    EXPECT_FALSE(executor == Executor(one.get_executor(), {}));
}

TEST(Executor, AnswersQueriesAsItsInnerExecutorDoes) {
    asio::io_context io;
    const auto executor = executor_without_context(io);

    EXPECT_EQ(&asio::query(executor, asio::execution::context), &io);
    EXPECT_EQ(asio::query(executor, asio::execution::blocking), asio::execution::blocking.possibly);
    EXPECT_EQ(
        asio::query(executor, asio::execution::outstanding_work),
        asio::execution::outstanding_work.untracked);
}

TEST(Executor, KeepsItsSlotWhenAskedForOtherProperties) {
    asio::io_context io;
    const auto lease = detail::SlotLease::fork();
    const Executor executor(io.get_executor(), lease.handle());

    const auto never = asio::require(executor, asio::execution::blocking.never);
    const auto tracked = asio::prefer(executor, asio::execution::outstanding_work.tracked);

    EXPECT_EQ(never.slot(), executor.slot());
    EXPECT_EQ(asio::query(never, asio::execution::blocking), asio::execution::blocking.never);
    EXPECT_EQ(tracked.slot(), executor.slot());
    EXPECT_EQ(
        asio::query(tracked, asio::execution::outstanding_work),
        asio::execution::outstanding_work.tracked);
}

TEST(Executor, FitsIntoAnAnyIoExecutorWithoutAllocating) {
    asio::io_context io;
    const auto executor = executor_without_context(io);

    const auto before = testing::allocations();
    asio::any_io_executor any(executor);
    const asio::any_io_executor copy(any);
    const auto allocated = testing::allocations() - before;

    EXPECT_EQ(allocated, 0U);
    ASSERT_NE(copy.target<Executor>(), nullptr);
    EXPECT_TRUE(*copy.target<Executor>() == executor);
}

TEST(Executor, AWorkGuardKeepsTheLoopRunningUntilItIsReset) {
    asio::io_context io(1);
    auto guard = asio::make_work_guard(executor_without_context(io));
    io.poll();
    EXPECT_FALSE(io.stopped());

    guard.reset();
    io.poll();
    EXPECT_TRUE(io.stopped());
}

TEST(Executor, AWorkGuardOnATypeErasedExecutorDoesToo) {
    asio::io_context io(1);
    auto guard = asio::make_work_guard(asio::any_io_executor(executor_without_context(io)));
    io.poll();
    EXPECT_FALSE(io.stopped());

    guard.reset();
    io.poll();
    EXPECT_TRUE(io.stopped());
}

TEST(Executor, AWaitingCoroutineKeepsTheLoopRunning) {
    asio::io_context io(1);
    asio::steady_timer timer(io, std::chrono::hours(1));
    weft::co_spawn(
        io, [&timer]() -> Task<void> { co_await timer.async_wait(asio::deferred); },
        [](const std::exception_ptr& error) { EXPECT_NE(error, nullptr) << "cancelled"; });
    io.poll();
    EXPECT_FALSE(io.stopped());

    timer.cancel();
    io.poll();
    EXPECT_TRUE(io.stopped());
}

TEST(Executor, RunsMoveOnlyAndMutableFunctions) {
    asio::io_context io(1);
    const auto executor = executor_without_context(io);
    int sum = 0;
    executor.execute(
        [&sum, value = std::make_unique<int>(3), calls = 0]() mutable { sum += *value + calls++; });
    asio::post(executor, [&sum, value = std::make_unique<int>(4)] { sum += *value; });
    asio::dispatch(executor, [&sum] { sum += 10; });
    asio::defer(executor, [&sum] { sum += 100; });

    io.run();

    EXPECT_EQ(sum, 117);
}

TEST(Executor, LetsAnExceptionOfItsFunctionPassAndRestoresTheContext) {
    asio::io_context io(1);
    const auto lease = detail::SlotLease::fork();
    const Executor executor(io.get_executor(), lease.handle());
    asio::post(executor, [] { throw std::runtime_error("out of a handler"); });
    const auto* before = detail::active_slot();

    EXPECT_THROW(io.run(), std::runtime_error);
    EXPECT_EQ(detail::active_slot(), before);

    // The slot is free again: the next function gets it.
    const detail::ContextSlot* inside = nullptr;
    asio::post(executor, [&] { inside = detail::active_slot(); });
    io.restart(); // It ran out of work, with an exception.
    io.run();
    EXPECT_EQ(inside, lease.slot());
}

TEST(Executor, InstallsItsSlotForNestedDispatchToo) {
    asio::io_context io(1);
    const testing::FaultsSince faults;
    const auto lease = detail::SlotLease::fork();
    const auto other = detail::SlotLease::fork();
    const Executor executor(io.get_executor(), lease.handle());
    std::vector<const detail::ContextSlot*> seen;
    asio::post(executor, [&] {
        seen.push_back(detail::active_slot());
        asio::dispatch(Executor(io.get_executor(), other.handle()), [&] {
            seen.push_back(detail::active_slot());
            asio::dispatch(executor, [&] { seen.push_back(detail::active_slot()); });
            seen.push_back(detail::active_slot());
        });
        seen.push_back(detail::active_slot());
    });

    io.run();

    EXPECT_EQ(
        seen, (std::vector<const detail::ContextSlot*>{
                  lease.slot(), other.slot(), lease.slot(), other.slot(), lease.slot()}));
    EXPECT_EQ(faults(), ContextFaults{});
}

// The steady state of a server: nothing about carrying the context may touch the heap.
template <class Work>
std::uint64_t allocations_of(Work work) {
    std::uint64_t allocated = 0;
    asio::io_context io(1);
    weft::co_spawn(
        io,
        [&]() -> Task<void> {
            for (int i = 0; i < 100; ++i) { co_await work(); } // Fills Asio's own caches.
            const auto before = testing::allocations();
            for (int i = 0; i < 1000; ++i) { co_await work(); }
            allocated = testing::allocations() - before;
        },
        testing::fail_on_exception);
    testing::run(io);
    return allocated;
}

TEST(Executor, AwaitingAPostAllocatesNothingInTheSteadyState) {
    EXPECT_EQ(allocations_of([] { return asio::post(testing::use_task); }), 0U);
}

TEST(Executor, AwaitingADeferredPostOnTheChainsExecutorAllocatesNothingInTheSteadyState) {
    EXPECT_EQ(
        allocations_of([]() -> Task<void> {
            const auto executor = co_await asio::this_coro::executor;
            co_await asio::post(executor, asio::deferred);
        }),
        0U);
}

} // namespace
} // namespace weft
