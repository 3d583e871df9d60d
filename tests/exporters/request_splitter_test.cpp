#include "record_shortener.hpp"
#include "request_splitter.hpp"

#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/runtime/utf8.hpp>
#include <weft/testing/otlp_random.hpp>

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace weft::detail {
namespace {

using otlp::collector::logs::v1::ExportLogsServiceRequest;
using otlp::collector::metrics::v1::ExportMetricsServiceRequest;
using otlp::collector::trace::v1::ExportTraceServiceRequest;
using otlp::logs::v1::LogRecord;
using otlp::metrics::v1::Metric;
using otlp::trace::v1::Span;

template <class Request>
std::shared_ptr<const Batch> batch_of(Signal signal, const Request& request, std::size_t records) {
    return std::make_shared<const Batch>(Batch{signal, records, request.SerializeAsString()});
}

// Resource, scope and record, of each record in order: what must not change however a request is split.
void flatten(const ExportTraceServiceRequest& request, std::vector<std::string>& out) {
    for (const auto& r : request.resource_spans()) {
        for (const auto& s : r.scope_spans()) {
            for (const auto& span : s.spans()) {
                out.push_back(
                    r.resource().SerializeAsString() + r.schema_url() +
                    s.scope().SerializeAsString() + s.schema_url() + span.SerializeAsString());
            }
        }
    }
}
void flatten(const ExportLogsServiceRequest& request, std::vector<std::string>& out) {
    for (const auto& r : request.resource_logs()) {
        for (const auto& s : r.scope_logs()) {
            for (const auto& record : s.log_records()) {
                out.push_back(
                    r.resource().SerializeAsString() + r.schema_url() +
                    s.scope().SerializeAsString() + s.schema_url() + record.SerializeAsString());
            }
        }
    }
}
// By points, each with a copy of all that is around it.
template <class Data>
void flatten_points(
    const std::string& around, const Metric& metric, Data* (Metric::*of)(), const Data& data,
    std::vector<std::string>& out) {
    for (const auto& point : data.data_points()) {
        Metric alone = metric;
        auto* own = (alone.*of)();
        own->clear_data_points();
        *own->add_data_points() = point;
        out.push_back(around + alone.SerializeAsString());
    }
}
void flatten(const ExportMetricsServiceRequest& request, std::vector<std::string>& out) {
    for (const auto& r : request.resource_metrics()) {
        for (const auto& s : r.scope_metrics()) {
            const auto around = r.resource().SerializeAsString() + r.schema_url() +
                                s.scope().SerializeAsString() + s.schema_url();
            for (const auto& m : s.metrics()) {
                flatten_points(around, m, &Metric::mutable_gauge, m.gauge(), out);
                flatten_points(around, m, &Metric::mutable_sum, m.sum(), out);
                flatten_points(around, m, &Metric::mutable_histogram, m.histogram(), out);
                flatten_points(
                    around, m, &Metric::mutable_exponential_histogram, m.exponential_histogram(),
                    out);
                flatten_points(around, m, &Metric::mutable_summary, m.summary(), out);
            }
        }
    }
}

// Goal: however small the cap, parts keep to it, and every record is in one of them with all that is around it, or counted.
// Method: random requests, caps from one that fits all down to one that fits nothing.
template <class Request>
void expect_nothing_lost(Signal signal, std::uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    testing::RandomOtlp random(seed, 7);
    std::size_t parts_max = 0;
    for (int i = 0; i < 30; ++i) {
        const auto request = random.make<Request>();
        std::vector<std::string> before;
        flatten(request, before);
        const auto batch = batch_of(signal, request, before.size());
        for (std::size_t cap = batch->body.size() + 100; cap > 0; cap /= 2) {
            const auto split = split_batch(*batch, cap);
            ASSERT_TRUE(split);
            std::vector<std::string> after;
            std::size_t records = 0;
            for (const auto& part : split->parts) {
                ASSERT_LE(part->body.size(), cap);
                ASSERT_EQ(part->signal, signal);
                records += part->records;
                Request parsed;
                ASSERT_TRUE(parsed.ParseFromString(part->body));
                const auto size_before = after.size();
                flatten(parsed, after);
                ASSERT_EQ(after.size() - size_before, part->records);
            }
            ASSERT_EQ(records + split->too_large, before.size());
            if (split->too_large == 0 && split->shortened == 0) { ASSERT_EQ(after, before); }
            parts_max = std::max(parts_max, split->parts.size());
        }
    }
    EXPECT_GT(parts_max, 1u) << "batches were split at all";
}

TEST(SplitBatch, LosesNothingAndKeepsToTheCap) {
    const std::uint64_t seed = std::random_device{}();
    expect_nothing_lost<ExportTraceServiceRequest>(Signal::traces, seed);
    expect_nothing_lost<ExportMetricsServiceRequest>(Signal::metrics, seed + 1);
    expect_nothing_lost<ExportLogsServiceRequest>(Signal::logs, seed + 2);
}

TEST(SplitBatch, LeavesARequestThatFitsInOnePart) {
    ExportTraceServiceRequest request;
    auto& scope = *request.add_resource_spans()->add_scope_spans();
    for (int i = 0; i < 10; ++i) { scope.add_spans()->set_name("n"); }
    const auto batch = batch_of(Signal::traces, request, 10);
    const auto split = split_batch(*batch, 1 << 20);
    ASSERT_EQ(split->parts.size(), 1u);
    EXPECT_EQ(split->parts[0]->body, batch->body);
}

TEST(SplitBatch, FillsItsParts) {
    ExportTraceServiceRequest request;
    auto& scope = *request.add_resource_spans()->add_scope_spans();
    for (int i = 0; i < 1000; ++i) { scope.add_spans()->set_name(std::string(90, 'n')); }
    const auto split = split_batch(*batch_of(Signal::traces, request, 1000), 10'000);
    EXPECT_LE(split->parts.size(), 11u);
}

TEST(SplitBatch, SplitsAMetricThatIsTooLargeByItsPoints) {
    ExportMetricsServiceRequest request;
    auto& metric = *request.add_resource_metrics()->add_scope_metrics()->add_metrics();
    metric.set_name("m");
    auto& sum = *metric.mutable_sum();
    sum.set_is_monotonic(true);
    sum.set_aggregation_temporality(otlp::metrics::v1::AGGREGATION_TEMPORALITY_DELTA);
    for (int i = 0; i < 100; ++i) { sum.add_data_points()->set_as_int(i); }

    const auto split = split_batch(*batch_of(Signal::metrics, request, 100), 300);

    ASSERT_GT(split->parts.size(), 3u);
    EXPECT_EQ(split->too_large, 0u);
    for (const auto& part : split->parts) {
        ExportMetricsServiceRequest parsed;
        ASSERT_TRUE(parsed.ParseFromString(part->body));
        const auto& of_part = parsed.resource_metrics(0).scope_metrics(0).metrics(0);
        EXPECT_EQ(of_part.name(), "m");
        EXPECT_TRUE(of_part.sum().is_monotonic());
        EXPECT_EQ(of_part.sum().aggregation_temporality(), 1);
    }
}

TEST(SplitBatch, CountsAPointThatIsTooLargeAlone) {
    ExportMetricsServiceRequest request;
    auto& metric = *request.add_resource_metrics()->add_scope_metrics()->add_metrics();
    auto& points = *metric.mutable_gauge();
    points.add_data_points()->set_as_int(1);
    auto& large = *points.add_data_points()->add_attributes();
    large.set_key("k");
    large.mutable_value()->set_string_value(std::string(1000, 'v'));
    points.add_data_points()->set_as_int(3);

    const auto split = split_batch(*batch_of(Signal::metrics, request, 3), 500);

    EXPECT_EQ(split->too_large, 1u) << "cut, it would be another series";
    ASSERT_EQ(split->parts.size(), 1u);
    EXPECT_EQ(split->parts[0]->records, 2u);
}

TEST(SplitBatch, ShortensARecordThatIsTooLargeAlone) {
    ExportTraceServiceRequest request;
    auto& scope = *request.add_resource_spans()->add_scope_spans();
    scope.add_spans()->set_name("small");
    auto& value = *scope.add_spans()->add_attributes();
    value.set_key("k");
    value.mutable_value()->set_string_value(std::string(10'000, 'v'));

    const auto split = split_batch(*batch_of(Signal::traces, request, 2), 1000);

    EXPECT_EQ(split->shortened, 1u);
    EXPECT_EQ(split->too_large, 0u);
    ASSERT_EQ(split->parts.size(), 2u);
    EXPECT_GT(split->parts[1]->body.size(), 950u) << "no more is cut than must be";
}

TEST(SplitBatch, RefusesWhatIsNoProtobuf) {
    const auto split = split_batch(Batch{Signal::traces, 1, "\x0a\xff"}, 10);
    ASSERT_FALSE(split);
    EXPECT_EQ(split.error(), Errc::decode_failed);
}

Span span_with(std::initializer_list<std::pair<const char*, std::string>> attributes) {
    Span span;
    span.set_name("name");
    for (const auto& [key, value] : attributes) {
        auto& added = *span.add_attributes();
        added.set_key(key);
        added.mutable_value()->set_string_value(value);
    }
    return span;
}

Span shortened(const Span& span, std::size_t bytes_max) {
    const auto bytes = shorten_record(Signal::traces, span.SerializeAsString(), bytes_max);
    EXPECT_TRUE(bytes);
    EXPECT_LE(bytes->size(), bytes_max);
    Span back;
    EXPECT_TRUE(back.ParseFromString(*bytes));
    return back;
}

TEST(ShortenRecord, CutsTheLongestValuesToOneLengthAndCountsThem) {
    auto span =
        span_with({{"a", std::string(500, 'a')}, {"b", "short"}, {"c", std::string(900, 'c')}});
    span.set_dropped_attributes_count(4);

    const auto back = shortened(span, 600);

    EXPECT_EQ(back.attributes(1).value().string_value(), "short");
    const auto a = back.attributes(0).value().string_value().size();
    const auto c = back.attributes(2).value().string_value().size();
    EXPECT_EQ(a, c);
    EXPECT_GT(a, 250u);
    EXPECT_EQ(back.dropped_attributes_count(), 6u);
    EXPECT_EQ(back.name(), "name");
}

TEST(ShortenRecord, CutsNoMoreValuesThanItMust) {
    const auto span = span_with({{"a", std::string(500, 'a')}, {"c", std::string(900, 'c')}});
    const auto back = shortened(span, 1200);
    EXPECT_EQ(back.attributes(0).value().string_value().size(), 500u);
    EXPECT_EQ(back.dropped_attributes_count(), 1u);
}

TEST(ShortenRecord, CutsStringsBetweenCharacters) {
    std::string text;
    for (int i = 0; i < 300; ++i) { text += i % 2 == 0 ? "\xf0\x9f\x98\x80" : "\xc3\xa9"; }
    const auto span = span_with({{"a", text}});
    const auto whole = span.ByteSizeLong();
    for (std::size_t cap = whole - 1; cap > whole - 20; --cap) {
        const std::string kept = shortened(span, cap).attributes(0).value().string_value();
        for (std::string_view rest = kept; !rest.empty();) {
            const auto point = leading_code_point(rest);
            ASSERT_TRUE(point.is_good) << cap;
            rest.remove_prefix(point.size);
        }
    }
}

TEST(ShortenRecord, CutsBytesAndValuesOfEvents) {
    Span span;
    auto& bytes = *span.add_attributes();
    bytes.mutable_value()->set_bytes_value(std::string(1000, '\xff'));
    auto& event = *span.add_events();
    event.set_name("exception");
    auto& stack = *event.add_attributes();
    stack.set_key("exception.stacktrace");
    stack.mutable_value()->set_string_value(std::string(1000, 's'));

    const auto back = shortened(span, 500);

    EXPECT_EQ(back.dropped_attributes_count(), 1u);
    EXPECT_EQ(back.events(0).dropped_attributes_count(), 1u);
    EXPECT_EQ(back.events(0).name(), "exception");
    EXPECT_EQ(
        back.attributes(0).value().bytes_value().size(),
        back.events(0).attributes(0).value().string_value().size());
}

TEST(ShortenRecord, CutsTheBodyOfALog) {
    LogRecord record;
    record.mutable_body()->set_string_value(std::string(1000, 'b'));
    record.set_severity_text("INFO");

    const auto bytes = shorten_record(Signal::logs, record.SerializeAsString(), 200);

    ASSERT_TRUE(bytes);
    LogRecord back;
    ASSERT_TRUE(back.ParseFromString(*bytes));
    EXPECT_GT(back.body().string_value().size(), 150u);
    EXPECT_EQ(back.dropped_attributes_count(), 1u);
    EXPECT_EQ(back.severity_text(), "INFO");
}

TEST(ShortenRecord, GivesUpWhereTheRestIsTooLarge) {
    Span span = span_with({{"a", "value"}});
    span.set_name(std::string(1000, 'n'));
    EXPECT_FALSE(shorten_record(Signal::traces, span.SerializeAsString(), 500));
    EXPECT_FALSE(shorten_record(Signal::metrics, "", 0));
}

TEST(ShortenRecord, LeavesARecordThatFits) {
    const auto span = span_with({{"a", "value"}});
    EXPECT_EQ(shortened(span, 500).SerializeAsString(), span.SerializeAsString());
}

} // namespace
} // namespace weft::detail
