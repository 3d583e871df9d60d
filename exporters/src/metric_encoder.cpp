#include <weft/exporters/metric_encoder.hpp>
#include <weft/runtime/record.hpp>
#include <weft/runtime/utf8.hpp>

#include <protozero/varint.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace weft {
namespace {

// Tag bytes: field number << 3 | wire type. Fields are written in the order of their numbers, and left out where
// Protobuf leaves out defaults. Source: OTLP schema, metrics.v1.
constexpr char tag_metric = 0x12; // ScopeMetrics.metrics
constexpr char tag_name = 0x0a;
constexpr char tag_description = 0x12;
constexpr char tag_unit = 0x1a;
constexpr char tag_points = 0x0a; // In all kinds of data.
constexpr char tag_temporality = 0x10;
constexpr char tag_monotonic = 0x18;
// All kinds of points:
constexpr char tag_start = 0x11;
constexpr char tag_time = 0x19;

namespace number_tags {
constexpr char as_double = 0x21;
constexpr char exemplars = 0x2a;
constexpr char as_int = 0x31;
} // namespace number_tags

namespace histogram_tags {
constexpr char count = 0x21;
constexpr char sum = 0x29;
constexpr char bucket_counts = 0x32;
constexpr char boundaries = 0x3a;
constexpr char exemplars = 0x42;
constexpr char min = 0x59;
constexpr char max = 0x61;
} // namespace histogram_tags

namespace exponential_tags {
constexpr char count = 0x21;
constexpr char sum = 0x29;
constexpr char scale = 0x30;
constexpr char zero_count = 0x39;
constexpr char positive = 0x42;
constexpr char negative = 0x4a;
constexpr char exemplars = 0x5a;
constexpr char min = 0x61;
constexpr char max = 0x69;
constexpr char zero_threshold = 0x71;
constexpr char offset = 0x08;
constexpr char bucket_counts = 0x12;
} // namespace exponential_tags

namespace exemplar_tags {
constexpr char time = 0x11;
constexpr char as_double = 0x19;
constexpr char span_id = 0x22;
constexpr char trace_id = 0x2a;
constexpr char as_int = 0x31;
} // namespace exemplar_tags

constexpr std::size_t fixed64_bytes = 1 + sizeof(std::uint64_t);
constexpr std::size_t data_end_max = 4; // Temporality and monotonic.

constexpr char data_tag(MetricKind kind) noexcept {
    switch (kind) {
    case MetricKind::gauge:
        return 0x2a;
    case MetricKind::sum:
        return 0x3a;
    case MetricKind::histogram:
        return 0x4a;
    case MetricKind::exponential_histogram:
        break;
    }
    return 0x52;
}

std::size_t varint_bytes(std::uint64_t value) noexcept {
    return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}
// Length and content; with its tag a field has one byte more.
std::size_t delimited_bytes(std::size_t content) noexcept {
    return varint_bytes(content) + content;
}
std::size_t fixed64_bytes_of(std::uint64_t value) noexcept {
    return value != 0 ? fixed64_bytes : 0;
}

char* put_varint(char* out, std::uint64_t value) noexcept {
    return out + protozero::add_varint_to_buffer(out, value);
}
char* put_bytes(char* out, const void* data, std::size_t size) noexcept {
    if (size != 0) { std::memcpy(out, data, size); }
    return out + size;
}
char* put_length(char* out, char tag, std::size_t length) noexcept {
    *out++ = tag;
    return put_varint(out, length);
}
char* put_fixed64(char* out, char tag, std::uint64_t value) noexcept {
    static_assert(
        std::endian::native == std::endian::little, "fixed64 is little-endian on the wire");
    *out++ = tag;
    std::memcpy(out, &value, sizeof value);
    return out + sizeof value;
}
char* put_fixed64_unless_zero(char* out, char tag, std::uint64_t value) noexcept {
    return value != 0 ? put_fixed64(out, tag, value) : out;
}
char* put_double(char* out, char tag, double value) noexcept {
    return put_fixed64(out, tag, std::bit_cast<std::uint64_t>(value));
}
std::uint64_t zigzag(std::int32_t value) noexcept {
    return (static_cast<std::uint32_t>(value) << 1) ^ static_cast<std::uint32_t>(value >> 31);
}

std::uint64_t bits(std::int64_t value) noexcept { return static_cast<std::uint64_t>(value); }

std::size_t times_bytes(const MetricPointTimes& times) noexcept {
    return fixed64_bytes_of(bits(times.start_unix_ns)) + fixed64_bytes_of(bits(times.time_unix_ns));
}
char* put_times(char* out, const MetricPointTimes& times) noexcept {
    out = put_fixed64_unless_zero(out, tag_start, bits(times.start_unix_ns));
    return put_fixed64_unless_zero(out, tag_time, bits(times.time_unix_ns));
}

std::size_t exemplar_bytes(const MetricExemplar& exemplar) noexcept {
    return fixed64_bytes_of(bits(exemplar.time_unix_ns)) + fixed64_bytes +
           (exemplar.span_id ? 2 + sizeof exemplar.span_id.bytes : 0) +
           (exemplar.trace_id ? 2 + sizeof exemplar.trace_id.bytes : 0) +
           exemplar.filtered_attributes.size();
}
std::size_t exemplars_bytes(std::span<const MetricExemplar> exemplars) noexcept {
    std::size_t bytes = 0;
    for (const auto& exemplar : exemplars) {
        bytes += 1 + delimited_bytes(exemplar_bytes(exemplar));
    }
    return bytes;
}
template <std::size_t N>
char* put_id(char* out, char tag, const BasicId<N>& id) noexcept {
    return id ? put_bytes(put_length(out, tag, N), id.bytes.data(), N) : out;
}
char* put_exemplars(char* out, char tag, std::span<const MetricExemplar> exemplars) noexcept {
    for (const auto& exemplar : exemplars) {
        const auto& value = exemplar.value;
        out = put_length(out, tag, exemplar_bytes(exemplar));
        out = put_fixed64_unless_zero(out, exemplar_tags::time, bits(exemplar.time_unix_ns));
        if (!value.is_integer) { out = put_double(out, exemplar_tags::as_double, value.floating); }
        out = put_id(out, exemplar_tags::span_id, exemplar.span_id);
        out = put_id(out, exemplar_tags::trace_id, exemplar.trace_id);
        if (value.is_integer) {
            out = put_fixed64(out, exemplar_tags::as_int, bits(value.integer));
        }
        const auto& filtered = exemplar.filtered_attributes;
        out = put_bytes(out, filtered.data(), filtered.size());
    }
    return out;
}

// A packed field of eight-byte values.
template <class T>
std::size_t packed64_bytes(std::span<const T> values) noexcept {
    return values.empty() ? 0 : 1 + delimited_bytes(values.size_bytes());
}
template <class T>
char* put_packed64(char* out, char tag, std::span<const T> values) noexcept {
    static_assert(sizeof(T) == sizeof(std::uint64_t));
    if (values.empty()) { return out; }
    return put_bytes(put_length(out, tag, values.size_bytes()), values.data(), values.size_bytes());
}

// The buckets of one sign of an exponential histogram. Measured once, written once.
struct Buckets {
    explicit Buckets(const ExponentialBuckets& of) noexcept : buckets(of) {
        if (of.counts.empty()) { return; }
        for (const auto count : of.counts) { counts_bytes += varint_bytes(count); }
        message_bytes = (of.offset != 0 ? 1 + varint_bytes(zigzag(of.offset)) : 0) + 1 +
                        delimited_bytes(counts_bytes);
        field_bytes = 1 + delimited_bytes(message_bytes);
    }

    char* put(char* out, char tag) const noexcept {
        if (field_bytes == 0) { return out; }
        out = put_length(out, tag, message_bytes);
        if (buckets.offset != 0) {
            out = put_length(out, exponential_tags::offset, zigzag(buckets.offset));
        }
        out = put_length(out, exponential_tags::bucket_counts, counts_bytes);
        for (const auto count : buckets.counts) { out = put_varint(out, count); }
        return out;
    }

    const ExponentialBuckets& buckets;
    std::size_t counts_bytes = 0;
    std::size_t message_bytes = 0;
    std::size_t field_bytes = 0;
};

bool is_ascii(std::string_view text) noexcept {
    return std::all_of(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Receivers refuse a whole request for one bad byte of text.
void append_text(std::string& out, char tag, std::string_view text) {
    if (text.empty()) { return; }
    std::string repaired;
    if (!is_ascii(text)) {
        for (auto rest = text; !rest.empty();) { // Bound: each turn takes a code point off.
            const auto point = detail::leading_code_point(rest);
            repaired += point.is_good ? rest.substr(0, point.size) : "\xEF\xBF\xBD"; // U+FFFD.
            rest.remove_prefix(point.size);
        }
        text = repaired;
    }
    char start[11];
    out.append(start, static_cast<std::size_t>(put_length(start, tag, text.size()) - start));
    out += text;
}

} // namespace

MetricEncoder::MetricEncoder(MetricQueue& queue, std::size_t points_max)
    : queue_(queue), points_max_(points_max), record_max_(queue.record_max()),
      storage_(std::make_unique_for_overwrite<char[]>(record_max_)) {}

void MetricEncoder::begin(const MetricStream& stream) {
    close_record();
    texts_.clear();
    append_text(texts_, tag_name, stream.name);
    append_text(texts_, tag_description, stream.description);
    append_text(texts_, tag_unit, stream.unit);
    scope_ = stream.scope;
    kind_ = stream.kind;
    temporality_ = stream.temporality;
    is_monotonic_ = stream.is_monotonic;
    boundaries_ = stream.boundaries;
    const std::size_t length_max = varint_bytes(record_max_);
    const std::size_t start_max =
        sizeof(RecordHeader) + 1 + length_max + texts_.size() + 1 + length_max;
    // Texts that leave no room leave none for any point: each is dropped and counted.
    const bool has_room = start_max + data_end_max <= record_max_;
    first_point_ = storage_.get() + (has_room ? start_max : 0);
    points_end_ = has_room ? storage_.get() + record_max_ - data_end_max : first_point_;
    next_point_ = first_point_;
}

// Begins a point of so many bytes, in the next record if need be. Null when it is too large for any.
char* MetricEncoder::point(std::size_t bytes) noexcept {
    const std::size_t field = 1 + delimited_bytes(bytes);
    if (field > static_cast<std::size_t>(points_end_ - next_point_) || points_ == points_max_)
        [[unlikely]] {
        close_record();
        if (field > static_cast<std::size_t>(points_end_ - first_point_)) {
            queue_.drop(1, DropReason::record_too_large);
            return nullptr;
        }
    }
    char* const start = next_point_;
    next_point_ += field;
    ++points_;
    return put_length(start, tag_points, bytes);
}

void MetricEncoder::number(const NumberPoint& number) {
    const auto& attributes = number.series.attributes;
    char* out = point(
        times_bytes(number.times) + fixed64_bytes + exemplars_bytes(number.exemplars) +
        attributes.size());
    if (out == nullptr) { return; }
    const auto& value = number.value;
    out = put_times(out, number.times);
    if (!value.is_integer) { out = put_double(out, number_tags::as_double, value.floating); }
    out = put_exemplars(out, number_tags::exemplars, number.exemplars);
    if (value.is_integer) { out = put_fixed64(out, number_tags::as_int, bits(value.integer)); }
    put_bytes(out, attributes.data(), attributes.size());
    times_ = number.times;
}

void MetricEncoder::histogram(const HistogramPoint& histogram) {
    const auto& attributes = histogram.series.attributes;
    char* out = point(
        times_bytes(histogram.times) + fixed64_bytes_of(histogram.count) +
        (histogram.has_sum ? fixed64_bytes : 0) + packed64_bytes(histogram.buckets) +
        packed64_bytes(boundaries_) + exemplars_bytes(histogram.exemplars) + attributes.size() +
        (histogram.has_min_max ? 2 * fixed64_bytes : 0));
    if (out == nullptr) { return; }
    out = put_times(out, histogram.times);
    out = put_fixed64_unless_zero(out, histogram_tags::count, histogram.count);
    if (histogram.has_sum) { out = put_double(out, histogram_tags::sum, histogram.sum); }
    out = put_packed64(out, histogram_tags::bucket_counts, histogram.buckets);
    out = put_packed64(out, histogram_tags::boundaries, boundaries_);
    out = put_exemplars(out, histogram_tags::exemplars, histogram.exemplars);
    out = put_bytes(out, attributes.data(), attributes.size());
    if (histogram.has_min_max) {
        out = put_double(out, histogram_tags::min, histogram.min);
        put_double(out, histogram_tags::max, histogram.max);
    }
    times_ = histogram.times;
}

void MetricEncoder::exponential_histogram(const ExponentialHistogramPoint& histogram) {
    namespace tags = exponential_tags;
    const auto& attributes = histogram.series.attributes;
    const Buckets positive(histogram.positive);
    const Buckets negative(histogram.negative);
    const auto scale = zigzag(histogram.scale);
    const auto zero_threshold = std::bit_cast<std::uint64_t>(histogram.zero_threshold);
    char* out = point(
        attributes.size() + times_bytes(histogram.times) + fixed64_bytes_of(histogram.count) +
        (histogram.has_sum ? fixed64_bytes : 0) + (scale != 0 ? 1 + varint_bytes(scale) : 0) +
        fixed64_bytes_of(histogram.zero_count) + positive.field_bytes + negative.field_bytes +
        exemplars_bytes(histogram.exemplars) + (histogram.has_min_max ? 2 * fixed64_bytes : 0) +
        fixed64_bytes_of(zero_threshold));
    if (out == nullptr) { return; }
    out = put_bytes(out, attributes.data(), attributes.size());
    out = put_times(out, histogram.times);
    out = put_fixed64_unless_zero(out, tags::count, histogram.count);
    if (histogram.has_sum) { out = put_double(out, tags::sum, histogram.sum); }
    if (scale != 0) { out = put_length(out, tags::scale, scale); }
    out = put_fixed64_unless_zero(out, tags::zero_count, histogram.zero_count);
    out = positive.put(out, tags::positive);
    out = negative.put(out, tags::negative);
    out = put_exemplars(out, tags::exemplars, histogram.exemplars);
    if (histogram.has_min_max) {
        out = put_double(out, tags::min, histogram.min);
        out = put_double(out, tags::max, histogram.max);
    }
    put_fixed64_unless_zero(out, tags::zero_threshold, zero_threshold);
    times_ = histogram.times;
}

// Puts beginning and end around the points.
void MetricEncoder::close_record() noexcept {
    if (points_ == 0) { return; }
    char* end = next_point_;
    if (kind_ != MetricKind::gauge) {
        *end++ = tag_temporality;
        *end++ = static_cast<char>(temporality_);
    }
    if (kind_ == MetricKind::sum && is_monotonic_) {
        *end++ = tag_monotonic;
        *end++ = 1;
    }
    const auto data = static_cast<std::size_t>(end - first_point_);
    const std::size_t metric = texts_.size() + 1 + delimited_bytes(data);
    const std::size_t start_bytes = sizeof(RecordHeader) + 1 + delimited_bytes(metric) - data;
    char* const start = first_point_ - start_bytes;
    RecordHeader header;
    header.scope = scope_;
    header.items = points_;
    header.start_unix_ns = times_.start_unix_ns;
    header.end_unix_ns = times_.time_unix_ns;
    char* out = put_bytes(start, &header, sizeof header);
    out = put_length(out, tag_metric, metric);
    out = put_bytes(out, texts_.data(), texts_.size());
    put_length(out, data_tag(kind_), data);
    const std::span<const char> record(start, end);
    queue_.put(std::as_bytes(record), points_);
    next_point_ = first_point_;
    points_ = 0;
}

} // namespace weft
