#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

/// The text formats that a scraper may ask for.
enum class PrometheusFormat : std::uint8_t {
    text_0_0_4,
    text_1_0_0, ///< As 0.0.4, with an escaping scheme.
    open_metrics_0_0_1,
    open_metrics_1_0_0
};

[[nodiscard]] constexpr bool is_open_metrics(PrometheusFormat format) noexcept {
    return format >= PrometheusFormat::open_metrics_0_0_1;
}

/// What becomes of characters in names that Prometheus knew no place for before version 3.
/// Source: Prometheus, "UTF-8 metric and label name escaping schemes".
enum class PrometheusEscaping : std::uint8_t {
    underscores, ///< `a.b` is `a_b`.
    allow_utf_8, ///< `a.b` stays, in quotes.
    dots,        ///< `a.b_c` is `a_dot_b__c`.
    values       ///< `a.b_c` is `U__a_2E_b__c`.
};

/// What an exposition is written in.
struct PrometheusProtocol {
    PrometheusFormat format = PrometheusFormat::text_0_0_4;
    PrometheusEscaping escaping = PrometheusEscaping::underscores;

    friend bool operator==(const PrometheusProtocol&, const PrometheusProtocol&) = default;
};

/// The Content-Type of an exposition.
[[nodiscard]] std::string content_type(PrometheusProtocol protocol);

/// The protocol that an Accept header likes best, among equals the first; `fallback` where it names none of ours or is
/// empty, for `*/*`, and for the `/` that Prometheus has been seen to send for it. Only formats of version 1.0.0 have
/// an escaping; without the parameter it is `underscores`.
/// Source: Prometheus, "Content negotiation".
[[nodiscard]] PrometheusProtocol negotiate_prometheus(
    std::string_view accept, PrometheusProtocol fallback = {});

/// Whether an Accept-Encoding header allows gzip.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding) noexcept;

/// How metric and label names are made of OpenTelemetry's. Which characters the scraper takes is a further limit.
/// Source: OpenTelemetry, "Prometheus Metrics Exporter", `translation_strategy`.
enum class PrometheusTranslation : std::uint8_t {
    underscore_escaping_with_suffixes,    ///< `foo.bar` in `By`, a counter: `foo_bar_bytes_total`.
    underscore_escaping_without_suffixes, ///< `foo_bar`. OpenMetrics demands `_total` all the same.
    no_utf8_escaping_with_suffixes,       ///< `foo.bar_bytes_total`.
    no_translation                        ///< `foo.bar`.
};

} // namespace weft
