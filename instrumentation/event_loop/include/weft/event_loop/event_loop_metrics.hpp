#pragma once
#include <weft/signals/instrument.hpp>

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <string>

namespace weft {

namespace asio = boost::asio;

struct EventLoopOptions {
    std::string name = "main"; ///< The attribute asio.event_loop.name.
    /// Between two probes. At least 1 ms.
    std::chrono::milliseconds interval{1000};
};

/// Metrics of one io_context, as long as it lives. At each interval a handler is posted, the probe, which measures how
/// long it waited (asio.event_loop.lag) and how much ran before it (asio.event_loop.queue.depth). The loop's threads are
/// known by the probes that they ran; from their CPU clocks comes asio.event_loop.utilization. There is one probe at a
/// time: a loop that hangs gets no second one, and shows as asio.event_loop.stall.
/// It neither keeps the loop's `run()` from returning nor needs it to run.
/// Threads: any. It has one of its own, which sleeps. Lifetime: the io_context outlives it.
/// Cost: one posted handler for each interval.
class EventLoopMetrics {
public:
    /// To the process's default runtime, whenever there is one.
    /// Errors: std::invalid_argument for an interval out of its range; std::system_error without a thread;
    /// std::bad_alloc.
    explicit EventLoopMetrics(asio::io_context& context, EventLoopOptions options = {});
    /// To the meter's runtime. As above.
    EventLoopMetrics(asio::io_context& context, const Meter& meter, EventLoopOptions options = {});
    EventLoopMetrics(EventLoopMetrics&&) noexcept;
    EventLoopMetrics& operator=(EventLoopMetrics&&) noexcept;
    /// Does not wait for a probe that waits in the loop's queue.
    ~EventLoopMetrics();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace weft
