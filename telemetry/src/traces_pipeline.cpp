#include "traces_pipeline.hpp"

#include <weft/runtime/spawn.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

namespace weft::detail {
namespace {

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
}

} // namespace

TracesPipeline::TracesPipeline(PipelineSetup setup, TraceProvider& provider)
    : drain_(
          {.executor = setup.executor,
           .signal = Signal::traces,
           .queue = provider.queue,
           .resource = std::move(setup.resource),
           .sink = make_sink(setup, Signal::traces),
           .sends_max = setup.options.otlp.connections,
           .batch = setup.options.batch,
           .producer_counts = [p = &provider](Ledger& ledger) { add_producer_counts(*p, ledger); },
           .housekeeping = std::move(setup.housekeeping),
           .log = diagnostics(),
           .tail = setup.options.tail_sampling}) {
    drained_ = asio::co_spawn(setup.executor, drain_.run(), asio::use_future);
}

asio::awaitable<FlushReport> TracesPipeline::flush(TimePoint deadline) {
    finish_ended_chains();
    return drain_.flush(deadline);
}

} // namespace weft::detail
