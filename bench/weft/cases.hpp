// weft-bench: one file a question, each adding its cases to the suite.
#pragma once
#include "harness.hpp"
#include "shape.hpp"

namespace weft::bench {

void add_span_cases(Suite& suite);
void add_coroutine_cases(Suite& suite);
void add_ring_cases(Suite& suite);
void add_batch_cases(Suite& suite);
void add_export_cases(Suite& suite);
void add_metric_encoder_cases(Suite& suite);
void add_metric_cases(Suite& suite);
void add_series_memory_cases(Suite& suite);
void add_propagation_cases(Suite& suite);
void add_http_metrics_cases(Suite& suite);
void add_spool_cases(Suite& suite);

} // namespace weft::bench
