#pragma once
#include "proc_files.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace weft::detail {

/// What a process has used so far, and holds now. Empty: it cannot be had here.
struct ProcessUsage {
    std::optional<double> cpu_user_s;
    std::optional<double> cpu_system_s;
    std::optional<std::int64_t> resident_bytes;
    std::optional<std::int64_t> virtual_bytes;
    std::optional<std::int64_t> threads;
    std::optional<std::int64_t> descriptors;
    std::optional<std::int64_t> descriptors_max; ///< Empty where there is no limit, too.
    std::optional<std::int64_t> voluntary_switches;
    std::optional<std::int64_t> involuntary_switches;
    std::optional<std::int64_t> minor_faults;
    std::optional<std::int64_t> major_faults;
    std::optional<std::int64_t> disk_read_bytes;
    std::optional<std::int64_t> disk_written_bytes;
    std::optional<double> uptime_s;
    std::optional<double> start_unix_s;
};

/// Asks the kernel about this process. Threads: one at a time.
class ProcessReader {
public:
    /// `proc`: where the process file system is mounted.
    explicit ProcessReader(std::string proc);

    /// What cannot be had is reported, once for each place where it should have been. Never throws.
    [[nodiscard]] ProcessUsage read() noexcept;

    /// CPUs that this process may run on; at least 1.
    [[nodiscard]] static unsigned cpus() noexcept;

private:
    void read_usage(ProcessUsage& found) noexcept;
    void read_stat(ProcessUsage& found);
    void read_memory(ProcessUsage& found);
    void read_io(ProcessUsage& found);
    void read_descriptors(ProcessUsage& found);

    ProcFiles files_;
    std::optional<double> boot_unix_s_; // It does not change.
};

} // namespace weft::detail
