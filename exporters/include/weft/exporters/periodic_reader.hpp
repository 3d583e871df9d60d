#pragma once
// Metrics on their way out: at each interval, and at flush and shutdown, one collection.
//
//   collect source ──points──▶ MetricEncoder ──records──▶ MetricQueue ──▶ ring ──▶ Drain
//                                                            └── waits for room, until the timeout
//
// It is a coroutine beside the drain, on the same executor: a collection that does not fit into the ring waits for the
// drain to make room, and is dropped and counted only when its time is up.
//
// Threads: everything but the constructor and `counts` runs on the executor, which must not run two handlers at once.

#include <weft/exporters/drain.hpp>
#include <weft/exporters/metric_queue.hpp>
#include <weft/exporters/periodic_reader_options.hpp>
#include <weft/signals/metric_points.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace weft {

/// Collects and exports the metrics of one runtime. Collections never overlap.
class PeriodicReader {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    /// Hands every point to the visitor, on the executor: MetricReader::collect. What it throws is reported and costs the
    /// rest of that collection. It is cancelled (terminal) when its time is up.
    using Collect = std::function<asio::awaitable<void>(MetricVisitor&)>;

    struct Setup {
        asio::any_io_executor executor;
        std::shared_ptr<MetricQueue> queue;
        std::shared_ptr<Drain> drain; ///< Of the queue's ring, on the same executor.
        Collect collect;
        /// `points_max` is the drain's BatchOptions::records_max. `temporality` and `exponential_histograms` are the
        /// source's concern.
        PeriodicReaderOptions options{};
        Diagnostics& log;
    };
    /// Errors: std::bad_alloc.
    explicit PeriodicReader(Setup setup);
    PeriodicReader(const PeriodicReader&) = delete;
    PeriodicReader& operator=(const PeriodicReader&) = delete;
    ~PeriodicReader();

    /// The reader's life: spawn it once. Completes after `shutdown`.
    [[nodiscard]] asio::awaitable<void> run();

    /// Collects, then flushes the drain, or as much of it as the deadline allows. A collection under way is waited for
    /// and followed by another.
    [[nodiscard]] asio::awaitable<FlushReport> flush(TimePoint deadline);

    /// A last collection, then the drain's shutdown; what is collected later is dropped and counted.
    [[nodiscard]] asio::awaitable<FlushReport> shutdown(TimePoint deadline);

    struct Counts {
        std::uint64_t collections = 0; ///< Begun.
        std::uint64_t failed = 0;      ///< Ended by an exception.
        std::uint64_t late = 0;        ///< Not over when their time was up.
        std::uint64_t left_out =
            0; ///< Not begun at their time, because an earlier one was still not over.
    };
    /// Threads: any.
    [[nodiscard]] Counts counts() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace weft
