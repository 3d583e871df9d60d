#pragma once
#include <weft/custom_metrics/options.hpp>
#include <weft/signals/attribute.hpp>
#include <weft/signals/temporality.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

/// Why a request is not taken.
struct CustomMetricsRefusal {
    unsigned status = 400;
    std::optional<std::size_t> index{}; ///< Of the item.
    std::string field{};                ///< Empty: the item, or the request, as a whole.
    std::string reason{};
};

/// One measurement. Lifetime: of the reader.
struct CustomMetricsItem {
    InstrumentKind kind = InstrumentKind::counter;
    std::string name; ///< With the prefix.
    std::string key;  ///< The same in small letters: what names are compared by.
    double value = 0;
    std::optional<std::string_view> unit{};
    std::string_view description{};
    std::size_t labels_begin = 0;
    std::size_t labels_end = 0;
};

/// "counter", "gauge", "histogram" or "updowncounter".
[[nodiscard]] std::string_view type_name(InstrumentKind kind) noexcept;

/// Reads one body. Whatever it holds, nothing but std::bad_alloc is thrown.
class CustomMetricsReader {
public:
    /// Lifetime: `options` outlive the reader.
    explicit CustomMetricsReader(const CustomMetricsOptions& options);
    ~CustomMetricsReader();

    /// Nullopt: it is all right. `now_ns`: wall time, since 1970.
    [[nodiscard]] std::optional<CustomMetricsRefusal> read(
        std::string_view body, std::int64_t now_ns);
    [[nodiscard]] std::span<const CustomMetricsItem> items() const noexcept { return items_; }
    [[nodiscard]] std::span<const Attribute> labels(const CustomMetricsItem& item) const noexcept {
        return std::span(labels_).subspan(item.labels_begin, item.labels_end - item.labels_begin);
    }

private:
    struct Json;
    const CustomMetricsOptions& options_;
    std::unique_ptr<Json> json_; // What the views of items and labels point into.
    std::vector<CustomMetricsItem> items_;
    std::vector<Attribute> labels_;
};

} // namespace weft::detail
