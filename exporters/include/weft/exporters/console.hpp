#pragma once
// Shows finished batches to people, or to whatever reads the program's standard output.

#include <weft/exporters/sink.hpp>
#include <weft/runtime/diagnostics.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <memory>

namespace weft {

enum class ConsoleFormat : std::uint8_t {
    text, ///< A line for each span, point or log record. For people: it may change.
    json, ///< A line of OTLP/JSON for each request.
};

enum class ConsoleStream : std::uint8_t { standard_output, standard_error };

/// Where and how a console exporter writes.
/// Source: OpenTelemetry SDK specification, "Standard output"; OTLP file exporter specification for `json`.
struct ConsoleOptions {
    ConsoleFormat format = ConsoleFormat::text;
    ConsoleStream stream = ConsoleStream::standard_output;
};

/// Makes a sink for batches of any signal. A reader that stands still makes batches wait, not the executor; after five
/// minutes they are dropped: DropReason::retry_exhausted. Lifetime: `log` outlives the sink.
[[nodiscard]] std::shared_ptr<Sink> make_console_sink(
    asio::any_io_executor executor, ConsoleOptions options = {}, Diagnostics& log = diagnostics());

} // namespace weft
