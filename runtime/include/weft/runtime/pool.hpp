#pragma once
// Type-stable storage: objects that are made once, recycled for ever and never freed.
//
// Why: the context executor names its slot by index and generation, and a span that ends on a foreign thread
// leaves a flag behind for the slot's owner. Both read memory whose object may have been recycled meanwhile.
// That is harmless only if the memory always holds an object of the same type.
//
//   thread cache (no lock)  <- batches of `batch` ->  shared list (mutex)  <- slabs of `slab_items` -  operator new
//
// I1  An item is in exactly one of: a thread's cache, the shared list, a caller's hands.
// I2  `at(index)` is valid for every index ever handed out, for the life of the process.
// I3  Slabs are never freed: the pool's high-water mark is its size. `capacity_max` bounds it.
//
// Threads: any. A thread's cache goes back to the shared list when the thread ends. In a forked child the caches of the
// threads that it lacks are lost, at most 2 * batch items each.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>

namespace weft::detail {

/// Base of everything that lives in a `StablePool`.
template <class T>
struct PoolItem {
    T* pool_next = nullptr;       // Owned by whichever list holds the item.
    std::uint32_t pool_index = 0; // Set once when the slab is made.
};

template <class T, std::size_t slab_items_, std::size_t slabs_max_>
class StablePool {
public:
    static constexpr std::size_t slab_items = slab_items_;
    static constexpr std::size_t capacity_max = slab_items_ * slabs_max_;
    static constexpr std::size_t batch = 32;

    /// A recycled or new item, or null when there is no memory or `capacity_max` is reached.
    /// Cost: a thread-local list pop; every `batch` calls one mutex.
    [[nodiscard]] static T* acquire() noexcept {
        Cache& cache = cache_;
        T* item = cache.head;
        if (item == nullptr) [[unlikely]] {
            if (!refill(cache)) { return nullptr; }
            item = cache.head;
        }
        cache.head = item->pool_next;
        --cache.count;
        return item;
    }

    /// Gives an item back. Threads: any, not only the one that acquired it.
    static void release(T* item) noexcept {
        Cache& cache = cache_;
        item->pool_next = cache.head;
        cache.head = item;
        if (++cache.count >= cache.limit) [[unlikely]] { overflow(cache); }
    }

    /// The item with this index (I2). `index` must have been handed out.
    [[nodiscard]] static T* at(std::uint32_t index) noexcept {
        // relaxed: whoever got the index got it after the slab was published (E1 or a hand-over of its own).
        T* slab = slabs_[index / slab_items].load(std::memory_order_relaxed);
        return slab + index % slab_items;
    }

    /// For a ForkGuard beside the pool's users.
    [[nodiscard]] static std::mutex& mutex() noexcept { return mutex_; }

    /// Calls `visit` with every item there is, in whatever hands: it may only read what is atomic in them.
    /// Threads: any, beside all else.
    template <class Visit>
    static void for_each(Visit&& visit) {
        for (const auto& place : slabs_) {
            const T* slab = place.load(std::memory_order_acquire); // E1
            if (slab == nullptr) { return; }
            for (std::size_t i = 0; i < slab_items; ++i) { visit(slab[i]); }
        }
    }

private:
    struct Cache {
        T* head = nullptr;
        std::size_t count = 0;
        std::size_t limit =
            1; // 1 before the exit guard is registered and once it has run: keep nothing here.
        bool guarded = false; // This thread's exit guard is registered, or has run.
    };
    struct ExitGuard {
        ~ExitGuard() {
            cache_.limit = 1;
            spill(cache_, cache_.count);
        }
    };

    // From here on the thread may keep items: they go back when it ends.
    static void register_guard(Cache& cache) noexcept {
        cache.guarded = true;
        cache.limit = 2 * batch;
        [[maybe_unused]] static thread_local ExitGuard guard;
    }

    static void overflow(Cache& cache) noexcept {
        if (!cache.guarded) { register_guard(cache); } // A thread that has only released so far.
        if (cache.count >= cache.limit) { spill(cache, batch); }
    }

    static bool refill(Cache& cache) noexcept {
        if (!cache.guarded) { register_guard(cache); }
        const std::lock_guard lock(mutex_);
        const std::size_t wanted = cache.limit == 1 ? 1 : batch;
        for (std::size_t i = 0; i < wanted; ++i) {
            if (shared_ == nullptr && !grow()) { break; }
            T* item = shared_;
            shared_ = item->pool_next;
            item->pool_next = cache.head;
            cache.head = item;
            ++cache.count;
        }
        return cache.head != nullptr;
    }

    static void spill(Cache& cache, std::size_t count) noexcept {
        const std::lock_guard lock(mutex_);
        for (; count > 0 && cache.head != nullptr; --count) {
            T* item = cache.head;
            cache.head = item->pool_next;
            --cache.count;
            item->pool_next = shared_;
            shared_ = item;
        }
    }

    // Caller holds mutex_.
    static bool grow() noexcept {
        if (slab_count_ == slabs_max_) { return false; }
        auto* slab = static_cast<T*>(
            ::operator new (sizeof(T) * slab_items, std::align_val_t{alignof(T)}, std::nothrow));
        if (slab == nullptr) { return false; }
        for (std::size_t i = slab_items; i-- > 0;) {
            T* item = new (slab + i) T;
            item->pool_index = static_cast<std::uint32_t>(slab_count_ * slab_items + i);
            item->pool_next = shared_;
            shared_ = item;
        }
        // E1: release, read by at() and for_each; indices travel to other threads only after this.
        slabs_[slab_count_].store(slab, std::memory_order_release);
        ++slab_count_;
        return true;
    }

    static inline constinit thread_local Cache cache_{};
    static inline constinit std::mutex mutex_{}; // Guards shared_ and slab_count_.
    static inline constinit T* shared_ = nullptr;
    static inline constinit std::size_t slab_count_ = 0;
    // Written once per slab under mutex_, read by any thread.
    static inline constinit std::array<std::atomic<T*>, slabs_max_> slabs_{};
};

} // namespace weft::detail
