#pragma once
// The spans that are open now: what the program is doing, and what it waits for.
//
//   std::fputs(weft::to_text(weft::open_spans()).c_str(), stderr);
//
// It works with nothing switched on, also after shutdown. Spans that are not recorded are not listed: unsampled ones,
// and those made without a runtime. docs/diagnostics.md says what each field means and what it costs.

#include <weft/runtime/span_context.hpp>
#include <weft/signals/span.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <span>
#include <string>
#include <vector>

namespace weft {

/// What goes on where a span is current.
enum class OpenSpanState : std::uint8_t {
    detached, ///< Current nowhere: an operation of `traced`, a `Span::detached`, or its chain is over.
    suspended, ///< Its chain waits; or it was resumed and has looked at no span since.
    running,   ///< A thread is at work in its chain.
    thread,    ///< Current on a thread outside of any chain, which is at work or blocked.
};

/// One open span.
struct OpenSpan {
    std::string name; ///< At most 63 bytes of it, whole code points.
    TraceId trace_id;
    SpanId span_id;
    SpanId parent_span_id; ///< Invalid for a root.
    std::int64_t age_ns = 0;
    SpanKind kind = SpanKind::internal;
    std::string scope; ///< The tracer's name.
    OpenSpanState state = OpenSpanState::detached;
    /// Of its chain: where the work is now. The span itself when it has none open inside it in its chain.
    SpanId innermost_span_id;
    std::string innermost_name;
    std::uint32_t awaited_operations = 0; ///< Traced ones that the innermost span waits for.
    std::string awaits;                   ///< Name of the oldest of them.
    std::int64_t awaits_ns = 0;           ///< And for how long.
    /// Where it was started. Line 0: not known. Lifetime of its texts: as the code's, that is until its plugin is unloaded.
    std::source_location where;
};

struct OpenSpansOptions {
    std::size_t limit = 1000;    ///< At most so many, the oldest.
    std::int64_t min_age_ns = 0; ///< Only such as are at least so old.
};

/// The open spans of the process, oldest first. Each is a consistent picture of one moment; they are not all of the same
/// moment. Its owners are not stopped or slowed.
/// Threads: any. Not for signal handlers: wait for the signal in the loop, or on a thread.
/// Cost: a load for each span that was ever open at once, some 100 ns for each in the list, memory by `limit`.
/// Errors: std::bad_alloc.
[[nodiscard]] std::vector<OpenSpan> open_spans(OpenSpansOptions options = {});

/// How many are open, whatever the limit. Threads: any. Cost: a load for each that was ever open at once.
[[nodiscard]] std::size_t open_span_count() noexcept;

/// For people: a paragraph for each span. Not a format to be parsed. Errors: std::bad_alloc.
[[nodiscard]] std::string to_text(std::span<const OpenSpan> spans);

} // namespace weft
