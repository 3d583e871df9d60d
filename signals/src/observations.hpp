#pragma once
#include "metric_store.hpp"

#include <weft/signals/observable.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace weft::detail {

/// What one callback has reported in one collection.
struct ObservationBatch {
    struct Observation {
        InstrumentState* state = nullptr;
        std::string key;
        std::uint64_t bits = 0;
    };
    MeterProvider* provider = nullptr;
    std::shared_ptr<const Callback> callback;

    std::mutex mutex; // Guards the rest: a coroutine that is late may still report.
    bool is_closed = false;
    std::vector<Observation> observations;
};

struct Callback {
    std::vector<InstrumentBase> instruments; // Fixed.
    ObservableCallback::Plain plain;         // Fixed. One of the two.
    ObservableCallback::Coroutine coroutine;
    CommonAttributes common; // Fixed.

    // Held while `plain` is called: who removes it waits. Guards `asker` and `is_late`.
    std::mutex calling;
    // Who calls it now. relaxed: a thread only looks for itself, which finds what it has stored.
    std::atomic<std::thread::id> caller{};
    std::atomic<bool> removed{
        false}; // relaxed: the mutex orders it for plain ones; coroutines may be late.
    // A coroutine that is under way is not asked again: its own reader leaves it out, another one waits. Which reader
    // asked, only to be compared, and whether it has given up waiting.
    const void* asker = nullptr;
    bool is_late = false;
};

/// The callbacks whose instruments report to the provider. Errors: std::bad_alloc.
[[nodiscard]] std::vector<std::shared_ptr<Callback>> callbacks_of(const MeterProvider& provider);

/// Runs a callback that is a coroutine, on behalf of `reader` (only to be compared). What it throws is reported, and
/// that it is not done by the deadline.
[[nodiscard]] asio::awaitable<void> ask(
    std::shared_ptr<Callback> callback, std::shared_ptr<ObservationBatch> batch,
    std::chrono::steady_clock::time_point deadline, const void* reader);

/// Calls a plain callback. What it throws is reported.
void call(Callback& callback, const std::shared_ptr<ObservationBatch>& batch) noexcept;

} // namespace weft::detail
