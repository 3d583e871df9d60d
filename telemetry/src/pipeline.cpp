#include "pipeline.hpp"

#include "signal_sink.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
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
        .pending = a.pending + b.pending};
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

std::shared_ptr<Sink> make_sink(const PipelineSetup& setup, Signal signal) {
    if (setup.options.sink != nullptr) { return setup.options.sink; }
    auto made = signal_sink(setup.options.otlp, signal);
    made.options.piece_bytes = setup.piece_bytes();
    auto sink = OtlpHttpSink::create(setup.executor, std::move(made.options), diagnostics());
    if (!sink) {
        throw std::invalid_argument(fmt::format(
            "Options::otlp.endpoint is \"{}\": {}", setup.options.otlp.endpoint,
            sink.error().message()));
    }
    return std::shared_ptr<Sink>(std::move(*sink));
}

asio::awaitable<FlushReport> flush_all(Pipelines pipelines, Pipeline::TimePoint deadline) {
    return each(std::move(pipelines), 0, &Pipeline::flush, deadline);
}

asio::awaitable<FlushReport> shutdown_all(Pipelines pipelines, Pipeline::TimePoint deadline) {
    return each(std::move(pipelines), 0, &Pipeline::shutdown, deadline);
}

} // namespace weft::detail
