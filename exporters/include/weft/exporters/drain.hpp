#pragma once
// From the rings to the sinks: one coroutine that empties a signal's queue into batches and keeps them moving.
//
//                                                    ┌▶ destination: waiting batches ──send──▶ Sink (retry, Retry-After)
//   RecordQueue ──consume──▶ BatchBuilder ──close──▶ ┤
//                                                    └▶ destination: ...
//
// A batch closes on records, bytes or delay, whichever is first, and on flush. It goes to every destination, and is sent
// as soon as the sink there has a free place. While a sink cannot keep up, closed batches wait, until they hold
// `waiting_bytes_max`. When that is so of all destinations, the queue is left alone, fills up, and producers count what it
// refuses; while another has room, the destination without loses the batch by its own WhenFull, so that a dead one never
// slows a live one. So memory is bounded and every loss has one place.
//
// With tail sampling, records wait between queue and batch until their trace is decided; flush and shutdown decide what
// is still open.
//
// Wake-ups: the queue's descriptor (half full), a timer (delay, poll), a finished send, flush and shutdown.
//
// Threads: everything but the constructor, `ledger` and `pending` runs on the executor, which must not run two
// handlers at once (an io_context with one thread, or a strand).

#include <weft/exporters/batch_builder.hpp>
#include <weft/exporters/batch_options.hpp>
#include <weft/exporters/destination.hpp>
#include <weft/exporters/ledger.hpp>
#include <weft/exporters/sink.hpp>
#include <weft/exporters/tail_sampling.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/record_queue.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft {

class Drain {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    /// Adds what producers counted on their own (what never entered the queue) to a ledger.
    using ProducerCounts = std::function<void(Ledger&)>;
    /// Called about once a second while the drain runs: for clocks and the like.
    using Housekeeping = std::function<void()>;
    using Settled = BatchSettled;

    struct Setup {
        asio::any_io_executor executor;
        Signal signal = Signal::traces;
        RecordQueue& queue;
        EncodedResource resource;
        std::shared_ptr<Sink>
            sink{}; ///< Of a first destination without a name. Null: `destinations` alone.
        BatchOptions batch;
        ProducerCounts producer_counts;
        Housekeeping housekeeping;
        Settled settled{}; ///< Of `sink`.
        Diagnostics& log;
        TailSampling tail{}; ///< Traces only. Decides between queue and batch.
        /// False: records hold any number of items, so that `producer_counts` also adds what has entered the queue,
        /// before it can be consumed, to `created` and `queued`.
        bool one_item_each = true;
        /// Most bytes of records that one turn takes from the queue, then other handlers of the executor run. 0: no limit.
        std::size_t turn_bytes_max = 0;
        std::vector<DestinationSetup> destinations{}; ///< After `sink`'s. One at least of both.
    };
    /// Errors: std::invalid_argument without a destination; std::bad_alloc, std::system_error.
    explicit Drain(Setup setup);
    ~Drain();
    Drain(const Drain&) = delete;
    Drain& operator=(const Drain&) = delete;

    /// The drain's life: spawn it once. Completes after `shutdown`.
    [[nodiscard]] asio::awaitable<void> run();

    /// Exports what had ended before the call to every destination, or as much of it as the deadline allows. The report's
    /// numbers are sums over the destinations.
    [[nodiscard]] asio::awaitable<FlushReport> flush(TimePoint deadline);

    /// As flush; then stops: what is left is dropped and counted (DropReason::shutdown). Returns by the deadline also
    /// against a receiver that never answers. The caller has stopped the producers.
    [[nodiscard]] asio::awaitable<FlushReport> shutdown(TimePoint deadline);

    /// Waits until the condition holds, asked whenever the drain has got on: for producers on its own executor that want
    /// room in the queue. False at the deadline.
    [[nodiscard]] asio::awaitable<bool> wait_until(
        std::function<bool()> condition, TimePoint deadline);

    /// Of one destination: what is lost before the batches part is in each. Threads: any. Cost: a mutex.
    [[nodiscard]] Ledger ledger(std::size_t destination = 0) const;
    /// Threads: any.
    [[nodiscard]] std::size_t destinations() const noexcept;
    /// Threads: any.
    [[nodiscard]] const std::string& destination_name(std::size_t index) const noexcept;
    /// How a destination does at this moment. Threads: any.
    [[nodiscard]] SinkState sink_state(std::size_t destination = 0) const noexcept;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace weft
