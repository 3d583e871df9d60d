#include "ascii.hpp"
#include "base64.hpp"

#include <weft/exporters/header_list.hpp>
#include <weft/exporters/proxy.hpp>
#include <weft/runtime/ids.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include <algorithm>
#include <charconv>

namespace weft {
namespace {

namespace ip = boost::asio::ip;
using boost::system::error_code;

using detail::percent_decode;
using detail::same_name;

// The value of Proxy-Authorization for "user:password" or "user".
std::optional<std::string> authorization(std::string_view credentials) {
    const auto colon = std::min(credentials.find(':'), credentials.size());
    auto plain = percent_decode(credentials.substr(0, colon));
    const auto password =
        percent_decode(credentials.substr(std::min(colon + 1, credentials.size())));
    // A colon in the name would move the border between the two. Source: RFC 7617.
    if (!plain || !password || plain->find(':') != std::string::npos) { return std::nullopt; }
    plain->append(":").append(*password);
    const bool is_clean = std::none_of(plain->begin(), plain->end(), [](char c) noexcept {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (!is_clean) { return std::nullopt; }
    std::string value = "Basic ";
    detail::append_base64(value, *plain);
    return value;
}

// What an entry says after its colon, if that is a port; an IPv6 address without brackets has more colons.
bool take_port(std::string_view& entry, std::optional<std::uint16_t>& port) noexcept {
    const auto colon = entry.rfind(':');
    const bool is_bracketed = entry.starts_with('[');
    if (colon == std::string_view::npos || (is_bracketed && entry[colon - 1] != ']') ||
        (!is_bracketed && entry.find(':') != colon)) {
        return true;
    }
    std::uint16_t number = 0;
    const char* const end = entry.data() + entry.size();
    const auto parsed = std::from_chars(entry.data() + colon + 1, end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end) { return false; }
    port = number;
    entry = entry.substr(0, colon);
    return true;
}

bool is_in_network(std::string_view entry, const ip::address& address) {
    error_code error;
    const std::string text(entry);
    if (address.is_v4()) {
        const auto network = ip::make_network_v4(text, error);
        if (error) { return false; }
        const auto bits = network.prefix_length();
        const auto mask = bits == 0 ? 0u : ~0u << (32 - bits);
        return (network.address().to_uint() & mask) == (address.to_v4().to_uint() & mask);
    }
    const auto network = ip::make_network_v6(text, error);
    if (error) { return false; }
    const auto inside = ip::network_v6(address.to_v6(), network.prefix_length());
    return inside.canonical() == network.canonical();
}

bool matches(std::string_view entry, std::string_view host, std::uint16_t port) {
    if (entry == "*") { return true; }
    error_code not_an_address;
    const auto address = ip::make_address(std::string(host), not_an_address);
    if (entry.find('/') != std::string_view::npos) {
        return !not_an_address && is_in_network(entry, address);
    }
    std::optional<std::uint16_t> only_port;
    if (!take_port(entry, only_port) || (only_port && *only_port != port)) { return false; }
    if (entry.starts_with('[') && entry.ends_with(']')) {
        entry = entry.substr(1, entry.size() - 2);
    }
    error_code no_address;
    const auto wanted = ip::make_address(std::string(entry), no_address);
    if (!no_address) { return !not_an_address && wanted == address; }
    if (entry.starts_with("*.")) { entry.remove_prefix(1); }
    if (entry.starts_with('.')) { entry.remove_prefix(1); }
    if (entry.empty() || host.size() < entry.size()) { return false; }
    const auto tail = host.substr(host.size() - entry.size());
    const bool at_border =
        host.size() == entry.size() || host[host.size() - entry.size() - 1] == '.';
    return at_border && same_name(tail, entry);
}

bool is_loopback(std::string_view host) {
    if (same_name(host, "localhost")) { return true; }
    error_code error;
    const auto address = ip::make_address(std::string(host), error);
    return !error && address.is_loopback();
}

} // namespace

std::string Proxy::text_for_messages() const {
    return Url{UrlScheme::http, host, port, "/"}.host_header();
}

Result<Proxy> parse_proxy(std::string_view text) {
    const auto scheme_end = text.find("://");
    const auto authority_begin = scheme_end == std::string_view::npos ? 0 : scheme_end + 3;
    const auto scheme = text.substr(0, scheme_end == std::string_view::npos ? 0 : scheme_end);
    if (!scheme.empty() && !same_name(scheme, "http")) {
        const bool is_known = same_name(scheme, "https") || same_name(scheme.substr(0, 5), "socks");
        return is_known ? Errc::unsupported_scheme : Errc::url_malformed;
    }
    auto rest = text.substr(authority_begin);
    rest = rest.substr(0, rest.find_first_of("/?#"));
    Proxy proxy;
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
        if (at != 0) {
            auto value = authorization(rest.substr(0, at));
            if (!value) { return Errc::url_malformed; }
            proxy.authorization = *std::move(value);
        }
        rest.remove_prefix(at + 1);
    }
    auto url = parse_url("http://" + std::string(rest));
    if (!url) { return url.error(); }
    proxy.host = std::move(url->host);
    proxy.port = url->port;
    return proxy;
}

bool is_direct(std::string_view none_for, std::string_view host, std::uint16_t port) {
    if (is_loopback(host)) { return true; }
    constexpr std::string_view separators = ", \t";
    while (!none_for.empty()) { // Bound: each turn takes an entry off.
        const auto begin = std::min(none_for.find_first_not_of(separators), none_for.size());
        none_for.remove_prefix(begin);
        const auto size = std::min(none_for.find_first_of(separators), none_for.size());
        if (size != 0 && matches(none_for.substr(0, size), host, port)) { return true; }
        none_for.remove_prefix(size);
    }
    return false;
}

Result<std::optional<Proxy>> proxy_for(const ProxyOptions& options, const Url& url) {
    const auto& text = url.scheme == UrlScheme::https ? options.https : options.http;
    if (text.empty() || is_direct(options.none_for, url.host, url.port)) {
        return std::optional<Proxy>();
    }
    auto proxy = parse_proxy(text);
    if (!proxy) { return proxy.error(); }
    return std::optional<Proxy>(*std::move(proxy));
}

} // namespace weft
