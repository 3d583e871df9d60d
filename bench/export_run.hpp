// End to end, from the span to a receiver's count: a load program and the receiver of the fault harness, each a process of
// its own, so that memory and processor time are the load's alone.
#pragma once
#include "harness.hpp"

#include <cstdint>
#include <string>

namespace weft::bench {

struct ExportFigures {
    double recorded = 0;
    double received = 0; ///< By the receiver, each span once.
    double cpu_us = 0;   ///< User and system, recording and export together.
    double peak_rss_mib = 0;
};

/// Runs `load_program`, a file beside this program, which takes --spans and --rate (0: as fast as it can) and prints JSON.
/// Throws std::runtime_error, saying what went wrong.
[[nodiscard]] ExportFigures run_export(
    const std::string& load_program, std::uint64_t spans, std::uint64_t rate);

/// The three end-to-end cases. Lifetime: of `suite`, until it has run.
void add_export_cases(Suite& suite, const std::string& load_program);

} // namespace weft::bench
