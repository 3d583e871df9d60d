#include "self_metrics_sources.hpp"

#include "exporter_name.hpp"
#include "signal_sink.hpp"

#include <utility>

namespace weft::detail {
namespace {

// `records` is 0 where the drain was at work meanwhile: then the numbers do not belong together.
SelfMetricsSource::Queue queue_now(const RecordQueue& queue) noexcept {
    const auto consumed = queue.records_consumed();
    SelfMetricsSource::Queue now{queue.used_bytes(), queue.capacity()};
    const auto accepted = queue.records_accepted();
    if (queue.records_consumed() == consumed) { now.records = accepted - consumed; }
    return now;
}

} // namespace

std::unique_ptr<SelfMetrics> make_self_metrics(const Options& options, MeterProvider* provider) {
    SelfMetricsOptions about{.provider = provider};
    for (const auto signal : all_signals) {
        auto& exporter = about.exporters[static_cast<std::size_t>(signal)];
        exporter.is_own_sink = own_sink(options, signal) != nullptr;
        if (exporter.is_own_sink) { continue; }
        const auto url = signal_sink(options.otlp, signal).options.url;
        exporter.server_address = url.host;
        exporter.server_port = url.port;
    }
    return std::make_unique<SelfMetrics>(std::move(about));
}

SelfMetrics::Sources self_metrics_sources(
    const Options& options, const Pipelines& pipelines, const TraceProvider* provider,
    const std::shared_ptr<RecordQueue>& metric_ring) {
    SelfMetrics::Sources sources;
    for (const auto signal : all_signals) {
        auto& source = sources[static_cast<std::size_t>(signal)];
        const auto& pipeline = pipelines[static_cast<std::size_t>(signal)];
        const Drain* const drain = pipeline ? pipeline->drain() : nullptr;
        if (drain == nullptr) { continue; }
        source.ledger = [drain] { return drain->ledger(); };
        source.state = [drain] { return drain->sink_state(); };
        source.exporter = exporter_name(options, drain->destination_name(0), signal);
        for (std::size_t i = 1; i < drain->destinations(); ++i) {
            source.others.push_back(
                {exporter_name(options, drain->destination_name(i), signal),
                 [drain, i] { return drain->ledger(i); },
                 [drain, i] { return drain->sink_state(i); }});
        }
    }
    if (sources[0].ledger && provider != nullptr) {
        sources[0].queue = [provider] { return queue_now(provider->queue); };
    }
    if (metric_ring) {
        sources[1].queue = [metric_ring] { return queue_now(*metric_ring); };
    }
    if (provider != nullptr && provider->counts.is_enabled()) {
        sources[0].spans = [provider] { return provider->counts.totals(); };
    }
    return sources;
}

} // namespace weft::detail
