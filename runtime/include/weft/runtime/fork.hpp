#pragma once
// What fork() asks of the library, in one place. A forked child has one thread, the one that forked, and a copy of all
// memory as it was at that moment: mutexes that others held stay locked in it for ever, records are in it twice, and
// descriptors are shared with the parent.
//
//   before       mutexes are taken, in ForkOrder        ─┐ so that the child finds what they guard at rest
//   in_parent    mutexes are released, in reverse         │
//   in_child     the same; what was inherited is let go  ─┘ no thread is started, nothing is allocated
//
// F1  Every mutex that a child may come to need is held across the fork by a ForkGuard or ForkRegistration. What a child
//     leaves behind for good (its parent's export thread, event loop, connections) needs none.
// F2  Whoever takes a second mutex takes it in ForkOrder. `leaf` mutexes are taken last, and never two of them.
// F3  A registration is made and ended without holding any of these mutexes: the registry's own comes first.
// F4  Nobody forks inside a call of the library, such as a diagnostics handler.
//
// Handlers run inside fork() only. Children of vfork, posix_spawn, system and _Fork run none, and may only exec or _exit.

#include <cstdint>
#include <mutex>

namespace weft::detail {

/// In which order mutexes are taken before a fork: as code that holds several takes them.
enum class ForkOrder : std::uint8_t {
    lifecycle, ///< Start and end of exports.
    host,      ///< Lists of hooks.
    context,   ///< Chains that wait to be recycled: frees spans, hence before pools.
    callbacks, ///< Of observable instruments: a callback may do anything that follows.
    handles,   ///< Bound instruments: given their series, hence before meters.
    meters,    ///< What runtimes know of their metrics.
    table,     ///< The table of scopes: its first use takes memory from pools.
    leaf       ///< Pools, descriptors, the library's own log: nothing is taken while they are held.
};

/// What to do around a fork. Each function may be null; `subject` is what it is called with.
struct ForkHandler {
    using Function = void (*)(void* subject) noexcept;

    ForkOrder order = ForkOrder::leaf;
    void* subject = nullptr;
    Function before = nullptr;
    Function in_parent = nullptr;
    Function in_child = nullptr;
    ForkHandler* next = nullptr; // The registry's, as below.
    ForkHandler* previous = nullptr;
};

/// Threads: any. Lifetime: `handler` stays where it is until it is removed, or for ever.
void add_fork_handler(ForkHandler& handler) noexcept;
/// Waits for a fork under way.
void remove_fork_handler(ForkHandler& handler) noexcept;

/// Locks and unlocks the mutex that is its subject.
void lock_before_fork(void* mutex) noexcept;
void unlock_after_fork(void* mutex) noexcept;

/// At namespace scope: a handler for the life of the process.
class ForkGuard {
public:
    explicit ForkGuard(const ForkHandler& handler) noexcept : handler_(handler) {
        add_fork_handler(handler_);
    }
    /// Holds a mutex across forks.
    ForkGuard(ForkOrder order, std::mutex& mutex) noexcept
        : ForkGuard({order, &mutex, lock_before_fork, unlock_after_fork, unlock_after_fork}) {}
    ForkGuard(const ForkGuard&) = delete;
    ForkGuard& operator=(const ForkGuard&) = delete;
    // No destructor: a fork among static destructors is a fork.

private:
    ForkHandler handler_;
};

/// As a member: a handler for the life of an object.
class ForkRegistration {
public:
    explicit ForkRegistration(const ForkHandler& handler) noexcept : handler_(handler) {
        add_fork_handler(handler_);
    }
    ForkRegistration(ForkOrder order, std::mutex& mutex) noexcept
        : ForkRegistration(
              {order, &mutex, lock_before_fork, unlock_after_fork, unlock_after_fork}) {}
    ForkRegistration(const ForkRegistration&) = delete;
    ForkRegistration& operator=(const ForkRegistration&) = delete;
    ~ForkRegistration() { remove_fork_handler(handler_); }

private:
    ForkHandler handler_;
};

/// Note of a descriptor that this process shares with no child: the child's copy is closed before fork() returns there.
/// A copy would hold a connection open that the parent has closed, and keep it in the parent's epoll set.
/// Threads: one at a time.
class OwnDescriptor {
public:
    OwnDescriptor() noexcept = default;
    OwnDescriptor(const OwnDescriptor&) = delete;
    OwnDescriptor& operator=(const OwnDescriptor&) = delete;
    ~OwnDescriptor() {
        close([] {}, [] {});
    }

    /// Calls `open`, which returns a new descriptor, or less than 0 for none, with no fork in between.
    template <class Open>
    void open(Open&& open) {
        const std::lock_guard lock(mutex());
        note(open());
    }
    /// Calls `close`, with no fork in between. In a child of the process that opened it, where it has been closed,
    /// calls `forget` instead.
    template <class Close, class Forget>
    void close(Close&& close, Forget&& forget) noexcept {
        const std::lock_guard lock(mutex());
        if (is_lost_) {
            forget();
        } else {
            close();
        }
        strike();
    }

private:
    static std::mutex& mutex() noexcept;
    static void close_all_in_child(void*) noexcept;
    void note(int descriptor) noexcept; // With the mutex, as below.
    void strike() noexcept;

    int descriptor_ = -1; // -1: none is noted.
    bool is_lost_ = false;
    OwnDescriptor* next_ = nullptr;
    OwnDescriptor* previous_ = nullptr;

    static constinit OwnDescriptor* first_;
    static ForkGuard at_fork_;
};

} // namespace weft::detail
