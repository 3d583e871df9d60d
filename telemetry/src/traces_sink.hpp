#pragma once
#include <weft/exporters/otlp_http.hpp>
#include <weft/telemetry/options.hpp>

#include <string>

namespace weft::detail {

[[nodiscard]] inline bool exports_traces(const Options& options) noexcept {
    return !options.disabled &&
           (options.sink != nullptr || options.traces_exporter == ExporterKind::otlp);
}

/// What a sink for traces is made from, or why none can be made.
struct TracesSink {
    OtlpHttpOptions options;
    std::string problem; ///< Names the field of Options and what is allowed; empty: none.
};
[[nodiscard]] TracesSink traces_sink(const OtlpOptions& otlp);

} // namespace weft::detail
