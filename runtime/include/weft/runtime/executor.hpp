#pragma once
// The executor that carries the context across co_await.
//
// Asio resumes a coroutine by giving a function to its executor. This one wraps the function: it notes in a thread-local
// whose slice runs (context.hpp), runs the function, and puts back what was there. Everything else is the inner
// executor's.
//
// With several threads an operation may be over, and the chain be resumed elsewhere, before the slice that started it
// has returned. So the slice gives the slot up before: an operation that is being started either gives its handler's
// executor something to run, or asks it to keep track of work (`prefer(outstanding_work.tracked)`).
//
// Asio copies executors several times per operation, so this is an inner executor plus eight trivially copyable
// bytes, small enough for any_io_executor to hold without an allocation. docs/decisions/0002-context-slot.md tells what was tried.
// Copy, move and comparison are noexcept, or Asio's traits would refuse the type.

#include <weft/runtime/context.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <type_traits>
#include <utility>

namespace weft {

namespace asio = boost::asio;

namespace detail {

template <class Function>
struct InContext {
    SlotHandle handle;
    Function function;

    void operator()() {
        const InstalledSlot installed(handle);
        std::move(function)();
    }
};

} // namespace detail

/// An Asio executor that installs a chain's context around everything it runs.
/// It is convertible from nothing: chains get theirs from `weft::co_spawn`, callbacks from `weft::bind_context`.
/// Threads: as the inner executor. Cost: a few nanoseconds per resume over the inner executor's own.
template <class Inner>
class BasicExecutor {
public:
    using inner_executor_type = Inner;

    BasicExecutor(Inner inner, detail::SlotHandle slot) noexcept
        : inner_(std::move(inner)), slot_(slot) {}

    [[nodiscard]] const Inner& inner_executor() const noexcept { return inner_; }
    [[nodiscard]] detail::SlotHandle slot() const noexcept { return slot_; }

    // Not inlined: Asio calls it in cold paths too, such as the destructor of a coroutine that never runs again, whose hot
    // part then saves more than the call costs (56 instructions of each awaited post).
    template <class Function>
    [[gnu::noinline]] void execute(Function&& function) const {
        detail::give_up_slot(slot_);
        inner_.execute(
            detail::InContext<std::decay_t<Function>>{slot_, std::forward<Function>(function)});
    }

    template <class Property>
    requires asio::can_query_v<const Inner&, Property>
    [[nodiscard]] decltype(auto) query(const Property& property) const
        noexcept(asio::is_nothrow_query_v<const Inner&, Property>) {
        return asio::query(inner_, property);
    }

    template <class Property>
    requires asio::can_require_v<const Inner&, Property>
    [[nodiscard]] auto require(const Property& property) const
        noexcept(asio::is_nothrow_require_v<const Inner&, Property>) {
        detail::give_up_slot(slot_);
        return rebind(asio::require(inner_, property));
    }

    template <class Property>
    requires asio::can_prefer_v<const Inner&, Property>
    [[nodiscard]] auto prefer(const Property& property) const
        noexcept(asio::is_nothrow_prefer_v<const Inner&, Property>) {
        detail::give_up_slot(slot_);
        return rebind(asio::prefer(inner_, property));
    }

    friend bool operator==(const BasicExecutor& a, const BasicExecutor& b) noexcept {
        return a.slot_ == b.slot_ && a.inner_ == b.inner_;
    }
    friend bool operator!=(const BasicExecutor& a, const BasicExecutor& b) noexcept {
        return !(a == b);
    }

private:
    // Moved, never copied: copying a tracked io_context executor is two atomic operations.
    template <class Other>
    BasicExecutor<std::decay_t<Other>> rebind(Other&& other) const noexcept {
        return {std::forward<Other>(other), slot_};
    }

    Inner inner_;
    detail::SlotHandle slot_;
};

/// The executor of weft's coroutines: an io_context and a chain's context.
using Executor = BasicExecutor<asio::io_context::executor_type>;

/// A coroutine whose context follows it. Spawn with `weft::co_spawn`, await like any `asio::awaitable`.
template <class T = void>
using Task = asio::awaitable<T, Executor>;

/// An executor that runs callbacks in the context that is current now, as long as its chain lives.
/// After the chain has ended they run without a context. Threads: call it inside the chain.
template <class Inner>
[[nodiscard]] BasicExecutor<Inner> bind_context(const Inner& inner) noexcept {
    detail::ContextSlot* slot = detail::active_slot();
    if (slot == nullptr) { return {inner, {}}; }
    return {inner, detail::handle_of(*slot)};
}

} // namespace weft
