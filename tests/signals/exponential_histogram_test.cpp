// The reference is arithmetic of 100 digits and, for what is counted, a map from index to count.

#include "exponential_histogram.hpp"

#include <weft/testing/random.hpp>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <thread>
#include <vector>

namespace weft::detail {
namespace {

using Exact = boost::multiprecision::cpp_bin_float_100;
using Limits = std::numeric_limits<double>;
using testing::Random;

constexpr std::int32_t scale_min_option = -10; // The lowest that can be asked for.

/// The exact rule, for every scale from one logarithm.
class Reference {
public:
    explicit Reference(double magnitude) : log_(log2(Exact(magnitude))) {
        int exponent = 0;
        if (std::frexp(magnitude, &exponent) == 0.5) { log_ = exponent - 1; } // No rounding here.
    }
    [[nodiscard]] std::int32_t index(std::int32_t scale) const {
        return static_cast<std::int32_t>(ceil(ldexp(log_, scale))) - 1;
    }

private:
    Exact log_;
};

Exact exact_boundary(std::int64_t index, std::int32_t scale) {
    return exp2(ldexp(Exact(index), -scale));
}

/// Any positive finite double, each exponent as likely as the other.
double any_magnitude(Random& random) {
    const auto bits = random.word() >> 1;
    const auto value = std::bit_cast<double>(bits);
    return std::isfinite(value) && value > 0 ? value : 1.5;
}

/// Around `centre` by at most `octaves` to either side.
double near(Random& random, double centre, double octaves) {
    const double share = static_cast<double>(random.word() >> 11) * 0x1p-52 - 1;
    return centre * std::exp2(share * octaves);
}

void expect_as_reference(double magnitude) {
    const Reference reference(magnitude);
    for (auto scale = exponential_scale_min; scale <= exponential_scale_max; ++scale) {
        ASSERT_EQ(exponential_index(magnitude, scale), reference.index(scale))
            << std::hexfloat << magnitude << " at scale " << std::dec << scale;
    }
}

TEST(ExponentialIndex, PutsAPowerOfTwoIntoTheLowerBucket) {
    for (int exponent = -1074; exponent <= 1023; ++exponent) {
        const double value = std::ldexp(1.0, exponent);
        for (auto scale = exponential_scale_min; scale <= exponential_scale_max; ++scale) {
            const std::int64_t at_zero = std::int64_t{exponent} - 1;
            const auto expected = scale > 0
                                      ? std::int64_t{exponent} * (std::int64_t{1} << scale) - 1
                                      : at_zero >> -scale;
            ASSERT_EQ(exponential_index(value, scale), expected) << exponent << ' ' << scale;
        }
    }
}

TEST(ExponentialIndex, IsExactAtTheEndsOfTheDoubles) {
    for (const double value :
         {Limits::denorm_min(), 2 * Limits::denorm_min(), 3 * Limits::denorm_min(),
          std::nextafter(Limits::min(), 0.0), Limits::min(), std::nextafter(Limits::min(), 1.0),
          std::nextafter(1.0, 0.0), 1.0, std::nextafter(1.0, 2.0), std::nextafter(2.0, 1.0),
          std::nextafter(Limits::max(), 0.0), Limits::max()}) {
        expect_as_reference(value);
    }
    EXPECT_EQ(exponential_index(Limits::max(), 20), (1 << 30) - 1);
    EXPECT_EQ(exponential_index(Limits::denorm_min(), 20), -1074 * (1 << 20) - 1);
}

TEST(ExponentialIndex, IsExactForAnyDouble) {
    auto random = Random::seeded("IsExactForAnyDouble");
    for (int i = 0; i < 1000; ++i) { expect_as_reference(any_magnitude(random)); }
    for (int i = 0; i < 200; ++i) { // Subnormals, of every length.
        const auto bits = (random.word() >> 12) >> random.below(52);
        expect_as_reference(std::bit_cast<double>(bits | 1));
    }
    for (int i = 0; i < 200; ++i) { expect_as_reference(near(random, 1.0, 1e-6)); }
}

// The nearest double to each bound and those beside it, told apart by comparing with the bound itself.
TEST(ExponentialIndex, IsExactBesideTheBoundsOfEveryScale) {
    auto random = Random::seeded("IsExactBesideTheBoundsOfEveryScale");
    for (auto scale = scale_min_option; scale <= exponential_scale_max; ++scale) {
        const auto lowest = exponential_index(Limits::min(), scale) + 1;
        const auto highest = exponential_index(Limits::max(), scale);
        for (int i = 0; i < 300; ++i) {
            const auto index = lowest + static_cast<std::int32_t>(random.below(
                                            static_cast<std::size_t>(highest - lowest + 1)));
            const Exact bound = exact_boundary(index, scale);
            const auto nearest = static_cast<double>(bound);
            for (const double value :
                 {std::nextafter(nearest, 0.0), nearest, std::nextafter(nearest, Limits::max())}) {
                const auto expected = Exact(value) > bound ? index : index - 1;
                ASSERT_EQ(exponential_index(value, scale), expected)
                    << std::hexfloat << value << " at scale " << std::dec << scale;
            }
        }
    }
}

// One octave at the finest scale, where the bounds are a few thousand doubles apart and come nearest to one.
TEST(ExponentialIndex, IsExactBesideTheBoundsOfAnOctave) {
    auto random = Random::seeded("IsExactBesideTheBoundsOfAnOctave");
    constexpr std::int32_t stride = 61;
    const auto first = static_cast<std::int32_t>(random.between(1, stride));
    const Exact step = exact_boundary(stride, 20);
    Exact bound = exact_boundary(first, 20);
    for (std::int32_t index = first; index < 1 << 20; index += stride, bound *= step) {
        const auto nearest = static_cast<double>(bound);
        for (const double value :
             {std::nextafter(nearest, 0.0), nearest, std::nextafter(nearest, 4.0)}) {
            const auto expected = Exact(value) > bound ? index : index - 1;
            ASSERT_EQ(exponential_index(value, 20), expected) << index;
        }
        ASSERT_EQ(exponential_boundary(index, 20), nearest) << index;
    }
}

TEST(ExponentialBoundary, IsTheSpecificationsTable) {
    const double expected[] = {1, 1.09051, 1.18921, 1.29684, 1.41421, 1.54221, 1.68179, 1.83401};
    for (std::int32_t i = 0; i < 8; ++i) {
        EXPECT_NEAR(exponential_boundary(i, 3), expected[i], 5e-6);
    }
    EXPECT_EQ(exponential_boundary(8, 3), 2.0);
}

TEST(ExponentialBoundary, IsTheNearestDoubleAtEveryScale) {
    auto random = Random::seeded("IsTheNearestDoubleAtEveryScale");
    for (auto scale = scale_min_option; scale <= exponential_scale_max; ++scale) {
        const auto lowest = exponential_index(Limits::min(), scale) + 1;
        const auto highest = exponential_index(Limits::max(), scale);
        for (int i = 0; i < 200; ++i) {
            const auto index = lowest + static_cast<std::int32_t>(random.below(
                                            static_cast<std::size_t>(highest - lowest + 1)));
            ASSERT_EQ(
                exponential_boundary(index, scale),
                static_cast<double>(exact_boundary(index, scale)))
                << index << " at scale " << scale;
        }
    }
}

TEST(ExponentialBoundary, NeitherOverflowsNorUnderflowsWithinTheDoubles) {
    for (auto scale = exponential_scale_min; scale <= exponential_scale_max; ++scale) {
        const auto highest = exponential_index(Limits::max(), scale);
        EXPECT_TRUE(std::isfinite(exponential_boundary(highest, scale))) << scale;
        EXPECT_EQ(exponential_boundary(highest + 1, scale), Limits::infinity()) << scale;
        const auto lowest = exponential_index(Limits::denorm_min(), scale);
        EXPECT_LE(exponential_boundary(lowest, scale), Limits::denorm_min()) << scale;
        EXPECT_GE(exponential_boundary(lowest + 1, scale), Limits::denorm_min()) << scale;
    }
    EXPECT_EQ(exponential_boundary(-1, 0), 0.5);
    EXPECT_EQ(exponential_boundary(-1074, 0), Limits::denorm_min());
    EXPECT_EQ(exponential_boundary(-1, -10), std::ldexp(1.0, -1024));
    EXPECT_EQ(exponential_boundary(0, -10), 1.0);
    EXPECT_EQ(exponential_boundary(-1, -11), 0.0);
}

/// A cell with words of its own, filled with rubbish before.
class Cell {
public:
    explicit Cell(std::uint32_t size_max, std::int32_t scale_max = 20, bool with_negative = true)
        : words_(ExponentialCell::words(size_max, with_negative) + 1),
          cell_(words_.data(), size_max, with_negative) {
        for (auto& word : words_) { word = guard; }
        cell_.reset(scale_max);
    }
    ~Cell() { EXPECT_EQ(words_.back(), guard) << "The cell wrote behind its end."; }
    Cell(const Cell&) = delete;
    Cell& operator=(const Cell&) = delete;

    ExponentialCell& operator*() { return cell_; }
    ExponentialCell* operator->() { return &cell_; }
    ExponentialCell::Word* words() { return words_.data(); }
    [[nodiscard]] ExponentialSnapshot snapshot() const {
        ExponentialSnapshot out;
        read(cell_, out);
        return out;
    }

private:
    static constexpr std::uint64_t guard = 0xabcdabcdabcdabcd;
    std::vector<ExponentialCell::Word> words_;
    ExponentialCell cell_;
};

using Counts = std::map<std::int64_t, std::uint64_t>;

/// What a cell does, said as simply as can be.
struct Model {
    std::uint32_t size_max;
    std::int32_t scale;
    std::uint64_t zero_count = 0;
    Counts positive{};
    Counts negative{};

    void record(double value) {
        if (value == 0) {
            ++zero_count;
            return;
        }
        auto& side = value < 0 ? negative : positive;
        ++side[exponential_index(std::abs(value), scale)];
        lower_until_all_fits();
    }
    void add(Model other) {
        while (other.scale > scale) { other.lower(); }
        while (scale > other.scale) { lower(); }
        for (const auto& [index, count] : other.positive) { positive[index] += count; }
        for (const auto& [index, count] : other.negative) { negative[index] += count; }
        zero_count += other.zero_count;
        lower_until_all_fits();
    }
    void lower_until_all_fits() {
        while (!fits(positive) || !fits(negative)) { lower(); }
    }
    [[nodiscard]] bool fits(const Counts& side) const {
        return side.empty() || side.rbegin()->first - side.begin()->first < size_max;
    }
    void lower() {
        for (Counts* side : {&positive, &negative}) {
            Counts halved;
            for (const auto& [index, count] : *side) {
                halved[(index - (index % 2 != 0 ? 1 : 0)) / 2] += count; // Rounds down.
            }
            *side = halved;
        }
        --scale;
    }
};

Counts counts_of(const ExponentialSnapshot::Side& side) {
    Counts out;
    for (std::size_t i = 0; i < side.counts.size(); ++i) {
        if (side.counts[i] != 0) {
            out[side.offset + static_cast<std::int64_t>(i)] = side.counts[i];
        }
    }
    return out;
}

void expect_trimmed(const ExponentialSnapshot::Side& side, std::uint32_t size_max) {
    ASSERT_LE(side.counts.size(), size_max);
    if (side.counts.empty()) {
        ASSERT_EQ(side.offset, 0);
    } else {
        ASSERT_NE(side.counts.front(), 0U);
        ASSERT_NE(side.counts.back(), 0U);
    }
}

void expect_same(const ExponentialSnapshot& actual, const Model& model) {
    ASSERT_EQ(actual.scale, model.scale);
    ASSERT_EQ(actual.zero_count, model.zero_count);
    ASSERT_EQ(counts_of(actual.positive), model.positive);
    ASSERT_EQ(counts_of(actual.negative), model.negative);
    expect_trimmed(actual.positive, model.size_max);
    expect_trimmed(actual.negative, model.size_max);
}

/// Values as a service has them: near one another, now and then far away, of both signs, zero.
class Values {
public:
    explicit Values(Random& random)
        : random_(random), centre_(near(random, 1.0, 40)), spread_(near(random, 0.01, 10)) {}

    [[nodiscard]] double next() {
        if (random_.one_in(20)) { return 0; }
        if (random_.one_in(200)) { return sign() * any_magnitude(random_); }
        const double value = sign() * near(random_, centre_, spread_);
        return std::isfinite(value) ? value : 1;
    }

private:
    [[nodiscard]] double sign() { return random_.one_in(4) ? -1 : 1; }
    Random& random_;
    double centre_;
    double spread_;
};

constexpr std::uint32_t sizes[] = {2, 3, 4, 7, 20, 160, 320};

TEST(ExponentialCell, IsEmptyAtItsMaximalScaleAtFirst) {
    const Cell cell(160, 7);
    const auto snapshot = cell.snapshot();
    EXPECT_EQ(snapshot.scale, 7);
    EXPECT_EQ(snapshot.count(), 0U);
    EXPECT_TRUE(snapshot.positive.counts.empty());
    EXPECT_TRUE(snapshot.negative.counts.empty());
}

TEST(ExponentialCell, KeepsItsMaximalScaleForOneValueASign) {
    Cell cell(2);
    for (int i = 0; i < 3; ++i) {
        cell->record(1e300);
        cell->record(-1e-300);
        cell->record(0.0);
        cell->record(-0.0);
    }
    const auto snapshot = cell.snapshot();
    EXPECT_EQ(snapshot.scale, 20);
    EXPECT_EQ(snapshot.zero_count, 6U);
    EXPECT_EQ(snapshot.positive.offset, exponential_index(1e300, 20));
    EXPECT_EQ(snapshot.positive.counts, std::vector<std::uint64_t>{3});
    EXPECT_EQ(snapshot.negative.offset, exponential_index(1e-300, 20));
    EXPECT_EQ(snapshot.negative.counts, std::vector<std::uint64_t>{3});
    EXPECT_EQ(snapshot.count(), 12U);
}

TEST(ExponentialCell, TakesTheIdealScaleForEachContrast) {
    const struct {
        double contrast;
        std::int32_t scale;
    } table[] = {{4, 6}, {20, 5}, {1e3, 4}, {1e5, 3}, {1e7, 2}};
    for (const auto& [contrast, scale] : table) {
        Cell rising(160);
        Cell falling(160);
        for (int i = 0; i <= 1000; ++i) {
            // From just above 1: 10^3 has 160 buckets at scale 4 only if none is cut at the start.
            rising->record(1.001 * std::pow(contrast, i / 1000.0));
            falling->record(1.001 * std::pow(contrast, 1 - i / 1000.0));
        }
        EXPECT_EQ(rising.snapshot().scale, scale) << contrast;
        EXPECT_EQ(falling.snapshot().scale, scale) << contrast;
        EXPECT_EQ(rising.snapshot().count(), 1001U);
    }
}

TEST(ExponentialCell, LowersTheScaleNoFurtherThanItMust) {
    Cell cell(4, 0);
    for (const double value : {1.5, 3.0, 6.0, 12.0}) { cell->record(value); } // Indices 0 to 3.
    EXPECT_EQ(cell.snapshot().scale, 0);
    EXPECT_EQ(cell.snapshot().positive.counts, (std::vector<std::uint64_t>{1, 1, 1, 1}));
    cell->record(24.0);
    EXPECT_EQ(cell.snapshot().scale, -1);
    EXPECT_EQ(cell.snapshot().positive.offset, 0);
    EXPECT_EQ(cell.snapshot().positive.counts, (std::vector<std::uint64_t>{2, 2, 1}));
    cell->record(0.75); // Index -1 there: four buckets.
    EXPECT_EQ(cell.snapshot().scale, -1);
    EXPECT_EQ(cell.snapshot().positive.offset, -1);
    EXPECT_EQ(cell.snapshot().positive.counts, (std::vector<std::uint64_t>{1, 2, 2, 1}));
}

TEST(ExponentialCell, SharesTheScaleBetweenItsSides) {
    Cell cell(2, 3);
    cell->record(-1.05);
    cell->record(1.05);
    cell->record(16.0); // Indices 0 and 31: 0 and 1 at scale -1.
    const auto snapshot = cell.snapshot();
    EXPECT_EQ(snapshot.scale, -1);
    EXPECT_EQ(counts_of(snapshot.positive), (Counts{{0, 1}, {1, 1}}));
    EXPECT_EQ(counts_of(snapshot.negative), (Counts{{0, 1}}));
}

TEST(ExponentialCell, HoldsEveryDoubleInTwoBuckets) {
    for (const auto first : {Limits::denorm_min(), Limits::max(), 1.0}) {
        Cell cell(2);
        cell->record(first);
        for (const double value : {Limits::max(), Limits::denorm_min(), 1.0, Limits::min()}) {
            cell->record(value);
            cell->record(-value);
        }
        const auto snapshot = cell.snapshot();
        EXPECT_EQ(snapshot.scale, exponential_scale_min);
        EXPECT_EQ(snapshot.count(), 9U);
        EXPECT_EQ(counts_of(snapshot.negative), (Counts{{-1, 3}, {0, 1}}));
    }
    Cell cell(3); // With one more, and with any of two that has no subnormals, -10 is enough.
    for (const double value : {Limits::max(), Limits::denorm_min(), 1.0}) { cell->record(value); }
    EXPECT_EQ(cell.snapshot().scale, -10);
}

TEST(ExponentialCell, HasNoNegativeSideUnlessAsked) {
    EXPECT_EQ(ExponentialCell::words(160, false), 163U);
    EXPECT_EQ(ExponentialCell::words(160, true), 324U);
    Cell cell(4, 20, false);
    auto random = Random::seeded("HasNoNegativeSideUnlessAsked");
    for (int i = 0; i < 1000; ++i) { cell->record(any_magnitude(random)); }
    EXPECT_EQ(cell.snapshot().count(), 1000U);
    EXPECT_TRUE(cell.snapshot().negative.counts.empty());
}

TEST(ExponentialCell, StartsAgainWhenReset) {
    Cell cell(5);
    for (const double value : {1.0, 1e9, -3.0, 0.0}) { cell->record(value); }
    cell->reset(12);
    EXPECT_EQ(cell.snapshot().count(), 0U);
    EXPECT_EQ(cell.snapshot().scale, 12);
    cell->record(3.0);
    EXPECT_EQ(cell.snapshot().positive.offset, exponential_index(3.0, 12));
}

TEST(ExponentialCell, CountsAsTheModelDoes) {
    auto random = Random::seeded("CountsAsTheModelDoes");
    for (int round = 0; round < 60; ++round) {
        const auto size_max = random.pick(sizes);
        const auto scale_max = static_cast<std::int32_t>(random.between(0, 30)) - 10;
        Cell cell(size_max, scale_max);
        Model model{size_max, scale_max};
        Values values(random);
        for (int i = 0; i < 400; ++i) {
            const double value = values.next();
            cell->record(value);
            model.record(value);
            if (i < 40 || i % 40 == 0) {
                SCOPED_TRACE(i);
                expect_same(cell.snapshot(), model);
                if (HasFatalFailure()) { return; }
            }
        }
        expect_same(cell.snapshot(), model);
        if (HasFatalFailure()) { return; }
    }
}

TEST(ExponentialSnapshot, AllocatesNothingWhenUsedAgain) {
    Cell cell(160);
    ExponentialSnapshot once;
    ExponentialSnapshot total;
    cell->record(1.0);
    cell->record(-1.0);
    read(*cell, once);
    merge(total, once, 160);
    const auto* const read_into = once.positive.counts.data();
    const auto* const merged_into = total.negative.counts.data();
    for (int i = 0; i < 300; ++i) { // Up and down, so that both ends grow.
        cell->record(std::exp2(i / 50.0));
        cell->record(-std::exp2(-i / 50.0));
        read(*cell, once);
        total.clear();
        merge(total, once, 160);
        merge(total, once, 160);
    }
    EXPECT_EQ(once.positive.counts.data(), read_into);
    EXPECT_EQ(total.negative.counts.data(), merged_into);
    EXPECT_EQ(total.count(), 2 * 602U);
}

TEST(ExponentialSnapshot, MergesAsTheModelDoes) {
    auto random = Random::seeded("MergesAsTheModelDoes");
    for (int round = 0; round < 100; ++round) {
        const auto size_max = random.pick(sizes);
        ExponentialSnapshot total;
        Model expected{size_max, exponential_scale_max};
        std::uint64_t recorded = 0;
        for (auto cells = random.between(1, 5); cells > 0; --cells) {
            const auto scale_max = static_cast<std::int32_t>(random.between(10, 20));
            Cell cell(size_max, scale_max);
            Model model{size_max, scale_max};
            Values values(random);
            for (auto count = random.below(100); count > 0; --count, ++recorded) {
                const double value = values.next();
                cell->record(value);
                model.record(value);
            }
            merge(total, cell.snapshot(), size_max);
            expected.add(model);
            expect_same(total, expected);
            if (HasFatalFailure()) { return; }
        }
        ASSERT_EQ(total.count(), recorded);
    }
}

TEST(ExponentialSnapshot, MergesToTheFinestScaleThatHoldsBoth) {
    Cell low(4);
    Cell high(4);
    low->record(1.5);
    high->record(12.0); // Indices 0 and 3 at scale 0.
    auto total = low.snapshot();
    merge(total, high.snapshot(), 4);
    EXPECT_EQ(total.scale, 0);
    EXPECT_EQ(total.positive.counts, (std::vector<std::uint64_t>{1, 0, 0, 1}));
    total = high.snapshot(); // The other way round: grows downwards.
    merge(total, low.snapshot(), 4);
    EXPECT_EQ(total.positive.offset, 0);
    EXPECT_EQ(total.positive.counts, (std::vector<std::uint64_t>{1, 0, 0, 1}));
    merge(total, low.snapshot(), 2); // Fewer buckets than it had.
    EXPECT_EQ(total.scale, -1);
    EXPECT_EQ(total.positive.counts, (std::vector<std::uint64_t>{2, 1}));
}

TEST(ExponentialSnapshot, MergingNothingChangesNothing) {
    Cell cell(8);
    for (const double value : {1.0, 100.0, -7.0, 0.0}) { cell->record(value); }
    auto total = cell.snapshot();
    merge(total, {}, 8);
    EXPECT_EQ(total.scale, cell.snapshot().scale);
    EXPECT_EQ(counts_of(total.positive), counts_of(cell.snapshot().positive));
    EXPECT_EQ(total.count(), 4U);
}

TEST(ExponentialSnapshot, SubtractsAnEarlierStateOfTheSeries) {
    auto random = Random::seeded("SubtractsAnEarlierStateOfTheSeries");
    for (int round = 0; round < 100; ++round) {
        const auto size_max = random.pick(sizes);
        Cell cell(size_max);
        Values values(random);
        for (auto count = random.below(100); count > 0; --count) { cell->record(values.next()); }
        const auto before = cell.snapshot();
        std::vector<double> later(random.below(50));
        for (double& value : later) {
            value = values.next();
            cell->record(value);
        }
        auto delta = cell.snapshot();
        subtract(delta, before);
        Model model{size_max, cell.snapshot().scale};
        for (const double value : later) { model.record(value); }
        expect_same(delta, model);
        if (HasFatalFailure()) { return; }
        // And what was taken away, put back, is the whole.
        ASSERT_EQ(delta.count() + before.count(), cell.snapshot().count());
        merge(delta, before, size_max);
        ASSERT_EQ(counts_of(delta.positive), counts_of(cell.snapshot().positive));
        ASSERT_EQ(counts_of(delta.negative), counts_of(cell.snapshot().negative));
    }
}

TEST(ExponentialSnapshot, NeverSubtractsBelowZero) {
    Cell small(4);
    Cell large(4);
    small->record(3.0);
    small->record(0.0);
    for (const double value : {3.0, 3.0, 1e-5, 1e5, -1.0, 0.0, 0.0}) { large->record(value); }
    auto now = small.snapshot();
    subtract(now, large.snapshot()); // Not an earlier state, and of a lower scale.
    EXPECT_EQ(now.count(), 0U);
    EXPECT_TRUE(now.positive.counts.empty());
    EXPECT_EQ(now.scale, large.snapshot().scale);
}

// Every operation in any order: no count appears or gets lost.
TEST(ExponentialSnapshot, PreservesCountsUnderEveryOperation) {
    auto random = Random::seeded("PreservesCountsUnderEveryOperation");
    for (int round = 0; round < 100; ++round) {
        const auto size_max = random.pick(sizes);
        Cell cell(size_max);
        ExponentialSnapshot before;
        ExponentialSnapshot now;
        ExponentialSnapshot deltas; // All that was collected, whatever happened between.
        std::uint64_t in_cell = 0;
        std::uint64_t total = 0;
        Values values(random);
        for (int step = 0; step < 60; ++step) {
            for (auto count = random.below(20); count > 0; --count, ++in_cell, ++total) {
                cell->record(random.one_in(10) ? any_magnitude(random) : values.next());
            }
            read(*cell, now);
            ASSERT_EQ(now.count(), in_cell);
            auto delta = now;
            subtract(delta, before);
            ASSERT_EQ(delta.count(), now.count() - before.count());
            merge(deltas, delta, size_max);
            ASSERT_EQ(deltas.count(), total);
            expect_trimmed(deltas.positive, size_max);
            before = now;
            if (random.one_in(10)) {
                cell->reset(static_cast<std::int32_t>(random.between(0, 20)));
                before.clear();
                in_cell = 0;
            }
        }
    }
}

// Without the sequence lock that would tell it, a torn read stays within its bounds.
TEST(ExponentialSnapshot, IsReadWithinBoundsWhileItsOwnerRecords) {
    auto random = Random::seeded("IsReadWithinBoundsWhileItsOwnerRecords");
    constexpr std::uint32_t size_max = 20;
    Cell cell(size_max);
    std::atomic<bool> done{false};
    std::jthread owner([&] {
        Values values(random);
        for (int i = 0; i < 300'000; ++i) {
            if (i % 64 == 0) { cell->reset(20); }
            cell->record(values.next());
        }
        done.store(true, std::memory_order_relaxed); // Relaxed: only says when to stop.
    });
    ExponentialSnapshot snapshot;
    while (!done.load(std::memory_order_relaxed) && !HasFatalFailure()) { // Relaxed: as above.
        read(*cell, snapshot);
        expect_trimmed(snapshot.positive, size_max);
        expect_trimmed(snapshot.negative, size_max);
    }
}

TEST(ExponentialCell, TellsThatItWasReadAmidAMove) {
    Cell cell(4);
    cell->record(1.5);
    ExponentialSnapshot snapshot;
    EXPECT_TRUE(read(*cell, snapshot));
    cell.words()[0].fetch_add(std::uint64_t{1} << 32); // As its owner does when it begins one.
    EXPECT_FALSE(read(*cell, snapshot));
    EXPECT_LE(snapshot.positive.counts.size(), 4U);
    cell.words()[0].fetch_add(std::uint64_t{1} << 32);
    EXPECT_TRUE(read(*cell, snapshot));
    EXPECT_EQ(snapshot.count(), 1U);
}

// Goal: edge E4. Method: values that make the window move all the time; of a read that says it is whole, the count lies
// between what had been recorded before and after it.
TEST(ExponentialCell, IsReadWholeWhileItsOwnerMovesCounts) {
    auto random = Random::seeded("IsReadWholeWhileItsOwnerMovesCounts");
    Cell cell(20);
    std::atomic<std::uint64_t> recorded{0};
    std::atomic<bool> enough{false};
    std::jthread owner([&] {
        for (std::uint64_t i = 1;; ++i) {                           // Bound: the reader's, below.
            if (enough.load(std::memory_order_relaxed)) { return; } // Relaxed: a hint.
            if (i % 100 == 1) { cell->reset(20); } // A new life; its counts begin anew.
            cell->record(
                std::ldexp(static_cast<double>(random.between(1, 8)), static_cast<int>(i % 100)));
            recorded.store(i, std::memory_order_release); // Pairs with the reader's first load.
        }
    });
    ExponentialSnapshot snapshot;
    constexpr int wanted = 2000;
    int whole = 0;
    for (int reads = 0; whole < wanted && reads < 50'000'000 && !HasFailure(); ++reads) {
        const auto before = recorded.load(std::memory_order_acquire); // Pairs with the owner's.
        const bool in_place = read(*cell, snapshot);
        const auto after = recorded.load(std::memory_order_acquire); // As above.
        // At a whole hundred the next life may have begun.
        if (!in_place || before % 100 == 0 || before / 100 != after / 100) { continue; }
        ++whole;
        EXPECT_GE(snapshot.count(), before % 100);
        EXPECT_LE(snapshot.count(), after % 100 + 1);
    }
    enough.store(true, std::memory_order_relaxed); // As above.
    EXPECT_EQ(whole, wanted);
}

} // namespace
} // namespace weft::detail
