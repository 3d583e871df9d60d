#pragma once
// The fields of every OTLP message, as the JSON encoding names them. Source: OTLP schema.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weft::detail::json_schema {

enum class Kind : std::uint8_t {
    text,
    bytes,
    id, // Bytes that are written in hex.
    boolean,
    int32, // Enums too.
    uint32,
    sint32,
    int64,
    uint64,
    fixed32,
    fixed64,
    sfixed64,
    real,
    message,
};

enum class Type : std::uint8_t {
    none,
    any_value,
    array_value,
    key_value_list,
    key_value,
    instrumentation_scope,
    entity_ref,
    resource,
    traces_data,
    resource_spans,
    scope_spans,
    span,
    span_event,
    span_link,
    status,
    metrics_data,
    resource_metrics,
    scope_metrics,
    metric,
    gauge,
    sum,
    histogram,
    exponential_histogram,
    summary,
    number_data_point,
    histogram_data_point,
    exponential_histogram_data_point,
    buckets,
    summary_data_point,
    value_at_quantile,
    exemplar,
    logs_data,
    resource_logs,
    scope_logs,
    log_record,
};

enum class Many : std::uint8_t { one, oneof, list };

struct Field {
    std::uint32_t number;
    std::string_view key; // As in JSON, with its quotes and its colon.
    Kind kind;
    Many many = Many::one;
    Type type = Type::none; // Of a message.
};

using Fields = std::span<const Field>;
// Each message, by its fields' numbers.
inline constexpr Field any_value_fields[] = {
    {1, R"("stringValue":)", Kind::text, Many::oneof},
    {2, R"("boolValue":)", Kind::boolean, Many::oneof},
    {3, R"("intValue":)", Kind::int64, Many::oneof},
    {4, R"("doubleValue":)", Kind::real, Many::oneof},
    {5, R"("arrayValue":)", Kind::message, Many::oneof, Type::array_value},
    {6, R"("kvlistValue":)", Kind::message, Many::oneof, Type::key_value_list},
    {7, R"("bytesValue":)", Kind::bytes, Many::oneof},
    {8, R"("stringValueStrindex":)", Kind::int32, Many::oneof}};
inline constexpr Field array_value_fields[] = {
    {1, R"("values":)", Kind::message, Many::list, Type::any_value}};
inline constexpr Field key_value_list_fields[] = {
    {1, R"("values":)", Kind::message, Many::list, Type::key_value}};
inline constexpr Field key_value_fields[] = {
    {1, R"("key":)", Kind::text},
    {2, R"("value":)", Kind::message, Many::one, Type::any_value},
    {3, R"("keyStrindex":)", Kind::int32}};
inline constexpr Field instrumentation_scope_fields[] = {
    {1, R"("name":)", Kind::text},
    {2, R"("version":)", Kind::text},
    {3, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {4, R"("droppedAttributesCount":)", Kind::uint32}};
inline constexpr Field entity_ref_fields[] = {
    {1, R"("schemaUrl":)", Kind::text},
    {2, R"("type":)", Kind::text},
    {3, R"("idKeys":)", Kind::text, Many::list},
    {4, R"("descriptionKeys":)", Kind::text, Many::list}};
inline constexpr Field resource_fields[] = {
    {1, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {2, R"("droppedAttributesCount":)", Kind::uint32},
    {3, R"("entityRefs":)", Kind::message, Many::list, Type::entity_ref}};

inline constexpr Field traces_data_fields[] = {
    {1, R"("resourceSpans":)", Kind::message, Many::list, Type::resource_spans}};
inline constexpr Field resource_spans_fields[] = {
    {1, R"("resource":)", Kind::message, Many::one, Type::resource},
    {2, R"("scopeSpans":)", Kind::message, Many::list, Type::scope_spans},
    {3, R"("schemaUrl":)", Kind::text}};
inline constexpr Field scope_spans_fields[] = {
    {1, R"("scope":)", Kind::message, Many::one, Type::instrumentation_scope},
    {2, R"("spans":)", Kind::message, Many::list, Type::span},
    {3, R"("schemaUrl":)", Kind::text}};
inline constexpr Field span_fields[] = {
    {1, R"("traceId":)", Kind::id},
    {2, R"("spanId":)", Kind::id},
    {3, R"("traceState":)", Kind::text},
    {4, R"("parentSpanId":)", Kind::id},
    {5, R"("name":)", Kind::text},
    {6, R"("kind":)", Kind::int32},
    {7, R"("startTimeUnixNano":)", Kind::fixed64},
    {8, R"("endTimeUnixNano":)", Kind::fixed64},
    {9, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {10, R"("droppedAttributesCount":)", Kind::uint32},
    {11, R"("events":)", Kind::message, Many::list, Type::span_event},
    {12, R"("droppedEventsCount":)", Kind::uint32},
    {13, R"("links":)", Kind::message, Many::list, Type::span_link},
    {14, R"("droppedLinksCount":)", Kind::uint32},
    {15, R"("status":)", Kind::message, Many::one, Type::status},
    {16, R"("flags":)", Kind::fixed32}};
inline constexpr Field span_event_fields[] = {
    {1, R"("timeUnixNano":)", Kind::fixed64},
    {2, R"("name":)", Kind::text},
    {3, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {4, R"("droppedAttributesCount":)", Kind::uint32}};
inline constexpr Field span_link_fields[] = {
    {1, R"("traceId":)", Kind::id},
    {2, R"("spanId":)", Kind::id},
    {3, R"("traceState":)", Kind::text},
    {4, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {5, R"("droppedAttributesCount":)", Kind::uint32},
    {6, R"("flags":)", Kind::fixed32}};
inline constexpr Field status_fields[] = {
    {2, R"("message":)", Kind::text}, {3, R"("code":)", Kind::int32}};

inline constexpr Field metrics_data_fields[] = {
    {1, R"("resourceMetrics":)", Kind::message, Many::list, Type::resource_metrics}};
inline constexpr Field resource_metrics_fields[] = {
    {1, R"("resource":)", Kind::message, Many::one, Type::resource},
    {2, R"("scopeMetrics":)", Kind::message, Many::list, Type::scope_metrics},
    {3, R"("schemaUrl":)", Kind::text}};
inline constexpr Field scope_metrics_fields[] = {
    {1, R"("scope":)", Kind::message, Many::one, Type::instrumentation_scope},
    {2, R"("metrics":)", Kind::message, Many::list, Type::metric},
    {3, R"("schemaUrl":)", Kind::text}};
inline constexpr Field metric_fields[] = {
    {1, R"("name":)", Kind::text},
    {2, R"("description":)", Kind::text},
    {3, R"("unit":)", Kind::text},
    {5, R"("gauge":)", Kind::message, Many::oneof, Type::gauge},
    {7, R"("sum":)", Kind::message, Many::oneof, Type::sum},
    {9, R"("histogram":)", Kind::message, Many::oneof, Type::histogram},
    {10, R"("exponentialHistogram":)", Kind::message, Many::oneof, Type::exponential_histogram},
    {11, R"("summary":)", Kind::message, Many::oneof, Type::summary},
    {12, R"("metadata":)", Kind::message, Many::list, Type::key_value}};
inline constexpr Field gauge_fields[] = {
    {1, R"("dataPoints":)", Kind::message, Many::list, Type::number_data_point}};
inline constexpr Field sum_fields[] = {
    {1, R"("dataPoints":)", Kind::message, Many::list, Type::number_data_point},
    {2, R"("aggregationTemporality":)", Kind::int32},
    {3, R"("isMonotonic":)", Kind::boolean}};
inline constexpr Field histogram_fields[] = {
    {1, R"("dataPoints":)", Kind::message, Many::list, Type::histogram_data_point},
    {2, R"("aggregationTemporality":)", Kind::int32}};
inline constexpr Field exponential_histogram_fields[] = {
    {1, R"("dataPoints":)", Kind::message, Many::list, Type::exponential_histogram_data_point},
    {2, R"("aggregationTemporality":)", Kind::int32}};
inline constexpr Field summary_fields[] = {
    {1, R"("dataPoints":)", Kind::message, Many::list, Type::summary_data_point}};
inline constexpr Field number_data_point_fields[] = {
    {2, R"("startTimeUnixNano":)", Kind::fixed64},
    {3, R"("timeUnixNano":)", Kind::fixed64},
    {4, R"("asDouble":)", Kind::real, Many::oneof},
    {5, R"("exemplars":)", Kind::message, Many::list, Type::exemplar},
    {6, R"("asInt":)", Kind::sfixed64, Many::oneof},
    {7, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {8, R"("flags":)", Kind::uint32}};
inline constexpr Field histogram_data_point_fields[] = {
    {2, R"("startTimeUnixNano":)", Kind::fixed64},
    {3, R"("timeUnixNano":)", Kind::fixed64},
    {4, R"("count":)", Kind::fixed64},
    {5, R"("sum":)", Kind::real},
    {6, R"("bucketCounts":)", Kind::fixed64, Many::list},
    {7, R"("explicitBounds":)", Kind::real, Many::list},
    {8, R"("exemplars":)", Kind::message, Many::list, Type::exemplar},
    {9, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {10, R"("flags":)", Kind::uint32},
    {11, R"("min":)", Kind::real},
    {12, R"("max":)", Kind::real}};
inline constexpr Field exponential_histogram_data_point_fields[] = {
    {1, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {2, R"("startTimeUnixNano":)", Kind::fixed64},
    {3, R"("timeUnixNano":)", Kind::fixed64},
    {4, R"("count":)", Kind::fixed64},
    {5, R"("sum":)", Kind::real},
    {6, R"("scale":)", Kind::sint32},
    {7, R"("zeroCount":)", Kind::fixed64},
    {8, R"("positive":)", Kind::message, Many::one, Type::buckets},
    {9, R"("negative":)", Kind::message, Many::one, Type::buckets},
    {10, R"("flags":)", Kind::uint32},
    {11, R"("exemplars":)", Kind::message, Many::list, Type::exemplar},
    {12, R"("min":)", Kind::real},
    {13, R"("max":)", Kind::real},
    {14, R"("zeroThreshold":)", Kind::real}};
inline constexpr Field buckets_fields[] = {
    {1, R"("offset":)", Kind::sint32}, {2, R"("bucketCounts":)", Kind::uint64, Many::list}};
inline constexpr Field summary_data_point_fields[] = {
    {2, R"("startTimeUnixNano":)", Kind::fixed64},
    {3, R"("timeUnixNano":)", Kind::fixed64},
    {4, R"("count":)", Kind::fixed64},
    {5, R"("sum":)", Kind::real},
    {6, R"("quantileValues":)", Kind::message, Many::list, Type::value_at_quantile},
    {7, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {8, R"("flags":)", Kind::uint32}};
inline constexpr Field value_at_quantile_fields[] = {
    {1, R"("quantile":)", Kind::real}, {2, R"("value":)", Kind::real}};
inline constexpr Field exemplar_fields[] = {
    {2, R"("timeUnixNano":)", Kind::fixed64},
    {3, R"("asDouble":)", Kind::real, Many::oneof},
    {4, R"("spanId":)", Kind::id},
    {5, R"("traceId":)", Kind::id},
    {6, R"("asInt":)", Kind::sfixed64, Many::oneof},
    {7, R"("filteredAttributes":)", Kind::message, Many::list, Type::key_value}};

inline constexpr Field logs_data_fields[] = {
    {1, R"("resourceLogs":)", Kind::message, Many::list, Type::resource_logs}};
inline constexpr Field resource_logs_fields[] = {
    {1, R"("resource":)", Kind::message, Many::one, Type::resource},
    {2, R"("scopeLogs":)", Kind::message, Many::list, Type::scope_logs},
    {3, R"("schemaUrl":)", Kind::text}};
inline constexpr Field scope_logs_fields[] = {
    {1, R"("scope":)", Kind::message, Many::one, Type::instrumentation_scope},
    {2, R"("logRecords":)", Kind::message, Many::list, Type::log_record},
    {3, R"("schemaUrl":)", Kind::text}};
inline constexpr Field log_record_fields[] = {
    {1, R"("timeUnixNano":)", Kind::fixed64},
    {2, R"("severityNumber":)", Kind::int32},
    {3, R"("severityText":)", Kind::text},
    {5, R"("body":)", Kind::message, Many::one, Type::any_value},
    {6, R"("attributes":)", Kind::message, Many::list, Type::key_value},
    {7, R"("droppedAttributesCount":)", Kind::uint32},
    {8, R"("flags":)", Kind::fixed32},
    {9, R"("traceId":)", Kind::id},
    {10, R"("spanId":)", Kind::id},
    {11, R"("observedTimeUnixNano":)", Kind::fixed64},
    {12, R"("eventName":)", Kind::text}};

// By Type.
inline constexpr std::array<Fields, 35> schema{
    Fields(),
    any_value_fields,
    array_value_fields,
    key_value_list_fields,
    key_value_fields,
    instrumentation_scope_fields,
    entity_ref_fields,
    resource_fields,
    traces_data_fields,
    resource_spans_fields,
    scope_spans_fields,
    span_fields,
    span_event_fields,
    span_link_fields,
    status_fields,
    metrics_data_fields,
    resource_metrics_fields,
    scope_metrics_fields,
    metric_fields,
    gauge_fields,
    sum_fields,
    histogram_fields,
    exponential_histogram_fields,
    summary_fields,
    number_data_point_fields,
    histogram_data_point_fields,
    exponential_histogram_data_point_fields,
    buckets_fields,
    summary_data_point_fields,
    value_at_quantile_fields,
    exemplar_fields,
    logs_data_fields,
    resource_logs_fields,
    scope_logs_fields,
    log_record_fields};
static_assert(schema.size() == static_cast<std::size_t>(Type::log_record) + 1);

} // namespace weft::detail::json_schema
