#pragma once
// Writes finished batches to a file, as lines of OTLP/JSON: one request a line, one signal a file. Collectors read it
// (otlpjsonfile), and so does `weft replay`.

#include <weft/exporters/sink.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/error.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace weft {

/// A file of JSON lines, and when it makes place for the next one.
/// Source: OTLP file exporter specification (development status), "JSON Lines"; rotation is ours.
struct OtlpFileOptions {
    /// Made with mode 0600 if missing, its folder is not. Every `{signal}` in it becomes traces, metrics or logs.
    std::string path = {};
    /// A line that would take the file over this goes into the next one. 0, or 4 KiB to 1 TiB; 0: no limit.
    std::size_t bytes_max = 100u << 20;
    /// Since the first line that this process wrote to it. 0, or 1 s to 366 days; 0: no limit.
    std::chrono::milliseconds age_max{0};
    /// Files kept beside the current one: `path`.1 is the newest. 0 to 1000; 0: a file that is full is emptied.
    unsigned files_max = 5;
    /// After a write that failed, say on a full disk. 10 ms to 1 h.
    std::chrono::milliseconds retry_interval{1000};
    /// For a batch, from its first attempt; then it is dropped: DropReason::retry_exhausted. 0 to 7 days.
    std::chrono::milliseconds retry_for{300'000};
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const OtlpFileOptions& options);

/// Makes a sink for batches of one signal. The file is opened at the first batch, and again when somebody has moved it
/// away; until it can be, that is reported and batches wait. Several processes may write to one file. Writes block the
/// executor for as long as the system takes to copy a line; nothing is forced to disk.
/// Errors: Errc::option_out_of_range (see problem_in()). Lifetime: `log` outlives the sink.
[[nodiscard]] Result<std::shared_ptr<Sink>> make_otlp_file_sink(
    asio::any_io_executor executor, OtlpFileOptions options, Signal signal,
    Diagnostics& log = diagnostics());

} // namespace weft
