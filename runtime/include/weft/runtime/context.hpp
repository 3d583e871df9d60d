#pragma once
// The context of a chain of work: which span is current, what it inherited, whether telemetry is suppressed.
//
// A coroutine chain owns one ContextSlot. At every resume its executor notes in a thread-local whose slice runs; the
// slice takes the slot when something looks at the context, and gives it back. So the context follows the coroutine and
// not the thread. Code outside of any chain (main, a plain
// thread, a foreign callback) uses its thread's own ambient slot.
//
//   current_slot ──▶ ContextSlot ── head ──▶ ScopeNode (innermost span) ── outer ──▶ ScopeNode ──▶ null
//                        └── base: what the spawner was doing (a context, not a pointer: the spawner may end first)
//
// I1  A slot is held by at most one thread at a time; everything in it but `state` is plain memory, touched only by
//     the thread that holds it. A second thread that wants it (a plain asio::co_spawn on the same executor, run in
//     parallel) gets no context for that slice instead, and the case is counted.
// I2  A handle is an index and a generation. The generation changes when the chain ends, so a left-over handler
//     finds no context, never somebody else's.
// I3  Spans of one slot form a stack. Ending one that is not innermost unlinks it from the middle: the others keep
//     their parents, and the case is counted.
// I4  A span that ends where its slot is not installed takes the slot for that moment (a suspended coroutine being
//     destroyed). Where it cannot, because the slot is in use, it sets `link` to ended and leaves the node to the
//     slot's next user (E3), or, when the slot is already gone, finishes itself.
// I5  An ambient slot is held by its thread from the beginning to the end.
// I6  A slice takes its slot when it first looks at the context, gives it up when the chain's executor is asked to run
//     something or to track work, and takes it again if it looks once more. For a coroutine that suspends does so by starting an operation, every
//     operation asks its handler's executor first, and from then on another thread may resume the chain, long before
//     this slice has returned from Asio's frames.
// E1  giving up stores state (release) -> taking compare-exchanges it (acquire): the slot's plain fields are visible.
// E2  recycle stores state (release) -> taking by a stale handle (acquire) fails on the generation.
// E3  end() exchanges link (acq_rel) <-> recycle() exchanges link (acq_rel): exactly one side finishes the node.
// E4  link_scope stores link, then place (release) -> who lists spans loads place, then link (acquire): not an earlier
//     life's `link`, and who sees a later life's sees that this one is over (signals/src/shown.hpp, S2).

#include <weft/runtime/context_values.hpp>
#include <weft/runtime/pool.hpp>
#include <weft/runtime/span_context.hpp>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace weft {

namespace detail {

struct ContextSlot;

/// One current span, seen from the context's side. The span's own record derives from it.
struct ScopeNode {
    enum Link : std::uint8_t { unlinked, linked, ended, orphaned };

    ScopeNode* outer = nullptr; // Next towards the root; plain, by I1.
    ScopeNode* inner = nullptr; // Next towards the current span; plain, by I1.
    ContextSlot* slot =
        nullptr; // Where it is linked, and under which generation. Plain: written before anybody
    std::uint32_t slot_generation = 0; // else can know the node.
    void (*finish)(ScopeNode*) noexcept =
        nullptr; // Exports and frees a span that ended elsewhere (I4).
    SpanContext span;
    TraceState state;
    std::int64_t wall_offset_ns = 0; // Wall clock minus steady clock, fixed for one local trace.
    std::atomic<Link> link{
        unlinked}; // Written by the span's owner and by the slot's holder; see E3.
    // Slot index plus one << 32 | depth in its stack; 0: never current. Written by whoever links the node, read by any
    // thread that lists what is open (E4). Depths rise towards the current span, also after one is cut out (I3).
    std::atomic<std::uint64_t> place{0};
    bool recording = false;
};

struct alignas(64) ContextSlot : PoolItem<ContextSlot> {
    // Free: generation << 1. Held: the holder's thread token, odd. Written by the holder and by whoever takes a free
    // slot, compared by any thread.
    std::atomic<std::uint64_t> state{2};
    // Written by recycle only; read by the slot's holder, and by anybody else only to tell stale from shared.
    std::atomic<std::uint32_t> generation{1};
    std::uint32_t suppressed = 0; // How many scopes say so, inherited ones included.
    bool release_when_uninstalled = false;
    ScopeNode* head = nullptr;
    SpanContext base;
    TraceState base_state;
    ContextValuesRef values;
    std::int64_t wall_offset_ns = 0; // 0: none inherited.
    // A thread's own. Written by its thread, read by any that lists spans; relaxed: it only chooses a word.
    std::atomic<bool> is_ambient{false};
};

/// For messages: a scope's name. Set by the signals module before any scope is linked; null without it.
using ScopeNameFunction = std::string_view (*)(const ScopeNode& node) noexcept;
inline constinit ScopeNameFunction scope_name = nullptr;

/// For messages about a slot that another thread holds: the names of its two innermost spans, innermost first; empty
/// where there are fewer. Set and null as `scope_name`. Threads: any.
using NamesInSlotFunction = std::pair<std::string, std::string> (*)(std::uint32_t slot_index);
inline constinit NamesInSlotFunction names_in_slot = nullptr;

using SlotPool = StablePool<ContextSlot, 1024, 4096>;

class InstalledSlot;
/// The innermost slice of a chain that runs on this thread; null outside of any.
inline constinit thread_local InstalledSlot* current_slice = nullptr;
/// The slot that this thread holds for what runs on it now: the slice's own, or outside of any slice the ambient one.
/// Null: not asked for yet, or given up (I6).
inline constinit thread_local ContextSlot* current_slot = nullptr;
/// How many slices have begun on this thread, for who measures its event loop. relaxed: written by this thread alone, with
/// plain loads and stores; a late reader is a little behind.
inline constinit thread_local std::atomic<std::uint64_t> thread_slices{0};
/// Its address, made odd, is this thread's token.
inline constinit thread_local char thread_token_place = 0;
[[nodiscard]] inline std::uint64_t thread_token() noexcept {
    return (reinterpret_cast<std::uintptr_t>(&thread_token_place) << 1) | 1;
}

/// This thread's own slot for code outside of any chain. Null only without memory.
[[nodiscard]] ContextSlot* ambient_slot() noexcept;

/// Fills `current_slot`: with the slice's slot, or outside of any slice with this thread's own.
[[nodiscard]] ContextSlot* take_slot() noexcept;

// A call where Clang compiles: it may keep the address of a thread_local in a coroutine's frame across a suspension, and
// the coroutine then reads the slot of the thread that it was on before (LLVM issues 47179 and 63022).
#ifdef __clang__
[[gnu::noinline]]
#endif
[[nodiscard]] inline ContextSlot*
active_slot() noexcept {
    ContextSlot* slot = current_slot;
    return slot != nullptr ? slot : take_slot();
}

/// Drops spans that ended elsewhere from the top of the stack (I4). Called by the slot's holder.
void reap_ended(ContextSlot& slot) noexcept;

[[nodiscard]] inline ScopeNode* innermost(ContextSlot& slot) noexcept {
    ScopeNode* head = slot.head;
    // acquire: pairs with end()'s exchange, so the ended span's last writes happen before it is finished here.
    if (head != nullptr && head->link.load(std::memory_order_acquire) == ScopeNode::ended)
        [[unlikely]] {
        reap_ended(slot);
        head = slot.head;
    }
    return head;
}

/// Makes `node` the innermost current span of `slot`, which is held here.
inline void link_scope(ContextSlot& slot, ScopeNode& node) noexcept {
    ScopeNode* head = innermost(slot);
    node.outer = head;
    node.inner = nullptr;
    node.slot = &slot;
    node.slot_generation =
        slot.generation.load(std::memory_order_relaxed); // relaxed: read by the slot's holder.
    node.link.store(
        ScopeNode::linked, std::memory_order_release); // E4. Nobody else knows the node.
    // relaxed: read by the slot's holder.
    const auto below = head != nullptr
                           ? static_cast<std::uint32_t>(head->place.load(std::memory_order_relaxed))
                           : 0;
    node.place.store(
        (std::uint64_t{slot.pool_index} + 1) << 32 | (below + 1), std::memory_order_release); // E4
    if (head != nullptr) { head->inner = &node; }
    slot.head = &node;
}

/// The uncommon ways to leave: not innermost, not held here, slot gone. True if the caller still owns the node.
[[nodiscard]] bool unlink_scope_slow(ScopeNode& node) noexcept;

/// Takes `node` out of its slot. True if the caller owns (and frees) it, false if it was left to the slot (I4).
[[nodiscard]] inline bool unlink_scope(ScopeNode& node) noexcept {
    ContextSlot* slot = node.slot;
    // relaxed: if the slot is held here, only a recycle could have changed it, and that happened before this thread
    // could get the slot again.
    if (slot != nullptr && slot == current_slot && slot->head == &node &&
        node.link.load(std::memory_order_relaxed) == ScopeNode::linked) [[likely]] {
        slot->head = node.outer;
        if (node.outer != nullptr) { node.outer->inner = nullptr; }
        return true;
    }
    return unlink_scope_slow(node);
}

/// Name of a slot that stays valid after the slot has been recycled (I2). Trivially copyable, 8 bytes.
struct SlotHandle {
    std::uint32_t index_plus_one = 0; // 0: no context.
    std::uint32_t generation = 0;
    friend bool operator==(SlotHandle, SlotHandle) noexcept = default;
    [[nodiscard]] bool empty() const noexcept { return index_plus_one == 0; }
};

[[nodiscard]] inline SlotHandle handle_of(const ContextSlot& slot) noexcept {
    // relaxed: asked by the slot's owner, for whom the generation cannot change meanwhile.
    return {slot.pool_index + 1, slot.generation.load(std::memory_order_relaxed)};
}

/// One slice of a chain: from the call of its executor's function to the return. Takes the chain's slot when something
/// looks at the context, holds it until it ends or gives it up (I6), and puts back what was there before.
class InstalledSlot {
public:
    explicit InstalledSlot(SlotHandle handle) noexcept
        : handle_(handle), previous_slice_(std::exchange(current_slice, this)),
          previous_slot_(std::exchange(current_slot, nullptr)) {
        constexpr auto order = std::memory_order_relaxed; // See thread_slices.
        thread_slices.store(thread_slices.load(order) + 1, order);
    }
    InstalledSlot(const InstalledSlot&) = delete;
    InstalledSlot& operator=(const InstalledSlot&) = delete;
    ~InstalledSlot() {
        current_slice = previous_slice_;
        current_slot = previous_slot_;
        if (held_ != nullptr) { give_back(); }
    }

    [[nodiscard]] bool is_for(SlotHandle handle) const noexcept { return handle_ == handle; }

    /// I6. Not for a slot that goes with this slice: there is nobody to take it.
    void give_up() noexcept {
        if (held_ == nullptr || held_->release_when_uninstalled) { return; }
        current_slot = nullptr;
        std::exchange(held_, nullptr)->state.store(free_state(), std::memory_order_release); // E1
    }

    /// The slice's slot, for the first time or once more. Where it cannot be had, stale or in use on another thread
    /// (counted), an empty one for this slice alone: neither another chain's context nor the thread's own may be found
    /// in it. Null only without memory.
    ContextSlot* take() noexcept;

private:
    [[nodiscard]] std::uint64_t free_state() const noexcept {
        return std::uint64_t{handle_.generation} << 1;
    }
    void give_back() noexcept;

    const SlotHandle handle_;
    InstalledSlot* const previous_slice_;
    ContextSlot* const previous_slot_;
    ContextSlot* held_ = nullptr; // Null: not taken, given up, or nested in a slice that holds it.
};

/// To be called before the executor of a chain is handed to an operation (I6).
inline void give_up_slot(SlotHandle handle) noexcept {
    InstalledSlot* slice = current_slice;
    if (slice != nullptr && slice->is_for(handle)) { slice->give_up(); }
}

/// Finishes the spans of chains that ended while a slice of theirs ran elsewhere, unless it still runs. To be called
/// before spans are counted or flushed. Threads: any. Cost: one load when there are none.
void finish_ended_chains() noexcept;

/// The slot of another chain, for what is destroyed where it was not made: held until `give_back`, or null when it is in
/// use or its chain is over. Counts and reports what cannot have been meant.
[[nodiscard]] ContextSlot* hold_elsewhere(SlotHandle handle) noexcept;
void give_back(ContextSlot& slot, SlotHandle handle) noexcept;
/// Counts and reports a `with` scope that ended before one made later in its chain.
void count_scope_out_of_order(ContextSlot& slot) noexcept;

/// Ownership of a slot by a coroutine chain. Destruction ends the chain's context (I2).
class SlotLease {
public:
    SlotLease() noexcept = default;
    /// A slot seeded with what is current on this thread. Empty (no context) when there is no memory.
    [[nodiscard]] static SlotLease fork() noexcept;

    SlotLease(SlotLease&& other) noexcept : slot_(other.slot_) { other.slot_ = nullptr; }
    SlotLease& operator=(SlotLease&& other) noexcept {
        std::swap(slot_, other.slot_);
        return *this;
    }
    ~SlotLease() {
        if (slot_ != nullptr) { release(); }
    }

    [[nodiscard]] SlotHandle handle() const noexcept {
        return slot_ == nullptr ? SlotHandle{} : handle_of(*slot_);
    }
    [[nodiscard]] ContextSlot* slot() const noexcept { return slot_; }

private:
    void release() noexcept;
    ContextSlot* slot_ = nullptr;
};

} // namespace detail

/// How often the context had to be healed. Each is a bug in the calling code that did no other harm; the first of
/// each kind is reported as a warning that names the spans.
/// Source: docs/context.md, "Misuse".
struct ContextFaults {
    std::uint64_t ended_out_of_order =
        0; ///< A span, or a scope of `with`, ended while one started later in its chain was open.
    std::uint64_t ended_elsewhere =
        0; ///< A span or scope ended inside another chain, or while its own ran elsewhere.
    std::uint64_t shared_concurrently =
        0; ///< Two coroutines of one slot ran at once: spawn with weft::co_spawn.
};
/// Totals of this process. Threads: any.
[[nodiscard]] ContextFaults context_faults() noexcept;

/// Identity of the current span, or of what this chain inherited; invalid when there is neither.
/// Threads: any. Cost: a few loads, no allocation.
[[nodiscard]] inline const SpanContext& current_span_context() noexcept {
    static constexpr SpanContext none{};
    detail::ContextSlot* slot = detail::active_slot();
    if (slot == nullptr) { return none; }
    const detail::ScopeNode* node = detail::innermost(*slot);
    return node != nullptr ? node->span : slot->base;
}

/// As above, with the trace state: what a propagator injects.
[[nodiscard]] TraceContext current_trace_context() noexcept;

} // namespace weft
