#pragma once
// Options read from a map instead of the environment, and taken apart for comparison.

#include <weft/telemetry/options.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace weft::testing {

using Variables = std::map<std::string, std::string>;

struct ReadOptions {
    Options options;
    std::vector<std::string> problems;
};

[[nodiscard]] inline ReadOptions read(const Variables& variables) {
    ReadOptions result;
    const Environment environment = [&variables](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
    };
    result.options = options_from_env(environment, result.problems);
    return result;
}

using Fields = std::map<std::string, std::string>;

/// Every setting that a variable may change, as text.
[[nodiscard]] inline Fields fields_of(const Options& options) {
    const auto& limits = options.span_limits;
    const auto& otlp = options.otlp;
    const auto& batch = options.batch;
    const auto text_of = [](const std::vector<HeaderField>& headers) {
        std::string text;
        for (const auto& header : headers) { text += header.name + ": " + header.value + "\n"; }
        return text;
    };
    std::string propagators;
    for (const auto propagator : options.propagators) {
        propagators += std::string(name(propagator)) + " ";
    }
    const auto number = [](auto value) { return std::to_string(value); };
    const auto compression = [](Compression value) { return std::string(name(value)); };
    const auto encoding = [](OtlpEncoding value) {
        return std::string(value == OtlpEncoding::json ? "json" : "protobuf");
    };
    const auto files = [](const TlsOptions& tls) {
        return tls.ca_file + "|" + tls.certificate_file + "|" + tls.key_file;
    };
    const auto milliseconds = [](auto value) { return std::to_string(value.count()); };
    const auto own_text = [](const auto& own, const auto& text) {
        return own ? text(*own) : std::string("as for all");
    };
    const auto& reader = options.metric_reader;
    return {
        {"disabled", number(options.disabled)},
        {"service_name", options.service_name},
        {"resource", options.resource.encoded()},
        {"sampler", options.sampler.description()},
        {"propagators", propagators},
        {"attribute_count", number(limits.attribute_count)},
        {"attribute_value_length", number(limits.attribute_value_length)},
        {"attribute_value_depth", number(limits.attribute_value_depth)},
        {"event_count", number(limits.event_count)},
        {"link_count", number(limits.link_count)},
        {"event_attribute_count", number(limits.event_attribute_count)},
        {"link_attribute_count", number(limits.link_attribute_count)},
        {"traces_exporter", options.traces_exporter == ExporterKind::none ? "none" : "otlp"},
        {"endpoint", otlp.endpoint},
        {"traces_endpoint", otlp.traces_endpoint},
        {"metrics_exporter", options.metrics_exporter == ExporterKind::none ? "none" : "otlp"},
        {"metrics_endpoint", otlp.metrics_endpoint},
        {"headers", text_of(otlp.headers)},
        {"traces_headers", own_text(otlp.traces.headers, text_of)},
        {"metrics_headers", own_text(otlp.metrics.headers, text_of)},
        {"traces_compression", own_text(otlp.traces.compression, compression)},
        {"metrics_compression", own_text(otlp.metrics.compression, compression)},
        {"traces_timeout", own_text(otlp.traces.timeout, milliseconds)},
        {"metrics_timeout", own_text(otlp.metrics.timeout, milliseconds)},
        {"encoding", encoding(otlp.encoding)},
        {"traces_encoding", own_text(otlp.traces.encoding, encoding)},
        {"metrics_encoding", own_text(otlp.metrics.encoding, encoding)},
        {"tls", files(otlp.tls)},
        {"traces_tls", files(otlp.traces.tls)},
        {"metrics_tls", files(otlp.metrics.tls)},
        {"http_proxy", otlp.proxy.http},
        {"https_proxy", otlp.proxy.https},
        {"no_proxy", otlp.proxy.none_for},
        {"interval", number(reader.interval.count())},
        {"collection_timeout", number(reader.timeout.count())},
        {"temporality", number(static_cast<int>(reader.temporality))},
        {"exponential_histograms", number(reader.exponential_histograms)},
        {"points_max", number(reader.points_max)},
        {"exemplar_filter", number(static_cast<int>(options.metrics.exemplar_filter))},
        {"compression", std::string(name(otlp.compression))},
        {"timeout", number(otlp.timeout.count())},
        {"connections", number(otlp.connections)},
        {"max_elapsed", number(otlp.retry.max_elapsed.count())},
        {"records_max", number(batch.records_max)},
        {"bytes_max", number(batch.bytes_max)},
        {"delay", number(batch.delay.count())},
        {"queue_bytes", number(batch.queue_bytes)},
        {"waiting_bytes_max", number(batch.waiting_bytes_max)},
        {"poll", number(batch.poll.count())},
        {"shards", number(batch.shards)},
        {"threads", number(options.threads)},
    };
}

/// The fields of `options` that are not as they are without any variable.
[[nodiscard]] inline Fields changes(const Options& options) {
    const auto defaults = fields_of(Options());
    Fields changed;
    for (const auto& [field, value] : fields_of(options)) {
        if (defaults.at(field) != value) { changed[field] = value; }
    }
    return changed;
}

inline const std::vector<std::string>& known_variables() {
    static const std::vector<std::string> names{
        "OTEL_SDK_DISABLED",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_SERVICE_NAME",
        "OTEL_LOG_LEVEL",
        "OTEL_PROPAGATORS",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_EXPORT_TIMEOUT",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_TRACES_EXPORTER",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "REQUEST_METHOD",
        "OTEL_METRICS_EXPORTER",
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    };
    return names;
}

} // namespace weft::testing
