#include "attribute_key.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/signals/metric_group.hpp>

#include <fmt/format.h>

#include <stdexcept>

namespace weft {

namespace detail {

std::string encode_labels(std::string_view common, std::span<const Attribute> attributes) {
    const AttributeKey key(common, attributes);
    if (key.too_large()) { throw std::length_error("attributes of more than 64 KiB"); }
    return std::string(key.bytes());
}

} // namespace detail

namespace {

std::string join(std::string_view outer, std::string_view name) {
    if (outer.empty()) { return std::string(name); }
    std::string joined(outer);
    if (!name.empty()) { joined.append(".").append(name); }
    return joined;
}

} // namespace

MetricGroup::MetricGroup(
    const Meter& meter, std::string_view prefix, std::span<const Attribute> attributes)
    : MetricGroup(meter, {}, prefix, {}, attributes) {}

MetricGroup::MetricGroup(
    const Meter& meter, std::string_view outer, std::string_view prefix, std::string_view common,
    std::span<const Attribute> attributes)
    : meter_(meter), prefix_(join(outer, prefix)) {
    std::string encoded;
    try {
        encoded = detail::encode_labels(common, attributes);
    } catch (const std::length_error&) {
        meter_ = meter_.bound_to(nullptr);
        diagnostics().report(
            DiagnosticLevel::error, "metrics.group",
            fmt::format(
                "the instruments of metric group \"{}\" record nothing: its attributes have more "
                "than 64 KiB",
                printable(prefix_, 255)));
    }
    common_ = std::make_shared<const std::string>(std::move(encoded));
}

MetricGroup MetricGroup::group(
    std::string_view prefix, std::initializer_list<Attribute> attributes) const {
    return MetricGroup(meter_, prefix_, prefix, *common_, detail::as_span(attributes));
}

detail::KeptInstrument MetricGroup::keep(
    InstrumentKind kind, bool is_integer, std::string_view name, const InstrumentOptions& options,
    const std::source_location& where) const {
    const auto joined = name.empty() ? std::string() : join(prefix_, name);
    return detail::keep_instrument(
        detail::InstrumentBase(meter_, kind, is_integer, joined, options, where));
}

} // namespace weft
