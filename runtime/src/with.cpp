#include <weft/runtime/with.hpp>

#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

namespace weft {
namespace detail {

struct ContextValues {
    std::atomic<std::uint32_t> holders{1};
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

// The slot's values with one of them changed. Unchanged without memory, and when `change` returns false.
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
        if (!now->entries.empty()) {
            try {
                values->entries = now->entries;
            } catch (const std::bad_alloc&) { return; }
        }
    }
    if (change(*values)) { slot->values = std::move(ref); }
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
    detail::change([&](detail::ContextValues& values) {
        values.baggage = std::move(baggage);
        return true;
    });
}

ContextScope::ContextScope(Deadline deadline) noexcept : ContextScope() {
    detail::change([&](detail::ContextValues& values) {
        values.deadline = std::min(values.deadline, deadline);
        return true;
    });
}

ContextScope::ContextScope(SuppressTelemetry) noexcept : ContextScope() {
    if (detail::ContextSlot* slot = detail::active_slot(); slot != nullptr) {
        slot->suppressed = true;
    }
}

ContextScope::ContextScope(const void* key, std::shared_ptr<const void>&& value) noexcept
    : ContextScope() {
    if (key == nullptr) { return; }
    detail::change([&](detail::ContextValues& values) {
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
