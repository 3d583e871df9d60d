#include "metric_variables.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace weft::detail {

void read_metrics(EnvironmentReader& env, Options& options) {
    if (const auto exporters = env.choices("OTEL_METRICS_EXPORTER", {"otlp", "prometheus"})) {
        const auto names = [&](std::string_view one) {
            return std::find(exporters->begin(), exporters->end(), one) != exporters->end();
        };
        options.metrics_exporter = names("otlp") ? ExporterKind::otlp : ExporterKind::none;
        if (names("prometheus")) {
            auto& server = options.prometheus.emplace();
            auto problem = read_prometheus_variables(
                env.text("OTEL_EXPORTER_PROMETHEUS_HOST").value_or(""),
                env.text("OTEL_EXPORTER_PROMETHEUS_PORT").value_or(""), server);
            if (!problem.empty()) { env.report_line(std::move(problem)); }
        }
    }
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
