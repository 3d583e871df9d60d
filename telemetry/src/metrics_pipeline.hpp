#pragma once
#include "pipeline.hpp"

#include <weft/exporters/periodic_reader.hpp>
#include <weft/runtime/record_queue.hpp>

#include <future>

namespace weft::detail {

/// The ring of a runtime's metric records. Apart from the pipeline, as a provider's: a forked child makes a pipeline anew
/// while it holds lifecycle_mutex(), and a ring is known to forks. Errors: std::bad_alloc, std::system_error.
[[nodiscard]] std::shared_ptr<RecordQueue> make_metric_ring(const Options& options);

/// Metrics: collected at intervals, from the source to the receiver.
class MetricsPipeline final : public Pipeline {
public:
    /// Errors: as make_destinations; std::bad_alloc, std::system_error.
    MetricsPipeline(
        PipelineSetup setup, std::shared_ptr<RecordQueue> ring, PeriodicReader::Collect collect);

    asio::awaitable<FlushReport> flush(TimePoint deadline) override {
        return reader_.flush(deadline);
    }
    asio::awaitable<FlushReport> shutdown(TimePoint deadline) override {
        return reader_.shutdown(deadline);
    }
    [[nodiscard]] const Drain* drain() const noexcept override { return drain_.get(); }
    [[nodiscard]] PeriodicReader::Counts collections() const { return reader_.counts(); }

private:
    struct Queue;
    [[nodiscard]] static std::shared_ptr<Queue> make_queue(
        const PipelineSetup& setup, std::shared_ptr<RecordQueue> ring);
    [[nodiscard]] static std::shared_ptr<Drain> make_drain(
        PipelineSetup& setup, const std::shared_ptr<Queue>& queue);

    const std::shared_ptr<Queue> queue_;
    const std::shared_ptr<Drain> drain_;
    PeriodicReader reader_;
    std::future<void> drained_;
    std::future<void> read_;
};

} // namespace weft::detail
