// The receiver on any request. The first byte chooses signal, media type and coding, the rest is
// the body. Checked: no crash, an allowed status, an answer that decodes; a message that was read
// is written and read again as the same JSON, in both directions; the traces that came of it can be
// printed.
#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/viewer/receiver.hpp>
#include <weft/viewer/trace_text.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace {

using namespace std::string_view_literals;
using namespace weft;

constexpr std::array paths{"/v1/traces"sv, "/v1/metrics"sv, "/v1/logs"sv};
constexpr std::array types{"application/x-protobuf"sv, "application/json"sv, "text/html"sv};
constexpr std::array codings{""sv, "gzip"sv, "zstd"sv, "br"sv};

void require(bool holds, const char* what) {
    if (holds) { return; }
    std::fprintf(stderr, "fuzz: %s\n", what);
    std::abort();
}

std::unique_ptr<google::protobuf::Message> new_request(std::size_t signal) {
    switch (signal) {
    case 0:
        return std::make_unique<otlp::collector::trace::v1::ExportTraceServiceRequest>();
    case 1:
        return std::make_unique<otlp::collector::metrics::v1::ExportMetricsServiceRequest>();
    default:
        return std::make_unique<otlp::collector::logs::v1::ExportLogsServiceRequest>();
    }
}

// Compared as text, where every NaN is the same.
void check_round_trip(std::size_t signal, const otlp::Payload& payload, unsigned status) {
    const auto first = new_request(signal);
    const bool decoded = otlp::decode(payload, *first).has_value();
    require(decoded == (status == 200), "the decoder and the receiver disagree");
    if (!decoded) { return; }
    const std::string json = otlp::to_json(*first);
    const auto second = new_request(signal);
    require(otlp::from_json(json, *second).has_value(), "cannot read what was written");
    require(otlp::to_json(*second) == json, "reads back as something else");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) { return 0; }
    const std::size_t signal = data[0] % 3;
    const auto type = types[(data[0] / 3) % 3];
    const auto coding = codings[(data[0] / 9) % 4];
    const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
    constexpr std::size_t body_bytes_max = std::size_t{1} << 20;
    viewer::Receiver receiver(
        {.body_bytes_max = body_bytes_max, .store = {.traces_max = 4, .bytes_max = 20'000}});

    const auto answer = receiver.handle(
        {.method = "POST",
         .target = paths[signal],
         .content_type = type,
         .content_encoding = coding,
         .body = body},
        {});

    const unsigned status = answer.status;
    require(status == 200 || status == 400 || status == 413 || status == 415, "status");
    check_round_trip(
        signal,
        {.content_type = type,
         .content_encoding = coding,
         .body = std::as_bytes(std::span(body)),
         .body_bytes_max = body_bytes_max},
        status);
    for (const auto target : {"/_counts"sv, "/_trace?slowest=20"sv, "/_trace?error=20"sv}) {
        const auto shown = receiver.handle(
            {.method = "GET",
             .target = target,
             .content_type = "",
             .content_encoding = "",
             .body = ""},
            {});
        require(shown.status == 200 || shown.status == 404, "status of a question");
    }
    return 0;
}
