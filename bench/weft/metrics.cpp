// Question: what does a measurement cost, and a collection of many series? Goal: the caller's nanoseconds, bound and with
// three attributes, alone and with another thread on the same series; milliseconds for 10 000 series, as an OTLP request or
// as Prometheus's text. Non-goal: sockets. Floors: adding to words that nobody else writes, the bucket known beforehand;
// reading 10 000 counts and copying as many bytes as the result has.
#include "cases.hpp"

#include <weft/exporters/batch_builder.hpp>
#include <weft/exporters/metric_encoder.hpp>
#include <weft/exporters/prometheus_text.hpp>
#include <weft/signals/counter.hpp>
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/signals/metric_reader.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace weft::bench {
namespace {

weft::detail::MeterProvider& provider() {
    static auto& instance = weft::detail::make_meter_provider({});
    return instance;
}

Meter meter() { return Meter("bench").bound_to(&provider()); }

using Word = std::atomic<std::uint64_t>;

void add(Word& word, std::uint64_t value) noexcept {
    // relaxed: a word of this thread's own, that others may read at any time.
    word.store(word.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

void add_to_own_word(std::uint64_t iterations) {
    static thread_local Word count{0};
    for (std::uint64_t i = 0; i < iterations; ++i) {
        add(count, 1);
        clobber();
    }
}

void add_to_own_bucket(std::uint64_t iterations) {
    struct Cell {
        Word sum{0};
        Word buckets[std::size(shape::boundaries) + 1]{};
    };
    static thread_local Cell cell;
    static const auto bucket_of = [] {
        std::array<std::uint8_t, 10'000> table{};
        for (std::size_t value = 0; value < table.size(); ++value) {
            table[value] = static_cast<std::uint8_t>(
                std::lower_bound(
                    std::begin(shape::boundaries), std::end(shape::boundaries),
                    static_cast<double>(value)) -
                std::begin(shape::boundaries));
        }
        return table;
    }();
    for (std::uint64_t i = 0; i < iterations; ++i) {
        const double value = shape::measured(i);
        add(cell.buckets[bucket_of[static_cast<std::size_t>(value)]], 1);
        const double sum =
            std::bit_cast<double>(cell.sum.load(std::memory_order_relaxed)); // As above.
        cell.sum.store(
            std::bit_cast<std::uint64_t>(sum + value), std::memory_order_relaxed); // As above.
    }
}

void add_recording_cases(Suite& suite, const std::string& suffix, int threads) {
    static const Counter<> counter(meter(), "bench.counter");
    static const Histogram<> histogram(meter(), "bench.histogram");
    static const auto bound_counter = counter.bind({{"region", "eu"}});
    static const auto bound_histogram = histogram.bind({{"region", "eu"}});
    const CaseOptions options{.threads = threads};
    const CaseOptions floor{.threads = threads, .library = "floor"};
    suite.add("counter_bound" + suffix, "ns", add_to_own_word, floor);
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
                    1, {{shape::method_key, shape::method},
                        {shape::route_key, shape::route},
                        {shape::status_key, shape::status}});
            }
        },
        options);
    suite.add("histogram_bound" + suffix, "ns", add_to_own_bucket, floor);
    suite.add(
        "histogram_bound" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                bound_histogram.record(shape::measured(i));
            }
        },
        options);
    suite.add(
        "histogram_unbound_3_attributes" + suffix, "ns",
        [](std::uint64_t iterations) {
            for (std::uint64_t i = 0; i < iterations; ++i) {
                histogram.record(
                    shape::measured(i), {{shape::method_key, shape::method},
                                         {shape::route_key, shape::route},
                                         {shape::status_key, shape::status}});
            }
        },
        options);
}

// 10 000 series and a reader.
template <class Instrument, class Record>
class Many {
public:
    Many(const std::string& name, Record record)
        : provider_(weft::detail::make_meter_provider({})), reader_(provider_, {}) {
        for (std::size_t i = 0; i < names_.size(); ++i) {
            names_[i] = name + std::to_string(i);
            const Instrument instrument(Meter("bench").bound_to(&provider_), names_[i]);
            for (int id = 0; id < shape::series_each; ++id) { record(instrument, id); }
        }
    }
    void collect(MetricVisitor& visitor) { reader_.collect_now(visitor); }

private:
    weft::detail::MeterProvider& provider_;
    MetricReader reader_;
    std::array<std::string, shape::instruments> names_;
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

// What is posted to a collector, for as many points as one collection has.
std::shared_ptr<const Batch> request_of_counters() {
    static RecordQueue ring(16u << 20, 1);
    static MetricQueue queue(ring, 1u << 20);
    static MetricEncoder encoder(queue, 4096);
    static BatchBuilder builder(
        Signal::metrics, {.message = std::string(300, 'r'), .schema_url = {}});
    counters().collect(encoder);
    ring.consume([](std::span<const std::byte> record) {
        RecordHeader header;
        std::memcpy(&header, record.data(), sizeof header);
        builder.add({header, record.subspan(sizeof header)});
        return true;
    });
    return builder.finish();
}

void collect_as_otlp(std::uint64_t iterations) {
    for (std::uint64_t i = 0; i < iterations; ++i) {
        const auto request = request_of_counters();
        if (request->records != shape::series) { throw std::logic_error("series are missing"); }
    }
}

template <class Series>
std::string_view text_of(Series& series) {
    static PrometheusText text({}, {}, {});
    text.start();
    series.collect(text);
    return text.finish();
}

template <class Series>
void collect_as_text(Series& series, std::uint64_t iterations) {
    for (std::uint64_t i = 0; i < iterations; ++i) { keep(text_of(series).data()); }
}

// What no collection can do without.
void read_and_copy(std::string_view result, std::uint64_t iterations) {
    static std::vector<Word> counts(shape::series);
    static std::string copy;
    copy.resize(result.size());
    for (std::uint64_t i = 0; i < iterations; ++i) {
        std::uint64_t sum = 0;
        for (const Word& count : counts) {
            sum += count.load(std::memory_order_relaxed); // As above.
        }
        keep(sum);
        std::memcpy(copy.data(), result.data(), result.size());
        clobber();
    }
}

const std::string& finished_request() {
    static const auto request = request_of_counters();
    return request->body;
}

const std::string& finished_text() {
    static const std::string text(text_of(counters()));
    return text;
}

// `before` in each of these: series are made, and their attributes are put into text, before anything is timed.
void add_collecting_cases(Suite& suite) {
    suite.add("collect_10k_counters", "ms", collect_as_otlp, {.before = [] {
                  keep(finished_request());
              }});
    suite.add(
        "collect_10k_counters", "ms",
        [](std::uint64_t iterations) { read_and_copy(finished_request(), iterations); },
        {.before = [] { read_and_copy(finished_request(), 1); }, .library = "floor"});
    suite.add(
        "prometheus_text_10k_counters", "ms",
        [](std::uint64_t iterations) { collect_as_text(counters(), iterations); },
        {.before = [] { keep(finished_text()); }});
    suite.add(
        "prometheus_text_10k_counters", "ms",
        [](std::uint64_t iterations) { read_and_copy(finished_text(), iterations); },
        {.before = [] { read_and_copy(finished_text(), 1); }, .library = "floor"});
    suite.add(
        "prometheus_text_10k_histograms", "ms",
        [](std::uint64_t iterations) { collect_as_text(histograms(), iterations); },
        {.before = [] { collect_as_text(histograms(), 1); }});
}

} // namespace

void add_metric_cases(Suite& suite) {
    add_recording_cases(suite, "", 1);
    add_recording_cases(suite, "_2_threads", 2);
    add_collecting_cases(suite);
}

} // namespace weft::bench
