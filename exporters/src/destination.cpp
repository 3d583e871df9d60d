#include "destination.hpp"

#include <weft/runtime/clock.hpp>

#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

namespace weft::detail {

Destination::Destination(Shared shared, DestinationSetup setup)
    : executor_(std::move(shared.executor)), signal_(shared.signal), bell_(std::move(shared.bell)),
      log_(shared.log), name_(std::move(setup.name)),
      full_key_(fmt::format("destination.{}.{}.full", weft::name(signal_), name_)),
      sink_(std::move(setup.sink)), sends_max_(sink_->connections()),
      waiting_bytes_max_(setup.waiting_bytes_max), when_full_(setup.when_full),
      filter_(std::move(setup.filter)), settled_(std::move(setup.settled)) {}

bool Destination::is_wanted(const Batch& batch) {
    if (!filter_) { return true; }
    try {
        return filter_(batch);
    } catch (...) {
        log_.report(DiagnosticLevel::error, "destination.filter", [&] {
            return fmt::format(
                "destination \"{}\": its filter threw, the batch of {} is sent", name_,
                weft::name(signal_));
        });
        return true;
    }
}

void Destination::drop_pending(std::uint64_t records, DropReason reason) {
    account_.change([&](Account::Counts& counts) {
        counts.pending -= records;
        counts.drop(records, reason);
    });
}

Destination::Waiting Destination::pop_front() {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= next.batch->body.size();
    return next;
}

void Destination::take(
    const std::shared_ptr<const Batch>& batch, std::uint64_t first_record, bool must_give_way) {
    if (!is_wanted(*batch)) { return drop_pending(batch->records, DropReason::filtered); }
    if (must_give_way && !has_room()) {
        log_.report(DiagnosticLevel::warning, full_key_, [&] {
            return fmt::format(
                "destination \"{}\" cannot keep up: batches of {} are dropped for it while the "
                "others have room",
                name_, weft::name(signal_));
        });
        if (when_full_ == WhenFull::drop_newest) {
            return drop_pending(batch->records, DropReason::queue_full);
        }
        while (!has_room()) { // Bound: each turn takes one off, and none is room.
            drop_pending(pop_front().batch->records, DropReason::queue_full);
        }
        bell_->progress.made();
    }
    try {
        waiting_.push_back({batch, first_record});
    } catch (const std::bad_alloc&) {
        return drop_pending(batch->records, DropReason::encode_failed);
    }
    waiting_bytes_ += batch->body.size();
}

void Destination::start_sends() {
    while (!waiting_.empty() && sending_.size() < sends_max_) { // Bound: sends_max_.
        start_send();
    }
}

void Destination::start_send() {
    const auto first = waiting_.front().first_record;
    sending_.insert(first); // May throw: nothing has moved yet.
    Waiting next = pop_front();
    const auto records = next.batch->records;
    account_.change([&](Account::Counts& counts) {
        counts.pending -= records;
        counts.in_flight += records;
    });
    const auto begun_ns = steady_now_ns();
    try {
        asio::co_spawn(
            executor_, sink_->send(std::move(next.batch)),
            [self = shared_from_this(), first, records,
             begun_ns](const std::exception_ptr& error, const SendOutcome& outcome) {
                self->sent(first, records, error, outcome);
                self->tell_settled(begun_ns, records, error, outcome);
            });
    } catch (const std::bad_alloc&) { sent(first, records, std::current_exception(), {}); }
}

void Destination::sent(
    std::uint64_t first_record, std::uint64_t records, const std::exception_ptr& error,
    const SendOutcome& outcome) {
    const bool stays = is_kept_ && !error && outcome.reason == DropReason::shutdown;
    if (stays) { kept_from_ = std::min(kept_from_, first_record); }
    account_.change([&](Account::Counts& counts) {
        counts.in_flight -= records;
        if (error) {
            counts.drop(records, DropReason::internal_error);
            return;
        }
        counts.exported += outcome.exported;
        counts.rejected += outcome.rejected;
        if (stays) {
            counts.spooled += outcome.dropped;
        } else {
            counts.drop(outcome.dropped, outcome.reason);
        }
    });
    sending_.erase(sending_.find(first_record));
    bell_->progress.made();
    bell_->ring();
}

void Destination::tell_settled(
    std::int64_t begun_ns, std::uint64_t records, const std::exception_ptr& error,
    const SendOutcome& outcome) {
    if (!settled_) { return; }
    const auto elapsed_ns = steady_now_ns() - begun_ns;
    if (!error) { return settled_(elapsed_ns, outcome); }
    SendOutcome failed;
    failed.dropped = records;
    failed.reason = DropReason::internal_error;
    settled_(elapsed_ns, failed);
}

std::uint64_t Destination::resolved_until(std::uint64_t consumed) const noexcept {
    std::uint64_t first = consumed;
    // Decisions reorder: the first in line need not hold the oldest record.
    for (const auto& next : waiting_) { first = std::min(first, next.first_record); }
    if (!sending_.empty()) { first = std::min(first, *sending_.begin()); }
    return first;
}

asio::awaitable<void> Destination::stop(TimePoint give_up, bool is_kept) {
    const auto self = shared_from_this();
    is_kept_ = is_kept;
    co_await sink_->stop(std::chrono::steady_clock::now());
    // Completions are on their way through the executor and only need to run.
    co_await bell_->progress.wait_until([&] { return sending_.empty(); }, give_up);
}

void Destination::drop_the_rest(std::uint64_t records_before) {
    std::uint64_t left = records_before;
    for (const auto& next : waiting_) { left += next.batch->records; }
    waiting_.clear();
    waiting_bytes_ = 0;
    if (!is_kept_) { return drop_pending(left, DropReason::shutdown); }
    account_.change([left](Account::Counts& counts) {
        counts.pending -= left;
        counts.spooled += left;
    });
}

} // namespace weft::detail
