#pragma once
#include <weft/exporters/otlp_http.hpp>
#include <weft/runtime/signal.hpp>
#include <weft/telemetry/options.hpp>

#include <memory>
#include <string>

namespace weft::detail {

/// The destination of the program's own that Options has for the signal, or null.
[[nodiscard]] std::shared_ptr<Sink> own_sink(const Options& options, Signal signal) noexcept;

/// Whether the signal goes out: to such a destination, or by OTLP.
[[nodiscard]] bool exports(const Options& options, Signal signal) noexcept;

/// What a sink for one signal is made from, or why none can be made.
struct SignalSink {
    OtlpHttpOptions options;
    std::string problem; ///< Names the field of Options and what is allowed; empty: none.
};
[[nodiscard]] SignalSink signal_sink(const OtlpOptions& otlp, Signal signal);

/// Where a signal's requests go. Errors: as parse_url().
[[nodiscard]] Result<Url> signal_url(const OtlpOptions& otlp, Signal signal);

/// A signal's own files, and the general ones where it has none.
[[nodiscard]] TlsOptions merged(const TlsOptions& own, const TlsOptions& general);

} // namespace weft::detail
