#pragma once
#include "export_loop.hpp"
#include "pipeline.hpp"
#include "self_metrics.hpp"

#include <weft/exporters/prometheus_server.hpp>

#include <future>
#include <memory>
#include <utility>

namespace weft::detail {

/// What exports, in the process that made it: a loop, pipelines, their connections. A forked child has neither the thread
/// nor a right to the connections, and leaves all of it behind, unfreed, for it may have been in the middle of anything.
struct Exports {
    explicit Exports(std::unique_ptr<ExportLoop> where) : loop(std::move(where)) {}

    const std::unique_ptr<ExportLoop> loop;
    Pipelines pipelines; // Destroyed before their executor.
    std::unique_ptr<SelfMetrics>
        self; // Asks the pipelines, hence gone before them. Null: no metrics.
    std::shared_ptr<PrometheusServer>
        prometheus;          // Null: none. Of this process alone: a child has another's port.
    std::future<void> house; // Of the housekeeping where no pipeline does it; nobody waits for it.
    bool is_started =
        false; // The pipelines have been made. False: run() alone has a use for the thread.

    [[nodiscard]] std::shared_ptr<Pipeline>& pipeline(Signal signal) noexcept {
        return pipelines[static_cast<std::size_t>(signal)];
    }
    Exports* next_inherited = nullptr;
};

} // namespace weft::detail
