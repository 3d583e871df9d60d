// Question: what does a C++ user pay for spans and metrics today? opentelemetry-cpp as Debian ships it, in the
// cases of weft-bench. Goal: its best supported set-up: OTLP record types, batch processor, a queue
// that never overflows, logger silenced. Non-goal: its exporter's network path; the sustained cases
// stop at the serialised request.
#include "peer.hpp"

#include <opentelemetry/sdk/common/global_log_handler.h>
#include <opentelemetry/version.h>

int main(int argc, char** argv) {
    namespace log = opentelemetry::sdk::common::internal_log;
    log::GlobalLogHandler::SetLogLevel(log::LogLevel::None);

    weft::bench::Suite suite("opentelemetry_cpp");
    suite.note("opentelemetry-cpp " OPENTELEMETRY_VERSION
               " (shared libraries of the distribution), OTLP record types, queue of 2^20 spans, "
               "batches of 8192; sustained: serialised by its worker, not sent");
    weft::bench::otelcpp::add_span_cases(suite);
    weft::bench::otelcpp::add_propagation_cases(suite);
    weft::bench::otelcpp::add_coroutine_case(suite);
    suite.note("it has no bound instruments: counter_bound and histogram_bound are measurements "
               "without attributes");
    weft::bench::otelcpp::add_metric_cases(suite);
    weft::bench::otelcpp::add_export_cases(suite);
    return suite.run(argc, argv);
}
