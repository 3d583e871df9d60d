// A group's measurements, hashes and normal paths allocate nothing. In the binary that replaces `operator new`.

#include "../support/counted_new.hpp"

#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/label.hpp>
#include <weft/signals/metric_group.hpp>

#include <gtest/gtest.h>

namespace weft::testing {
namespace {

/// Allocations of many calls, after one that warms up.
std::uint64_t allocations_after_one(const auto& call) {
    call();
    const auto before = allocations();
    for (int i = 0; i < 1000; ++i) { call(); }
    return allocations() - before;
}

TEST(Allocation, IsNotDoneByAGroupsMeasurements) {
    auto& provider = detail::make_meter_provider({});
    const MetricGroup group(
        Meter("group").bound_to(&provider), "g", {{"region", "eu"}, {"shop", "tea"}});
    const auto counter = group.counter("c");
    const auto histogram = group.histogram("h");
    const auto bound = histogram.bind({{"channel", "web"}});
    EXPECT_EQ(
        allocations_after_one([&] {
            counter.add(1);
            counter.add(1, {{"channel", "web"}, {"n", 7}});
            histogram.record(2.5, {{"channel", "web"}});
            bound.record(2.5);
        }),
        0U);
    detail::close(provider);
}

TEST(Allocation, IsNotDoneByLabels) {
    EXPECT_EQ(
        allocations_after_one([] {
            PathBuffer path;
            EXPECT_EQ(normalize_path("/users/1017/orders?page=2", path), "/users/{id}/orders");
            EXPECT_EQ(hashed_label("ann").view().size(), 16U);
            EXPECT_EQ(label_bucket(1017, 1).view(), "0");
        }),
        0U);
}

} // namespace
} // namespace weft::testing
