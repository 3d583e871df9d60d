#include "compress.hpp"

#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/rpc/v1/status.pb.h>
#include <weft/testing/otlp_traces.hpp>
#include <weft/viewer/receiver.hpp>

#include <gmock/gmock.h>

namespace weft::viewer {
namespace {

using testing::add_span;
using ::testing::HasSubstr;
using testing::TraceRequest;
using LogsRequest = otlp::collector::logs::v1::ExportLogsServiceRequest;
using MetricsRequest = otlp::collector::metrics::v1::ExportMetricsServiceRequest;
using TraceResponse = otlp::collector::trace::v1::ExportTraceServiceResponse;
using MetricsResponse = otlp::collector::metrics::v1::ExportMetricsServiceResponse;
using LogsResponse = otlp::collector::logs::v1::ExportLogsServiceResponse;

constexpr auto now = Receiver::Clock::time_point{};
constexpr std::string_view protobuf = "application/x-protobuf";
constexpr std::string_view json = "application/json";

HttpAnswer post(
    Receiver& receiver, std::string_view path, std::string_view body,
    std::string_view type = protobuf, std::string_view coding = "") {
    return receiver.handle(
        {.method = "POST",
         .target = path,
         .content_type = type,
         .content_encoding = coding,
         .body = body},
        now);
}
HttpAnswer post(
    Receiver& receiver, std::string_view path, const google::protobuf::Message& message) {
    return post(receiver, path, message.SerializeAsString());
}
HttpAnswer get(Receiver& receiver, std::string_view target, std::string_view method = "GET") {
    return receiver.handle(
        {.method = method,
         .target = target,
         .content_type = "",
         .content_encoding = "",
         .body = ""},
        now);
}

template <class Message>
Message parse(const std::string& body) {
    Message message;
    EXPECT_TRUE(message.ParseFromString(body));
    return message;
}

TraceRequest two_services() {
    TraceRequest request;
    add_span(request, "gateway", {.span = 1, .name = "GET /", .duration_us = 900});
    add_span(request, "orders", {.span = 2, .parent = 1, .name = "GET /orders", .start_us = 100});
    return request;
}

MetricsRequest one_of_each_metric() {
    MetricsRequest request;
    auto& scope = *request.add_resource_metrics()->add_scope_metrics();
    const auto metric = [&](const char* name) -> auto& {
        auto& added = *scope.add_metrics();
        added.set_name(name);
        return added;
    };
    auto& gauge = *metric("gauge").mutable_gauge()->add_data_points();
    gauge.set_time_unix_nano(2);
    gauge.set_as_int(0);
    auto& sum = *metric("sum").mutable_sum();
    sum.set_aggregation_temporality(otlp::metrics::v1::AGGREGATION_TEMPORALITY_DELTA);
    sum.add_data_points()->set_time_unix_nano(2);
    sum.mutable_data_points(0)->set_as_double(1.5);
    auto& histogram = *metric("histogram").mutable_histogram();
    histogram.set_aggregation_temporality(otlp::metrics::v1::AGGREGATION_TEMPORALITY_CUMULATIVE);
    auto& buckets = *histogram.add_data_points();
    buckets.set_time_unix_nano(2);
    buckets.set_count(3);
    buckets.add_explicit_bounds(1);
    buckets.add_bucket_counts(1);
    buckets.add_bucket_counts(2);
    auto& exponential = *metric("exponential").mutable_exponential_histogram();
    exponential.set_aggregation_temporality(otlp::metrics::v1::AGGREGATION_TEMPORALITY_DELTA);
    auto& exponential_point = *exponential.add_data_points();
    exponential_point.set_time_unix_nano(2);
    exponential_point.set_count(6);
    exponential_point.set_zero_count(1);
    exponential_point.mutable_positive()->add_bucket_counts(2);
    exponential_point.mutable_negative()->add_bucket_counts(3);
    metric("summary").mutable_summary()->add_data_points()->set_time_unix_nano(2);
    return request;
}

LogsRequest one_log_record() {
    LogsRequest request;
    auto& record = *request.add_resource_logs()->add_scope_logs()->add_log_records();
    record.set_time_unix_nano(1);
    record.set_trace_id(testing::id_bytes(16, 1));
    record.set_span_id(testing::id_bytes(8, 1));
    return request;
}

// OTLP specification, "OTLP/HTTP Response".

TEST(Receiver, AnswersFullSuccessWithAnEmptyResponseOfTheSameType) {
    Receiver receiver;
    for (const auto& [path, body] :
         {std::pair{"/v1/traces", two_services().SerializeAsString()},
          std::pair{"/v1/metrics", one_of_each_metric().SerializeAsString()},
          std::pair{"/v1/logs", one_log_record().SerializeAsString()}}) {
        const HttpAnswer answer = post(receiver, path, body);
        EXPECT_EQ(answer.status, 200u) << path;
        EXPECT_EQ(answer.content_type, protobuf);
        EXPECT_EQ(answer.body, "") << path;
    }
    const HttpAnswer answer = post(
        receiver, "/v1/traces", otlp::to_json(two_services()), "application/json; charset=utf-8");
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.content_type, json);
    EXPECT_EQ(answer.body, "{}");
}

TEST(Receiver, TakesGzipAndZstd) {
    Receiver receiver;
    const std::string body = two_services().SerializeAsString();
    EXPECT_EQ(post(receiver, "/v1/traces", testing::gzip(body), protobuf, "gzip").status, 200u);
    EXPECT_EQ(post(receiver, "/v1/traces", testing::zstd(body), protobuf, "zstd").status, 200u);
    EXPECT_EQ(receiver.counts().store.spans, 2u);
    EXPECT_EQ(receiver.counts().store.duplicate_spans, 2u);
}

TEST(Receiver, AcceptsEmptyRequests) {
    Receiver receiver;
    for (const char* path : {"/v1/traces", "/v1/metrics", "/v1/logs"}) {
        EXPECT_EQ(post(receiver, path, "").status, 200u) << path;
        EXPECT_EQ(post(receiver, path, "{}", json).status, 200u) << path;
        EXPECT_EQ(post(receiver, path, testing::gzip(""), protobuf, "gzip").status, 200u) << path;
    }
    EXPECT_EQ(receiver.counts().requests, 9u);
    EXPECT_EQ(receiver.counts().refused_requests, 0u);
}

TEST(Receiver, CountsWhatArrives) {
    Receiver receiver;
    post(receiver, "/v1/traces", two_services());
    post(receiver, "/v1/metrics", one_of_each_metric());
    post(receiver, "/v1/logs", one_log_record());
    post(receiver, "/v1/logs?tenant=a", one_log_record());

    const ReceiverCounts counts = receiver.counts();
    EXPECT_EQ(counts.requests, 4u);
    EXPECT_EQ(counts.store.spans, 2u);
    EXPECT_EQ(counts.store.traces, 1u);
    EXPECT_EQ(counts.store.broken_traces, 0u);
    EXPECT_EQ(counts.metric_points, 5u);
    EXPECT_EQ(counts.log_records, 2u);
    EXPECT_EQ(
        receiver.summary(),
        "received 2 spans in 1 trace (0 broken), 5 metric points, 2 log records in 4 requests");
}

TEST(Receiver, AnswersMalformedBodiesWith400AndAStatusOfTheSameType) {
    Receiver receiver;
    const HttpAnswer binary = post(receiver, "/v1/traces", "\x0a\x7f");
    EXPECT_EQ(binary.status, 400u);
    EXPECT_EQ(binary.content_type, protobuf);
    const auto status = parse<otlp::rpc::v1::Status>(binary.body);
    EXPECT_EQ(status.code(), 3);
    EXPECT_EQ(
        status.message(), "body is not a protobuf ExportTraceServiceRequest, or more than 100 "
                          "messages are nested in it");
    ASSERT_EQ(status.details_size(), 1);
    EXPECT_EQ(status.details(0).type_url(), "type.googleapis.com/google.rpc.BadRequest");
    const auto bad = parse<otlp::rpc::v1::BadRequest>(status.details(0).value());
    ASSERT_EQ(bad.field_violations_size(), 1);
    EXPECT_EQ(bad.field_violations(0).description(), status.message());

    const HttpAnswer text = post(receiver, "/v1/logs", R"({"resourceLogs":[1]})", json);
    EXPECT_EQ(text.status, 400u);
    EXPECT_EQ(text.content_type, json);
    EXPECT_EQ(
        text.body,
        R"({"code":3,"message":"JSON: resourceLogs[0]: not an object","details":[)"
        R"({"@type":"type.googleapis.com/google.rpc.BadRequest",)"
        R"("fieldViolations":[{"description":"JSON: resourceLogs[0]: not an object"}]}]})");
    EXPECT_EQ(post(receiver, "/v1/traces", "x", protobuf, "gzip").status, 400u);
    EXPECT_EQ(receiver.counts().refused_requests, 3u);
}

TEST(Receiver, TakesNothingOfARequestThatItRefuses) {
    Receiver receiver;
    const std::string body = two_services().SerializeAsString() + "\x0a";
    EXPECT_EQ(post(receiver, "/v1/traces", body).status, 400u);
    EXPECT_EQ(receiver.counts().store.spans, 0u);
}

TEST(Receiver, Answers404ForOtherPaths) {
    Receiver receiver;
    for (const char* path :
         {"/", "", "/v1/traces/", "/v1/trace", "/v1development/profiles", "*", "//v1/traces"}) {
        const HttpAnswer answer = post(receiver, path, "");
        EXPECT_EQ(answer.status, 404u) << path;
        EXPECT_EQ(parse<otlp::rpc::v1::Status>(answer.body).code(), 5);
    }
    EXPECT_EQ(get(receiver, "/").status, 404u);
    EXPECT_EQ(receiver.counts().requests, 0u);
}

TEST(Receiver, Answers405ForOtherMethodsAndNamesTheRightOne) {
    Receiver receiver;
    for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post", "NONSENSE", ""}) {
        const HttpAnswer answer = get(receiver, "/v1/metrics", method);
        EXPECT_EQ(answer.status, 405u) << method;
        EXPECT_THAT(
            answer.headers,
            ::testing::ElementsAre(std::pair<std::string, std::string>("Allow", "POST")));
    }
    EXPECT_EQ(get(receiver, "/_counts", "POST").status, 405u);
}

TEST(Receiver, Answers413ForBodiesOverTheCap) {
    Receiver receiver({.body_bytes_max = 1000});
    const std::string large(1001, ' ');
    const HttpAnswer plain = post(receiver, "/v1/traces", large, json);
    EXPECT_EQ(plain.status, 413u);
    EXPECT_EQ(plain.body, R"({"code":8,"message":"body is larger than 1000 bytes"})");
    const HttpAnswer packed = post(receiver, "/v1/traces", testing::gzip(large), json, "gzip");
    EXPECT_EQ(packed.status, 413u);
    EXPECT_EQ(post(receiver, "/v1/traces", testing::zstd(large), protobuf, "zstd").status, 413u);
}

TEST(Receiver, Answers415ForATypeOrCodingItDoesNotSpeak) {
    Receiver receiver;
    const HttpAnswer type = post(receiver, "/v1/traces", "x", "text/plain");
    EXPECT_EQ(type.status, 415u);
    EXPECT_EQ(type.content_type, "text/plain; charset=utf-8");
    EXPECT_THAT(type.body, HasSubstr("application/x-protobuf"));
    EXPECT_EQ(post(receiver, "/v1/traces", "x", "").status, 415u);
    const HttpAnswer coding = post(receiver, "/v1/traces", "x", json, "br");
    EXPECT_EQ(coding.status, 415u);
    EXPECT_EQ(coding.content_type, json);
    EXPECT_THAT(
        coding.headers, ::testing::ElementsAre(std::pair<std::string, std::string>(
                            "Accept-Encoding", "gzip, zstd, identity")));
}

// What a receiver cannot keep it reports in partial_success; the rest of the request is taken.

TEST(Receiver, RejectsSpansWithoutValidIdsAndTakesTheRest) {
    Receiver receiver;
    TraceRequest request = two_services();
    add_span(request, "s", {.span = 3}).set_trace_id(std::string(16, '\0'));
    add_span(request, "s", {.span = 4}).set_trace_id("short");
    add_span(request, "s", {.span = 5}).set_span_id(std::string(8, '\0'));
    add_span(request, "s", {.span = 6}).set_span_id(std::string(9, 'x'));
    add_span(request, "s", {.span = 7}).clear_span_id();

    const HttpAnswer answer = post(receiver, "/v1/traces", request);

    EXPECT_EQ(answer.status, 200u);
    const auto response = parse<TraceResponse>(answer.body);
    EXPECT_EQ(response.partial_success().rejected_spans(), 5);
    EXPECT_EQ(response.partial_success().error_message(), "5 span_ids_invalid");
    EXPECT_EQ(receiver.counts().store.spans, 2u);
    EXPECT_EQ(receiver.counts().rejected_spans, 5u);
}

TEST(Receiver, RejectsPointsWithoutATime) {
    Receiver receiver;
    MetricsRequest request = one_of_each_metric();
    auto& scope = *request.mutable_resource_metrics(0)->mutable_scope_metrics(0);
    for (int i = 0; i < 2; ++i) {
        scope.mutable_metrics(i)->mutable_gauge()->add_data_points()->set_as_int(1);
    }

    const HttpAnswer answer = post(receiver, "/v1/metrics", request);

    const auto response = parse<MetricsResponse>(answer.body);
    EXPECT_EQ(response.partial_success().rejected_data_points(), 2);
    EXPECT_EQ(receiver.counts().rejected_points, 2u);
    EXPECT_EQ(receiver.counts().metric_points, 4u); // The sum became a gauge and lost its point.
}

struct Fault {
    const char* expected;
    void (*make)(otlp::trace::v1::Span&);
};

TEST(Receiver, AcceptsFaultySpansWithAWarning) {
    const std::vector<Fault> faults{
        {"1 parent_span_id_invalid", [](auto& span) { span.set_parent_span_id("abc"); }},
        {"1 parent_span_id_invalid",
         [](auto& span) { span.set_parent_span_id(std::string(8, '\0')); }},
        {"1 span_is_its_own_parent", [](auto& span) { span.set_parent_span_id(span.span_id()); }},
        {"1 span_ends_before_it_starts", [](auto& span) { span.set_end_time_unix_nano(5); }},
        {"1 span_without_name", [](auto& span) { span.clear_name(); }},
        {"1 span_kind_unknown", [](auto& span) { span.clear_kind(); }},
        {"1 span_kind_unknown",
         [](auto& span) { span.set_kind(static_cast<otlp::trace::v1::Span::SpanKind>(6)); }},
        {"1 span_status_unknown",
         [](auto& span) {
             span.mutable_status()->set_code(static_cast<otlp::trace::v1::Status::StatusCode>(3));
         }},
        {"1 link_ids_invalid",
         [](auto& span) { span.add_links()->set_trace_id(testing::id_bytes(16, 1)); }},
        {"1 attribute_key_empty", [](auto& span) { span.add_attributes(); }},
        {"1 attribute_key_twice",
         [](auto& span) {
             testing::add_attribute(span, "a", "1");
             testing::add_attribute(span, "b", "1");
             testing::add_attribute(span, "a", "2");
         }},
        {"1 attribute_key_empty", [](auto& span) { span.add_events()->add_attributes(); }},
    };
    for (const Fault& fault : faults) {
        Receiver receiver;
        TraceRequest request;
        fault.make(add_span(request, "s", {}));

        const HttpAnswer answer = post(receiver, "/v1/traces", request);

        const auto response = parse<TraceResponse>(answer.body);
        EXPECT_EQ(answer.status, 200u);
        EXPECT_EQ(response.partial_success().rejected_spans(), 0) << fault.expected;
        EXPECT_EQ(response.partial_success().error_message(), fault.expected);
        EXPECT_EQ(receiver.counts().store.spans, 1u);
    }
}

struct MetricFault {
    const char* expected;
    void (*make)(google::protobuf::RepeatedPtrField<otlp::metrics::v1::Metric>&);
};

TEST(Receiver, AcceptsFaultyMetricsWithAWarning) {
    using otlp::metrics::v1::AGGREGATION_TEMPORALITY_UNSPECIFIED;
    const std::vector<MetricFault> faults{
        {"1 metric_without_name", [](auto& all) { all[0].clear_name(); }},
        {"1 metric_without_data", [](auto& all) { all[0].clear_gauge(); }},
        {"1 metric_temporality_unknown",
         [](auto& all) { all[1].mutable_sum()->clear_aggregation_temporality(); }},
        {"1 metric_temporality_unknown",
         [](auto& all) {
             all[2].mutable_histogram()->set_aggregation_temporality(
                 AGGREGATION_TEMPORALITY_UNSPECIFIED);
         }},
        {"1 point_without_value",
         [](auto& all) { all[0].mutable_gauge()->mutable_data_points(0)->clear_value(); }},
        {"1 point_ends_before_it_starts",
         [](auto& all) {
             all[1].mutable_sum()->mutable_data_points(0)->set_start_time_unix_nano(3);
         }},
        {"1 histogram_bounds_invalid",
         [](auto& all) {
             all[2].mutable_histogram()->mutable_data_points(0)->add_bucket_counts(0);
         }},
        {"1 histogram_bounds_invalid",
         [](auto& all) {
             all[2].mutable_histogram()->mutable_data_points(0)->add_explicit_bounds(1);
             all[2].mutable_histogram()->mutable_data_points(0)->add_bucket_counts(0);
         }},
        {"1 histogram_counts_disagree",
         [](auto& all) { all[2].mutable_histogram()->mutable_data_points(0)->set_count(4); }},
        {"1 histogram_counts_disagree",
         [](auto& all) {
             all[3].mutable_exponential_histogram()->mutable_data_points(0)->set_zero_count(0);
         }},
        {"1 exemplar_ids_invalid",
         [](auto& all) {
             all[0].mutable_gauge()->mutable_data_points(0)->add_exemplars()->set_span_id("x");
         }},
        {"1 attribute_key_empty",
         [](auto& all) { all[4].mutable_summary()->mutable_data_points(0)->add_attributes(); }},
    };
    for (const MetricFault& fault : faults) {
        Receiver receiver;
        MetricsRequest request = one_of_each_metric();
        fault.make(
            *request.mutable_resource_metrics(0)->mutable_scope_metrics(0)->mutable_metrics());

        const HttpAnswer answer = post(receiver, "/v1/metrics", request);

        const auto response = parse<MetricsResponse>(answer.body);
        EXPECT_EQ(response.partial_success().error_message(), fault.expected);
        EXPECT_EQ(response.partial_success().rejected_data_points(), 0);
    }
}

TEST(Receiver, TakesAPointThatSaysItHasNoValue) {
    Receiver receiver;
    MetricsRequest request = one_of_each_metric();
    auto& point = *request.mutable_resource_metrics(0)
                       ->mutable_scope_metrics(0)
                       ->mutable_metrics(0)
                       ->mutable_gauge()
                       ->mutable_data_points(0);
    point.clear_value();
    point.set_flags(otlp::metrics::v1::DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK);

    EXPECT_EQ(post(receiver, "/v1/metrics", request).body, "");
}

TEST(Receiver, AcceptsFaultyLogRecordsWithAWarning) {
    Receiver receiver;
    LogsRequest request = one_log_record();
    auto& records = *request.mutable_resource_logs(0)->mutable_scope_logs(0);
    records.add_log_records();
    records.add_log_records()->set_severity_number(static_cast<otlp::logs::v1::SeverityNumber>(25));
    records.mutable_log_records(2)->set_observed_time_unix_nano(1);
    records.mutable_log_records(2)->set_span_id(testing::id_bytes(8, 1));

    const auto response = parse<LogsResponse>(post(receiver, "/v1/logs", request).body);

    EXPECT_EQ(
        response.partial_success().error_message(),
        "1 log_record_without_time, 1 log_severity_unknown, 1 log_ids_invalid");
    EXPECT_EQ(response.partial_success().rejected_log_records(), 0);
    EXPECT_EQ(receiver.counts().log_records, 3u);
}

TEST(Receiver, ReportsPartialSuccessInJsonToo) {
    Receiver receiver;
    TraceRequest request;
    add_span(request, "s", {}).clear_trace_id();

    EXPECT_EQ(
        post(receiver, "/v1/traces", otlp::to_json(request), json).body,
        R"({"partialSuccess":{"rejectedSpans":"1","errorMessage":"1 span_ids_invalid"}})");
}

TEST(Receiver, CountsBrokenTracesUntilTheParentArrives) {
    Receiver receiver;
    TraceRequest child;
    add_span(child, "orders", {.span = 2, .parent = 1});
    post(receiver, "/v1/traces", child);
    EXPECT_EQ(receiver.counts().store.broken_traces, 1u);

    TraceRequest parent;
    add_span(parent, "gateway", {.span = 1});
    post(receiver, "/v1/traces", parent);
    EXPECT_EQ(receiver.counts().store.broken_traces, 0u);
}

TEST(Receiver, GivesItsCountsAsJson) {
    Receiver receiver;
    TraceRequest request = two_services();
    add_span(request, "s", {.trace = 2, .span = 5, .parent = 9, .name = ""});
    post(receiver, "/v1/traces", request);
    post(receiver, "/v1/traces", two_services());
    post(receiver, "/v1/metrics", "x", json);

    const HttpAnswer answer = get(receiver, "/_counts");

    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.content_type, json);
    EXPECT_EQ(
        answer.body,
        R"({"received":{"spans":3,"traces":2,"broken_traces":1,"log_records":0,"metric_points":0,"duplicate_spans":2,)"
        R"("requests":3,"refused_requests":1,"rejected_spans":0,"rejected_points":0,"late_spans":0,)"
        R"("forgotten_traces":0},"problems":{"span_without_name":1}})"
        "\n");
    EXPECT_EQ(
        receiver.summary(),
        "received 3 spans in 2 traces (1 broken), 0 metric points, 0 log records in 3 requests; "
        "2 duplicate spans; 1 request refused; problems: 1 span_without_name");
}

TEST(Receiver, ShowsTracesAsText) {
    Receiver receiver;
    TraceRequest request = two_services();
    auto& span = add_span(request, "orders", {.trace = 2, .span = 7, .name = "pay"});
    span.mutable_status()->set_code(otlp::trace::v1::Status::STATUS_CODE_ERROR);
    auto& event = *span.add_events();
    event.set_name("exception");
    for (const auto& [key, value] :
         {std::pair{"exception.type", "CardError"}, std::pair{"exception.message", "no"}}) {
        auto& attribute = *event.add_attributes();
        attribute.set_key(key);
        attribute.mutable_value()->set_string_value(value);
    }
    auto& list = *span.add_attributes();
    list.set_key("list");
    auto& values = *list.mutable_value()->mutable_array_value();
    values.add_values()->set_int_value(-1);
    values.add_values()->set_bool_value(true);
    values.add_values()->set_double_value(0.5);
    values.add_values()->set_bytes_value("abc");
    auto& pair = *values.add_values()->mutable_kvlist_value()->add_values();
    pair.set_key("k");
    pair.mutable_value()->mutable_array_value();
    post(receiver, "/v1/traces", request);

    const HttpAnswer slowest = get(receiver, "/_trace?slowest=1");
    const HttpAnswer error = get(receiver, "/_trace?error=5");
    const HttpAnswer by_id = get(receiver, "/_trace?id=00000000000000000000000000000001");

    EXPECT_EQ(slowest.status, 200u);
    EXPECT_EQ(slowest.content_type, "text/plain; charset=utf-8");
    EXPECT_EQ(
        slowest.body, "trace 00000000000000000000000000000001: 2 spans, 2 services, 1.10 ms\n"
                      "      +0 ns   900.0 us  gateway: GET / [internal]\n"
                      "  +100.0 us    1.00 ms  └─ orders: GET /orders [internal]\n");
    EXPECT_EQ(by_id.body, slowest.body);
    EXPECT_EQ(
        error.body, "trace 00000000000000000000000000000002: 1 span, 1 service, 1.00 ms, 1 error\n"
                    "      +0 ns    1.00 ms  orders: pay [internal] ERROR CardError: no  "
                    "list=[-1, true, 0.5, <3 bytes>, {k=[]}]\n"
                    "      +0 ns                · exception  exception.type=CardError "
                    "exception.message=no\n");
}

TEST(Receiver, AnswersWrongQuestionsAboutTracesClearly) {
    Receiver receiver;
    EXPECT_EQ(get(receiver, "/_trace?slowest=1").status, 404u);
    EXPECT_EQ(get(receiver, "/_trace?id=00000000000000000000000000000001").status, 404u);
    for (const char* target :
         {"/_trace", "/_trace?", "/_trace?slowest", "/_trace?slowest=0", "/_trace?slowest=21",
          "/_trace?error=x", "/_trace?error=-1", "/_trace?id=1", "/_trace?fastest=1",
          "/_trace?slowest=1x"}) {
        EXPECT_EQ(get(receiver, target).status, 400u) << target;
    }
}

TEST(Receiver, CutsLongTextsBeforeKeepingThem) {
    Receiver receiver;
    TraceRequest request;
    auto& span = add_span(request, "s", {.name = std::string(100'000, 'n')});
    for (int i = 0; i < 1000; ++i) {
        testing::add_attribute(span, "k" + std::to_string(i), std::string(10'000, 'v'));
    }
    post(receiver, "/v1/traces", request);

    const StoredTrace& trace = *receiver.store().slowest(1).at(0);
    EXPECT_EQ(trace.spans()[0].name.size(), 515u);
    EXPECT_EQ(trace.spans()[0].attributes.size(), 64u);
    EXPECT_EQ(trace.spans()[0].attributes[0].second.size(), 259u);
}

TEST(Receiver, CountsTheAttributesAndEventsThatItDoesNotKeep) {
    Receiver receiver;
    TraceRequest request;
    auto& span = add_span(request, "s", {});
    for (int i = 0; i < 70; ++i) { testing::add_attribute(span, "k" + std::to_string(i), 1); }
    span.set_dropped_attributes_count(30);
    for (int i = 0; i < 40; ++i) { span.add_events()->set_name(std::string(1000, 'e')); }
    span.set_dropped_events_count(4'000'000'000);
    for (int i = 0; i < 20; ++i) { span.mutable_events(0)->add_attributes()->set_key("k"); }
    span.mutable_events(0)->set_dropped_attributes_count(1);
    post(receiver, "/v1/traces", request);

    const StoredSpan& stored = receiver.store().slowest(1).at(0)->spans()[0];
    EXPECT_EQ(stored.attributes_hidden, 36u);
    EXPECT_EQ(stored.events.size(), 16u);
    EXPECT_EQ(stored.events_hidden, 4'000'000'024u);
    EXPECT_EQ(stored.events[0].name.size(), 515u);
    EXPECT_EQ(stored.events[0].attributes.size(), 16u);
    EXPECT_EQ(stored.events[0].attributes_hidden, 5u);
    EXPECT_THAT(get(receiver, "/_trace?slowest=1").body, HasSubstr(" k5=1 (+94)\n"));
}

TEST(Receiver, ShowsAnExceptionWithoutAMessageByItsTypeAlone) {
    Receiver receiver;
    TraceRequest request;
    auto& span = add_span(request, "s", {});
    span.mutable_status()->set_code(otlp::trace::v1::Status::STATUS_CODE_ERROR);
    auto& event = *span.add_events();
    event.set_name("exception");
    for (const auto& [key, value] :
         {std::pair{"exception.type", "int"}, std::pair{"exception.message", ""}}) {
        auto& attribute = *event.add_attributes();
        attribute.set_key(key);
        attribute.mutable_value()->set_string_value(value);
    }
    post(receiver, "/v1/traces", request);
    EXPECT_THAT(get(receiver, "/_trace?error=1").body, HasSubstr("[internal] ERROR int\n"));
}

TEST(Receiver, CutsLongTextsBetweenCharacters) {
    Receiver receiver;
    TraceRequest request;
    add_span(request, "s", {.name = std::string(511, 'n') + "\u65e5\u672c"});
    post(receiver, "/v1/traces", request);

    EXPECT_EQ(receiver.store().slowest(1).at(0)->spans()[0].name, std::string(511, 'n') + "...");
}

} // namespace
} // namespace weft::viewer
