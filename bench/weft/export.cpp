// Question: what does a span cost a whole process, from its start to a receiver that has counted it, and do all of a million
// arrive? Goal: default options and zstd, against a receiver on this machine. Non-goal: the receiver's cost.
#include "cases.hpp"

#include <export_run.hpp>

namespace weft::bench {

void add_export_cases(Suite& suite) { add_export_cases(suite, "weft-fault-load"); }

} // namespace weft::bench
