#include "destination.hpp"

#include <weft/runtime/clock.hpp>

#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

namespace weft::detail {
namespace {

using Clock = std::chrono::steady_clock;
// After a spool refused a batch, until it is asked again where nothing has been deleted from it.
constexpr std::chrono::seconds refusal{1};

// Whether the batch may be accepted another time. Parts of it that were would be sent twice.
bool is_for_now(const SendOutcome& outcome) noexcept {
    return outcome.dropped != 0 && outcome.exported + outcome.rejected == 0 &&
           (outcome.reason == DropReason::retry_exhausted ||
            outcome.reason == DropReason::shutdown);
}

} // namespace

Destination::Destination(Shared shared, DestinationSetup setup)
    : executor_(std::move(shared.executor)), signal_(shared.signal), bell_(std::move(shared.bell)),
      log_(shared.log), name_(std::move(setup.name)),
      full_key_(fmt::format("destination.{}.{}.full", weft::name(signal_), name_)),
      sink_(std::move(setup.sink)), sends_max_(sink_->connections()),
      waiting_bytes_max_(setup.waiting_bytes_max), when_full_(setup.when_full),
      filter_(std::move(setup.filter)), settled_(std::move(setup.settled)),
      resend_after_(setup.resend_after) {
    if (setup.spool != nullptr) { spool_.emplace(std::move(setup.spool), account_); }
}

bool Destination::has_room() const noexcept {
    return waiting_bytes_ < waiting_bytes_max_ || (spool_ && !is_refused_);
}

// False: the batch is still the caller's.
bool Destination::spool(
    const std::shared_ptr<const Batch>& batch, std::uint64_t first_record,
    std::uint64_t Account::Counts::*from) {
    if (!spool_) { return false; }
    const auto now = Clock::now();
    try {
        is_refused_ = !spool_->append(batch, first_record, from, now);
    } catch (const std::bad_alloc&) { is_refused_ = true; } // As a disk that refuses.
    if (is_refused_) {
        ask_again_at_ = now + refusal;
        refused_disk_bytes_ = spool_->disk_bytes();
    }
    return !is_refused_;
}

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
    if (spool(batch, first_record, &Account::Counts::pending)) { return; }
    if (is_closed_) { return give_up(batch->records, first_record, &Account::Counts::pending); }
    const auto is_full = [this] { return waiting_bytes_ >= waiting_bytes_max_; };
    if (must_give_way && is_full()) {
        log_.report(DiagnosticLevel::warning, full_key_, [&] {
            return fmt::format(
                "destination \"{}\" cannot keep up: batches of {} are dropped for it while the "
                "others have room",
                name_, weft::name(signal_));
        });
        if (when_full_ == WhenFull::drop_newest) {
            return drop_pending(batch->records, DropReason::queue_full);
        }
        while (is_full()) { // Bound: each turn takes one off, and none is room.
            drop_pending(pop_front().batch->records, DropReason::queue_full);
        }
        bell_->progress.made();
    }
    try {
        waiting_.push_back({batch, first_record, spool_ ? spool_->end_number() : 0});
    } catch (const std::bad_alloc&) {
        return drop_pending(batch->records, DropReason::encode_failed);
    }
    waiting_bytes_ += batch->body.size();
}

// In order of age: what the spool refused goes when all that is older has left it.
bool Destination::memory_is_next() const noexcept {
    if (waiting_.empty()) { return false; }
    return !spool_ || spool_->empty() || spool_->front_number() >= waiting_.front().behind;
}

std::optional<Destination::Sending> Destination::next() {
    if (memory_is_next()) {
        Waiting next = pop_front();
        account_.change([&](Account::Counts& counts) {
            counts.pending -= next.batch->records;
            counts.in_flight += next.batch->records;
        });
        return Sending{std::move(next.batch), next.first_record, std::nullopt, steady_now_ns()};
    }
    if (!spool_) { return std::nullopt; }
    auto next = spool_->next();
    if (!next) { return std::nullopt; } // What was left could not be read.
    return Sending{std::move(next->batch), next->first_record, next->id, steady_now_ns()};
}

void Destination::start_sends() {
    if (spool_ && Clock::now() < resend_at_) { return; }
    while (!is_closed_ && sending_.size() < sends_max_ &&
           (!waiting_.empty() || (spool_ && !spool_->empty()))) { // Bound: sends_max_.
        std::multimap<std::uint64_t, bool> place{
            {0, false}}; // Here, for it may throw: nothing has moved yet.
        auto what = next();
        if (!what) { return bell_->progress.made(); }
        auto node = place.extract(place.begin());
        node.key() = what->first_record;
        node.mapped() = what->spool_id.has_value();
        sending_.insert(std::move(node));
        start(*std::move(what));
    }
}

void Destination::start(Sending what) {
    auto batch = what.batch;
    try {
        asio::co_spawn(
            executor_, sink_->send(std::move(batch)),
            [self = shared_from_this(),
             what](const std::exception_ptr& error, const SendOutcome& outcome) {
                if (!error) { return self->sent(what, outcome); }
                SendOutcome failed;
                failed.dropped = what.batch->records;
                failed.reason = DropReason::internal_error;
                self->sent(what, failed);
            });
    } catch (...) { // Also what a sink of the program's throws before it begins.
        SendOutcome failed;
        failed.dropped = what.batch->records;
        failed.reason = DropReason::internal_error;
        sent(std::move(what), failed);
    }
}

// On disk, where it stays or is put. True: it will be sent again.
bool Destination::keep(Sending& what) {
    if (!what.spool_id) {
        return spool(what.batch, what.first_record, &Account::Counts::in_flight);
    }
    account_.change([&](Account::Counts& counts) {
        counts.in_flight -= what.batch->records;
        counts.spooled += what.batch->records;
    });
    // Where it has been given up, with the batch in it, the next start sends it; so it does without memory to note it.
    if (spool_) { spool_->put_back({*what.spool_id, what.batch, what.first_record}); }
    return true;
}

// At the end, what is neither sent nor on disk: it stays in a durable ring, or is dropped.
void Destination::give_up(
    std::uint64_t records, std::uint64_t first_record, std::uint64_t Account::Counts::*from) {
    if (is_kept_) {
        kept_ += records;
        kept_from_ = std::min(kept_from_, first_record);
    }
    account_.change([&](Account::Counts& counts) {
        counts.*from -= records;
        if (is_kept_) {
            counts.spooled += records;
        } else {
            counts.drop(records, DropReason::shutdown);
        }
    });
}

void Destination::forget(const Sending& what) {
    auto [at, end] = sending_.equal_range(what.first_record);
    while (at->second != what.spool_id.has_value()) { ++at; } // Bound: it is among them.
    sending_.erase(at);
}

void Destination::sent(Sending what, SendOutcome outcome) {
    const auto now = Clock::now();
    const bool has_disk = spool_ || what.spool_id;
    if (has_disk && is_for_now(outcome) && keep(what)) {
        resend_at_ = now + resend_after_;
    } else if (is_kept_ && is_for_now(outcome) && !what.spool_id) {
        give_up(what.batch->records, what.first_record, &Account::Counts::in_flight);
    } else {
        account_.change([&](Account::Counts& counts) {
            counts.in_flight -= what.batch->records;
            counts.exported += outcome.exported;
            counts.rejected += outcome.rejected;
            counts.drop(outcome.dropped, outcome.reason);
        });
        if (spool_ && what.spool_id) { spool_->acknowledge(*what.spool_id, now); }
    }
    forget(what);
    bell_->progress.made();
    bell_->ring();
    if (settled_) { settled_(steady_now_ns() - what.begun_ns, outcome); }
}

void Destination::keep_up(TimePoint now) {
    if (!spool_) { return; }
    spool_->sync_if_due(now);
    // Full on disk and in memory. The youngest asks whether there is room again, so that nothing enters before there is; in
    // memory it is the last, and nothing has entered the spool since.
    const bool may_ask = now >= ask_again_at_ || spool_->disk_bytes() < refused_disk_bytes_;
    if (has_room() || !may_ask || waiting_.back().behind != spool_->end_number()) { return; }
    const Waiting youngest = waiting_.back();
    if (!spool(youngest.batch, youngest.first_record, &Account::Counts::pending)) { return; }
    waiting_.pop_back();
    waiting_bytes_ -= youngest.batch->body.size();
}

Destination::TimePoint Destination::due() const noexcept {
    auto at = TimePoint::max();
    if (!spool_) { return at; }
    if (const auto sync = spool_->sync_due()) { at = std::min(at, *sync); }
    if (resend_at_ > Clock::now() && (!spool_->empty() || !waiting_.empty())) {
        at = std::min(at, resend_at_);
    }
    return at;
}

std::uint64_t Destination::resolved_until(std::uint64_t consumed) const noexcept {
    std::uint64_t first = consumed;
    // Decisions reorder: the first in line need not hold the oldest record.
    for (const auto& next : waiting_) { first = std::min(first, next.first_record); }
    if (!sending_.empty()) { first = std::min(first, sending_.begin()->first); }
    return spool_ ? spool_->resolved_until(first) : first;
}

std::uint64_t Destination::safe_until(std::uint64_t consumed) const noexcept {
    std::uint64_t first = std::min(consumed, kept_from_);
    for (const auto& next : waiting_) { first = std::min(first, next.first_record); }
    for (const auto& [record, is_on_disk] : sending_) { // Bound: sends_max_.
        if (!is_on_disk) { first = std::min(first, record); }
    }
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
    // Where those begin, the drain knows.
    give_up(records_before, kept_from_, &Account::Counts::pending);
    for (const auto& next : waiting_) {
        if (!spool(next.batch, next.first_record, &Account::Counts::pending)) {
            give_up(next.batch->records, next.first_record, &Account::Counts::pending);
        }
    }
    waiting_.clear();
    waiting_bytes_ = 0;
    if (spool_) {
        const auto lost = spool_->records_in_memory();
        account_.change([lost](Account::Counts& counts) {
            counts.spooled -= lost;
            counts.drop(lost, DropReason::spool_full);
        });
    }
    spool_.reset(); // Forces to disk what is not yet.
}

} // namespace weft::detail
