#pragma once
#include <weft/exporters/url.hpp>
#include <weft/runtime/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

/// An HTTP proxy on the way to a receiver, as a client needs it.
struct Proxy {
    std::string host; ///< A name or an address; an IPv6 address without brackets.
    std::uint16_t port = 80;
    /// Value of Proxy-Authorization. Secret; empty: no such header.
    std::string authorization = {};

    /// Text for messages, without the credentials.
    [[nodiscard]] std::string text_for_messages() const;

    friend bool operator==(const Proxy&, const Proxy&) = default;
};

/// Reads `http://user:password@host:port`; without a scheme it is http, without a port 80. User and password are
/// percent-decoded.
/// Errors: Errc::unsupported_scheme: a proxy that is itself spoken to over TLS or SOCKS; Errc::url_malformed: as
/// parse_url(), a bad percent sequence, or control characters in the credentials.
[[nodiscard]] Result<Proxy> parse_proxy(std::string_view text);

/// Which requests go through which proxy. Source: the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY as curl reads them.
struct ProxyOptions {
    std::string http = {}; ///< For http endpoints: see parse_proxy(). Empty: none.
    /// For https endpoints, through a tunnel (CONNECT): the proxy sees no more than the host's name.
    std::string https = {};
    std::string none_for = {}; ///< Hosts that are spoken to directly: see is_direct().
};

/// Whether a host is spoken to without a proxy: any of this machine's own loopback names and addresses, and what the list
/// names. It is separated by commas or blanks, and an entry is `*` for all, a name, which stands for its subdomains too
/// and may begin with a dot, an address, or a network such as 10.0.0.0/8; each but the last may end with a port.
[[nodiscard]] bool is_direct(std::string_view none_for, std::string_view host, std::uint16_t port);

/// The proxy for an endpoint, if there is one. Errors: as parse_proxy().
[[nodiscard]] Result<std::optional<Proxy>> proxy_for(const ProxyOptions& options, const Url& url);

} // namespace weft
