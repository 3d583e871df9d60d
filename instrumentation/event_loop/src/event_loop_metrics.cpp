// The probe: posted by a thread of its own, run by the loop.
//
//   probe thread ──post──▶ the loop's queue ──▶ run: lag = now - posted, depth = slices since, threads += this one
//
// P1  There is one probe at a time. The next is posted only once the last has run or has been destroyed with the loop.
// P2  A probe owns what it uses and looks whether it is still wanted: it may run long after its EventLoopMetrics.

#include "loop_threads.hpp"
#include "probe_thread.hpp"

#include <weft/event_loop/event_loop_metrics.hpp>
#include <weft/runtime/clock.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/signals/observable.hpp>

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

namespace weft {
namespace {

constexpr Meter loop_meter("weft.event_loop", WEFT_VERSION);

// From "at once" to "somebody waits in a handler".
constexpr std::array lag_buckets{0.00001, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                 0.05,    0.1,    0.25,   0.5,   1.0,    2.5,   5.0,  10.0};
constexpr std::string_view name_key = "asio.event_loop.name";

using Totals = detail::LoopThreads::Totals;

// What the probe and the callback share. Lives as long as a probe waits somewhere (P2).
struct Shared {
    Shared(const Meter& meter, std::string loop_name)
        : name(std::move(loop_name)),
          lag(meter, "asio.event_loop.lag",
              {.unit = "s",
               .description = "How long a handler waited from its posting until it ran.",
               .boundaries = lag_buckets}) {}

    const std::string name;
    const Histogram<double> lag;
    const std::shared_ptr<detail::LoopThreads> threads = std::make_shared<detail::LoopThreads>();

    std::mutex mutex; // Guards the rest; nobody waits while holding it.
    bool is_wanted = true;
    std::int64_t posted_ns = 0; // Of the probe that waits; 0: none does.
    Totals at_post;
    std::optional<std::int64_t> depth;
    // The share of the time between two probes.
    std::int64_t measured_ns = 0;
    Totals at_measure;
    std::optional<double> utilization;
};

void measure_utilization(Shared& shared, const Totals& now, std::int64_t now_ns) {
    const auto passed = static_cast<double>(now_ns - shared.measured_ns);
    const auto threads =
        static_cast<double>(shared.at_measure.threads); // A newer one has hardly counted.
    if (shared.measured_ns != 0 && passed > 0 && threads > 0) {
        const auto used = static_cast<double>(now.cpu_ns - shared.at_measure.cpu_ns);
        shared.utilization = std::clamp(used / passed / threads, 0.0, 1.0);
    }
    shared.measured_ns = now_ns;
    shared.at_measure = now;
}

// A probe in the loop's queue. Destroyed without having run, it makes room for the next (P1).
class Probe {
public:
    explicit Probe(std::shared_ptr<Shared> shared) noexcept : shared_(std::move(shared)) {}
    Probe(Probe&&) noexcept = default;
    Probe& operator=(Probe&&) = delete;
    ~Probe() {
        if (shared_ == nullptr) { return; }
        const std::lock_guard lock(shared_->mutex);
        shared_->posted_ns = 0;
    }

    void operator()() noexcept {
        try {
            measure();
        } catch (const std::exception&) {} // No memory to know this thread: the next probe may.
    }

private:
    void measure() {
        const auto now = steady_now_ns();
        const auto shared = shared_; // Its own destructor makes room.
        shared->threads->add_this_thread();
        const auto totals = shared->threads->totals();
        std::int64_t posted = 0;
        {
            const std::lock_guard lock(shared->mutex);
            if (!shared->is_wanted) { return; }
            posted = shared->posted_ns;
            // What ran on a thread that was not known when the probe was posted has not been counted.
            if (totals.threads == shared->at_post.threads) {
                shared->depth = static_cast<std::int64_t>(totals.slices - shared->at_post.slices);
            }
            measure_utilization(*shared, totals, now);
        }
        shared->lag.record(
            static_cast<double>(std::max<std::int64_t>(now - posted, 0)) / 1e9,
            {{name_key, shared->name}});
    }

    std::shared_ptr<Shared> shared_;
};

void post_probe(asio::io_context& context, const std::shared_ptr<Shared>& shared) {
    {
        const auto totals = shared->threads->totals();
        const std::lock_guard lock(shared->mutex);
        if (shared->posted_ns != 0) { return; } // P1
        shared->posted_ns = steady_now_ns();
        shared->at_post = totals;
    }
    asio::post(context, Probe(shared));
}

EventLoopOptions validated(EventLoopOptions options) {
    if (options.interval < std::chrono::milliseconds(1)) {
        throw std::invalid_argument(fmt::format(
            "weft::EventLoopOptions::interval is {} ms: allowed is 1 ms or more",
            options.interval.count()));
    }
    return options;
}

} // namespace

struct EventLoopMetrics::State {
    State(asio::io_context& context, const Meter& meter, EventLoopOptions options)
        : shared(std::make_shared<Shared>(meter, std::move(options.name))),
          handlers(
              meter, "asio.event_loop.handlers",
              {.unit = "{handler}",
               .description = "Slices of coroutine chains that the loop's threads have run."}),
          depth(
              meter, "asio.event_loop.queue.depth",
              {.unit = "{handler}",
               .description = "Slices of coroutine chains that ran before the last probe."}),
          utilization(
              meter, "asio.event_loop.utilization",
              {.unit = "1",
               .description = "Share of the time between two probes in which the loop's threads "
                              "used a CPU."}),
          stall(
              meter, "asio.event_loop.stall",
              {.unit = "s", .description = "How long the probe that waits now has been waiting."}),
          thread_count(
              meter, "asio.event_loop.thread.count",
              {.unit = "{thread}", .description = "Threads that have run a probe."}),
          callback(
              {handlers, depth, utilization, stall, thread_count},
              ObservableCallback::Plain([this](Observations& to) { observe(to); })),
          probes(options.interval, [this, &context] { post_probe(context, shared); }) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        const std::lock_guard lock(shared->mutex);
        shared->is_wanted = false;
    }

    void observe(Observations& to) const {
        const auto totals = shared->threads->totals();
        const auto now = steady_now_ns();
        std::optional<std::int64_t> last_depth;
        std::optional<double> last_utilization;
        std::int64_t waited_ns = 0;
        {
            const std::lock_guard lock(shared->mutex);
            last_depth = shared->depth;
            last_utilization = shared->utilization;
            if (shared->posted_ns != 0) {
                waited_ns = std::max<std::int64_t>(now - shared->posted_ns, 0);
            }
        }
        const std::string_view name = shared->name;
        to.observe(handlers, static_cast<std::int64_t>(totals.slices), {{name_key, name}});
        to.observe(thread_count, static_cast<std::int64_t>(totals.threads), {{name_key, name}});
        to.observe(stall, static_cast<double>(waited_ns) / 1e9, {{name_key, name}});
        if (last_depth) { to.observe(depth, *last_depth, {{name_key, name}}); }
        if (last_utilization) { to.observe(utilization, *last_utilization, {{name_key, name}}); }
    }

    const std::shared_ptr<Shared> shared;
    ObservableCounter<std::int64_t> handlers;
    ObservableGauge<std::int64_t> depth;
    ObservableGauge<double> utilization;
    ObservableGauge<double> stall;
    ObservableUpDownCounter<std::int64_t> thread_count;
    // In this order: they go before what they use, and wait for who is inside.
    ObservableCallback callback;
    detail::ProbeThread probes;
};

EventLoopMetrics::EventLoopMetrics(asio::io_context& context, EventLoopOptions options)
    : EventLoopMetrics(context, loop_meter, std::move(options)) {}
EventLoopMetrics::EventLoopMetrics(
    asio::io_context& context, const Meter& meter, EventLoopOptions options)
    : state_(std::make_unique<State>(context, meter, validated(std::move(options)))) {}
EventLoopMetrics::EventLoopMetrics(EventLoopMetrics&&) noexcept = default;
EventLoopMetrics& EventLoopMetrics::operator=(EventLoopMetrics&&) noexcept = default;
EventLoopMetrics::~EventLoopMetrics() = default;

} // namespace weft
