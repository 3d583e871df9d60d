#include "bound_list.hpp"
#include "metric_store.hpp"
#include "thread_metrics.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/fork.hpp>
#include <weft/signals/bound_instrument.hpp>
#include <weft/signals/histogram.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace weft::detail {

namespace {

struct List {
    std::mutex mutex; // Guards everything in it, and every registration but what recording reads.
    BoundRegistration* head = nullptr;
};

// Never destroyed: handles are used until the very end.
List& list() {
    static List& instance = *new List;
    return instance;
}
const ForkGuard list_at_fork(ForkOrder::handles, list().mutex);

void release(BoundRegistration& bound) noexcept {
    bound.set_target(nullptr);
    for (auto* series : bound.series) { series->owner->unpin(*series); }
    bound.series.clear();
    bound.provider = nullptr;
}

// Gives the handle its series of the provider that it reports to now. The caller holds the list's mutex, and what this
// reports until then: a handler may bind and measure.
void resolve(BoundRegistration& bound) noexcept {
    MeterProvider* provider = bound.instrument.provider();
    // relaxed: who closes it comes here afterwards, through the list's mutex.
    if (provider != nullptr && !provider->accepting.load(std::memory_order_relaxed)) {
        provider = nullptr;
    }
    if (provider == bound.provider) { return; }
    release(bound);
    if (provider == nullptr || bound.instrument.index() == 0) { return; }
    InstrumentState* const state = provider->state(bound.instrument.index());
    if (state == nullptr) { return; }
    bound.provider = provider;
    try {
        bound.series.reserve(state->streams.size());
    } catch (const std::bad_alloc&) { // Tried again when the default provider changes.
        bound.provider = nullptr;
        return;
    }
    for (const auto& stream : state->streams) {
        if (Series* series = stream->find_for_handle(bound.key)) { bound.series.push_back(series); }
    }
    if (!bound.series.empty()) { bound.set_target(bound.series.front()); }
}

} // namespace

void resolve_bound_instruments() noexcept {
    List& bound = list();
    const HeldDiagnostics held;
    const std::lock_guard lock(bound.mutex);
    for (auto* each = bound.head; each != nullptr; each = each->next) { resolve(*each); }
}

BoundBase::BoundBase(
    const InstrumentBase& instrument, std::span<const Attribute> attributes,
    std::string_view common) noexcept {
    try {
        const AttributeKey key(common, attributes);
        if (key.too_large()) {
            report_too_large(instrument);
            return;
        }
        auto made = std::make_unique<BoundRegistration>(instrument, std::string(key.bytes()));
        made->handle = this;
        registration_ = made.release();
    } catch (const std::bad_alloc&) { return; } // A handle that records nothing.
    List& bound = list();
    const HeldDiagnostics held;
    const std::lock_guard lock(bound.mutex);
    registration_->next = bound.head;
    if (bound.head != nullptr) { bound.head->previous = registration_; }
    bound.head = registration_;
    resolve(*registration_);
}

BoundBase::BoundBase(BoundBase&& other) noexcept { take(other); }

BoundBase& BoundBase::operator=(BoundBase&& other) noexcept {
    if (this != &other) {
        drop();
        take(other);
    }
    return *this;
}

BoundBase::~BoundBase() { drop(); }

void BoundBase::take(BoundBase& other) noexcept {
    List& bound = list();
    const std::lock_guard lock(bound.mutex);
    registration_ = std::exchange(other.registration_, nullptr);
    // relaxed on both: no other thread may use a handle that is being moved.
    target_.store(
        other.target_.exchange(nullptr, std::memory_order_relaxed), std::memory_order_relaxed);
    if (registration_ != nullptr) { registration_->handle = this; }
}

void BoundBase::drop() noexcept {
    if (registration_ == nullptr) { return; }
    List& bound = list();
    const std::lock_guard lock(bound.mutex);
    release(*registration_);
    if (registration_->previous != nullptr) {
        registration_->previous->next = registration_->next;
    } else {
        bound.head = registration_->next;
    }
    if (registration_->next != nullptr) { registration_->next->previous = registration_->previous; }
    delete std::exchange(registration_, nullptr);
}

void BoundBase::record(std::uint64_t bits) const noexcept {
    auto* const first = static_cast<Series*>(target());
    if (first == nullptr) { return; }
    InstrumentState& state = *first->owner->instrument;
    if (!is_acceptable(state, bits)) { return; }
    if (state.streams.size() == 1) [[likely]] {
        add_measurement(*first, bits, registration_->key);
    } else {
        // A runtime that ends meanwhile empties the list of series: nothing but this is read of it then.
        List& bound = list();
        const std::lock_guard lock(bound.mutex);
        for (auto* series : registration_->series) {
            add_measurement(*series, bits, registration_->key);
        }
    }
    end_late_use();
}

double BoundBase::in_unit(std::int64_t elapsed_ns) const noexcept {
    return registration_ == nullptr
               ? 0
               : detail::in_unit(elapsed_ns, registration_->instrument.options().unit);
}

} // namespace weft::detail
