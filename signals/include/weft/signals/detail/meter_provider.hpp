#pragma once
// What a runtime does with its metrics. Everything behind it is private to signals.

#include <weft/signals/cardinality.hpp>
#include <weft/signals/instrument.hpp>
#include <weft/signals/metric_view.hpp>

#include <cstdint>
#include <vector>

namespace weft::detail {

/// Made for a runtime and never freed: instruments may refer to it later. `options` have no problem.
/// Errors: std::bad_alloc.
[[nodiscard]] MeterProvider& make_meter_provider(MetricOptions options);

/// Makes it the process's default, unless another one is. True if it is now.
bool claim_default(MeterProvider& provider) noexcept;

/// From now on measurements go nowhere. Readers can still collect what there is.
void close(MeterProvider& provider) noexcept;

struct MeterProviderCounts {
    std::uint64_t refused_values =
        0;                  ///< Negative, infinite or NaN where the instrument takes none.
    std::uint64_t lost = 0; ///< For want of memory.
};
[[nodiscard]] MeterProviderCounts counts(const MeterProvider& provider) noexcept;

/// Streams with most series first. Errors: std::bad_alloc.
[[nodiscard]] std::vector<CardinalityReport> cardinality(const MeterProvider& provider);

} // namespace weft::detail
