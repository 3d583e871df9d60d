// Request bytes of any kind become one line that OTLP/JSON's own reader takes, or nothing.
#include "otlp_json.hpp"

#include <weft/otlp/collector/logs/v1/logs_service.pb.h>
#include <weft/otlp/collector/metrics/v1/metrics_service.pb.h>
#include <weft/otlp/collector/trace/v1/trace_service.pb.h>
#include <weft/viewer/otlp_codec.hpp>

#include <cstdlib>
#include <string>

namespace {

namespace collector = weft::otlp::collector;

template <class Request>
void check(std::string_view json) {
    Request request;
    std::string detail;
    const bool read = weft::otlp::from_json(json, request, &detail).has_value();
    if (!read && detail.find("nested too deeply") == std::string::npos) { std::abort(); }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) { return 0; }
    const auto signal = weft::all_signals[data[0] % weft::all_signals.size()];
    const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
    std::string json;
    if (!weft::detail::append_otlp_json(json, signal, body)) {
        if (!json.empty()) { std::abort(); }
        return 0;
    }
    if (json.find('\n') != std::string::npos) { std::abort(); }
    switch (signal) {
    case weft::Signal::traces:
        check<collector::trace::v1::ExportTraceServiceRequest>(json);
        break;
    case weft::Signal::metrics:
        check<collector::metrics::v1::ExportMetricsServiceRequest>(json);
        break;
    case weft::Signal::logs:
        check<collector::logs::v1::ExportLogsServiceRequest>(json);
        break;
    }
    return 0;
}
