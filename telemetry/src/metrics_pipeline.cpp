#include "metrics_pipeline.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>

namespace weft::detail {
namespace {

// Of a collection that waits for room in the ring: beyond it, points are dropped and counted.
constexpr std::size_t waiting_bytes_max = std::size_t{64} << 20;

BatchOptions batch_options(const Options& options) {
    BatchOptions batch = options.batch;
    batch.records_max = options.metric_reader.points_max;
    batch.delay = std::chrono::milliseconds(0); // A collection comes whole.
    batch.shards = 1;                           // One producer.
    return batch;
}

} // namespace

// Ring and counts together: the drain's State, which coroutines keep, needs both to its end.
struct MetricsPipeline::Queue {
    explicit Queue(const BatchOptions& batch)
        : ring(batch.queue_bytes, batch.shards), metrics(ring, waiting_bytes_max) {}

    RecordQueue ring;
    MetricQueue metrics;
};

std::shared_ptr<Drain> MetricsPipeline::make_drain(
    PipelineSetup& setup, const std::shared_ptr<Queue>& queue) {
    return std::make_shared<Drain>(Drain::Setup{
        .executor = setup.executor,
        .signal = Signal::metrics,
        .queue = queue->ring,
        .resource = std::move(setup.resource),
        .sink = make_sink(setup, Signal::metrics),
        .batch = batch_options(setup.options),
        .producer_counts = [queue](Ledger& ledger) { queue->metrics.add_to(ledger); },
        .housekeeping = std::move(setup.housekeeping),
        .settled = std::move(setup.settled),
        .log = diagnostics(),
        .tail = {},
        .one_item_each = false,
        .turn_bytes_max = setup.piece_bytes()});
}

MetricsPipeline::MetricsPipeline(PipelineSetup setup, PeriodicReader::Collect collect)
    : queue_(std::make_shared<Queue>(batch_options(setup.options))),
      drain_(make_drain(setup, queue_)), reader_(
                                             {.executor = setup.executor,
                                              .queue = {queue_, &queue_->metrics},
                                              .drain = drain_,
                                              .collect = std::move(collect),
                                              .options = setup.options.metric_reader,
                                              .log = diagnostics()}) {
    drained_ = asio::co_spawn(setup.executor, drain_->run(), asio::use_future);
    read_ = asio::co_spawn(setup.executor, reader_.run(), asio::use_future);
}

} // namespace weft::detail
