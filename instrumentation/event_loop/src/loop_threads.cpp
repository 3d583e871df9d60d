#include "loop_threads.hpp"

#include <weft/runtime/context.hpp>

#include <pthread.h>

#include <algorithm>
#include <atomic>

namespace weft::detail {
namespace {

std::int64_t clock_ns(clockid_t clock) noexcept {
    timespec time{};
    if (clock_gettime(clock, &time) != 0) { return 0; }
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

std::uint64_t slices_at(const void* place) noexcept {
    // relaxed: a count, written by its thread alone.
    return static_cast<const std::atomic<std::uint64_t>*>(place)->load(std::memory_order_relaxed);
}

} // namespace

/// The loops that know this thread; its destructor is the thread's end (T1).
class ThreadMembership {
public:
    ThreadMembership() = default;
    ThreadMembership(const ThreadMembership&) = delete;
    ThreadMembership& operator=(const ThreadMembership&) = delete;
    ~ThreadMembership() {
        for (const auto& weak : loops_) {
            if (const auto loop = weak.lock()) { loop->remove(thread_token()); }
        }
    }
    /// Errors: std::bad_alloc.
    void add(std::weak_ptr<LoopThreads> loop) {
        std::erase_if(loops_, [](const auto& weak) { return weak.expired(); });
        loops_.push_back(std::move(loop));
    }

private:
    std::vector<std::weak_ptr<LoopThreads>> loops_;
};

void LoopThreads::add(Totals& totals, const Thread& thread) noexcept {
    totals.cpu_ns += std::max<std::int64_t>(clock_ns(thread.clock) - thread.cpu_before_ns, 0);
    totals.slices += slices_at(thread.slices) - thread.slices_before;
}

void LoopThreads::add_this_thread() {
    const auto token = thread_token();
    const std::lock_guard lock(mutex_);
    const bool known = std::any_of(threads_.begin(), threads_.end(), [&](const Thread& thread) {
        return thread.token == token;
    });
    if (known) { return; }
    Thread thread{.token = token, .slices = &thread_slices};
    if (pthread_getcpuclockid(pthread_self(), &thread.clock) != 0) { return; }
    thread.cpu_before_ns = clock_ns(thread.clock);
    thread.slices_before = slices_at(thread.slices);
    threads_.reserve(threads_.size() + 1);
    static thread_local ThreadMembership membership;
    membership.add(weak_from_this());
    threads_.push_back(thread);
}

void LoopThreads::remove(std::uint64_t token) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(threads_.begin(), threads_.end(), [&](const Thread& thread) {
        return thread.token == token;
    });
    if (found == threads_.end()) { return; }
    add(ended_, *found);
    threads_.erase(found);
}

LoopThreads::Totals LoopThreads::totals() const {
    const std::lock_guard lock(mutex_);
    Totals totals = ended_;
    for (const auto& thread : threads_) { add(totals, thread); }
    totals.threads = threads_.size();
    return totals;
}

} // namespace weft::detail
