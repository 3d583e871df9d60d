#pragma once
// What the telemetry does itself, as metrics: the conventions' otel.sdk.*, and the ledger as weft.ledger.*.
//
// Nearly all of it is read when somebody collects, from counts that are kept anyway. Two things are measured as they
// happen: how long a collection and how long an export took. docs/metrics-reference.md says how a ledger becomes the
// conventions' metrics; what they want and we have no count of is not there.
// Source: OpenTelemetry semantic conventions 1.44, "OpenTelemetry SDK metrics".

#include "exporter_name.hpp"

#include <weft/exporters/drain.hpp>
#include <weft/exporters/ledger.hpp>
#include <weft/exporters/sink.hpp>
#include <weft/runtime/signal.hpp>
#include <weft/signals/detail/span_counts.hpp>
#include <weft/signals/instrument.hpp>

#include <boost/asio/awaitable.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weft {
class MetricVisitor;
}

namespace weft::detail {

namespace asio = boost::asio;

struct SelfMetricsOptions {
    /// What it reports to, and whose refused and lost measurements it counts. Null: nobody.
    MeterProvider* provider = nullptr;
    struct Exporter {
        bool is_own_sink = false; // Not OTLP over HTTP.
        /// Empty and 0: not told.
        std::string server_address{};
        std::uint16_t server_port = 0;
    };
    /// By Signal.
    std::array<Exporter, all_signals.size()> exporters{};
};

/// Where the counts of a signal come from. Asked from the thread that collects; an empty function is something that the
/// runtime does not have.
struct SelfMetricsSource {
    struct Queue {
        std::size_t used_bytes = 0;
        std::size_t capacity_bytes = 0;
        std::uint64_t records = 0; // That take the used bytes.
    };
    struct Destination {
        ExporterName exporter;
        std::function<Ledger()> ledger{};
        std::function<SinkState()> state{};
    };
    std::function<Ledger()> ledger{};   ///< Of the first destination.
    std::function<SinkState()> state{}; ///< As above.
    ExporterName exporter{};            ///< As above.
    std::function<Queue()> queue{};
    std::function<SpanTotals()> spans{}; // Of traces.
    std::vector<Destination> others{};   ///< Told apart as weft.destination.
};

/// Metrics of a runtime about itself. Made before its pipelines, which are given `measured` and `settled`; it watches them
/// once they are there.
/// Threads: any.
class SelfMetrics {
public:
    using Collect = std::function<asio::awaitable<void>(MetricVisitor&)>;
    /// By Signal.
    using Sources = std::array<SelfMetricsSource, all_signals.size()>;

    /// Errors: std::bad_alloc.
    explicit SelfMetrics(SelfMetricsOptions options);
    SelfMetrics(const SelfMetrics&) = delete;
    SelfMetrics& operator=(const SelfMetrics&) = delete;
    /// Waits for a collection that asks the sources.
    ~SelfMetrics();

    /// In a forked child: the sources are the parent's, and are not asked again. Cost: one store.
    void abandon_in_child() noexcept;

    /// From now on the sources are asked in every collection; once. Errors: std::bad_alloc.
    /// Lifetime: what the sources refer to outlives this.
    void watch(Sources sources);

    /// The same collection, measured: otel.sdk.metric_reader.collection.duration. It may outlive this.
    [[nodiscard]] Collect measured(Collect collect) const;

    /// For Drain::Setup::settled: an export has ended, with all its retries, otel.sdk.exporter.operation.duration. It may
    /// outlive this.
    [[nodiscard]] Drain::Settled settled(Signal signal, const ExporterName& exporter) const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace weft::detail
