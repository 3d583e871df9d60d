#pragma once
#include <weft/signals/temporality.hpp>

#include <chrono>
#include <cstddef>
#include <string>

namespace weft {

/// When metrics are collected for export, and in what form.
/// Source: OpenTelemetry Metrics SDK, "Periodic exporting MetricReader" (defaults are the specification's unless marked
/// ours).
struct PeriodicReaderOptions {
    /// From the start of one collection to the start of the next; one that takes longer is followed at once. 1 ms to a day.
    std::chrono::milliseconds interval{60000};
    /// Of one collection, until its points are all in the queue. 1 ms to a day.
    std::chrono::milliseconds timeout{30000};
    TemporalityPreference temporality = TemporalityPreference::cumulative;
    bool exponential_histograms = false; ///< For histograms without a view that says otherwise.
    std::size_t points_max = 4096;       ///< Most points in one request. 1 to 2^20. Ours.
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const PeriodicReaderOptions& options);

} // namespace weft
