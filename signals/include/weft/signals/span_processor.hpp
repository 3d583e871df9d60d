#pragma once
#include <weft/signals/readable_span.hpp>
#include <weft/signals/span.hpp>

#include <chrono>
#include <cstdint>

namespace weft {

/// A span that a processor may read and change. Lifetime: of the processor's call that it is given to.
/// Source: OpenTelemetry Trace SDK, "Additional Span Interfaces", read/write span.
class ReadWriteSpan final : public SpanOperations, public ReadableSpan {
private:
    friend struct detail::SpanViews;
    explicit ReadWriteSpan(detail::SpanRecord& record) noexcept
        : SpanOperations(&record), ReadableSpan(record) {}
};

/// Your own code at the start and the end of every span that is recorded, the unsampled ones among them included
/// (RECORD_ONLY). Derive from it and add it to `Options::span_processors`; the calls come in that order.
///
/// The calls are made in the chain and on the thread that starts or ends the span, and what they take, the program
/// takes: they must not wait. `current_span()` and `current_baggage()` answer for that chain. Spans that are started
/// inside a call are exported, and no processor hears of them.
/// Threads: any, several at a time; one span's calls come one after the other.
/// Errors: what a call throws is contained, counted in `span_processor_faults()` and reported; the other processors and the
/// span are not affected.
/// Lifetime: for ever, because a span may outlive its runtime: let go of what you hold in `shutdown`.
/// Source: OpenTelemetry Trace SDK, "Span processor".
class SpanProcessor {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    SpanProcessor() noexcept = default;
    SpanProcessor(const SpanProcessor&) = delete;
    SpanProcessor& operator=(const SpanProcessor&) = delete;
    virtual ~SpanProcessor();

    /// The span has started, with the attributes of its creation and of the sampler, and is not current yet. `parent` is
    /// invalid for a root.
    virtual void on_start(ReadWriteSpan& span, const TraceContext& parent);
    /// The span is ending: its end time is set, and it can be changed for the last time. All processors' on_ending come
    /// before any on_end.
    virtual void on_ending(ReadWriteSpan& span);
    /// The span has ended. If it is sampled it is queued for export behind the last of these calls.
    virtual void on_end(const ReadableSpan& span);

    /// Part of Runtime::flush, before the queue is exported. True when nothing is left behind. It may wait, on the
    /// runtime's export thread, and must return by the deadline: export waits for it.
    virtual bool force_flush(TimePoint deadline);
    /// Once, as the first part of Runtime::shutdown; as force_flush, which it includes. No span is shown any more; a call
    /// that another thread had begun may still be under way.
    virtual bool shutdown(TimePoint deadline);
};

/// Calls of span processors that ended with an exception, since the start of the process. Threads: any.
[[nodiscard]] std::uint64_t span_processor_faults() noexcept;

} // namespace weft
