#include "spool_queue.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace weft::detail {

SpoolQueue::SpoolQueue(std::shared_ptr<Spool> spool, Account& account)
    : spool_(std::move(spool)), account_(account) {
    account_.change([this](Account::Counts& counts) { settle(counts); });
}

void SpoolQueue::settle(Account::Counts& counts) {
    const auto now = spool_->counts();
    counts.resumed = now.resumed.records;
    counts.spooled +=
        now.waiting.records - seen_waiting_; // Others add to it: Destination::give_up.
    seen_waiting_ = now.waiting.records;
    counts.drop(now.dropped_full.records - seen_dropped_, DropReason::spool_full);
    counts.drop(now.lost.records - seen_lost_, DropReason::spool_corrupt);
    seen_dropped_ = now.dropped_full.records;
    seen_lost_ = now.lost.records;
}

std::uint64_t SpoolQueue::end_number() const noexcept {
    const auto counts = spool_->counts();
    return counts.resumed.batches + counts.written.batches;
}

bool SpoolQueue::append(
    const std::shared_ptr<const Batch>& batch, std::uint64_t first_record,
    std::uint64_t Account::Counts::*from, TimePoint now) {
    while (!firsts_.empty() && firsts_.front().number < end_number() - waiting()) {
        firsts_.pop_front(); // Bound: it has left.
    }
    firsts_.push_back({end_number(), first_record}); // First: it is all that may throw.
    // Outside the account's lock: a ledger does not wait for a disk.
    const bool is_written = spool_->append(batch, now) == Spool::Append::written;
    account_.change([&](Account::Counts& counts) {
        if (is_written) { counts.*from -= batch->records; }
        settle(counts);
    });
    if (!is_written) {
        firsts_.pop_back();
        return false;
    }
    while (firsts_.size() > 1 && firsts_[firsts_.size() - 2].record >= first_record) {
        firsts_[firsts_.size() - 2] = firsts_.back(); // Bound: each turn takes one off.
        firsts_.pop_back();
    }
    return true;
}

std::optional<SpoolQueue::Entry> SpoolQueue::next() {
    if (!put_back_.empty()) {
        Entry entry = std::move(put_back_.front());
        put_back_.pop_front();
        account_.change([&](Account::Counts& counts) {
            counts.spooled -= entry.batch->records;
            counts.in_flight += entry.batch->records;
        });
        return entry;
    }
    const auto first_record = resolved_until(UINT64_MAX);
    auto found = spool_->next();
    account_.change([&](Account::Counts& counts) {
        if (found) { counts.in_flight += found->batch->records; }
        settle(counts);
    });
    if (!found) { return std::nullopt; }
    return Entry{found->id, std::move(found->batch), first_record};
}

void SpoolQueue::put_back(Entry entry) noexcept {
    const auto place = std::find_if(put_back_.begin(), put_back_.end(), [&](const Entry& other) {
        return other.id > entry.id;
    });
    try {
        put_back_.insert(place, std::move(entry));
    } catch (const std::bad_alloc&) {}
}

std::uint64_t SpoolQueue::records_in_memory() const noexcept {
    std::uint64_t records = 0;
    for (const auto& entry : put_back_) {
        if (!spool_->holds(entry.id)) { records += entry.batch->records; }
    }
    return records;
}

void SpoolQueue::acknowledge(std::uint64_t id, TimePoint now) { spool_->acknowledge(id, now); }

std::uint64_t SpoolQueue::resolved_until(std::uint64_t consumed) const noexcept {
    std::uint64_t first = consumed;
    for (const auto& entry : put_back_) { first = std::min(first, entry.first_record); }
    const auto left = waiting();
    if (left == 0) { return first; }
    const auto front = end_number() - left;
    if (front < spool_->counts().resumed.batches) { return 0; } // From before the first record.
    const auto oldest = std::find_if(
        firsts_.begin(), firsts_.end(), [&](const First& one) { return one.number >= front; });
    return oldest == firsts_.end() ? first : std::min(first, oldest->record);
}

} // namespace weft::detail
