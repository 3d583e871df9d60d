#pragma once
// What the telemetry does itself, as metrics: the conventions' otel.sdk.*, and the ledger as weft.ledger.*.
//
// Nearly all of it is read when somebody collects, from counts that are kept anyway. Two things are measured as they
// happen: how long a collection and how long an export took. docs/metrics-reference.md says how a ledger becomes the
// conventions' metrics; what they want and we have no count of is not there.
// Source: OpenTelemetry semantic conventions 1.44, "OpenTelemetry SDK metrics".

#include <weft/exporters/drain.hpp>
#include <weft/exporters/ledger.hpp>
#include <weft/runtime/signal.hpp>
#include <weft/signals/instrument.hpp>

#include <boost/asio/awaitable.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace weft {
class MetricVisitor;
}

namespace weft::detail {

namespace asio = boost::asio;

/// Where the counts of a runtime come from. Each is asked from the thread that collects; an empty function or a null
/// is something that the runtime does not have.
struct SelfMetricsSources {
    struct Queue {
        std::size_t used_bytes = 0;
        std::size_t capacity_bytes = 0;
    };
    struct OfSignal {
        std::function<Ledger()> ledger;
        std::function<Queue()> queue;
    };
    /// By Signal.
    std::array<OfSignal, all_signals.size()> signals;
    /// Whose measurements were refused or lost, and what this reports to. Null: to nobody.
    MeterProvider* provider = nullptr;
    /// Of the exporter, as server.address and server.port. Empty and 0: not told.
    std::string server_address{};
    std::uint16_t server_port = 0;
};

/// Metrics of a runtime about itself, as long as it lives.
/// Threads: any. Lifetime: what the sources refer to outlives it; destruction waits for a collection that asks them.
class SelfMetrics {
public:
    using Collect = std::function<asio::awaitable<void>(MetricVisitor&)>;

    /// Errors: std::bad_alloc.
    explicit SelfMetrics(SelfMetricsSources sources);
    SelfMetrics(const SelfMetrics&) = delete;
    SelfMetrics& operator=(const SelfMetrics&) = delete;
    ~SelfMetrics();

    /// The same collection, measured: otel.sdk.metric_reader.collection.duration. It may outlive this.
    [[nodiscard]] Collect measured(Collect collect) const;

    /// For Drain::Setup::settled: an export has ended, with all its retries, otel.sdk.exporter.operation.duration. It may
    /// outlive this.
    [[nodiscard]] Drain::Settled settled(Signal signal) const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace weft::detail
