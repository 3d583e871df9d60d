#pragma once
#include "pipeline.hpp"

#include <weft/exporters/drain.hpp>
#include <weft/signals/detail/trace_provider.hpp>

#include <future>
#include <memory>

namespace weft::detail {

/// What producers counted on their own: spans that never entered the queue.
void add_producer_counts(const TraceProvider& provider, Ledger& ledger);

/// Spans: from the provider's rings to the receiver, and span processors at flush and shutdown.
class TracesPipeline final : public Pipeline {
public:
    /// Without an exporter, for processors alone, it has no drain, and leaves the housekeeping to others.
    /// Errors: as make_destinations; std::bad_alloc, std::system_error.
    /// Lifetime: `provider` must outlive the executor's context.
    TracesPipeline(PipelineSetup setup, TraceProvider& provider);

    // Processors first: what they are told may still lead to spans.
    asio::awaitable<FlushReport> flush(TimePoint deadline) override;
    asio::awaitable<FlushReport> shutdown(TimePoint deadline) override;
    [[nodiscard]] const Drain* drain() const noexcept override { return drain_.get(); }
    [[nodiscard]] asio::awaitable<bool> wait_for_room(TimePoint deadline) override;

private:
    TraceProvider& provider_;
    std::unique_ptr<Drain> drain_; // Null: nothing is exported.
    std::future<void> run_;        // Of the drain; nobody waits for it.
};

} // namespace weft::detail
