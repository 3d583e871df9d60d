// docs/metrics-reference.md says what there is.
#include <weft/event_loop/event_loop_metrics.hpp>
#include <weft/process/process_metrics.hpp>
#include <weft/process/system_metrics.hpp>
#include <weft/testing/metrics_reference.hpp>

#include <chrono>
#include <filesystem>
#include <thread>

namespace weft::testing {
namespace {

TEST(MetricsReference, ListsTheProcess) {
    MetricSource source;
    const ProcessMetrics metrics({.cpu_utilization = true});
    (void)source.collect();
    std::this_thread::sleep_for(std::chrono::milliseconds(1010)); // A share is of a second or more.
    auto seen = source.collect();
    expect_documented(seen);
    if (!std::filesystem::exists("/proc/self/io")) { seen.metrics["process.disk.io"] = {}; }
    expect_complete(seen, "process.");
}

TEST(MetricsReference, ListsTheMachine) {
    MetricSource source;
    const SystemMetrics metrics;
    const auto seen = source.collect();
    expect_documented(seen);
    expect_complete(seen, "system.");
}

TEST(MetricsReference, ListsEventLoops) {
    MetricSource source;
    asio::io_context context;
    const EventLoopMetrics metrics(context, {.interval = std::chrono::milliseconds(1)});
    MetricSnapshot seen;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    do {
        context.restart();
        context.run();
        seen = source.collect();
    } while (seen.metrics.size() < 6 && std::chrono::steady_clock::now() < end);
    expect_documented(seen);
    expect_complete(seen, "asio.event_loop.");
}

} // namespace
} // namespace weft::testing
