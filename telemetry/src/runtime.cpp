#include "environment.hpp"
#include "pipeline.hpp"
#include "service_thread.hpp"
#include "signal_sink.hpp"
#include "traces_pipeline.hpp"

#include <weft/runtime/clock.hpp>
#include <weft/runtime/spawn.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/telemetry/runtime.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

// Providers outlive their runtimes (see TraceProvider). Reachable from here, so that leak checkers see the intent.
detail::TraceProvider& keep_for_ever(std::unique_ptr<detail::TraceProvider> provider) {
    static std::mutex& mutex = *new std::mutex; // Guards kept.
    static auto& kept = *new std::vector<std::unique_ptr<detail::TraceProvider>>;
    const std::lock_guard lock(mutex);
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

// Asked before a long run, so that a typing error is known at its start and not by the missing line at its end.
bool wants_ledger() {
    const Environment environment = [](const char* name) { return std::getenv(name); };
    std::vector<detail::EnvironmentReader::Problem> problems;
    const bool wanted = detail::EnvironmentReader(environment, problems)
                            .choice("WEFT_LEDGER", {"json"})
                            .has_value();
    for (const auto& problem : problems) {
        diagnostics().report(problem.level, "runtime.ledger", problem.line);
    }
    return wanted;
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
        if (detail::exports(options, Signal::traces)) {
            start_service();
            start_traces(resource);
        }
        // Telemetry off or not: what comes in is passed on. Last, for a constructor that throws claims nothing.
        if (options.make_default) { claim_propagators(this, options.propagators); }
    }
    ~State() { release_propagators(this); }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    // The export thread, once, for whichever signals there are.
    void start_service() {
        if (service) { return; }
        calibrate_clock();
        service.emplace();
    }

    // Of the first pipeline that asks: it is done once.
    detail::PipelineSetup pipeline_setup(const Resource& resource) {
        const auto keep_house = [] {
            check_clock();
            refresh_wall_offset();
            detail::finish_ended_chains();
        };
        const bool is_first = std::none_of(
            pipelines.begin(), pipelines.end(), [](const auto& p) { return p != nullptr; });
        return {
            .executor = service->io_context().get_executor(),
            .options = options,
            .resource = {resource.encoded(), resource.schema_url},
            .housekeeping = is_first ? std::function<void()>(keep_house) : nullptr};
    }

    [[nodiscard]] std::shared_ptr<detail::Pipeline>& pipeline(Signal signal) {
        return pipelines[static_cast<std::size_t>(signal)];
    }

    void start_traces(const Resource& resource) {
        auto setup = pipeline_setup(resource);
        provider = &keep_for_ever(std::make_unique<detail::TraceProvider>(
            options.sampler, options.span_limits, options.batch.queue_bytes, options.batch.shards));
        pipeline(Signal::traces) =
            std::make_shared<detail::TracesPipeline>(std::move(setup), *provider);
        if (options.make_default) {
            detail::TraceProvider* nobody = nullptr;
            // release: publishes the provider to Tracer::provider's acquire. Fails, harmlessly, behind another runtime.
            detail::default_provider.compare_exchange_strong(
                nobody, provider, std::memory_order_release, std::memory_order_relaxed);
        }
    }

    // From now on spans of this runtime go nowhere. True for the first caller.
    bool close() noexcept {
        if (provider == nullptr) { return false; }
        detail::finish_ended_chains();
        auto* self = provider;
        // relaxed on both: see TraceProvider::accepting; a late reader finds a provider that says "closed".
        detail::default_provider.compare_exchange_strong(
            self, nullptr, std::memory_order_relaxed, std::memory_order_relaxed);
        return provider->accepting.exchange(false, std::memory_order_relaxed); // As above.
    }

    [[nodiscard]] bool exports_anything() const noexcept {
        return std::any_of(
            pipelines.begin(), pipelines.end(), [](const auto& p) { return p != nullptr; });
    }

    asio::awaitable<FlushReport> flush_here(TimePoint deadline) {
        return detail::flush_all(pipelines, deadline);
    }
    asio::awaitable<FlushReport> shutdown_here(TimePoint deadline) {
        return detail::shutdown_all(pipelines, deadline);
    }

    // The work keeps its own deadline; the bound here is for an export thread that is not there any more, as in a
    // forked child.
    Result<FlushReport> wait_for(asio::awaitable<FlushReport> work, TimePoint deadline) {
        constexpr std::chrono::seconds patience{2};
        auto report = asio::co_spawn(service->io_context(), std::move(work), asio::use_future);
        const bool answers = deadline > TimePoint::max() - patience ||
                             report.wait_until(deadline + patience) == std::future_status::ready;
        if (answers) { return report.get(); }
        FlushReport late;
        for (const auto& one : pipelines) {
            if (!one) { continue; }
            const Ledger ledger = one->ledger();
            late.pending += ledger.queued + ledger.in_flight;
        }
        return late;
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
    detail::TraceProvider* provider = nullptr;
    std::optional<detail::ServiceThread> service;
    detail::Pipelines pipelines;
    // The program's loop:
    std::atomic<bool> stopping{false}; // Set by whichever thread begins the stop, read by run().
    Clock::time_point
        stop_deadline{}; // Written by that thread, read by run() after it has joined all.
};

Runtime::Runtime(Options options) : state_(std::make_shared<State>(nullptr, std::move(options))) {}

Runtime::Runtime(asio::io_context& context, Options options)
    : state_(std::make_shared<State>(&context, std::move(options))) {}

Runtime::~Runtime() {
    if (!state_->exports_anything()) { return; }
    try {
        (void)shutdown_blocking(state_->options.shutdown_timeout); // At once if somebody has.
    } catch (...) {}         // No memory to ask for it: what is left is lost with the process.
    state_->pipelines = {};  // Before their executor goes.
    state_->service.reset(); // Joins: nothing drains any more.
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

int Runtime::run() {
    State& state = *state_;
    const bool print_ledger = wants_ledger();
    if (!state.service) { state.service.emplace(); } // Telemetry is off, but stop signals are not.
    asio::signal_set signals(state.service->io_context(), SIGINT, SIGTERM);
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
    // On the signal set's own thread, which may be about to run its handler.
    asio::post(state.service->io_context(), asio::use_future([&signals] { signals.cancel(); }))
        .get();
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
    if (!state_->exports_anything()) { co_return FlushReport{.complete = true}; }
    co_return co_await asio::co_spawn(
        state_->service->io_context(), state_->flush_here(deadline),
        asio::use_awaitable_t<Executor>{});
}

Task<FlushReport> Runtime::shutdown(TimePoint deadline) {
    if (!state_->exports_anything()) { co_return FlushReport{.complete = true}; }
    state_->close();
    co_return co_await asio::co_spawn(
        state_->service->io_context(), state_->shutdown_here(deadline),
        asio::use_awaitable_t<Executor>{});
}

Task<FlushReport> Runtime::flush(std::chrono::milliseconds within) {
    return flush(from_now(within));
}
Task<FlushReport> Runtime::shutdown(std::chrono::milliseconds within) {
    return shutdown(from_now(within));
}

Result<FlushReport> Runtime::flush_blocking(std::chrono::milliseconds within) {
    if (!state_->exports_anything()) { return FlushReport{.complete = true}; }
    if (state_->service->is_current()) { return make_error_code(Errc::wrong_thread); }
    const auto deadline = from_now(within);
    return state_->wait_for(state_->flush_here(deadline), deadline);
}

Result<FlushReport> Runtime::shutdown_blocking(std::chrono::milliseconds within) {
    if (!state_->exports_anything()) { return FlushReport{.complete = true}; }
    if (state_->service->is_current()) { return make_error_code(Errc::wrong_thread); }
    state_->close();
    const auto deadline = from_now(within);
    return state_->wait_for(state_->shutdown_here(deadline), deadline);
}

Ledger Runtime::ledger(Signal signal) const {
    const auto& pipeline = state_->pipeline(signal);
    return pipeline ? pipeline->ledger() : Ledger{};
}

std::string Runtime::ledger_json() const {
    std::string name; // The one field that is not ours: keep the line valid JSON.
    for (const char c : printable(state_->service_name, 200)) {
        if (c == '"' || c == '\\') { name += '\\'; }
        name += c;
    }
    std::string metrics; // Absent where there is no such signal.
    if (state_->pipeline(Signal::metrics)) {
        metrics = fmt::format(", \"metrics\": {}", ledger(Signal::metrics).to_json());
    }
    return fmt::format(
        "{{\"service\": \"{}\", \"spans\": {}{}}}", name, ledger().to_json(), metrics);
}

} // namespace weft
