#include "ascii.hpp"
#include "prometheus_fields.hpp"

#include <weft/exporters/prometheus_format.hpp>

#include <array>
#include <optional>

namespace weft {
namespace {

using detail::FieldItem;
using detail::next_item;
using detail::same_name;

constexpr std::size_t items_max = 64; // Of one header; what comes behind is not read.

constexpr std::array<std::string_view, 4> escaping_names{
    "underscores", "allow-utf-8", "dots", "values"};

std::optional<PrometheusEscaping> escaping_of(std::string_view name) noexcept {
    for (std::size_t i = 0; i < escaping_names.size(); ++i) {
        if (same_name(name, escaping_names[i])) { return static_cast<PrometheusEscaping>(i); }
    }
    return std::nullopt;
}

std::optional<PrometheusFormat> format_of(std::string_view type, std::string_view version) {
    if (same_name(type, "text/plain")) {
        if (version.empty() || version == "0.0.4") { return PrometheusFormat::text_0_0_4; }
        if (version == "1.0.0") { return PrometheusFormat::text_1_0_0; }
    }
    if (same_name(type, "application/openmetrics-text")) {
        if (version.empty() || version == "1.0.0") { return PrometheusFormat::open_metrics_1_0_0; }
        if (version == "0.0.1") { return PrometheusFormat::open_metrics_0_0_1; }
    }
    return std::nullopt;
}

bool has_escaping(PrometheusFormat format) noexcept {
    return format == PrometheusFormat::text_1_0_0 || format == PrometheusFormat::open_metrics_1_0_0;
}

std::optional<PrometheusProtocol> protocol_of(const FieldItem& item, PrometheusProtocol fallback) {
    if (item.name == "*/*" || item.name == "/" || item.name == "*") { return fallback; }
    if (same_name(item.name, "text/*")) { return PrometheusProtocol{}; }
    const auto format = format_of(item.name, item.parameter("version"));
    if (!format) { return std::nullopt; }
    PrometheusProtocol protocol{*format, PrometheusEscaping::underscores};
    if (has_escaping(*format)) {
        protocol.escaping =
            escaping_of(item.parameter("escaping")).value_or(PrometheusEscaping::underscores);
    }
    return protocol;
}

} // namespace

std::string content_type(PrometheusProtocol protocol) {
    std::string text;
    switch (protocol.format) {
    case PrometheusFormat::text_0_0_4:
        return "text/plain; version=0.0.4; charset=utf-8";
    case PrometheusFormat::open_metrics_0_0_1:
        return "application/openmetrics-text; version=0.0.1; charset=utf-8";
    case PrometheusFormat::text_1_0_0:
        text = "text/plain; version=1.0.0; charset=utf-8";
        break;
    case PrometheusFormat::open_metrics_1_0_0:
        text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        break;
    }
    text += "; escaping=";
    text += escaping_names[static_cast<std::size_t>(protocol.escaping)];
    return text;
}

PrometheusProtocol negotiate_prometheus(std::string_view accept, PrometheusProtocol fallback) {
    std::optional<PrometheusProtocol> best;
    int best_quality = 0;
    for (std::size_t i = 0; i < items_max && !accept.empty(); ++i) {
        const FieldItem item = next_item(accept);
        const int quality = item.quality();
        if (quality <= best_quality) { continue; }
        if (const auto protocol = protocol_of(item, fallback)) {
            best = protocol;
            best_quality = quality;
        }
    }
    return best.value_or(fallback);
}

bool accepts_gzip(std::string_view accept_encoding) noexcept {
    std::optional<bool> named;
    bool any = false;
    for (std::size_t i = 0; i < items_max && !accept_encoding.empty(); ++i) {
        const FieldItem item = next_item(accept_encoding);
        const bool wanted = item.quality() > 0;
        if (same_name(item.name, "gzip") || same_name(item.name, "x-gzip")) { named = wanted; }
        if (item.name == "*") { any = wanted; }
    }
    return named.value_or(any);
}

} // namespace weft
