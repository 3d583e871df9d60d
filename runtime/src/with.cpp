#include <weft/runtime/with.hpp>

#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

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
    struct Entry {
        const void* key;
        std::shared_ptr<const void> value;
    };
    std::vector<Entry> entries; // Of context_entries_max distinct keys at most.
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

// The slot's values with one of them changed. Unchanged, and empty, without memory and when `change` returns false.
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
        if (!now->entries.empty()) {
            try {
                values->entries = now->entries;
            } catch (const std::bad_alloc&) { return {}; }
        }
        values->below = slot->values;
    }
    if (!change(*values)) { return {}; }
    slot->values = ref;
    return ref;
}

// False, with the values as they were or not to be used, when there is no room.
bool set_entry(
    ContextValues& values, const void* key, std::shared_ptr<const void>&& value) noexcept {
    auto& entries = values.entries;
    const auto found = std::find_if(
        entries.begin(), entries.end(), [&](const auto& entry) { return entry.key == key; });
    if (found != entries.end()) {
        found->value = std::move(value);
        return true;
    }
    if (entries.size() == context_entries_max) { return false; }
    try {
        entries.push_back({key, std::move(value)});
        return true;
    } catch (const std::bad_alloc&) { return false; }
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
    set_ = detail::change([&](detail::ContextValues& values) {
        values.baggage = std::move(baggage);
        return true;
    });
}

ContextScope::ContextScope(Deadline deadline) noexcept : ContextScope() {
    set_ = detail::change([&](detail::ContextValues& values) {
        values.deadline = std::min(values.deadline, deadline);
        return true;
    });
}

ContextScope::ContextScope(SuppressTelemetry) noexcept : ContextScope() {
    if (detail::ContextSlot* slot = detail::active_slot(); slot != nullptr) {
        ++slot->suppressed;
        suppresses_ = true;
    }
}

ContextScope::ContextScope(const void* key, std::shared_ptr<const void>&& value) noexcept
    : ContextScope() {
    if (key == nullptr) { return; }
    set_ = detail::change([&](detail::ContextValues& values) {
        return detail::set_entry(values, key, std::move(value));
    });
}

ContextScope detail::with_entry(const void* key, std::shared_ptr<const void> value) noexcept {
    return {key, std::move(value)};
}

std::shared_ptr<const void> detail::current_entry(const void* key) noexcept {
    const auto* values = current_values();
    if (values == nullptr) { return nullptr; }
    for (const auto& entry : values->entries) {
        if (entry.key == key) { return entry.value; }
    }
    return nullptr;
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
