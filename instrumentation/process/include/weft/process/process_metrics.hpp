#pragma once
#include <weft/signals/instrument.hpp>

#include <memory>
#include <string>

namespace weft {

struct ProcessMetricsOptions {
    /// process.cpu.utilization too: the share of the CPUs that the process may use. The conventions leave it to the
    /// receiver, who can take it from process.cpu.time.
    bool cpu_utilization = false;
    /// Where the kernel's process file system is mounted.
    std::string proc = "/proc";
};

/// Metrics of this process, by the semantic conventions, as long as it lives: CPU time, memory, descriptors and their
/// limit, threads, context switches, page faults, disk traffic, uptime and time of start. `ProcessMetrics metrics;`
/// anywhere in main is all it takes. What cannot be read here (no /proc, no permission) is left out and reported once.
/// Threads: any. Cost: some 50 us a collection, on the thread that collects; nothing in between.
/// Source: OpenTelemetry semantic conventions 1.44, "OS process metrics".
class ProcessMetrics {
public:
    /// To the process's default runtime, whenever there is one. Errors: std::bad_alloc.
    explicit ProcessMetrics(ProcessMetricsOptions options = {});
    /// To the meter's runtime. As above.
    explicit ProcessMetrics(const Meter& meter, ProcessMetricsOptions options = {});
    ProcessMetrics(ProcessMetrics&&) noexcept;
    ProcessMetrics& operator=(ProcessMetrics&&) noexcept;
    /// Waits for a collection that is reading.
    ~ProcessMetrics();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace weft
