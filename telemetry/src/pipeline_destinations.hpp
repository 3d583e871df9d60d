#pragma once
#include "pipeline.hpp"

#include <weft/exporters/destination.hpp>
#include <weft/runtime/signal.hpp>

#include <vector>

namespace weft::detail {

/// Where a signal goes, the first destination first. A spool that cannot be had is reported and does without: nothing that
/// is wrong with a disk ends a program.
/// Errors: std::invalid_argument, naming the endpoint; std::bad_alloc.
[[nodiscard]] std::vector<DestinationSetup> make_destinations(
    const PipelineSetup& setup, Signal signal);

} // namespace weft::detail
