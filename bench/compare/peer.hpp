// What the files of weft-bench-otelcpp share. Cases have the names that weft-bench gives its own.
#pragma once
#include <harness.hpp>
#include <shape.hpp>

namespace weft::bench::otelcpp {

void add_span_cases(Suite& suite);
void add_propagation_cases(Suite& suite);
void add_coroutine_case(Suite& suite);
void add_metric_cases(Suite& suite);
void add_export_cases(Suite& suite);

} // namespace weft::bench::otelcpp
