#pragma once
#include <weft/signals/span_processor.hpp>

#include <atomic>
#include <memory>
#include <vector>

namespace weft::detail {

/// The processors of one provider, in the order of their calls.
class SpanProcessors {
public:
    using List = std::vector<std::shared_ptr<SpanProcessor>>;

    /// `is_exported`: whether anybody drains the provider's queue.
    explicit SpanProcessors(List list, bool is_exported = true) noexcept
        : list_(std::move(list)), is_exported_(is_exported) {}

    /// For a span that records, before it is current.
    [[gnu::cold]] void start(
        SpanRecord& record, const SpanContext& parent, const TraceState& state) noexcept;
    /// For a span whose end time is set. Afterwards it is to be exported if it still records.
    [[gnu::cold]] void end(SpanRecord& record) noexcept;

    /// False when one of them says so or throws. Threads: any.
    bool force_flush(SpanProcessor::TimePoint deadline) noexcept;
    /// As above; a second call does nothing.
    bool shutdown(SpanProcessor::TimePoint deadline) noexcept;

private:
    const List list_;
    const bool is_exported_;
    std::atomic<bool> is_shut_down_{false}; // Set by the first shutdown, read by others.
};

} // namespace weft::detail
