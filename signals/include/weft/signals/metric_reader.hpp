#pragma once
#include <weft/signals/metric_points.hpp>
#include <weft/signals/temporality.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>

namespace weft {

namespace asio = boost::asio;

namespace detail {
class MeterProvider;
struct ReaderState;
} // namespace detail

/// How one reader wants its points. Readers of one provider do not know of each other.
/// Source: OpenTelemetry Metrics SDK, "MetricReader".
struct MetricReaderOptions {
    TemporalityPreference temporality = TemporalityPreference::cumulative;
    /// Histograms without a view that says otherwise: explicit buckets or base-2 exponential ones.
    bool exponential_histograms = false;
    /// Longest a collection waits for the callbacks of observable instruments. What is late is left out this time.
    std::chrono::milliseconds callback_timeout{30000};
};

/// Collects the metrics of one runtime. Made by the runtime; what it has seen last is its own.
/// Threads: any, one collection at a time for one reader.
class MetricReader {
public:
    MetricReader(detail::MeterProvider& provider, MetricReaderOptions options);
    MetricReader(MetricReader&&) noexcept;
    MetricReader& operator=(MetricReader&&) noexcept;
    ~MetricReader();

    /// Asks the callbacks of observable instruments, then hands every stream's points to `visitor`, which is called on
    /// the coroutine's executor. Errors: what the visitor throws; std::bad_alloc.
    [[nodiscard]] asio::awaitable<void> collect(MetricVisitor& visitor);
    /// As above without a coroutine: callbacks that are coroutines are left out.
    void collect_now(MetricVisitor& visitor);

private:
    std::shared_ptr<detail::ReaderState> state_;
};

} // namespace weft
