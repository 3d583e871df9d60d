#pragma once
// Random streams of metric points, how a collection hands them out, and the same as Protobuf messages.

#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/signals/metric_points.hpp>
#include <weft/testing/random.hpp>

#include <gtest/gtest.h>

#ifdef WEFT_HAVE_OTLP_ORACLE
#include <opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace weft::testing {

// The classes that read what the encoder wrote: our schema's, and the official ones where they are installed.
struct OurMetrics {
    using Request = otlp::collector::metrics::v1::ExportMetricsServiceRequest;
    using ScopeMetrics = otlp::metrics::v1::ScopeMetrics;
    using Metric = otlp::metrics::v1::Metric;
    using NumberDataPoint = otlp::metrics::v1::NumberDataPoint;
    using HistogramDataPoint = otlp::metrics::v1::HistogramDataPoint;
    using ExponentialHistogramDataPoint = otlp::metrics::v1::ExponentialHistogramDataPoint;
    using Exemplar = otlp::metrics::v1::Exemplar;
    using Temporality = otlp::metrics::v1::AggregationTemporality;
};
#ifdef WEFT_HAVE_OTLP_ORACLE
struct OfficialMetrics {
    using Request = opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest;
    using ScopeMetrics = opentelemetry::proto::metrics::v1::ScopeMetrics;
    using Metric = opentelemetry::proto::metrics::v1::Metric;
    using NumberDataPoint = opentelemetry::proto::metrics::v1::NumberDataPoint;
    using HistogramDataPoint = opentelemetry::proto::metrics::v1::HistogramDataPoint;
    using ExponentialHistogramDataPoint =
        opentelemetry::proto::metrics::v1::ExponentialHistogramDataPoint;
    using Exemplar = opentelemetry::proto::metrics::v1::Exemplar;
    using Temporality = opentelemetry::proto::metrics::v1::AggregationTemporality;
};
#endif

/// One point of any kind; a visitor is given the part that its kind has.
struct ModelPoint {
    MetricSeries series{};
    MetricPointTimes times{};
    MetricNumber value{};
    std::uint64_t count = 0;
    double sum = 0;
    bool has_sum = true;
    bool has_min_max = false;
    double min = 0;
    double max = 0;
    std::vector<std::uint64_t> buckets{};
    std::int32_t scale = 0;
    std::uint64_t zero_count = 0;
    double zero_threshold = 0;
    std::int32_t positive_offset = 0;
    std::int32_t negative_offset = 0;
    std::vector<std::uint64_t> positive{};
    std::vector<std::uint64_t> negative{};
    std::vector<MetricExemplar> exemplars{};
    std::vector<std::shared_ptr<const std::string>>
        filtered{}; // What the exemplars' views point at.
};

struct ModelStream {
    std::uint16_t scope = 0;
    std::string name{};
    std::string description{};
    std::string unit{};
    MetricKind kind = MetricKind::sum;
    Temporality temporality = Temporality::cumulative;
    bool is_monotonic = false;
    std::vector<double> boundaries{};
    std::deque<ModelPoint> points{};

    [[nodiscard]] MetricStream view() const {
        return {scope, name, description, unit, kind, temporality, is_monotonic, boundaries};
    }
};

/// What a collection does with a stream.
inline void visit(MetricVisitor& visitor, const ModelStream& stream) {
    visitor.begin(stream.view());
    for (const auto& p : stream.points) {
        switch (stream.kind) {
        case MetricKind::sum:
        case MetricKind::gauge:
            visitor.number({p.series, p.times, p.value, p.exemplars});
            break;
        case MetricKind::histogram:
            visitor.histogram(
                {p.series, p.times, p.count, p.sum, p.has_sum, p.has_min_max, p.min, p.max,
                 p.buckets, p.exemplars});
            break;
        case MetricKind::exponential_histogram:
            visitor.exponential_histogram(
                {p.series,
                 p.times,
                 p.count,
                 p.sum,
                 p.has_sum,
                 p.has_min_max,
                 p.min,
                 p.max,
                 p.scale,
                 p.zero_count,
                 p.zero_threshold,
                 {p.positive_offset, p.positive},
                 {p.negative_offset, p.negative},
                 p.exemplars});
            break;
        }
    }
    visitor.end();
}

/// Makes points with a taste for the ends of every range.
class RandomMetrics {
public:
    explicit RandomMetrics(Random& random) : random_(random) {}

    [[nodiscard]] ModelStream stream(std::size_t points) {
        ModelStream stream;
        stream.scope = static_cast<std::uint16_t>(random_.below(3));
        stream.name = text(40);
        stream.description = random_.one_in(2) ? text(300) : "";
        stream.unit = random_.one_in(2) ? text(8) : "";
        stream.kind = static_cast<MetricKind>(random_.below(4));
        stream.temporality = random_.one_in(2) ? Temporality::delta : Temporality::cumulative;
        stream.is_monotonic = random_.one_in(2);
        for (auto n = random_.below(20); n > 0; --n) { stream.boundaries.push_back(real()); }
        for (std::size_t i = 0; i < points; ++i) { add_point(stream); }
        return stream;
    }

    void add_point(ModelStream& stream) {
        auto& p = stream.points.emplace_back();
        p.series.attributes = attributes(stream.kind);
        p.times = {random_.one_in(10) ? 0 : integer(), random_.one_in(10) ? 0 : integer()};
        p.value = number();
        p.count = random_.one_in(5) ? 0 : random_.word();
        p.sum = real();
        p.has_sum = !random_.one_in(4);
        p.has_min_max = random_.one_in(2);
        p.min = real();
        p.max = real();
        if (!stream.boundaries.empty() || random_.one_in(2)) {
            p.buckets = counts(stream.boundaries.size() + 1);
        }
        p.scale = static_cast<std::int32_t>(random_.below(31)) - 10;
        p.zero_count = random_.one_in(2) ? 0 : random_.word();
        p.zero_threshold = random_.one_in(2) ? 0 : real();
        p.positive_offset = offset();
        p.negative_offset = offset();
        p.positive = counts(random_.one_in(3) ? 0 : random_.below(170));
        p.negative = counts(random_.one_in(3) ? 0 : random_.below(170));
        for (auto n = random_.one_in(2) ? 0 : random_.below(5); n > 0; --n) {
            auto& exemplar = p.exemplars.emplace_back();
            exemplar.value = number();
            exemplar.time_unix_ns = random_.one_in(5) ? 0 : integer();
            if (random_.one_in(2)) {
                for (auto& byte : exemplar.trace_id.bytes) { byte = byte_above_zero(); }
                for (auto& byte : exemplar.span_id.bytes) { byte = byte_above_zero(); }
            }
            // The tag of Exemplar.filtered_attributes is that of a number's attributes.
            exemplar.filtered_attributes = *p.filtered.emplace_back(
                std::make_shared<const std::string>(attributes(MetricKind::sum)));
        }
    }

    [[nodiscard]] MetricNumber number() {
        return random_.one_in(2) ? MetricNumber::of(integer()) : MetricNumber::of(real());
    }

private:
    [[nodiscard]] std::int64_t integer() {
        static constexpr std::int64_t edges[] = {
            0,
            1,
            -1,
            127,
            128,
            std::numeric_limits<std::int64_t>::min(),
            std::numeric_limits<std::int64_t>::max()};
        return random_.one_in(2) ? random_.pick(edges) : static_cast<std::int64_t>(random_.word());
    }
    [[nodiscard]] double real() {
        static constexpr double edges[] = {
            0.0,
            -0.0,
            0.1,
            1e308,
            5e-324,
            std::numeric_limits<double>::infinity(),
            -std::numeric_limits<double>::infinity(),
            std::numeric_limits<double>::quiet_NaN()};
        return random_.one_in(2) ? random_.pick(edges)
                                 : std::ldexp(static_cast<double>(integer()), -20);
    }
    [[nodiscard]] std::int32_t offset() {
        static constexpr std::int32_t edges[] = {
            0, 1, -1, std::numeric_limits<std::int32_t>::min(),
            std::numeric_limits<std::int32_t>::max()};
        return random_.one_in(2) ? random_.pick(edges)
                                 : static_cast<std::int32_t>(random_.below(2000)) - 1000;
    }
    [[nodiscard]] std::uint8_t byte_above_zero() {
        return static_cast<std::uint8_t>(random_.between(1, 255));
    }
    [[nodiscard]] std::vector<std::uint64_t> counts(std::size_t size) {
        std::vector<std::uint64_t> counts(size);
        for (auto& count : counts) {
            count = random_.one_in(2) ? random_.below(200) : random_.word() >> random_.below(64);
        }
        return counts;
    }
    [[nodiscard]] std::string text(std::size_t max) {
        static constexpr const char* pieces[] = {"a", "requests", ".", "é", "日本", "😀", "\x01"};
        std::string out;
        for (auto n = random_.between(1, max / 4 + 1); n > 0; --n) { out += random_.pick(pieces); }
        return out;
    }
    [[nodiscard]] std::string attributes(MetricKind kind) {
        OurMetrics::NumberDataPoint point; // Tag 7.
        OurMetrics::HistogramDataPoint histogram;
        OurMetrics::ExponentialHistogramDataPoint exponential;
        for (auto n = random_.one_in(4) ? 0 : random_.below(6); n > 0; --n) {
            auto& attribute = kind == MetricKind::histogram ? *histogram.add_attributes()
                              : kind == MetricKind::exponential_histogram
                                  ? *exponential.add_attributes()
                                  : *point.add_attributes();
            attribute.set_key(text(20));
            if (random_.one_in(2)) {
                attribute.mutable_value()->set_string_value(text(random_.one_in(9) ? 400 : 30));
            } else {
                attribute.mutable_value()->set_int_value(integer());
            }
        }
        return point.SerializeAsString() + histogram.SerializeAsString() +
               exponential.SerializeAsString();
    }

    Random& random_;
};

/// The stream with some of its points as the schema has it.
template <class Schema>
[[nodiscard]] typename Schema::Metric expected(
    const ModelStream& stream, std::size_t first = 0, std::size_t last = SIZE_MAX) {
    typename Schema::Metric metric;
    metric.set_name(stream.name);
    metric.set_description(stream.description);
    metric.set_unit(stream.unit);
    const auto temporality = static_cast<typename Schema::Temporality>(stream.temporality);
    const auto fill_exemplar = [](auto& to, const MetricExemplar& from) {
        typename Schema::Exemplar attributes;
        EXPECT_TRUE(attributes.ParseFromString(std::string(from.filtered_attributes)));
        to = attributes;
        to.set_time_unix_nano(static_cast<std::uint64_t>(from.time_unix_ns));
        from.value.is_integer ? to.set_as_int(from.value.integer)
                              : to.set_as_double(from.value.floating);
        if (from.trace_id) {
            to.set_trace_id(from.trace_id.bytes.data(), 16);
            to.set_span_id(from.span_id.bytes.data(), 8);
        }
    };
    const auto fill = [&](auto& to, const ModelPoint& from) {
        EXPECT_TRUE(to.ParseFromString(from.series.attributes));
        to.set_start_time_unix_nano(static_cast<std::uint64_t>(from.times.start_unix_ns));
        to.set_time_unix_nano(static_cast<std::uint64_t>(from.times.time_unix_ns));
        for (const auto& exemplar : from.exemplars) {
            fill_exemplar(*to.add_exemplars(), exemplar);
        }
    };
    const auto fill_number = [&](auto& to, const ModelPoint& from) {
        fill(to, from);
        from.value.is_integer ? to.set_as_int(from.value.integer)
                              : to.set_as_double(from.value.floating);
    };
    const auto fill_summary = [&](auto& to, const ModelPoint& from) {
        fill(to, from);
        to.set_count(from.count);
        if (from.has_sum) { to.set_sum(from.sum); }
        if (from.has_min_max) {
            to.set_min(from.min);
            to.set_max(from.max);
        }
    };
    switch (stream.kind) {
    case MetricKind::sum:
        metric.mutable_sum()->set_aggregation_temporality(temporality);
        metric.mutable_sum()->set_is_monotonic(stream.is_monotonic);
        break;
    case MetricKind::gauge:
        (void)metric.mutable_gauge();
        break;
    case MetricKind::histogram:
        metric.mutable_histogram()->set_aggregation_temporality(temporality);
        break;
    case MetricKind::exponential_histogram:
        metric.mutable_exponential_histogram()->set_aggregation_temporality(temporality);
        break;
    }
    for (std::size_t i = first; i < std::min(last, stream.points.size()); ++i) {
        const auto& p = stream.points[i];
        switch (stream.kind) {
        case MetricKind::sum:
            fill_number(*metric.mutable_sum()->add_data_points(), p);
            break;
        case MetricKind::gauge:
            fill_number(*metric.mutable_gauge()->add_data_points(), p);
            break;
        case MetricKind::histogram: {
            auto& to = *metric.mutable_histogram()->add_data_points();
            fill_summary(to, p);
            to.mutable_bucket_counts()->Add(p.buckets.begin(), p.buckets.end());
            to.mutable_explicit_bounds()->Add(stream.boundaries.begin(), stream.boundaries.end());
            break;
        }
        case MetricKind::exponential_histogram: {
            auto& to = *metric.mutable_exponential_histogram()->add_data_points();
            fill_summary(to, p);
            to.set_scale(p.scale);
            to.set_zero_count(p.zero_count);
            to.set_zero_threshold(p.zero_threshold);
            const auto fill_buckets = [](auto* buckets, std::int32_t offset, const auto& counts) {
                buckets->set_offset(offset);
                buckets->mutable_bucket_counts()->Add(counts.begin(), counts.end());
            };
            if (!p.positive.empty()) {
                fill_buckets(to.mutable_positive(), p.positive_offset, p.positive);
            }
            if (!p.negative.empty()) {
                fill_buckets(to.mutable_negative(), p.negative_offset, p.negative);
            }
            break;
        }
        }
    }
    return metric;
}

template <class Metric>
[[nodiscard]] std::size_t points_in(const Metric& metric) {
    const auto count = metric.sum().data_points_size() + metric.gauge().data_points_size() +
                       metric.histogram().data_points_size() +
                       metric.exponential_histogram().data_points_size();
    return static_cast<std::size_t>(count);
}

} // namespace weft::testing
