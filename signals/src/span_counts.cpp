#include "thread_metrics.hpp"

#include <weft/signals/detail/span_counts.hpp>

#include <algorithm>

namespace weft::detail {

// A thread's first span, or one of a thread that is past its own destructors.
void SpanCounts::add_first(std::size_t word) noexcept {
    if (CellWord* const cell = claim_cell(place_, words, 0); cell != nullptr) {
        add_one(cell[word]);
    }
    end_late_use();
}

SpanTotals SpanCounts::totals() const {
    SpanTotals totals;
    if (!is_enabled()) { return totals; }
    std::array<std::uint64_t, sampling_decisions> ended{};
    CellReader().each(place_, [&](const CellWord* cell) {
        for (std::size_t i = 0; i < sampling_decisions; ++i) {
            const auto word = ended_word(static_cast<SamplingDecision>(i));
            ended[i] += cell[word].load(std::memory_order_acquire); // E1
        }
    });
    // Anew: a thread that has come meanwhile may have started what has ended.
    CellReader().each(place_, [&](const CellWord* cell) {
        for (std::size_t i = 0; i < sampling_decisions; ++i) {
            for (std::size_t j = 0; j < parent_origins; ++j) {
                const auto word =
                    started_word(static_cast<SamplingDecision>(i), static_cast<ParentOrigin>(j));
                // relaxed: what is behind an end that was read, the acquire before has made visible.
                totals.started[i][j] += cell[word].load(std::memory_order_relaxed);
            }
        }
    });
    for (std::size_t i = 0; i < sampling_decisions; ++i) {
        std::uint64_t started = 0;
        for (const auto count : totals.started[i]) { started += count; }
        // An end whose thread had no memory to count the start has nothing to be taken from.
        totals.live[i] = i == static_cast<std::size_t>(SamplingDecision::drop)
                             ? 0
                             : started - std::min(started, ended[i]);
    }
    return totals;
}

} // namespace weft::detail
