#pragma once
#include <weft/exporters/otlp_http.hpp>
#include <weft/runtime/signal.hpp>
#include <weft/telemetry/options.hpp>

#include <string>
#include <string_view>

namespace weft::detail {

/// Whether the signal goes to the first destination: Options::sink, or where Options::otlp says.
[[nodiscard]] bool exports_first(const Options& options, Signal signal) noexcept;
/// Whether it goes to this one.
[[nodiscard]] bool takes(const DestinationOptions& destination, Signal signal) noexcept;
/// Whether it goes anywhere but to Prometheus.
[[nodiscard]] bool exports(const Options& options, Signal signal) noexcept;

/// What a sink for one signal is made from, or why none can be made.
struct SignalSink {
    OtlpHttpOptions options;
    std::string problem; ///< Names the field of Options and what is allowed; empty: none.
};
/// `field`: what the problem calls the options.
[[nodiscard]] SignalSink signal_sink(
    const OtlpOptions& otlp, Signal signal, std::string_view field = "Options::otlp");

} // namespace weft::detail
