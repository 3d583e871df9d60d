// The end-to-end cases; the load is a program of its own, export_load.cpp.
#include "peer.hpp"

#include <export_run.hpp>

namespace weft::bench::otelcpp {

void add_export_cases(Suite& suite) {
    weft::bench::add_export_cases(suite, "weft-export-load-otelcpp");
}

} // namespace weft::bench::otelcpp
