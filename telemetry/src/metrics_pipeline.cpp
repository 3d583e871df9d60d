#include "metrics_pipeline.hpp"

#include "pipeline_destinations.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <utility>

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
    explicit Queue(std::shared_ptr<RecordQueue> taken)
        : ring(std::move(taken)), metrics(*ring, waiting_bytes_max) {}
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    ~Queue() { forget_scope_listener(scopes); }

    const std::shared_ptr<RecordQueue> ring;
    MetricQueue metrics;
    ScopeListener scopes{
        [](void* to, std::uint16_t index, const EncodedScope& scope) noexcept {
            static_cast<RecordQueue*>(to)->add_scope(index, scope.message, scope.schema_url);
        },
        ring.get()};
};

std::shared_ptr<MetricsPipeline::Queue> MetricsPipeline::make_queue(
    const PipelineSetup& setup, std::shared_ptr<RecordQueue> ring) {
    auto queue = std::make_shared<Queue>(std::move(ring));
    const auto recovered = make_durable(
        setup, *queue->ring, batch_options(setup.options), Signal::metrics, queue->scopes);
    queue->metrics.adopt(recovered.items);
    queue->metrics.drop(recovered.lost, DropReason::unrecoverable); // Of unknown points: one each.
    return queue;
}

std::shared_ptr<Drain> MetricsPipeline::make_drain(
    PipelineSetup& setup, const std::shared_ptr<Queue>& queue) {
    return std::make_shared<Drain>(Drain::Setup{
        .executor = setup.executor,
        .signal = Signal::metrics,
        .queue = *queue->ring,
        .resource = std::move(setup.resource),
        .batch = batch_options(setup.options),
        .producer_counts = [queue](Ledger& ledger) { queue->metrics.add_to(ledger); },
        .housekeeping = std::move(setup.housekeeping),
        .log = diagnostics(),
        .tail = {},
        .one_item_each = false,
        .turn_bytes_max = setup.piece_bytes(),
        .destinations = make_destinations(setup, Signal::metrics)});
}

std::shared_ptr<RecordQueue> make_metric_ring(const Options& options) {
    const auto batch = batch_options(options);
    return std::make_shared<RecordQueue>(batch.queue_bytes, batch.shards);
}

MetricsPipeline::MetricsPipeline(
    PipelineSetup setup, std::shared_ptr<RecordQueue> ring, PeriodicReader::Collect collect)
    : queue_(make_queue(setup, std::move(ring))), drain_(make_drain(setup, queue_)),
      reader_(
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
