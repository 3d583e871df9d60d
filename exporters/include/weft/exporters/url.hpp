#pragma once
#include <weft/runtime/error.hpp>
#include <weft/runtime/signal.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

enum class UrlScheme : std::uint8_t { http, https };

/// An absolute http or https URL, taken apart for a client.
/// By default where a collector on this machine takes traces.
struct Url {
    UrlScheme scheme = UrlScheme::http;
    std::string host = "localhost";    ///< A name or an address; an IPv6 address without brackets.
    std::uint16_t port = 4318;         ///< Never 0. 80 or 443 if the text named none.
    std::string target = "/v1/traces"; ///< Path and query as sent, at least "/".

    /// What the Host header says: brackets around IPv6, the port unless it is the scheme's own.
    [[nodiscard]] std::string host_header() const;
    /// Text for messages. The query is left out, as it may hold a key.
    [[nodiscard]] std::string text_for_messages() const;

    friend bool operator==(const Url&, const Url&) = default;
};

/// Takes an absolute URL apart. A fragment is cut off.
/// Errors: Errc::url_malformed: relative, another scheme, no host, a host that is neither an
/// address nor made of ASCII letters, digits, '-', '.' and '_', port 0 or over 65535, user
/// information (credentials belong in a header), over 8 KiB.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

/// The URL for a signal below a base URL: one '/' is ensured, then `v1/<signal>` appended to the
/// path; a query is kept.
/// Errors: as parse_url.
/// Source: OTLP exporter specification, "Endpoint URLs for OTLP/HTTP".
[[nodiscard]] Result<Url> otlp_endpoint(std::string_view base, Signal signal);

/// The URL of a per-signal setting: used exactly as given, "/" if it has no path.
/// Errors and source: as otlp_endpoint.
[[nodiscard]] Result<Url> otlp_signal_endpoint(std::string_view text);

} // namespace weft
