// Question: what does a measurement cost, and a collection of many series? Goal: the caller's nanoseconds, bound and with
// three attributes, alone and with another thread on the same series; milliseconds for 10 000 series, encoded as OTLP or
// as Prometheus's text. Non-goal: sockets. 10 000 series are spread over 10 instruments, as a limit of 2000 asks for.
#include "cases.hpp"

#include <weft/exporters/metric_encoder.hpp>
#include <weft/exporters/prometheus_text.hpp>
#include <weft/signals/counter.hpp>
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/signals/metric_reader.hpp>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace weft::bench {
namespace {

weft::detail::MeterProvider& provider() {
    static auto& instance = weft::detail::make_meter_provider({});
    return instance;
}

Meter meter() { return Meter("bench").bound_to(&provider()); }

double value(std::uint64_t i) noexcept { return static_cast<double>(i * 7919 % 9973); }

void add_recording_cases(Suite& suite, const std::string& suffix, int threads) {
    static const Counter<> counter(meter(), "bench.counter");
    static const Histogram<> histogram(meter(), "bench.histogram");
    static const auto bound_counter = counter.bind({{"region", "eu"}});
    static const auto bound_histogram = histogram.bind({{"region", "eu"}});
    const CaseOptions options{.threads = threads};
    suite.add(
        "counter_bound" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                bound_counter.add(1);
                clobber();
            }
        },
        options);
    suite.add(
        "counter_unbound_3_attributes" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                counter.add(
                    1, {{"http.request.method", "GET"},
                        {"http.route", "/orders/{id}"},
                        {"http.response.status_code", 200}});
            }
        },
        options);
    suite.add(
        "histogram_bound" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) { bound_histogram.record(value(i)); }
        },
        options);
    suite.add(
        "histogram_unbound_3_attributes" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                histogram.record(
                    value(i), {{"http.request.method", "GET"},
                               {"http.route", "/orders/{id}"},
                               {"http.response.status_code", 200}});
            }
        },
        options);
}

// 10 instruments of 1000 series each, and a reader.
template <class Instrument, class Record>
class Many {
public:
    Many(const std::string& name, Record record)
        : provider_(weft::detail::make_meter_provider({})), reader_(provider_, {}) {
        for (std::size_t i = 0; i < names_.size(); ++i) {
            names_[i] = name + std::to_string(i);
            const Instrument instrument(Meter("bench").bound_to(&provider_), names_[i]);
            for (int id = 0; id < 1000; ++id) { record(instrument, id); }
        }
    }
    void collect(MetricVisitor& visitor) { reader_.collect_now(visitor); }

private:
    weft::detail::MeterProvider& provider_;
    MetricReader reader_;
    std::array<std::string, 10> names_;
};

auto& counters() {
    static Many<Counter<>, void (*)(const Counter<>&, int)> many(
        "many.counter.", [](const Counter<>& counter, int id) {
            counter.add(1, {{"id", id}});
        });
    return many;
}

auto& histograms() {
    static Many<Histogram<>, void (*)(const Histogram<>&, int)> many(
        "many.histogram.", [](const Histogram<>& histogram, int id) {
            histogram.record(id, {{"id", id}});
        });
    return many;
}

void collect_as_otlp(std::uint64_t iterations) {
    static RecordQueue ring(16u << 20, 1);
    static MetricQueue queue(ring, 1u << 20);
    static MetricEncoder encoder(queue, 4096);
    for (std::uint64_t i = 0; i < iterations; ++i) {
        counters().collect(encoder);
        ring.consume([](std::span<const std::byte> record) { return keep(record.data()), true; });
    }
}

template <class Series>
void collect_as_text(Series& series, std::uint64_t iterations) {
    static PrometheusText text({}, {}, {});
    for (std::uint64_t i = 0; i < iterations; ++i) {
        text.start();
        series.collect(text);
        keep(text.finish().data());
    }
}

} // namespace

void add_metric_cases(Suite& suite) {
    add_recording_cases(suite, "", 1);
    add_recording_cases(suite, "_2_threads", 2);
    suite.add("collect_10k_counters", "ms", collect_as_otlp);
    suite.add("prometheus_text_10k_counters", "ms", [](std::uint64_t iterations) {
        collect_as_text(counters(), iterations);
    });
    suite.add("prometheus_text_10k_histograms", "ms", [](std::uint64_t iterations) {
        collect_as_text(histograms(), iterations);
    });
}

} // namespace weft::bench
