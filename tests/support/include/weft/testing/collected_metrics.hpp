#pragma once
// What one collection of a meter provider hands out, in texts and numbers. Link weft_protozero.
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/metric_reader.hpp>
#include <weft/signals/scope.hpp>
#include <weft/testing/metric_capture.hpp>

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

class CollectedMetrics {
public:
    explicit CollectedMetrics(detail::MeterProvider& provider) {
        MetricReader reader(provider, {});
        const auto capture = collect_now(reader);
        for (const auto& stream : capture.streams()) {
            for (const auto& point : stream.points) { add(stream, point); }
        }
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

    std::vector<CollectedPoint> points;

private:
    void add(const CapturedStream& stream, const CapturedPoint& point) {
        auto& made = points.emplace_back();
        const std::string scope(detail::encoded_scope(stream.scope).message);
        protozero::pbf_reader fields(scope);
        if (fields.next(1)) { made.meter = fields.get_string(); }
        made.name = stream.name;
        made.unit = stream.unit;
        made.description = stream.description;
        made.kind = stream.kind;
        made.is_monotonic = stream.is_monotonic;
        made.boundaries = stream.boundaries.size();
        made.count = point.count;
        const bool is_number = stream.kind == MetricKind::sum || stream.kind == MetricKind::gauge;
        made.value = is_number ? point.value.as_double() : point.sum;
        for (const auto& [key, value] : point.attributes) {
            if (!made.attributes.empty()) { made.attributes += ','; }
            made.attributes += key + '=' + plain_text(value);
        }
    }
};

} // namespace weft::testing
