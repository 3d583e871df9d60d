#include <weft/runtime/context.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/fork.hpp>

#include <mutex>
#include <string>
#include <utility>

namespace weft {
namespace detail {
namespace {

// Written by any thread that heals, read by context_faults(). relaxed throughout: independent counters.
constinit std::atomic<std::uint64_t> ended_out_of_order{0};
constinit std::atomic<std::uint64_t> ended_elsewhere{0};
constinit std::atomic<std::uint64_t> shared_concurrently{0};
constinit std::atomic<std::uint64_t> scopes_ended_out_of_order{0};
constinit std::atomic<std::uint64_t> scopes_ended_elsewhere{0};

// Counts a fault and reports the first of its kind in the process.
template <class MakeText>
void count(std::atomic<std::uint64_t>& counter, std::string_view key, MakeText make_text) noexcept {
    // A counter: nothing else is ordered by it.
    if (counter.fetch_add(1, std::memory_order_relaxed) == 0) {
        diagnostics().report(DiagnosticLevel::warning, key, make_text);
    }
}

// For whoever holds the node's slot, or owns the node.
std::string quoted_name(const ScopeNode* node) {
    if (node == nullptr) { return "no span"; }
    const auto name = scope_name != nullptr ? scope_name(*node) : std::string_view();
    return name.empty() ? "a span that is not recorded" : "\"" + std::string(name) + "\"";
}

std::string quoted(const std::string& name) {
    return name.empty() ? "none that is recorded" : "\"" + name + "\"";
}

void count_out_of_order(const ScopeNode& node) noexcept {
    count(ended_out_of_order, "context.ended_out_of_order", [&] {
        return "span " + quoted_name(&node) + " ended while " + quoted_name(node.inner) +
               ", which started later in the same coroutine, is open; if two coroutines share one "
               "context, start them "
               "with weft::co_spawn instead of asio::co_spawn";
    });
}

// `name` is quoted already: the node may be somebody else's by now.
void count_elsewhere(const std::string& name, ContextSlot* here) noexcept {
    count(ended_elsewhere, "context.ended_elsewhere", [&] {
        return "span " + name + " ended in another coroutine than its own, inside " +
               quoted_name(here != nullptr ? innermost(*here) : nullptr) +
               "; end it where it was made, or make it with Span::detached";
    });
}

// Empty without memory, and once the report is out.
std::string name_for_report_of_elsewhere(const ScopeNode& node) noexcept {
    // relaxed: the counter alone decides who reports.
    if (ended_elsewhere.load(std::memory_order_relaxed) != 0) { return {}; }
    try {
        return quoted_name(&node);
    } catch (...) { return {}; }
}

template <class MakeName>
void count_scope_elsewhere(MakeName inside, ContextSlot* here) noexcept {
    count(scopes_ended_elsewhere, "context.scope_ended_elsewhere", [&] {
        return "a scope of weft::with, made inside " + inside() +
               ", ended in another coroutine than its own, inside " +
               quoted_name(here != nullptr ? innermost(*here) : nullptr) +
               "; keep it in a local variable of the coroutine that made it";
    });
}

// For a slot that another thread holds: the names that are published for listings.
std::pair<std::string, std::string> names_in(const ContextSlot& slot) {
    return names_in_slot != nullptr ? names_in_slot(slot.pool_index)
                                    : std::pair<std::string, std::string>();
}

void count_shared(const ContextSlot& slot) noexcept {
    count(shared_concurrently, "context.shared_concurrently", [&] {
        const auto names = names_in(slot);
        return "two coroutines of one context ran at once on two threads, and one of them ran "
               "without it; the spans that are open in it are " +
               quoted(names.second) + " and, innermost, " + quoted(names.first) +
               "; start them with weft::co_spawn instead of asio::co_spawn";
    });
}

// Slots whose chain ended while another thread had them installed. They are tried again by finish_ended_chains, which
// forks and flushes call.
constinit std::mutex limbo_mutex{}; // Guards limbo_head.
constinit ContextSlot* limbo_head = nullptr;
[[maybe_unused]] ForkGuard limbo_at_fork(ForkOrder::context, limbo_mutex);
[[maybe_unused]] ForkGuard slots_at_fork(ForkOrder::leaf, SlotPool::mutex());

// Finishes or orphans what is still linked, makes old handles stale and gives the slot back.
// The caller holds the slot or is its only owner.
void recycle(ContextSlot& slot) noexcept {
    for (ScopeNode* node = slot.head; node != nullptr;) {
        ScopeNode* outer = node->outer;
        // E3: whoever comes second finishes.
        if (node->link.exchange(ScopeNode::orphaned, std::memory_order_acq_rel) ==
            ScopeNode::ended) {
            node->finish(node);
        }
        node = outer;
    }
    slot.head = nullptr;
    slot.base = {};
    slot.base_state = {};
    if (slot.values) { slot.values = {}; }
    slot.wall_offset_ns = 0;
    slot.suppressed = 0;
    slot.release_when_uninstalled = false;
    slot.is_ambient.store(false, std::memory_order_relaxed); // See there.
    // relaxed: the caller owns the slot. Never 0: empty handles use that.
    auto generation = slot.generation.load(std::memory_order_relaxed) + 1;
    if (generation == 0) { generation = 1; }
    slot.generation.store(generation, std::memory_order_relaxed); // Ordered by the store below.
    slot.state.store(std::uint64_t{generation} << 1, std::memory_order_release); // E2
    SlotPool::release(&slot);
}

// For the lease's owner, outside of any slice.
bool try_hold(ContextSlot& slot) noexcept {
    // relaxed: the owner's own generation cannot change meanwhile.
    auto expected = std::uint64_t{slot.generation.load(std::memory_order_relaxed)} << 1;
    return slot.state.compare_exchange_strong(
        expected, thread_token(), std::memory_order_acquire, std::memory_order_relaxed); // E1
}

// Whether the limbo may hold something. relaxed throughout: a hint that spares the mutex; a stale value only delays a
// recycle.
constinit std::atomic<bool> limbo_hint{false};

struct AmbientOwner {
    ~AmbientOwner();
};
constinit thread_local ContextSlot* ambient = nullptr;
constinit thread_local bool ambient_gone = false;

// What is current in the chain that forks is a span of another process in the child, which may become its children's
// parent: they are local roots. Its own end does nothing there (G1 of producer_gate.hpp).
void mark_remote_in_child(void*) noexcept {
    for (ContextSlot* slot : {current_slot, ambient}) {
        if (slot == nullptr) { continue; }
        slot->base.is_remote = slot->base.is_valid();
        for (ScopeNode* node = slot->head; node != nullptr; node = node->outer) {
            node->span.is_remote = node->span.is_valid();
        }
    }
}
[[maybe_unused]] ForkGuard current_at_fork{
    {ForkOrder::context, nullptr, nullptr, nullptr, mark_remote_in_child}};

AmbientOwner::~AmbientOwner() {
    if (current_slot == ambient) { current_slot = nullptr; }
    recycle(*std::exchange(ambient, nullptr));
    ambient_gone =
        true; // Destructors that run later on this thread find no context rather than a dead one.
}

} // namespace

void finish_ended_chains() noexcept {
    if (!limbo_hint.load(std::memory_order_relaxed)) [[likely]] { return; } // See limbo_hint.
    const std::lock_guard lock(limbo_mutex);
    ContextSlot** link = &limbo_head;
    while (*link != nullptr) { // Bound: the limbo's length; each turn removes or passes one.
        ContextSlot* slot = *link;
        if (!try_hold(*slot)) {
            link = &slot->pool_next;
            continue;
        }
        *link = slot->pool_next;
        recycle(*slot);
    }
    limbo_hint.store(limbo_head != nullptr, std::memory_order_relaxed); // See limbo_hint.
}

ContextSlot* ambient_slot() noexcept {
    if (ambient == nullptr && !ambient_gone) {
        ContextSlot* slot = SlotPool::acquire();
        if (slot == nullptr) { return nullptr; }
        slot->state.store(
            thread_token(), std::memory_order_relaxed); // I5. relaxed: fresh from the pool.
        slot->is_ambient.store(true, std::memory_order_relaxed); // See there.
        ambient = slot;
        [[maybe_unused]] static thread_local AmbientOwner owner;
    }
    return ambient;
}

ContextSlot* take_slot() noexcept {
    if (current_slice != nullptr) { return current_slice->take(); }
    return current_slot = ambient_slot();
}

void reap_ended(ContextSlot& slot) noexcept {
    // acquire: pairs with the exchange in unlink_scope_slow (E3).
    while (slot.head != nullptr &&
           slot.head->link.load(std::memory_order_acquire) == ScopeNode::ended) {
        ScopeNode* node = slot.head;
        slot.head = node->outer;
        if (node->outer != nullptr) { node->outer->inner = nullptr; }
        node->finish(node);
    }
}

namespace {

// Whether code of a chain runs here, in its own slot.
bool is_chains_own(const ContextSlot* here) noexcept {
    return current_slice != nullptr && here != nullptr && current_slice->is_for(handle_of(*here));
}

// For whoever holds the slot.
void unlink_held(ContextSlot& slot, ScopeNode& node) noexcept {
    if (innermost(slot) == &node) { // Spans above it, if any, had ended elsewhere.
        slot.head = node.outer;
    } else { // I3
        count_out_of_order(node);
        node.inner->outer = node.outer;
    }
    if (node.outer != nullptr) { node.outer->inner = node.inner; }
}

} // namespace

ContextSlot* hold_elsewhere(SlotHandle handle) noexcept {
    if (handle.empty()) { return nullptr; }
    ContextSlot* here = active_slot();
    ContextSlot& slot = *SlotPool::at(handle.index_plus_one - 1);
    const std::uint64_t free_state = std::uint64_t{handle.generation} << 1;
    std::uint64_t expected = free_state;
    // E1, E2. As in unlink_scope_slow: only the destruction of a suspended coroutine is no fault.
    if (slot.state.compare_exchange_strong(
            expected, thread_token(), std::memory_order_acquire, std::memory_order_relaxed)) {
        if (is_chains_own(here)) {
            count_scope_elsewhere([&] { return quoted_name(innermost(slot)); }, here);
        }
        return &slot;
    }
    // relaxed: only decides whether to count.
    if (slot.generation.load(std::memory_order_relaxed) == handle.generation) {
        count_scope_elsewhere([&] { return quoted(names_in(slot).first); }, here);
    }
    return nullptr;
}

void count_scope_out_of_order(ContextSlot& slot) noexcept {
    count(scopes_ended_out_of_order, "context.scope_ended_out_of_order", [&] {
        const ScopeNode* node = innermost(slot);
        return "a scope of weft::with ended before one that was made later in the same coroutine, "
               "inside " +
               quoted_name(node) + " and " + quoted_name(node != nullptr ? node->outer : nullptr) +
               "; end the last first, or start coroutines that share one context with "
               "weft::co_spawn";
    });
}

void give_back(ContextSlot& slot, SlotHandle handle) noexcept {
    slot.state.store(std::uint64_t{handle.generation} << 1, std::memory_order_release); // E1
}

bool unlink_scope_slow(ScopeNode& node) noexcept {
    ContextSlot* slot = node.slot;
    if (slot == nullptr) { return true; } // Never made current.
    ContextSlot* here = active_slot();
    // relaxed: see unlink_scope.
    if (slot == here && node.link.load(std::memory_order_relaxed) == ScopeNode::linked) {
        unlink_held(*slot, node);
        return true;
    }
    // I4. Destroying a suspended coroutine from the loop's owner is no fault; doing it inside another chain is
    // hardly ever meant.
    const bool inside_a_chain = is_chains_own(here);
    const std::string name = name_for_report_of_elsewhere(node);
    if (inside_a_chain) { count_elsewhere(name, here); }
    const std::uint64_t free_state = std::uint64_t{node.slot_generation} << 1;
    std::uint64_t expected = free_state;
    // E1. Holding it also keeps it from being recycled (E3), so `linked` stays true.
    if (slot->state.compare_exchange_strong(
            expected, thread_token(), std::memory_order_acquire, std::memory_order_relaxed)) {
        unlink_held(*slot, node);
        slot->state.store(free_state, std::memory_order_release); // E1
        return true;
    }
    // E3: the slot's holder may be recycling it right now.
    if (node.link.exchange(ScopeNode::ended, std::memory_order_acq_rel) == ScopeNode::linked) {
        if (!inside_a_chain) { count_elsewhere(name, here); }
        return false;
    }
    return true;
}

ContextSlot* InstalledSlot::take() noexcept {
    if (!handle_.empty()) {
        ContextSlot& slot = *SlotPool::at(handle_.index_plus_one - 1);
        std::uint64_t seen = free_state();
        // E1, E2: acquire on success; on failure (relaxed) nothing of the slot is relied on.
        if (slot.state.compare_exchange_strong(
                seen, thread_token(), std::memory_order_acquire, std::memory_order_relaxed)) {
            return held_ = current_slot = &slot;
        }
        // relaxed: a holder reads its own slot's generation; anybody else only decides whether to count.
        if (slot.generation.load(std::memory_order_relaxed) == handle_.generation) {
            if (seen == thread_token()) { return current_slot = &slot; } // Nested in its own.
            count_shared(slot);
        }
    }
    ContextSlot* slot = SlotPool::acquire();
    if (slot == nullptr) { return nullptr; }
    slot->state.store(
        thread_token(), std::memory_order_relaxed); // Fresh from the pool: nobody else knows it.
    slot->release_when_uninstalled = true;
    return held_ = current_slot = slot;
}

void InstalledSlot::give_back() noexcept {
    if (held_->release_when_uninstalled) [[unlikely]] {
        recycle(*held_);
        return;
    }
    held_->state.store(free_state(), std::memory_order_release); // E1
}

SlotLease SlotLease::fork() noexcept {
    finish_ended_chains();
    SlotLease lease;
    ContextSlot* slot = SlotPool::acquire();
    if (slot == nullptr) { return lease; }
    if (ContextSlot* from = active_slot(); from != nullptr) {
        if (const ScopeNode* node = innermost(*from); node != nullptr) {
            slot->base = node->span;
            slot->base_state = node->state;
            slot->wall_offset_ns = node->wall_offset_ns;
        } else {
            slot->base = from->base;
            slot->base_state = from->base_state;
            slot->wall_offset_ns = from->wall_offset_ns;
        }
        slot->suppressed = from->suppressed;
        if (from->values) { slot->values = from->values; }
    }
    lease.slot_ = slot;
    return lease;
}

void SlotLease::release() noexcept {
    ContextSlot* slot = std::exchange(slot_, nullptr);
    // The chain ends in a slice of its own that may have given the slot up: what is left of the slice, such as the
    // completion handler, finds the context again.
    if (current_slice != nullptr && current_slice->is_for(handle_of(*slot))) {
        (void)active_slot();
    }
    // relaxed: only this thread can have put its own token there.
    if (slot->state.load(std::memory_order_relaxed) == thread_token()) {
        slot->release_when_uninstalled = true; // This very slice is the chain's last.
        return;
    }
    if (try_hold(*slot)) {
        recycle(*slot);
        return;
    }
    const std::lock_guard lock(limbo_mutex);
    slot->pool_next = limbo_head;
    limbo_head = slot;
    limbo_hint.store(true, std::memory_order_relaxed); // See limbo_hint.
}

} // namespace detail

ContextFaults context_faults() noexcept {
    // relaxed: independent counters, a snapshot of each is all that is promised.
    return {
        detail::ended_out_of_order.load(std::memory_order_relaxed) +
            detail::scopes_ended_out_of_order.load(std::memory_order_relaxed),
        detail::ended_elsewhere.load(std::memory_order_relaxed) +
            detail::scopes_ended_elsewhere.load(std::memory_order_relaxed),
        detail::shared_concurrently.load(std::memory_order_relaxed)};
}

TraceContext current_trace_context() noexcept {
    detail::ContextSlot* slot = detail::active_slot();
    if (slot == nullptr) { return {}; }
    if (const detail::ScopeNode* node = detail::innermost(*slot); node != nullptr) {
        return {node->span, node->state};
    }
    return {slot->base, slot->base_state};
}

} // namespace weft
