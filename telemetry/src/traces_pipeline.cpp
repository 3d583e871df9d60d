#include "traces_pipeline.hpp"

#include "pipeline_destinations.hpp"
#include "signal_sink.hpp"

#include <weft/runtime/spawn.hpp>
#include <weft/signals/detail/span_processors.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <utility>

namespace weft::detail {
void add_producer_counts(const TraceProvider& provider, Ledger& ledger) {
    const auto add = [&](const std::atomic<std::uint64_t>& counter, DropReason reason) {
        const auto count = counter.load(std::memory_order_relaxed); // An independent counter.
        ledger.created += count;
        ledger.dropped[static_cast<std::size_t>(reason)] += count;
    };
    add(provider.dropped_queue_full, DropReason::queue_full);
    add(provider.dropped_record_too_large, DropReason::record_too_large);
    add(provider.dropped_after_shutdown, DropReason::shutdown);
    add(provider.dropped_no_memory, DropReason::encode_failed);
    add(provider.dropped_unrecoverable, DropReason::unrecoverable);
}

TracesPipeline::TracesPipeline(PipelineSetup setup, TraceProvider& provider) : provider_(provider) {
    if (!exports(setup.options, Signal::traces)) { return; }
    auto destinations = make_destinations(setup, Signal::traces); // Before there is a file.
    const auto recovered = make_durable(
        setup, provider.queue, setup.options.batch, Signal::traces, provider.scopes_to_queue);
    // A counter.
    provider.dropped_unrecoverable.fetch_add(recovered.lost, std::memory_order_relaxed);
    drain_ = std::make_unique<Drain>(Drain::Setup{
        .executor = setup.executor,
        .signal = Signal::traces,
        .queue = provider.queue,
        .resource = std::move(setup.resource),
        .batch = setup.options.batch,
        .producer_counts = [p = &provider](Ledger& ledger) { add_producer_counts(*p, ledger); },
        .housekeeping = std::move(setup.housekeeping),
        .log = diagnostics(),
        .tail = setup.options.tail_sampling,
        .turn_bytes_max = setup.piece_bytes(),
        .destinations = std::move(destinations)});
    run_ = asio::co_spawn(setup.executor, drain_->run(), asio::use_future);
}

asio::awaitable<FlushReport> TracesPipeline::flush(TimePoint deadline) {
    finish_ended_chains();
    auto* processors = provider_.processors.get();
    const bool processed = processors == nullptr || processors->force_flush(deadline);
    FlushReport report{.complete = true};
    if (drain_) { report = co_await drain_->flush(deadline); }
    report.complete = report.complete && processed;
    co_return report;
}

asio::awaitable<FlushReport> TracesPipeline::shutdown(TimePoint deadline) {
    auto* processors = provider_.processors.get();
    const bool processed = processors == nullptr || processors->shutdown(deadline);
    FlushReport report{.complete = true};
    if (drain_) { report = co_await drain_->shutdown(deadline); }
    report.complete = report.complete && processed;
    co_return report;
}

asio::awaitable<bool> TracesPipeline::wait_for_room(TimePoint deadline) {
    if (!drain_) { co_return true; }
    co_return co_await drain_->wait_until(
        [queue = &provider_.queue] { return queue->has_room_for_all(); }, deadline);
}

} // namespace weft::detail
