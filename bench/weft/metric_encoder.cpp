// Question: what does a metric point cost between the collection and the ring? Goal: counters of one stream with three
// attributes each, in records of 512 points. The floor is the copy of as many bytes.
#include "cases.hpp"

#include <weft/exporters/metric_encoder.hpp>

#include <cstring>
#include <string>
#include <vector>

namespace weft::bench {
namespace {

// Three KeyValue fields of a number's attributes, about as long as those of a request counter.
std::string three_attributes() {
    std::string out;
    for (const std::string_view text : {"GET", "/orders/{id}", "200"}) {
        const std::string key = "http.some.attribute";
        const std::string value =
            std::string("\x0a", 1) + static_cast<char>(text.size()) + std::string(text);
        const std::string pair = std::string("\x0a", 1) + static_cast<char>(key.size()) + key +
                                 "\x12" + static_cast<char>(value.size()) + value;
        out += std::string("\x3a", 1) + static_cast<char>(pair.size()) + pair;
    }
    return out;
}

void encode_counters(std::uint64_t iterations) {
    static RecordQueue ring(8u << 20, 1);
    static MetricQueue queue(ring, 1u << 20);
    static MetricEncoder encoder(queue, 512);
    static const std::vector<MetricSeries> series(10'000, MetricSeries{three_attributes(), {}});
    static const MetricStream stream{
        .scope = 0,
        .name = "http.server.requests",
        .description = "Requests that were answered.",
        .unit = "{request}",
        .is_monotonic = true};
    for (std::uint64_t i = 0; i < iterations;) {
        encoder.begin(stream);
        for (std::size_t j = 0; j < series.size() && i < iterations; ++j, ++i) {
            encoder.number({series[j], {1, 2}, MetricNumber::of(static_cast<std::int64_t>(i)), {}});
        }
        encoder.end();
        ring.consume([](std::span<const std::byte> record) { return keep(record.data()), true; });
    }
}

void copy_as_many_bytes(std::uint64_t iterations) {
    static const std::vector<std::string> points(10'000, std::string(30, 'p') + three_attributes());
    static std::vector<char> out(1u << 20);
    std::size_t at = 0;
    for (std::uint64_t i = 0; i < iterations; ++i) {
        const auto& point = points[i % points.size()];
        if (at + point.size() > out.size()) { at = 0; }
        std::memcpy(out.data() + at, point.data(), point.size());
        at += point.size();
        clobber();
    }
}

} // namespace

void add_metric_encoder_cases(Suite& suite) {
    suite.add("encode_counter_point_3_attributes", "ns", encode_counters);
    CaseOptions floor;
    floor.library = "floor";
    suite.add("encode_counter_point_3_attributes", "ns", copy_as_many_bytes, floor);
}

} // namespace weft::bench
