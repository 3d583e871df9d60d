#pragma once
#include <weft/runtime/signal.hpp>
#include <weft/telemetry/options.hpp>

#include <string>
#include <string_view>

namespace weft::detail {

/// What the conventions call an exporter, otel.component.*. `destination` is empty for the first one, whose names are by
/// the conventions alone.
struct ExporterName {
    std::string destination;
    std::string type;
    std::string component;
};

/// Of one of Options::destinations; of the first, if it is none of them.
[[nodiscard]] ExporterName exporter_name(
    const Options& options, std::string_view destination, Signal signal);

} // namespace weft::detail
