#include "bell.hpp"
#include "destination.hpp"
#include "tail_sampler.hpp"

#include <weft/exporters/drain.hpp>
#include <weft/runtime/fork.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds housekeeping_interval{1};

std::int64_t to_ns(Clock::time_point time) noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

template <class T>
std::string range_problem(std::string_view field, T value, T low, T high, std::string_view unit) {
    if (value >= low && value <= high) { return {}; }
    return fmt::format(
        "BatchOptions::{} is {}{}: allowed is {} to {}{}", field, value, unit, low, high, unit);
}

} // namespace

std::string problem_in(const BatchOptions& options) {
    using Ms = std::int64_t;
    for (auto problem :
         {range_problem<std::size_t>("records_max", options.records_max, 1, 1u << 20, ""),
          range_problem<std::size_t>("bytes_max", options.bytes_max, 1024, 32u << 20, " bytes"),
          range_problem<Ms>("delay", options.delay.count(), 0, 86'400'000, " ms"),
          range_problem<std::size_t>(
              "queue_bytes", options.queue_bytes, 64u << 10, 256u << 20, " bytes"),
          range_problem<std::size_t>(
              "waiting_bytes_max", options.waiting_bytes_max, 1024, 1u << 30, " bytes"),
          range_problem<Ms>("poll", options.poll.count(), 1, 10'000, " ms"),
          range_problem<unsigned>("shards", options.shards, 1, 64, "")}) {
        if (!problem.empty()) { return problem; }
    }
    constexpr std::size_t shard_bytes_min = 32u
                                            << 10; // A record takes an eighth of a ring at most.
    if (options.queue_bytes / std::bit_ceil(options.shards) < shard_bytes_min) {
        return fmt::format(
            "BatchOptions::queue_bytes is {} over {} shards: allowed is {} bytes a shard or more",
            options.queue_bytes, options.shards, shard_bytes_min);
    }
    return {};
}

// Shared with the coroutines that use it: they may outlast the Drain.
struct Drain::State : std::enable_shared_from_this<State> {
    explicit State(Setup&& s)
        : executor(std::move(s.executor)), signal(s.signal), queue(s.queue),
          one_item_each(s.one_item_each), turn_bytes_max(s.turn_bytes_max), options(s.batch),
          producer_counts(std::move(s.producer_counts)), housekeeping(std::move(s.housekeeping)),
          log(s.log), bell(std::make_shared<detail::Bell>(executor)),
          destinations(make_destinations(s)), builder(s.signal, std::move(s.resource)),
          tail(s.tail.enabled ? std::make_unique<detail::TailSampler>(s.tail) : nullptr),
          descriptor(executor) {
        const int event = queue.wake_descriptor();
        own.open([this, event] {
            const int copy = fcntl(event, F_DUPFD_CLOEXEC, 0);
            descriptor.assign(copy);
            return copy;
        });
    }
    ~State() { close_descriptor(); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    const asio::any_io_executor executor;
    const Signal signal;
    RecordQueue& queue;
    const bool one_item_each;
    const std::size_t turn_bytes_max;
    const BatchOptions options;
    const ProducerCounts producer_counts;
    const Housekeeping housekeeping;
    Diagnostics& log;
    const std::shared_ptr<detail::Bell> bell;
    const std::vector<std::shared_ptr<detail::Destination>> destinations; // At least one.

    // The executor's.
    BatchBuilder builder;
    const std::unique_ptr<detail::TailSampler> tail; // Null: records go straight to the builder.
    std::uint64_t builder_first = 0; // As Destination::take's, for the batch being built.
    TimePoint builder_since{};       // When its first record was consumed.
    std::uint64_t consumed = 1;      // Records; what a spool has resumed stands for number 0.
    std::uint64_t flush_until =
        0; // A flush waits for the records before this: their batches close early.
    std::size_t stops_left = 0; // Destinations that are still stopping.
    bool stopped = false;       // Nothing is sent any more.
    bool ended = false;         // Everything has been counted.
    TimePoint housekeeping_due{};
    asio::posix::stream_descriptor descriptor;
    detail::OwnDescriptor own; // The descriptor's.

    std::vector<std::shared_ptr<detail::Destination>> make_destinations(Setup& s) const {
        std::vector<DestinationSetup> setups = std::move(s.destinations);
        if (s.sink != nullptr) {
            setups.insert(
                setups.begin(), {.sink = std::move(s.sink),
                                 .waiting_bytes_max = s.batch.waiting_bytes_max,
                                 .settled = std::move(s.settled)});
        }
        if (setups.empty()) { throw std::invalid_argument("Drain::Setup: it has no destination"); }
        std::vector<std::shared_ptr<detail::Destination>> made;
        for (auto& setup : setups) {
            made.push_back(std::make_shared<detail::Destination>(
                detail::Destination::Shared{executor, signal, bell, log}, std::move(setup)));
        }
        return made;
    }

    void poke() { bell->ring(); }
    void progressed() { bell->progress.made(); }

    // What happens before the batches part happens to every destination.
    template <class Change>
    void change_all(Change&& how) {
        for (const auto& destination : destinations) { destination->account().change(how); }
    }

    // Every record before this one is in a closed batch, or sampled out.
    [[nodiscard]] std::uint64_t batched_until() const {
        const std::uint64_t first = builder.empty() ? consumed : builder_first;
        return tail ? std::min(first, tail->first_index()) : first;
    }

    // How many of the queue's records need a durable one no more. They are numbered from 1.
    [[nodiscard]] static std::uint64_t count_before(std::uint64_t number) noexcept {
        return number == 0 ? 0 : number - 1;
    }

    // Every record before this one needs a durable queue no more.
    [[nodiscard]] std::uint64_t safe_until() const {
        std::uint64_t first = batched_until();
        for (const auto& destination : destinations) {
            first = std::min(first, destination->safe_until(consumed));
        }
        return first;
    }

    // Every record before this one is exported, rejected or dropped.
    [[nodiscard]] std::uint64_t resolved_until() const {
        std::uint64_t first = batched_until();
        for (const auto& destination : destinations) {
            first = std::min(first, destination->resolved_until(consumed));
        }
        return first;
    }

    [[nodiscard]] bool builder_full() const {
        return builder.records() >= options.records_max || builder.bytes() >= options.bytes_max;
    }

    void drop_pending(std::uint64_t records, DropReason reason) {
        change_all([&](detail::Account::Counts& counts) {
            counts.pending -= records;
            counts.drop(records, reason);
        });
    }

    void close_batch() {
        const auto records = builder.records();
        std::shared_ptr<const Batch> batch;
        try {
            batch = builder.finish();
        } catch (const std::bad_alloc&) {
            builder.clear();
            drop_pending(records, DropReason::encode_failed);
            log.report(
                DiagnosticLevel::error, "batch_no_memory",
                "no memory for a batch: its records are dropped");
            return;
        }
        const auto with_room =
            std::count_if(destinations.begin(), destinations.end(), [](const auto& destination) {
                return destination->has_room();
            });
        for (const auto& destination : destinations) {
            const bool others_have_room = with_room > (destination->has_room() ? 1 : 0);
            destination->take(batch, builder_first, others_have_room);
        }
    }

    // While no destination has room, the queue is left alone, and its producers need not wake us.
    [[nodiscard]] bool is_blocked() const {
        return std::none_of(destinations.begin(), destinations.end(), [](const auto& destination) {
            return destination->has_room();
        });
    }

    // Appends to the batch. False when the record is lost for want of memory.
    bool build(const Record& record, std::uint64_t index) {
        if (builder.empty()) {
            builder_first = index;
            builder_since = Clock::now();
        }
        builder_first = std::min(builder_first, index);
        try {
            builder.add(record);
            return true;
        } catch (const std::bad_alloc&) { return false; }
    }

    // Whether the batch must close before this record.
    [[nodiscard]] bool is_full_for(const Record& record) const {
        return !builder.empty() && (builder.records() + record.header.items > options.records_max ||
                                    builder.bytes() + record.body.size() > options.bytes_max);
    }

    // Counts a record's bytes to those of the turn; true when it is for the next one.
    [[nodiscard]] bool is_turn_over(
        std::size_t& bytes, std::span<const std::byte> payload) const noexcept {
        if (turn_bytes_max != 0 && bytes >= turn_bytes_max) { return true; }
        bytes += payload.size();
        return false;
    }

    static Record record_of(std::span<const std::byte> payload) noexcept {
        Record record;
        std::memcpy(&record.header, payload.data(), sizeof record.header);
        record.body = payload.subspan(sizeof record.header);
        return record;
    }

    // Puts what is in the rings before the tail sampler, and at most one batch of what it kept into the builder.
    // Returns whether there may be more of either.
    bool consume_by_trace() {
        const auto now_ns = to_ns(Clock::now());
        std::uint64_t taken = 0;
        std::size_t bytes = 0;
        std::uint64_t failed = 0;
        bool stalled = false;
        const auto early = tail->counts().decided_early;
        queue.consume([&](std::span<const std::byte> payload) {
            if (is_turn_over(bytes, payload)) { return false; }
            const auto added = tail->add(record_of(payload), consumed + taken, now_ns);
            stalled = added == detail::TailSampler::Added::no_room;
            if (stalled) { return false; }
            ++taken;
            if (added == detail::TailSampler::Added::no_memory) { ++failed; }
            return true;
        });
        consumed += taken;
        tail->decide_due(now_ns);
        if (tail->counts().decided_early != early) {
            log.report(
                DiagnosticLevel::warning, "tail_sampling.full",
                "traces are decided before they are over: raise TailSampling::bytes_max or lower "
                "TailSampling::window");
        }
        account_for_tail(taken, failed);
        const bool full = fill_from_tail();
        return full || stalled || taken != 0; // Stalled: there is room now.
    }

    void account_for_tail(std::uint64_t taken, std::uint64_t failed) {
        const auto sampled_out = tail->take_dropped();
        if (taken == 0 && sampled_out == 0) { return; }
        change_all([&](detail::Account::Counts& counts) {
            counts.consumed += taken;
            counts.pending += taken - failed - sampled_out; // Wraps on the way, not in the sum.
            counts.drop(failed, DropReason::encode_failed);
            counts.drop(sampled_out, DropReason::tail_sampled_out);
        });
    }

    // Moves what was kept into the builder, until a batch closes. Returns whether one did.
    bool fill_from_tail() {
        bool full = false;
        while (!full && tail->has_kept()) { // Bound: one batch.
            bool built = false;
            try {
                const auto kept = tail->front();
                full = is_full_for(kept.record);
                if (full) { break; }
                built = build(kept.record, kept.index);
            } catch (const std::bad_alloc&) {} // Its weight could not be written.
            tail->pop();
            if (!built) { drop_pending(1, DropReason::encode_failed); }
        }
        full = full || builder_full();
        if (full) { close_batch(); }
        return full;
    }

    void decide_all() {
        if (!tail) { return; }
        tail->decide_all(to_ns(Clock::now()));
        account_for_tail(0, 0);
    }

    // Fills at most one batch from the rings. Returns whether anything was there.
    bool consume() {
        std::uint64_t taken = 0;
        std::uint64_t items = 0;
        std::size_t bytes = 0;
        std::uint64_t failed = 0;
        bool full = false;
        queue.consume([&](std::span<const std::byte> payload) {
            const Record record = record_of(payload);
            full = is_full_for(record);
            if (full || is_turn_over(bytes, payload)) { return false; }
            if (!build(record, consumed + taken)) { failed += record.header.items; }
            items += record.header.items;
            ++taken;
            return true;
        });
        consumed += taken;
        if (taken != 0) {
            change_all([&](detail::Account::Counts& counts) {
                counts.consumed += items;
                counts.pending += items - failed;
                counts.drop(failed, DropReason::encode_failed);
            });
        }
        if (full || builder_full()) { close_batch(); }
        return full || taken != 0;
    }

    void close_if_due() {
        if (builder.empty()) { return; }
        // What a flush has had decided and did not fit yet goes into this batch.
        const bool flushing =
            builder_first < flush_until && consumed >= flush_until && (!tail || !tail->has_kept());
        if (flushing || Clock::now() - builder_since >= options.delay) { close_batch(); }
    }

    // Calls poke() whenever a producer finds the queue past half.
    void watch_queue() {
        descriptor.async_wait(
            asio::posix::stream_descriptor::wait_read,
            [self = shared_from_this()](boost::system::error_code error) {
                if (error || self->stopped) { return; }
                self->queue.disarm();
                self->poke();
                self->watch_queue();
            });
    }

    void keep_house() {
        if (!housekeeping || Clock::now() < housekeeping_due) { return; }
        housekeeping_due = Clock::now() + housekeeping_interval;
        housekeeping();
    }

    [[nodiscard]] TimePoint next_look() const {
        TimePoint at = Clock::now() + options.poll;
        if (!builder.empty()) { at = std::min(at, builder_since + options.delay); }
        for (const auto& destination : destinations) { at = std::min(at, destination->due()); }
        return at; // Tail decisions may be a poll late.
    }

    // One turn of the loop. Returns whether the queue may hold more. An error costs the turn, not the drain.
    bool work() {
        try {
            const bool more = !is_blocked() && (tail ? consume_by_trace() : consume());
            close_if_due();
            for (const auto& destination : destinations) {
                destination->start_sends();
                destination->keep_up(Clock::now());
            }
            if (queue.is_durable()) { queue.release(count_before(safe_until())); }
            keep_house();
            return more;
        } catch (const std::exception& error) {
            log.report(DiagnosticLevel::error, "drain", error.what());
            return false;
        }
    }

    asio::awaitable<void> loop() {
        while (!stopped) { // Ends with shutdown.
            const bool more = work();
            progressed(); // Also a flush of an empty queue waits for no more than this.
            if (more) {
                // A whole batch was there: look again soon, but let sends and flushes run first.
                co_await asio::post(executor, asio::use_awaitable);
                continue;
            }
            if (!std::exchange(bell->rung, false)) {
                if (!is_blocked()) { queue.arm(); }
                bell->timer.expires_at(next_look());
                co_await bell->timer.async_wait(as_result);
                bell->rung = false;
            }
        }
    }

    // True once everything accepted before the call is exported, rejected or dropped. Shards are emptied in any order,
    // so that a count of records does not tell: first each shard must have given up what it held, then whatever has
    // been consumed by then must have come to its end.
    asio::awaitable<bool> wait_resolved(TimePoint deadline) {
        const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
        const auto is_over = [&] {
            return stopped || cancellation.cancelled() != asio::cancellation_type::none;
        };
        const auto mark = queue.mark();
        for (const auto& destination : destinations) { destination->end_pause(); }
        poke();
        co_await bell->progress.wait_until(
            [&] { return is_over() || queue.has_consumed(mark); }, deadline);
        if (!queue.has_consumed(mark)) { co_return false; }
        const auto target = consumed;
        decide_all();
        flush_until = std::max(flush_until, target);
        poke();
        co_await bell->progress.wait_until(
            [&] { return is_over() || resolved_until() >= target; }, deadline);
        co_return resolved_until() >= target;
    }

    // The first caller stops everything, others wait until it has.
    asio::awaitable<void> stop(const std::vector<Ledger>& before) {
        const auto give_up = Clock::now() + std::chrono::seconds(1);
        if (std::exchange(stopped, true)) {
            co_await bell->progress.wait_until([&] { return ended; }, give_up);
            co_return;
        }
        for (const auto& destination : destinations) { // At once: one may take all the time.
            destination->close();
            ++stops_left;
            asio::co_spawn(
                executor, destination->stop(give_up, queue.is_durable()),
                [self = shared_from_this()](const std::exception_ptr&) {
                    --self->stops_left;
                    self->progressed();
                });
        }
        co_await bell->progress.wait_until([&] { return stops_left == 0; }, give_up);
        spool_the_rest();
        drop_the_rest();
        for (std::size_t i = 0; i < destinations.size(); ++i) {
            report_losses(*destinations[i], before[i], ledger(i));
        }
        ended = true;
        poke();
        progressed();
        close_descriptor();
    }

    void close_descriptor() noexcept {
        own.close(
            [this] {
                boost::system::error_code ignored;
                descriptor.close(ignored);
            },
            [this] { descriptor.release(); });
    }

    // Where there is a disk, what never came into a batch waits there for the next start. Bound: the queue, whose producers
    // have stopped.
    void spool_the_rest() {
        const bool some_have_spools =
            std::any_of(destinations.begin(), destinations.end(), [](const auto& destination) {
                return destination->has_spool();
            });
        if (!some_have_spools) { return; }
        try {
            while (tail ? consume_by_trace() : consume()) {}
            decide_all();
            while (tail && fill_from_tail()) {}
            if (!builder.empty()) { close_batch(); }
        } catch (const std::bad_alloc&) {} // What is left is dropped, and counted, next.
    }

    // After the last flush: whatever has not been sent by now is not going to be.
    void drop_the_rest() {
        const bool is_kept = queue.is_durable();
        const auto batched = batched_until(); // The rest stays in a durable queue.
        decide_all();
        std::uint64_t left = builder.records();
        for (; tail && tail->has_kept(); tail->pop()) { ++left; } // Bound: what was kept.
        builder.clear();
        for (const auto& destination : destinations) { destination->drop_the_rest(left); }
        if (is_kept) { queue.release(count_before(std::min(batched, safe_until()))); }
        std::uint64_t in_ring = 0;
        consumed += queue.consume([&](std::span<const std::byte> payload) {
            in_ring += record_of(payload).header.items;
            return true;
        });
        change_all([&](detail::Account::Counts& counts) {
            counts.consumed += in_ring;
            if (is_kept) {
                counts.spooled += in_ring;
            } else {
                counts.drop(in_ring, DropReason::shutdown);
            }
        });
        if (is_kept) { report_kept(in_ring); }
    }

    void report_kept(std::uint64_t in_ring) const {
        std::uint64_t most = 0; // Of a destination; the ring holds what any of them lacks.
        for (const auto& destination : destinations) { most = std::max(most, destination->kept()); }
        most += in_ring;
        if (most == 0) { return; }
        log.report(DiagnosticLevel::info, fmt::format("drain.{}.kept", name(signal)), [&] {
            return fmt::format(
                "{}: {} records that could not be sent are kept in {} for the next start",
                name(signal), most, queue.path());
        });
    }

    // One line for all of a shutdown: each batch's own may be withheld, and what never came into one has none.
    void report_losses(
        const detail::Destination& at, const Ledger& before, const Ledger& after) const {
        std::uint64_t total = 0;
        std::string reasons;
        for (std::size_t i = 0; i < drop_reason_count; ++i) {
            const auto count = after.dropped[i] - before.dropped[i];
            if (count == 0 || static_cast<DropReason>(i) == DropReason::filtered) { continue; }
            total += count;
            reasons += fmt::format(
                "{}{} {}", reasons.empty() ? "" : ", ", count, name(static_cast<DropReason>(i)));
        }
        if (total == 0) { return; }
        const auto to =
            destinations.size() == 1 ? "" : fmt::format(" to \"{}\"", at.name()); // Of several.
        log.report(
            DiagnosticLevel::error, fmt::format("drain.{}.{}.shutdown", name(signal), at.name()),
            [&] {
                return fmt::format(
                    "{}{}: {} records dropped in all while shutting down: {}", name(signal), to,
                    total, reasons);
            });
    }

    [[nodiscard]] Ledger ledger(std::size_t index) const {
        const auto counts = destinations[index]->account().read();
        Ledger ledger;
        ledger.exported = counts.exported;
        ledger.rejected = counts.rejected;
        ledger.dropped = counts.dropped;
        ledger.in_flight = counts.in_flight;
        ledger.spooled = counts.spooled;
        ledger.queued = counts.pending;
        // After consumed: never less than it.
        const auto accepted = one_item_each ? queue.records_accepted() : 0;
        ledger.created = accepted;
        ledger.queued += accepted;
        if (producer_counts) { producer_counts(ledger); }
        ledger.queued -= counts.consumed;
        ledger.created += counts.resumed;
        return ledger;
    }

    [[nodiscard]] std::vector<Ledger> ledgers() const {
        std::vector<Ledger> all;
        for (std::size_t i = 0; i < destinations.size(); ++i) { all.push_back(ledger(i)); }
        return all;
    }

    [[nodiscard]] FlushReport report_since(const std::vector<Ledger>& before, bool complete) const {
        FlushReport sum{.complete = complete};
        for (std::size_t i = 0; i < destinations.size(); ++i) {
            const auto one = weft::report_since(before[i], ledger(i), complete);
            sum.exported += one.exported;
            sum.rejected += one.rejected;
            sum.dropped += one.dropped;
            sum.pending += one.pending;
            sum.spooled += one.spooled;
        }
        return sum;
    }
};

Drain::Drain(Setup setup) : state_(std::make_shared<State>(std::move(setup))) {}
Drain::~Drain() = default;

asio::awaitable<void> Drain::run() {
    const auto state = state_;
    state->watch_queue();
    co_await state->loop();
}

asio::awaitable<FlushReport> Drain::flush(TimePoint deadline) {
    const auto state = state_;
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto before = state->ledgers();
    const bool complete = co_await state->wait_resolved(deadline);
    co_return state->report_since(before, complete);
}

asio::awaitable<FlushReport> Drain::shutdown(TimePoint deadline) {
    const auto state = state_;
    // Whoever cancels wants it sooner, not half done.
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto before = state->ledgers();
    const bool complete = co_await state->wait_resolved(deadline);
    co_await state->stop(before);
    co_return state->report_since(before, complete);
}

asio::awaitable<bool> Drain::wait_until(std::function<bool()> condition, TimePoint deadline) {
    const auto state = state_;
    co_return co_await state->bell->progress.wait_until(std::move(condition), deadline);
}

Ledger Drain::ledger(std::size_t destination) const { return state_->ledger(destination); }

std::size_t Drain::destinations() const noexcept { return state_->destinations.size(); }

const std::string& Drain::destination_name(std::size_t index) const noexcept {
    return state_->destinations[index]->name();
}

SinkState Drain::sink_state(std::size_t destination) const noexcept {
    return state_->destinations[destination]->sink_state();
}

} // namespace weft
