#include "process_reader.hpp"

#include "proc_text.hpp"

#include <weft/runtime/diagnostics.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <limits>
#include <memory>
#include <system_error>

namespace weft::detail {
namespace {

constexpr std::size_t text_bytes_max = 1024 * 1024; // /proc/stat grows with CPUs and interrupts.
constexpr int malformed = 0;                        // Instead of an errno.

double seconds(const timeval& time) noexcept {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::int64_t clamped(std::uint64_t value) noexcept {
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return static_cast<std::int64_t>(std::min(value, most));
}

std::int64_t bytes_of_pages(std::uint64_t pages) noexcept {
    const auto page = static_cast<std::uint64_t>(std::max(sysconf(_SC_PAGESIZE), 1L));
    return clamped(
        pages > std::numeric_limits<std::uint64_t>::max() / page ? ~std::uint64_t{0}
                                                                 : pages * page);
}

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { closedir(directory); }
};

// -1: it cannot be had, and why is in errno.
std::int64_t count_entries(const char* path) noexcept {
    // Since Linux 6.2 the size of /proc/<pid>/fd is their number; before, it is 0.
    struct stat status {};
    struct statfs system {};
    if (::stat(path, &status) == 0 && status.st_size > 0 && ::statfs(path, &system) == 0 &&
        system.f_type == PROC_SUPER_MAGIC) {
        return status.st_size;
    }
    const std::unique_ptr<DIR, CloseDirectory> directory(opendir(path));
    if (directory == nullptr) { return -1; }
    std::int64_t count = 0;
    errno = 0;
    while (const dirent* entry = readdir(directory.get())) { // Bound: the entries.
        if (entry->d_name[0] != '.') { ++count; }
    }
    if (errno != 0) { return -1; }
    return std::max<std::int64_t>(count - 1, 0); // Without the one that reads them.
}

} // namespace

ProcessReader::ProcessReader(std::string proc) : proc_(std::move(proc)) {}

unsigned ProcessReader::cpus() noexcept {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        return static_cast<unsigned>(std::max(CPU_COUNT(&allowed), 1));
    }
    // More CPUs than the set has room for.
    return static_cast<unsigned>(std::max(sysconf(_SC_NPROCESSORS_ONLN), 1L));
}

ProcessUsage ProcessReader::read() noexcept {
    ProcessUsage found;
    read_usage(found);
    try {
        read_memory(found);
        read_stat(found);
        read_io(found);
        read_descriptors(found);
    } catch (const std::exception&) {} // No memory for a path: that is left out this time.
    return found;
}

void ProcessReader::read_usage(ProcessUsage& found) noexcept {
    rusage used{};
    if (getrusage(RUSAGE_SELF, &used) != 0) { return report(usage, "getrusage", errno); }
    found.cpu_user_s = seconds(used.ru_utime);
    found.cpu_system_s = seconds(used.ru_stime);
    found.voluntary_switches = used.ru_nvcsw;
    found.involuntary_switches = used.ru_nivcsw;
    found.minor_faults = used.ru_minflt;
    found.major_faults = used.ru_majflt;
}

void ProcessReader::read_memory(ProcessUsage& found) {
    const auto* const text = text_of("self/statm");
    if (text == nullptr) { return report(statm, "self/statm", errno); }
    const auto pages = parse_statm(*text);
    if (!pages) { return report(statm, "self/statm", malformed); }
    found.virtual_bytes = bytes_of_pages(pages->total);
    found.resident_bytes = bytes_of_pages(pages->resident);
}

void ProcessReader::read_stat(ProcessUsage& found) {
    const auto* text = text_of("self/stat");
    if (text == nullptr) { return report(stat, "self/stat", errno); }
    const auto parsed = parse_process_stat(*text);
    if (!parsed) { return report(stat, "self/stat", malformed); }
    found.threads = clamped(parsed->threads);
    const auto ticks = std::max(sysconf(_SC_CLK_TCK), 1L);
    const double started = static_cast<double>(parsed->start_ticks) / static_cast<double>(ticks);
    timespec now{};
    if (clock_gettime(CLOCK_BOOTTIME, &now) == 0) {
        const double since_boot =
            static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
        found.uptime_s = std::max(since_boot - started, 0.0);
    }
    if (!boot_unix_s_) {
        text = text_of("stat");
        if (text == nullptr) { return report(machine_stat, "stat", errno); }
        const auto boot = parse_named_number(*text, "btime");
        if (!boot) { return report(machine_stat, "stat", malformed); }
        boot_unix_s_ = static_cast<double>(*boot);
    }
    found.start_unix_s = *boot_unix_s_ + started;
}

void ProcessReader::read_io(ProcessUsage& found) {
    const auto* const text = text_of("self/io");
    if (text == nullptr) { return report(io, "self/io", errno); }
    const auto read = parse_named_number(*text, "read_bytes");
    const auto written = parse_named_number(*text, "write_bytes");
    if (!read || !written) { return report(io, "self/io", malformed); }
    found.disk_read_bytes = clamped(*read);
    found.disk_written_bytes = clamped(*written);
}

void ProcessReader::read_descriptors(ProcessUsage& found) {
    path_.assign(proc_).append("/self/fd");
    const auto count = count_entries(path_.c_str());
    if (count >= 0) {
        found.descriptors = count;
    } else {
        report(descriptors, "self/fd", errno);
    }
    rlimit most{};
    if (getrlimit(RLIMIT_NOFILE, &most) != 0) { return report(limit, "getrlimit", errno); }
    if (most.rlim_cur != RLIM_INFINITY) { found.descriptors_max = clamped(most.rlim_cur); }
}

const std::string* ProcessReader::text_of(const char* name) {
    path_.assign(proc_).append("/").append(name);
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) { return nullptr; }
    text_.clear();
    bool good = true;
    int error = 0;
    // Bound: text_bytes_max.
    while (text_.size() < text_bytes_max) {
        char piece[4096];
        const auto count = ::read(file, piece, sizeof piece);
        if (count < 0 && errno == EINTR) { continue; }
        if (count <= 0) {
            good = count == 0;
            error = errno;
            break;
        }
        text_.append(piece, static_cast<std::size_t>(count));
    }
    ::close(file);
    errno = error;
    return good ? &text_ : nullptr;
}

void ProcessReader::report(Place place, const char* what, int error) noexcept {
    if (has_reported_[place]) { return; }
    has_reported_[place] = true;
    try {
        const bool is_file = place != usage && place != limit;
        const auto whole = is_file ? printable(proc_, 200) + "/" + what : std::string(what);
        diagnostics().report(
            DiagnosticLevel::warning, "process_metrics." + whole,
            fmt::format(
                "{}: {}; the process metrics that come from it are left out", whole,
                error == malformed ? "it is not what proc(5) says"
                                   : std::generic_category().message(error)));
    } catch (const std::exception&) {} // No memory to say so.
}

} // namespace weft::detail
