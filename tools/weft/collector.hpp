#pragma once
// What `weft doctor` and `weft tune` share: which collector, and what to send it.

#include "options.hpp"

#include <weft/exporters/batch.hpp>
#include <weft/runtime/signal.hpp>
#include <weft/telemetry/options.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weft::cli {

/// The collector of the OTEL_EXPORTER_OTLP_* variables, and what the command line says instead.
struct Collector {
    OtlpOptions otlp;
    std::vector<std::string> problems; ///< With the variables, a line each.
    bool json = false;

    /// Reads the environment.
    [[nodiscard]] static Collector from_environment();
    /// --endpoint, --header and --json. Lifetime: they refer to this object.
    [[nodiscard]] std::vector<Option> options();
};

/// A request with this many spans, metric points or log records, of service "weft-<command>", all of now.
[[nodiscard]] std::shared_ptr<const Batch> make_sample(
    Signal signal, std::size_t records, std::string_view command);

/// As a JSON string, in quotes.
[[nodiscard]] std::string json_text(std::string_view text);

} // namespace weft::cli
