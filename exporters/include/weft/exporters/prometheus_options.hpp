#pragma once
#include <weft/exporters/prometheus_text.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// Who may scrape. With several kinds set, basic credentials or a token are enough; a client certificate is asked for
/// besides. Nothing set: anybody.
struct PrometheusAuthOptions {
    std::string user = {}; ///< Of HTTP basic authentication. No ':'.
    std::string password = {};
    std::string password_file =
        {}; ///< Read once, without a newline at its end. Instead of `password`.
    std::vector<std::string> bearer_tokens = {}; ///< Any of these.
    /// Subjects of client certificates, as RFC 2253 writes them (`CN=prometheus,O=Example`). Empty: every certificate
    /// that the client CA has signed.
    std::vector<std::string> client_subjects = {};

    /// Whether anybody is kept out.
    [[nodiscard]] bool is_set() const noexcept {
        return !user.empty() || !bearer_tokens.empty() || !client_subjects.empty();
    }
};

/// How scrapes are answered. All of it is ours.
struct PrometheusHandlerOptions {
    PrometheusTextOptions text = {};
    PrometheusAuthOptions auth = {};
    std::string path =
        "/metrics"; ///< What else is asked for is not found. Empty: any path will do.
    PrometheusProtocol fallback = {}; ///< For scrapers that say nothing of what they take.
    std::size_t scrapes_max =
        3; ///< At a time; they take turns. What is beyond is sent away with 503. 1 to 64.
    /// Longest a scrape takes, its turn included; less if the scraper says so. 10 ms to 1 h.
    std::chrono::milliseconds scrape_timeout{10000};
    /// Taken off the time that the scraper gives, for the way back. 0 to 60 s.
    std::chrono::milliseconds timeout_margin{500};
    int gzip_level = 1; ///< 1 to 12.
};

/// Files in PEM format. Set at least the first two, or none.
struct PrometheusTlsOptions {
    std::string certificate_file = {}; ///< With the chain behind it.
    std::string key_file = {};
    std::string client_ca_file = {}; ///< If set, clients must have a certificate by one of these.

    [[nodiscard]] bool is_set() const noexcept { return !certificate_file.empty(); }
};

/// A server of our own for scrapes.
/// Source: OpenTelemetry, "Prometheus Metrics Exporter" (host and port; the rest is ours).
struct PrometheusServerOptions {
    PrometheusHandlerOptions handler = {};
    std::string host =
        "localhost"; ///< A name or an address. Only this machine, unless another is named.
    std::uint16_t port = 9464; ///< 0: any free one.
    PrometheusTlsOptions tls = {};
    /// Listening where other machines can reach it needs authentication or this.
    bool allow_unauthenticated = false;
    std::size_t connections_max = 16;    ///< 1 to 1024.
    std::size_t header_bytes_max = 8192; ///< 512 to 1 MiB.
    std::chrono::milliseconds header_timeout{
        5000}; ///< From its first byte to its last; the TLS handshake likewise.
    std::chrono::milliseconds idle_timeout{60000};  ///< Between two requests of a connection.
    std::chrono::milliseconds write_timeout{30000}; ///< Until the scraper has taken an answer.
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is. Never holds a secret.
[[nodiscard]] std::string problem_in(const PrometheusHandlerOptions& options);

/// As above. Whether the host is reachable from elsewhere is seen only when it is listened on.
[[nodiscard]] std::string problem_in(const PrometheusServerOptions& options);

/// Sets host and port of OTEL_EXPORTER_PROMETHEUS_HOST and OTEL_EXPORTER_PROMETHEUS_PORT; empty texts change nothing.
/// Answers what is wrong, naming the variable; the option then stays as it was. Empty if nothing is.
/// Source: OpenTelemetry environment variables, "Prometheus Exporter".
[[nodiscard]] std::string read_prometheus_variables(
    std::string_view host, std::string_view port, PrometheusServerOptions& options);

} // namespace weft
