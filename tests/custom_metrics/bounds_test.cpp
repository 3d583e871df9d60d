// How much may be posted, and by whom it is configured.
#include "handler_fixture.hpp"

#include <limits>
#include <stdexcept>
#include <string>

namespace {

using namespace weft;
using CustomMetricsBounds = weft::testing::CustomMetrics;

std::string gauge(const std::string& name) {
    return R"({"name": ")" + name + R"(", "type": "gauge", "value": 1})";
}
std::string gauges(int first, int count) {
    std::string body = "[";
    for (int i = 0; i < count; ++i) {
        body += (i == 0 ? "" : ",") + gauge("g" + std::to_string(first + i));
    }
    return body + "]";
}

TEST_F(CustomMetricsBounds, HoldForTheBody) {
    auto small = options();
    small.body_bytes_max = 100;
    start(small);
    auto body = gauge("a");
    body.resize(100, ' ');
    EXPECT_EQ(post(body).status, 200u);
    EXPECT_TRUE(
        outline(post(body + " ")).starts_with("413 - -: the body has 101 bytes: allowed are 100"));
}

TEST_F(CustomMetricsBounds, HoldForTheItemsOfARequest) {
    auto few = options();
    few.items_max = 3;
    start(few);
    EXPECT_EQ(post(gauges(0, 3)).status, 200u);
    const auto answer = post(gauges(10, 4));
    EXPECT_TRUE(outline(answer).starts_with("413 - -: there are more than 3 items"))
        << outline(answer);
    EXPECT_EQ(collect().points.size(), 3u);
}

TEST_F(CustomMetricsBounds, HoldForTheLabelsOfAnItem) {
    const auto labels = [](int count) {
        std::string body = R"({"name": "a", "type": "gauge", "value": 1, "labels": {)";
        for (int i = 0; i < count; ++i) {
            body += (i == 0 ? "\"l" : ",\"l") + std::to_string(i) + "\": 1";
        }
        return body + "}}";
    };
    EXPECT_EQ(post(labels(20)).status, 200u);
    EXPECT_EQ(outline(post(labels(21))), "400 0 labels: there are more than 20");
}

TEST_F(CustomMetricsBounds, HoldForDifferentNames) {
    auto few = options();
    few.names_max = 3;
    start(few);
    EXPECT_EQ(post(gauges(0, 2)).status, 200u);
    // Two new ones in a request that has room for one: none of them is taken.
    const auto answer = post(gauges(1, 3));
    EXPECT_TRUE(outline(answer).starts_with("403 2 name: there are 3 names already"))
        << outline(answer);
    EXPECT_EQ(handler->stats().names, 2u);
    EXPECT_EQ(post(gauge("g2")).status, 200u);
    EXPECT_EQ(post(gauges(0, 3)).status, 200u); // Known ones go on.
    EXPECT_EQ(post(gauge("g3")).status, 403u);
    EXPECT_EQ(handler->stats().names, 3u);
}

TEST_F(CustomMetricsBounds, HoldForTheRateAndSayWhenToComeAgain) {
    auto slow = options();
    slow.requests_per_second = 0.5;
    slow.burst = 3;
    start(slow);
    for (int i = 0; i < 3; ++i) { EXPECT_EQ(post("[]").status, 200u) << i; }
    const auto answer = post("[]");
    EXPECT_EQ(answer.status, 429u);
    EXPECT_EQ(answer.retry_after, "2");
    clock.advance(std::chrono::milliseconds(1500));
    EXPECT_EQ(post("[]").retry_after, "1");
    clock.advance(std::chrono::milliseconds(500));
    EXPECT_EQ(post("[]").status, 200u);
    EXPECT_EQ(post("[]").status, 429u);
    EXPECT_EQ(handler->stats().rate_limited, 3u);
    clock.advance(std::chrono::hours(1)); // A pause is worth no more than the burst.
    for (int i = 0; i < 3; ++i) { EXPECT_EQ(post("[]").status, 200u) << i; }
    EXPECT_EQ(post("[]").status, 429u);
}

TEST_F(CustomMetricsBounds, AreAHundredRequestsASecondByDefault) {
    for (int i = 0; i < 100; ++i) { ASSERT_EQ(post("[]").status, 200u) << i; }
    EXPECT_EQ(post("[]").status, 429u);
    clock.advance(std::chrono::milliseconds(10));
    EXPECT_EQ(post("[]").status, 200u);
}

TEST_F(CustomMetricsBounds, OfTheRateAreNotUsedUpByStrangers) {
    auto slow = options();
    slow.burst = 1;
    start(slow);
    auto stranger = request("[]");
    stranger.authorization = "Bearer guess";
    for (int i = 0; i < 10; ++i) { EXPECT_EQ(ask(stranger).status, 401u); }
    EXPECT_EQ(post("[]").status, 200u);
}

class CustomMetricsOverflow : public weft::testing::CustomMetrics {
protected:
    CustomMetricsOverflow() : CustomMetrics(with_limit(10)) {}
    static MetricOptions with_limit(std::size_t limit) {
        MetricOptions options;
        options.cardinality_limit = limit;
        return options;
    }
};

TEST_F(CustomMetricsOverflow, IsTheInstrumentsOwnForAttributeSets) {
    std::string body = "[";
    for (int i = 0; i < 100; ++i) {
        body += (i == 0 ? "" : ",") +
                std::string(R"({"name": "a", "type": "counter", "value": 1, )") +
                R"("labels": {"user": )" + std::to_string(i) + "}}";
    }
    EXPECT_EQ(post(body + "]").status, 200u);
    const auto collected = collect();
    EXPECT_EQ(collected.points.size(), 11u);
    EXPECT_EQ(collected.value("a", "otel.metric.overflow=true"), 90);
}

std::string construction_error(CustomMetricsOptions options) {
    try {
        const CustomMetricsHandler handler(std::move(options));
        return {};
    } catch (const std::invalid_argument& error) { return error.what(); }
}

TEST_F(CustomMetricsBounds, NameTheOptionThatIsOutOfRange) {
    const auto error_with = [&](auto change) {
        auto changed = options();
        change(changed);
        return construction_error(std::move(changed));
    };
    EXPECT_EQ(error_with([](auto&) {}), "");
    const auto expect = [](const std::string& error, std::string_view beginning) {
        EXPECT_TRUE(error.starts_with("CustomMetricsOptions: " + std::string(beginning))) << error;
    };
    expect(error_with([](auto& o) { o.authorization = {}; }), "authorization is not set");
    expect(error_with([](auto& o) { o.authorization.user = "a"; }), "authorization.user is set");
    expect(error_with([](auto& o) { o.prefix = "1."; }), "prefix is \"1.\"");
    expect(error_with([](auto& o) { o.prefix = std::string(129, 'x'); }), "prefix has 129");
    expect(error_with([](auto& o) { o.names_max = 0; }), "names_max is 0: allowed is 1 to 10000");
    expect(error_with([](auto& o) { o.names_max = 10'001; }), "names_max");
    expect(error_with([](auto& o) { o.body_bytes_max = 1; }), "body_bytes_max");
    expect(error_with([](auto& o) { o.items_max = 0; }), "items_max");
    expect(error_with([](auto& o) { o.labels_max = 65; }), "labels_max");
    expect(error_with([](auto& o) { o.label_key_bytes_max = 0; }), "label_key_bytes_max");
    expect(error_with([](auto& o) { o.label_value_bytes_max = 5000; }), "label_value_bytes_max");
    expect(error_with([](auto& o) { o.description_bytes_max = 70'000; }), "description_bytes_max");
    expect(error_with([](auto& o) { o.requests_per_second = 0; }), "requests_per_second");
    expect(
        error_with(
            [](auto& o) { o.requests_per_second = std::numeric_limits<double>::quiet_NaN(); }),
        "requests_per_second");
    expect(error_with([](auto& o) { o.past_max = std::chrono::seconds(-1); }), "past_max");
    expect(error_with([](auto& o) { o.future_max = std::chrono::hours(25); }), "future_max");
}

} // namespace
