#include <weft/runtime/record_queue.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
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

// Of the parents of this process. Never freed: the parent's drain may have been in the middle of anything. Reachable from
// here, so that leak checkers see the intent.
constinit void* inherited = nullptr; // Written by fork handlers only.

} // namespace

RecordQueue::RecordQueue(std::size_t bytes, unsigned shards) {
    shards = std::bit_ceil(shards);
    for (unsigned i = 0; i < shards; ++i) {
        rings_.push_back(std::make_unique<ByteRing>(bytes / shards));
        in_memory_.push_back(rings_.back().get());
    }
    shard_mask_ = shards - 1;
    open_.store(in_memory_.data(), std::memory_order_relaxed); // Nobody knows it yet.
    (void)wake_descriptor();
}

RecordQueue::~RecordQueue() {
    const int event = event_.load(std::memory_order_relaxed); // See event_.
    if (!discarded_ && event >= 0) { close(event); }
    if (!discarded_) { leave_file(); }
}

int RecordQueue::wake_descriptor() {
    int event = event_.load(std::memory_order_relaxed); // See event_.
    if (event >= 0) { return event; }
    event = take_event();
    if (event < 0) { throw std::system_error(errno, std::generic_category(), "eventfd"); }
    event_.store(event, std::memory_order_relaxed); // See event_.
    return event;
}

void RecordQueue::make_durable(std::unique_ptr<RingFile> file) {
    auto made = std::make_unique<Durable>();
    for (unsigned i = 0; i <= shard_mask_; ++i) {
        made->rings.push_back(file->map_ring(i));
        made->open.push_back(made->rings.back().get());
    }
    made->adopted = std::make_unique<AdoptedRecords>();
    const std::lock_guard lock(file_mutex_);
    made->file = std::move(file);
    durable_ = std::move(made);
}

void RecordQueue::divert_to_file() noexcept {
    open_.store(durable_->open.data(), std::memory_order_release); // Q1
}

void RecordQueue::adopt(std::unique_ptr<AdoptedRecords> records) noexcept {
    durable_->adopted = std::move(records);
}

void RecordQueue::add_scope(
    std::uint16_t index, std::string_view message, std::string_view schema_url) noexcept {
    const std::lock_guard lock(file_mutex_);
    if (durable_ && durable_->file) { durable_->file->add_scope(index, message, schema_url); }
}

void RecordQueue::release(std::uint64_t settled) noexcept {
    if (!durable_) { return; }
    auto& runs = durable_->runs;
    while (durable_->released < settled && !runs.empty()) { // Bound: runs.
        Run& run = runs.front();
        const auto records = std::min(run.records, settled - durable_->released);
        const std::size_t in_file = run.source - rings_.size();
        if (run.source >= rings_.size()) {
            if (in_file == durable_->rings.size()) {
                durable_->adopted->release(records);
            } else {
                durable_->rings[in_file]->release(records);
            }
        }
        durable_->released += records;
        run.records -= records;
        if (run.records == 0) { runs.pop_front(); }
    }
}

std::string RecordQueue::path() const {
    return durable_ && durable_->file ? durable_->file->path() : std::string();
}

void RecordQueue::on_fork_in_child(void* queue) noexcept {
    auto& self = *static_cast<RecordQueue*>(queue);
    // relaxed throughout: there is one thread.
    self.open_.store(self.in_memory_.data(), std::memory_order_relaxed);
    if (Durable* left = self.durable_.release()) { // Its memory is not there.
        left->next_inherited = static_cast<Durable*>(inherited);
        inherited = left;
    }
    self.first_ = 0;
    for (const auto& ring : self.rings_) { ring->reset(); }
    self.armed_.store(false, std::memory_order_relaxed);                   // As above.
    const int event = self.event_.exchange(-1, std::memory_order_relaxed); // As above.
    if (!self.discarded_ && event >= 0) { close(event); }
    // Whoever held it is not here. Not locked before a fork: queues have no order among themselves.
    new (&self.file_mutex_) std::mutex;
}

RecordQueue::Mark RecordQueue::mark() const {
    Mark mark;
    mark.reserve(source_count());
    for_each_ring([&](const ByteRing& ring) { mark.push_back(ring.frames_accepted()); });
    if (durable_) { mark.push_back(durable_->adopted->accepted()); }
    return mark;
}

bool RecordQueue::has_consumed(const Mark& mark) const noexcept {
    std::size_t i = 0;
    bool consumed = true;
    for_each_ring(
        [&](const ByteRing& ring) { consumed = consumed && ring.frames_consumed() >= mark[i++]; });
    return consumed && (!durable_ || durable_->adopted->consumed() >= mark[i]);
}

std::uint64_t RecordQueue::records_accepted() const noexcept {
    std::uint64_t total = durable_ ? durable_->adopted->accepted() : 0;
    for_each_ring([&](const ByteRing& ring) { total += ring.frames_accepted(); });
    return total;
}

std::uint64_t RecordQueue::records_consumed() const noexcept {
    std::uint64_t total = durable_ ? durable_->adopted->consumed() : 0;
    for_each_ring([&](const ByteRing& ring) { total += ring.frames_consumed(); });
    return total;
}

std::size_t RecordQueue::used_bytes() const noexcept {
    std::size_t total = 0;
    for_each_ring([&](const ByteRing& ring) { total += ring.used_bytes(); });
    return total;
}

std::size_t RecordQueue::capacity() const noexcept {
    return rings_.size() * rings_.front()->capacity();
}

void RecordQueue::arm() noexcept {
    // What is held would have every producer wake the drain, which can do nothing about it: then its timer must do.
    for (std::size_t i = 0; durable_ && i < durable_->rings.size(); ++i) {
        const ByteRing& ring = *durable_->rings[i];
        if (ring.held_bytes() > ring.capacity() / 2) { return; }
    }
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

void RecordQueue::leave_file() noexcept {
    if (!durable_) { return; }
    std::unique_lock lock(file_mutex_);
    const auto file = std::move(durable_->file);
    lock.unlock();
    bool is_empty = true;
    for (const auto& ring : durable_->rings) {
        ring->release(0); // Padding.
        is_empty = is_empty && ring->used_bytes() == 0;
    }
    if (is_empty && file) { file->remove(); }
    for (const auto& ring : durable_->rings) { ring->let_go(); } // Before the lock is.
    durable_->adopted->let_go();
}

void RecordQueue::discard() noexcept {
    for (const auto& ring : rings_) { ring->discard_pages(); }
    if (std::exchange(discarded_, true)) { return; }
    leave_file();
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
