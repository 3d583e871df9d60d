#pragma once
#include "environment.hpp"

namespace weft::detail {

/// OTEL_TRACES_EXPORTER and OTEL_METRICS_EXPORTER: the first destination, Prometheus, and the console as another.
/// After OTEL_METRIC_EXPORT_INTERVAL, whose default the console changes.
void read_exporters(EnvironmentReader& env, Options& options);

/// WEFT_SPOOL_DIR and WEFT_SPOOL_BYTES, of the first destination.
void read_spool(EnvironmentReader& env, Options& options);

} // namespace weft::detail
