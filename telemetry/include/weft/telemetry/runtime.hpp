#pragma once
#include <weft/exporters/ledger.hpp>
#include <weft/runtime/executor.hpp>
#include <weft/runtime/host.hpp>
#include <weft/runtime/signal.hpp>
#include <weft/signals/cardinality.hpp>
#include <weft/signals/instrument.hpp>
#include <weft/signals/span.hpp>
#include <weft/telemetry/options.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

class PrometheusHandler;

/// The telemetry of one program: where its spans go, from start to a clean end.
///
///     weft::Runtime runtime(weft::options_from_env());
///     weft::co_spawn(runtime, serve(), [](const std::exception_ptr& error) { report(error); });
///     return runtime.run();
///
/// The first Runtime is the process's default: `weft::Span` and namespace-scope tracers report to it. Others are for
/// tracers made by `tracer()`. Export runs on one thread of the Runtime's own, or without one on the program's io_context:
/// Options::export_on.
/// A forked child may go on with the Runtime it inherits, or end it and make its own: see docs/architecture.md, "Fork".
/// Threads: construct and destroy anywhere but in what exports call (callbacks, sinks); the rest as each member says.
class Runtime {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// Owns an io_context. Errors: std::invalid_argument, naming the option; std::system_error without a thread.
    explicit Runtime(Options options = {});
    /// Uses the program's io_context. Lifetime: `context` outlives the Runtime.
    explicit Runtime(asio::io_context& context, Options options = {});
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;
    /// Shuts down within Options::shutdown_timeout if nobody has. Spans that end later are counted no-ops.
    ~Runtime();

    [[nodiscard]] asio::io_context& io_context() noexcept;
    /// The io_context's own executor, without a context: `asio::co_spawn` of a `weft::Task` on it does not compile,
    /// because the context would be lost; `weft::co_spawn` does.
    [[nodiscard]] asio::io_context::executor_type get_executor() noexcept;
    [[nodiscard]] Host& host() noexcept;
    operator Host&() noexcept { return host(); }

    /// Runs the io_context on Options::threads threads until it is out of work, or SIGINT, SIGTERM or stop() ends it:
    /// then the stop hooks run (servers finish what they have), for at most Options::stop_grace, telemetry is shut
    /// down, and, when WEFT_LEDGER=json, the ledger is printed on stderr as one line.
    /// Returns 0, or 1 when a handler threw (the exception's text is on stderr). Called by a handler of this very loop, as
    /// in a child that it has forked, it does nothing but report that, and returns 1.
    int run();
    /// Makes run() end as a signal would. Threads: any.
    void stop() noexcept;

    /// A tracer that reports to this runtime. Lifetime: of the texts; the tracer may outlive the runtime.
    [[nodiscard]] Tracer tracer(
        std::string_view name, std::string_view version = {},
        std::string_view schema_url = {}) const noexcept;

    /// A meter whose instruments report to this runtime. Lifetime: of the texts; the meter may outlive the runtime.
    [[nodiscard]] Meter meter(
        std::string_view name, std::string_view version = {},
        std::string_view schema_url = {}) const noexcept;

    /// For /metrics on a server of the program's own: each handler collects for itself. Without metrics its answers are
    /// empty. Errors: std::invalid_argument, see PrometheusHandler; std::length_error with more than 8 readers.
    [[nodiscard]] std::shared_ptr<PrometheusHandler> prometheus_handler(
        PrometheusHandlerOptions options = {}) const;
    /// Where Options::prometheus listens; 0: it does not.
    [[nodiscard]] std::uint16_t prometheus_port() const noexcept;

    /// Exports everything that has ended, or as much as the deadline allows. Never blocks the caller's loop.
    [[nodiscard]] Task<FlushReport> flush(TimePoint deadline);
    [[nodiscard]] Task<FlushReport> flush(std::chrono::milliseconds within);
    /// As flush, then stops for good: what is left is dropped and counted. Later calls report an empty, complete flush.
    [[nodiscard]] Task<FlushReport> shutdown(TimePoint deadline);
    [[nodiscard]] Task<FlushReport> shutdown(std::chrono::milliseconds within);
    /// As above, for threads that may wait. With ExportOn::user_executor the thread does the work itself, whoever runs the
    /// io_context, or nobody. Errors: Errc::wrong_thread on the export thread, or on a thread that runs the io_context
    /// which exports are on: it would wait for itself or hold up everything else.
    Result<FlushReport> flush_blocking(std::chrono::milliseconds within);
    Result<FlushReport> shutdown_blocking(std::chrono::milliseconds within);

    /// Whether spans that end on this thread find room for a while: its ring is half empty or more. Always with telemetry
    /// off. Threads: any. Cost: two loads.
    [[nodiscard]] bool has_room() const noexcept;
    /// Waits until there is room again, for producers that would rather be slow than lose spans:
    ///
    ///     if (!runtime.has_room()) { (void)co_await runtime.ready(deadline); }
    ///
    /// False at the deadline, and then spans are dropped and counted as ever. Completes at once with room. `Ex` is the
    /// awaiting coroutine's executor: weft::Executor, or asio::any_io_executor in a plain asio::awaitable.
    /// Lifetime: the runtime outlives the wait. Instantiated for these two.
    template <class Ex = Executor>
    [[nodiscard]] asio::awaitable<bool, Ex> ready(TimePoint deadline = TimePoint::max());

    /// Where every span is, or every metric point, as the signal's first destination sees it. Threads: any. Cost: a mutex
    /// and a few sums.
    [[nodiscard]] Ledger ledger(Signal signal = Signal::traces) const;
    /// As above, as one of Options::destinations sees it, or "otlp" or "sink"; all zero where the signal does not go there.
    [[nodiscard]] Ledger ledger(Signal signal, std::string_view destination) const;
    /// Streams of metrics by their number of attribute sets, and which key makes them. Threads: any. Errors: std::bad_alloc.
    [[nodiscard]] std::vector<CardinalityReport> metric_cardinality() const;
    /// `{"service": "...", "spans": {...}, "metrics": {...}, "destinations": {"name": {"spans": {...}}}}`, metrics only where
    /// they are exported, and destinations only where there are several: all but the first, whose view the others are.
    [[nodiscard]] std::string ledger_json() const;
    [[nodiscard]] const std::string& service_name() const noexcept;

private:
    struct State;
    std::shared_ptr<State> state_; // Shared with stop requests on their way through the io_context.
};

} // namespace weft
