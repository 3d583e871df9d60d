#pragma once
// A request as the official OTLP classes read it, in plain texts and numbers.

#include <weft/signals/metric_points.hpp>

#include <gtest/gtest.h>
#include <opentelemetry/proto/collector/metrics/v1/metrics_service.pb.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace weft::testing {

/// A number of an instrument: equal if its type and its bits are.
struct OracleValue {
    bool is_integer = true;
    std::int64_t integer = 0;
    double floating = 0;
    [[nodiscard]] double as_double() const {
        return is_integer ? static_cast<double>(integer) : floating;
    }
    [[nodiscard]] std::string text() const {
        return is_integer ? "i" + std::to_string(integer)
                          : "d" + std::to_string(std::bit_cast<std::uint64_t>(floating)) + "=" +
                                std::to_string(floating);
    }
    friend bool operator==(const OracleValue& a, const OracleValue& b) {
        return a.text() == b.text();
    }
};

/// Values are texts that begin with their type.
using OracleAttributes = std::map<std::string, std::string>;

[[nodiscard]] inline std::string text_of(const OracleAttributes& attributes) {
    std::string text = "{";
    for (const auto& [key, value] : attributes) { text += key + "=" + value + ","; }
    return text + "}";
}

struct OracleExemplar {
    OracleValue value;
    std::int64_t time = 0;
    OracleAttributes filtered;
};

/// Of any kind; each fills what it has.
struct OraclePoint {
    OracleAttributes attributes;
    std::int64_t start = 0;
    std::int64_t time = 0;
    OracleValue value;
    std::uint64_t count = 0;
    std::optional<double> sum;
    std::optional<double> min;
    std::optional<double> max;
    std::vector<std::uint64_t> buckets;
    std::int32_t scale = 0;
    std::uint64_t zero_count = 0;
    std::map<std::int64_t, std::uint64_t> positive; // By index, without what is zero.
    std::map<std::int64_t, std::uint64_t> negative;
    std::size_t buckets_sent = 0; // Exponential: of the larger side, zeros included.
    std::vector<OracleExemplar> exemplars;
};

struct OracleMetric {
    std::string unit;
    MetricKind kind = MetricKind::sum;
    bool is_monotonic = false;
    bool is_delta = false;
    std::vector<double> boundaries;
    std::map<OracleAttributes, OraclePoint> points;
};

/// Scope's name, metric's name and description.
using OracleKey = std::tuple<std::string, std::string, std::string>;
using OracleMetrics = std::map<OracleKey, OracleMetric>;

/// Joins what was sent as several metrics of one identity. Fails the test where it contradicts itself.
class OracleDecoder {
public:
    [[nodiscard]] static OracleMetrics decode(const std::string& body) {
        opentelemetry::proto::collector::metrics::v1::ExportMetricsServiceRequest request;
        EXPECT_TRUE(request.ParseFromString(body));
        OracleMetrics metrics;
        for (const auto& resource : request.resource_metrics()) {
            for (const auto& scope : resource.scope_metrics()) {
                for (const auto& metric : scope.metrics()) {
                    add(metrics, scope.scope().name(), metric);
                }
            }
        }
        return metrics;
    }

private:
    using AnyValue = opentelemetry::proto::common::v1::AnyValue;
    using Metric = opentelemetry::proto::metrics::v1::Metric;

    static std::string text(const AnyValue& value) {
        switch (value.value_case()) {
        case AnyValue::kStringValue:
            return "s" + value.string_value();
        case AnyValue::kBoolValue:
            return value.bool_value() ? "b1" : "b0";
        case AnyValue::kIntValue:
            return OracleValue{true, value.int_value(), 0}.text();
        case AnyValue::kDoubleValue:
            return OracleValue{false, 0, value.double_value()}.text();
        case AnyValue::kArrayValue: {
            std::string all = "[";
            for (const auto& one : value.array_value().values()) { all += text(one) + ","; }
            return all + "]";
        }
        default:
            ADD_FAILURE() << "a value of another type: " << value.ShortDebugString();
            return "?";
        }
    }

    template <class Fields>
    static OracleAttributes attributes(const Fields& fields) {
        OracleAttributes all;
        std::string last;
        for (const auto& field : fields) {
            EXPECT_TRUE(all.empty() || last < field.key()) << "unsorted or doubled: " << last;
            last = field.key();
            all[field.key()] = text(field.value());
        }
        return all;
    }

    template <class From>
    static OracleValue number(const From& from) {
        EXPECT_NE(from.value_case(), From::VALUE_NOT_SET);
        return from.value_case() == From::kAsInt ? OracleValue{true, from.as_int(), 0}
                                                 : OracleValue{false, 0, from.as_double()};
    }

    template <class From>
    static OraclePoint common(const From& from) {
        OraclePoint point;
        point.attributes = attributes(from.attributes());
        point.start = static_cast<std::int64_t>(from.start_time_unix_nano());
        point.time = static_cast<std::int64_t>(from.time_unix_nano());
        for (const auto& exemplar : from.exemplars()) {
            EXPECT_EQ(exemplar.trace_id(), "") << "there was no span";
            point.exemplars.push_back(
                {number(exemplar), static_cast<std::int64_t>(exemplar.time_unix_nano()),
                 attributes(exemplar.filtered_attributes())});
        }
        return point;
    }

    template <class From>
    static OraclePoint summary(const From& from) {
        OraclePoint point = common(from);
        point.count = from.count();
        if (from.has_sum()) { point.sum = from.sum(); }
        if (from.has_min()) { point.min = from.min(); }
        if (from.has_max()) { point.max = from.max(); }
        return point;
    }

    template <class Buckets>
    static std::map<std::int64_t, std::uint64_t> side(const Buckets& buckets, OraclePoint& point) {
        std::map<std::int64_t, std::uint64_t> counts;
        std::int64_t index = buckets.offset();
        for (const auto count : buckets.bucket_counts()) {
            if (count != 0) { counts[index] = count; }
            ++index;
        }
        point.buckets_sent =
            std::max(point.buckets_sent, static_cast<std::size_t>(buckets.bucket_counts_size()));
        return counts;
    }

    static void add_point(OracleMetric& metric, OraclePoint point) {
        EXPECT_FALSE(metric.points.contains(point.attributes))
            << "two points of " << text_of(point.attributes);
        auto key = point.attributes;
        metric.points.emplace(std::move(key), std::move(point));
    }

    template <class T>
    static void same(bool is_new, T& known, T now, const char* what) {
        EXPECT_TRUE(is_new || known == now) << "parts of one metric differ in their " << what;
        known = std::move(now);
    }

    static bool is_delta(opentelemetry::proto::metrics::v1::AggregationTemporality temporality) {
        EXPECT_TRUE(temporality == 1 || temporality == 2) << temporality;
        return temporality == 1;
    }

    static void add(OracleMetrics& metrics, const std::string& scope, const Metric& from) {
        const auto [at, is_new] =
            metrics.try_emplace(OracleKey(scope, from.name(), from.description()));
        auto& metric = at->second;
        same(is_new, metric.unit, from.unit(), "unit");
        bool bounds_known = !is_new;
        switch (from.data_case()) {
        case Metric::kSum:
            same(is_new, metric.kind, MetricKind::sum, "kind");
            same(is_new, metric.is_monotonic, from.sum().is_monotonic(), "monotonicity");
            same(
                is_new, metric.is_delta, is_delta(from.sum().aggregation_temporality()),
                "temporality");
            for (const auto& one : from.sum().data_points()) {
                auto point = common(one);
                point.value = number(one);
                add_point(metric, std::move(point));
            }
            break;
        case Metric::kGauge:
            same(is_new, metric.kind, MetricKind::gauge, "kind");
            for (const auto& one : from.gauge().data_points()) {
                auto point = common(one);
                point.value = number(one);
                add_point(metric, std::move(point));
            }
            break;
        case Metric::kHistogram:
            same(is_new, metric.kind, MetricKind::histogram, "kind");
            same(
                is_new, metric.is_delta, is_delta(from.histogram().aggregation_temporality()),
                "temporality");
            for (const auto& one : from.histogram().data_points()) {
                auto point = summary(one);
                const auto& bounds = one.explicit_bounds();
                same(
                    !std::exchange(bounds_known, true), metric.boundaries,
                    std::vector<double>(bounds.begin(), bounds.end()), "boundaries");
                point.buckets.assign(one.bucket_counts().begin(), one.bucket_counts().end());
                add_point(metric, std::move(point));
            }
            break;
        case Metric::kExponentialHistogram:
            same(is_new, metric.kind, MetricKind::exponential_histogram, "kind");
            same(
                is_new, metric.is_delta,
                is_delta(from.exponential_histogram().aggregation_temporality()), "temporality");
            for (const auto& one : from.exponential_histogram().data_points()) {
                auto point = summary(one);
                EXPECT_EQ(one.zero_threshold(), 0);
                point.scale = one.scale();
                point.zero_count = one.zero_count();
                point.positive = side(one.positive(), point);
                point.negative = side(one.negative(), point);
                add_point(metric, std::move(point));
            }
            break;
        default:
            ADD_FAILURE() << "no data: " << from.ShortDebugString();
        }
    }
};

} // namespace weft::testing
