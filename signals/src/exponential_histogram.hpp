#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

// The base-2 exponential histogram. At scale s the bucket i covers (base^i, base^(i+1)] with base = 2^(2^-s), so one scale
// lower joins buckets by pairs and an index of it is the higher one's, shifted right by one bit.
// Source: OpenTelemetry metrics data model, "ExponentialHistogram"; metrics SDK, "Base2 Exponential Bucket Histogram".
namespace weft::detail {

/// The finest scale, and the coarsest that can be needed: two buckets of it hold every double. (At -10, the coarsest that
/// can be asked for, the least subnormals would need a third.)
inline constexpr std::int32_t exponential_scale_max = 20;
inline constexpr std::int32_t exponential_scale_min = -11;

/// The bucket that holds `magnitude` (finite, above 0). Exact: no double is one bucket off, at any scale.
[[nodiscard]] std::int32_t exponential_index(double magnitude, std::int32_t scale) noexcept;

/// base^index, the bound that the bucket itself does not contain, to the nearest double (if subnormal, to within
/// one). At the ends of the indices that is 0 and infinity: still bounds of the doubles in the bucket.
[[nodiscard]] double exponential_boundary(std::int32_t index, std::int32_t scale) noexcept;

/// What a cell has counted, or several have. No count at either end of a side is zero. Keeps its memory when used again.
struct ExponentialSnapshot {
    struct Side {
        std::int32_t offset = 0; ///< Index of the first count; 0 if there is none.
        std::vector<std::uint64_t> counts;
    };

    std::int32_t scale = exponential_scale_max;
    std::uint64_t zero_count = 0;
    Side positive;
    Side negative; ///< By magnitude.

    [[nodiscard]] std::uint64_t count() const noexcept;
    /// As new: what is merged into it next decides the scale.
    void clear() noexcept;
};

/// View of the words in which one thread counts and that others read meanwhile. Threads: `reset` and `record` by the
/// owner only. All accesses but E4's are relaxed, for the owner's sequence lock orders them and tells a torn read.
///
/// E4  Counts that move to other places: the owner stores an odd number of moves (release fence), then an even one
///     (release) -> `read` loads it (acquire) and, behind what it has read (acquire fence), loads it again. What a reader
///     gives up waiting for is thus at worst a few measurements apart, never counts in the wrong place.
///
/// Words: scale, and in its high half the number of moves; zero count; offset and `size_max` counts of the positive side; the same of the negative side. A side's
/// offset is the index of its first count, wherever among the counts its values lie.
class ExponentialCell {
public:
    using Word = std::atomic<std::uint64_t>;

    /// `words` are as many as `words(...)` says. `size_max` is the most buckets of one side, at least 2 (options refuse
    /// less).
    ExponentialCell(Word* words, std::uint32_t size_max, bool with_negative) noexcept
        : words_(words), size_max_(size_max), with_negative_(with_negative) {}

    [[nodiscard]] static constexpr std::size_t words(
        std::uint32_t size_max, bool with_negative) noexcept {
        return side_word + (std::size_t{size_max} + 1) * (with_negative ? 2 : 1);
    }

    /// Empties the cell. It must be called once before anything else is.
    void reset(std::int32_t scale_max) noexcept;

    /// Counts a value. The caller drops NaN and infinities, and values below 0 where there is no negative side.
    /// Cost: a few ns. Where the value is outside of the window that the counts cover: about that of a walk over them.
    void record(double value) noexcept;

    /// What has been counted; of measurements meanwhile, some. False if counts have moved meanwhile: then it may be any
    /// counts, but no more than `size_max`.
    friend bool read(const ExponentialCell& cell, ExponentialSnapshot& out);

private:
    static constexpr std::size_t scale_word = 0;
    static constexpr std::size_t zero_word = 1;
    static constexpr std::size_t side_word = 2;

    [[nodiscard]] Word* positive() const noexcept { return words_ + side_word; }
    [[nodiscard]] Word* negative() const noexcept { return positive() + 1 + size_max_; }
    [[gnu::noinline]] std::uint32_t make_room(Word* side, std::int32_t index) noexcept;
    [[nodiscard]] std::uint32_t first_used(const Word* side) const noexcept;
    void fold(Word* side, int shift) noexcept;
    void move_window(Word* side, std::int64_t offset) noexcept;
    void read_side(const Word* side, ExponentialSnapshot::Side& out) const;

    Word* words_;
    std::uint32_t size_max_;
    bool with_negative_;
};

bool read(const ExponentialCell& cell, ExponentialSnapshot& out);

/// Adds what `from` counted, at the finest scale that both can have with `size_max` (at least 2) buckets a side.
void merge(ExponentialSnapshot& into, const ExponentialSnapshot& from, std::uint32_t size_max);

/// Takes from `now` what an earlier state of the same series had already counted. The scale stays `now`'s, which is
/// the lower one. Where `before` is no earlier state, what would be negative is 0.
void subtract(ExponentialSnapshot& now, const ExponentialSnapshot& before) noexcept;

} // namespace weft::detail
