#include "proc_files.hpp"
#include "proc_text.hpp"

#include <weft/process/system_metrics.hpp>
#include <weft/signals/observable.hpp>

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <limits>
#include <utility>

namespace weft {
namespace {

constexpr Meter system_meter(
    "weft.process", WEFT_VERSION, "https://opentelemetry.io/schemas/1.44.0");

using Sum = ObservableCounter<std::int64_t>;
using SumOfSeconds = ObservableCounter<double>;
using Current = ObservableUpDownCounter<std::int64_t>;
using Value = ObservableGauge<double>;

std::int64_t clamped(std::uint64_t value) noexcept {
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return static_cast<std::int64_t>(std::min(value, most));
}

std::int64_t bytes_of_kib(std::uint64_t kib) noexcept {
    return clamped(
        kib > std::numeric_limits<std::uint64_t>::max() / 1024 ? ~std::uint64_t{0} : kib * 1024);
}

std::uint64_t less(std::uint64_t from, std::uint64_t taken) noexcept {
    return from - std::min(from, taken);
}

} // namespace

struct SystemMetrics::State {
    State(const Meter& meter, SystemMetricsOptions given)
        : options(std::move(given)), files(options.proc, "system"),
          cpu_time(
              meter, "system.cpu.time",
              {.unit = "s", .description = "Seconds that all CPUs spent in each mode."}),
          cpu_count(
              meter, "system.cpu.logical.count",
              {.unit = "{cpu}", .description = "CPUs that threads may be scheduled on."}),
          memory_usage(
              meter, "system.memory.usage",
              {.unit = "By", .description = "Physical memory by what it is used for."}),
          memory_limit(
              meter, "system.memory.limit",
              {.unit = "By", .description = "Physical memory in all."}),
          memory_available(
              meter, "system.memory.linux.available",
              {.unit = "By",
               .description = "Memory that programs can be given without swapping, as the kernel "
                              "reckons."}),
          paging_usage(
              meter, "system.paging.usage",
              {.unit = "By", .description = "Swap space by whether it is in use."}),
          paging_faults(
              meter, "system.paging.faults",
              {.unit = "{fault}", .description = "Page faults of all processes."}),
          processes_created(
              meter, "system.process.created",
              {.unit = "{process}", .description = "Processes and threads ever created."}),
          network_io(
              meter, "system.network.io", {.unit = "By", .description = "Bytes transferred."}),
          network_errors(
              meter, "system.network.errors",
              {.unit = "{error}", .description = "Errors in receiving and sending."}),
          network_dropped(
              meter, "system.network.packet.dropped",
              {.unit = "{packet}", .description = "Packets that were not passed on."}),
          uptime(
              meter, "system.uptime",
              {.unit = "s", .description = "The time the system has been running."}),
          callback(
              {cpu_time, cpu_count, memory_usage, memory_limit, memory_available, paging_usage,
               paging_faults, processes_created, network_io, network_errors, network_dropped,
               uptime},
              ObservableCallback::Plain([this](Observations& to) { observe(to); })) {}

    void observe(Observations& to) noexcept;
    void observe_cpus(Observations& to);
    void observe_memory(Observations& to);
    void observe_faults(Observations& to);
    void observe_network(Observations& to);
    void observe_uptime(Observations& to);

    const SystemMetricsOptions options;
    detail::ProcFiles files; // The callback's, as the next.
    std::array<std::uint64_t, 7>
        most_ticks{}; // By mode: the kernel's own counts may go back a little.

    SumOfSeconds cpu_time;
    Current cpu_count;
    Current memory_usage;
    Current memory_limit;
    Current memory_available;
    Current paging_usage;
    Sum paging_faults;
    Sum processes_created;
    Sum network_io;
    Sum network_errors;
    Sum network_dropped;
    Value uptime;
    ObservableCallback callback; // Last: it goes first, and waits for who is reading.
};

void SystemMetrics::State::observe(Observations& to) noexcept {
    try {
        observe_cpus(to);
        observe_memory(to);
        observe_faults(to);
        if (options.network) { observe_network(to); }
        observe_uptime(to);
    } catch (const std::exception&) {} // No memory for a text: the rest is left out this time.
}

void SystemMetrics::State::observe_cpus(Observations& to) {
    const auto* const text = files.text_of("stat");
    if (text == nullptr) { return files.report("stat", errno); }
    const auto found = detail::parse_cpu_times(*text);
    const auto created = detail::parse_named_number(*text, "processes");
    if (!found || !created) { return files.report("stat", detail::ProcFiles::malformed); }
    const auto ticks = static_cast<double>(std::max(sysconf(_SC_CLK_TCK), 1L));
    const std::pair<std::string_view, std::uint64_t> modes[] = {
        {"user", found->user},  {"nice", found->nice},     {"system", found->system},
        {"idle", found->idle},  {"iowait", found->iowait}, {"interrupt", found->interrupt},
        {"steal", found->steal}};
    for (std::size_t i = 0; i < most_ticks.size(); ++i) {
        most_ticks[i] = std::max(most_ticks[i], modes[i].second);
        to.observe(
            cpu_time, static_cast<double>(most_ticks[i]) / ticks, {{"cpu.mode", modes[i].first}});
    }
    to.observe(cpu_count, clamped(found->cpus));
    to.observe(processes_created, clamped(*created));
}

void SystemMetrics::State::observe_memory(Observations& to) {
    const auto* const text = files.text_of("meminfo");
    if (text == nullptr) { return files.report("meminfo", errno); }
    const auto found = detail::parse_memory(*text);
    if (!found) { return files.report("meminfo", detail::ProcFiles::malformed); }
    const auto tell = [&](const Current& instrument, std::string_view state, std::uint64_t kib) {
        const std::string_view key =
            &instrument == &memory_usage ? "system.memory.state" : "system.paging.state";
        to.observe(instrument, bytes_of_kib(kib), {{key, state}});
    };
    const auto cached = found->cached + found->reclaimable;
    tell(memory_usage, "free", found->free);
    tell(memory_usage, "buffers", found->buffers);
    tell(memory_usage, "cached", cached);
    tell(
        memory_usage, "used",
        less(less(less(found->total, found->free), found->buffers), cached)); // What remains.
    to.observe(memory_limit, bytes_of_kib(found->total));
    if (found->available) { to.observe(memory_available, bytes_of_kib(*found->available)); }
    tell(paging_usage, "free", found->swap_free);
    tell(paging_usage, "used", less(found->swap_total, found->swap_free));
}

void SystemMetrics::State::observe_faults(Observations& to) {
    const auto* const text = files.text_of("vmstat");
    if (text == nullptr) { return files.report("vmstat", errno); }
    const auto all = detail::parse_named_number(*text, "pgfault");
    const auto major = detail::parse_named_number(*text, "pgmajfault");
    if (!all || !major) { return files.report("vmstat", detail::ProcFiles::malformed); }
    to.observe(paging_faults, clamped(less(*all, *major)), {{"system.paging.fault.type", "minor"}});
    to.observe(paging_faults, clamped(*major), {{"system.paging.fault.type", "major"}});
}

void SystemMetrics::State::observe_network(Observations& to) {
    const auto* const text = files.text_of("net/dev");
    if (text == nullptr) { return files.report("net/dev", errno); }
    std::string_view rest = *text;
    bool found_any = false;
    while (const auto one = detail::next_interface(rest)) { // Bound: each takes a line off.
        found_any = true;
        if (one->name.starts_with("veth")) { continue; }
        const auto tell = [&](const Sum& instrument, std::uint64_t received, std::uint64_t sent) {
            const Attribute name{"network.interface.name", one->name};
            to.observe(instrument, clamped(received), {name, {"network.io.direction", "receive"}});
            to.observe(instrument, clamped(sent), {name, {"network.io.direction", "transmit"}});
        };
        tell(network_io, one->received.bytes, one->sent.bytes);
        tell(network_errors, one->received.errors, one->sent.errors);
        tell(network_dropped, one->received.dropped, one->sent.dropped);
    }
    if (!found_any) { files.report("net/dev", detail::ProcFiles::malformed); }
}

void SystemMetrics::State::observe_uptime(Observations& to) {
    timespec now{};
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0) {
        return files.report("clock_gettime", errno, false);
    }
    to.observe(uptime, static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9);
}

SystemMetrics::SystemMetrics(SystemMetricsOptions options)
    : SystemMetrics(system_meter, std::move(options)) {}
SystemMetrics::SystemMetrics(const Meter& meter, SystemMetricsOptions options)
    : state_(std::make_unique<State>(meter, std::move(options))) {}
SystemMetrics::SystemMetrics(SystemMetrics&&) noexcept = default;
SystemMetrics& SystemMetrics::operator=(SystemMetrics&&) noexcept = default;
SystemMetrics::~SystemMetrics() = default;

} // namespace weft
