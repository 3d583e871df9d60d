#pragma once
// Streams and points by hand, for tests of what is made of them.

#include <weft/exporters/prometheus_text.hpp>
#include <weft/signals/metric_points.hpp>
#include <weft/signals/resource.hpp>
#include <weft/signals/scope.hpp>

#include <initializer_list>
#include <string>
#include <vector>

namespace weft::testing {

/// KeyValue fields, keys sorted. Readers of points do not look at their tags.
inline std::string encoded_attributes(std::initializer_list<Attribute> attributes) {
    Resource set;
    for (const auto& attribute : attributes) { set.set(attribute.key, attribute.value); }
    return set.encoded();
}

inline MetricSeries series(std::initializer_list<Attribute> attributes = {}) {
    MetricSeries made;
    made.attributes = encoded_attributes(attributes);
    return made;
}

inline std::uint16_t scope(std::string_view name = "lib", std::string_view version = "1.2") {
    return detail::register_scope({.name = name, .version = version});
}

inline MetricStream counter(std::string_view name, std::string_view unit = "") {
    MetricStream stream;
    stream.scope = scope();
    stream.name = name;
    stream.unit = unit;
    stream.description = "What it counts";
    stream.is_monotonic = true;
    return stream;
}

inline MetricStream gauge(std::string_view name, std::string_view unit = "") {
    MetricStream stream = counter(name, unit);
    stream.kind = MetricKind::gauge;
    stream.is_monotonic = false;
    return stream;
}

inline MetricStream histogram(
    std::string_view name, std::span<const double> boundaries, std::string_view unit = "") {
    MetricStream stream = counter(name, unit);
    stream.kind = MetricKind::histogram;
    stream.is_monotonic = false;
    stream.boundaries = boundaries;
    return stream;
}

inline constexpr std::int64_t second_ns = 1'000'000'000;
inline constexpr MetricPointTimes times{
    1700000000 * second_ns + 500'000'000, 1700000060 * second_ns};

/// One stream of numbers, from begin to end.
template <class Value>
void put_numbers(
    MetricVisitor& visitor, const MetricStream& stream,
    std::initializer_list<std::pair<const MetricSeries*, Value>> points) {
    visitor.begin(stream);
    for (const auto& [of, value] : points) {
        visitor.number({.series = *of, .times = times, .value = MetricNumber::of(value)});
    }
    visitor.end();
}

inline MetricExemplar exemplar(double value, std::int64_t time_s, std::string_view filtered = {}) {
    MetricExemplar made;
    made.value = MetricNumber::of(value);
    made.time_unix_ns = time_s * second_ns;
    made.trace_id = *TraceId::from_hex("0af7651916cd43dd8448eb211c80319c");
    made.span_id = *SpanId::from_hex("b7ad6b7169203331");
    made.filtered_attributes = filtered;
    return made;
}

inline ExponentialHistogramPoint exponential_point(const MetricSeries& of) {
    return {.series = of, .times = times, .positive = {}, .negative = {}};
}

inline constexpr PrometheusProtocol text_protocol{};
inline constexpr PrometheusProtocol open_metrics_protocol{
    PrometheusFormat::open_metrics_1_0_0, PrometheusEscaping::underscores};

/// Options without what would stand in every line of a test.
inline PrometheusTextOptions bare_options() {
    PrometheusTextOptions options;
    options.scope_labels = false;
    options.target_info = false;
    options.created = false;
    return options;
}

} // namespace weft::testing
