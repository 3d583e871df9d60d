#include "pipeline.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weft::detail {
namespace {

using Step = asio::awaitable<FlushReport> (Pipeline::*)(Pipeline::TimePoint);

FlushReport sum(const FlushReport& a, const FlushReport& b) noexcept {
    return {
        .complete = a.complete && b.complete,
        .exported = a.exported + b.exported,
        .rejected = a.rejected + b.rejected,
        .dropped = a.dropped + b.dropped,
        .pending = a.pending + b.pending,
        .spooled = a.spooled + b.spooled};
}

// Pipelines from `first` on.
asio::awaitable<FlushReport> each(
    Pipelines pipelines, std::size_t first, Step step, Pipeline::TimePoint deadline) {
    using namespace asio::experimental::awaitable_operators;
    co_await asio::this_coro::throw_if_cancelled(false); // Each step sees to it itself.
    while (first < pipelines.size() && !pipelines[first]) { ++first; }
    if (first == pipelines.size()) { co_return FlushReport{.complete = true}; }
    const auto next = std::find_if(
        pipelines.begin() + static_cast<std::ptrdiff_t>(first) + 1, pipelines.end(),
        [](const auto& pipeline) { return pipeline != nullptr; });
    auto own = (*pipelines[first].*step)(deadline);
    if (next == pipelines.end()) { co_return co_await std::move(own); }
    const auto index = static_cast<std::size_t>(next - pipelines.begin());
    auto others = each(pipelines, index, step, deadline);
    const auto reports = co_await (std::move(own) && std::move(others));
    co_return sum(std::get<0>(reports), std::get<1>(reports));
}

} // namespace

RecoveredRings make_durable(
    const PipelineSetup& setup, RecordQueue& queue, const BatchOptions& batch, Signal signal,
    ScopeListener& scopes) {
    const auto& options = setup.options.durable_rings;
    // It is already when a forked child's start failed once, and is tried again.
    if (!options.enabled || queue.is_durable()) { return {}; }
    try {
        return weft::make_durable(
            queue, options, batch, signal, setup.service, setup.resource, scopes, diagnostics());
    } catch (const std::exception& error) {
        if (!setup.in_child) { throw; }
        diagnostics().report(DiagnosticLevel::error, "rings.child", [&] {
            return fmt::format(
                "{} of a forked child do not outlive it: {}", name(signal), error.what());
        });
        return {};
    }
}

asio::awaitable<FlushReport> flush_all(Pipelines pipelines, Pipeline::TimePoint deadline) {
    return each(std::move(pipelines), 0, &Pipeline::flush, deadline);
}

asio::awaitable<FlushReport> shutdown_all(Pipelines pipelines, Pipeline::TimePoint deadline) {
    return each(std::move(pipelines), 0, &Pipeline::shutdown, deadline);
}

} // namespace weft::detail
