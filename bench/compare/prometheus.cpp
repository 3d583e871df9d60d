// Question: what does a C++ user pay for metrics with prometheus-cpp, as Debian ships it? Goal: the cases of weft-bench, and
// its best use: references to metrics kept. "unbound" looks the labels up with each measurement, as one must who does not
// keep them. Non-goal: its HTTP server. It links nothing of weft.
#include <harness.hpp>
#include <heap.hpp>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <shape.hpp>

#include <stdexcept>
#include <string>
#include <vector>

namespace weft::bench {
namespace {

using Counter = prometheus::Counter;
using Histogram = prometheus::Histogram;

const Histogram::BucketBoundaries& boundaries() {
    static const Histogram::BucketBoundaries all(
        std::begin(shape::boundaries), std::end(shape::boundaries));
    return all;
}

prometheus::Labels three_labels() {
    return {
        {"http_request_method", shape::method},
        {"http_route", shape::route},
        {"http_response_status_code", std::to_string(shape::status)}};
}

void add_recording_cases(Suite& suite, const std::string& suffix, int threads) {
    static prometheus::Registry registry;
    static auto& counters = prometheus::BuildCounter().Name("bench_counter").Register(registry);
    static auto& histograms =
        prometheus::BuildHistogram().Name("bench_histogram").Register(registry);
    static Counter& counter = counters.Add({{"region", "eu"}});
    static Histogram& histogram = histograms.Add({{"region", "eu"}}, boundaries());
    const CaseOptions options{.threads = threads};
    suite.add(
        "counter_bound" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) { counter.Increment(); }
        },
        options);
    suite.add(
        "counter_unbound_3_attributes" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                counters.Add(three_labels()).Increment();
            }
        },
        options);
    suite.add(
        "histogram_bound" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                histogram.Observe(shape::measured(i));
            }
        },
        options);
    suite.add(
        "histogram_unbound_3_attributes" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                histograms.Add(three_labels(), boundaries()).Observe(shape::measured(i));
            }
        },
        options);
}

// 10 000 series.
class Many {
public:
    explicit Many(bool histograms) {
        for (int i = 0; i < shape::instruments; ++i) {
            const std::string name = "many_" + std::to_string(i);
            for (int id = 0; id < shape::series_each; ++id) {
                const prometheus::Labels labels{{"id", std::to_string(id)}};
                if (histograms) {
                    prometheus::BuildHistogram()
                        .Name(name)
                        .Register(registry_)
                        .Add(labels, boundaries())
                        .Observe(shape::measured(static_cast<std::uint64_t>(id)));
                } else {
                    prometheus::BuildCounter()
                        .Name(name)
                        .Register(registry_)
                        .Add(labels)
                        .Increment();
                }
            }
        }
    }

    // Errors: std::logic_error when some of the series are not there.
    std::vector<prometheus::MetricFamily> collect() const {
        auto families = registry_.Collect();
        std::size_t series = 0;
        for (const auto& family : families) { series += family.metric.size(); }
        if (series != shape::series) { throw std::logic_error("series are missing"); }
        return families;
    }

private:
    prometheus::Registry registry_;
};

const Many& counters() {
    static const Many many(false);
    return many;
}

const Many& histograms() {
    static const Many many(true);
    return many;
}

void collect_as_text(const Many& many, std::uint64_t iterations) {
    const prometheus::TextSerializer serializer;
    for (std::uint64_t i = 0; i < iterations; ++i) {
        keep(serializer.Serialize(many.collect()).data());
    }
}

double bytes_per_series(bool histograms) {
    const auto before = heap_bytes();
    const Many many(histograms);
    keep(many.collect().data());
    return static_cast<double>(heap_bytes() - before) / shape::series;
}

} // namespace
} // namespace weft::bench

int main(int argc, char** argv) {
    using namespace weft::bench;
    Suite suite("prometheus_cpp");
    suite.note("prometheus-cpp (shared library of the distribution); collect_10k_counters: its "
               "registry's Collect(), "
               "which encodes nothing");
    add_recording_cases(suite, "", 1);
    add_recording_cases(suite, "_2_threads", 2);
    // `before`: series are made before anything is timed.
    suite.add(
        "collect_10k_counters", "ms",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) { keep(counters().collect().data()); }
        },
        {.before = [] { keep(counters()); }});
    suite.add(
        "prometheus_text_10k_counters", "ms",
        [](std::uint64_t iterations) { collect_as_text(counters(), iterations); },
        {.before = [] { keep(counters()); }});
    suite.add(
        "prometheus_text_10k_histograms", "ms",
        [](std::uint64_t iterations) { collect_as_text(histograms(), iterations); },
        {.before = [] { keep(histograms()); }});
    suite.add_value("metric_series_bytes_counter", "bytes", [] { return bytes_per_series(false); });
    suite.add_value(
        "metric_series_bytes_histogram", "bytes", [] { return bytes_per_series(true); });
    return suite.run(argc, argv);
}
