#pragma once
#include "environment.hpp"

namespace weft::detail {

/// OTEL_METRICS_*, OTEL_METRIC_EXPORT_* and what the OTLP exporter has for metrics alone.
/// Source: environment variable specification, "Periodic exporting MetricReader"; OTLP metrics exporter.
void read_metrics(EnvironmentReader& env, Options& options);

} // namespace weft::detail
