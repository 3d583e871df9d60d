// Lines are written in the order in which streams come. A family whose streams do not come one behind the other is
// rare; only then are the pieces put in order at the end, from the list of segments.
//
// A point's lines are made of three parts: the prefix, which its stream knows (name, scope's labels); its series' own
// labels, which are kept as text in the series; and the number.

#include "prometheus_text_state.hpp"

#include <fmt/format.h>

#include <cmath>
#include <unordered_set>

namespace weft {

PrometheusText::State::State(
    PrometheusProtocol protocol_asked, const PrometheusTextOptions& options_given,
    std::string_view resource, Diagnostics& log_given)
    : protocol(protocol_asked), open_metrics(is_open_metrics(protocol.format)),
      options(options_given), naming{options.translation, protocol}, log(log_given),
      families(family_options(resource), log), out(options.bytes_max), ordered(options.bytes_max) {
    set_target_info(resource);
    // Two texts that make the same labels of the same series may use each other's.
    std::string settings{
        static_cast<char>(options.translation), static_cast<char>(protocol.escaping),
        static_cast<char>(options.scope_labels)};
    for (const auto& key : options.resource_labels) { settings.append(key).push_back('\0'); }
    const auto hash = std::hash<std::string>()(settings);
    std::memcpy(mark.data(), &hash, mark.size());
    slot = naming.may_quote() ? 1 : 0;
}

detail::PrometheusFamilies::Options PrometheusText::State::family_options(
    std::string_view resource) const {
    detail::PrometheusFamilies::Options result;
    result.naming = naming;
    result.scope_labels = options.scope_labels;
    if (options.resource_labels.empty()) { return result; }
    auto all = detail::read_labels(resource, naming, {});
    std::vector<std::string> wanted;
    for (const auto& key : options.resource_labels) {
        wanted.push_back(detail::label_name(key, naming));
    }
    std::erase_if(all.labels, [&](const detail::Label& label) {
        return std::find(wanted.begin(), wanted.end(), label.name) == wanted.end();
    });
    all.append_to(result.constant_labels);
    for (const auto& label : all.labels) { result.constant_names.push_back(label.name); }
    return result;
}

// Source: OpenTelemetry, "Prometheus and OpenMetrics Compatibility", "Resource Attributes".
void PrometheusText::State::set_target_info(std::string_view resource) {
    if (!options.target_info || resource.empty()) { return; }
    std::string labels;
    detail::read_labels(resource, naming, {}).append_to(labels);
    if (labels.empty()) { return; }
    target_info = open_metrics ? "# TYPE target info\n# HELP target Target metadata\n"
                               : "# HELP target_info Target metadata\n# TYPE target_info gauge\n";
    target_info.append("target_info{").append(labels.substr(1)).append("} 1\n");
    families.claim("target_info");
    if (open_metrics) { families.claim("target"); }
}

void PrometheusText::State::start(std::vector<std::string> names_wanted) {
    ++exposition;
    names = std::move(names_wanted);
    families.new_exposition();
    out.clear();
    segments.clear();
    points.clear();
    must_order = false;
    stream = nullptr;
    if (names.empty() || is_wanted("target_info") || (open_metrics && is_wanted("target"))) {
        out.put(target_info);
    }
}

bool PrometheusText::State::is_wanted(std::string_view name) const noexcept {
    return std::find(names.begin(), names.end(), name) != names.end();
}

void PrometheusText::State::begin(const MetricStream& metric) {
    auto& entry = families.entry_of(metric);
    shape_known = false;
    must_count = entry.family == nullptr;
    stream = nullptr;
    if (entry.family == nullptr) { return; }
    auto& family = *entry.family;
    if (!names.empty() &&
        std::none_of(family.claimed.begin(), family.claimed.end(), [this](const auto& name) {
            return is_wanted(name);
        })) {
        return;
    }
    stream = &entry;
    const auto index = static_cast<std::uint32_t>(segments.size());
    segments.push_back({&family, out.size(), 0, points.size(), 0, none});
    if (family.exposition == exposition) {
        must_order |= family.last_segment + 1 != index;
        segments[family.last_segment].next = index;
        family.may_repeat = true;
    } else {
        family.exposition = exposition;
        family.first_segment = index;
        family.may_repeat = false;
        out.put(family.header);
    }
    family.last_segment = index;
}

void PrometheusText::State::end() {
    if (stream == nullptr) { return; }
    auto& segment = segments.back();
    segment.end = out.size();
    segment.points_end = points.size();
    must_order |= stream->family->may_repeat;
    stream = nullptr;
}

// Labels as they are kept in a series: the mark of the settings, the shape, two flags, `,a="b",c="d"`.
std::string_view PrometheusText::State::labels_of(const MetricSeries& series) {
    std::string& text = series.text[slot];
    if (text.size() < kept_head || std::memcmp(text.data(), mark.data(), mark.size()) != 0)
        [[unlikely]] {
        const auto labels = detail::read_labels(series.attributes, naming, stream->taken);
        text.assign(mark.data(), mark.size());
        text.append(reinterpret_cast<const char*>(&labels.shape), sizeof labels.shape);
        text.push_back(labels.changed ? 1 : 0);
        text.push_back(labels.joined ? 1 : 0);
        labels.append_to(text);
    }
    // Two series can only come out alike if keys were joined, or if they have different keys, some of them changed.
    std::uint32_t shape;
    std::memcpy(&shape, text.data() + mark.size(), sizeof shape);
    const bool changed = text[kept_head - 2] != 0;
    if (!shape_known) {
        shape_known = true;
        first_shape = shape;
        any_changed = changed;
        shapes_differ = false;
    }
    any_changed |= changed;
    shapes_differ |= shape != first_shape;
    if (text[kept_head - 1] != 0 || (any_changed && shapes_differ)) {
        stream->family->may_repeat = true;
    }
    return std::string_view(text).substr(kept_head);
}

char* PrometheusText::State::put_head(
    char* to, const detail::LinePrefix& prefix, std::string_view labels) const noexcept {
    if (labels.empty() && !prefix.bare.empty()) {
        to = detail::put_text(to, prefix.bare);
        *to++ = ' ';
        return to;
    }
    to = detail::put_text(to, prefix.text);
    to = detail::put_text(to, prefix.has_labels || labels.empty() ? labels : labels.substr(1));
    *to++ = '}';
    *to++ = ' ';
    return to;
}

void PrometheusText::State::drop(std::string_view what) {
    ++points_dropped;
    log.report(DiagnosticLevel::warning, "prometheus.point_dropped", [&] {
        return fmt::format(
            "a point of metric \"{}\" is not exposed: {}", printable(stream->name, 128), what);
    });
}

void PrometheusText::State::number(const NumberPoint& point) {
    if (stream == nullptr) {
        points_dropped += must_count ? 1 : 0;
        return;
    }
    const bool counter = stream->type == detail::FamilyType::counter;
    if (counter && open_metrics && !(point.value.as_double() >= 0)) {
        return drop("OpenMetrics has no counter that is below zero or not a number");
    }
    const auto labels = labels_of(point.series);
    char* const begin_at = out.room(2 * (stream->line_bytes_max + labels.size()));
    char* to = put_head(begin_at, stream->sample, labels);
    to = point.value.is_integer ? detail::put_integer(to, point.value.integer)
                                : detail::put_double(to, point.value.floating, open_metrics);
    const auto begin = out.size();
    if (counter && open_metrics) {
        if (!point.exemplars.empty()) [[unlikely]] {
            out.advance_to(to);
            put_exemplar(latest(point.exemplars));
            to = out.room(stream->line_bytes_max + labels.size() + 1);
        }
        *to++ = '\n';
        to = put_created(to, point.times, labels);
    } else {
        *to++ = '\n';
    }
    out.advance_to(to);
    add_point(begin, stream->sample, labels.size());
}

void PrometheusText::State::add_point(
    std::size_t begin, const detail::LinePrefix& prefix, std::size_t labels) {
    const bool bare = labels == 0 && !prefix.bare.empty();
    const auto skipped = bare ? prefix.bare.size() : prefix.text.size();
    const auto shown = labels == 0 || prefix.has_labels ? labels : labels - 1;
    points.push_back({begin, out.size(), static_cast<std::uint32_t>(skipped), shown});
}

char* PrometheusText::State::put_created(
    char* to, const MetricPointTimes& times, std::string_view labels) const noexcept {
    if (!options.created || times.start_unix_ns <= 0) { return to; }
    to = detail::put_seconds(put_head(to, stream->created, labels), times.start_unix_ns);
    *to++ = '\n';
    return to;
}

std::string_view PrometheusText::State::finish() {
    stream = nullptr;
    if (must_order) { put_in_order(); }
    if (open_metrics) { out.put("# EOF\n"); }
    names.clear();
    return out.text();
}

// Families in order of their first segments, each in one piece, and of points with equal labels the first.
void PrometheusText::State::put_in_order() {
    const auto text = out.text();
    const auto piece = [&](std::size_t begin, std::size_t end) {
        ordered.put(text.substr(begin, end - begin));
    };
    std::unordered_set<std::string_view> seen;
    ordered.clear();
    piece(0, segments.empty() ? text.size() : segments.front().begin);
    for (std::uint32_t i = 0; i < segments.size(); ++i) {
        const auto& family = *segments[i].family;
        if (family.first_segment != i) { continue; }
        seen.clear();
        for (auto index = i; index != none; index = segments[index].next) {
            const auto& segment = segments[index];
            if (!family.may_repeat) {
                piece(segment.begin, segment.end);
                continue;
            }
            auto from = segment.begin;
            for (auto p = segment.points_begin; p < segment.points_end; ++p) {
                const auto& point = points[p];
                const auto labels = text.substr(point.begin, point.labels_at + point.labels_size);
                if (seen.insert(labels).second) { continue; }
                piece(from, point.begin);
                from = point.end;
                ++points_dropped;
                log.report(DiagnosticLevel::warning, "prometheus.equal_labels", [&] {
                    return fmt::format(
                        "points of {} have equal labels; only the first is exposed",
                        printable(family.name, 128));
                });
            }
            piece(from, segment.end);
        }
    }
    out.swap(ordered);
    ordered.clear();
}

PrometheusText::PrometheusText(
    PrometheusProtocol protocol, const PrometheusTextOptions& options, std::string_view resource,
    Diagnostics& log)
    : state_(std::make_unique<State>(protocol, options, resource, log)) {}
PrometheusText::~PrometheusText() = default;
PrometheusText::PrometheusText(PrometheusText&&) noexcept = default;
PrometheusText& PrometheusText::operator=(PrometheusText&&) noexcept = default;

void PrometheusText::start(std::vector<std::string> names) { state_->start(std::move(names)); }
std::string_view PrometheusText::finish() { return state_->finish(); }
void PrometheusText::trim(std::size_t bytes_max) noexcept {
    state_->out.trim(bytes_max);
    state_->ordered.trim(bytes_max);
}
PrometheusProtocol PrometheusText::protocol() const noexcept { return state_->protocol; }
std::uint64_t PrometheusText::points_dropped() const noexcept { return state_->points_dropped; }

void PrometheusText::begin(const MetricStream& stream) { state_->begin(stream); }
void PrometheusText::number(const NumberPoint& point) { state_->number(point); }
void PrometheusText::histogram(const HistogramPoint& point) { state_->histogram(point); }
void PrometheusText::exponential_histogram(const ExponentialHistogramPoint& point) {
    state_->exponential_histogram(point);
}
void PrometheusText::end() { state_->end(); }

std::string problem_in(const PrometheusTextOptions& options) {
    constexpr std::size_t bytes_low = 4096;
    constexpr std::size_t bytes_high = std::size_t{2} << 30;
    if (options.bytes_max < bytes_low || options.bytes_max > bytes_high) {
        return fmt::format(
            "bytes_max is {}: allowed is {} to {}", options.bytes_max, bytes_low, bytes_high);
    }
    if (options.exponential_buckets_max < 2 || options.exponential_buckets_max > 640) {
        return fmt::format(
            "exponential_buckets_max is {}: allowed is 2 to 640", options.exponential_buckets_max);
    }
    return {};
}

} // namespace weft
