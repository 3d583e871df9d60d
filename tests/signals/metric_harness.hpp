#pragma once
// A provider of metrics for one test: a meter of its own, so that no other test's instruments are in the way.

#include "metric_store.hpp"

#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/manual_clock.hpp>
#include <weft/signals/counter.hpp>
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/gauge.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/signals/metric_reader.hpp>
#include <weft/signals/observable.hpp>
#include <weft/testing/metric_capture.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weft::testing {

class Metrics {
public:
    explicit Metrics(MetricOptions options = {})
        : provider_(detail::make_meter_provider(std::move(options))), meter_(fresh_name()) {}
    explicit Metrics(std::vector<View> views) : Metrics(MetricOptions{.views = std::move(views)}) {}
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;
    ~Metrics() { detail::close(provider_); }

    [[nodiscard]] detail::MeterProvider& provider() noexcept { return provider_; }
    [[nodiscard]] Meter meter() const noexcept { return meter_.bound_to(&provider_); }
    [[nodiscard]] MetricReader reader(
        TemporalityPreference temporality = TemporalityPreference::cumulative) {
        return MetricReader(provider_, {.temporality = temporality});
    }
    [[nodiscard]] detail::MeterProviderCounts counts() const noexcept {
        return detail::counts(provider_);
    }

private:
    // The texts of meters must live as long as the process's table of scopes.
    static std::string_view fresh_name() {
        static auto& names = *new std::deque<std::string>;
        return names.emplace_back("test." + std::to_string(names.size()));
    }
    detail::MeterProvider& provider_;
    Meter meter_;
};

/// The library's own log while it lives.
class Reports {
public:
    Reports() {
        diagnostics().set_handler([this](const Diagnostic& diagnostic) {
            const std::lock_guard lock(mutex_);
            lines_.emplace_back(diagnostic.key, diagnostic.message);
        });
    }
    Reports(const Reports&) = delete;
    Reports& operator=(const Reports&) = delete;
    ~Reports() { diagnostics().set_handler(nullptr); }

    [[nodiscard]] std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return lines_.size();
    }
    /// The one message, or what there is instead.
    [[nodiscard]] std::string only() const {
        const std::lock_guard lock(mutex_);
        if (lines_.size() == 1) { return lines_.front().second; }
        std::string all = std::to_string(lines_.size()) + " messages:";
        for (const auto& [key, message] : lines_) { all += '\n' + message; }
        return all;
    }
    /// Of keys that begin so.
    [[nodiscard]] std::size_t count(std::string_view key) const {
        const std::lock_guard lock(mutex_);
        std::size_t found = 0;
        for (const auto& line : lines_) { found += line.first.starts_with(key) ? 1 : 0; }
        return found;
    }

private:
    mutable std::mutex mutex_; // Guards lines_.
    std::vector<std::pair<std::string, std::string>> lines_;
};

[[nodiscard]] inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// Collects and holds the collection to its rules.
[[nodiscard]] inline MetricCapture collected(MetricReader& reader) {
    auto capture = collect_now(reader);
    EXPECT_EQ(capture.problems(), "");
    return capture;
}

} // namespace weft::testing
