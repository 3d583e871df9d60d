// The machine's metrics against what the kernel says by other ways, and against process file systems that are odd.
#include "fake_proc.hpp"

#include <weft/process/system_metrics.hpp>
#include <weft/testing/metric_snapshot.hpp>

#include <gmock/gmock.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cmath>

namespace weft::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr auto stat_text = "cpu  100 20 30 4000 50 6 7 8 9 10\ncpu0 50 10 15 2000 25 3 4 4 0 0\n"
                           "cpu1 50 10 15 2000 25 3 3 4 0 0\nintr 5 5\nbtime 17\nprocesses 77\n";
constexpr auto meminfo_text =
    "MemTotal:  8000 kB\nMemFree:  1000 kB\nMemAvailable:  5000 kB\nBuffers:  200 kB\n"
    "Cached:  3000 kB\nSwapCached:  1 kB\nSwapTotal:  900 kB\nSwapFree:  600 kB\n"
    "SReclaimable:  300 kB\n";
constexpr auto network_text =
    "Inter-|   Receive                 |  Transmit\n face |bytes    packets errs drop fifo frame\n"
    "    lo: 1000 10 0 0 0 0 0 0 1000 10 0 0 0 0 0 0\n"
    "  eth0:5000 50 1 2 0 0 0 0 7000 70 3 4 0 0 0 0\n"
    "veth12:1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n";

struct WholeProc : FakeProc {
    WholeProc() {
        write("stat", stat_text);
        write("meminfo", meminfo_text);
        write("vmstat", "pgpgin 1\npgfault 90\npgmajfault 7\n");
        write("net/dev", network_text);
    }
};

TEST(SystemMetrics, AgreeWithTheKernel) {
    MetricSource source;
    const SystemMetrics metrics;
    const auto seen = source.collect();
    struct sysinfo info {};
    ASSERT_EQ(sysinfo(&info), 0);
    EXPECT_EQ(
        seen.point("system.cpu.logical.count").value,
        static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN)));
    const auto unit = static_cast<double>(info.mem_unit);
    EXPECT_EQ(seen.point("system.memory.limit").value, static_cast<double>(info.totalram) * unit);
    EXPECT_GT(seen.point("system.memory.linux.available").value, 0);
    double memory = 0;
    for (const auto& point : seen["system.memory.usage"].points) { memory += point.value; }
    EXPECT_EQ(memory, seen.point("system.memory.limit").value) << "the states are all there is";
    EXPECT_THAT(seen["system.memory.usage"].points, SizeIs(4));
    EXPECT_NEAR(seen.point("system.uptime").value, static_cast<double>(info.uptime), 2);
    double cpu = 0;
    for (const auto& point : seen["system.cpu.time"].points) { cpu += point.value; }
    EXPECT_GT(cpu, 0);
    EXPECT_GT(seen.point("system.process.created").value, 0);
    EXPECT_GT(seen.point("system.paging.faults", "system.paging.fault.type", "minor").value, 0);
}

TEST(SystemMetrics, ComeFromTheFilesOfProc) {
    const WholeProc proc;
    MetricSource source;
    const SystemMetrics metrics({.proc = proc.path()});
    const auto seen = source.collect();
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    const auto cpu = [&](const char* mode) {
        return std::round(seen.point("system.cpu.time", "cpu.mode", mode).value * ticks);
    };
    EXPECT_EQ(cpu("user"), 100);
    EXPECT_EQ(cpu("nice"), 20);
    EXPECT_EQ(cpu("system"), 30);
    EXPECT_EQ(cpu("idle"), 4000);
    EXPECT_EQ(cpu("iowait"), 50);
    EXPECT_EQ(cpu("interrupt"), 13);
    EXPECT_EQ(cpu("steal"), 8);
    EXPECT_THAT(seen["system.cpu.time"].points, SizeIs(7));
    EXPECT_EQ(seen.point("system.cpu.logical.count").value, 2);
    EXPECT_EQ(seen.point("system.process.created").value, 77);
    const auto memory = [&](const char* state) {
        return seen.point("system.memory.usage", "system.memory.state", state).value / 1024;
    };
    EXPECT_EQ(memory("free"), 1000);
    EXPECT_EQ(memory("buffers"), 200);
    EXPECT_EQ(memory("cached"), 3300);
    EXPECT_EQ(memory("used"), 8000 - 1000 - 200 - 3300);
    EXPECT_EQ(seen.point("system.memory.linux.available").value, 5000 * 1024);
    EXPECT_EQ(seen.point("system.paging.usage", "system.paging.state", "used").value, 300 * 1024);
    EXPECT_EQ(seen.point("system.paging.usage", "system.paging.state", "free").value, 600 * 1024);
    const auto faults = [&](const char* type) {
        return seen.point("system.paging.faults", "system.paging.fault.type", type).value;
    };
    EXPECT_EQ(faults("minor"), 83);
    EXPECT_EQ(faults("major"), 7);
    const auto network = [&](const char* name, const char* interface, const char* direction) {
        for (const auto& point : seen[name].points) {
            if (point["network.interface.name"] == interface &&
                point["network.io.direction"] == direction) {
                return point.value;
            }
        }
        return -1.0;
    };
    EXPECT_EQ(network("system.network.io", "lo", "receive"), 1000);
    EXPECT_EQ(network("system.network.io", "eth0", "receive"), 5000);
    EXPECT_EQ(network("system.network.io", "eth0", "transmit"), 7000);
    EXPECT_EQ(network("system.network.errors", "eth0", "receive"), 1);
    EXPECT_EQ(network("system.network.errors", "eth0", "transmit"), 3);
    EXPECT_EQ(network("system.network.packet.dropped", "eth0", "receive"), 2);
    EXPECT_EQ(network("system.network.packet.dropped", "eth0", "transmit"), 4);
    EXPECT_THAT(seen["system.network.io"].points, SizeIs(4)) << "no container's end of a pair";
}

TEST(SystemMetrics, NeverCountBackWhereTheKernelDoes) {
    const WholeProc proc;
    MetricSource source;
    const SystemMetrics metrics({.proc = proc.path()});
    const auto before = source.collect().point("system.cpu.time", "cpu.mode", "iowait").value;
    std::string text = stat_text;
    proc.write("stat", text.replace(text.find(" 50 6"), 5, " 40 6"));
    EXPECT_EQ(source.collect().point("system.cpu.time", "cpu.mode", "iowait").value, before);
}

TEST(SystemMetrics, LeaveTheNetworkOutWhenAskedTo) {
    const WholeProc proc;
    MetricSource source;
    const SystemMetrics metrics({.network = false, .proc = proc.path()});
    const auto seen = source.collect();
    EXPECT_THAT(seen["system.network.io"].points, IsEmpty());
    EXPECT_THAT(seen["system.paging.usage"].points, SizeIs(2));
}

TEST(SystemMetrics, LeaveOutWhatCannotBeReadAndSayItOnce) {
    DiagnosticLines log;
    MetricSource source;
    const SystemMetrics metrics({.proc = "/nonexistent"});
    const auto seen = source.collect();
    EXPECT_EQ(seen.names(), std::set<std::string>{"system.uptime"}) << "that needs no /proc";
    EXPECT_THAT(
        log.lines(), UnorderedElementsAre(
                         HasSubstr("/nonexistent/stat: No such file"),
                         HasSubstr("/nonexistent/meminfo: No such file"),
                         HasSubstr("/nonexistent/vmstat: No such file"),
                         HasSubstr("/nonexistent/net/dev: No such file")));
    (void)source.collect();
    EXPECT_THAT(log.lines(), SizeIs(4));
    EXPECT_THAT(log.lines().front(), HasSubstr("the system metrics that come from it"));
}

TEST(SystemMetrics, LeaveOutOddText) {
    const WholeProc proc;
    for (const auto* file : {"stat", "meminfo", "vmstat", "net/dev"}) {
        proc.write(file, "nothing: of the kind\n");
    }
    DiagnosticLines log;
    MetricSource source;
    const SystemMetrics metrics({.proc = proc.path()});
    EXPECT_EQ(source.collect().names(), std::set<std::string>{"system.uptime"});
    EXPECT_THAT(log.lines(), SizeIs(4));
    for (const auto& line : log.lines()) {
        EXPECT_THAT(line, HasSubstr("it is not what proc(5) says"));
    }
}

TEST(SystemMetrics, EndWithTheirObject) {
    MetricSource source;
    {
        SystemMetrics metrics;
        const SystemMetrics moved = std::move(metrics);
        EXPECT_FALSE(source.collect().metrics.empty());
    }
    EXPECT_TRUE(source.collect().metrics.empty());
}

} // namespace
} // namespace weft::testing
