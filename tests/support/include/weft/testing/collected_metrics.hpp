#pragma once
// What one collection of a meter provider hands out, in texts and numbers. Link weft_protozero.
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/metric_reader.hpp>
#include <weft/signals/scope.hpp>

#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::testing {

struct CollectedPoint {
    std::string meter;
    std::string name;
    std::string unit;
    std::string description;
    MetricKind kind = MetricKind::sum;
    bool is_monotonic = false;
    std::string attributes; ///< "channel=web,region=eu"
    double value = 0;       ///< Of histograms: the sum.
    std::uint64_t count = 0;
    std::size_t boundaries = 0;
};

class CollectedMetrics : public MetricVisitor {
public:
    explicit CollectedMetrics(detail::MeterProvider& provider) {
        MetricReader reader(provider, {});
        reader.collect_now(*this);
    }

    /// The point of this name and these attributes.
    [[nodiscard]] std::optional<CollectedPoint> find(
        std::string_view name, std::string_view attributes = {}) const {
        const auto at = std::find_if(points.begin(), points.end(), [&](const auto& point) {
            return point.name == name && point.attributes == attributes;
        });
        return at == points.end() ? std::optional<CollectedPoint>() : *at;
    }
    [[nodiscard]] double value(std::string_view name, std::string_view attributes = {}) const {
        const auto point = find(name, attributes);
        return point ? point->value : -1e300;
    }

    void begin(const MetricStream& stream) override {
        current_ = {};
        const std::string message(detail::encoded_scope(stream.scope).message);
        protozero::pbf_reader scope(message);
        while (scope.next()) {
            if (scope.tag() == 1) {
                current_.meter = scope.get_string();
            } else {
                scope.skip();
            }
        }
        current_.name = stream.name;
        current_.unit = stream.unit;
        current_.description = stream.description;
        current_.kind = stream.kind;
        current_.is_monotonic = stream.is_monotonic;
        current_.boundaries = stream.boundaries.size();
    }
    void number(const NumberPoint& point) override {
        add(point.series).value = point.value.as_double();
    }
    void histogram(const HistogramPoint& point) override {
        auto& added = add(point.series);
        added.value = point.sum;
        added.count = point.count;
    }
    void exponential_histogram(const ExponentialHistogramPoint& point) override {
        auto& added = add(point.series);
        added.value = point.sum;
        added.count = point.count;
    }
    void end() override {}

    std::vector<CollectedPoint> points;

private:
    CollectedPoint& add(const MetricSeries& series) {
        points.push_back(current_);
        points.back().attributes = text(series.attributes);
        return points.back();
    }
    static std::string text(const std::string& encoded) {
        std::string result;
        protozero::pbf_reader fields(encoded);
        while (fields.next()) {
            auto pair = fields.get_message();
            if (!result.empty()) { result += ','; }
            while (pair.next()) {
                if (pair.tag() == 1) {
                    result += pair.get_string() + "=";
                } else {
                    result += value_text(pair.get_message());
                }
            }
        }
        return result;
    }
    static std::string value_text(protozero::pbf_reader value) {
        std::string result;
        while (value.next()) {
            switch (value.tag()) {
            case 1:
                result = value.get_string();
                break;
            case 2:
                result = value.get_bool() ? "true" : "false";
                break;
            case 3:
                result = std::to_string(value.get_int64());
                break;
            case 4:
                result = std::to_string(value.get_double());
                break;
            default:
                value.skip();
                result = "?";
            }
        }
        return result;
    }

    CollectedPoint current_;
};

} // namespace weft::testing
