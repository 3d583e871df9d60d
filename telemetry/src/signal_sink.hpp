#pragma once
#include <weft/exporters/otlp_http.hpp>
#include <weft/runtime/signal.hpp>
#include <weft/telemetry/options.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace weft::detail {

/// The destination of the program's own that Options has for the signal, or null.
[[nodiscard]] std::shared_ptr<Sink> own_sink(const Options& options, Signal signal) noexcept;

/// Whether the signal goes to the first destination: one of the program's own, or where Options::otlp says.
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

/// Where a signal's requests go. Errors: as parse_url().
[[nodiscard]] Result<Url> signal_url(const OtlpOptions& otlp, Signal signal);

/// A signal's own files, and the general ones where it has none.
[[nodiscard]] TlsOptions merged(const TlsOptions& own, const TlsOptions& general);

} // namespace weft::detail
