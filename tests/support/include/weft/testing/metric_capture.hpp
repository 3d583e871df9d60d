#pragma once
// What a collection of metrics handed out, as a plain model: streams, points, attributes, exemplars. It also holds the
// collection to the rules that every encoder relies on, see MetricCapture::problems.

#include <weft/signals/attribute.hpp>
#include <weft/signals/metric_points.hpp>
#include <weft/signals/metric_reader.hpp>

#include <protozero/pbf_reader.hpp>

#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace weft::testing {

/// Attributes by key. A value is its text as in JSON; bytes are `bytes:` and hexadecimal digits.
using CapturedAttributes = std::map<std::string, std::string>;

namespace detail_capture {

inline std::string in_quotes(std::string_view text) { return '"' + std::string(text) + '"'; }

inline std::string text_of(double value) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return std::string(digits, end) + 'd'; // Not to be taken for an integer.
}

inline std::string any_value_text(protozero::data_view message) {
    std::string text = "null";
    for (protozero::pbf_reader fields(message); fields.next();) {
        switch (fields.tag()) {
        case 1:
            text = in_quotes(fields.get_string());
            break;
        case 2:
            text = fields.get_bool() ? "true" : "false";
            break;
        case 3:
            text = std::to_string(fields.get_int64());
            break;
        case 4:
            text = text_of(fields.get_double());
            break;
        case 5: {
            text = "[";
            for (protozero::pbf_reader values(fields.get_view()); values.next(1);) {
                if (text.size() > 1) { text += ','; }
                text += any_value_text(values.get_view());
            }
            text += ']';
            break;
        }
        case 6: {
            text = "{";
            for (protozero::pbf_reader pairs(fields.get_view()); pairs.next(1);) {
                if (text.size() > 1) { text += ','; }
                for (protozero::pbf_reader pair(pairs.get_view()); pair.next();) {
                    if (pair.tag() == 1) {
                        text += in_quotes(pair.get_string()) + ':';
                    } else {
                        text += any_value_text(pair.get_view());
                    }
                }
            }
            text += '}';
            break;
        }
        case 7: {
            text = "bytes:";
            for (const char c : fields.get_string()) {
                constexpr std::string_view digits = "0123456789abcdef";
                text += digits[static_cast<unsigned char>(c) >> 4];
                text += digits[static_cast<unsigned char>(c) & 15];
            }
            break;
        }
        default:
            fields.skip();
        }
    }
    return text;
}

} // namespace detail_capture

/// A captured value without what tells its type: the text of a string, the digits of a number.
[[nodiscard]] inline std::string plain_text(std::string text) {
    if (text.size() >= 2 && text.front() == '"') { return text.substr(1, text.size() - 2); }
    const bool is_double =
        !text.empty() && text.back() == 'd' && text.find(':') == std::string::npos;
    if (is_double) { text.pop_back(); }
    return text;
}

/// As a collection shows them. For numbers, booleans and strings.
[[nodiscard]] inline CapturedAttributes captured(std::initializer_list<Attribute> attributes) {
    CapturedAttributes found;
    for (const auto& [key, value] : attributes) {
        std::string& text = found[std::string(key)];
        switch (value.type()) {
        case AttributeValue::Type::boolean:
            text = value.boolean() ? "true" : "false";
            break;
        case AttributeValue::Type::integer:
            text = std::to_string(value.integer());
            break;
        case AttributeValue::Type::floating:
            text = detail_capture::text_of(value.floating());
            break;
        case AttributeValue::Type::string:
            text = detail_capture::in_quotes(value.string());
            break;
        default:
            text = "?";
        }
    }
    return found;
}

struct CapturedExemplar {
    MetricNumber value;
    std::int64_t time_unix_ns = 0;
    TraceId trace_id;
    SpanId span_id;
    CapturedAttributes filtered_attributes;
};

struct CapturedBuckets {
    std::int32_t offset = 0;
    std::vector<std::uint64_t> counts;
};

/// A point of any kind; what the kind does not have is as here.
struct CapturedPoint {
    CapturedAttributes attributes;
    MetricPointTimes times;
    MetricNumber value; ///< Sums and gauges.
    std::uint64_t count = 0;
    double sum = 0;
    bool has_sum = false;
    bool has_min_max = false;
    double min = 0;
    double max = 0;
    std::vector<std::uint64_t> buckets;
    std::int32_t scale = 0;
    std::uint64_t zero_count = 0;
    CapturedBuckets positive;
    CapturedBuckets negative;
    std::vector<CapturedExemplar> exemplars;
    const MetricSeries* series = nullptr; ///< Only to be compared.
};

struct CapturedStream {
    std::uint16_t scope = 0;
    std::string name;
    std::string description;
    std::string unit;
    MetricKind kind = MetricKind::sum;
    Temporality temporality = Temporality::cumulative;
    bool is_monotonic = false;
    std::vector<double> boundaries;
    std::vector<CapturedPoint> points;
};

/// Keeps what one collection handed out.
class MetricCapture : public MetricVisitor {
public:
    void begin(const MetricStream& stream) override {
        if (open_) { problem("begins within another stream", stream.name); }
        open_ = true;
        streams_.push_back(
            {.scope = stream.scope,
             .name = std::string(stream.name),
             .description = std::string(stream.description),
             .unit = std::string(stream.unit),
             .kind = stream.kind,
             .temporality = stream.temporality,
             .is_monotonic = stream.is_monotonic,
             .boundaries = {stream.boundaries.begin(), stream.boundaries.end()},
             .points = {}});
    }
    void number(const NumberPoint& point) override {
        auto& made = add(point.series, point.times, point.exemplars);
        made.value = point.value;
        const auto kind = streams_.back().kind;
        if (kind != MetricKind::sum && kind != MetricKind::gauge) { problem("has a number"); }
    }
    void histogram(const HistogramPoint& point) override {
        auto& made = add(point.series, point.times, point.exemplars);
        take_common(made, point);
        made.buckets.assign(point.buckets.begin(), point.buckets.end());
        if (streams_.back().kind != MetricKind::histogram) { problem("has a histogram"); }
        if (made.buckets.size() != streams_.back().boundaries.size() + 1) {
            problem("has not one bucket more than boundaries");
        }
        if (std::accumulate(made.buckets.begin(), made.buckets.end(), std::uint64_t{0}) !=
            made.count) {
            problem("has a count that is not the sum of its buckets");
        }
    }
    void exponential_histogram(const ExponentialHistogramPoint& point) override {
        auto& made = add(point.series, point.times, point.exemplars);
        take_common(made, point);
        made.scale = point.scale;
        made.zero_count = point.zero_count;
        made.positive = {
            point.positive.offset, {point.positive.counts.begin(), point.positive.counts.end()}};
        made.negative = {
            point.negative.offset, {point.negative.counts.begin(), point.negative.counts.end()}};
        std::uint64_t counted = made.zero_count;
        for (const auto count : made.positive.counts) { counted += count; }
        for (const auto count : made.negative.counts) { counted += count; }
        if (counted != made.count) { problem("has a count that is not the sum of its buckets"); }
        if (streams_.back().kind != MetricKind::exponential_histogram) {
            problem("has an exponential histogram");
        }
    }
    void end() override {
        if (!open_) { return problem("ends twice"); }
        open_ = false;
        if (streams_.back().points.empty()) { problem("has no points"); }
    }

    /// What broke the rules of a collection, a line each; empty if nothing did.
    [[nodiscard]] std::string problems() const {
        return open_ ? problems_ + "the last stream has not ended\n" : problems_;
    }

    [[nodiscard]] const std::vector<CapturedStream>& streams() const noexcept { return streams_; }
    [[nodiscard]] std::size_t streams_named(std::string_view name) const {
        std::size_t found = 0;
        for (const auto& stream : streams_) { found += stream.name == name ? 1 : 0; }
        return found;
    }
    /// The first of this name, or one without points.
    [[nodiscard]] const CapturedStream& stream(std::string_view name) const {
        static const CapturedStream none;
        for (const auto& stream : streams_) {
            if (stream.name == name) { return stream; }
        }
        return none;
    }
    /// Null if there is none.
    [[nodiscard]] const CapturedPoint* find(
        std::string_view name, const CapturedAttributes& attributes) const {
        for (const auto& stream : streams_) {
            if (stream.name != name) { continue; }
            for (const auto& point : stream.points) {
                if (point.attributes == attributes) { return &point; }
            }
        }
        return nullptr;
    }
    [[nodiscard]] bool has(
        std::string_view name, std::initializer_list<Attribute> attributes = {}) const {
        return find(name, captured(attributes)) != nullptr;
    }
    /// An empty point if there is none.
    [[nodiscard]] const CapturedPoint& point(
        std::string_view name, std::initializer_list<Attribute> attributes = {}) const {
        static const CapturedPoint none{};
        const auto* found = find(name, captured(attributes));
        return found == nullptr ? none : *found;
    }
    /// The value of an integer's point, or of none a number that no test counts to.
    [[nodiscard]] std::int64_t integer(
        std::string_view name, std::initializer_list<Attribute> attributes = {}) const {
        const auto* found = find(name, captured(attributes));
        return found == nullptr || !found->value.is_integer ? -987'654'321 : found->value.integer;
    }
    [[nodiscard]] double floating(
        std::string_view name, std::initializer_list<Attribute> attributes = {}) const {
        const auto* found = find(name, captured(attributes));
        return found == nullptr || found->value.is_integer ? -987'654'321 : found->value.floating;
    }
    /// Of all points of all streams of this name.
    [[nodiscard]] std::int64_t integer_total(std::string_view name) const {
        std::int64_t total = 0;
        for (const auto& stream : streams_) {
            if (stream.name != name) { continue; }
            for (const auto& point : stream.points) { total += point.value.integer; }
        }
        return total;
    }

private:
    CapturedPoint& add(
        const MetricSeries& series, const MetricPointTimes& times,
        std::span<const MetricExemplar> exemplars) {
        if (!open_) {
            problem("has a point outside of begin and end");
            streams_.emplace_back();
        }
        auto& stream = streams_.back();
        auto& made = stream.points.emplace_back();
        made.times = times;
        made.series = &series;
        made.attributes = attributes(series.attributes, attributes_tag(stream.kind));
        for (std::size_t i = 0; i + 1 < stream.points.size(); ++i) {
            if (stream.points.size() <= 100 && stream.points[i].attributes == made.attributes) {
                problem("has two points of one attribute set");
            }
        }
        if (times.start_unix_ns > times.time_unix_ns) { problem("has a point that starts late"); }
        for (const auto& exemplar : exemplars) {
            made.exemplars.push_back(
                {exemplar.value, exemplar.time_unix_ns, exemplar.trace_id, exemplar.span_id,
                 attributes(exemplar.filtered_attributes, 0x3a)});
        }
        return made;
    }

    void take_common(CapturedPoint& made, const auto& point) {
        made.count = point.count;
        made.sum = point.sum;
        made.has_sum = point.has_sum;
        made.has_min_max = point.has_min_max;
        made.min = point.min;
        made.max = point.max;
    }

    CapturedAttributes attributes(std::string_view bytes, char tag) {
        CapturedAttributes found;
        const auto field = std::uint32_t{static_cast<unsigned char>(tag)} >> 3U;
        std::string last;
        for (protozero::pbf_reader fields(bytes.data(), bytes.size()); fields.next();) {
            if (fields.tag() != field) { problem("has an attribute with another tag"); }
            std::string key;
            std::string value = "null";
            for (protozero::pbf_reader pair(fields.get_view()); pair.next();) {
                if (pair.tag() == 1) {
                    key = pair.get_string();
                } else {
                    value = detail_capture::any_value_text(pair.get_view());
                }
            }
            if (key <= last) { problem("has attributes out of order, or two of one key"); }
            last = key;
            found[key] = value;
        }
        return found;
    }

    void problem(std::string_view what, std::string_view name = {}) {
        const std::string_view of = !name.empty()      ? name
                                    : streams_.empty() ? std::string_view("?")
                                                       : std::string_view(streams_.back().name);
        problems_ += "stream ";
        problems_ += of;
        problems_ += ' ';
        problems_ += what;
        problems_ += '\n';
    }

    std::vector<CapturedStream> streams_;
    bool open_ = false;
    std::string problems_;
};

/// One collection, without callbacks that are coroutines.
[[nodiscard]] inline MetricCapture collect_now(MetricReader& reader) {
    MetricCapture capture;
    reader.collect_now(capture);
    return capture;
}

} // namespace weft::testing
