#pragma once
// From OpenTelemetry's names and attributes to Prometheus's: characters, units, suffixes, escaping, labels.
// Strategy first, then the escaping that the scraper asked for.

#include <weft/exporters/prometheus_format.hpp>
#include <weft/signals/metric_points.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

/// How names are made: what was configured, and what was negotiated.
struct PrometheusNaming {
    PrometheusTranslation translation = PrometheusTranslation::underscore_escaping_with_suffixes;
    PrometheusProtocol protocol{};

    [[nodiscard]] bool translates() const noexcept {
        return translation == PrometheusTranslation::underscore_escaping_with_suffixes ||
               translation == PrometheusTranslation::underscore_escaping_without_suffixes;
    }
    [[nodiscard]] bool has_suffixes() const noexcept {
        return translation == PrometheusTranslation::underscore_escaping_with_suffixes ||
               translation == PrometheusTranslation::no_utf8_escaping_with_suffixes;
    }
    /// Whether names may need quotes.
    [[nodiscard]] bool may_quote() const noexcept {
        return protocol.escaping == PrometheusEscaping::allow_utf_8 && !translates();
    }
};

enum class FamilyType : std::uint8_t { counter, gauge, histogram };

struct FamilyName {
    std::string base;   ///< Of all samples, before `_total`, `_bucket` and the like.
    std::string sample; ///< Of a counter's or gauge's sample.
    std::string unit;   ///< For a UNIT line; empty where the name does not end with it.
};

[[nodiscard]] FamilyName family_name(
    std::string_view name, std::string_view unit, MetricKind kind, FamilyType type,
    const PrometheusNaming& naming);

/// The word for a unit, in characters that every name may have; empty for none.
/// Source: OpenTelemetry, "Prometheus and OpenMetrics Compatibility", "Metric Metadata".
[[nodiscard]] std::string unit_word(std::string_view unit);

[[nodiscard]] std::string label_name(std::string_view key, const PrometheusNaming& naming);

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`; for labels without the colon.
[[nodiscard]] bool is_classic_name(std::string_view name, bool colon) noexcept;

/// Appends text with `\`, newline and, if asked, `"` escaped; what is not UTF-8 becomes U+FFFD.
void append_escaped(std::string& out, std::string_view text, bool quotes);

/// Appends a name, in quotes if it is none that every scraper takes.
void append_name(std::string& out, std::string_view name, bool colon);

/// An attribute's text: a string as it is, bytes in base64, all else as in JSON.
/// Source: OpenTelemetry common, "AnyValue representation for non-OTLP protocols".
void append_value_text(std::string& out, std::string_view any_value);

struct Label {
    std::string name;
    std::string value;
};

/// By name: equal sets of labels are then equal texts, whatever keys they were made of.
void sort_labels(std::span<Label> labels);

/// What the attributes of one series came to.
struct Labels {
    std::vector<Label> labels; ///< Sorted, unique names, no empty values.
    std::uint32_t shape = 0;   ///< Hash of the keys and the types of their values.
    bool changed = false;      ///< A label does not say everything that its attribute did.
    bool joined = false;       ///< Several keys became one label.

    /// Appends `,name="value"` for each.
    void append_to(std::string& out) const;
};

/// Reads KeyValue fields, whatever tag they have. Keys that become equal: their values joined by ';' in order of the
/// keys. A label that is one of `taken` is called `exported_<name>`, as Prometheus itself calls such.
/// Errors: protozero::exception: not what an encoder of ours wrote.
[[nodiscard]] Labels read_labels(
    std::string_view key_values, const PrometheusNaming& naming,
    std::span<const std::string> taken);

} // namespace weft::detail
