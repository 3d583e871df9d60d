#include "exponential_histogram.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace weft::detail {
namespace {

__extension__ using Uint128 = unsigned __int128;
using Side = ExponentialSnapshot::Side;

constexpr int fraction_bits = 52;
constexpr std::uint64_t fraction_mask = (std::uint64_t{1} << fraction_bits) - 1;
constexpr std::int32_t buckets_per_octave = 1 << exponential_scale_max;

// 2^(2^-k) for k = 1 to 20 as fixed point with 127 fractional bits, high and low word. Rounded from integer square
// roots of 600 bits.
constexpr std::uint64_t roots[exponential_scale_max][2] = {
    {0xb504f333f9de6484, 0x597d89b3754abe9f}, {0x9837f0518db8a96f, 0x46ad23182e42f6f6},
    {0x8b95c1e3ea8bd6e6, 0xfbe4628758a53c90}, {0x85aac367cc487b14, 0xc5c95b8c2154c1b2},
    {0x82cd8698ac2ba1d7, 0x3e2a475b46520bff}, {0x8164d1f3bc030773, 0x7be56527bd14def5},
    {0x80b1ed4fd999ab6c, 0x25335719b6e6fd20}, {0x8058d7d2d5e5f6b0, 0x94d589f608ee4aa2},
    {0x802c6436d0e04f50, 0xff8ce94a6797b3ce}, {0x8016302f17467628, 0x3690dfe44d11d008},
    {0x800b179c82028fd0, 0x945e54e2ae18f2f0}, {0x80058baf7fee3b5d, 0x1c718b38e549cb93},
    {0x8002c5d00fdcfcb6, 0xb6566a58c048be1f}, {0x800162e61bed4a48, 0xe84c2e1a463473da},
    {0x8000b17292f702a3, 0xaa22beacca949013}, {0x800058b92abbae02, 0x030c5fa5256f41fe},
    {0x80002c5c8dade4d7, 0x1776c0f4dbea67d6}, {0x8000162e44eaf636, 0x526be456600bdbe5},
    {0x80000b1721fa7c18, 0x8307016c1cd4e8b7}, {0x8000058b90de7e4c, 0xecfc487503488bb2},
};

// 2^(n / 2^20) for n from 0 to 2^20 - 1, with 127 fractional bits. At most 2^-121 too low; of all these bounds none but
// the first comes nearer to a double than 2^-78.
Uint128 exact_boundary(std::uint32_t n) noexcept {
    Uint128 product = Uint128{1} << 127;
    for (int k = 0; k < exponential_scale_max; ++k) {
        if ((n >> (exponential_scale_max - 1 - k) & 1) == 0) { continue; }
        const auto high = static_cast<std::uint64_t>(product >> 64);
        const auto low = static_cast<std::uint64_t>(product);
        const auto middle =
            (Uint128{high} * roots[k][1] >> 64) + (Uint128{low} * roots[k][0] >> 64);
        product = (Uint128{high} * roots[k][0] + middle) << 1; // Below 2, so no bit is lost.
    }
    return product;
}

// Logarithms are counted in units of 2^-20 of a bucket at scale 20: what is calculated is wrong by less than one.
constexpr int unit_bits = 20;
constexpr double log2_e = 1.4426950408889634;
constexpr double units_per_e = log2_e * buckets_per_octave * (1 << unit_bits);

// One piece of [1, 2): the inverse of its middle, and the logarithm of that middle.
struct Piece {
    double inverse;
    double log;
};
constexpr int piece_bits = 7;

constexpr auto pieces = [] {
    std::array<Piece, std::size_t{1} << piece_bits> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
        const double inverse =
            1 / (1 + (static_cast<double>(i) + 0.5) / static_cast<double>(all.size()));
        // -ln(inverse) = 2 artanh(u), u <= 1/3.
        const double u = (1 - inverse) / (1 + inverse);
        double log = 0;
        for (int power = 41; power > 0; power -= 2) { log = log * u * u + 1.0 / power; }
        all[i] = {inverse, units_per_e * 2 * u * log};
    }
    return all;
}();

// The bucket at scale 20 of 1 + fraction / 2^52.
std::int32_t index_in_octave(std::uint64_t fraction) noexcept {
    const auto& piece = pieces[fraction >> (fraction_bits - piece_bits)];
    const auto one = std::uint64_t{1023} << fraction_bits;
    const double z = std::bit_cast<double>(one | fraction) * piece.inverse - 1;
    // ln(1 + z) by its series. As |z| < 2^-8, the terms left out are below a third of a unit.
    const double log = z + z * z * ((z * (1.0 / 3) - 0.5) - z * z * 0.25);
    const auto position = static_cast<std::int64_t>(piece.log + units_per_e * log);
    constexpr std::int64_t unit_mask = (1 << unit_bits) - 1;
    if (((position + 1) & unit_mask) > 1) [[likely]] {
        return static_cast<std::int32_t>(position >> unit_bits);
    }
    // Next to the lower bound of `above`: which side of it only more digits tell.
    const auto above = static_cast<std::int32_t>((position + 1) >> unit_bits);
    if (above == 0) { return fraction == 0 ? -1 : 0; } // A power of two closes the octave before.
    if (above == buckets_per_octave) { return above - 1; }
    const Uint128 exact = Uint128{fraction | (fraction_mask + 1)} << (127 - fraction_bits);
    return exact > exact_boundary(static_cast<std::uint32_t>(above)) ? above : above - 1;
}

// Inlined where it counts: `record` is little more than this.
[[gnu::always_inline]] inline std::int32_t index_of(double magnitude, std::int32_t scale) noexcept {
    auto bits = std::bit_cast<std::uint64_t>(magnitude);
    auto exponent = static_cast<std::int32_t>(bits >> fraction_bits) - 1023;
    if (exponent == -1023) [[unlikely]] { // Subnormal: bring its first bit to where it is implied.
        const int shift = std::countl_zero(bits) - (63 - fraction_bits);
        bits <<= shift;
        exponent = -1022 - shift;
    }
    const auto finest = exponent * buckets_per_octave + index_in_octave(bits & fraction_mask);
    return finest >> (exponential_scale_max - scale);
}

// Only the owner writes, so there is nothing to exchange: a plain addition.
void add(ExponentialCell::Word& word, std::uint64_t count) noexcept {
    // Relaxed: the owner reads its own; the sequence lock around it publishes.
    word.store(word.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

std::uint64_t get(const ExponentialCell::Word& word) noexcept {
    return word.load(std::memory_order_relaxed); // Relaxed: the sequence lock tells a torn read.
}

void set(ExponentialCell::Word& word, std::uint64_t value) noexcept {
    word.store(value, std::memory_order_relaxed); // Relaxed: the sequence lock publishes.
}

std::int32_t get_int(const ExponentialCell::Word& word) noexcept {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(get(word)));
}

void set_int(ExponentialCell::Word& word, std::int64_t value) noexcept {
    set(word, static_cast<std::uint32_t>(value));
}

void set_scale(ExponentialCell::Word& word, std::int32_t scale) noexcept {
    constexpr std::uint64_t moves = ~std::uint64_t{0xffffffff};
    set(word, (get(word) & moves) | static_cast<std::uint32_t>(scale));
}

// While it lives, counts are on their way to other places: the high half of the scale's word is odd.
class Move {
public:
    explicit Move(ExponentialCell::Word& scale) noexcept : scale_(scale) {
        set(scale_, get(scale_) | one); // It was even, or is about to be reset for the first time.
        // release fence: E4, the odd number is seen before any count that moves.
        std::atomic_thread_fence(std::memory_order_release);
    }
    ~Move() {
        scale_.store(
            get(scale_) + one, std::memory_order_release); // E4: and the even one after them.
    }
    Move(const Move&) = delete;
    Move& operator=(const Move&) = delete;

private:
    static constexpr std::uint64_t one = std::uint64_t{1} << 32;
    ExponentialCell::Word& scale_;
};

// Indices, both included. Wider than they are, for a difference of two does not fit 32 bits.
struct Range {
    std::int64_t low = std::numeric_limits<std::int64_t>::max();
    std::int64_t high = std::numeric_limits<std::int64_t>::min();

    [[nodiscard]] bool empty() const noexcept { return low > high; }
    [[nodiscard]] bool fits(std::uint32_t size_max, int shift = 0) const noexcept {
        return empty() || (high >> shift) - (low >> shift) < size_max;
    }
    void include(Range other) noexcept {
        low = std::min(low, other.low);
        high = std::max(high, other.high);
    }
};

Range range_of(const Side& side, int shift) noexcept {
    if (side.counts.empty()) { return {}; }
    const auto last = side.offset + static_cast<std::int64_t>(side.counts.size()) - 1;
    return {side.offset >> shift, last >> shift};
}

// Where the count at `i` belongs when the scale is lowered by .
std::int64_t shifted_index(const Side& side, std::size_t i, int shift) noexcept {
    return (side.offset + static_cast<std::int64_t>(i)) >> shift;
}

void trim(Side& side) noexcept {
    while (!side.counts.empty() && side.counts.back() == 0) { side.counts.pop_back(); }
    const auto first = std::find_if(
        side.counts.begin(), side.counts.end(), [](std::uint64_t count) { return count != 0; });
    side.offset += static_cast<std::int32_t>(first - side.counts.begin());
    side.counts.erase(side.counts.begin(), first);
    if (side.counts.empty()) { side.offset = 0; }
}

void fold(Side& side, int shift) noexcept {
    const auto range = range_of(side, shift);
    if (shift == 0 || range.empty()) { return; }
    for (std::size_t i = 0; i < side.counts.size(); ++i) { // Counts move down only.
        const auto count = std::exchange(side.counts[i], 0);
        side.counts[static_cast<std::size_t>(shifted_index(side, i, shift) - range.low)] += count;
    }
    side.counts.resize(static_cast<std::size_t>(range.high - range.low + 1));
    side.offset = static_cast<std::int32_t>(range.low);
}

void add(Side& into, const Side& from, int from_shift, std::uint32_t size_max) {
    const auto added = range_of(from, from_shift);
    if (added.empty()) { return; }
    into.counts.reserve(size_max); // Once, so that no later merge allocates.
    if (into.counts.empty()) { into.offset = static_cast<std::int32_t>(added.low); }
    if (added.low < into.offset) {
        into.counts.insert(
            into.counts.begin(), static_cast<std::size_t>(into.offset - added.low), 0);
        into.offset = static_cast<std::int32_t>(added.low);
    }
    const auto needed = static_cast<std::size_t>(added.high - into.offset + 1);
    if (needed > into.counts.size()) { into.counts.resize(needed); }
    for (std::size_t i = 0; i < from.counts.size(); ++i) {
        into.counts[static_cast<std::size_t>(shifted_index(from, i, from_shift) - into.offset)] +=
            from.counts[i];
    }
}

void subtract(Side& now, const Side& before, int before_shift) noexcept {
    for (std::size_t i = 0; i < before.counts.size(); ++i) {
        const auto at = shifted_index(before, i, before_shift) - now.offset;
        if (at < 0 || at >= static_cast<std::int64_t>(now.counts.size())) { continue; }
        auto& count = now.counts[static_cast<std::size_t>(at)];
        count -= std::min(count, before.counts[i]);
    }
    trim(now);
}

} // namespace

std::int32_t exponential_index(double magnitude, std::int32_t scale) noexcept {
    return index_of(magnitude, scale);
}

double exponential_boundary(std::int32_t index, std::int32_t scale) noexcept {
    // In buckets of scale 20. Wide, for the index may be one past the last, and at the lowest scales much more than it.
    const auto finest = std::int64_t{index} * (std::int64_t{1} << (exponential_scale_max - scale));
    const auto octave =
        finest >> exponential_scale_max; // Of 2^10 to either side at most, if valid.
    const auto exact =
        exact_boundary(static_cast<std::uint32_t>(finest & (buckets_per_octave - 1)));
    const auto exponent = static_cast<int>(std::clamp<std::int64_t>(octave, -5000, 5000));
    // Bit 0 stands for all below it, for they decide what looks like a tie.
    const auto low = static_cast<std::uint64_t>(exact);
    const auto significand = static_cast<std::uint64_t>(exact >> 64) | (low != 0 ? 1U : 0U);
    return std::ldexp(static_cast<double>(significand), exponent - 63);
}

std::uint64_t ExponentialSnapshot::count() const noexcept {
    const auto sum = [](const Side& side) {
        return std::accumulate(side.counts.begin(), side.counts.end(), std::uint64_t{0});
    };
    return zero_count + sum(positive) + sum(negative);
}

void ExponentialSnapshot::clear() noexcept {
    scale = exponential_scale_max;
    zero_count = 0;
    for (Side* side : {&positive, &negative}) {
        side->offset = 0;
        side->counts.clear();
    }
}

void ExponentialCell::reset(std::int32_t scale_max) noexcept {
    const Move move(words_[scale_word]);
    for (std::size_t i = zero_word; i < words(size_max_, with_negative_); ++i) {
        set(words_[i], 0);
    }
    set_scale(words_[scale_word], scale_max);
}

void ExponentialCell::record(double value) noexcept {
    assert(std::isfinite(value) && (value >= 0 || with_negative_));
    if (value == 0) {
        add(words_[zero_word], 1);
        return;
    }
    Word* const side = value < 0 ? negative() : positive();
    const auto index = index_of(std::fabs(value), get_int(words_[scale_word]));
    // Unsigned, so that what lies before the window is far behind it.
    auto slot = static_cast<std::uint32_t>(index) - static_cast<std::uint32_t>(get(side[0]));
    if (slot >= size_max_) [[unlikely]] { slot = make_room(side, index); }
    add(side[1 + std::size_t{slot}], 1);
}

// Moves the side's window so that it holds the index too, at a lower scale if it must. Returns the index's slot.
std::uint32_t ExponentialCell::make_room(Word* side, std::int32_t index) noexcept {
    Range range{index, index};
    const std::int64_t offset = get_int(side[0]);
    for (std::uint32_t slot = 0; slot < size_max_; ++slot) {
        if (get(side[1 + slot]) != 0) { range.include({offset + slot, offset + slot}); }
    }
    int shift = 0;
    while (!range.fits(size_max_, shift)) {
        ++shift;
    } // Bound: two buckets of the lowest scale hold all.
    const Move move(words_[scale_word]);
    if (shift != 0) {
        fold(positive(), shift);
        if (with_negative_) { fold(negative(), shift); }
        set_scale(words_[scale_word], get_int(words_[scale_word]) - shift);
    }
    // In the middle, so that few values to come find themselves outside again.
    const auto spare = size_max_ - ((range.high >> shift) - (range.low >> shift) + 1);
    const auto window = (range.low >> shift) - spare / 2;
    move_window(side, window);
    return static_cast<std::uint32_t>((index >> shift) - window);
}

std::uint32_t ExponentialCell::first_used(const Word* side) const noexcept {
    std::uint32_t slot = 0;
    while (slot < size_max_ && get(side[1 + slot]) == 0) { ++slot; }
    return slot;
}

// Joins counts at a lower scale, at the front of the window.
void ExponentialCell::fold(Word* side, int shift) noexcept {
    const std::int64_t offset = get_int(side[0]);
    const auto first = first_used(side);
    const auto low = (offset + first) >> shift;
    for (auto slot = first; slot < size_max_; ++slot) { // Counts move down only.
        const auto count = get(side[1 + slot]);
        if (count == 0) { continue; }
        set(side[1 + slot], 0);
        add(side[1 + ((offset + slot) >> shift) - low], count);
    }
    set_int(side[0], low);
}

// The counts in use fit the new window.
void ExponentialCell::move_window(Word* side, std::int64_t offset) noexcept {
    const auto up = get_int(side[0]) - offset; // How far each count moves.
    const std::int64_t size = size_max_;
    const auto move_to = [&](std::int64_t slot) {
        const auto from = slot - up;
        set(side[1 + slot], from >= 0 && from < size ? get(side[1 + from]) : 0);
    };
    if (up > 0) {
        for (auto slot = size - 1; slot >= 0; --slot) { move_to(slot); }
    } else {
        for (std::int64_t slot = 0; slot < size; ++slot) { move_to(slot); }
    }
    set_int(side[0], offset);
}

void ExponentialCell::read_side(const Word* side, Side& out) const {
    out.counts.resize(size_max_);
    out.offset = get_int(side[0]);
    for (std::size_t i = 0; i < out.counts.size(); ++i) { out.counts[i] = get(side[1 + i]); }
    trim(out);
}

bool read(const ExponentialCell& cell, ExponentialSnapshot& out) {
    const auto& scale = cell.words_[ExponentialCell::scale_word];
    const auto before = scale.load(std::memory_order_acquire); // E4: Move's end, or its beginning.
    out.clear();
    out.scale = get_int(cell.words_[ExponentialCell::scale_word]);
    out.zero_count = get(cell.words_[ExponentialCell::zero_word]);
    cell.read_side(cell.positive(), out.positive);
    if (cell.with_negative_) { cell.read_side(cell.negative(), out.negative); }
    // acquire fence: E4, the counts were read before the number is looked at again.
    std::atomic_thread_fence(std::memory_order_acquire);
    return (before >> 32) % 2 == 0 && get(scale) == before;
}

void merge(ExponentialSnapshot& into, const ExponentialSnapshot& from, std::uint32_t size_max) {
    auto scale = std::min(into.scale, from.scale);
    const auto fits = [&](const Side& a, const Side& b) {
        auto range = range_of(a, into.scale - scale);
        range.include(range_of(b, from.scale - scale));
        return range.fits(size_max);
    };
    while (!fits(into.positive, from.positive) || !fits(into.negative, from.negative)) {
        --scale; // Bound: two buckets of the lowest scale hold all.
    }
    for (const auto side : {&ExponentialSnapshot::positive, &ExponentialSnapshot::negative}) {
        fold(into.*side, into.scale - scale);
        add(into.*side, from.*side, from.scale - scale, size_max);
    }
    into.scale = scale;
    into.zero_count += from.zero_count;
}

void subtract(ExponentialSnapshot& now, const ExponentialSnapshot& before) noexcept {
    const auto scale = std::min(now.scale, before.scale);
    for (const auto side : {&ExponentialSnapshot::positive, &ExponentialSnapshot::negative}) {
        fold(now.*side, now.scale - scale);
        subtract(now.*side, before.*side, before.scale - scale);
    }
    now.scale = scale;
    now.zero_count -= std::min(now.zero_count, before.zero_count);
}

} // namespace weft::detail
