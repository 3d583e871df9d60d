#pragma once
// `a() && b()` and `a() || b()` for coroutines, each branch with a context of its own.
//
// Asio's own operators run both branches on the same executor object, so both would use one slot and one branch's
// span would become the parent of the other's. These do what Asio's do (boost/asio/experimental/awaitable_operators.hpp)
// with a fork per branch. For coroutines on a context executor (weft::Task) they are found by argument-dependent
// lookup. For plain ones, asio::awaitable<T> on any_io_executor, nothing of weft is in the type, so a using directive
// brings them, as for Asio's:
//
//   using namespace weft::awaitable_operators;
//
// They mirror Asio's overloads one by one and are constrained where Asio's are not, so with both in sight these are
// chosen. An overload that these lacked would be Asio's: tests/runtime/plain_operators_test.cpp goes through them all.
//
// On an io_context with several threads, the cancelling cases need a strand: docs/context.md.
//
// &&  completes when both have; the first failure cancels the other and is rethrown.
// ||  completes with the first success and cancels the other; fails with asio::multiple_exceptions if both fail.

#include <weft/runtime/spawn.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <atomic>
#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>

namespace weft {

namespace detail {

/// Whose branches can be forked: an executor that carries a context, or one that can hold such an executor.
template <class Ex>
concept ForkableExecutor = is_context_executor<Ex> || std::same_as<Ex, asio::any_io_executor>;

// void has no value to carry; others travel in an optional because a failed branch has none.
template <class T>
struct BranchValue {
    using type = std::optional<T>;
};
template <>
struct BranchValue<void> {
    using type = std::monostate;
};
template <class T>
using BranchValueT = typename BranchValue<T>::type;

template <class T>
using Plain = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T, class Ex>
asio::awaitable<BranchValueT<T>, Ex> run_branch(
    [[maybe_unused]] SlotLease lease, asio::awaitable<T, Ex> task) {
    if constexpr (std::is_void_v<T>) {
        co_await std::move(task);
        co_return std::monostate{};
    } else {
        co_return std::optional<T>(co_await std::move(task));
    }
}

template <class T, class Ex>
auto spawn_branch(const Ex& executor, asio::awaitable<T, Ex> task) {
    auto lease = SlotLease::fork();
    auto chain = make_chain_executor<Ex>(strip_context(executor), lease.handle());
    return asio::co_spawn(
        for_asio(std::move(chain)), run_branch(std::move(lease), std::move(task)), asio::deferred);
}

template <class T, class U>
struct GroupResult {
    bool first_is_left = true; // Which branch completed first.
    std::exception_ptr left_error;
    std::exception_ptr right_error;
    BranchValueT<T> left{};
    BranchValueT<U> right{};

    void rethrow_first() const {
        for (const auto& error :
             {first_is_left ? left_error : right_error, first_is_left ? right_error : left_error}) {
            if (error) { std::rethrow_exception(error); }
        }
    }
    // The index of the first success.
    [[nodiscard]] bool left_won() const {
        if (left_error && right_error) {
            throw asio::multiple_exceptions(first_is_left ? left_error : right_error);
        }
        return !left_error && (first_is_left || right_error);
    }
};

// Asio goes on using the waiting coroutine's cancellation slot after it has started the branches. Branches that are over
// by then (on another thread, or inline by way of asio::dispatch) would resume the coroutine too early, and what its end
// destroys would be used (chriskohlhoff/asio#1630). So the coroutine is resumed by whichever comes last: the group's
// completion, or the return from its launch.
template <class Handler>
class GroupLatch {
public:
    explicit GroupLatch(Handler handler)
        : handler_(std::move(handler)),
          work_(asio::prefer(
              asio::get_associated_executor(handler_), asio::execution::outstanding_work.tracked)) {
    }

    [[nodiscard]] const Handler& handler() const noexcept { return handler_; }

    // Called on the handler's executor.
    void completed() {
        if (arrive()) { std::move(handler_)(); }
    }
    // Called inside of the initiating function, which must not run a handler itself.
    static void launched(std::shared_ptr<GroupLatch> latch) {
        if (!latch->arrive()) { return; }
        const auto executor = asio::get_associated_executor(latch->handler_);
        asio::post(executor, [latch = std::move(latch)] { std::move(latch->handler_)(); });
    }

private:
    // acq_rel: the last to arrive sees what the other did: the results, or the use of the cancellation slot.
    bool arrive() noexcept { return arrived_.fetch_add(1, std::memory_order_acq_rel) == 1; }

    Handler handler_;
    decltype(asio::prefer(
        asio::get_associated_executor(std::declval<const Handler&>()),
        asio::execution::outstanding_work
            .tracked)) work_;     // Keeps the loop alive between the two arrivals.
    std::atomic<int> arrived_{0}; // Written by the group's last branch and by the launch.
};

// The group's completion handler: leaves the results in the waiting coroutine's frame.
template <class Handler, class T, class U>
struct GroupCompletion {
    using executor_type = asio::associated_executor_t<Handler>;
    using cancellation_slot_type = asio::associated_cancellation_slot_t<Handler>;

    std::shared_ptr<GroupLatch<Handler>> latch;
    GroupResult<T, U>* result;

    [[nodiscard]] executor_type get_executor() const noexcept {
        return asio::get_associated_executor(latch->handler());
    }
    [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept {
        return asio::get_associated_cancellation_slot(latch->handler());
    }
    void operator()(
        std::array<std::size_t, 2> order, std::exception_ptr left_error, BranchValueT<T> left,
        std::exception_ptr right_error, BranchValueT<U> right) {
        *result = GroupResult<T, U>{
            order[0] == 0, std::move(left_error), std::move(right_error), std::move(left),
            std::move(right)};
        std::exchange(latch, nullptr)->completed();
    }
};

template <class Condition, class T, class U, class Ex>
asio::awaitable<GroupResult<T, U>, Ex> run_group(
    Condition condition, asio::awaitable<T, Ex> left, asio::awaitable<U, Ex> right) {
    const Ex executor = co_await asio::this_coro::executor;
    auto group = asio::experimental::make_parallel_group(
        spawn_branch(executor, std::move(left)), spawn_branch(executor, std::move(right)));
    GroupResult<T, U> result;
    auto launch = [&group, &condition, &result]<class Handler>(Handler&& handler) {
        using Latch = GroupLatch<std::decay_t<Handler>>;
        auto latch = std::make_shared<Latch>(std::forward<Handler>(handler));
        group.async_wait(condition, GroupCompletion<std::decay_t<Handler>, T, U>{latch, &result});
        Latch::launched(std::move(latch));
    };
    using Token = asio::use_awaitable_t<Ex>;
    Token token;
    co_await asio::async_initiate<Token, void()>(std::move(launch), token);
    co_return result;
}

template <class T>
Plain<T> take(BranchValueT<T>& value) {
    if constexpr (std::is_void_v<T>) {
        return {};
    } else {
        return std::move(*value);
    }
}

template <class T, class U, class Ex>
asio::awaitable<GroupResult<T, U>, Ex> all_of(asio::awaitable<T, Ex> t, asio::awaitable<U, Ex> u) {
    auto group =
        co_await run_group(asio::experimental::wait_for_one_error(), std::move(t), std::move(u));
    group.rethrow_first();
    co_return group;
}

template <class T, class U, class Ex>
asio::awaitable<std::variant<Plain<T>, Plain<U>>, Ex> any_of(
    asio::awaitable<T, Ex> t, asio::awaitable<U, Ex> u) {
    using Result_ = std::variant<Plain<T>, Plain<U>>;
    auto group =
        co_await run_group(asio::experimental::wait_for_one_success(), std::move(t), std::move(u));
    if (group.left_won()) { co_return Result_(std::in_place_index<0>, take<T>(group.left)); }
    co_return Result_(std::in_place_index<1>, take<U>(group.right));
}

// A chain a || b || c gives one flat variant.
template <class... T, class U, class Ex>
asio::awaitable<std::variant<T..., Plain<U>>, Ex> any_of_flat(
    asio::awaitable<std::variant<T...>, Ex> t, asio::awaitable<U, Ex> u) {
    using Result_ = std::variant<T..., Plain<U>>;
    auto group =
        co_await run_group(asio::experimental::wait_for_one_success(), std::move(t), std::move(u));
    if (!group.left_won()) {
        co_return Result_(std::in_place_index<sizeof...(T)>, take<U>(group.right));
    }
    std::optional<Result_> result;
    // Same index, wider variant; types may repeat, so the index decides and not the type.
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        (void)((group.left->index() == I &&
                (result.emplace(std::in_place_index<I>, std::move(*std::get_if<I>(&*group.left))),
                 true)) ||
               ...);
    }
    (std::index_sequence_for<T...>{});
    co_return std::move(*result);
}

} // namespace detail

/// For `using namespace`: see the head of this file. Threads: with `||`, and with an `&&` that may fail, run the
/// coroutine on one thread or on a strand: a cancelling parallel_group is not thread-safe (chriskohlhoff/asio#1348).
namespace awaitable_operators {

template <class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<void, Ex>
operator&&(asio::awaitable<void, Ex> t, asio::awaitable<void, Ex> u) {
    co_await detail::all_of(std::move(t), std::move(u));
}

template <class U, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<U, Ex>
operator&&(asio::awaitable<void, Ex> t, asio::awaitable<U, Ex> u) {
    auto group = co_await detail::all_of(std::move(t), std::move(u));
    co_return std::move(*group.right);
}

template <class T, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<T, Ex>
operator&&(asio::awaitable<T, Ex> t, asio::awaitable<void, Ex> u) {
    auto group = co_await detail::all_of(std::move(t), std::move(u));
    co_return std::move(*group.left);
}

template <class T, class U, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<std::tuple<T, U>, Ex>
operator&&(asio::awaitable<T, Ex> t, asio::awaitable<U, Ex> u) {
    auto group = co_await detail::all_of(std::move(t), std::move(u));
    co_return std::tuple<T, U>(std::move(*group.left), std::move(*group.right));
}

template <class... T, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<std::tuple<T..., std::monostate>, Ex>
operator&&(asio::awaitable<std::tuple<T...>, Ex> t, asio::awaitable<void, Ex> u) {
    auto group = co_await detail::all_of(std::move(t), std::move(u));
    co_return std::tuple_cat(std::move(*group.left), std::tuple<std::monostate>{});
}

template <class... T, class U, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<std::tuple<T..., U>, Ex>
operator&&(asio::awaitable<std::tuple<T...>, Ex> t, asio::awaitable<U, Ex> u) {
    auto group = co_await detail::all_of(std::move(t), std::move(u));
    co_return std::tuple_cat(std::move(*group.left), std::tuple<U>(std::move(*group.right)));
}

template <class Ex>
requires detail::ForkableExecutor<Ex>
    asio::awaitable<std::variant<std::monostate, std::monostate>, Ex>
operator||(asio::awaitable<void, Ex> t, asio::awaitable<void, Ex> u) {
    return detail::any_of(std::move(t), std::move(u));
}

template <class U, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<std::variant<std::monostate, U>, Ex>
operator||(asio::awaitable<void, Ex> t, asio::awaitable<U, Ex> u) {
    return detail::any_of(std::move(t), std::move(u));
}

template <class T, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<std::variant<T, std::monostate>, Ex>
operator||(asio::awaitable<T, Ex> t, asio::awaitable<void, Ex> u) {
    return detail::any_of(std::move(t), std::move(u));
}

template <class T, class U, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<std::variant<T, U>, Ex>
operator||(asio::awaitable<T, Ex> t, asio::awaitable<U, Ex> u) {
    return detail::any_of(std::move(t), std::move(u));
}

template <class... T, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<std::variant<T..., std::monostate>, Ex>
operator||(asio::awaitable<std::variant<T...>, Ex> t, asio::awaitable<void, Ex> u) {
    return detail::any_of_flat(std::move(t), std::move(u));
}

template <class... T, class U, class Ex>
requires detail::ForkableExecutor<Ex> asio::awaitable<std::variant<T..., U>, Ex>
operator||(asio::awaitable<std::variant<T...>, Ex> t, asio::awaitable<U, Ex> u) {
    return detail::any_of_flat(std::move(t), std::move(u));
}

} // namespace awaitable_operators

// Where argument-dependent lookup finds them.
using awaitable_operators::operator&&;
using awaitable_operators::operator||;

} // namespace weft
