#pragma once
#include <weft/custom_metrics/handler.hpp>
#include <weft/runtime/manual_clock.hpp>
#include <weft/testing/collected_metrics.hpp>

#include <gtest/gtest.h>
#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>

namespace weft::testing {

/// A handler with a provider of its own, and time that stands still.
class CustomMetrics : public ::testing::Test {
protected:
    explicit CustomMetrics(MetricOptions metrics = {})
        : provider(detail::make_meter_provider(std::move(metrics))) {}
    ~CustomMetrics() override { detail::close(provider); }

    // Instruments are of the process: a meter for each test, so that none sees another's.
    [[nodiscard]] CustomMetricsOptions options() {
        CustomMetricsOptions made;
        made.authorization.bearer_tokens = {"token"};
        made.meter = Meter(meter_name).bound_to(&provider);
        return made;
    }
    void start(CustomMetricsOptions given) { handler.emplace(std::move(given)); }
    [[nodiscard]] static CustomMetricsRequest request(std::string_view body) {
        CustomMetricsRequest made;
        made.method = "POST";
        made.content_type = "application/json";
        made.authorization = "Bearer token";
        made.body = body;
        return made;
    }
    CustomMetricsResponse ask(const CustomMetricsRequest& asked) {
        if (!handler) { start(options()); }
        auto answer = handler->handle(asked);
        EXPECT_TRUE(is_json(answer.body)) << answer.body;
        return answer;
    }
    CustomMetricsResponse post(std::string_view body) { return ask(request(body)); }

    [[nodiscard]] CollectedMetrics collect() { return CollectedMetrics(provider); }
    [[nodiscard]] static bool is_json(const std::string& text) {
        simdjson::dom::parser parser;
        return parser.parse(text).error() == simdjson::SUCCESS;
    }
    /// "<status> <index> <field>: <reason>" of an error, with "-" for what is not there.
    [[nodiscard]] static std::string outline(const CustomMetricsResponse& answer) {
        simdjson::dom::parser parser;
        simdjson::dom::element error;
        if (parser.parse(answer.body)["error"].get(error) != simdjson::SUCCESS) {
            return std::to_string(answer.status) + " no error";
        }
        std::uint64_t index = 0;
        const bool has_index = error["index"].get(index) == simdjson::SUCCESS;
        std::string_view field;
        std::string_view reason;
        if (error["field"].get(field) != simdjson::SUCCESS) { field = "-"; }
        if (error["reason"].get(reason) != simdjson::SUCCESS) { reason = "-"; }
        return std::to_string(answer.status) + " " + (has_index ? std::to_string(index) : "-") +
               " " + std::string(field) + ": " + std::string(reason);
    }

    ManualClock clock;
    detail::MeterProvider& provider;
    const std::string meter_name = std::string("weft.custom.") +
                                   ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::optional<CustomMetricsHandler> handler;
};

} // namespace weft::testing
