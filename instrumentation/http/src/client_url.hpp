#pragma once
#include <weft/runtime/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::http::detail {

/// An absolute http URL, taken apart for a request and for a span.
struct ClientUrl {
    std::string host; // Without brackets: to be resolved, and server.address.
    std::uint16_t port = 80;
    std::string authority;   // host[:port] as it is written in Host.
    std::string target;      // Path and query.
    std::string credentials; // "user:password", decoded; empty if there are none.
    std::string
        safe; // The URL for telemetry: no credentials, no secrets in the query, no fragment.
};

/// Errors: Errc::url_malformed; Errc::unsupported_scheme for https.
[[nodiscard]] Result<ClientUrl> parse_client_url(std::string_view text);

/// RFC 4648, with padding.
[[nodiscard]] std::string base64(std::string_view bytes);

} // namespace weft::http::detail
