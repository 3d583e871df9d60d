#include "bound_list.hpp"
#include "metric_store.hpp"

#include <weft/signals/detail/meter_provider.hpp>

#include <algorithm>
#include <memory>
#include <mutex>

namespace weft::detail {

MeterProvider& make_meter_provider(MetricOptions options) {
    // Reachable from here, so that leak checkers see the intent.
    static std::mutex& mutex = *new std::mutex; // Guards kept.
    static auto& kept = *new std::vector<std::unique_ptr<MeterProvider>>;
    auto provider = std::make_unique<MeterProvider>(std::move(options));
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(provider));
    return *kept.back();
}

bool claim_default(MeterProvider& provider) noexcept {
    MeterProvider* nobody = nullptr;
    // release: see default_meter_provider.
    const bool is_first = default_meter_provider.compare_exchange_strong(
        nobody, &provider, std::memory_order_release, std::memory_order_relaxed);
    if (is_first) { resolve_bound_instruments(); }
    return is_first;
}

void close(MeterProvider& provider) noexcept {
    auto* self = &provider;
    provider.accepting.store(false, std::memory_order_relaxed); // See MeterProvider::accepting.
    // relaxed: a late measurement finds a provider that is still there.
    (void)default_meter_provider.compare_exchange_strong(
        self, nullptr, std::memory_order_relaxed, std::memory_order_relaxed);
    resolve_bound_instruments();
}

MeterProviderCounts counts(const MeterProvider& provider) noexcept {
    // relaxed: counters.
    return {
        provider.refused_values.load(std::memory_order_relaxed),
        provider.lost.load(std::memory_order_relaxed)};
}

std::vector<CardinalityReport> cardinality(const MeterProvider& provider) {
    std::vector<CardinalityReport> reports;
    for (const auto* stream : provider.streams()) {
        const auto& descriptor = *stream->instrument->descriptor;
        auto& report = reports.emplace_back();
        report.meter = descriptor.meter_name;
        report.name = stream->name;
        report.file = descriptor.file;
        report.line = descriptor.line;
        report.limit = stream->limit;
        report.overflowed = stream->overflowed.load(std::memory_order_relaxed); // Counters.
        report.rejected = stream->rejected.load(std::memory_order_relaxed);
        const std::lock_guard lock(stream->mutex);
        report.series = stream->count;
        report.keys = stream->sketch.report();
    }
    std::stable_sort(reports.begin(), reports.end(), [](const auto& a, const auto& b) {
        return a.series > b.series;
    });
    return reports;
}

} // namespace weft::detail
