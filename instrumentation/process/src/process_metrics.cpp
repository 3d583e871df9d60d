#include "process_reader.hpp"

#include <weft/process/process_metrics.hpp>
#include <weft/runtime/clock.hpp>
#include <weft/signals/observable.hpp>

#include <algorithm>

namespace weft {
namespace {

constexpr Meter process_meter(
    "weft.process", WEFT_VERSION, "https://opentelemetry.io/schemas/1.44.0");

using Sum = ObservableCounter<std::int64_t>;
using SumOfSeconds = ObservableCounter<double>;
using Current = ObservableUpDownCounter<std::int64_t>;
using Value = ObservableGauge<double>;

} // namespace

struct ProcessMetrics::State {
    State(const Meter& meter, ProcessMetricsOptions given)
        : options(std::move(given)), reader(options.proc),
          cpu_time(
              meter, "process.cpu.time",
              {.unit = "s", .description = "Total CPU seconds broken down by mode."}),
          cpu_utilization(
              meter, "process.cpu.utilization",
              {.unit = "1",
               .description = "Share of the CPUs available to the process that it used."}),
          memory_usage(
              meter, "process.memory.usage",
              {.unit = "By", .description = "The amount of physical memory in use."}),
          memory_virtual(
              meter, "process.memory.virtual",
              {.unit = "By", .description = "The amount of committed virtual memory."}),
          disk_io(
              meter, "process.disk.io", {.unit = "By", .description = "Disk bytes transferred."}),
          threads(
              meter, "process.thread.count",
              {.unit = "{thread}", .description = "Process threads count."}),
          descriptors(
              meter, "process.unix.file_descriptor.count",
              {.unit = "{file_descriptor}",
               .description = "Number of unix file descriptors in use by the process."}),
          descriptor_limit(
              meter, "process.unix.file_descriptor.limit",
              {.unit = "{file_descriptor}",
               .description = "Most unix file descriptors that the process may use."}),
          context_switches(
              meter, "process.context_switches",
              {.unit = "{context_switch}",
               .description = "Number of times the process has been context switched."}),
          paging_faults(
              meter, "process.paging.faults",
              {.unit = "{fault}", .description = "Number of page faults of the process."}),
          uptime(
              meter, "process.uptime",
              {.unit = "s", .description = "The time the process has been running."}),
          start_time(
              meter, "process.start_time",
              {.unit = "s", .description = "When the process started, since the Unix epoch."}),
          callback(
              {cpu_time, cpu_utilization, memory_usage, memory_virtual, disk_io, threads,
               descriptors, descriptor_limit, context_switches, paging_faults, uptime, start_time},
              ObservableCallback::Plain([this](Observations& to) { observe(to); })) {}

    void observe(Observations& to);
    void observe_utilization(Observations& to, double user_s, double system_s);

    template <class T>
    static void tell(
        Observations& to, const detail::InstrumentBase& instrument, const std::optional<T>& value) {
        if (value) { to.observe(instrument, *value); }
    }
    template <class T>
    static void tell(
        Observations& to, const detail::InstrumentBase& instrument, const std::optional<T>& value,
        std::string_view key, std::string_view text) {
        if (value) { to.observe(instrument, *value, {{key, text}}); }
    }

    const ProcessMetricsOptions options;
    detail::ProcessReader reader; // The callback's, as the next.
    // Several readers may ask one right after the other: a share of less than a second says little.
    std::int64_t shares_since_ns = 0;
    double user_before_s = 0;
    double system_before_s = 0;
    std::optional<double> user_share;
    std::optional<double> system_share;

    SumOfSeconds cpu_time;
    Value cpu_utilization;
    Current memory_usage;
    Current memory_virtual;
    Sum disk_io;
    Current threads;
    Current descriptors;
    Current descriptor_limit;
    Sum context_switches;
    Sum paging_faults;
    Value uptime;
    Value start_time;
    ObservableCallback callback; // Last: it goes first, and waits for who is reading.
};

void ProcessMetrics::State::observe(Observations& to) {
    const auto found = reader.read();
    tell(to, cpu_time, found.cpu_user_s, "cpu.mode", "user");
    tell(to, cpu_time, found.cpu_system_s, "cpu.mode", "system");
    if (options.cpu_utilization && found.cpu_user_s && found.cpu_system_s) {
        observe_utilization(to, *found.cpu_user_s, *found.cpu_system_s);
    }
    tell(to, memory_usage, found.resident_bytes);
    tell(to, memory_virtual, found.virtual_bytes);
    tell(to, disk_io, found.disk_read_bytes, "disk.io.direction", "read");
    tell(to, disk_io, found.disk_written_bytes, "disk.io.direction", "write");
    tell(to, threads, found.threads);
    tell(to, descriptors, found.descriptors);
    tell(to, descriptor_limit, found.descriptors_max);
    tell(
        to, context_switches, found.voluntary_switches, "process.context_switch.type", "voluntary");
    tell(
        to, context_switches, found.involuntary_switches, "process.context_switch.type",
        "involuntary");
    tell(to, paging_faults, found.minor_faults, "system.paging.fault.type", "minor");
    tell(to, paging_faults, found.major_faults, "system.paging.fault.type", "major");
    tell(to, uptime, found.uptime_s);
    tell(to, start_time, found.start_unix_s);
}

void ProcessMetrics::State::observe_utilization(Observations& to, double user_s, double system_s) {
    const auto now = steady_now_ns();
    const double passed_s = static_cast<double>(now - shares_since_ns) / 1e9;
    const bool is_first = shares_since_ns == 0;
    if (is_first || passed_s >= 1) {
        if (!is_first) {
            const double available_s = passed_s * detail::ProcessReader::cpus();
            user_share = std::max(user_s - user_before_s, 0.0) / available_s;
            system_share = std::max(system_s - system_before_s, 0.0) / available_s;
        }
        shares_since_ns = now;
        user_before_s = user_s;
        system_before_s = system_s;
    }
    tell(to, cpu_utilization, user_share, "cpu.mode", "user");
    tell(to, cpu_utilization, system_share, "cpu.mode", "system");
}

ProcessMetrics::ProcessMetrics(ProcessMetricsOptions options)
    : ProcessMetrics(process_meter, std::move(options)) {}
ProcessMetrics::ProcessMetrics(const Meter& meter, ProcessMetricsOptions options)
    : state_(std::make_unique<State>(meter, std::move(options))) {}
ProcessMetrics::ProcessMetrics(ProcessMetrics&&) noexcept = default;
ProcessMetrics& ProcessMetrics::operator=(ProcessMetrics&&) noexcept = default;
ProcessMetrics::~ProcessMetrics() = default;

} // namespace weft
