#include <weft/exporters/metric_queue.hpp>

#include <cstring>
#include <new>

namespace weft {
namespace {

// Leads each record that waits.
struct Frame {
    std::uint32_t bytes = 0;
    std::uint32_t points = 0;
};

constexpr std::size_t idle_bytes_max = 256u << 10; // Memory that is kept for the next collection.

} // namespace

void MetricQueue::put(std::span<const std::byte> record, std::uint32_t points) noexcept {
    if (closed_) { return drop(points, DropReason::shutdown); }
    {
        // Before the drain can see the record: it never consumes more than was taken.
        const std::lock_guard lock(mutex_);
        taken_ += points;
    }
    const bool in_order = waiting_.empty(); // Else it would overtake what waits.
    if ((in_order && push(record)) || keep(record, points)) { return; }
    const std::lock_guard lock(mutex_);
    taken_ -= points;
    dropped_[static_cast<std::size_t>(DropReason::queue_full)] += points;
}

bool MetricQueue::push(std::span<const std::byte> record) noexcept {
    return ring_.push(record.size(), [record](std::byte* place) noexcept {
        std::memcpy(place, record.data(), record.size());
    }) == RecordQueue::Push::accepted;
}

bool MetricQueue::keep(std::span<const std::byte> record, std::uint32_t points) noexcept {
    const std::size_t bytes = sizeof(Frame) + record.size();
    if (record.size() > record_max() || waiting_.size() - next_ + bytes > waiting_bytes_max_) {
        return false;
    }
    try {
        const Frame frame{static_cast<std::uint32_t>(record.size()), points};
        waiting_.reserve(
            waiting_.size() + bytes); // Or half a record might be left. It at least doubles.
        waiting_.append(reinterpret_cast<const char*>(&frame), sizeof frame);
        waiting_.append(reinterpret_cast<const char*>(record.data()), record.size());
        return true;
    } catch (const std::bad_alloc&) { return false; } // As full as it gets.
}

void MetricQueue::adopt(std::uint64_t points) noexcept {
    const std::lock_guard lock(mutex_);
    taken_ += points;
}

void MetricQueue::drop(std::uint64_t points, DropReason reason) noexcept {
    const std::lock_guard lock(mutex_);
    dropped_[static_cast<std::size_t>(reason)] += points;
}

bool MetricQueue::hand_over() noexcept {
    while (next_ < waiting_.size()) { // Bound: each turn takes a record off.
        Frame frame;
        std::memcpy(&frame, waiting_.data() + next_, sizeof frame);
        const auto* const bytes =
            reinterpret_cast<const std::byte*>(waiting_.data()) + next_ + sizeof frame;
        if (!push({bytes, frame.bytes})) { return false; }
        next_ += sizeof frame + frame.bytes;
    }
    waiting_.clear();
    next_ = 0;
    if (waiting_.capacity() > idle_bytes_max) { std::string().swap(waiting_); }
    return true;
}

std::uint64_t MetricQueue::drop_waiting(DropReason reason) noexcept {
    std::uint64_t points = 0;
    while (next_ < waiting_.size()) { // Bound: each turn takes a record off.
        Frame frame;
        std::memcpy(&frame, waiting_.data() + next_, sizeof frame);
        points += frame.points;
        next_ += sizeof frame + frame.bytes;
    }
    std::string().swap(waiting_);
    next_ = 0;
    const std::lock_guard lock(mutex_);
    taken_ -= points;
    dropped_[static_cast<std::size_t>(reason)] += points;
    return points;
}

void MetricQueue::close() noexcept {
    closed_ = true;
    drop_waiting(DropReason::shutdown);
}

void MetricQueue::add_to(Ledger& ledger) const {
    const std::lock_guard lock(mutex_);
    ledger.created += taken_;
    ledger.queued += taken_;
    for (std::size_t i = 0; i < dropped_.size(); ++i) {
        ledger.created += dropped_[i];
        ledger.dropped[i] += dropped_[i];
    }
}

} // namespace weft
