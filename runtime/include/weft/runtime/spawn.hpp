#pragma once
#include <weft/runtime/executor.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/co_spawn.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

template <class T>
inline constexpr bool is_context_executor = false;
template <class Inner>
inline constexpr bool is_context_executor<BasicExecutor<Inner>> = true;

template <class T>
inline constexpr bool never = false;

template <class T>
struct AwaitableTraits : std::false_type {};
template <class T, class Ex>
struct AwaitableTraits<asio::awaitable<T, Ex>> : std::true_type {
    using value_type = T;
    using executor_type = Ex;
};

template <class T>
concept Awaitable = AwaitableTraits<std::remove_cvref_t<T>>::value;
template <class F>
concept AwaitableFactory = std::invocable<F&> && Awaitable<std::invoke_result_t<F&>>;

/// The executor without a context: what a new chain's executor is built around.
template <class Ex>
[[nodiscard]] const auto& strip_context(const Ex& executor) noexcept {
    if constexpr (is_context_executor<Ex>) {
        return executor.inner_executor();
    } else {
        return executor;
    }
}

/// A chain's executor of type `Ex` over `inner`. For any_io_executor a context executor found inside is replaced.
template <class Ex, class Inner>
[[nodiscard]] Ex make_chain_executor(const Inner& inner, SlotHandle slot) {
    if constexpr (is_context_executor<Ex>) {
        return Ex(inner, slot);
    } else if constexpr (std::same_as<Inner, asio::any_io_executor>) {
        if (const auto* known = inner.template target<Executor>()) {
            return Ex(Executor(known->inner_executor(), slot));
        }
        using Erased = BasicExecutor<asio::any_io_executor>;
        if (const auto* known = inner.template target<Erased>()) {
            return Ex(Erased(known->inner_executor(), slot));
        }
        return Ex(Erased(inner, slot));
    } else if constexpr (std::same_as<Inner, Executor::inner_executor_type>) {
        return Ex(Executor(inner, slot));
    } else {
        // Erased first, so that the two kinds looked for above are all that there are.
        return Ex(BasicExecutor<asio::any_io_executor>(asio::any_io_executor(inner), slot));
    }
}

// What weft itself gives to asio::co_spawn, which refuses a chain's executor (end of this file).
template <class Inner>
struct ChainExecutor : BasicExecutor<Inner> {
    explicit ChainExecutor(BasicExecutor<Inner> executor) noexcept
        : BasicExecutor<Inner>(std::move(executor)) {}
};
template <class Ex>
[[nodiscard]] auto for_asio(Ex executor) noexcept {
    if constexpr (is_context_executor<Ex>) {
        return ChainExecutor(std::move(executor));
    } else {
        return executor;
    }
}

// The lease is a parameter declared first: it outlives the task's frame, whose spans end before their slot does.
template <class T, class Ex>
asio::awaitable<T, Ex> run_chain([[maybe_unused]] SlotLease lease, asio::awaitable<T, Ex> task) {
    co_return co_await std::move(task);
}

template <class T, class Ex, class Factory>
asio::awaitable<T, Ex> run_chain_of([[maybe_unused]] SlotLease lease, Factory factory) {
    co_return co_await factory();
}

} // namespace detail

/// Starts a coroutine as a chain of its own: it begins with the context that is current here and keeps its own from
/// then on. `executor` may be a plain Asio executor or a chain's (`co_await asio::this_coro::executor`); `task` is an
/// awaitable or a function that makes one, over `weft::Executor` or over `asio::any_io_executor`.
/// Otherwise as `asio::co_spawn`: completion token, exceptions and cancellation are Asio's.
/// Threads: as the executor. Cost: a slot from a pool and one coroutine frame over Asio's own.
template <class SpawnEx, detail::Awaitable Task_, class Token>
requires asio::execution::is_executor<SpawnEx>::value auto co_spawn(
    const SpawnEx& executor, Task_ task, Token&& token) {
    using Traits = detail::AwaitableTraits<Task_>;
    using Ex = typename Traits::executor_type;
    auto lease = detail::SlotLease::fork();
    auto chain = detail::make_chain_executor<Ex>(detail::strip_context(executor), lease.handle());
    return asio::co_spawn(
        detail::for_asio(std::move(chain)),
        detail::run_chain<typename Traits::value_type, Ex>(std::move(lease), std::move(task)),
        std::forward<Token>(token));
}

/// As above, but `factory` makes the coroutine; it is kept alive as long as the coroutine runs, so a capturing
/// lambda is safe here.
template <class SpawnEx, detail::AwaitableFactory Factory, class Token>
requires asio::execution::is_executor<SpawnEx>::value auto co_spawn(
    const SpawnEx& executor, Factory factory, Token&& token) {
    using Traits = detail::AwaitableTraits<std::invoke_result_t<Factory&>>;
    using Ex = typename Traits::executor_type;
    auto lease = detail::SlotLease::fork();
    auto chain = detail::make_chain_executor<Ex>(detail::strip_context(executor), lease.handle());
    return asio::co_spawn(
        detail::for_asio(std::move(chain)),
        detail::run_chain_of<typename Traits::value_type, Ex, Factory>(
            std::move(lease), std::move(factory)),
        std::forward<Token>(token));
}

/// As above, on an execution context such as asio::io_context, or on anything that has an `io_context()`
/// (weft::Host, weft::Runtime).
template <class Context, class Work, class Token>
requires std::derived_from<Context, asio::execution_context>
auto co_spawn(Context& context, Work work, Token&& token) {
    return weft::co_spawn(context.get_executor(), std::move(work), std::forward<Token>(token));
}

template <class Host, class Work, class Token>
requires requires(Host& host) {
    { host.io_context() } -> std::same_as<asio::io_context&>;
}
auto co_spawn(Host& host, Work work, Token&& token) {
    return weft::co_spawn(
        host.io_context().get_executor(), std::move(work), std::forward<Token>(token));
}

} // namespace weft

// Asio's own co_spawn on a chain's executor would give two coroutines one context, and whatever they open interleaves.
// These are chosen before Asio's, because they name the executor's type, and say what to write. It cannot be seen where the
// executor is an any_io_executor; context_faults() counts what comes of that.
namespace boost::asio {

template <class Inner, class T, class Ex, class Token>
void co_spawn(const weft::BasicExecutor<Inner>&, awaitable<T, Ex>, Token&&) {
    static_assert(
        weft::detail::never<Inner>,
        "asio::co_spawn on a coroutine's own executor shares its context: use weft::co_spawn");
}
template <class Inner, class Ex, class Token>
void co_spawn(const weft::BasicExecutor<Inner>&, awaitable<void, Ex>, Token&&) {
    static_assert(
        weft::detail::never<Inner>,
        "asio::co_spawn on a coroutine's own executor shares its context: use weft::co_spawn");
}
template <class Inner, weft::detail::AwaitableFactory Factory, class Token>
void co_spawn(const weft::BasicExecutor<Inner>&, Factory&&, Token&&) {
    static_assert(
        weft::detail::never<Inner>,
        "asio::co_spawn on a coroutine's own executor shares its context: use weft::co_spawn");
}

} // namespace boost::asio
