#include "checks.hpp"

#include <weft/otlp/logs/v1/logs.pb.h>
#include <weft/otlp/metrics/v1/metrics.pb.h>
#include <weft/otlp/trace/v1/trace.pb.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

namespace weft::viewer {
namespace {

namespace metrics = otlp::metrics::v1;
using Attributes = google::protobuf::RepeatedPtrField<otlp::common::v1::KeyValue>;

constexpr std::size_t trace_id_bytes = 16;
constexpr std::size_t span_id_bytes = 8;

constexpr std::array<std::string_view, problem_count> names{
    "span_ids_invalid",           "point_without_time",
    "parent_span_id_invalid",     "span_is_its_own_parent",
    "span_ends_before_it_starts", "span_without_name",
    "span_kind_unknown",          "span_status_unknown",
    "link_ids_invalid",           "attribute_key_empty",
    "attribute_key_twice",        "metric_without_name",
    "metric_without_data",        "metric_temporality_unknown",
    "point_without_value",        "point_ends_before_it_starts",
    "histogram_bounds_invalid",   "histogram_counts_disagree",
    "exemplar_ids_invalid",       "log_record_without_time",
    "log_severity_unknown",       "log_ids_invalid",
};

bool is_id(const std::string& bytes, std::size_t size) {
    return bytes.size() == size &&
           std::any_of(bytes.begin(), bytes.end(), [](char c) { return c != 0; });
}

bool is_empty_or_id(const std::string& bytes, std::size_t size) {
    return bytes.empty() || is_id(bytes, size);
}

void check_attributes(const Attributes& attributes, Problems& problems) {
    std::vector<std::string_view> keys;
    keys.reserve(static_cast<std::size_t>(attributes.size()));
    for (const auto& attribute : attributes) { keys.push_back(attribute.key()); }
    std::sort(keys.begin(), keys.end());
    if (!keys.empty() && keys.front().empty()) { problems.add(Problem::attribute_key_empty); }
    if (std::adjacent_find(keys.begin(), keys.end()) != keys.end()) {
        problems.add(Problem::attribute_key_twice);
    }
}

void check_exemplars(
    const google::protobuf::RepeatedPtrField<metrics::Exemplar>& exemplars, Problems& problems) {
    for (const auto& exemplar : exemplars) {
        if (!is_empty_or_id(exemplar.trace_id(), trace_id_bytes) ||
            !is_empty_or_id(exemplar.span_id(), span_id_bytes)) {
            problems.add(Problem::exemplar_ids_invalid);
        }
        check_attributes(exemplar.filtered_attributes(), problems);
    }
}

// What every kind of point has in common. False when the point cannot be kept.
template <class Point>
bool check_point(const Point& point, Problems& problems) {
    check_attributes(point.attributes(), problems);
    if (point.time_unix_nano() == 0) {
        problems.add(Problem::point_without_time);
        return false;
    }
    if (point.start_time_unix_nano() > point.time_unix_nano()) {
        problems.add(Problem::point_ends_before_it_starts);
    }
    return true;
}

bool has_no_recorded_value(std::uint32_t flags) {
    return (flags & metrics::DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK) != 0;
}

template <class Counts>
std::uint64_t sum(const Counts& counts) {
    std::uint64_t total = 0; // Wraps on nonsense, which then disagrees with the count: good enough.
    for (const std::uint64_t count : counts) { total += count; }
    return total;
}

bool check_one(const metrics::NumberDataPoint& point, Problems& problems) {
    if (point.value_case() == metrics::NumberDataPoint::VALUE_NOT_SET &&
        !has_no_recorded_value(point.flags())) {
        problems.add(Problem::point_without_value);
    }
    check_exemplars(point.exemplars(), problems);
    return check_point(point, problems);
}

bool check_one(const metrics::HistogramDataPoint& point, Problems& problems) {
    const auto& bounds = point.explicit_bounds();
    const bool increasing =
        std::adjacent_find(bounds.begin(), bounds.end(), [](double a, double b) {
            return !(a < b);
        }) == bounds.end();
    const bool empty = bounds.empty() && point.bucket_counts().empty();
    if (!increasing || (!empty && point.bucket_counts_size() != bounds.size() + 1)) {
        problems.add(Problem::histogram_bounds_invalid);
    } else if (!empty && sum(point.bucket_counts()) != point.count()) {
        problems.add(Problem::histogram_counts_disagree);
    }
    check_exemplars(point.exemplars(), problems);
    return check_point(point, problems);
}

bool check_one(const metrics::ExponentialHistogramDataPoint& point, Problems& problems) {
    if (point.zero_count() + sum(point.positive().bucket_counts()) +
            sum(point.negative().bucket_counts()) !=
        point.count()) {
        problems.add(Problem::histogram_counts_disagree);
    }
    check_exemplars(point.exemplars(), problems);
    return check_point(point, problems);
}

bool check_one(const metrics::SummaryDataPoint& point, Problems& problems) {
    return check_point(point, problems);
}

template <class Data>
PointCounts check_points(const Data& data, Problems& problems) {
    if constexpr (requires { data.aggregation_temporality(); }) {
        const auto temporality = data.aggregation_temporality();
        if (temporality != metrics::AGGREGATION_TEMPORALITY_DELTA &&
            temporality != metrics::AGGREGATION_TEMPORALITY_CUMULATIVE) {
            problems.add(Problem::metric_temporality_unknown);
        }
    }
    PointCounts counts;
    for (const auto& point : data.data_points()) {
        ++(check_one(point, problems) ? counts.accepted : counts.refused);
    }
    return counts;
}

} // namespace

std::string_view name(Problem problem) noexcept { return names[static_cast<std::size_t>(problem)]; }

std::string Problems::text() const {
    std::string out;
    for (std::size_t i = 0; i < problem_count; ++i) {
        if (counts_[i] == 0) { continue; }
        fmt::format_to(
            std::back_inserter(out), "{}{} {}", out.empty() ? "" : ", ", counts_[i], names[i]);
    }
    return out;
}

std::string Problems::json() const {
    std::string out = "{";
    for (std::size_t i = 0; i < problem_count; ++i) {
        if (counts_[i] == 0) { continue; }
        fmt::format_to(
            std::back_inserter(out), "{}\"{}\":{}", out.size() == 1 ? "" : ",", names[i],
            counts_[i]);
    }
    return out + "}";
}

bool check(const otlp::trace::v1::Span& span, Problems& problems) {
    if (!is_id(span.trace_id(), trace_id_bytes) || !is_id(span.span_id(), span_id_bytes)) {
        problems.add(Problem::span_ids_invalid);
        return false;
    }
    if (!is_empty_or_id(span.parent_span_id(), span_id_bytes)) {
        problems.add(Problem::parent_span_id_invalid);
    }
    if (span.parent_span_id() == span.span_id()) { problems.add(Problem::span_is_its_own_parent); }
    if (span.end_time_unix_nano() < span.start_time_unix_nano()) {
        problems.add(Problem::span_ends_before_it_starts);
    }
    if (span.name().empty()) { problems.add(Problem::span_without_name); }
    using otlp::trace::v1::Span_SpanKind_IsValid;
    if (span.kind() == otlp::trace::v1::Span::SPAN_KIND_UNSPECIFIED ||
        !Span_SpanKind_IsValid(span.kind())) {
        problems.add(Problem::span_kind_unknown);
    }
    if (!otlp::trace::v1::Status_StatusCode_IsValid(span.status().code())) {
        problems.add(Problem::span_status_unknown);
    }
    check_attributes(span.attributes(), problems);
    for (const auto& event : span.events()) { check_attributes(event.attributes(), problems); }
    for (const auto& link : span.links()) {
        if (!is_id(link.trace_id(), trace_id_bytes) || !is_id(link.span_id(), span_id_bytes)) {
            problems.add(Problem::link_ids_invalid);
        }
        check_attributes(link.attributes(), problems);
    }
    return true;
}

PointCounts check(const metrics::Metric& metric, Problems& problems) {
    if (metric.name().empty()) { problems.add(Problem::metric_without_name); }
    switch (metric.data_case()) {
    case metrics::Metric::kGauge:
        return check_points(metric.gauge(), problems);
    case metrics::Metric::kSum:
        return check_points(metric.sum(), problems);
    case metrics::Metric::kHistogram:
        return check_points(metric.histogram(), problems);
    case metrics::Metric::kExponentialHistogram:
        return check_points(metric.exponential_histogram(), problems);
    case metrics::Metric::kSummary:
        return check_points(metric.summary(), problems);
    case metrics::Metric::DATA_NOT_SET:
        break;
    }
    problems.add(Problem::metric_without_data);
    return {};
}

void check(const otlp::logs::v1::LogRecord& record, Problems& problems) {
    if (record.time_unix_nano() == 0 && record.observed_time_unix_nano() == 0) {
        problems.add(Problem::log_record_without_time);
    }
    if (!otlp::logs::v1::SeverityNumber_IsValid(record.severity_number())) {
        problems.add(Problem::log_severity_unknown);
    }
    const bool span_without_trace = !record.span_id().empty() && record.trace_id().empty();
    if (!is_empty_or_id(record.trace_id(), trace_id_bytes) ||
        !is_empty_or_id(record.span_id(), span_id_bytes) || span_without_trace) {
        problems.add(Problem::log_ids_invalid);
    }
    check_attributes(record.attributes(), problems);
}

} // namespace weft::viewer
