#include "prometheus_text_fixture.hpp"

#include <algorithm>

namespace weft {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(PrometheusTextTest, SumsUpTheBucketsOfAHistogram) {
    const double bounds[]{0.005, 1, 1e6};
    const std::uint64_t counts[]{1, 2, 0, 4};
    const auto a = series({{"k", "v"}});
    auto& out = text();
    out.begin(histogram("latency", bounds, "s"));
    out.histogram({.series = a, .times = times, .count = 7, .sum = 12.5, .buckets = counts});
    out.end();
    EXPECT_EQ(
        finish(), "# HELP latency_seconds What it counts\n"
                  "# TYPE latency_seconds histogram\n"
                  "latency_seconds_bucket{k=\"v\",le=\"0.005\"} 1\n"
                  "latency_seconds_bucket{k=\"v\",le=\"1\"} 3\n"
                  "latency_seconds_bucket{k=\"v\",le=\"1e+06\"} 3\n"
                  "latency_seconds_bucket{k=\"v\",le=\"+Inf\"} 7\n"
                  "latency_seconds_sum{k=\"v\"} 12.5\n"
                  "latency_seconds_count{k=\"v\"} 7\n");
}

TEST_F(PrometheusTextTest, WritesBoundsInTheirOneForm) {
    const double bounds[]{-1,       0,      1e-5, 0.0001,  0.1,  1,       10,
                          123456.5, 100000, 1e6,  1234567, 1e21, infinity};
    std::vector<double> sorted(std::begin(bounds), std::end(bounds));
    std::sort(sorted.begin(), sorted.end());
    const std::vector<std::uint64_t> counts(sorted.size() + 1, 1);
    const auto bounds_of = [&](PrometheusProtocol protocol) {
        const auto a = series();
        auto& out = text(protocol);
        out.begin(histogram("h", sorted));
        out.histogram({.series = a, .times = times, .count = 14, .sum = 1, .buckets = counts});
        out.end();
        const auto exposition = finish();
        std::string found;
        for (std::size_t at = 0; (at = exposition.find("le=\"", at)) != std::string::npos;) {
            at += 4;
            found += exposition.substr(at, exposition.find('"', at) - at) + " ";
        }
        return found;
    };
    EXPECT_EQ(
        bounds_of(text_protocol),
        "-1 0 1e-05 0.0001 0.1 1 10 100000 123456.5 1e+06 1.234567e+06 1e+21 +Inf ");
    EXPECT_EQ(
        bounds_of(open_metrics_protocol),
        "-1.0 0.0 1e-05 0.0001 0.1 1.0 10.0 100000.0 123456.5 1e+06 1.234567e+06 1e+21 +Inf ");
}

TEST_F(PrometheusTextTest, LeavesOutSumAndCountInOpenMetricsWhereASumMayFall) {
    const double bounds[]{-1, 1};
    const std::uint64_t counts[]{1, 1, 1};
    const auto a = series();
    for (const bool has_sum : {true, false}) {
        auto& out = text(open_metrics_protocol);
        out.begin(histogram("h", bounds));
        out.histogram(
            {.series = a,
             .times = times,
             .count = 3,
             .sum = 4,
             .has_sum = has_sum,
             .buckets = counts});
        out.end();
        const auto exposition = finish();
        EXPECT_THAT(exposition, Not(HasSubstr("h_sum")));
        EXPECT_THAT(exposition, Not(HasSubstr("h_count")));
    }
    auto& out = text();
    out.begin(histogram("h", bounds));
    out.histogram(
        {.series = a, .times = times, .count = 3, .sum = 4, .has_sum = false, .buckets = counts});
    out.end();
    const auto exposition = finish();
    EXPECT_THAT(exposition, Not(HasSubstr("h_sum")));
    EXPECT_THAT(exposition, HasSubstr("h_count 3\n"));
}

TEST_F(PrometheusTextTest, WritesAHistogramWithoutBuckets) {
    const auto a = series();
    auto& out = text(open_metrics_protocol);
    out.begin(histogram("h", {}));
    out.histogram({.series = a, .times = times, .count = 3, .sum = 4});
    out.end();
    EXPECT_THAT(finish(), HasSubstr("h_bucket{le=\"+Inf\"} 3\nh_sum 4.0\nh_count 3\n"));
}

TEST_F(PrometheusTextTest, PutsTheLatestExemplarOnACounterInOpenMetricsOnly) {
    const auto a = series();
    const auto filtered = encoded_attributes({{"user.id", "u1"}});
    const MetricExemplar exemplars[]{exemplar(1, 10), exemplar(2.5, 30, filtered), exemplar(3, 20)};
    const auto write = [&](PrometheusProtocol protocol) {
        auto& out = text(protocol);
        out.begin(counter("c"));
        out.number(
            {.series = a,
             .times = times,
             .value = MetricNumber::of(std::int64_t{5}),
             .exemplars = exemplars});
        out.end();
        out.begin(gauge("g"));
        out.number(
            {.series = a,
             .times = times,
             .value = MetricNumber::of(std::int64_t{5}),
             .exemplars = exemplars});
        out.end();
        return finish();
    };
    const auto exposition = write(open_metrics_protocol);
    EXPECT_THAT(
        exposition, HasSubstr("c_total 5 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\","
                              "span_id=\"b7ad6b7169203331\",user_id=\"u1\"} 2.5 30.0\n"));
    EXPECT_THAT(exposition, HasSubstr("\ng 5\n"));
    EXPECT_THAT(write(text_protocol), Not(HasSubstr("# {")));
}

TEST_F(PrometheusTextTest, KeepsAnExemplarsLabelsWithinTheirLimit) {
    const auto a = series();
    // trace_id and span_id with their values take 63 of the 128.
    const auto write = [&](std::size_t size) {
        std::string value;
        for (std::size_t i = 0; i < size; ++i) { value += "\xc3\xa9"; }
        const auto filtered = encoded_attributes({{"a", value}, {"b", "x"}});
        const MetricExemplar exemplars[]{exemplar(1, 10, filtered)};
        auto& out = text(open_metrics_protocol);
        out.begin(counter("c"));
        out.number(
            {.series = a,
             .times = times,
             .value = MetricNumber::of(std::int64_t{5}),
             .exemplars = exemplars});
        out.end();
        return finish();
    };
    EXPECT_THAT(write(62), HasSubstr(",a=\"\xc3\xa9"));
    EXPECT_THAT(write(62), HasSubstr(",b=\"x\"}"));
    EXPECT_THAT(write(64), HasSubstr(",a=\"\xc3\xa9"));
    EXPECT_THAT(write(64), Not(HasSubstr("b=\"x\"")));
    EXPECT_THAT(write(65), Not(HasSubstr(",a=")));
    EXPECT_THAT(write(65), HasSubstr(",b=\"x\"}"));
}

TEST_F(PrometheusTextTest, WritesAnExemplarFromOutsideOfAnySpan) {
    const auto a = series();
    MetricExemplar outside = exemplar(1, 0);
    outside.trace_id = {};
    auto& out = text(open_metrics_protocol);
    out.begin(counter("c"));
    out.number(
        {.series = a,
         .times = times,
         .value = MetricNumber::of(std::int64_t{5}),
         .exemplars = {&outside, 1}});
    out.end();
    EXPECT_THAT(finish(), HasSubstr("c_total 5 # {} 1.0\n"));
}

TEST_F(PrometheusTextTest, PutsTheLatestExemplarOfABucketOnIt) {
    const double bounds[]{1, 10};
    const std::uint64_t counts[]{2, 1, 1};
    const auto a = series();
    const MetricExemplar exemplars[]{
        exemplar(1, 30), exemplar(0.5, 20), exemplar(50, 10), exemplar(not_a_number, 99)};
    auto& out = text(open_metrics_protocol);
    out.begin(histogram("h", bounds));
    out.histogram(
        {.series = a,
         .times = times,
         .count = 4,
         .sum = 60,
         .buckets = counts,
         .exemplars = exemplars});
    out.end();
    const auto exposition = finish();
    EXPECT_THAT(exposition, HasSubstr("h_bucket{le=\"1.0\"} 2 # {trace_id="));
    EXPECT_THAT(exposition, HasSubstr("} 1.0 30.0\nh_bucket{le=\"10.0\"} 3\n"));
    EXPECT_THAT(exposition, HasSubstr("} 50.0 10.0\nh_sum 60.0\n"));
}

TEST_F(PrometheusTextTest, MakesExplicitBucketsOfExponentialOnes) {
    const auto a = series();
    const std::uint64_t up[]{0, 1, 2, 0, 3, 0};
    const std::uint64_t down[]{5};
    auto stream = histogram("h", {});
    stream.kind = MetricKind::exponential_histogram;
    auto& out = text();
    out.begin(stream);
    auto point = exponential_point(a);
    point.count = 15;
    point.sum = 9;
    point.scale = 0;
    point.zero_count = 4;
    point.zero_threshold = 0.25;
    point.positive = {-1, up};  // From (0.5, 1]: 1, 2, then 3 in (8, 16].
    point.negative = {1, down}; // [-4, -2).
    out.exponential_histogram(point);
    out.end();
    EXPECT_EQ(
        finish(), "# HELP h What it counts\n# TYPE h histogram\n"
                  "h_bucket{le=\"-2\"} 5\n"
                  "h_bucket{le=\"0.25\"} 9\n"
                  "h_bucket{le=\"2\"} 10\n"
                  "h_bucket{le=\"4\"} 12\n"
                  "h_bucket{le=\"8\"} 12\n"
                  "h_bucket{le=\"16\"} 15\n"
                  "h_bucket{le=\"+Inf\"} 15\n"
                  "h_sum 9\nh_count 15\n");
}

TEST_F(PrometheusTextTest, TakesACoarserScaleForTooManyExponentialBuckets) {
    auto options = bare_options();
    options.exponential_buckets_max = 4;
    const auto a = series();
    const std::vector<std::uint64_t> up(160, 1);
    auto stream = histogram("h", {});
    stream.kind = MetricKind::exponential_histogram;
    auto& out = text(text_protocol, options);
    out.begin(stream);
    auto point = exponential_point(a);
    point.count = 160;
    point.scale = 5;
    point.positive = {0, up};
    out.exponential_histogram(point);
    out.end();
    // 160 buckets of base 2^(1/32) cover 1 to 2^5: at scale -1 that is three of base 4.
    EXPECT_THAT(
        finish(), HasSubstr("h_bucket{le=\"4\"} 64\nh_bucket{le=\"16\"} 128\n"
                            "h_bucket{le=\"64\"} 160\nh_bucket{le=\"+Inf\"} 160\n"));
}

TEST_F(PrometheusTextTest, CountsExponentialBucketsBeyondWhatADoubleHolds) {
    const auto a = series();
    const std::uint64_t high[]{1, 1};
    auto stream = histogram("h", {});
    stream.kind = MetricKind::exponential_histogram;
    auto& out = text();
    out.begin(stream);
    auto point = exponential_point(a);
    point.count = 2;
    point.scale = -10;
    point.positive = {-1, high}; // (2^-1024, 1], (1, 2^1024].
    out.exponential_histogram(point);
    out.end();
    EXPECT_THAT(finish(), HasSubstr("h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n"));
}

} // namespace
} // namespace weft
