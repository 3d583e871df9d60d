#pragma once
#include "exporter_name.hpp"

#include <weft/exporters/batch_builder.hpp>
#include <weft/exporters/drain.hpp>
#include <weft/exporters/durable_rings.hpp>
#include <weft/exporters/ledger.hpp>
#include <weft/runtime/signal.hpp>
#include <weft/telemetry/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace weft::detail {

namespace asio = boost::asio;

/// One signal's way from where it is made to its receiver. Its coroutines live on the export loop's executor.
/// Threads: `ledger` any; `flush` and `shutdown` run on the executor. Lifetime: destroy it before the executor's context.
class Pipeline {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    Pipeline() = default;
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;
    virtual ~Pipeline() = default;

    [[nodiscard]] virtual asio::awaitable<FlushReport> flush(TimePoint deadline) = 0;
    [[nodiscard]] virtual asio::awaitable<FlushReport> shutdown(TimePoint deadline) = 0;
    /// Null: nothing is exported.
    [[nodiscard]] virtual const Drain* drain() const noexcept = 0;

    /// Of the first destination.
    [[nodiscard]] Ledger ledger() const { return drain() ? drain()->ledger() : Ledger{}; }
    /// Waits until what the program makes finds room. False at the deadline.
    [[nodiscard]] virtual asio::awaitable<bool> wait_for_room(TimePoint) { co_return true; }
};

/// What every pipeline of a runtime is made from.
struct PipelineSetup {
    asio::any_io_executor executor;
    const Options& options;
    EncodedResource resource;
    std::string service{};              ///< The resource's service.name.
    bool in_child = false;              ///< Of a fork: what cannot be had is done without.
    std::function<void()> housekeeping; ///< Of the runtime; for one of its pipelines.
    /// Makes what is told of each export that has ended. Null: nobody.
    std::function<Drain::Settled(const ExporterName&)> settled{};

    /// Bytes of records that a drain takes, or of a body that a sink compresses or writes, before it lets others run. 0:
    /// no limit. About as much as a tenth of a slice.
    [[nodiscard]] std::size_t piece_bytes() const noexcept {
        return options.export_on == ExportOn::user_executor ? std::size_t{16} << 10 : 0;
    }
};

/// Makes a pipeline's queue durable and gives it what dead processes left, if the options say so. In a forked child a
/// failure is a line in the log. Errors: as weft::make_durable.
[[nodiscard]] RecoveredRings make_durable(
    const PipelineSetup& setup, RecordQueue& queue, const BatchOptions& batch, Signal signal,
    ScopeListener& scopes);

/// A runtime's pipelines, by Signal; null where there is none. Shared with flushes under way.
using Pipelines = std::array<std::shared_ptr<Pipeline>, all_signals.size()>;

/// All of them at once, so that one that is slow takes no time from the others.
[[nodiscard]] asio::awaitable<FlushReport> flush_all(
    Pipelines pipelines, Pipeline::TimePoint deadline);
[[nodiscard]] asio::awaitable<FlushReport> shutdown_all(
    Pipelines pipelines, Pipeline::TimePoint deadline);

} // namespace weft::detail
