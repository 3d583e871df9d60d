// What weft costs, each figure beside its floor (the least that any implementation must do) and its "off" case.
#include "cases.hpp"
#include "series_memory.hpp"

#include <weft/runtime/clock.hpp>

int main(int argc, char** argv) {
    weft::calibrate_clock();
    if (argc == 4 && argv[1] == weft::bench::series_memory_option) {
        return weft::bench::print_series_memory(argv[2], argv[3]);
    }
    weft::bench::Suite suite("weft");
    suite.note("burst: 512 operations while the drain sleeps, emptied outside of the timing");
    suite.note("sustained: a drain assembles batches on another thread; the producer waits for it "
               "rather than drop");
    weft::bench::add_span_cases(suite);
    weft::bench::add_coroutine_cases(suite);
    weft::bench::add_ring_cases(suite);
    weft::bench::add_batch_cases(suite);
    weft::bench::add_export_cases(suite);
    weft::bench::add_metric_encoder_cases(suite);
    weft::bench::add_metric_cases(suite);
    weft::bench::add_series_memory_cases(suite);
    weft::bench::add_propagation_cases(suite);
    weft::bench::add_http_metrics_cases(suite);
    weft::bench::add_spool_cases(suite);
    return suite.run(argc, argv);
}
