#pragma once
#include <weft/exporters/prometheus_format.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/metric_points.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// What an exposition holds and how its names are made.
/// Source: OpenTelemetry, "Prometheus Metrics Exporter" (defaults are the specification's unless marked ours).
struct PrometheusTextOptions {
    PrometheusTranslation translation = PrometheusTranslation::underscore_escaping_with_suffixes;
    bool scope_labels = true; ///< `otel_scope_*` on every sample.
    bool target_info = true;  ///< The resource, as the labels of one metric.
    /// `_created` samples of counters and histograms, in OpenMetrics. They double the number of a counter's series. Ours.
    bool created = true;
    /// Keys of resource attributes that every series gets as labels.
    std::vector<std::string> resource_labels = {};
    /// Most buckets that an exponential histogram is shown with; a coarser scale is taken until they suffice, so bounds
    /// are always among those of any finer one. 2 to 640. Ours.
    std::size_t exponential_buckets_max = 40;
    /// Cap on one exposition before compression. 4 KiB to 2 GiB. Ours.
    std::size_t bytes_max = 256u << 20;
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const PrometheusTextOptions& options);

/// Writes collections as text for Prometheus, one exposition after another, all in the same protocol. Points must be
/// cumulative.
///
/// What cannot be said is left out, counted in points_dropped() and reported: a metric whose name another one has with
/// another type, points of a family that come out with equal labels, and in OpenMetrics a counter below zero or not a
/// number.
///
/// Threads: one at a time. It keeps each series' labels in `MetricSeries::text`, so expositions of the same series,
/// also by another PrometheusText, must not overlap.
/// Cost: no allocation per sample; a known series is copied as text.
class PrometheusText final : public MetricVisitor {
public:
    /// `resource` is an encoded OTLP message Resource. Lifetime: `log` must outlive this.
    PrometheusText(
        PrometheusProtocol protocol, const PrometheusTextOptions& options,
        std::string_view resource, Diagnostics& log = diagnostics());
    ~PrometheusText() override;
    PrometheusText(PrometheusText&&) noexcept;
    PrometheusText& operator=(PrometheusText&&) noexcept;

    /// Begins an exposition, forgetting one that was not finished. With `names`, only families that are called so, or
    /// one of whose samples is. Errors: std::bad_alloc.
    void start(std::vector<std::string> names = {});

    /// Ends it. Lifetime: the text is valid until the next start().
    [[nodiscard]] std::string_view finish();

    /// Gives back memory beyond `bytes_max`, so that a huge exposition is not remembered for ever.
    void trim(std::size_t bytes_max) noexcept;

    [[nodiscard]] PrometheusProtocol protocol() const noexcept;
    /// Since the beginning.
    [[nodiscard]] std::uint64_t points_dropped() const noexcept;

    /// Errors, of all four: std::length_error: more than `bytes_max`; std::bad_alloc.
    void begin(const MetricStream& stream) override;
    void number(const NumberPoint& point) override;
    void histogram(const HistogramPoint& point) override;
    void exponential_histogram(const ExponentialHistogramPoint& point) override;
    void end() override;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace weft
