// The process's metrics against what the kernel says by other ways, and against process file systems that are odd.
#include "fake_proc.hpp"
#include "process_reader.hpp"

#include <weft/process/process_metrics.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/testing/metric_snapshot.hpp>

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace weft::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

void burn_cpu(std::chrono::milliseconds time) {
    const auto begin = std::clock();
    const auto ticks = static_cast<std::clock_t>(time.count()) * (CLOCKS_PER_SEC / 1000);
    while (std::clock() - begin < ticks) {}
}

TEST(ProcessMetrics, AgreeWithTheKernel) {
    MetricSource source;
    const ProcessMetrics metrics;
    burn_cpu(std::chrono::milliseconds(20));
    const auto seen = source.collect();
    rusage used{};
    ASSERT_EQ(getrusage(RUSAGE_SELF, &used), 0);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    const auto user = seen.point("process.cpu.time", "cpu.mode", "user").value;
    const auto system = seen.point("process.cpu.time", "cpu.mode", "system").value;
    EXPECT_GE(user + system, 0.02);
    EXPECT_LE(user, seconds(used.ru_utime));
    EXPECT_LE(system, seconds(used.ru_stime));
    EXPECT_THAT(seen["process.cpu.time"].points, SizeIs(2));
    EXPECT_TRUE(seen["process.cpu.time"].is_monotonic);

    const auto resident = seen.point("process.memory.usage").value;
    EXPECT_GT(resident, 100'000);
    EXPECT_LE(resident, static_cast<double>(used.ru_maxrss) * 1024 * 1.5);
    EXPECT_GT(seen.point("process.memory.virtual").value, resident);

    rlimit most{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &most), 0);
    EXPECT_GE(seen.point("process.unix.file_descriptor.count").value, 1);
    if (most.rlim_cur != RLIM_INFINITY) {
        EXPECT_EQ(
            seen.point("process.unix.file_descriptor.limit").value,
            static_cast<double>(most.rlim_cur));
    }
    EXPECT_GT(seen.point("process.paging.faults", "system.paging.fault.type", "minor").value, 0);
    EXPECT_THAT(seen["process.context_switches"].points, SizeIs(2));
    const auto now = static_cast<double>(std::time(nullptr));
    EXPECT_GE(seen.point("process.uptime").value, 0);
    EXPECT_NEAR(
        seen.point("process.start_time").value, now - seen.point("process.uptime").value, 3);
}

TEST(ProcessMetrics, CountDescriptorsAndThreads) {
    MetricSource source;
    const ProcessMetrics metrics;
    const auto before = source.collect();
    std::vector<std::FILE*> files;
    for (int i = 0; i < 5; ++i) { files.push_back(std::fopen("/dev/null", "r")); }
    std::mutex gate;
    gate.lock();
    std::thread waiting([&] { const std::lock_guard lock(gate); });
    const auto during = source.collect();
    gate.unlock();
    waiting.join();
    for (auto* file : files) { std::fclose(file); }
    const auto grown = [&](const char* name) {
        return during.point(name).value - before.point(name).value;
    };
    EXPECT_EQ(grown("process.unix.file_descriptor.count"), 5);
    EXPECT_GE(grown("process.thread.count"), 1) << "a sanitizer may have threads of its own";
}

TEST(ProcessMetrics, EndWithTheirObject) {
    MetricSource source;
    {
        const ProcessMetrics metrics;
        EXPECT_FALSE(source.collect().metrics.empty());
    }
    EXPECT_TRUE(source.collect().metrics.empty());
}

TEST(ProcessMetrics, TellTheShareOfTheCpusWhenWanted) {
    MetricSource source;
    const ProcessMetrics metrics({.cpu_utilization = true});
    EXPECT_THAT(source.collect()["process.cpu.utilization"].points, SizeIs(0)) << "of no time";
    std::this_thread::sleep_for(std::chrono::milliseconds(1010)); // A share is of a second or more.
    const auto seen = source.collect();
    ASSERT_THAT(seen["process.cpu.utilization"].points, SizeIs(2));
    for (const auto& point : seen["process.cpu.utilization"].points) {
        EXPECT_GE(point.value, 0);
        EXPECT_LE(point.value, 1.1);
    }
    EXPECT_EQ(
        source.collect().point("process.cpu.utilization", "cpu.mode", "user").value,
        seen.point("process.cpu.utilization", "cpu.mode", "user").value)
        << "a second reader right behind the first hears the same";
}

TEST(ProcessMetrics, ComeFromTheFilesOfProc) {
    const FakeProc proc;
    proc.write("self/statm", "5000 1200 300 10 0 900 0\n");
    proc.write("self/stat", "1 (a) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 7 0 100 0 0\n");
    proc.write("stat", "cpu 1 2 3\nbtime 1700000000\n");
    proc.write("self/io", "read_bytes: 4096\nwrite_bytes: 8192\n");
    MetricSource source;
    const ProcessMetrics metrics({.proc = proc.path()});
    const auto seen = source.collect();
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    EXPECT_EQ(seen.point("process.memory.virtual").value, 5000 * page);
    EXPECT_EQ(seen.point("process.memory.usage").value, 1200 * page);
    EXPECT_EQ(seen.point("process.thread.count").value, 7);
    EXPECT_EQ(
        seen.point("process.start_time").value,
        1700000000.0 + 100.0 / static_cast<double>(sysconf(_SC_CLK_TCK)));
    EXPECT_EQ(seen.point("process.disk.io", "disk.io.direction", "read").value, 4096);
    EXPECT_EQ(seen.point("process.disk.io", "disk.io.direction", "write").value, 8192);
}

TEST(ProcessMetrics, LeaveOutWhatCannotBeReadAndSayItOnce) {
    DiagnosticLines log;
    MetricSource source;
    const ProcessMetrics metrics({.proc = "/nonexistent"});
    const auto seen = source.collect();
    for (const auto* absent :
         {"process.memory.usage", "process.memory.virtual", "process.thread.count",
          "process.uptime", "process.start_time", "process.disk.io",
          "process.unix.file_descriptor.count"}) {
        EXPECT_THAT(seen[absent].points, SizeIs(0)) << absent;
    }
    EXPECT_THAT(seen["process.cpu.time"].points, SizeIs(2)) << "that needs no /proc";
    const auto lines = log.lines();
    EXPECT_THAT(
        lines, UnorderedElementsAre(
                   HasSubstr("/nonexistent/self/statm: No such file"),
                   HasSubstr("/nonexistent/self/stat: No such file"),
                   HasSubstr("/nonexistent/self/io: No such file"),
                   HasSubstr("/nonexistent/self/fd: No such file")));
    (void)source.collect();
    EXPECT_EQ(log.lines().size(), lines.size());
}

TEST(ProcessMetrics, LeaveOutOddText) {
    const FakeProc proc;
    DiagnosticLines log;
    MetricSource source;
    proc.write("self/statm", "lots of memory\n");
    proc.write("self/stat", "1 (x) S\n");
    proc.write("self/io", std::string(3'000'000, 'x')); // Larger than what is read.
    const ProcessMetrics metrics({.proc = proc.path()});
    const auto seen = source.collect();
    for (const auto* absent : {"process.memory.usage", "process.thread.count", "process.disk.io"}) {
        EXPECT_THAT(seen[absent].points, SizeIs(0)) << absent;
    }
    for (const auto& line : log.lines()) {
        EXPECT_THAT(line, HasSubstr("it is not what proc(5) says"));
    }
    EXPECT_THAT(log.lines(), SizeIs(3));
    EXPECT_EQ(seen.point("process.unix.file_descriptor.count").value, 0)
        << "the directory is empty";
}

} // namespace
} // namespace weft::testing
