#pragma once
// The way of closed batches from the drain to one sink: what waits, what is being sent, and the account of both.
//
//   closed batch ──take──▶ filter ──▶ waiting ──send──▶ Sink (retry, Retry-After) ──▶ settled
//
// A drain hands each batch to all its destinations, as one shared, immutable object; none of them waits for another.
//
// Threads: the drain's executor, which must not run two handlers at once; `account` any.

#include "account.hpp"
#include "bell.hpp"

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
#include <memory>
#include <set>
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
    [[nodiscard]] Account& account() noexcept { return account_; }
    [[nodiscard]] const Account& account() const noexcept { return account_; }

    /// Whether a batch can wait here without another giving way.
    [[nodiscard]] bool has_room() const noexcept { return waiting_bytes_ < waiting_bytes_max_; }

    /// Takes a closed batch, whose records are consumed and pending already. Without room, `must_give_way` makes
    /// WhenFull decide; else it waits all the same. `first_record`: how many records the drain had consumed before its
    /// first. Records have numbers; counts are of items.
    void take(
        const std::shared_ptr<const Batch>& batch, std::uint64_t first_record, bool must_give_way);

    /// As many as the sink has connections.
    void start_sends();

    /// Every record before this one has come to its end here; at most `consumed`, the number that the drain has consumed.
    [[nodiscard]] std::uint64_t resolved_until(std::uint64_t consumed) const noexcept;

    /// Stops the sink; waits for it and for the completion of every send until `give_up`. `is_kept`: what is not sent by
    /// then stays in a durable ring, and is not dropped but spooled.
    [[nodiscard]] asio::awaitable<void> stop(TimePoint give_up, bool is_kept);
    /// After stop: whatever has not been sent by now is not going to be. Also of what is still pending before the
    /// destination, `records_before`.
    void drop_the_rest(std::uint64_t records_before);
    /// No record before this one was cut off by stop. The largest number: none at all.
    [[nodiscard]] std::uint64_t kept_from() const noexcept { return kept_from_; }

private:
    struct Waiting {
        std::shared_ptr<const Batch> batch;
        std::uint64_t first_record = 0;
    };

    [[nodiscard]] bool is_wanted(const Batch& batch);
    void drop_pending(std::uint64_t records, DropReason reason);
    [[nodiscard]] Waiting pop_front();
    void start_send();
    void sent(
        std::uint64_t first_record, std::uint64_t records, const std::exception_ptr& error,
        const SendOutcome& outcome);
    void tell_settled(
        std::int64_t begun_ns, std::uint64_t records, const std::exception_ptr& error,
        const SendOutcome& outcome);

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
    std::multiset<std::uint64_t> sending_; // first_record of each batch in flight.
    bool is_kept_ = false;                 // See stop.
    std::uint64_t kept_from_ = std::numeric_limits<std::uint64_t>::max();
    Account account_;
};

} // namespace weft::detail
