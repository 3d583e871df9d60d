#pragma once
#include "pipeline.hpp"
#include "self_metrics.hpp"

#include <weft/runtime/record_queue.hpp>
#include <weft/signals/detail/trace_provider.hpp>
#include <weft/telemetry/options.hpp>

#include <memory>

namespace weft::detail {

/// A runtime's metrics about itself, with the names that its first destinations have. Errors: std::bad_alloc.
[[nodiscard]] std::unique_ptr<SelfMetrics> make_self_metrics(
    const Options& options, MeterProvider* provider);

/// Where a runtime's counts come from. `provider` and `metric_ring` are null where there is none.
/// Lifetime: what is given outlives whoever asks. Errors: std::bad_alloc.
[[nodiscard]] SelfMetrics::Sources self_metrics_sources(
    const Options& options, const Pipelines& pipelines, const TraceProvider* provider,
    const std::shared_ptr<RecordQueue>& metric_ring);

} // namespace weft::detail
