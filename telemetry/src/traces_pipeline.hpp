#pragma once
#include "pipeline.hpp"

#include <weft/exporters/drain.hpp>
#include <weft/signals/detail/trace_provider.hpp>

#include <future>

namespace weft::detail {

/// Spans: from the provider's rings to the receiver.
class TracesPipeline final : public Pipeline {
public:
    /// Errors: as make_sink; std::bad_alloc, std::system_error.
    /// Lifetime: `provider` must outlive the executor's context.
    TracesPipeline(PipelineSetup setup, TraceProvider& provider);

    asio::awaitable<FlushReport> flush(TimePoint deadline) override;
    asio::awaitable<FlushReport> shutdown(TimePoint deadline) override {
        return drain_.shutdown(deadline);
    }
    [[nodiscard]] Ledger ledger() const override { return drain_.ledger(); }

private:
    Drain drain_;
    std::future<void> drained_;
};

} // namespace weft::detail
