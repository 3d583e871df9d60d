#include "prometheus_families.hpp"

#include "prometheus_number.hpp"

#include <weft/signals/scope.hpp>

#include <fmt/format.h>
#include <protozero/pbf_reader.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace weft::detail {
namespace {

constexpr std::size_t forget_from = 1024; // Fewer entries are never worth forgetting.
constexpr std::size_t name_bytes_shown = 128;

std::string_view type_name(FamilyType type) noexcept {
    constexpr std::array<std::string_view, 3> names{"counter", "gauge", "histogram"};
    return names[static_cast<std::size_t>(type)];
}

FamilyType type_of(const MetricStream& stream) noexcept {
    switch (stream.kind) {
    case MetricKind::sum:
        return stream.is_monotonic ? FamilyType::counter : FamilyType::gauge;
    case MetricKind::gauge:
        return FamilyType::gauge;
    case MetricKind::histogram:
    case MetricKind::exponential_histogram:
        break;
    }
    return FamilyType::histogram;
}

} // namespace

bool StreamEntry::is(const MetricStream& stream) const noexcept {
    return scope == stream.scope && kind == stream.kind && temporality == stream.temporality &&
           is_monotonic == stream.is_monotonic && name == stream.name && unit == stream.unit &&
           description == stream.description &&
           std::equal(
               boundaries.begin(), boundaries.end(), stream.boundaries.begin(),
               stream.boundaries.end());
}

PrometheusFamilies::PrometheusFamilies(Options options, Diagnostics& log)
    : options_(std::move(options)), log_(log) {}

void PrometheusFamilies::claim(std::string_view name) {
    own_names_.emplace_back(name);
    claims_.emplace(name, nullptr);
}

StreamEntry& PrometheusFamilies::entry_of(const MetricStream& stream) {
    StreamEntry*& guess = last_ != nullptr ? last_->next : first_;
    ++seen_;
    if (guess != nullptr && guess->is(stream)) [[likely]] { return *(last_ = guess); }
    const auto [begin, end] = entries_.equal_range(stream.name);
    const auto found =
        std::find_if(begin, end, [&](const auto& known) { return known.second->is(stream); });
    if (found != end) { return *(last_ = guess = found->second.get()); }
    auto made = make(stream);
    StreamEntry& entry = *entries_.emplace(made->name, std::move(made))->second;
    return *(last_ = guess = &entry);
}

void PrometheusFamilies::new_exposition() {
    if (entries_.size() > forget_from && entries_.size() > 2 * seen_) {
        entries_.clear();
        families_.clear();
        claims_.clear();
        first_ = nullptr;
        for (const auto& name : own_names_) { claims_.emplace(name, nullptr); }
    }
    last_ = nullptr;
    seen_ = 0;
}

std::string PrometheusFamilies::bound_text(double bound) const {
    std::array<char, number_bytes_max> text;
    char* const end =
        put_bound(text.data(), bound, is_open_metrics(options_.naming.protocol.format));
    std::string out = "le=\"";
    out.append(text.data(), end).append("\"} ");
    return out;
}

std::unique_ptr<StreamEntry> PrometheusFamilies::make(const MetricStream& stream) {
    auto entry = std::make_unique<StreamEntry>();
    entry->scope = stream.scope;
    entry->kind = stream.kind;
    entry->temporality = stream.temporality;
    entry->is_monotonic = stream.is_monotonic;
    entry->name = stream.name;
    entry->description = stream.description;
    entry->unit = stream.unit;
    entry->boundaries.assign(stream.boundaries.begin(), stream.boundaries.end());
    entry->type = type_of(stream);
    if (stream.kind != MetricKind::gauge && stream.temporality == Temporality::delta) {
        report(*entry, "it is delta; the reader must be cumulative");
        return entry;
    }

    auto name = family_name(stream.name, stream.unit, stream.kind, entry->type, options_.naming);
    set_family(*entry, name);
    if (entry->family == nullptr) { return entry; }

    std::string labels;
    if (options_.scope_labels) { labels = scope_labels(stream.scope, entry->taken); }
    labels += options_.constant_labels;
    entry->taken.insert(
        entry->taken.end(), options_.constant_names.begin(), options_.constant_names.end());
    entry->sample = prefix(name.sample, labels);
    entry->created = prefix(name.base + "_created", labels);
    if (entry->type == FamilyType::histogram) {
        entry->taken.emplace_back("le");
        entry->bucket = prefix(name.base + "_bucket", labels);
        entry->count = prefix(name.base + "_count", labels);
        entry->sum = prefix(name.base + "_sum", labels);
        for (const double bound : entry->boundaries) {
            entry->bounds.push_back(std::isinf(bound) && bound > 0 ? "" : bound_text(bound));
        }
        entry->bounds.push_back("le=\"+Inf\"} ");
    }
    entry->line_bytes_max =
        2 * number_bytes_max + 32 +
        std::max(
            {entry->sample.text.size(), entry->created.text.size(), entry->bucket.text.size()});
    return entry;
}

// `,otel_scope_name="..."` and so on; empty ones are left out, as they would mean nothing.
std::string PrometheusFamilies::scope_labels(
    std::uint16_t scope, std::vector<std::string>& names) const {
    const auto encoded = encoded_scope(scope);
    Labels labels;
    std::string attributes; // KeyValue fields, one behind the other.
    const auto add = [&](std::string_view name, std::string_view value) {
        names.emplace_back(label_name(name, options_.naming));
        if (!value.empty()) { labels.labels.push_back({names.back(), std::string(value)}); }
    };
    std::string_view name;
    std::string_view version;
    protozero::pbf_reader reader(encoded.message.data(), encoded.message.size());
    std::vector<Label> own;
    while (reader.next()) {
        switch (reader.tag()) {
        case 1: {
            const auto text = reader.get_view();
            name = {text.data(), text.size()};
            break;
        }
        case 2: {
            const auto text = reader.get_view();
            version = {text.data(), text.size()};
            break;
        }
        case 3: {
            std::string_view key;
            std::string_view value;
            for (auto field = reader.get_message(); field.next();) {
                const auto tag = field.tag(); // Before its value is taken.
                const auto text = field.get_view();
                (tag == 1 ? key : value) = {text.data(), text.size()};
            }
            std::string text;
            append_value_text(text, value);
            own.push_back({"otel_scope_" + std::string(key), std::move(text)});
            break;
        }
        default:
            reader.skip();
        }
    }
    add("otel_scope_name", name);
    add("otel_scope_version", version);
    add("otel_scope_schema_url", encoded.schema_url);
    const auto specified = labels.labels.size();
    for (const auto& label : own) {
        const auto made = label_name(label.name, options_.naming);
        // Those that would take the place of another are left out.
        if (std::find(names.begin(), names.end(), made) == names.end()) {
            add(label.name, label.value);
        }
    }
    sort_labels(std::span(labels.labels).subspan(specified));
    std::string text;
    labels.append_to(text);
    return text;
}

// Joins the family of the name, or makes it. A name that another family has, as its own or of one of its samples,
// cannot be had.
void PrometheusFamilies::set_family(StreamEntry& entry, const FamilyName& name) {
    const bool open_metrics = is_open_metrics(options_.naming.protocol.format);
    const bool counter = entry.type == FamilyType::counter;
    const auto& family_text = counter && !open_metrics ? name.sample : name.base;
    if (const auto known = claims_.find(family_text); known != claims_.end()) {
        Family* const family = known->second;
        if (family == nullptr || family->name != family_text || family->type != entry.type) {
            report(
                entry, fmt::format(
                           "the name {} belongs to {}", printable(family_text, name_bytes_shown),
                           family == nullptr ? std::string("target_info")
                                             : fmt::format("a {}", type_name(family->type))));
            return;
        }
        if (family->help != entry.description) {
            log_.report(DiagnosticLevel::warning, "prometheus.help", [&] {
                return fmt::format(
                    "metric \"{}\": {} has another description already, which is kept",
                    printable(entry.name, name_bytes_shown),
                    printable(family_text, name_bytes_shown));
            });
        }
        entry.family = family;
        return;
    }
    auto family = std::make_unique<Family>();
    family->name = family_text;
    family->type = entry.type;
    family->help = entry.description;
    family->claimed.push_back(family_text);
    if (name.sample != family_text) { family->claimed.push_back(name.sample); }
    if (entry.type == FamilyType::histogram) {
        for (const auto* suffix : {"_bucket", "_count", "_sum"}) {
            family->claimed.push_back(name.base + suffix);
        }
    }
    if (open_metrics && entry.type != FamilyType::gauge) {
        family->claimed.push_back(name.base + "_created");
    }
    for (const auto& claimed : family->claimed) {
        if (claims_.contains(claimed)) {
            report(
                entry, fmt::format(
                           "its sample {} has the name of another metric",
                           printable(claimed, name_bytes_shown)));
            return;
        }
    }
    family->header = header_of(*family, name, entry.description);
    for (const auto& claimed : family->claimed) { claims_.emplace(claimed, family.get()); }
    entry.family = families_.emplace_back(std::move(family)).get();
}

LinePrefix PrometheusFamilies::prefix(const std::string& name, std::string_view labels) const {
    LinePrefix result;
    if (is_classic_name(name, true)) {
        result.bare = name;
        result.text = name + "{";
        if (!labels.empty()) { result.text += labels.substr(1); }
        result.has_labels = !labels.empty();
    } else { // The name is the first thing inside of the braces, and takes the comma.
        result.text = "{";
        append_name(result.text, name, true);
        result.bare = result.text + "}";
        result.text += labels;
        result.has_labels = true;
    }
    if (!labels.empty()) { result.bare.clear(); }
    return result;
}

std::string PrometheusFamilies::header_of(
    const Family& family, const FamilyName& name, std::string_view description) const {
    const bool open_metrics = is_open_metrics(options_.naming.protocol.format);
    std::string shown;
    append_name(shown, family.name, true);
    std::string type = fmt::format("# TYPE {} {}\n", shown, type_name(family.type));
    std::string help;
    if (!description.empty()) {
        help = "# HELP " + shown + " ";
        append_escaped(help, description, open_metrics);
        help += "\n";
    }
    if (!open_metrics) { return help + type; }
    if (!name.unit.empty()) { type += fmt::format("# UNIT {} {}\n", shown, name.unit); }
    return type + help;
}

void PrometheusFamilies::report(const StreamEntry& entry, std::string_view reason) const {
    log_.report(DiagnosticLevel::warning, "prometheus.not_exposed", [&] {
        return fmt::format(
            "metric \"{}\" is not exposed: {}", printable(entry.name, name_bytes_shown), reason);
    });
}

} // namespace weft::detail
