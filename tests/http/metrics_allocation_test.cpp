// Measuring a request allocates nothing once its attributes have been seen. Its own binary: `operator new` is replaced.
#include "../support/counted_new.hpp"
#include "request_metrics.hpp"

#include <weft/testing/metric_snapshot.hpp>

#include <gtest/gtest.h>

namespace weft::http::testing {
namespace {

constexpr int rounds = 1000;
constexpr detail::Measured everything{.duration = true, .active = true, .body_sizes = true};

void serve(int status) {
    detail::ServerMeasurement measurement;
    measurement.start(everything, "GET", "http", "/orders/{id}");
    measurement.request_body(10);
    measurement.response_body(200);
    measurement.finish({.elapsed_ns = 1'000'000, .status = status, .protocol_version = "1.1"});
}

void ask(int status) {
    detail::ClientMeasurement measurement;
    measurement.start(everything, "GET", "shop.example", 80);
    measurement.finish(
        {.elapsed_ns = 1'000'000,
         .status = status,
         .error_type = status >= 400 ? "404" : "",
         .protocol_version = "1.1"});
}

TEST(HttpMetricsAllocation, IsNotDoneByASeenAttributeSet) {
    weft::testing::MetricSource metrics;
    ASSERT_TRUE(metrics.is_default());
    for (const int status : {200, 404}) {
        serve(status);
        ask(status);
    }
    const auto before = weft::testing::allocations();
    for (int i = 0; i < rounds; ++i) {
        serve(i % 2 == 0 ? 200 : 404);
        ask(i % 2 == 0 ? 200 : 404);
    }
    EXPECT_EQ(weft::testing::allocations(), before);
    const auto seen = metrics.collect();
    EXPECT_EQ(
        seen.point("http.server.request.duration", "http.response.status_code", "200").count,
        rounds / 2 + 1U);
}

} // namespace
} // namespace weft::http::testing
