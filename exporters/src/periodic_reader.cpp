#include "progress.hpp"

#include <weft/exporters/metric_encoder.hpp>
#include <weft/exporters/periodic_reader.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <new>
#include <utility>

// I1  Collections are numbered from 1; `started` and `ended` say which is under way: at most one, `started`.
// I2  A collection holds the State by a shared_ptr, also when its source never comes back; then no other begins.
// I3  After close() nothing enters the ring: a drain that has been shut down never finds a record.

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

std::string words_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) { return exception.what(); } catch (...) {
        return "not a std::exception";
    }
}

} // namespace

std::string problem_in(const PeriodicReaderOptions& options) {
    const auto problem = [](std::string_view field, std::int64_t value, std::int64_t most,
                            std::string_view unit) -> std::string {
        if (value >= 1 && value <= most) { return {}; }
        return fmt::format(
            "PeriodicReaderOptions::{} is {}{}: allowed is 1 to {}{}", field, value, unit, most,
            unit);
    };
    constexpr std::int64_t day_ms = 86'400'000;
    const auto points = static_cast<std::int64_t>(std::min(options.points_max, SIZE_MAX / 2));
    for (auto found :
         {problem("interval", options.interval.count(), day_ms, " ms"),
          problem("timeout", options.timeout.count(), day_ms, " ms"),
          problem("points_max", points, 1 << 20, "")}) {
        if (!found.empty()) { return found; }
    }
    return {};
}

struct PeriodicReader::State : std::enable_shared_from_this<State> {
    explicit State(Setup&& s)
        : executor(std::move(s.executor)), queue(std::move(s.queue)), drain(std::move(s.drain)),
          source(std::move(s.collect)), options(s.options), log(s.log),
          encoder(*queue, s.options.points_max), timer(executor), progress(executor) {}

    const asio::any_io_executor executor;
    const std::shared_ptr<MetricQueue> queue;
    const std::shared_ptr<Drain> drain;
    const Collect source;
    const PeriodicReaderOptions options;
    Diagnostics& log;

    // The executor's.
    MetricEncoder encoder;
    std::uint64_t started = 0;
    std::uint64_t ended = 0;
    bool source_runs = false;
    bool whole = true;           // The collection under way has lost nothing so far.
    bool last_was_whole = false; // The same of the collection `ended`.
    bool stopping = false;       // The loop ends.
    bool closed = false;         // No collection begins any more.
    asio::cancellation_signal cancel_source;
    asio::steady_timer timer; // The loop's.
    detail::Progress progress;

    mutable std::mutex mutex; // Guards counts: they are read from any thread.
    Counts counts;

    void count(std::uint64_t Counts::*counter) {
        const std::lock_guard lock(mutex);
        ++(counts.*counter);
    }

    // A collection that begins after this call: the next one, also for others who ask meanwhile. True when all its points
    // were in the queue by the deadline.
    asio::awaitable<bool> collect(TimePoint deadline) {
        co_await asio::this_coro::throw_if_cancelled(false);
        const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
        const auto wanted = started + 1;
        const auto is_over = [&] {
            return closed || cancellation.cancelled() != asio::cancellation_type::none;
        };
        while (ended < wanted && !is_over()) { // Bound: two collections, or the deadline.
            if (started == ended) { start(); }
            const auto before = ended;
            const bool moved = co_await progress.wait_until(
                [&] { return is_over() || ended != before; }, deadline);
            if (!moved) { co_return false; }
        }
        co_return ended < wanted ? false : last_was_whole;
    }

    void start() {
        ++started;
        whole = true;
        count(&Counts::collections);
        try {
            asio::co_spawn(
                executor, collection(shared_from_this()),
                [self = shared_from_this()](const std::exception_ptr& error) {
                    if (error) { self->report_failure(words_of(error)); }
                    self->finish();
                });
        } catch (const std::bad_alloc&) {
            report_failure("no memory");
            finish();
        }
    }

    void finish() {
        last_was_whole = whole;
        ended = started;
        progress.made();
    }

    static asio::awaitable<void> collection(std::shared_ptr<State> self) {
        const auto deadline = Clock::now() + self->options.timeout;
        self->run_source();
        const auto source_is_done = [&] { return !self->source_runs; };
        const bool in_time = co_await self->progress.wait_until(source_is_done, deadline);
        if (!in_time) {
            self->report_late();
            self->cancel_source.emit(asio::cancellation_type::terminal);
            co_await self->progress.wait_until(source_is_done, TimePoint::max());
        }
        self->encoder.finish();
        const bool handed_over = co_await self->hand_over(deadline);
        if (in_time && handed_over) { co_return; }
        self->whole = false;
        if (!self->closed) { self->count(&Counts::late); }
    }

    void run_source() {
        source_runs = true;
        try {
            asio::co_spawn(
                executor, source(encoder),
                asio::bind_cancellation_slot(
                    cancel_source.slot(),
                    [self = shared_from_this()](const std::exception_ptr& error) {
                        self->source_runs = false;
                        if (error) { self->report_failure(words_of(error)); }
                        self->progress.made();
                    }));
        } catch (...) {
            source_runs = false;
            throw;
        }
    }

    // Waits for the drain to take what did not fit into the ring.
    asio::awaitable<bool> hand_over(TimePoint deadline) {
        const bool taken =
            co_await drain->wait_until([this] { return closed || queue->hand_over(); }, deadline);
        if (taken) { co_return !closed; }
        const auto points = queue->drop_waiting(DropReason::queue_full);
        log.report(DiagnosticLevel::error, "periodic_reader.no_room", [&] {
            return fmt::format(
                "metrics: {} points dropped, {}: the queue had no room for them within the "
                "collection's timeout of {} ms",
                points, name(DropReason::queue_full), options.timeout.count());
        });
        co_return false;
    }

    void report_failure(const std::string& words) {
        whole = false;
        count(&Counts::failed);
        log.report(DiagnosticLevel::error, "periodic_reader.failed", [&] {
            return "metrics: a collection failed (" + words +
                   "); what it had not collected by then is left out";
        });
    }
    void report_late() {
        log.report(DiagnosticLevel::error, "periodic_reader.late", [&] {
            return fmt::format(
                "metrics: a collection was not over within its timeout of {} ms; it is cancelled, "
                "and none begins before it has ended",
                options.timeout.count());
        });
    }

    asio::awaitable<void> loop() {
        auto due = Clock::now() + options.interval;
        while (!stopping) { // Ends with shutdown.
            timer.expires_at(due);
            co_await timer.async_wait(as_result);
            if (stopping || Clock::now() < due) { continue; }
            const auto begun = started;
            co_await collect(Clock::now() + options.timeout);
            if (started == begun && !stopping) { count(&Counts::left_out); }
            due = std::max(due + options.interval, Clock::now());
        }
    }

    void close() {
        closed = true;
        queue->close();
        if (source_runs) { cancel_source.emit(asio::cancellation_type::terminal); }
        progress.made();
    }
};

PeriodicReader::PeriodicReader(Setup setup) : state_(std::make_shared<State>(std::move(setup))) {}
PeriodicReader::~PeriodicReader() = default;

asio::awaitable<void> PeriodicReader::run() {
    const auto state = state_;
    co_await state->loop();
}

asio::awaitable<FlushReport> PeriodicReader::flush(TimePoint deadline) {
    const auto state = state_;
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto before = state->drain->ledger();
    bool collected = state->closed;
    if (!collected) { collected = co_await state->collect(deadline); }
    const auto drained = co_await state->drain->flush(deadline);
    co_return report_since(before, state->drain->ledger(), collected && drained.complete);
}

asio::awaitable<FlushReport> PeriodicReader::shutdown(TimePoint deadline) {
    const auto state = state_;
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto before = state->drain->ledger();
    bool collected = state->closed;
    if (!std::exchange(state->stopping, true)) {
        state->timer.cancel();
        collected = co_await state->collect(deadline);
        state->close();
    } else {
        // The first caller's last collection is this one's.
        collected = co_await state->progress.wait_until([&] { return state->closed; }, deadline);
    }
    const auto drained = co_await state->drain->shutdown(deadline);
    co_return report_since(before, state->drain->ledger(), collected && drained.complete);
}

PeriodicReader::Counts PeriodicReader::counts() const {
    const std::lock_guard lock(state_->mutex);
    return state_->counts;
}

} // namespace weft
