#include "process_reader.hpp"

#include "proc_text.hpp"

#include <dirent.h>
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

namespace weft::detail {
namespace {

constexpr int malformed = ProcFiles::malformed;

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

ProcessReader::ProcessReader(std::string proc) : files_(std::move(proc), "process") {}

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
    if (getrusage(RUSAGE_SELF, &used) != 0) { return files_.report("getrusage", errno, false); }
    found.cpu_user_s = seconds(used.ru_utime);
    found.cpu_system_s = seconds(used.ru_stime);
    found.voluntary_switches = used.ru_nvcsw;
    found.involuntary_switches = used.ru_nivcsw;
    found.minor_faults = used.ru_minflt;
    found.major_faults = used.ru_majflt;
}

void ProcessReader::read_memory(ProcessUsage& found) {
    const auto* const text = files_.text_of("self/statm");
    if (text == nullptr) { return files_.report("self/statm", errno); }
    const auto pages = parse_statm(*text);
    if (!pages) { return files_.report("self/statm", malformed); }
    found.virtual_bytes = bytes_of_pages(pages->total);
    found.resident_bytes = bytes_of_pages(pages->resident);
}

void ProcessReader::read_stat(ProcessUsage& found) {
    const auto* text = files_.text_of("self/stat");
    if (text == nullptr) { return files_.report("self/stat", errno); }
    const auto parsed = parse_process_stat(*text);
    if (!parsed) { return files_.report("self/stat", malformed); }
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
        text = files_.text_of("stat");
        if (text == nullptr) { return files_.report("stat", errno); }
        const auto boot = parse_named_number(*text, "btime");
        if (!boot) { return files_.report("stat", malformed); }
        boot_unix_s_ = static_cast<double>(*boot);
    }
    found.start_unix_s = *boot_unix_s_ + started;
}

void ProcessReader::read_io(ProcessUsage& found) {
    const auto* const text = files_.text_of("self/io");
    if (text == nullptr) { return files_.report("self/io", errno); }
    const auto read = parse_named_number(*text, "read_bytes");
    const auto written = parse_named_number(*text, "write_bytes");
    if (!read || !written) { return files_.report("self/io", malformed); }
    found.disk_read_bytes = clamped(*read);
    found.disk_written_bytes = clamped(*written);
}

void ProcessReader::read_descriptors(ProcessUsage& found) {
    const auto count = count_entries(files_.path_of("self/fd").c_str());
    if (count >= 0) {
        found.descriptors = count;
    } else {
        files_.report("self/fd", errno);
    }
    rlimit most{};
    if (getrlimit(RLIMIT_NOFILE, &most) != 0) { return files_.report("getrlimit", errno, false); }
    if (most.rlim_cur != RLIM_INFINITY) { found.descriptors_max = clamped(most.rlim_cur); }
}

} // namespace weft::detail
