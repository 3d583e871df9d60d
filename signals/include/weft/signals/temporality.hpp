#pragma once
#include <cstdint>

namespace weft {

/// Whether a point covers the time since the last collection or since the series began. The values are OTLP's.
enum class Temporality : std::uint8_t { delta = 1, cumulative = 2 };

/// The kinds of instruments. Source: OpenTelemetry Metrics API, "Instrument".
enum class InstrumentKind : std::uint8_t {
    counter,
    up_down_counter,
    histogram,
    gauge,
    observable_counter,
    observable_up_down_counter,
    observable_gauge
};

[[nodiscard]] constexpr bool is_observable(InstrumentKind kind) noexcept {
    return kind >= InstrumentKind::observable_counter;
}

/// What `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` chooses from.
enum class TemporalityPreference : std::uint8_t {
    cumulative, ///< Everything cumulative.
    delta,      ///< Counters and histograms delta, up-down counters cumulative.
    low_memory  ///< As delta, but observable counters cumulative.
};

/// Source: OTLP metrics exporter, "Additional Environment Variable Configuration".
[[nodiscard]] constexpr Temporality temporality_of(
    TemporalityPreference preference, InstrumentKind kind) noexcept {
    switch (kind) {
    case InstrumentKind::counter:
    case InstrumentKind::histogram:
    case InstrumentKind::gauge:
    case InstrumentKind::observable_gauge:
        return preference == TemporalityPreference::cumulative ? Temporality::cumulative
                                                               : Temporality::delta;
    case InstrumentKind::observable_counter:
        return preference == TemporalityPreference::delta ? Temporality::delta
                                                          : Temporality::cumulative;
    case InstrumentKind::up_down_counter:
    case InstrumentKind::observable_up_down_counter:
        break;
    }
    return Temporality::cumulative;
}

} // namespace weft
