#include <weft/runtime/record_queue.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>

namespace weft {

namespace {

// Descriptors of discarded queues, for queues to come. They are not closed: a late producer may still write to one, and
// must then wake the wrong drain for nothing rather than write to somebody's file.
struct SpareEvents {
    std::mutex mutex; // Guards descriptors.
    std::vector<int> descriptors;
};

SpareEvents& spare_events() {
    static auto& spare =
        *new SpareEvents; // Never destroyed: queues come and go until the very end.
    return spare;
}

int take_event() {
    SpareEvents& spare = spare_events();
    const std::lock_guard lock(spare.mutex);
    if (spare.descriptors.empty()) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
    const int descriptor = spare.descriptors.back();
    spare.descriptors.pop_back();
    return descriptor;
}

void give_back_event(int descriptor) noexcept {
    try {
        SpareEvents& spare = spare_events();
        const std::lock_guard lock(spare.mutex);
        spare.descriptors.push_back(descriptor);
    } catch (const std::bad_alloc&) {} // It stays open, unused.
}

// A child and its parent must not wake each other.
void lock_spare_events(void*) noexcept { spare_events().mutex.lock(); }
void unlock_spare_events(void*) noexcept { spare_events().mutex.unlock(); }
void close_spare_events_in_child(void*) noexcept {
    for (const int descriptor : spare_events().descriptors) { close(descriptor); }
    spare_events().descriptors.clear();
    spare_events().mutex.unlock();
}
[[maybe_unused]] detail::ForkGuard at_fork{
    {detail::ForkOrder::leaf, nullptr, lock_spare_events, unlock_spare_events,
     close_spare_events_in_child}};

} // namespace

RecordQueue::RecordQueue(std::size_t bytes, unsigned shards) {
    shards = std::bit_ceil(shards);
    for (unsigned i = 0; i < shards; ++i) {
        rings_.push_back(std::make_unique<ByteRing>(bytes / shards));
    }
    (void)wake_descriptor();
}

RecordQueue::~RecordQueue() {
    const int event = event_.load(std::memory_order_relaxed); // See event_.
    if (!discarded_ && event >= 0) { close(event); }
}

int RecordQueue::wake_descriptor() {
    int event = event_.load(std::memory_order_relaxed); // See event_.
    if (event >= 0) { return event; }
    event = take_event();
    if (event < 0) { throw std::system_error(errno, std::generic_category(), "eventfd"); }
    event_.store(event, std::memory_order_relaxed); // See event_.
    return event;
}

void RecordQueue::on_fork_in_child(void* queue) noexcept {
    auto& self = *static_cast<RecordQueue*>(queue);
    for (const auto& ring : self.rings_) { ring->reset(); }
    // relaxed throughout: there is one thread.
    self.armed_.store(false, std::memory_order_relaxed);
    const int event = self.event_.exchange(-1, std::memory_order_relaxed);
    if (!self.discarded_ && event >= 0) { close(event); }
}

RecordQueue::Mark RecordQueue::mark() const {
    Mark mark;
    mark.reserve(rings_.size());
    for (const auto& ring : rings_) { mark.push_back(ring->frames_accepted()); }
    return mark;
}

bool RecordQueue::has_consumed(const Mark& mark) const noexcept {
    for (std::size_t i = 0; i < rings_.size(); ++i) {
        if (rings_[i]->frames_consumed() < mark[i]) { return false; }
    }
    return true;
}

std::uint64_t RecordQueue::records_accepted() const noexcept {
    std::uint64_t total = 0;
    for (const auto& ring : rings_) { total += ring->frames_accepted(); }
    return total;
}

std::uint64_t RecordQueue::records_consumed() const noexcept {
    std::uint64_t total = 0;
    for (const auto& ring : rings_) { total += ring->frames_consumed(); }
    return total;
}

std::size_t RecordQueue::used_bytes() const noexcept {
    std::size_t total = 0;
    for (const auto& ring : rings_) { total += ring->used_bytes(); }
    return total;
}

std::size_t RecordQueue::capacity() const noexcept {
    std::size_t total = 0;
    for (const auto& ring : rings_) { total += ring->capacity(); }
    return total;
}

void RecordQueue::arm() noexcept {
    // relaxed: a producer that misses it leaves the wake-up to the next one, or to the drain's timer.
    armed_.store(true, std::memory_order_relaxed);
}

void RecordQueue::disarm() noexcept {
    armed_.store(false, std::memory_order_relaxed); // As in arm.
    std::uint64_t count;
    // Non-blocking and idempotent: nothing to read is as good as something read.
    [[maybe_unused]] const auto bytes =
        read(event_.load(std::memory_order_relaxed), &count, sizeof count); // See event_.
}

void RecordQueue::wake() noexcept {
    // relaxed: the descriptor carries the wake-up, the flag only spares system calls.
    if (!armed_.load(std::memory_order_relaxed)) { return; }
    if (!armed_.exchange(false, std::memory_order_relaxed)) {
        return;
    } // Another producer was first.
    const std::uint64_t one = 1;
    // A full counter is readable already; errno of the host's thread is kept.
    const int saved = errno;
    [[maybe_unused]] const auto bytes =
        write(event_.load(std::memory_order_relaxed), &one, sizeof one); // See event_.
    errno = saved;
}

void RecordQueue::discard() noexcept {
    for (const auto& ring : rings_) { ring->discard_pages(); }
    if (std::exchange(discarded_, true)) { return; }
    disarm();
    const int event = event_.load(std::memory_order_relaxed); // See event_.
    if (event >= 0) { give_back_event(event); }
}

std::size_t RecordQueue::next_shard() noexcept {
    // Written by every thread once; relaxed: only distinct numbers matter.
    static constinit std::atomic<std::size_t> next{1};
    return next.fetch_add(1, std::memory_order_relaxed);
}

} // namespace weft
