#pragma once
// What a collection hands out: streams, and their points one after the other. Nothing here owns anything: all views
// last for the call that they are given to. An encoder (OTLP, Prometheus) derives from MetricVisitor.

#include <weft/runtime/ids.hpp>
#include <weft/signals/temporality.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weft {

/// A value of an instrument: a signed integer or a double, as the instrument was made.
struct MetricNumber {
    bool is_integer = true;
    union {
        std::int64_t integer = 0;
        double floating;
    };

    [[nodiscard]] static constexpr MetricNumber of(std::int64_t value) noexcept {
        MetricNumber number;
        number.integer = value;
        return number;
    }
    [[nodiscard]] static constexpr MetricNumber of(double value) noexcept {
        MetricNumber number;
        number.is_integer = false;
        number.floating = value;
        return number;
    }
    [[nodiscard]] constexpr double as_double() const noexcept {
        return is_integer ? static_cast<double>(integer) : floating;
    }
};

/// The OTLP data kinds that an SDK makes.
enum class MetricKind : std::uint8_t { sum, gauge, histogram, exponential_histogram };

/// Tag byte of the `attributes` field in a point of this kind: what each KeyValue in `MetricSeries::attributes` begins
/// with. Source: OTLP schema, metrics.v1.
[[nodiscard]] constexpr char attributes_tag(MetricKind kind) noexcept {
    switch (kind) {
    case MetricKind::sum:
    case MetricKind::gauge:
        return 0x3a;
    case MetricKind::histogram:
        return 0x4a;
    case MetricKind::exponential_histogram:
        break;
    }
    return 0x0a;
}

/// What is the same for all points of one metric.
struct MetricStream {
    std::uint16_t scope = 0; ///< Index in the process's table of instrumentation scopes.
    std::string_view name;
    std::string_view description;
    std::string_view unit;
    MetricKind kind = MetricKind::sum;
    Temporality temporality = Temporality::cumulative; ///< Not for gauges.
    bool is_monotonic = false;                         ///< Sums only.
    std::span<const double> boundaries{}; ///< Explicit histograms only; strictly increasing.
};

/// One attribute set of a stream. It is the same object in every collection as long as the series lives.
struct MetricSeries {
    /// KeyValue fields, each with the tag and length that they have in a point of the stream's kind. Keys are unique and
    /// sorted by their bytes.
    std::string attributes;
    /// For encoders: what they made of the attributes before, as text. Index: the encoder's own; empty: nothing yet.
    mutable std::string text[2];
};

/// A measurement, and the span that was current when it was made.
struct MetricExemplar {
    MetricNumber value;
    std::int64_t time_unix_ns = 0;
    TraceId trace_id; ///< All zero: outside of any span.
    SpanId span_id;
    /// Attributes of the measurement that the point does not have: KeyValue fields with tag 0x3a.
    std::string_view filtered_attributes;
};

struct MetricPointTimes {
    std::int64_t start_unix_ns = 0;
    std::int64_t time_unix_ns = 0;
};

struct NumberPoint {
    const MetricSeries& series;
    MetricPointTimes times;
    MetricNumber value;
    std::span<const MetricExemplar> exemplars{};
};

struct HistogramPoint {
    const MetricSeries& series;
    MetricPointTimes times;
    std::uint64_t count = 0;
    double sum = 0;
    bool has_sum = true; ///< False where the instrument takes negative values.
    bool has_min_max = false;
    double min = 0;
    double max = 0;
    std::span<const std::uint64_t>
        buckets{}; ///< Not accumulated; one more than the stream's boundaries.
    std::span<const MetricExemplar> exemplars{};
};

struct ExponentialBuckets {
    std::int32_t offset = 0; ///< Index of the first count.
    std::span<const std::uint64_t> counts{};
};

struct ExponentialHistogramPoint {
    const MetricSeries& series;
    MetricPointTimes times;
    std::uint64_t count = 0;
    double sum = 0;
    bool has_sum = true;
    bool has_min_max = false;
    double min = 0;
    double max = 0;
    std::int32_t scale = 0;
    std::uint64_t zero_count = 0;
    double zero_threshold = 0;
    ExponentialBuckets positive;
    ExponentialBuckets negative;
    std::span<const MetricExemplar> exemplars{};
};

/// Takes the points of one collection. For each stream that has any: begin, its points (all of the stream's kind), end.
/// What a call throws ends the collection and reaches its caller.
class MetricVisitor {
public:
    virtual ~MetricVisitor() = default;
    virtual void begin(const MetricStream& stream) = 0;
    virtual void number(const NumberPoint& point) = 0;
    virtual void histogram(const HistogramPoint& point) = 0;
    virtual void exponential_histogram(const ExponentialHistogramPoint& point) = 0;
    virtual void end() = 0;
};

} // namespace weft
