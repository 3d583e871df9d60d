#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weft::otlp::trace::v1 {
class Span;
}
namespace weft::otlp::metrics::v1 {
class Metric;
}
namespace weft::otlp::logs::v1 {
class LogRecord;
}

namespace weft::viewer {

/// What can be wrong with a record that decodes. The first two make the receiver refuse it.
enum class Problem : std::uint8_t {
    span_ids_invalid,
    point_without_time,
    parent_span_id_invalid,
    span_is_its_own_parent,
    span_ends_before_it_starts,
    span_without_name,
    span_kind_unknown,
    span_status_unknown,
    link_ids_invalid,
    attribute_key_empty,
    attribute_key_twice,
    metric_without_name,
    metric_without_data,
    metric_temporality_unknown,
    point_without_value,
    point_ends_before_it_starts,
    histogram_bounds_invalid,
    histogram_counts_disagree,
    exemplar_ids_invalid,
    log_record_without_time,
    log_severity_unknown,
    log_ids_invalid,
};
inline constexpr std::size_t problem_count = static_cast<std::size_t>(Problem::log_ids_invalid) + 1;

/// The name of the enumerator.
[[nodiscard]] std::string_view name(Problem problem) noexcept;

/// How often each problem was met.
class Problems {
public:
    void add(Problem problem) noexcept { ++counts_[static_cast<std::size_t>(problem)]; }
    void add(const Problems& other) noexcept {
        for (std::size_t i = 0; i < problem_count; ++i) { counts_[i] += other.counts_[i]; }
    }
    [[nodiscard]] std::uint64_t count(Problem problem) const noexcept {
        return counts_[static_cast<std::size_t>(problem)];
    }
    [[nodiscard]] bool any() const noexcept { return counts_ != decltype(counts_){}; }
    /// "2 span_without_name, 1 link_ids_invalid"; empty when there is none.
    [[nodiscard]] std::string text() const;
    /// {"span_without_name":2,"link_ids_invalid":1}
    [[nodiscard]] std::string json() const;

private:
    std::array<std::uint64_t, problem_count> counts_{};
};

/// True when the span can be kept.
/// Source: OTLP's message comments, condensed: ids of 16 and 8 bytes and not zero, an end not
/// before the start, ...
[[nodiscard]] bool check(const otlp::trace::v1::Span& span, Problems& problems);

/// How many of a metric's points can be kept.
struct PointCounts {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
};
[[nodiscard]] PointCounts check(const otlp::metrics::v1::Metric& metric, Problems& problems);

void check(const otlp::logs::v1::LogRecord& record, Problems& problems);

} // namespace weft::viewer
