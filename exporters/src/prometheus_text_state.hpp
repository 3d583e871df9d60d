#pragma once
// The insides of PrometheusText. prometheus_text.cpp has streams, numbers and the order of things;
// prometheus_histogram.cpp has histograms and exemplars.

#include "prometheus_families.hpp"
#include "prometheus_number.hpp"
#include "prometheus_output.hpp"

#include <weft/exporters/prometheus_text.hpp>

#include <array>
#include <limits>
#include <span>

namespace weft {

struct PrometheusText::State {
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
    static constexpr std::size_t kept_head = 4 + sizeof(std::uint32_t) + 2;

    /// What one stream wrote.
    struct Segment {
        detail::Family* family;
        std::size_t begin;
        std::size_t end;
        std::size_t points_begin;
        std::size_t points_end;
        std::uint32_t next; // Of the same family.
    };
    /// What one point wrote, and where in its first line the series' own labels are.
    struct Point {
        std::size_t begin;
        std::size_t end;
        std::uint32_t labels_at;
        std::size_t labels_size;
    };

    State(
        PrometheusProtocol protocol_asked, const PrometheusTextOptions& options_given,
        std::string_view resource, Diagnostics& log_given);

    void start(std::vector<std::string> names_wanted);
    void begin(const MetricStream& metric);
    void number(const NumberPoint& point);
    void histogram(const HistogramPoint& point);
    void exponential_histogram(const ExponentialHistogramPoint& point);
    void end();
    [[nodiscard]] std::string_view finish();

    [[nodiscard]] detail::PrometheusFamilies::Options family_options(
        std::string_view resource) const;
    void set_target_info(std::string_view resource);
    [[nodiscard]] bool is_wanted(std::string_view name) const noexcept;
    [[nodiscard]] std::string_view labels_of(const MetricSeries& series);
    /// `name{labels} `.
    [[nodiscard]] char* put_head(
        char* to, const detail::LinePrefix& prefix, std::string_view labels) const noexcept;
    [[nodiscard]] char* put_created(
        char* to, const MetricPointTimes& times, std::string_view labels) const noexcept;
    void add_point(std::size_t begin, const detail::LinePrefix& prefix, std::size_t labels);
    void drop(std::string_view what);
    void put_in_order();

    /// What both kinds of histograms are written from.
    struct Buckets {
        std::span<const double> bounds;     // One less than counts.
        std::span<const std::string> texts; // Of bounds, and +Inf.
        std::span<const std::uint64_t> counts;
    };
    void write_histogram(
        const MetricSeries& series, const MetricPointTimes& times, const Buckets& buckets,
        double sum, bool has_sum, std::span<const MetricExemplar> exemplars);
    void choose_exemplars(const Buckets& buckets, std::span<const MetricExemplar> exemplars);
    [[nodiscard]] static const MetricExemplar& latest(std::span<const MetricExemplar> exemplars);
    void put_exemplar(const MetricExemplar& exemplar);

    PrometheusProtocol protocol;
    bool open_metrics;
    PrometheusTextOptions options;
    detail::PrometheusNaming naming;
    Diagnostics& log;
    detail::PrometheusFamilies families;
    std::string target_info; // The whole family, as it is in every exposition.
    std::array<char, 4> mark{};
    std::size_t slot = 0; // Of MetricSeries::text.
    std::uint64_t points_dropped = 0;

    // Of the exposition under way.
    std::uint64_t exposition = 0;
    std::vector<std::string> names;
    detail::PrometheusOutput out;
    detail::PrometheusOutput ordered;
    std::vector<Segment> segments;
    std::vector<Point> points;
    bool must_order = false;

    // Of the stream under way; null while its points are not wanted.
    detail::StreamEntry* stream = nullptr;
    bool must_count = false; // They are not wanted because the stream cannot be exposed.
    bool shape_known = false;
    bool any_changed = false;
    bool shapes_differ = false;
    std::uint32_t first_shape = 0;

    // Kept for their memory.
    std::vector<const MetricExemplar*> chosen; // By bucket.
    std::vector<double> scaled_bounds;
    std::vector<std::uint64_t> scaled_counts;
    std::vector<std::string> scaled_texts;
};

} // namespace weft
