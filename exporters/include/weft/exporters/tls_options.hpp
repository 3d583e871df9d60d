#pragma once
#include <string>

namespace weft {

/// TLS towards a receiver. The peer's certificate and its host name are always verified, with TLS 1.2 at the least; there is
/// no option to leave that out. A receiver with a certificate of its own making is trusted by naming it as `ca_file`.
///
/// Each file is PEM and is read again when it has changed: looked at before a request, at most once a second. What cannot be
/// used then is reported, and the certificates read before stay in use; where there are none, requests fail and are retried
/// until the file is there. Source: OTLP exporter specification, "Configuration Options".
struct TlsOptions {
    std::string ca_file =
        {}; ///< CAs that are trusted instead of the system's. Empty: the system's.
    /// Shown to a receiver that asks for one: with its chain, leaf first. Empty: none.
    std::string certificate_file = {};
    std::string key_file =
        {}; ///< Private key of the certificate, without a password. Both or neither.

    friend bool operator==(const TlsOptions&, const TlsOptions&) = default;
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is. The files are not looked at.
[[nodiscard]] std::string problem_in(const TlsOptions& options);

} // namespace weft
