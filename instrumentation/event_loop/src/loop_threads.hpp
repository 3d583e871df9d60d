#pragma once
// The threads that run one event loop, as its probes find them.
//
// A thread is remembered from the first probe that it ran until it ends. Its CPU clock and its count of slices may be
// read from any thread while it lives: its end takes the mutex first (T1).

#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <vector>

namespace weft::detail {

/// Threads: any.
class LoopThreads : public std::enable_shared_from_this<LoopThreads> {
public:
    /// What all of them have done so far. Never less than before, also when a thread has ended.
    struct Totals {
        std::int64_t cpu_ns = 0;
        std::uint64_t slices = 0;
        std::size_t threads = 0; ///< Alive.
    };

    /// Remembers the calling thread; it counts from now on. Errors: std::bad_alloc.
    void add_this_thread();
    [[nodiscard]] Totals totals() const;

private:
    friend class ThreadMembership;

    struct Thread {
        std::uint64_t token = 0;
        clockid_t clock{};
        const void* slices = nullptr;
        std::int64_t cpu_before_ns = 0; // When it was added.
        std::uint64_t slices_before = 0;
    };

    void remove(std::uint64_t token) noexcept;
    static void add(Totals& totals, const Thread& thread) noexcept;

    mutable std::mutex mutex_; // T1. Guards all below.
    std::vector<Thread> threads_;
    Totals ended_; // Of threads that are no more.
};

} // namespace weft::detail
