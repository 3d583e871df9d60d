#pragma once
// A runtime's metrics in tests: a provider that is the process's default, and what a collection of it says.

#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/metric_reader.hpp>

#include <protozero/pbf_reader.hpp>

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

/// What one collection handed out.
class MetricSnapshot final : public MetricVisitor {
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
    void begin(const MetricStream& stream) override {
        current_ = &metrics[std::string(stream.name)];
        current_->name = stream.name;
        current_->unit = stream.unit;
        current_->description = stream.description;
        current_->kind = stream.kind;
        current_->is_monotonic = stream.is_monotonic;
        current_->boundaries.assign(stream.boundaries.begin(), stream.boundaries.end());
    }
    void number(const NumberPoint& point) override {
        add(point.series, point.exemplars).value = point.value.as_double();
    }
    void histogram(const HistogramPoint& point) override {
        auto& made = add(point.series, point.exemplars);
        made.count = point.count;
        made.sum = point.sum;
        made.buckets.assign(point.buckets.begin(), point.buckets.end());
    }
    void exponential_histogram(const ExponentialHistogramPoint& point) override {
        auto& made = add(point.series, point.exemplars);
        made.count = point.count;
        made.sum = point.sum;
    }
    void end() override { current_ = nullptr; }

    static std::string text_of(protozero::pbf_reader value) {
        std::string text;
        while (value.next()) {
            switch (value.tag()) {
            case 1:
                text = value.get_string();
                break;
            case 2:
                text = value.get_bool() ? "true" : "false";
                break;
            case 3:
                text = std::to_string(value.get_int64());
                break;
            case 4:
                text = std::to_string(value.get_double());
                break;
            default:
                value.skip();
            }
        }
        return text;
    }
    SnapshotPoint& add(const MetricSeries& series, std::span<const MetricExemplar> exemplars) {
        auto& point = current_->points.emplace_back();
        for (protozero::pbf_reader fields(series.attributes); fields.next();) {
            auto pair = fields.get_message();
            std::string key;
            while (pair.next()) {
                if (pair.tag() == 1) {
                    key = pair.get_string();
                } else if (pair.tag() == 2) {
                    point.attributes[key] = text_of(pair.get_message());
                } else {
                    pair.skip();
                }
            }
        }
        for (const auto& exemplar : exemplars) { point.exemplar_spans.push_back(exemplar.span_id); }
        return point;
    }

    SnapshotMetric* current_ = nullptr;
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
