#pragma once
#include "environment.hpp"

namespace weft::detail {

/// OTEL_EXPORTER_OTLP_* and the same of each signal. Of a signal that has no endpoint that we can reach, the exporter is
/// switched off: call it when the exporters have been read.
/// Source: OTLP exporter specification, "Configuration Options".
void read_otlp(EnvironmentReader& env, Options& options);

} // namespace weft::detail
