#pragma once
#include "environment.hpp"

namespace weft::detail {

/// OTEL_EXPORTER_OTLP_* and the same of each signal, and the variables for proxies: call it when the exporters have been
/// read. Source: OTLP exporter specification, "Configuration Options".
void read_otlp(EnvironmentReader& env, Options& options);

} // namespace weft::detail
