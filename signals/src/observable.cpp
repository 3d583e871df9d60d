#include "observations.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/fork.hpp>

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
        callback->under_way.store(false, std::memory_order_relaxed); // Its loop is the parent's.
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

} // namespace detail

void Observations::add(
    const detail::InstrumentBase* instrument, std::uint64_t bits, bool is_integer,
    std::span<const Attribute> attributes) noexcept {
    auto& callback = *batch_->callback;
    if (instrument == nullptr) { instrument = &callback.instruments.front(); }
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
        const detail::AttributeKey key(attributes);
        if (key.too_large()) { return; }
        const std::lock_guard lock(batch_->mutex);
        if (batch_->is_closed) { return; }
        batch_->observations.push_back({state, std::string(key.bytes()), bits});
    } catch (const std::bad_alloc&) {
        batch_->provider->lost.fetch_add(1, std::memory_order_relaxed); // A counter.
    }
}

ObservableCallback::ObservableCallback(
    std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>> instruments,
    Plain callback)
    : callback_(std::make_shared<detail::Callback>()) {
    for (const auto& instrument : instruments) { callback_->instruments.push_back(instrument); }
    callback_->plain = std::move(callback);
    detail::add(callback_);
}

ObservableCallback::ObservableCallback(
    std::initializer_list<std::reference_wrapper<const detail::InstrumentBase>> instruments,
    Coroutine callback)
    : callback_(std::make_shared<detail::Callback>()) {
    for (const auto& instrument : instruments) { callback_->instruments.push_back(instrument); }
    callback_->coroutine = std::move(callback);
    detail::add(callback_);
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
