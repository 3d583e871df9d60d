#pragma once
// How many spans a provider has started, and how many are open: otel.sdk.span.started and otel.sdk.span.live.
//
// They are counted where they happen, in cells of one writer as measurements are (metric_cells.hpp): a start and an end
// cost one addition each, in memory of the thread's own. Who asks adds the threads up.
//
// E1  An end is counted (release) -> totals() reads it (acquire): the start of that span is counted for it too, so that
//     no sum of open spans is negative.

#include <weft/signals/composable_sampler.hpp>
#include <weft/signals/detail/metric_cells.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::detail {

enum class ParentOrigin : std::uint8_t { none, local, remote };

inline constexpr std::size_t sampling_decisions = 3; // SamplingDecision's.
inline constexpr std::size_t parent_origins = 3;     // ParentOrigin's.

/// By SamplingDecision, by ParentOrigin.
struct SpanTotals {
    std::array<std::array<std::uint64_t, parent_origins>, sampling_decisions> started{};
    std::array<std::uint64_t, sampling_decisions> live{}; ///< None of those that were dropped.
};

/// Of one provider. Until `enable` it counts nothing, at the cost of one branch. Threads: any, but for `enable`.
class SpanCounts {
public:
    SpanCounts() noexcept = default;
    SpanCounts(const SpanCounts&) = delete;
    SpanCounts& operator=(const SpanCounts&) = delete;

    /// Before the provider is published. Without room for another cell it goes on counting nothing.
    void enable() noexcept { place_ = CellSpace::allocate(words); }
    [[nodiscard]] bool is_enabled() const noexcept { return !place_.is_none(); }
    /// In a forked child: from zero.
    void begin_anew() noexcept {
        if (is_enabled()) { place_ = CellSpace::renew(place_); }
    }

    void count_start(SamplingDecision decision, ParentOrigin parent) noexcept {
        add(started_word(decision, parent));
    }
    /// Of a recording span.
    void count_end(SamplingDecision decision) noexcept { add(ended_word(decision)); }

    /// Errors: std::bad_alloc. Cost: a few loads for each thread that has made spans.
    [[nodiscard]] SpanTotals totals() const;

private:
    static constexpr std::size_t started_word(
        SamplingDecision decision, ParentOrigin parent) noexcept {
        return 1 + static_cast<std::size_t>(decision) * parent_origins +
               static_cast<std::size_t>(parent);
    }
    static constexpr std::size_t ended_word(SamplingDecision decision) noexcept {
        return 1 + sampling_decisions * parent_origins + static_cast<std::size_t>(decision);
    }
    static constexpr std::size_t words = 1 + sampling_decisions * (parent_origins + 1);

    void add(std::size_t word) noexcept {
        if (place_.is_none()) { return; }
        std::uint64_t header;
        CellWord* const cell = find_cell(place_, header);
        if (cell == nullptr) [[unlikely]] { return add_first(word); }
        add_one(cell[word]);
    }
    static void add_one(CellWord& word) noexcept {
        // relaxed: only this thread writes it. release: E1.
        word.store(word.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    [[gnu::noinline]] void add_first(std::size_t word) noexcept;

    CellRef place_; // Fixed, but for a forked child that has one thread.
};

} // namespace weft::detail
