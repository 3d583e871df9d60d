#pragma once
// The way of closed batches from the drain to one sink: what waits, what is being sent, and the account of both.
//
//   closed batch ──take──▶ filter ──▶ waiting ──send──▶ Sink (retry, Retry-After) ──▶ settled
//                             │                    ▲                    │
//                             └──────▶ spool ──────┘◀───given up────────┘
//
// With a spool, `waiting` holds what it would not take, and the older of the two goes first.
//
// A drain hands each batch to all its destinations, as one shared, immutable object; none of them waits for another.
//
// Threads: the drain's executor, which must not run two handlers at once; `account` any.

#include "account.hpp"
#include "bell.hpp"
#include "spool_queue.hpp"

#include <weft/exporters/destination.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/signal.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace weft::detail {

namespace asio = boost::asio;

/// Shared with its sends, so that the drain may go while one of them ends.
class Destination : public std::enable_shared_from_this<Destination> {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// What all destinations of a drain have in common.
    struct Shared {
        asio::any_io_executor executor;
        Signal signal;
        std::shared_ptr<Bell> bell; ///< Rung when a send has ended.
        Diagnostics& log;
    };
    Destination(Shared shared, DestinationSetup setup);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] SinkState sink_state() const noexcept { return sink_->state(); }
    [[nodiscard]] Account& account() noexcept { return account_; }
    [[nodiscard]] const Account& account() const noexcept { return account_; }

    /// Whether a batch can wait here without another giving way.
    [[nodiscard]] bool has_room() const noexcept;
    [[nodiscard]] bool has_spool() const noexcept { return spool_.has_value(); }

    /// Takes a closed batch, whose records are consumed and pending already. Without room, `must_give_way` makes
    /// WhenFull decide; else it waits all the same. `first_record`: how many records the drain had consumed before its
    /// first. Records have numbers; counts are of items.
    void take(
        const std::shared_ptr<const Batch>& batch, std::uint64_t first_record, bool must_give_way);

    /// As many as the sink has connections.
    void start_sends();
    /// Looks after the disk. Afterwards `due` says when to come back, `max` for never.
    void keep_up(TimePoint now);
    [[nodiscard]] TimePoint due() const noexcept;
    /// A flush does not wait for a pause to end.
    void end_pause() noexcept { resend_at_ = TimePoint::min(); }

    /// Every record before this one has come to its end here; at most `consumed`, the number that the drain has consumed.
    [[nodiscard]] std::uint64_t resolved_until(std::uint64_t consumed) const noexcept;

    /// Every record before this one needs the queue no more: it has come to its end here, or is on disk.
    [[nodiscard]] std::uint64_t safe_until(std::uint64_t consumed) const noexcept;

    /// From now on nothing waits in memory: what is taken goes to disk or is given up.
    void close() noexcept { is_closed_ = true; }
    /// Stops the sink; waits for it and for the completion of every send until `give_up`. `is_kept`: what is not sent by
    /// then stays in a durable ring, and is not dropped but spooled.
    [[nodiscard]] asio::awaitable<void> stop(TimePoint give_up, bool is_kept);
    /// After stop: whatever has not been sent by now is not going to be, and stays on disk, stays in a durable ring or is
    /// dropped; so does `records_before`, which are still pending before the destination. Gives up the spool.
    void drop_the_rest(std::uint64_t records_before);
    /// Records that were given up to a durable ring.
    [[nodiscard]] std::uint64_t kept() const noexcept { return kept_; }

private:
    struct Waiting {
        std::shared_ptr<const Batch> batch;
        std::uint64_t first_record = 0;
        std::uint64_t behind = 0; // SpoolQueue's number of the next that enters: what is younger.
    };
    // What a send is of.
    struct Sending {
        std::shared_ptr<const Batch> batch;
        std::uint64_t first_record = 0;
        std::optional<std::uint64_t> spool_id; // Nothing: it came from memory.
        std::int64_t begun_ns = 0;
    };

    [[nodiscard]] bool is_wanted(const Batch& batch);
    void drop_pending(std::uint64_t records, DropReason reason);
    [[nodiscard]] Waiting pop_front();
    [[nodiscard]] bool spool(
        const std::shared_ptr<const Batch>& batch, std::uint64_t first_record,
        std::uint64_t Account::Counts::*from);
    [[nodiscard]] bool memory_is_next() const noexcept;
    [[nodiscard]] std::optional<Sending> next();
    void start(Sending what);
    void sent(Sending what, SendOutcome outcome);
    [[nodiscard]] bool keep(Sending& what);
    void give_up(
        std::uint64_t records, std::uint64_t first_record, std::uint64_t Account::Counts::*from);
    void forget(const Sending& what);

    const asio::any_io_executor executor_;
    const Signal signal_;
    const std::shared_ptr<Bell> bell_;
    Diagnostics& log_;

    const std::string name_;
    const std::string full_key_; // Of the line in the log: nothing may throw where a batch is lost.
    const std::shared_ptr<Sink> sink_;
    const std::size_t sends_max_;
    const std::size_t waiting_bytes_max_;
    const WhenFull when_full_;
    const std::function<bool(const Batch&)> filter_;
    const BatchSettled settled_;

    std::deque<Waiting> waiting_;
    std::size_t waiting_bytes_ = 0;
    std::multimap<std::uint64_t, bool>
        sending_;          // first_record of each batch in flight; is it on disk?
    bool is_kept_ = false; // See stop.
    std::uint64_t kept_ = 0;
    // Records before this one were not given up to a durable ring.
    std::uint64_t kept_from_ = std::numeric_limits<std::uint64_t>::max();
    Account account_;
    std::optional<SpoolQueue> spool_; // Refers to account_.
    const std::chrono::milliseconds resend_after_;
    TimePoint resend_at_ = TimePoint::min(); // No send begins before.
    bool is_refused_ = false; // The spool did not take the last batch; then, when to ask again:
    TimePoint ask_again_at_{};
    std::uint64_t refused_disk_bytes_ = 0; // As it was then.
    bool is_closed_ = false;
};

} // namespace weft::detail
