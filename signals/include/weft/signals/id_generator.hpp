#pragma once
#include <weft/runtime/ids.hpp>

namespace weft {

/// Makes the ids of new spans instead of weft's own generator (`Options::id_generator`): for tests that want the same
/// ids each time, or a backend that wants time in them.
/// Threads: any, several at once. Cost: two virtual calls for a root span, one for a child; without one, a branch.
/// Source: OpenTelemetry Trace SDK, "Id Generators".
class IdGenerator {
public:
    IdGenerator() = default;
    IdGenerator(const IdGenerator&) = delete;
    IdGenerator& operator=(const IdGenerator&) = delete;
    virtual ~IdGenerator() = default;

    /// The id of a new trace. An invalid one is replaced by a random one.
    [[nodiscard]] virtual TraceId new_trace_id() noexcept = 0;
    /// The id of a new span. An invalid one is replaced by a random one.
    [[nodiscard]] virtual SpanId new_span_id() noexcept = 0;
    /// Whether the last seven bytes of every trace id are random, so that samplers anywhere may decide by them: the
    /// W3C random flag. Source: W3C Trace Context, level 2, "Random Trace ID Flag".
    [[nodiscard]] virtual bool is_random() const noexcept { return false; }
};

} // namespace weft
