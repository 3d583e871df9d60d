// Question: what does a series take of memory? Goal: everything that 10 000 of them with one attribute make the process
// allocate, recorded by one thread or by two and collected once, divided by 10 000. Non-goal: an encoder's buffers, which do
// not grow with them.
//
// Cells, pools and thread caches are kept and used again, so that only a new process can tell: the program starts itself.
#include "series_memory.hpp"

#include "cases.hpp"
#include "heap.hpp"

#include <weft/signals/counter.hpp>
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/signals/metric_reader.hpp>

#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace weft::bench {
namespace {

struct PointCount final : MetricVisitor {
    void begin(const MetricStream&) override {}
    void number(const NumberPoint&) override { ++points; }
    void histogram(const HistogramPoint&) override { ++points; }
    void exponential_histogram(const ExponentialHistogramPoint&) override { ++points; }
    void end() override {}
    int points = 0;
};

MetricOptions options_for(std::string_view kind) {
    if (kind != "exponential_histogram") { return {}; }
    return {.views = {{.aggregation = Aggregation::exponential()}}};
}

// Errors: std::logic_error when some of the series are not there.
double bytes_per_series(std::string_view kind, int threads) {
    auto& provider = weft::detail::make_meter_provider(options_for(kind));
    MetricReader reader(provider, {});
    std::vector<std::string> names;
    for (int i = 0; i < shape::instruments; ++i) { names.push_back("series." + std::to_string(i)); }
    const Meter meter = Meter("bench").bound_to(&provider);
    const auto record_all = [&] {
        for (const auto& name : names) {
            const Counter<> counter(meter, name);
            const Histogram<> histogram(meter, name);
            for (int id = 0; id < shape::series_each; ++id) {
                if (kind == "counter") {
                    counter.add(1, {{"id", id}});
                } else {
                    histogram.record(shape::measured(static_cast<std::uint64_t>(id)), {{"id", id}});
                }
            }
        }
    };
    const auto before = heap_bytes();
    record_all();
    for (int i = 1; i < threads; ++i) { std::thread(record_all).join(); }
    PointCount count;
    reader.collect_now(count);
    const auto after = heap_bytes();
    if (count.points != shape::series) { throw std::logic_error("series are missing"); }
    return (static_cast<double>(after) - static_cast<double>(before)) / shape::series;
}

// Errors: std::runtime_error when the other process fails.
double measured_elsewhere(const std::string& kind, int threads) {
    const std::string command = "exec \"/proc/$PPID/exe\" " + std::string(series_memory_option) +
                                " " + kind + " " + std::to_string(threads);
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(
        popen(command.c_str(), "re"), pclose);
    double bytes = 0;
    if (output == nullptr || std::fscanf(output.get(), "%lf", &bytes) != 1) {
        throw std::runtime_error("'" + command + "' said nothing");
    }
    return bytes;
}

} // namespace

int print_series_memory(std::string_view kind, std::string_view threads) {
    int count = 0;
    std::from_chars(threads.data(), threads.data() + threads.size(), count);
    std::printf("%.1f\n", bytes_per_series(kind, count));
    return 0;
}

void add_series_memory_cases(Suite& suite) {
    for (const std::string kind : {"counter", "histogram", "exponential_histogram"}) {
        for (const int threads : {1, 2}) {
            suite.add_value(
                "metric_series_bytes_" + kind + (threads == 1 ? "" : "_2_threads"), "bytes",
                [kind, threads] { return measured_elsewhere(kind, threads); });
        }
    }
}

} // namespace weft::bench
