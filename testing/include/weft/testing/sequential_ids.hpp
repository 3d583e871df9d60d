#pragma once
#include <weft/signals/id_generator.hpp>

#include <atomic>
#include <cstdint>

namespace weft::testing {

/// Ids that count from 1, the same in every run: trace ...01, span ...01, ...02 and so on. With several threads each
/// is still unique, but which span gets which is theirs to race for.
class SequentialIds final : public IdGenerator {
public:
    [[nodiscard]] TraceId new_trace_id() noexcept override;
    [[nodiscard]] SpanId new_span_id() noexcept override;

private:
    // Written by any thread that starts a span. relaxed: only distinct numbers matter.
    std::atomic<std::uint64_t> traces_{0};
    std::atomic<std::uint64_t> spans_{0};
};

} // namespace weft::testing
