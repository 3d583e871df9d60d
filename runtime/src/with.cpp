#include <weft/runtime/with.hpp>

#include <algorithm>
#include <atomic>
#include <new>

namespace weft {
namespace detail {

struct ContextValues {
    std::atomic<std::uint32_t> holders{1};
    Baggage baggage;
    Deadline deadline;
};

void retain(ContextValues& values) noexcept {
    values.holders.fetch_add(
        1, std::memory_order_relaxed); // relaxed: the caller holds one already.
}

void release(ContextValues& values) noexcept {
    // acq_rel: the last holder's destructor comes after every other holder's reads.
    if (values.holders.fetch_sub(1, std::memory_order_acq_rel) == 1) { delete &values; }
}

namespace {

// The slot's values with one of them changed. Unchanged without memory.
template <class Change>
void change(Change&& change) noexcept {
    ContextSlot* slot = active_slot();
    if (slot == nullptr) { return; }
    auto* values = new (std::nothrow) ContextValues;
    if (values == nullptr) { return; }
    ContextValuesRef ref(values);
    if (const ContextValues* now = slot->values.get(); now != nullptr) {
        values->baggage = now->baggage;
        values->deadline = now->deadline;
    }
    change(*values);
    slot->values = std::move(ref);
}

const ContextValues* current_values() noexcept {
    const ContextSlot* slot = active_slot();
    return slot != nullptr ? slot->values.get() : nullptr;
}

} // namespace
} // namespace detail

ContextScope::ContextScope() noexcept {
    if (const detail::ContextSlot* slot = detail::active_slot(); slot != nullptr) {
        handle_ = detail::handle_of(*slot);
        before_ = slot->values;
        suppressed_before_ = slot->suppressed;
    }
}

ContextScope::~ContextScope() {
    // Only where it was set, and only if it is the same chain still: anything else would be somebody else's.
    detail::ContextSlot* slot = detail::active_slot();
    if (slot != nullptr && detail::handle_of(*slot) == handle_) {
        slot->values = std::move(before_);
        slot->suppressed = suppressed_before_;
    }
}

ContextScope::ContextScope(Baggage&& baggage) noexcept : ContextScope() {
    detail::change([&](detail::ContextValues& values) { values.baggage = std::move(baggage); });
}

ContextScope::ContextScope(Deadline deadline) noexcept : ContextScope() {
    detail::change([&](detail::ContextValues& values) {
        values.deadline = std::min(values.deadline, deadline);
    });
}

ContextScope::ContextScope(SuppressTelemetry) noexcept : ContextScope() {
    if (detail::ContextSlot* slot = detail::active_slot(); slot != nullptr) {
        slot->suppressed = true;
    }
}

Baggage current_baggage() noexcept {
    const auto* values = detail::current_values();
    return values != nullptr ? values->baggage : Baggage{};
}

Deadline current_deadline() noexcept {
    const auto* values = detail::current_values();
    return values != nullptr ? values->deadline : Deadline{};
}

} // namespace weft
