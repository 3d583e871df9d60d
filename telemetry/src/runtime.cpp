#include "destination_ledgers.hpp"
#include "environment.hpp"
#include "exports.hpp"
#include "guest_loop.hpp"
#include "metrics_pipeline.hpp"
#include "raised.hpp"
#include "self_metrics_sources.hpp"
#include "service_thread.hpp"
#include "signal_sink.hpp"
#include "traces_pipeline.hpp"

#include <weft/runtime/clock.hpp>
#include <weft/runtime/fork.hpp>
#include <weft/runtime/spawn.hpp>
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/detail/span_processors.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/signals/metric_reader.hpp>
#include <weft/telemetry/runtime.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;
using detail::Exports;

// Providers outlive their runtimes (see TraceProvider). Reachable from here, so that leak checkers see the intent.
detail::TraceProvider& keep_for_ever(std::unique_ptr<detail::TraceProvider> provider) {
    const std::lock_guard lock(detail::lifecycle_mutex()); // Guards kept, and its making.
    static auto& kept = *new std::vector<std::unique_ptr<detail::TraceProvider>>;
    kept.push_back(std::move(provider));
    return *kept.back();
}

Resource make_resource(const Options& options) {
    Resource resource = Resource::detect();
    resource.merge(options.resource);
    if (!options.service_name.empty()) { resource.set("service.name", options.service_name); }
    return resource;
}

// Whose propagators are the process's. Written by runtimes at their start and end; null: nobody's.
constinit std::atomic<const void*> propagators_owner{nullptr};

// As the default provider: the first runtime that wants to, until it ends.
void claim_propagators(const void* runtime, const Propagators& propagators) noexcept {
    const void* nobody = nullptr;
    // relaxed: it only decides who is first; see default_propagators.
    if (propagators_owner.compare_exchange_strong(nobody, runtime, std::memory_order_relaxed)) {
        set_default_propagators(propagators);
    }
}

void release_propagators(const void* runtime) noexcept {
    // relaxed: only the owner itself finds itself here.
    if (propagators_owner.load(std::memory_order_relaxed) != runtime) { return; }
    set_default_propagators({});
    propagators_owner.store(nullptr, std::memory_order_relaxed); // relaxed: as above.
}

Clock::time_point from_now(std::chrono::milliseconds within) noexcept {
    const auto now = Clock::now();
    const auto most =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::time_point::max() - now);
    return now + std::clamp(within, std::chrono::milliseconds(0), most);
}

void housekeeping() {
    check_clock();
    refresh_wall_offset();
    detail::finish_ended_chains();
}

// Where no drain does it. Ends with its io_context.
asio::awaitable<void> keep_house() {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (;;) {
        timer.expires_after(std::chrono::seconds(1));
        co_await timer.async_wait(asio::use_awaitable);
        housekeeping();
    }
}

// Everything that exports, to the end. It holds what it uses: whoever waited for it may have given up.
asio::awaitable<FlushReport> shutdown_exports(
    detail::Pipelines pipelines, std::shared_ptr<PrometheusServer> prometheus,
    Clock::time_point deadline) {
    const auto report = co_await detail::shutdown_all(std::move(pipelines), deadline);
    if (prometheus) { co_await prometheus->stop(deadline); }
    co_return report;
}

// Holds what it uses, as above.
asio::awaitable<bool> wait_for_room(
    std::shared_ptr<detail::Pipeline> pipeline, Clock::time_point deadline) {
    co_return co_await pipeline->wait_for_room(deadline);
}

void run_on_threads(unsigned threads, const std::function<void()>& work) {
    std::vector<std::thread> others;
    others.reserve(threads);
    try {
        for (unsigned i = 1; i < threads; ++i) { others.emplace_back(work); }
    } catch (const std::system_error& error) {
        diagnostics().report(
            DiagnosticLevel::error, "runtime.threads",
            fmt::format(
                "only {} of {} threads could be started: {}", others.size() + 1, threads,
                error.what()));
    }
    work();
    for (auto& thread : others) { thread.join(); }
}

// Left behind by forks. Reachable from here, so that leak checkers see the intent.
constinit Exports* inherited_exports = nullptr; // Guarded by detail::lifecycle_mutex().

} // namespace

struct Runtime::State : std::enable_shared_from_this<State> {
    State(asio::io_context* borrowed, Options&& given)
        : options(std::move(given)),
          owned(
              borrowed == nullptr
                  ? std::make_unique<asio::io_context>(
                        options.threads == 1 ? 1 : static_cast<int>(options.threads))
                  : nullptr),
          context(borrowed != nullptr ? *borrowed : *owned), host(context) {
        if (auto problem = problem_in(options); !problem.empty()) {
            throw std::invalid_argument(problem);
        }
        const Resource resource = make_resource(options);
        service_name = resource.text("service.name");
        start(resource);
        // Telemetry off or not: what comes in is passed on. Last, for a constructor that throws claims nothing.
        if (options.make_default) { claim_propagators(this, options.propagators); }
    }
    ~State() { release_propagators(this); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    // What is wanted: providers, which take what the program makes, then what exports it.
    void start(const Resource& resource) {
        const bool traces = detail::exports(options, Signal::traces) ||
                            (!options.disabled && !options.span_processors.empty());
        const bool metrics =
            detail::exports(options, Signal::metrics) || (!options.disabled && options.prometheus);
        if (!traces && !metrics) { return; }
        calibrate_clock();
        auto made = make_exports();
        if (traces) {
            auto processors =
                options.span_processors.empty()
                    ? nullptr
                    : std::make_unique<detail::SpanProcessors>(
                          options.span_processors, detail::exports(options, Signal::traces));
            provider = &keep_for_ever(std::make_unique<detail::TraceProvider>(
                options.sampler, options.span_limits, options.batch.queue_bytes,
                options.batch.shards, std::move(processors)));
            provider->id_generator = options.id_generator;
        }
        if (metrics) { meters = &detail::make_meter_provider(options.metrics); }
        if (detail::exports(options, Signal::metrics)) {
            metric_ring = detail::make_metric_ring(options);
        }
        if (metrics && traces) { provider->counts.enable(); }
        start_pipelines(*made, resource, false);
        if (meters != nullptr && options.prometheus) { start_prometheus(*made, resource); }
        exports = std::move(made);
        if (provider != nullptr) {
            provider->gate.set_owner(this, [](void* self) noexcept {
                return static_cast<State*>(self)->start_in_child();
            });
        }
        if (options.make_default) { make_default(); }
    }

    [[nodiscard]] std::unique_ptr<Exports> make_exports() {
        if (options.export_on == ExportOn::own_thread) {
            return std::make_unique<Exports>(std::make_unique<detail::ServiceThread>());
        }
        return std::make_unique<Exports>(
            std::make_unique<detail::GuestLoop>(context, options.export_slice));
    }

    void make_default() noexcept {
        if (provider != nullptr) {
            detail::TraceProvider* nobody = nullptr;
            // release: publishes the provider to Tracer::provider's acquire. Fails, harmlessly, behind another runtime.
            detail::default_provider.compare_exchange_strong(
                nobody, provider, std::memory_order_release, std::memory_order_relaxed);
        }
        if (meters != nullptr) { (void)detail::claim_default(*meters); }
    }

    void start_pipelines(Exports& to, const Resource& resource, bool in_child) {
        if (meters != nullptr && !to.self) { to.self = detail::make_self_metrics(options, meters); }
        std::function<void()> house = &housekeeping; // For the first: it is done once.
        const auto setup = [&](Signal signal) {
            return detail::PipelineSetup{
                .executor = to.loop->executor(),
                .options = options,
                .resource = {resource.encoded(), resource.schema_url},
                .service = std::string(resource.text("service.name")),
                .in_child = in_child,
                .housekeeping = house,
                .settled = settled_of(to, signal)};
        };
        if (metric_ring != nullptr && to.pipeline(Signal::metrics)) {
            house = nullptr; // Of a start that failed behind it: it runs.
        } else if (metric_ring != nullptr) {
            to.pipeline(Signal::metrics) = std::make_shared<detail::MetricsPipeline>(
                setup(Signal::metrics), metric_ring,
                to.self->measured(metric_source(reader_options())));
            house = nullptr;
        }
        // Last of what may fail: two drains must never empty one queue, and a start that fails is tried again.
        if (provider != nullptr) {
            to.pipeline(Signal::traces) =
                std::make_shared<detail::TracesPipeline>(setup(Signal::traces), *provider);
            if (detail::exports(options, Signal::traces)) { house = nullptr; }
        }
        if (house) { // Processors or Prometheus alone.
            to.house = asio::co_spawn(to.loop->executor(), keep_house(), asio::use_future);
        }
        if (to.self) {
            to.self->watch(
                detail::self_metrics_sources(options, to.pipelines, provider, metric_ring));
        }
        to.is_started = true;
    }

    static std::function<Drain::Settled(const detail::ExporterName&)> settled_of(
        const Exports& to, Signal signal) {
        if (!to.self) { return nullptr; }
        return [&self = *to.self, signal](const detail::ExporterName& exporter) {
            return self.settled(signal, exporter);
        };
    }

    // A reader of its own.
    [[nodiscard]] PrometheusSource metric_source(const MetricReaderOptions& how) const {
        return [reader = std::make_shared<MetricReader>(*meters, how)](MetricVisitor& visitor) {
            return reader->collect(visitor);
        };
    }

    // Before anything is the process's default: a port that is taken is an error of the constructor.
    void start_prometheus(Exports& to, const Resource& resource) {
        to.prometheus = std::make_shared<PrometheusServer>(
            to.loop->executor(), metric_source({}), std::string(resource.encoded()),
            *options.prometheus);
    }

    // Callbacks that are late are left out before the whole collection is.
    [[nodiscard]] MetricReaderOptions reader_options() const {
        return {
            .temporality = options.metric_reader.temporality,
            .exponential_histograms = options.metric_reader.exponential_histograms,
            .callback_timeout = options.metric_reader.timeout / 10 * 9};
    }

    // In a forked child, when its first span ends or somebody waits for it: new thread, connections and resource, for
    // the instance and the process are others. With lifecycle_mutex(). False without memory or a thread.
    bool start_in_child() noexcept {
        try {
            if (exports == nullptr) { exports = make_exports(); }
            if (!exports->is_started) { start_pipelines(*exports, make_resource(options), true); }
            return true;
        } catch (...) { return false; }
    }

    [[nodiscard]] bool is_started() const noexcept { return exports && exports->is_started; }

    // In a forked child that has not started: whether a flush must.
    [[nodiscard]] bool has_something_to_export() const noexcept {
        if (meters != nullptr) { return true; }
        return provider != nullptr &&
               (provider->queue.records_accepted() != 0 || provider->processors != nullptr);
    }

    // What exports in this process. Null: nothing is to be exported, be it that telemetry is off, or that this is a
    // forked child without a span of its own.
    Exports* exporting() {
        const HeldDiagnostics held;
        const std::lock_guard lock(detail::lifecycle_mutex());
        if (!is_started() && has_something_to_export() && !start_in_child()) {
            detail::report_failed_start();
        }
        return is_started() ? exports.get() : nullptr;
    }

    // As above, for run(), which has a use for the loop alone. Errors: std::system_error.
    Exports& require_exports() {
        const HeldDiagnostics held;
        const std::lock_guard lock(detail::lifecycle_mutex());
        if (provider != nullptr || meters != nullptr) {
            (void)start_in_child();
        } // Again at the first flush, if need be.
        if (exports == nullptr) { exports = make_exports(); }
        return *exports;
    }

    // While run() watches for signals, Asio's handler writes to a pipe that a child shares: its signal would stop the
    // parent. So the child does not get them before it has the default action. relaxed: see Raised.
    static void before_fork(void* state) noexcept {
        auto& self = *static_cast<State*>(state);
        self.holds_signals = self.watches_signals.load(std::memory_order_relaxed);
        if (!self.holds_signals) { return; }
        sigset_t held;
        sigemptyset(&held);
        for (const int number : stop_signals) { sigaddset(&held, number); }
        pthread_sigmask(SIG_BLOCK, &held, &self.signals_before);
    }
    static void on_fork_in_parent(void* state) noexcept {
        auto& self = *static_cast<State*>(state);
        if (self.holds_signals) { pthread_sigmask(SIG_SETMASK, &self.signals_before, nullptr); }
    }
    static void on_fork_in_child(void* state) noexcept {
        auto& self = *static_cast<State*>(state);
        if (self.watches_signals.load(std::memory_order_relaxed)) { // As above.
            for (const int number : stop_signals) { (void)std::signal(number, SIG_DFL); }
        }
        on_fork_in_parent(state);
        if (self.exports == nullptr) { return; }
        self.exports->loop->abandon_in_child();
        if (self.exports->self) { self.exports->self->abandon_in_child(); }
        self.exports->next_inherited = inherited_exports;
        inherited_exports = self.exports.release();
    }

    [[nodiscard]] Ledger ledger(Signal signal) {
        // Held to the end: a start in a forked child makes the queue another one.
        const std::lock_guard lock(detail::lifecycle_mutex());
        if (is_started()) {
            const auto& pipeline = exports->pipeline(signal);
            return pipeline ? pipeline->ledger() : Ledger{};
        }
        Ledger ledger;
        if (provider == nullptr || signal != Signal::traces) { return ledger; }
        ledger.created = ledger.queued = provider->queue.records_accepted();
        detail::add_producer_counts(*provider, ledger);
        return ledger;
    }

    [[nodiscard]] Ledger ledger(Signal signal, std::string_view destination) const {
        const std::lock_guard lock(detail::lifecycle_mutex());
        if (!is_started()) { return {}; }
        return detail::ledger_of(exports->pipelines, signal, destination);
    }

    [[nodiscard]] std::string other_ledgers() const {
        const std::lock_guard lock(detail::lifecycle_mutex());
        if (!is_started()) { return {}; }
        return detail::other_ledgers_json(exports->pipelines, options);
    }

    // The answer of a flush or shutdown where nothing exports.
    [[nodiscard]] FlushReport report_without_exports() {
        const auto pending = ledger(Signal::traces).queued;
        return {.complete = pending == 0, .pending = pending};
    }

    // From now on what the program makes goes nowhere. Metrics: what has been recorded is still collected.
    void close() noexcept {
        if (meters != nullptr) { detail::close(*meters); }
        if (provider == nullptr) { return; }
        detail::finish_ended_chains();
        auto* self = provider;
        // relaxed on both: a late reader finds a provider that says "closed".
        detail::default_provider.compare_exchange_strong(
            self, nullptr, std::memory_order_relaxed, std::memory_order_relaxed);
        provider->gate.close();
    }

    // The work keeps its own deadline; the bound here is for exports that are held up, or whose thread is not there any
    // more.
    static Result<FlushReport> wait_for(
        Exports& from, asio::awaitable<FlushReport> work, TimePoint deadline) {
        constexpr std::chrono::seconds patience{2};
        auto report = asio::co_spawn(from.loop->executor(), std::move(work), asio::use_future);
        const bool ends = deadline <= TimePoint::max() - patience;
        if (from.loop->wait(report, ends ? deadline + patience : TimePoint::max())) {
            return report.get();
        }
        FlushReport late;
        for (const auto& pipeline : from.pipelines) {
            if (!pipeline) { continue; }
            const Ledger ledger = pipeline->ledger();
            late.pending += ledger.queued + ledger.in_flight;
            late.spooled += ledger.spooled;
        }
        return late;
    }

    using Refused = bool (detail::ExportLoop::*)() const noexcept;

    Result<FlushReport> shutdown_blocking(std::chrono::milliseconds within, Refused refused) {
        Exports* from = exporting();
        if (from != nullptr && ((*from->loop).*refused)()) {
            return make_error_code(Errc::wrong_thread);
        }
        close(); // Which may finish the first span of a forked child.
        if (from == nullptr) { from = exporting(); }
        if (from == nullptr) { return report_without_exports(); }
        const auto deadline = from_now(within);
        return wait_for(
            *from, shutdown_exports(from->pipelines, from->prometheus, deadline), deadline);
    }

    void begin_stop() {
        // relaxed: only one may be the first; run() reads it, and the deadline, after it has joined the threads.
        if (stopping.exchange(true, std::memory_order_relaxed)) { return; }
        stop_deadline = Clock::now() + options.stop_grace;
        weft::co_spawn(context, host.stop(), [](const std::exception_ptr&) {
        });             // Host::stop contains exceptions.
        context.stop(); // run() goes on with what is left until stop_deadline.
    }

    void post_stop() {
        asio::post(context, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) { self->begin_stop(); }
        });
    }

    // False when a handler threw: there may be others that can still run.
    static bool run_until_thrown(const std::function<void()>& run_one_thread) {
        const auto report = [](std::string_view what) {
            std::fprintf(
                stderr, "weft: error: an exception left a handler of the event loop: %s\n",
                printable(what, 1000).c_str());
        };
        try {
            run_one_thread();
            return true;
        } catch (const std::exception& error) { report(error.what()); } catch (...) {
            report("not a std::exception");
        }
        return false;
    }

    // After the loop's second run: whether it ended for want of time rather than of work.
    void report_abandoned_work() {
        asio::make_work_guard(context).reset(); // Of the last work, stops the context.
        if (context.stopped()) { return; }
        const auto line = fmt::format(
            "the event loop still had work when Options::stop_grace ({} ms) was over: it is "
            "abandoned, and spans that are still open are not exported",
            options.stop_grace.count());
        diagnostics().report(DiagnosticLevel::warning, line, line);
    }

    // Runs the program's loop once, on all its threads. False when a handler threw.
    bool run_loop(const std::function<void()>& run_one_thread) {
        std::atomic<bool> good{
            true}; // Cleared by any thread of the loop, read after they have joined.
        run_on_threads(options.threads, [&] {
            while (!run_until_thrown(
                run_one_thread)) { // Bound: each turn ends a handler; the second time
                good.store(
                    false,
                    std::memory_order_relaxed); // around, stop_deadline. Joined before it is read.
                begin_stop();
            }
        });
        return good.load(std::memory_order_relaxed); // As above.
    }

    Options options;
    std::string service_name;
    std::unique_ptr<asio::io_context> owned;
    asio::io_context& context;
    Host host;
    detail::TraceProvider* provider = nullptr; // Null: no traces.
    detail::MeterProvider* meters = nullptr;   // Null: no metrics.
    std::shared_ptr<RecordQueue> metric_ring;  // Null: they are not exported. Emptied by a fork.
    std::unique_ptr<Exports> exports; // Guarded by detail::lifecycle_mutex(); stays until the end.
    // The program's loop:
    static constexpr std::array<int, 2> stop_signals{SIGINT, SIGTERM};
    std::atomic<bool> watches_signals{false}; // Written by run(), read by whoever forks.
    bool holds_signals = false;               // Of the thread that forks, as below.
    sigset_t signals_before{};
    std::atomic<bool> stopping{false}; // Set by whichever thread begins the stop, read by run().
    Clock::time_point
        stop_deadline{}; // Written by that thread, read by run() after it has joined all.
    detail::ForkRegistration at_fork{
        {detail::ForkOrder::lifecycle, this, before_fork, on_fork_in_parent, on_fork_in_child}};
};

Runtime::Runtime(Options options) : state_(std::make_shared<State>(nullptr, std::move(options))) {}

Runtime::Runtime(asio::io_context& context, Options options)
    : state_(std::make_shared<State>(&context, std::move(options))) {}

Runtime::~Runtime() {
    if (state_->provider == nullptr && state_->meters == nullptr) { return; }
    try {
        // At once if somebody has. Not refused to the program's loop, which has nowhere else to wait.
        (void)state_->shutdown_blocking(
            state_->options.shutdown_timeout, &detail::ExportLoop::is_inside);
    } catch (...) {} // No memory to ask for it: what is left is lost with the process.
    if (state_->provider != nullptr) { state_->provider->gate.set_owner(nullptr, nullptr); }
    std::unique_ptr<Exports> last;
    {
        const std::lock_guard lock(detail::lifecycle_mutex());
        last = std::move(state_->exports);
    }
    last.reset(); // Joins: nothing drains any more.
    if (state_->provider != nullptr) { state_->provider->queue.discard(); }
}

asio::io_context& Runtime::io_context() noexcept { return state_->context; }
asio::io_context::executor_type Runtime::get_executor() noexcept {
    return state_->context.get_executor();
}
Host& Runtime::host() noexcept { return state_->host; }
const std::string& Runtime::service_name() const noexcept { return state_->service_name; }

Tracer Runtime::tracer(
    std::string_view name, std::string_view version, std::string_view schema_url) const noexcept {
    return Tracer(name, version, schema_url).bound_to(state_->provider);
}

Meter Runtime::meter(
    std::string_view name, std::string_view version, std::string_view schema_url) const noexcept {
    return Meter(name, version, schema_url).bound_to(state_->meters);
}

int Runtime::run() {
    State& state = *state_;
    if (state.context.get_executor().running_in_this_thread()) {
        // The outer run has what the handler posted, and counts the handler as work: the inner one would wait for ever.
        diagnostics().report(
            DiagnosticLevel::error, "runtime.run",
            "Runtime::run() does nothing when a handler of its own event loop calls it: in a child "
            "that the handler has forked, export by a flush, and run another io_context");
        return 1;
    }
    const bool print_ledger = detail::wants_ledger();
    auto& loop = *state.require_exports().loop;                  // Stop signals are never off.
    const detail::Raised watches_signals(state.watches_signals); // Until the set has gone.
    asio::signal_set signals(loop.executor(), state.stop_signals[0], state.stop_signals[1]);
    signals.async_wait([&state, &signals](boost::system::error_code error, int) {
        if (error) { return; }
        state.post_stop();
        signals.clear(error); // A second signal ends the process at once.
    });
    bool good = state.run_loop([&] { state.context.run(); });
    if (state.stopping.load(std::memory_order_relaxed)) { // See begin_stop.
        state.context.restart();
        good = state.run_loop([&] { state.context.run_until(state.stop_deadline); }) && good;
        state.report_abandoned_work();
    }
    // Where its handler runs, which may be about to.
    auto cancelled =
        asio::post(loop.executor(), asio::use_future([&signals] { signals.cancel(); }));
    (void)loop.wait(cancelled, Clock::time_point::max());
    (void)shutdown_blocking(state.options.shutdown_timeout);
    if (print_ledger) { std::fprintf(stderr, "%s\n", ledger_json().c_str()); }
    return good ? 0 : 1;
}

void Runtime::stop() noexcept {
    try {
        state_->post_stop();
    } catch (const std::bad_alloc&) {
        diagnostics().report(
            DiagnosticLevel::error, "runtime.stop", "no memory to ask the event loop to stop");
    }
}

Task<FlushReport> Runtime::flush(TimePoint deadline) {
    detail::finish_ended_chains();
    Exports* const from = state_->exporting();
    if (from == nullptr) { co_return state_->report_without_exports(); }
    co_return co_await asio::co_spawn(
        from->loop->executor(), detail::flush_all(from->pipelines, deadline),
        asio::use_awaitable_t<Executor>{});
}

Task<FlushReport> Runtime::shutdown(TimePoint deadline) {
    state_->close();
    Exports* const from = state_->exporting();
    if (from == nullptr) { co_return state_->report_without_exports(); }
    co_return co_await asio::co_spawn(
        from->loop->executor(), shutdown_exports(from->pipelines, from->prometheus, deadline),
        asio::use_awaitable_t<Executor>{});
}

Task<FlushReport> Runtime::flush(std::chrono::milliseconds within) {
    return flush(from_now(within));
}
Task<FlushReport> Runtime::shutdown(std::chrono::milliseconds within) {
    return shutdown(from_now(within));
}

Result<FlushReport> Runtime::flush_blocking(std::chrono::milliseconds within) {
    detail::finish_ended_chains();
    Exports* const from = state_->exporting();
    if (from == nullptr) { return state_->report_without_exports(); }
    if (from->loop->is_held_up_here()) { return make_error_code(Errc::wrong_thread); }
    const auto deadline = from_now(within);
    return State::wait_for(*from, detail::flush_all(from->pipelines, deadline), deadline);
}

Result<FlushReport> Runtime::shutdown_blocking(std::chrono::milliseconds within) {
    return state_->shutdown_blocking(within, &detail::ExportLoop::is_held_up_here);
}

bool Runtime::has_room() const noexcept {
    return state_->provider == nullptr || state_->provider->queue.has_room();
}

template <class Ex>
asio::awaitable<bool, Ex> Runtime::ready(TimePoint deadline) {
    if (has_room()) { co_return true; }
    Exports* const from = state_->exporting();
    const auto pipeline = from != nullptr ? from->pipeline(Signal::traces) : nullptr;
    if (pipeline == nullptr) { co_return true; }
    co_return co_await asio::co_spawn(
        from->loop->executor(), wait_for_room(pipeline, deadline), asio::use_awaitable_t<Ex>{});
}
template asio::awaitable<bool, Executor> Runtime::ready(TimePoint);
template asio::awaitable<bool, asio::any_io_executor> Runtime::ready(TimePoint);

Ledger Runtime::ledger(Signal signal) const { return state_->ledger(signal); }

Ledger Runtime::ledger(Signal signal, std::string_view destination) const {
    return state_->ledger(signal, destination);
}

std::uint16_t Runtime::prometheus_port() const noexcept {
    const std::lock_guard lock(detail::lifecycle_mutex());
    const auto& exports = state_->exports;
    return exports && exports->prometheus ? exports->prometheus->port() : std::uint16_t{0};
}

std::shared_ptr<PrometheusHandler> Runtime::prometheus_handler(
    PrometheusHandlerOptions options) const {
    const auto source = state_->meters != nullptr
                            ? state_->metric_source({})
                            : [](MetricVisitor&) -> asio::awaitable<void> { co_return; };
    return std::make_shared<PrometheusHandler>(
        source, std::string(make_resource(state_->options).encoded()), std::move(options));
}

std::vector<CardinalityReport> Runtime::metric_cardinality() const {
    return state_->meters != nullptr ? detail::cardinality(*state_->meters)
                                     : std::vector<CardinalityReport>{};
}

std::string Runtime::ledger_json() const {
    std::string name; // The one field that is not ours: keep the line valid JSON.
    for (const char c : printable(state_->service_name, 200)) {
        if (c == '"' || c == '\\') { name += '\\'; }
        name += c;
    }
    std::string metrics; // Absent where there is no such signal.
    if (state_->meters != nullptr) {
        metrics = fmt::format(", \"metrics\": {}", ledger(Signal::metrics).to_json());
    }
    std::string others = state_->other_ledgers();
    if (!others.empty()) { others = fmt::format(", \"destinations\": {{{}}}", others); }
    return fmt::format(
        "{{\"service\": \"{}\", \"spans\": {}{}{}}}", name, ledger().to_json(), metrics, others);
}

} // namespace weft
