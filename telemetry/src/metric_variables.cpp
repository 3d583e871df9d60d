#include "metric_variables.hpp"

namespace weft::detail {

void read_metrics(EnvironmentReader& env, Options& options) {
    auto& reader = options.metric_reader;
    if (const auto interval = env.milliseconds_up_to("OTEL_METRIC_EXPORT_INTERVAL", 1, day_ms)) {
        reader.interval = *interval;
    }
    if (const auto timeout = env.milliseconds_up_to("OTEL_METRIC_EXPORT_TIMEOUT", 0, day_ms)) {
        constexpr std::chrono::milliseconds no_limit(day_ms);
        reader.timeout = timeout->count() == 0 ? no_limit : *timeout;
    }
    if (const auto choice = env.choice(
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            {"cumulative", "delta", "lowmemory"})) {
        reader.temporality = *choice == "delta"       ? TemporalityPreference::delta
                             : *choice == "lowmemory" ? TemporalityPreference::low_memory
                                                      : TemporalityPreference::cumulative;
    }
    if (const auto choice = env.choice(
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            {"explicit_bucket_histogram", "base2_exponential_bucket_histogram"})) {
        reader.exponential_histograms = *choice != "explicit_bucket_histogram";
    }
    if (const auto choice = env.choice(
            "OTEL_METRICS_EXEMPLAR_FILTER", {"trace_based", "always_on", "always_off"})) {
        options.metrics.exemplar_filter = *choice == "always_on"    ? ExemplarFilter::always_on
                                          : *choice == "always_off" ? ExemplarFilter::always_off
                                                                    : ExemplarFilter::trace_based;
    }
}

} // namespace weft::detail
