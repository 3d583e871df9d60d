#pragma once
// Rings that outlive their process: what had ended before it was killed is exported by the next start of the service.
// docs/durable-rings.md says what that keeps and what it costs.

#include <weft/exporters/batch_builder.hpp>
#include <weft/exporters/batch_options.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/record_queue.hpp>
#include <weft/signals/scope.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

/// Keeps what waits for export in files, for the next start should this process be killed. Off by default.
struct DurableRings {
    bool enabled = false;
    /// A folder of the user's own, with mode 0700, made if it is missing; in memory (tmpfs) it survives the process but
    /// no restart of the machine. Absolute. Empty: `$XDG_RUNTIME_DIR/weft`, else one in /dev/shm, else one in /tmp.
    std::string directory;
    std::size_t adopt_files_max = 64; ///< Of dead processes, at one start. 0: none. Up to 4096.
    std::size_t adopt_bytes_max = 64u
                                  << 20; ///< Of memory for what they left. 0: none. Up to 1 GiB.
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const DurableRings& options);

/// What a start found of processes that died. Units: items are spans, or metric points.
struct RecoveredRings {
    std::uint64_t files = 0;
    std::uint64_t records = 0;
    std::uint64_t items = 0;
    std::uint64_t lost = 0; ///< Records that were half written, or damaged.
};

/// Makes a queue durable, and has it hand out what dead processes of the same service left of the same signal: under
/// their own resource with `weft.recovered = true`, and their own scopes. Before the queue's drain starts.
/// `scopes` is told of every scope before a record can name it. Lifetime: `scopes` for ever.
/// Errors: std::system_error, naming the folder and the remedy; std::bad_alloc.
RecoveredRings make_durable(
    RecordQueue& queue, const DurableRings& options, const BatchOptions& batch, Signal signal,
    std::string_view service, const EncodedResource& resource, detail::ScopeListener& scopes,
    Diagnostics& log);

} // namespace weft
