#pragma once
// What `weft doctor` and `weft tune` share: which collector, and what to send it.

#include "options.hpp"

#include <weft/exporters/batch.hpp>
#include <weft/exporters/otlp_http.hpp>
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

/// What sends to this base URL as the OTEL_EXPORTER_OTLP_* variables say: their headers, certificates and proxies. The URL
/// is known to be one.
[[nodiscard]] OtlpHttpOptions sink_to(const std::string& url, Signal signal);

/// As a JSON string, in quotes.
[[nodiscard]] std::string json_text(std::string_view text);

} // namespace weft::cli
