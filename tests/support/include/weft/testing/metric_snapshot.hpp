#pragma once
// A runtime's metrics in tests: a provider that is the process's default, and what a collection of it says.

#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/metric_reader.hpp>
#include <weft/testing/metric_capture.hpp>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace weft::testing {

/// One point, every attribute value as text.
struct SnapshotPoint {
    std::map<std::string, std::string> attributes;
    double value = 0;        ///< Of sums and gauges.
    std::uint64_t count = 0; ///< Of histograms, as what follows.
    double sum = 0;
    std::vector<std::uint64_t> buckets;
    std::vector<SpanId> exemplar_spans;

    [[nodiscard]] std::string operator[](const std::string& key) const {
        const auto at = attributes.find(key);
        return at == attributes.end() ? "(absent)" : at->second;
    }
};

struct SnapshotMetric {
    std::string name;
    std::string unit;
    std::string description;
    MetricKind kind = MetricKind::sum;
    bool is_monotonic = false;
    std::vector<double> boundaries;
    std::vector<SnapshotPoint> points;
};

/// What one collection handed out, in the plainest form: streams by name, attributes as text. To be given to a reader as its
/// visitor; `metrics` is complete once the collection is over.
class MetricSnapshot final : public MetricCapture {
public:
    std::map<std::string, SnapshotMetric> metrics;

    /// The metric, or an empty one.
    [[nodiscard]] const SnapshotMetric& operator[](const std::string& name) const {
        static const SnapshotMetric none;
        const auto at = metrics.find(name);
        return at == metrics.end() ? none : at->second;
    }
    /// Its one point; an empty one, and a failure where it is compared, when there is not just one.
    [[nodiscard]] SnapshotPoint point(const std::string& name) const {
        const auto& points = (*this)[name].points;
        return points.size() == 1 ? points.front() : SnapshotPoint{};
    }
    /// The point with this attribute, or an empty one.
    [[nodiscard]] SnapshotPoint point(
        const std::string& name, const std::string& key, const std::string& value) const {
        for (const auto& point : (*this)[name].points) {
            if (point[key] == value) { return point; }
        }
        return {};
    }
    [[nodiscard]] std::set<std::string> names() const {
        std::set<std::string> all;
        for (const auto& [name, metric] : metrics) { all.insert(name); }
        return all;
    }

private:
    void end() override {
        MetricCapture::end();
        const auto& stream = streams().back();
        auto& metric = metrics[stream.name];
        metric.name = stream.name;
        metric.unit = stream.unit;
        metric.description = stream.description;
        metric.kind = stream.kind;
        metric.is_monotonic = stream.is_monotonic;
        metric.boundaries = stream.boundaries;
        for (const auto& point : stream.points) {
            auto& made = metric.points.emplace_back();
            for (const auto& [key, value] : point.attributes) {
                made.attributes[key] = plain_text(value);
            }
            made.value = point.value.as_double();
            made.count = point.count;
            made.sum = point.sum;
            made.buckets = point.buckets;
            for (const auto& exemplar : point.exemplars) {
                made.exemplar_spans.push_back(exemplar.span_id);
            }
        }
    }
};

/// A provider of metrics, the process's default while it lives. Threads: measurements any; the rest the test's.
class MetricSource {
public:
    explicit MetricSource(MetricOptions options = {})
        : provider_(detail::make_meter_provider(std::move(options))), reader_(provider_, {}),
          is_default_(detail::claim_default(provider_)) {}
    MetricSource(const MetricSource&) = delete;
    MetricSource& operator=(const MetricSource&) = delete;
    ~MetricSource() { detail::close(provider_); }

    [[nodiscard]] bool is_default() const noexcept { return is_default_; }
    [[nodiscard]] detail::MeterProvider& provider() noexcept { return provider_; }
    [[nodiscard]] MetricSnapshot collect() {
        MetricSnapshot snapshot;
        reader_.collect_now(snapshot);
        return snapshot;
    }

private:
    detail::MeterProvider& provider_;
    MetricReader reader_;
    const bool is_default_;
};

} // namespace weft::testing
