#include "observations.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/executor.hpp>
#include <weft/runtime/fork.hpp>
#include <weft/runtime/spawn.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace weft {
namespace detail {
namespace {

struct Registry {
    std::mutex mutex; // Guards callbacks.
    std::vector<std::shared_ptr<Callback>> callbacks;
};

// Never destroyed: handles at namespace scope go when the process ends.
Registry& registry() {
    static Registry& instance = *new Registry;
    return instance;
}

// A child finds no callback amid a call.
void before_fork(void*) noexcept {
    registry().mutex.lock();
    for (const auto& callback : registry().callbacks) { callback->calling.lock(); }
}
void after_fork(void*) noexcept {
    for (const auto& callback : registry().callbacks) { callback->calling.unlock(); }
    registry().mutex.unlock();
}
void after_fork_in_child(void*) noexcept {
    for (const auto& callback : registry().callbacks) {
        callback->asker = nullptr; // What is under way is under way in the parent.
        callback->is_late = false;
    }
    after_fork(nullptr);
}
const ForkGuard callbacks_at_fork(
    {ForkOrder::callbacks, nullptr, before_fork, after_fork, after_fork_in_child});

void add(std::shared_ptr<Callback> callback) {
    Registry& known = registry();
    const std::lock_guard lock(known.mutex);
    known.callbacks.push_back(std::move(callback));
}

} // namespace

std::vector<std::shared_ptr<Callback>> callbacks_of(const MeterProvider& provider) {
    Registry& known = registry();
    const std::lock_guard lock(known.mutex);
    std::vector<std::shared_ptr<Callback>> found;
    for (const auto& callback : known.callbacks) {
        if (!callback->instruments.empty() &&
            callback->instruments.front().provider() == &provider) {
            found.push_back(callback);
        }
    }
    return found;
}

void call(Callback& callback, const std::shared_ptr<ObservationBatch>& batch) noexcept {
    const std::lock_guard lock(callback.calling);
    if (callback.removed.load(std::memory_order_relaxed)) { return; }             // See Callback.
    callback.caller.store(std::this_thread::get_id(), std::memory_order_relaxed); // See Callback.
    try {
        Observations observations(batch);
        callback.plain(observations);
    } catch (const std::exception& error) {
        const std::string_view what = error.what();
        diagnostics().report(
            DiagnosticLevel::warning,
            fmt::format("metrics.callback.{}", callback.instruments.front().name()), [&] {
                return fmt::format(
                    "the callback of \"{}\" threw: {}", callback.instruments.front().name(), what);
            });
    } catch (...) {
        diagnostics().report(
            DiagnosticLevel::warning, "metrics.callback",
            "the callback of an observable instrument threw something that is no std::exception");
    }
    callback.caller.store({}, std::memory_order_relaxed); // See Callback.
}

namespace {

enum class Turn : std::uint8_t { begins, is_anothers, is_never };

Turn take_turn(Callback& callback, const void* reader) {
    const std::lock_guard lock(callback.calling);
    // relaxed: one whose handle goes just now is one that is under way.
    if (callback.removed.load(std::memory_order_relaxed)) { return Turn::is_never; }
    if (callback.asker == nullptr) {
        callback.asker = reader;
        callback.is_late = false;
        return Turn::begins;
    }
    return callback.asker == reader || callback.is_late ? Turn::is_never : Turn::is_anothers;
}

void end_turn(Callback& callback) {
    const std::lock_guard lock(callback.calling);
    callback.asker = nullptr;
}

void give_up(Callback& callback, const void* reader) {
    const std::lock_guard lock(callback.calling);
    if (callback.asker == reader) { callback.is_late = true; }
}

// The executor that a chain of coroutines was put on: what is asked may outlive the chain that asks.
asio::any_io_executor without_context(const asio::any_io_executor& executor) {
    if (const auto* known = executor.target<Executor>()) { return known->inner_executor(); }
    if (const auto* known = executor.target<BasicExecutor<asio::any_io_executor>>()) {
        return known->inner_executor();
    }
    return executor;
}

void report(const Callback& callback, const std::exception_ptr& error) {
    std::string what = "is not done after MetricReaderOptions::callback_timeout";
    if (error) {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& known) {
            what = fmt::format("threw: {}", known.what());
        } catch (...) { what = "threw something that is no std::exception"; }
    }
    const auto name = callback.instruments.front().name();
    diagnostics().report(
        DiagnosticLevel::warning, fmt::format("metrics.callback.{}", name),
        fmt::format("the callback of \"{}\" {}", name, what));
}

} // namespace

// Waits for the coroutine up to the deadline; if it is late it goes on by itself, and its batch is closed. All of it runs
// on a strand, for the end of the coroutine and that of the wait may be on different threads.
asio::awaitable<void> ask(
    std::shared_ptr<Callback> callback, std::shared_ptr<ObservationBatch> batch,
    std::chrono::steady_clock::time_point deadline, const void* reader) {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer again(executor);
    auto turn = take_turn(*callback, reader);
    for (std::chrono::milliseconds pause(1); turn == Turn::is_anothers;) { // Bound: the deadline.
        if (std::chrono::steady_clock::now() >= deadline) { break; }
        again.expires_after(pause);
        (void)co_await again.async_wait(asio::as_tuple(asio::use_awaitable));
        pause = std::min(pause * 2, std::chrono::milliseconds(64));
        turn = take_turn(*callback, reader);
    }
    if (turn == Turn::is_anothers) { report(*callback, nullptr); }
    if (turn != Turn::begins) { co_return; }
    struct Run {
        asio::steady_timer done;
        bool ended = false;
        std::exception_ptr error{};
    };
    auto wait = [reader, callback, batch, deadline]() -> asio::awaitable<void> {
        const auto strand = co_await asio::this_coro::executor;
        auto run = std::make_shared<Run>(Run{.done = asio::steady_timer(strand, deadline)});
        weft::co_spawn(
            strand,
            [callback, batch]() -> asio::awaitable<void> {
                Observations observations(batch);
                co_await callback->coroutine(observations);
            },
            [run, callback](const std::exception_ptr& error) {
                end_turn(*callback);
                run->error = error;
                run->ended = true;
                run->done.cancel();
            });
        if (!run->ended) {
            (void)co_await run->done.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        if (run->ended && !run->error) { co_return; }
        if (!run->ended) { give_up(*callback, reader); }
        report(*callback, run->error);
    };
    co_await weft::co_spawn(
        asio::make_strand(without_context(executor)), std::move(wait), asio::use_awaitable);
}

} // namespace detail

void Observations::add(
    const detail::InstrumentBase* instrument, std::uint64_t bits, bool is_integer,
    std::span<const Attribute> attributes, std::string_view common) noexcept {
    auto& callback = *batch_->callback;
    if (instrument == nullptr) {
        instrument = &callback.instruments.front();
        if (callback.common != nullptr) { common = *callback.common; }
    }
    const auto index = instrument->index();
    const bool registered = std::any_of(
        callback.instruments.begin(), callback.instruments.end(),
        [&](const detail::InstrumentBase& one) { return one.index() == index; });
    if (index == 0) { return; }
    if (!registered || instrument->is_integer() != is_integer) {
        diagnostics().report(
            DiagnosticLevel::warning, fmt::format("metrics.observe.{}", instrument->name()), [&] {
                return fmt::format(
                    "an observation of \"{}\" is left out: {}", instrument->name(),
                    !registered ? "the callback is not registered for the instrument"
                                : "it has the other number type than the instrument");
            });
        return;
    }
    auto* const state = batch_->provider->state(index);
    if (state == nullptr || state->streams.empty() || !detail::is_acceptable(*state, bits)) {
        return;
    }
    try {
        const detail::AttributeKey key(common, attributes);
        if (key.too_large()) {
            batch_->provider->lost.fetch_add(1, std::memory_order_relaxed); // A counter.
            detail::report_too_large(*instrument);
            return;
        }
        const std::lock_guard lock(batch_->mutex);
        if (batch_->is_closed) { return; }
        batch_->observations.push_back({state, std::string(key.bytes()), bits});
    } catch (const std::bad_alloc&) {
        batch_->provider->lost.fetch_add(1, std::memory_order_relaxed); // A counter.
    }
}

ObservableCallback::ObservableCallback(
    std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>> instruments,
    Plain callback, detail::CommonAttributes common)
    : callback_(std::make_shared<detail::Callback>()) {
    callback_->common = std::move(common);
    for (const auto& instrument : instruments) { callback_->instruments.push_back(instrument); }
    callback_->plain = std::move(callback);
    detail::add(callback_);
}

ObservableCallback::ObservableCallback(
    std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>> instruments,
    Coroutine callback, detail::CommonAttributes common)
    : callback_(std::make_shared<detail::Callback>()) {
    callback_->common = std::move(common);
    for (const auto& instrument : instruments) { callback_->instruments.push_back(instrument); }
    callback_->coroutine = std::move(callback);
    detail::add(callback_);
}

void ObservableCallback::disable() noexcept {
    // relaxed: see Callback.
    if (callback_ != nullptr) { callback_->removed.store(true, std::memory_order_relaxed); }
}

ObservableCallback::~ObservableCallback() {
    if (callback_ == nullptr) { return; }
    {
        auto& known = detail::registry();
        const std::lock_guard lock(known.mutex);
        std::erase(known.callbacks, callback_);
    }
    callback_->removed.store(true, std::memory_order_relaxed); // See Callback.
    // A callback that destroys its own handle is not waited for.
    if (callback_->caller.load(std::memory_order_relaxed) == std::this_thread::get_id()) { return; }
    const std::lock_guard wait(callback_->calling);
}

} // namespace weft
