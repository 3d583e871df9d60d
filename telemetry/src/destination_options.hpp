#pragma once
#include <weft/telemetry/options.hpp>

#include <string>

namespace weft::detail {

/// What is wrong with Options::destinations, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in_destinations(const Options& options);

} // namespace weft::detail
