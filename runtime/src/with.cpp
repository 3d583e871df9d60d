#include <weft/runtime/with.hpp>

#include <algorithm>
#include <atomic>
#include <new>

namespace weft {
namespace detail {

struct ContextValues {
    std::atomic<std::uint32_t> holders{1};
    // Its scope ended while it was not on top, or where the slot was out of reach. Written by whoever ends the scope
    // (release), read by the slot's holder (acquire), who then goes on to `below`.
    std::atomic<bool> is_over{false};
    // What was carried before. Taken when the scope ends on top; else only read, once it is over.
    ContextValuesRef below;
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

// What the slot carries, without what is over. Bound: the scopes of one chain that were open at once.
ContextValues* top_of(ContextSlot& slot) noexcept {
    while (slot.values &&
           slot.values.get()->is_over.load(std::memory_order_acquire)) { // See is_over.
        slot.values = ContextValuesRef(slot.values.get()->below);
    }
    return slot.values.get();
}

// The slot's values with one of them changed. Unchanged, and empty, without memory.
template <class Change>
ContextValuesRef change(Change&& change) noexcept {
    ContextSlot* slot = active_slot();
    if (slot == nullptr) { return {}; }
    auto* values = new (std::nothrow) ContextValues;
    if (values == nullptr) { return {}; }
    ContextValuesRef ref(values);
    if (const ContextValues* now = top_of(*slot); now != nullptr) {
        values->baggage = now->baggage;
        values->deadline = now->deadline;
        values->below = slot->values;
    }
    change(*values);
    slot->values = ref;
    return ref;
}

const ContextValues* current_values() noexcept {
    ContextSlot* slot = active_slot();
    return slot != nullptr ? top_of(*slot) : nullptr;
}

} // namespace
} // namespace detail

ContextScope::ContextScope() noexcept {
    if (const detail::ContextSlot* slot = detail::active_slot(); slot != nullptr) {
        handle_ = detail::handle_of(*slot);
    }
}

ContextScope::~ContextScope() {
    detail::ContextSlot* slot = detail::active_slot();
    if (slot != nullptr && detail::handle_of(*slot) == handle_) {
        leave(*slot);
        return;
    }
    // Elsewhere. Anything but its own slot would be somebody else's to change.
    slot = detail::hold_elsewhere(handle_);
    if (slot != nullptr) {
        leave(*slot);
        detail::give_back(*slot, handle_);
    } else if (set_) {
        set_.get()->is_over.store(true, std::memory_order_release); // See there.
    }
}

// For whoever holds the slot.
void ContextScope::leave(detail::ContextSlot& slot) noexcept {
    if (suppresses_) { --slot.suppressed; }
    if (!set_) { return; }
    if (detail::top_of(slot) == set_.get()) {
        // Moved: an heir of these values must not keep all that lay below them.
        slot.values = std::move(set_.get()->below);
        return;
    }
    set_.get()->is_over.store(true, std::memory_order_release); // See there.
    detail::count_scope_out_of_order(slot);
}

ContextScope::ContextScope(Baggage&& baggage) noexcept : ContextScope() {
    set_ =
        detail::change([&](detail::ContextValues& values) { values.baggage = std::move(baggage); });
}

ContextScope::ContextScope(Deadline deadline) noexcept : ContextScope() {
    set_ = detail::change([&](detail::ContextValues& values) {
        values.deadline = std::min(values.deadline, deadline);
    });
}

ContextScope::ContextScope(SuppressTelemetry) noexcept : ContextScope() {
    if (detail::ContextSlot* slot = detail::active_slot(); slot != nullptr) {
        ++slot->suppressed;
        suppresses_ = true;
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
