#include "options_fixture.hpp"
#include "signal_sink.hpp"

#include <weft/telemetry/options.hpp>

// Source of names, defaults and parsing: OpenTelemetry environment variable specification and OTLP
// exporter specification.

namespace weft::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Good {
    Variables variables;
    Fields changed;
};

// Goal: each variable changes its own setting and nothing else, in any letter case, with blanks
// around.
TEST(OptionsFromEnv, ReadsEachVariableIntoItsOwnSetting) {
    const std::vector<Good> cases{
        {{{"OTEL_SDK_DISABLED", "true"}}, {{"disabled", "1"}}},
        {{{"OTEL_SDK_DISABLED", " TruE "}}, {{"disabled", "1"}}},
        {{{"OTEL_SDK_DISABLED", "false"}}, {}},
        {{{"OTEL_SDK_DISABLED", "FALSE"}}, {}},
        {{{"OTEL_SERVICE_NAME", "shop"}}, {{"service_name", "shop"}}},
        {{{"OTEL_SERVICE_NAME", " the shop\t"}}, {{"service_name", "the shop"}}},
        {{{"OTEL_PROPAGATORS", "tracecontext,baggage"}}, {}},
        {{{"OTEL_PROPAGATORS", "b3"}}, {{"propagators", "b3 "}}},
        {{{"OTEL_PROPAGATORS", " B3Multi , jaeger,,b3multi,XRAY\t,"}},
         {{"propagators", "b3multi jaeger xray "}}},
        {{{"OTEL_PROPAGATORS", "ottrace,xray,jaeger,b3multi,b3,baggage,tracecontext"}},
         {{"propagators", "ottrace xray jaeger b3multi b3 baggage tracecontext "}}},
        {{{"OTEL_PROPAGATORS", "none"}}, {{"propagators", ""}}},
        {{{"OTEL_PROPAGATORS", ","}}, {}},
        {{{"OTEL_TRACES_SAMPLER", "always_on"}}, {{"sampler", "AlwaysOnSampler"}}},
        {{{"OTEL_TRACES_SAMPLER", "ALWAYS_Off"}}, {{"sampler", "AlwaysOffSampler"}}},
        {{{"OTEL_TRACES_SAMPLER", "traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "0.25"}},
         {{"sampler", "TraceIdRatioBased{0.250000}"}}},
        {{{"OTEL_TRACES_SAMPLER", "traceidratio"}}, {{"sampler", "TraceIdRatioBased{1.000000}"}}},
        {{{"OTEL_TRACES_SAMPLER", "traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "0"}},
         {{"sampler", "TraceIdRatioBased{0.000000}"}}},
        {{{"OTEL_TRACES_SAMPLER", "traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "1e-3"}},
         {{"sampler", "TraceIdRatioBased{0.001000}"}}},
        {{{"OTEL_TRACES_SAMPLER", "parentbased_always_on"}}, {}},
        {{{"OTEL_TRACES_SAMPLER", "parentbased_always_off"}},
         {{"sampler", "ParentBased{root:AlwaysOffSampler}"}}},
        {{{"OTEL_TRACES_SAMPLER", "parentbased_traceidratio"}, {"OTEL_TRACES_SAMPLER_ARG", "0.5"}},
         {{"sampler", "ParentBased{root:TraceIdRatioBased{0.500000}}"}}},
        {{{"OTEL_TRACES_SAMPLER", "Probability"}, {"OTEL_TRACES_SAMPLER_ARG", "0.25"}},
         {{"sampler", "ProbabilitySampler{0.250000}"}}},
        {{{"OTEL_TRACES_SAMPLER", "parentbased_adaptive"}, {"OTEL_TRACES_SAMPLER_ARG", "50"}},
         {{"sampler", "ParentBased{root:AdaptiveSampler{50/s}}"}}},
        {{{"OTEL_TRACES_SAMPLER", "adaptive"}}, {{"sampler", "AdaptiveSampler{100/s}"}}},
        {{{"OTEL_TRACES_SAMPLER", "rate_limit"}, {"OTEL_TRACES_SAMPLER_ARG", "2.5"}},
         {{"sampler", "RateLimitSampler{2.5/s,AlwaysOnSampler}"}}},
        {{{"OTEL_TRACES_SAMPLER", "parentbased_rules"},
          {"OTEL_TRACES_SAMPLER_ARG", "http.route=/health -> off; * -> adaptive(10)"}},
         {{"sampler",
           "ParentBased{root:RuleSampler{AlwaysOffSampler,AdaptiveSampler{10/s},otherwise:"
           "AlwaysOnSampler}}"}}},
        {{{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "7"}}, {{"attribute_count", "7"}}},
        {{{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0"}}, {{"attribute_value_length", "0"}}},
        {{{"OTEL_SPAN_EVENT_COUNT_LIMIT", "2147483647"}}, {{"event_count", "2147483647"}}},
        {{{"OTEL_SPAN_LINK_COUNT_LIMIT", "0"}}, {{"link_count", "0"}}},
        {{{"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "4"}}, {{"event_attribute_count", "4"}}},
        {{{"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "5"}}, {{"link_attribute_count", "5"}}},
        {{{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "64"}}, {{"attribute_value_length", "64"}}},
        {{{"OTEL_ATTRIBUTE_COUNT_LIMIT", "6"}},
         {{"attribute_count", "6"}, {"event_attribute_count", "6"}, {"link_attribute_count", "6"}}},
        {{{"OTEL_BSP_SCHEDULE_DELAY", "250"}}, {{"delay", "250"}}},
        {{{"OTEL_BSP_SCHEDULE_DELAY", "0"}}, {{"delay", "0"}}},
        {{{"OTEL_BSP_EXPORT_TIMEOUT", "1234"}}, {{"max_elapsed", "1234"}}},
        {{{"OTEL_BSP_MAX_QUEUE_SIZE", "8192"}}, {{"queue_bytes", "8388608"}}},
        {{{"OTEL_BSP_MAX_QUEUE_SIZE", "100"}}, {{"queue_bytes", "102400"}, {"records_max", "100"}}},
        {{{"OTEL_BSP_MAX_QUEUE_SIZE", "1"}}, {{"queue_bytes", "65536"}, {"records_max", "1"}}},
        {{{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64"}}, {{"records_max", "64"}}},
        {{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/base"}},
         {{"endpoint", "http://c:4318/base"}}},
        {{{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[::1]:5/x"}},
         {{"traces_endpoint", "http://[::1]:5/x"}}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m/x"}},
         {{"metrics_endpoint", "http://m/x"}}},
        {{{"OTEL_EXPORTER_OTLP_HEADERS", "a=1, b = two%20words "}},
         {{"headers", "a: 1\nb: two words\n"}}},
        {{{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=1"}}, {{"traces_headers", "a: 1\n"}}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "b=2,c=3"}},
         {{"metrics_headers", "b: 2\nc: 3\n"}}},
        {{{"OTEL_EXPORTER_OTLP_COMPRESSION", "GZip"}}, {{"compression", "gzip"}}},
        {{{"OTEL_EXPORTER_OTLP_COMPRESSION", "none"}}, {}},
        {{{"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd"}}, {{"traces_compression", "zstd"}}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "None"}}, {{"metrics_compression", "none"}}},
        {{{"OTEL_EXPORTER_OTLP_TIMEOUT", "2500"}}, {{"timeout", "2500"}}},
        {{{"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"}}, {{"traces_timeout", "0"}}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "77"}}, {{"metrics_timeout", "77"}}},
        {{{"OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/protobuf"}}, {}},
        {{{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"}},
         {{"traces_encoding", "protobuf"}}},
        {{{"OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/JSON"}}, {{"encoding", "json"}}},
        {{{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"}}, {{"traces_encoding", "json"}}},
        {{{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"}}, {{"tls", "/dev/null||"}}},
        {{{"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/dev/null"}}, {{"traces_tls", "/dev/null||"}}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/dev/null"}},
         {{"metrics_tls", "/dev/null||"}}},
        {{{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/dev/null"},
          {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/dev/zero"}},
         {{"tls", "|/dev/null|/dev/zero"}}},
        {{{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/dev/null"},
          {"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/dev/zero"}},
         {{"traces_tls", "|/dev/null|/dev/zero"}}},
        {{{"HTTP_PROXY", "http://p:1"}}, {{"http_proxy", "http://p:1"}}},
        {{{"HTTP_PROXY", "http://p:1"}, {"http_proxy", "http://p:2"}},
         {{"http_proxy", "http://p:2"}}},
        {{{"HTTPS_PROXY", "http://p:1"}}, {{"https_proxy", "http://p:1"}}},
        {{{"https_proxy", "http://p:1"}}, {{"https_proxy", "http://p:1"}}},
        {{{"NO_PROXY", "a, b"}}, {{"no_proxy", "a, b"}}},
        {{{"no_proxy", "*"}}, {{"no_proxy", "*"}}},
        {{{"OTEL_TRACES_EXPORTER", "None"}}, {{"traces_exporter", "none"}}},
        {{{"OTEL_TRACES_EXPORTER", "otlp"}}, {}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"}},
         {{"metrics_encoding", "protobuf"}}},
        {{{"OTEL_METRICS_EXPORTER", "None"}}, {{"metrics_exporter", "none"}}},
        {{{"OTEL_METRICS_EXPORTER", "otlp"}}, {}},
        {{{"OTEL_METRICS_EXPORTER", " OTLP , ,otlp"}}, {}},
        {{{"OTEL_METRICS_EXPORTER", " none,"}}, {{"metrics_exporter", "none"}}},
        {{{"OTEL_METRICS_EXPORTER", ","}}, {}},
        {{{"OTEL_METRIC_EXPORT_INTERVAL", "1000"}}, {{"interval", "1000"}}},
        {{{"OTEL_METRIC_EXPORT_TIMEOUT", "500"}}, {{"collection_timeout", "500"}}},
        {{{"OTEL_METRIC_EXPORT_TIMEOUT", "0"}}, {{"collection_timeout", "86400000"}}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"}}, {{"temporality", "1"}}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory"}},
         {{"temporality", "2"}}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "CUMULATIVE"}}, {}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
           "base2_exponential_bucket_histogram"}},
         {{"exponential_histograms", "1"}}},
        {{{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
           "Explicit_Bucket_Histogram"}},
         {}},
        {{{"OTEL_METRICS_EXEMPLAR_FILTER", "always_on"}}, {{"exemplar_filter", "1"}}},
        {{{"OTEL_METRICS_EXEMPLAR_FILTER", "ALWAYS_OFF"}}, {{"exemplar_filter", "2"}}},
        {{{"OTEL_METRICS_EXEMPLAR_FILTER", "trace_based"}}, {}},
        {{{"OTEL_LOG_LEVEL", "DEBUG"}}, {}},
        {{{"OTEL_LOG_LEVEL", "none"}}, {}},
    };
    for (const auto& good : cases) {
        SCOPED_TRACE(good.variables.begin()->first + "=" + good.variables.begin()->second);
        const auto [options, problems] = read(good.variables);
        EXPECT_EQ(changes(options), good.changed);
        EXPECT_THAT(problems, IsEmpty());
        EXPECT_EQ(problem_in(options), "");
    }
}

TEST(OptionsFromEnv, WithoutVariablesGivesTheDefaults) {
    const auto [options, problems] = read({});
    EXPECT_THAT(problems, IsEmpty());
    EXPECT_THAT(changes(options), IsEmpty());
    EXPECT_FALSE(options.disabled);
    EXPECT_EQ(options.sampler.description(), "ParentBased{root:AlwaysOnSampler}");
    EXPECT_EQ(options.span_limits.attribute_count, 128u);
    EXPECT_EQ(options.span_limits.attribute_value_length, SpanLimits::unlimited);
    EXPECT_EQ(options.span_limits.event_count, 128u);
    EXPECT_EQ(options.span_limits.link_count, 128u);
    EXPECT_EQ(options.span_limits.event_attribute_count, 128u);
    EXPECT_EQ(options.span_limits.link_attribute_count, 128u);
    EXPECT_EQ(options.batch.delay.count(), 5000);
    EXPECT_EQ(options.batch.records_max, 512u);
    EXPECT_EQ(options.otlp.endpoint, "http://localhost:4318");
    EXPECT_EQ(options.otlp.timeout.count(), 10000);
    EXPECT_EQ(options.traces_exporter, ExporterKind::otlp);
    EXPECT_EQ(options.metrics_exporter, ExporterKind::otlp);
    EXPECT_EQ(options.metric_reader.interval.count(), 60000);
    EXPECT_EQ(options.metric_reader.timeout.count(), 30000);
    EXPECT_EQ(options.metric_reader.temporality, TemporalityPreference::cumulative);
    EXPECT_FALSE(options.metric_reader.exponential_histograms);
    EXPECT_EQ(options.metrics.exemplar_filter, ExemplarFilter::trace_based);
    EXPECT_EQ(problem_in(options), "");
}

TEST(OptionsFromEnv, AnEmptyOrBlankVariableCountsAsUnset) {
    for (const auto& name : known_variables()) {
        for (const char* value : {"", " ", "\t  "}) {
            const auto [options, problems] = read({{name, value}});
            EXPECT_THAT(changes(options), IsEmpty()) << name;
            EXPECT_THAT(problems, IsEmpty()) << name;
        }
    }
}

TEST(OptionsFromEnv, LeavesUnknownVariablesAlone) {
    const auto [options, problems] = read(
        {{"OTEL_FUTURE_THING", "whatever"},
         {"OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT", "nonsense"},
         {"OTEL_CPP_X", "1"},
         {"PATH", "/bin"}});
    EXPECT_THAT(changes(options), IsEmpty());
    EXPECT_THAT(problems, IsEmpty());
}

struct Bad {
    std::string name;
    std::vector<std::string> values;
    std::string allowed;
    Variables also{};
};

// Goal: a bad value is one line with variable, value and what is allowed, and then as if it were
// not there.
TEST(OptionsFromEnv, ReportsABadValueInOneLineAndIgnoresIt) {
    const std::vector<std::string> bad_numbers{
        "-1", "ten", "1.5", "0x10", "1 0", "99999999999999999999", "+", "1e3"};
    std::vector<Bad> cases{
        {"OTEL_SDK_DISABLED", {"yes", "1", "truee", "on"}, "true or false"},
        {"OTEL_TRACES_SAMPLER",
         {"sometimes", "jaeger_remote", "always on"},
         "always_on, always_off, traceidratio, probability, rate_limit, adaptive, rules, "
         "parentbased_always_on, parentbased_always_off, parentbased_traceidratio, "
         "parentbased_probability, parentbased_rate_limit, parentbased_adaptive, "
         "parentbased_rules"},
        {"OTEL_BSP_MAX_QUEUE_SIZE", {"0", "2147483648"}, "1 to 262144"},
        {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", {"0", "-5"}, "1 to "},
        {"OTEL_EXPORTER_OTLP_COMPRESSION", {"brotli", "gzip,zstd", "1"}, "none, gzip, zstd"},
        {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", {"deflate"}, "none, gzip, zstd"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL", {"grpc", "http"}, "http/protobuf, http/json"},
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", {"grpc"}, "http/protobuf"},
        {"OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", {"lz4"}, "none, gzip, zstd"},
        {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", {"grpc"}, "http/protobuf"},
        {"OTEL_METRICS_EXPORTER",
         {"statsd", "oltp"},
         "a list of otlp, prometheus, console, otlp/stdout, or none"},
        {"OTEL_METRICS_EXEMPLAR_FILTER", {"on", "true"}, "trace_based, always_on, always_off"},
        {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
         {"low_memory", "1"},
         "cumulative, delta, lowmemory"},
        {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
         {"exponential", "explicit"},
         "explicit_bucket_histogram, base2_exponential_bucket_histogram"},
        {"OTEL_TRACES_EXPORTER",
         {"zipkin", "jaeger"},
         "a list of otlp, console, otlp/stdout, or none"},
        {"OTEL_LOG_LEVEL", {"loud", "7"}, "none, error, warn, info, debug"},
        {"OTEL_RESOURCE_ATTRIBUTES",
         {"team", "a=1,b", "=x", "a=%zz", "a=%4", "%=1", "a=1,=", "a=1,b=2,c"},
         "key1=value1,key2=value2"},
    };
    for (const char* name :
         {"OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
          "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
          "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
          "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
          "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT",
          "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
          "OTEL_METRIC_EXPORT_TIMEOUT"}) {
        cases.push_back({name, bad_numbers, "0 to "});
    }
    cases.push_back({"OTEL_METRIC_EXPORT_INTERVAL", bad_numbers, "1 to "});
    cases.push_back({"OTEL_METRIC_EXPORT_INTERVAL", {"0"}, "1 to 86400000 ms"});
    cases.push_back({"OTEL_BSP_MAX_QUEUE_SIZE", bad_numbers, "1 to "});
    cases.push_back({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", bad_numbers, "1 to "});
    for (const char* name :
         {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
          "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"}) {
        cases.push_back(
            {name,
             {"localhost:4318", "ftp://host/", "http://", "/v1/traces", "http://h:99999",
              "http://h:0", "http://a b/", "http:/h", "http://h:x"},
             "absolute http or https URL"});
    }

    for (const auto& bad : cases) {
        for (const auto& value : bad.values) {
            SCOPED_TRACE(bad.name + "=" + value);
            auto variables = bad.also;
            variables[bad.name] = value;
            const auto [options, problems] = read(variables);
            EXPECT_THAT(changes(options), IsEmpty());
            ASSERT_THAT(
                problems, ElementsAre(AllOf(
                              HasSubstr(bad.name + "="), HasSubstr("\"" + value + "\""),
                              HasSubstr(bad.allowed))));
            EXPECT_EQ(problem_in(options), "");
        }
    }
}

TEST(OptionsFromEnv, LeavesAnUnknownPropagatorOutAloneAndNamesIt) {
    auto result = read({{"OTEL_PROPAGATORS", "b3,zipkin,baggage"}});
    EXPECT_EQ(changes(result.options), (Fields{{"propagators", "b3 baggage "}}));
    EXPECT_THAT(
        result.problems, ElementsAre(AllOf(
                             HasSubstr("OTEL_PROPAGATORS=\"zipkin\""),
                             HasSubstr("xray, ottrace, or none"), HasSubstr("ignored"))));

    result = read({{"OTEL_PROPAGATORS", "nothing,\"b3\""}});
    EXPECT_THAT(changes(result.options), IsEmpty()) << "the default, for none is left";
    EXPECT_EQ(result.problems.size(), 2u);
}

TEST(OptionsFromEnv, ReportsNoneBesideOtherPropagatorsAndUsesTheOthers) {
    const auto [options, problems] = read({{"OTEL_PROPAGATORS", "none,b3"}});
    EXPECT_EQ(changes(options), (Fields{{"propagators", "b3 "}}));
    EXPECT_THAT(
        problems,
        ElementsAre(AllOf(HasSubstr("OTEL_PROPAGATORS=\"none,b3\""), HasSubstr("alone"))));
}

TEST(OptionsFromEnv, ReportsABadRatioAndUsesOne) {
    for (const char* value : {"2", "-0.1", "nan", "inf", "half", "0.5x", "1,0", "0.5 0.5"}) {
        for (const char* sampler : {"traceidratio", "parentbased_traceidratio"}) {
            const auto [options, problems] =
                read({{"OTEL_TRACES_SAMPLER", sampler}, {"OTEL_TRACES_SAMPLER_ARG", value}});
            EXPECT_THAT(options.sampler.description(), HasSubstr("TraceIdRatioBased{1.000000}"));
            EXPECT_THAT(
                problems, ElementsAre(AllOf(
                              HasSubstr("OTEL_TRACES_SAMPLER_ARG=\"" + std::string(value) + "\""),
                              HasSubstr("from 0 to 1"))));
        }
    }
}

TEST(OptionsFromEnv, ReportsASamplersArgumentThatNothingUses) {
    const auto [alone, alone_problems] = read({{"OTEL_TRACES_SAMPLER_ARG", "0.5"}});
    EXPECT_THAT(changes(alone), IsEmpty());
    EXPECT_THAT(
        alone_problems, ElementsAre(AllOf(
                            HasSubstr("OTEL_TRACES_SAMPLER_ARG=\"0.5\""),
                            HasSubstr("OTEL_TRACES_SAMPLER is not set"))));
    for (const char* sampler : {"always_on", "parentbased_always_off"}) {
        const auto [options, problems] =
            read({{"OTEL_TRACES_SAMPLER", sampler}, {"OTEL_TRACES_SAMPLER_ARG", "0.5"}});
        EXPECT_THAT(problems, ElementsAre(HasSubstr("takes no argument"))) << sampler;
    }
}

TEST(OptionsFromEnv, TheSignalsOwnVariableWins) {
    const auto [options, problems] = read({
        {"OTEL_EXPORTER_OTLP_HEADERS", "general=1"},
        {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "own=1"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
        {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT", "1"},
        {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, // Meant for somebody else's telemetry.
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"},
        {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"},
        {"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "theirs=1"},
    });
    EXPECT_EQ(
        changes(options), (Fields{
                              {"headers", "general: 1\n"},
                              {"traces_headers", "own: 1\n"},
                              {"metrics_headers", "theirs: 1\n"},
                              {"traces_encoding", "protobuf"},
                              {"metrics_encoding", "protobuf"},
                              {"compression", "gzip"},
                              {"traces_compression", "none"},
                              {"timeout", "1"},
                              {"traces_timeout", "2"}}));
    EXPECT_THAT(problems, IsEmpty());
    const auto traces = detail::signal_sink(options.otlp, Signal::traces).options;
    EXPECT_EQ(traces.headers.at(0).name, "own");
    EXPECT_EQ(traces.headers.size(), 1u);
    EXPECT_EQ(traces.compression, Compression::none);
    EXPECT_EQ(traces.timeout.count(), 2);
    const auto metrics = detail::signal_sink(options.otlp, Signal::metrics).options;
    EXPECT_EQ(metrics.headers.at(0).name, "theirs");
    EXPECT_EQ(metrics.compression, Compression::gzip);
    EXPECT_EQ(metrics.timeout.count(), 1);
    EXPECT_EQ(metrics.url.target, "/v1/metrics");
}

TEST(OptionsFromEnv, AProtocolOfASignalIsOneLineAndTheGeneralOneAnother) {
    auto result = read({{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}});
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("OTEL_EXPORTER_OTLP_PROTOCOL=")));
    result = read(
        {{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
         {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"}});
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("OTEL_EXPORTER_OTLP_PROTOCOL=")))
        << "metrics would have used it";
}

TEST(OptionsFromEnv, LeavesAnUnknownMetricsExporterOutAloneAndNamesIt) {
    auto result = read({{"OTEL_METRICS_EXPORTER", "statsd,otlp"}});
    EXPECT_THAT(changes(result.options), IsEmpty());
    EXPECT_THAT(
        result.problems,
        ElementsAre(AllOf(HasSubstr("OTEL_METRICS_EXPORTER=\"statsd\""), HasSubstr("ignored"))));
    result = read({{"OTEL_METRICS_EXPORTER", "none,otlp"}});
    EXPECT_THAT(changes(result.options), IsEmpty());
    EXPECT_THAT(result.problems, ElementsAre(HasSubstr("none stands alone")));
    result = read({{"OTEL_METRICS_EXPORTER", "statsd,none"}});
    EXPECT_EQ(result.options.metrics_exporter, ExporterKind::none);
    EXPECT_EQ(result.problems.size(), 1u);
}

TEST(OptionsFromEnv, ABadVariableOfTheSignalsLeavesTheGeneralOneInForce) {
    const auto [options, problems] = read({
        {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
        {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "brotli"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT", "1"},
        {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:1"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "own"},
        {"OTEL_ATTRIBUTE_COUNT_LIMIT", "9"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many"},
    });
    EXPECT_EQ(
        changes(options), (Fields{
                              {"compression", "gzip"},
                              {"timeout", "1"},
                              {"endpoint", "http://general:1"},
                              {"attribute_count", "9"},
                              {"event_attribute_count", "9"},
                              {"link_attribute_count", "9"}}));
    EXPECT_EQ(problems.size(), 4u);
}

TEST(OptionsFromEnv, SpanLimitsWinOverGeneralOnes) {
    const auto [options, problems] = read({
        {"OTEL_ATTRIBUTE_COUNT_LIMIT", "10"},
        {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "20"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "11"},
        {"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "21"},
        {"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "12"},
    });
    EXPECT_EQ(
        changes(options), (Fields{
                              {"attribute_count", "11"},
                              {"attribute_value_length", "21"},
                              {"event_attribute_count", "10"},
                              {"link_attribute_count", "12"}}));
    EXPECT_THAT(problems, IsEmpty());
}

TEST(OptionsFromEnv, ABatchLargerThanTheQueueIsAsLargeAsTheQueue) {
    const auto [options, problems] =
        read({{"OTEL_BSP_MAX_QUEUE_SIZE", "200"}, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "201"}});
    EXPECT_EQ(options.batch.records_max, 200u);
    EXPECT_THAT(
        problems, ElementsAre(AllOf(
                      HasSubstr("OTEL_BSP_MAX_EXPORT_BATCH_SIZE=\"201\""), HasSubstr("1 to 200"))));
}

// The specification lets integers be as large as 2^31 - 1; what is more than we can use counts as
// our most, and the line names the options' own bound.
TEST(OptionsFromEnv, TakesIntegersBeyondWhatItCanUseForItsMostAndSaysSo) {
    struct Large {
        std::string name;
        std::string allowed;
        Fields changed;
    };
    const std::vector<Large> cases{
        {"OTEL_BSP_SCHEDULE_DELAY", "0 to 86400000 ms; 86400000 is used", {{"delay", "86400000"}}},
        {"OTEL_BSP_EXPORT_TIMEOUT",
         "0 to 604800000 ms; 604800000 is used",
         {{"max_elapsed", "604800000"}}},
        {"OTEL_EXPORTER_OTLP_TIMEOUT",
         "0 to 86400000 ms; 86400000 is used",
         {{"timeout", "86400000"}}},
        {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
         "1 to 1048576 spans; 1048576 is used",
         {{"records_max", "1048576"}}},
        {"OTEL_BSP_MAX_QUEUE_SIZE",
         "1 to 262144 spans; 262144 is used",
         {{"queue_bytes", "268435456"}}},
    };
    for (const auto& large : cases) {
        const auto [options, problems] = read({{large.name, "2147483647"}});
        EXPECT_EQ(changes(options), large.changed);
        EXPECT_THAT(
            problems,
            ElementsAre(
                large.name + "=\"2147483647\": allowed is a whole number from " + large.allowed));
        EXPECT_EQ(problem_in(options), "");
    }
    const auto [options, problems] = read({{"OTEL_ATTRIBUTE_COUNT_LIMIT", "2147483647"}});
    EXPECT_EQ(options.span_limits.attribute_count, 2147483647u);
    EXPECT_THAT(problems, IsEmpty());
}

// Goal: the bounds that the lines name are those that the options are held to.
TEST(OptionsFromEnv, NamesTheBoundsOfTheOptionsThemselves) {
    Options options;
    options.batch.records_max = 1048577;
    EXPECT_THAT(problem_in(options), HasSubstr("allowed is 1 to 1048576"));
    options = {};
    options.batch.queue_bytes = (256u << 20) + 1; // 262144 spans of 1 KiB, and a byte.
    EXPECT_THAT(problem_in(options), HasSubstr("allowed is 65536 to 268435456 bytes"));
    options = {};
    options.batch.delay = std::chrono::milliseconds(86400001);
    EXPECT_THAT(problem_in(options), HasSubstr("is 86400001 ms: allowed is 0 to 86400000 ms"));
    options = {};
    options.otlp.timeout = std::chrono::milliseconds(86400001);
    EXPECT_THAT(problem_in(options), HasSubstr("is 86400001 ms: allowed is 0 to 86400000 ms"));
    options = {};
    options.otlp.retry.max_elapsed = std::chrono::milliseconds(604800001);
    EXPECT_THAT(problem_in(options), HasSubstr("is 604800001 ms: allowed is 0 to 604800000 ms"));
}

// Source: environment variable specification, "Timeout": 0 is no limit. RetryPolicy's own 0, one attempt, cannot be
// asked for by a variable: docs/decisions/0005.
TEST(OptionsFromEnv, AnExportTimeoutOfZeroIsNoLimit) {
    const auto [options, problems] = read({{"OTEL_BSP_EXPORT_TIMEOUT", "0"}});
    EXPECT_THAT(problems, IsEmpty());
    EXPECT_EQ(options.otlp.retry.max_elapsed, std::chrono::hours(7 * 24));
}

TEST(OptionsFromEnv, ReadsResourceAttributesAllOrNothing) {
    const auto good =
        read({{"OTEL_RESOURCE_ATTRIBUTES", " team = a%2Cb , tier=%C3%A9,,empty=, eq=1=2"}});
    EXPECT_THAT(good.problems, IsEmpty());
    EXPECT_EQ(good.options.resource.size(), 4u);
    EXPECT_EQ(good.options.resource.text("team"), "a,b");
    EXPECT_EQ(good.options.resource.text("tier"), "\xC3\xA9");
    EXPECT_TRUE(good.options.resource.contains("empty"));
    EXPECT_EQ(good.options.resource.text("eq"), "1=2");

    const auto bad = read({{"OTEL_RESOURCE_ATTRIBUTES", "team=a,tier"}});
    EXPECT_EQ(bad.problems.size(), 1u);
    EXPECT_EQ(bad.options.resource.size(), 0u);
}

TEST(OptionsFromEnv, ServiceNameWinsOverTheResourceAttribute) {
    const auto [options, problems] = read(
        {{"OTEL_RESOURCE_ATTRIBUTES", "service.name=from-list,team=a"},
         {"OTEL_SERVICE_NAME", "own"}});
    EXPECT_EQ(options.service_name, "own");
    EXPECT_EQ(options.resource.text("team"), "a");
    EXPECT_THAT(problems, IsEmpty());
}

TEST(OptionsFromEnv, NamesTheKeyOfABadHeaderButNeverAValue) {
    const auto [options, problems] = read(
        {{"OTEL_EXPORTER_OTLP_HEADERS",
          "api-key=s3cret;hidden,the tail of a "
          "s3cret=,content-length=s3cret,ok=s3cret,x=%zzs3cret,s3cret,y=s3cret%0A"}});
    EXPECT_EQ(changes(options), (Fields{{"headers", "ok: s3cret\n"}}));
    EXPECT_EQ(problems.size(), 6u);
    std::string all;
    for (const auto& problem : problems) {
        EXPECT_THAT(problem, HasSubstr("OTEL_EXPORTER_OTLP_HEADERS"));
        EXPECT_THAT(problem, Not(HasSubstr("s3cret")));
        all += problem;
    }
    for (const char* key : {"api-key", "content-length", "\"x\"", "\"y\""}) {
        EXPECT_THAT(all, HasSubstr(key));
    }
}

TEST(OptionsFromEnv, NamesTheSignalsVariableWhenItsHeadersAreBad) {
    const auto [options, problems] = read(
        {{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "no pair"},
         {"OTEL_EXPORTER_OTLP_HEADERS", "general=1"}});
    EXPECT_THAT(problems, ElementsAre(HasSubstr("OTEL_EXPORTER_OTLP_TRACES_HEADERS")));
}

// Keys and passwords stand in URLs more often than they should; a log line is no place for them.
TEST(OptionsFromEnv, ShowsNoSecretOfABadEndpoint) {
    for (const char* name : {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}) {
        for (const char* value :
             {"http://user:s3cret@host/", "ftp://host/?key=s3cret", "http://s3cret@host:x",
              "htps://host/?key=s3cret", "http://user:s3c@ret@host", "//user:s3cret@host",
              "user:s3cret@host"}) {
            const auto [options, problems] = read({{name, value}});
            ASSERT_EQ(problems.size(), 1u) << value;
            EXPECT_THAT(
                problems[0], AllOf(
                                 HasSubstr(name), HasSubstr("host"), Not(HasSubstr("s3c")),
                                 Not(HasSubstr("ret@"))));
        }
    }
}

TEST(OptionsFromEnv, KeepsALineOneLineWhateverTheValue) {
    const auto [options, problems] = read(
        {{"OTEL_TRACES_SAMPLER", "a\nweft: error: forged\x1b[2J\xff" + std::string(5000, 'x')}});
    ASSERT_EQ(problems.size(), 1u);
    EXPECT_EQ(problems[0].find_first_of("\n\r\x1b\xff"), std::string::npos);
    EXPECT_LT(problems[0].size(), 600u);
}

TEST(OptionsFromEnv, TakesHttpsEndpoints) {
    for (const auto* name : {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}) {
        const auto [options, problems] = read({{name, "https://collector.example:4318"}});
        EXPECT_THAT(problems, IsEmpty());
        const auto sink = detail::signal_sink(options.otlp, Signal::traces);
        EXPECT_EQ(sink.problem, "");
        EXPECT_EQ(sink.options.url.scheme, UrlScheme::https);
    }
}

TEST(OptionsFromEnv, PutsTogetherTheFilesOfASignal) {
    const auto [options, problems] = read(
        {{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"},
         {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/dev/zero"},
         {"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/dev/full"},
         {"OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/dev/random"}});
    EXPECT_THAT(problems, IsEmpty());
    EXPECT_EQ(
        detail::signal_sink(options.otlp, Signal::traces).options.tls,
        (TlsOptions{"/dev/null", "/dev/zero", "/dev/full"}));
    EXPECT_EQ(
        detail::signal_sink(options.otlp, Signal::metrics).options.tls,
        (TlsOptions{"/dev/random", "", ""}));
}

TEST(OptionsFromEnv, SaysThatAFileIsNotThereAndKeepsItAllTheSame) {
    const auto [options, problems] = read({{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.crt"}});
    EXPECT_THAT(
        problems, ElementsAre(AllOf(
                      HasSubstr("OTEL_EXPORTER_OTLP_CERTIFICATE=\"/nowhere/ca.crt\": No such file"),
                      HasSubstr("allowed is the path of a PEM file of trusted CAs"))));
    EXPECT_EQ(options.otlp.tls.ca_file, "/nowhere/ca.crt")
        << "the system's CAs must not be trusted instead";
}

TEST(OptionsFromEnv, TakesAClientCertificateOnlyWithItsKey) {
    for (const std::string infix : {"", "TRACES_"}) {
        for (const auto& [set, missing] :
             {std::pair{"CLIENT_CERTIFICATE", "CLIENT_KEY"},
              {"CLIENT_KEY", "CLIENT_CERTIFICATE"}}) {
            const auto name = "OTEL_EXPORTER_OTLP_" + infix + set;
            const auto [options, problems] = read({{name, "/dev/null"}});
            EXPECT_THAT(
                problems,
                ElementsAre(AllOf(HasSubstr(name + "=\"/dev/null\""), HasSubstr(missing))));
            EXPECT_THAT(changes(options), IsEmpty());
            EXPECT_EQ(problem_in(options), "");
        }
    }
}

TEST(OptionsFromEnv, ComplainsOfAProxyOnlyWhereItIsNeededAndShowsNoPassword) {
    const Variables bad{{"HTTPS_PROXY", "socks5://user:s3cret@p:1"}};
    EXPECT_THAT(read(bad).problems, IsEmpty()) << "localhost is spoken to directly, over http";

    auto needed = bad;
    needed["OTEL_EXPORTER_OTLP_ENDPOINT"] = "https://collector.example";
    const auto [options, problems] = read(needed);
    EXPECT_THAT(
        problems, ElementsAre(AllOf(
                      HasSubstr("HTTPS_PROXY=\"socks5://***@p:1\""), HasSubstr("http URL"),
                      Not(HasSubstr("s3cret")))));
    EXPECT_EQ(problem_in(options), "");

    needed["NO_PROXY"] = "example";
    EXPECT_THAT(read(needed).problems, IsEmpty());
}

// A request's Proxy header becomes HTTP_PROXY in a CGI program: httpoxy.
TEST(OptionsFromEnv, DoesNotTakeAProxyFromACgiRequest) {
    const auto [options, problems] = read(
        {{"HTTP_PROXY", "http://p:1"}, {"HTTPS_PROXY", "http://p:2"}, {"REQUEST_METHOD", "GET"}});
    EXPECT_EQ(options.otlp.proxy.http, "");
    EXPECT_EQ(options.otlp.proxy.https, "http://p:2");
    EXPECT_THAT(problems, IsEmpty());
}

TEST(SignalSink, GivesEachSignalTheProxyOfItsEndpoint) {
    OtlpOptions otlp;
    otlp.endpoint = "http://out.test";
    otlp.metrics_endpoint = "https://out.test/m";
    otlp.proxy = {.http = "p:1", .https = "u:w@p:2", .none_for = ""};
    EXPECT_EQ(detail::signal_sink(otlp, Signal::traces).options.proxy->port, 1);
    EXPECT_EQ(detail::signal_sink(otlp, Signal::metrics).options.proxy->port, 2);
    otlp.proxy.https = "socks5://user:s3cret@p";
    EXPECT_EQ(
        detail::signal_sink(otlp, Signal::metrics).problem,
        "Options::otlp.proxy.https is \"socks5://***@p\": allowed is an http URL such as "
        "http://proxy.example:3128");
    otlp.proxy.none_for = ".test";
    EXPECT_FALSE(detail::signal_sink(otlp, Signal::metrics).options.proxy);
}

TEST(OptionsFromEnv, RefusesAValueTooLongToBeMeant) {
    const std::string huge(3u << 20, '\xff');
    for (const char* name :
         {"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_HEADERS"}) {
        const auto [options, problems] = read({{name, "a=" + huge}});
        EXPECT_THAT(changes(options), IsEmpty()) << name;
        ASSERT_EQ(problems.size(), 1u) << name;
        EXPECT_THAT(problems[0], HasSubstr(name));
        EXPECT_LT(problems[0].size(), 600u);
    }
}

} // namespace
} // namespace weft::testing
