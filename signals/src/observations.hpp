#pragma once
#include "metric_store.hpp"

#include <weft/signals/observable.hpp>

#include <atomic>
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

    std::mutex calling; // Held while `plain` is called: who removes it waits.
    // Who calls it now. relaxed: a thread only looks for itself, which finds what it has stored.
    std::atomic<std::thread::id> caller{};
    std::atomic<bool> removed{
        false}; // relaxed: the mutex orders it for plain ones; coroutines may be late.
    std::atomic<bool> under_way{
        false}; // A coroutine's: not asked again before it has ended. relaxed: a flag.
    std::atomic<bool> has_reported{false}; // relaxed: it only decides who reports.
};

/// The callbacks whose instruments report to the provider. Errors: std::bad_alloc.
[[nodiscard]] std::vector<std::shared_ptr<Callback>> callbacks_of(const MeterProvider& provider);

/// Calls a plain callback. What it throws is reported.
void call(Callback& callback, const std::shared_ptr<ObservationBatch>& batch) noexcept;

} // namespace weft::detail
