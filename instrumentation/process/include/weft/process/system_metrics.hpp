#pragma once
#include <weft/signals/instrument.hpp>

#include <memory>
#include <string>

namespace weft {

struct SystemMetricsOptions {
    /// Network interfaces too: a few series for each. Those of containers (`veth...`) come and go and are left out.
    bool network = true;
    /// Where the kernel's process file system is mounted. In a container it is the machine's, but for the network, which
    /// is the container's own.
    std::string proc = "/proc";
};

/// Metrics of the machine that the process runs on, by the semantic conventions, as long as it lives: CPU time and number
/// of CPUs, memory, swap, page faults, processes created, network traffic, uptime. For machines where no agent
/// tells: every process with one of these tells the same. What cannot be read here is left out and reported once.
/// Threads: any. Cost: some 100 us a collection, on the thread that collects; nothing in between.
/// Source: OpenTelemetry semantic conventions 1.44, "System metrics".
class SystemMetrics {
public:
    /// To the process's default runtime, whenever there is one. Errors: std::bad_alloc.
    explicit SystemMetrics(SystemMetricsOptions options = {});
    /// To the meter's runtime. As above.
    explicit SystemMetrics(const Meter& meter, SystemMetricsOptions options = {});
    SystemMetrics(SystemMetrics&&) noexcept;
    SystemMetrics& operator=(SystemMetrics&&) noexcept;
    /// Waits for a collection that is reading.
    ~SystemMetrics();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace weft
