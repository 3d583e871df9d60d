#include "responses.hpp"

#include "text.hpp"

#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/otlp/rpc/v1/status.pb.h>

#include <fmt/format.h>

namespace weft::viewer {
namespace {

constexpr std::string_view bad_request_type = "type.googleapis.com/google.rpc.BadRequest";

std::string encode(const google::protobuf::Message& message, otlp::MediaType type) {
    return type == otlp::MediaType::json ? otlp::to_json(message) : message.SerializeAsString();
}

template <class Response>
std::string response(otlp::MediaType type, std::int64_t refused_count, std::string_view message) {
    Response body;
    if (refused_count != 0 || !message.empty()) {
        auto& partial = *body.mutable_partial_success();
        partial.set_error_message(std::string(message));
        if constexpr (requires { partial.set_rejected_spans(0); }) {
            partial.set_rejected_spans(refused_count);
        } else if constexpr (requires { partial.set_rejected_data_points(0); }) {
            partial.set_rejected_data_points(refused_count);
        } else {
            partial.set_rejected_log_records(refused_count);
        }
    }
    return encode(body, type);
}

// The canonical gRPC code that goes with an HTTP status. Clients of OTLP/HTTP ignore it.
std::int32_t rpc_code(unsigned status) {
    switch (status) {
    case 400:
        return 3; // INVALID_ARGUMENT
    case 404:
        return 5; // NOT_FOUND
    case 405:
        return 12; // UNIMPLEMENTED
    case 413:
        return 8; // RESOURCE_EXHAUSTED
    case 415:
        return 3; // INVALID_ARGUMENT
    default:
        return 13; // INTERNAL
    }
}

// Any has a form of its own in JSON, with the message spread out beside "@type"; hence by hand.
std::string status_json(unsigned status, std::string_view message) {
    std::string out = fmt::format("{{\"code\":{},\"message\":", rpc_code(status));
    otlp::append_json_string(out, message);
    if (status == 400) {
        out += fmt::format(
            ",\"details\":[{{\"@type\":\"{}\",\"fieldViolations\":[{{\"description\":",
            bad_request_type);
        otlp::append_json_string(out, message);
        out += "}]}]";
    }
    return out + "}";
}

std::string status_protobuf(unsigned status, std::string_view message) {
    otlp::rpc::v1::Status body;
    body.set_code(rpc_code(status));
    body.set_message(std::string(message));
    if (status == 400) {
        otlp::rpc::v1::BadRequest request;
        request.add_field_violations()->set_description(std::string(message));
        auto& details = *body.add_details();
        details.set_type_url(std::string(bad_request_type));
        request.SerializeToString(details.mutable_value());
    }
    return body.SerializeAsString();
}

} // namespace

HttpAnswer accepted(
    Signal signal, otlp::MediaType type, std::int64_t refused_count, std::string_view message) {
    namespace collector = otlp::collector;
    HttpAnswer answer;
    answer.content_type = otlp::content_type(type);
    switch (signal) {
    case Signal::traces:
        answer.body = response<collector::trace::v1::ExportTraceServiceResponse>(
            type, refused_count, message);
        break;
    case Signal::metrics:
        answer.body = response<collector::metrics::v1::ExportMetricsServiceResponse>(
            type, refused_count, message);
        break;
    case Signal::logs:
        answer.body =
            response<collector::logs::v1::ExportLogsServiceResponse>(type, refused_count, message);
        break;
    }
    return answer;
}

HttpAnswer refused(unsigned status, std::optional<otlp::MediaType> type, std::string_view message) {
    if (!type) {
        return {
            .status = status,
            .content_type = "text/plain; charset=utf-8",
            .body = fmt::format("{}\n", message)};
    }
    return {
        .status = status,
        .content_type = std::string(otlp::content_type(*type)),
        .body = *type == otlp::MediaType::json ? status_json(status, message)
                                               : status_protobuf(status, message)};
}

} // namespace weft::viewer
