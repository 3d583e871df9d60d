#include "bound_list.hpp"
#include "metric_store.hpp"

#include <weft/runtime/fork.hpp>
#include <weft/signals/detail/meter_provider.hpp>

#include <algorithm>
#include <memory>
#include <mutex>

namespace weft::detail {

namespace {

struct Kept {
    std::mutex mutex; // Guards providers.
    std::vector<std::unique_ptr<MeterProvider>> providers;
};

// Reachable from here, so that leak checkers see the intent.
Kept& kept() {
    static Kept& instance = *new Kept;
    return instance;
}

void before_fork(void*) noexcept {
    kept().mutex.lock();
    for (const auto& provider : kept().providers) { provider->lock_for_fork(); }
}
void after_fork(void*) noexcept {
    for (const auto& provider : kept().providers) { provider->unlock_after_fork(); }
    kept().mutex.unlock();
}
void after_fork_in_child(void*) noexcept {
    for (const auto& provider : kept().providers) { provider->begin_anew(); }
    after_fork(nullptr);
}
const ForkGuard providers_at_fork(
    {ForkOrder::meters, nullptr, before_fork, after_fork, after_fork_in_child});

} // namespace

MeterProvider& make_meter_provider(MetricOptions options) {
    auto provider = std::make_unique<MeterProvider>(std::move(options));
    Kept& all = kept();
    const std::lock_guard lock(all.mutex);
    all.providers.push_back(std::move(provider));
    return *all.providers.back();
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
