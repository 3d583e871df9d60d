// Histograms and exemplars of PrometheusText.

#include "prometheus_text_state.hpp"

#include <weft/runtime/utf8.hpp>

#include <algorithm>
#include <cmath>

namespace weft {
namespace {

// Source: OpenMetrics, "Exemplars": names and values of the labels together.
constexpr std::size_t exemplar_code_points_max = 128;
constexpr std::string_view trace_label = "trace_id";
constexpr std::string_view span_label = "span_id";

std::size_t code_points(std::string_view text) noexcept {
    std::size_t count = 0;
    for (; !text.empty(); ++count) { text.remove_prefix(detail::leading_code_point(text).size); }
    return count;
}

// The upper bound of the bucket, or of a negative one's mirror image the lower: base^index.
double exponential_bound(std::int64_t index, std::int32_t scale) noexcept {
    return std::exp2(std::ldexp(static_cast<double>(index), -scale));
}

// Index of the first and behind the last bucket that has counts; equal if there is none.
struct Range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
};
Range occupied(const ExponentialBuckets& buckets) noexcept {
    const auto& counts = buckets.counts;
    std::size_t first = 0;
    std::size_t last = counts.size();
    while (first < last && counts[first] == 0) { ++first; }
    while (last > first && counts[last - 1] == 0) { --last; }
    return {
        buckets.offset + static_cast<std::int64_t>(first),
        buckets.offset + static_cast<std::int64_t>(last)};
}

Range coarser(Range range, int steps) noexcept {
    if (range.begin == range.end) { return {}; }
    return {range.begin >> steps, ((range.end - 1) >> steps) + 1};
}

std::uint64_t count_in(
    const ExponentialBuckets& buckets, std::int64_t coarse_index, int steps) noexcept {
    const auto size = static_cast<std::int64_t>(buckets.counts.size());
    const auto begin = std::clamp<std::int64_t>((coarse_index << steps) - buckets.offset, 0, size);
    const auto end =
        std::clamp<std::int64_t>(((coarse_index + 1) << steps) - buckets.offset, 0, size);
    std::uint64_t sum = 0;
    for (auto i = begin; i < end; ++i) { sum += buckets.counts[static_cast<std::size_t>(i)]; }
    return sum;
}

} // namespace

void PrometheusText::State::histogram(const HistogramPoint& point) {
    if (stream == nullptr) {
        points_dropped += must_count ? 1 : 0;
        return;
    }
    // Without buckets there is the one that has everything.
    const std::span<const std::uint64_t> all(&point.count, 1);
    const bool fits = point.buckets.size() == stream->bounds.size();
    const Buckets buckets =
        fits ? Buckets{stream->boundaries, stream->bounds, point.buckets}
             : Buckets{{}, std::span<const std::string>(stream->bounds).last(1), all};
    write_histogram(point.series, point.times, buckets, point.sum, point.has_sum, point.exemplars);
}

// Text has no exponential buckets: each becomes one with explicit bounds, at a scale coarse enough for their number.
void PrometheusText::State::exponential_histogram(const ExponentialHistogramPoint& point) {
    if (stream == nullptr) {
        points_dropped += must_count ? 1 : 0;
        return;
    }
    const Range positive = occupied(point.positive);
    const Range negative = occupied(point.negative);
    const auto room = static_cast<std::int64_t>(options.exponential_buckets_max);
    int steps = 0;
    Range up = positive;
    Range down = negative;
    // Bound: 32 steps bring any range of 32-bit indexes down to two.
    while (steps < 32 && (up.end - up.begin) + (down.end - down.begin) > room) {
        ++steps;
        up = coarser(positive, steps);
        down = coarser(negative, steps);
    }
    const auto scale = point.scale - steps;

    scaled_bounds.clear();
    scaled_counts.clear();
    std::uint64_t waiting = 0; // Of buckets whose bound is the same number as the next one's.
    const auto add = [&](double bound, std::uint64_t count) {
        waiting += count;
        if (!std::isfinite(bound)) { return; }
        if (!scaled_bounds.empty() && bound <= scaled_bounds.back()) {
            scaled_counts.back() += waiting;
        } else {
            scaled_bounds.push_back(bound);
            scaled_counts.push_back(waiting);
        }
        waiting = 0;
    };
    for (auto i = down.end; i-- > down.begin;) {
        add(-exponential_bound(i, scale), count_in(point.negative, i, steps));
    }
    if (point.zero_count != 0 || !scaled_bounds.empty()) {
        add(point.zero_threshold, point.zero_count);
    }
    for (auto i = up.begin; i < up.end; ++i) {
        add(exponential_bound(i + 1, scale), count_in(point.positive, i, steps));
    }
    scaled_counts.push_back(waiting); // Above the last bound.

    if (scaled_texts.size() < scaled_counts.size()) { scaled_texts.resize(scaled_counts.size()); }
    for (std::size_t i = 0; i < scaled_bounds.size(); ++i) {
        scaled_texts[i] = families.bound_text(scaled_bounds[i]);
    }
    scaled_texts[scaled_bounds.size()] = "le=\"+Inf\"} ";
    write_histogram(
        point.series, point.times, {scaled_bounds, scaled_texts, scaled_counts}, point.sum,
        point.has_sum, point.exemplars);
}

// What the buckets hold together is the count: +Inf and the count must be equal.
void PrometheusText::State::write_histogram(
    const MetricSeries& series, const MetricPointTimes& times, const Buckets& buckets, double sum,
    bool has_sum, std::span<const MetricExemplar> exemplars) {
    const auto labels = labels_of(series);
    const auto begin = out.size();
    const auto line_max = stream->line_bytes_max + labels.size();
    const bool with_exemplars = open_metrics && !exemplars.empty();
    if (with_exemplars) { choose_exemplars(buckets, exemplars); }

    // Every bucket's line begins alike: the first one is made of its parts, the others are copied from it.
    char* to = out.room(line_max * (buckets.counts.size() + 3));
    const auto& prefix = stream->bucket;
    const char* const line = to;
    to = detail::put_text(to, prefix.text);
    if (!labels.empty()) {
        to = detail::put_text(to, prefix.has_labels ? labels : labels.substr(1));
    }
    if (prefix.has_labels || !labels.empty()) { *to++ = ','; }
    const auto head = static_cast<std::size_t>(to - line);
    std::uint64_t total = 0;
    bool first = true;
    bool negative = false;
    for (std::size_t i = 0; i < buckets.counts.size(); ++i) {
        total += buckets.counts[i];
        if (i < buckets.bounds.size() && buckets.bounds[i] < 0) { negative = true; }
        if (buckets.texts[i].empty()) { continue; } // An infinite boundary: it is +Inf's own.
        if (!first) { to = detail::put_text(to, {out.text().data() + begin, head}); }
        first = false;
        to = detail::put_text(to, buckets.texts[i]);
        to = detail::put_integer(to, total);
        if (with_exemplars && chosen[i] != nullptr) {
            out.advance_to(to);
            put_exemplar(*chosen[i]);
            to = out.room(line_max * (buckets.counts.size() - i + 3));
        }
        *to++ = '\n';
    }

    // Source: OpenMetrics, "Histogram": no sum with negative bounds, and count and sum only together.
    const bool sum_is_said = has_sum && (!open_metrics || (!negative && sum >= 0));
    if (sum_is_said) {
        to = detail::put_double(put_head(to, stream->sum, labels), sum, open_metrics);
        *to++ = '\n';
    }
    if (sum_is_said || !open_metrics) {
        to = detail::put_integer(put_head(to, stream->count, labels), total);
        *to++ = '\n';
    }
    if (open_metrics) { to = put_created(to, times, labels); }
    out.advance_to(to);
    points.push_back({begin, out.size(), 0, head});
}

const MetricExemplar& PrometheusText::State::latest(std::span<const MetricExemplar> exemplars) {
    return *std::max_element(exemplars.begin(), exemplars.end(), [](const auto& a, const auto& b) {
        return a.time_unix_ns < b.time_unix_ns;
    });
}

// At most one a bucket: the latest. What is not a number lies in none.
void PrometheusText::State::choose_exemplars(
    const Buckets& buckets, std::span<const MetricExemplar> exemplars) {
    chosen.assign(buckets.counts.size(), nullptr);
    for (const auto& exemplar : exemplars) {
        const double value = exemplar.value.as_double();
        if (std::isnan(value)) { continue; }
        auto index = static_cast<std::size_t>(
            std::lower_bound(buckets.bounds.begin(), buckets.bounds.end(), value) -
            buckets.bounds.begin());
        while (buckets.texts[index].empty()) { ++index; } // Bound: the last one never is.
        const auto*& place = chosen[index];
        if (place == nullptr || place->time_unix_ns <= exemplar.time_unix_ns) { place = &exemplar; }
    }
}

// ` # {trace_id="...",span_id="..."} value time`, with as many of the filtered attributes as may stand.
void PrometheusText::State::put_exemplar(const MetricExemplar& exemplar) {
    constexpr std::size_t trace_size = 2 * sizeof(TraceId::bytes);
    constexpr std::size_t span_size = 2 * sizeof(SpanId::bytes);
    char* to = out.room(128 + 2 * detail::number_bytes_max);
    to = detail::put_text(to, " # {");
    std::size_t room = exemplar_code_points_max;
    bool comma = false;
    if (exemplar.trace_id.is_valid()) {
        to = detail::put_text(detail::put_text(to, trace_label), "=\"");
        exemplar.trace_id.to_hex(to);
        to = detail::put_text(detail::put_text(to + trace_size, "\","), span_label);
        to = detail::put_text(to, "=\"");
        exemplar.span_id.to_hex(to);
        to += span_size;
        *to++ = '"';
        room -= trace_label.size() + trace_size + span_label.size() + span_size;
        comma = true;
    }
    out.advance_to(to);
    if (!exemplar.filtered_attributes.empty()) {
        static const std::vector<std::string> taken{
            std::string(trace_label), std::string(span_label)};
        std::string text;
        auto labels = detail::read_labels(exemplar.filtered_attributes, naming, taken);
        std::erase_if(labels.labels, [&](const detail::Label& label) {
            const auto size = code_points(label.name) + code_points(label.value);
            if (size > room) { return true; }
            room -= size;
            return false;
        });
        labels.append_to(text);
        out.put(comma || text.empty() ? std::string_view(text) : std::string_view(text).substr(1));
    }
    to = detail::put_text(out.room(4 * detail::number_bytes_max), "} ");
    const auto& value = exemplar.value;
    to = value.is_integer ? detail::put_integer(to, value.integer)
                          : detail::put_double(to, value.floating, true);
    if (exemplar.time_unix_ns > 0) {
        *to++ = ' ';
        to = detail::put_seconds(to, exemplar.time_unix_ns);
    }
    out.advance_to(to);
}

} // namespace weft
