#pragma once
// From points to records. A record is a whole Metric, a `metrics` field of ScopeMetrics; a metric with more points than
// fit into one becomes several, each with name, description and unit.
//
//   storage:  │ room │ RecordHeader │ Metric: texts, length │ point │ point │ ... │ temporality │
//                    └── written last, from right to left ──┘
//
// Lengths stand before what they measure, so points are written where the longest beginning would end, and the beginning
// is put before them when the record is complete. Nothing is moved and nothing is written twice.

#include <weft/exporters/metric_queue.hpp>
#include <weft/signals/metric_points.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace weft {

/// Turns what a collection hands out into records of a MetricQueue. Once for many collections.
/// Threads: one at a time. Cost: no allocation for a point; a copy of its attributes.
/// Source: OTLP schema, metrics.v1.
class MetricEncoder final : public MetricVisitor {
public:
    /// `points_max`: most points of one record. Errors: std::bad_alloc.
    /// Lifetime: `queue` must outlive it.
    MetricEncoder(MetricQueue& queue, std::size_t points_max);

    void begin(const MetricStream& stream) override; ///< Errors: std::bad_alloc.
    void number(const NumberPoint& point) override;
    void histogram(const HistogramPoint& point) override;
    void exponential_histogram(const ExponentialHistogramPoint& point) override;
    void end() override { close_record(); }
    /// After a collection that ended early: what it left open goes as well.
    void finish() noexcept { close_record(); }

private:
    char* point(std::size_t bytes) noexcept;
    void close_record() noexcept;

    MetricQueue& queue_;
    const std::size_t points_max_;
    const std::size_t record_max_;
    const std::unique_ptr<char[]> storage_; // record_max_ bytes, touched as they are used.

    // Of the stream:
    std::string texts_; // Name, description and unit as fields.
    std::uint16_t scope_ = 0;
    MetricKind kind_ = MetricKind::sum;
    Temporality temporality_ = Temporality::cumulative;
    bool is_monotonic_ = false;
    std::span<const double> boundaries_;
    char* first_point_ = nullptr;
    char* points_end_ = nullptr; // Points never reach beyond.

    // Of the record:
    char* next_point_ = nullptr;
    std::uint32_t points_ = 0;
    MetricPointTimes times_; // Of its last point.
};

} // namespace weft
