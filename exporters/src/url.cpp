#include <weft/exporters/url.hpp>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <charconv>

namespace weft {
namespace {

namespace urls = boost::urls;

constexpr std::size_t url_bytes_max = 8192;

constexpr std::uint16_t default_port(UrlScheme scheme) noexcept {
    return scheme == UrlScheme::https ? 443 : 80;
}

// Decoded text goes into a header and to the resolver, so a percent-encoded line break must not get
// through.
bool is_plain_host_name(std::string_view host) noexcept {
    return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) noexcept {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_';
    });
}

bool read_host(const urls::url_view& view, std::string& host) {
    host = view.host_address();
    switch (view.host_type()) {
    case urls::host_type::name:
    case urls::host_type::ipv4:
        return is_plain_host_name(host);
    case urls::host_type::ipv6:
        return true; // Checked by its grammar.
    default:
        return false;
    }
}

bool read_port(const urls::url_view& view, Url& url) noexcept {
    if (!view.has_port() || view.port().empty()) {
        url.port = default_port(url.scheme);
        return true;
    }
    // Not port_number(): that of Boost 1.81 makes 34463 of 99999.
    const std::string_view digits = view.port();
    const char* const end = digits.data() + digits.size();
    const auto parsed = std::from_chars(digits.data(), end, url.port);
    return parsed.ec == std::errc() && parsed.ptr == end && url.port != 0;
}

} // namespace

Result<Url> parse_url(std::string_view text) {
    if (text.size() > url_bytes_max) { return Errc::url_malformed; }
    const auto parsed = urls::parse_uri({text.data(), text.size()});
    if (parsed.has_error()) { return Errc::url_malformed; }
    const urls::url_view& view = *parsed;

    Url url;
    if (view.scheme_id() == urls::scheme::http) {
        url.scheme = UrlScheme::http;
    } else if (view.scheme_id() == urls::scheme::https) {
        url.scheme = UrlScheme::https;
    } else {
        return Errc::url_malformed;
    }
    if (!view.has_authority() || view.has_userinfo()) { return Errc::url_malformed; }
    if (!read_host(view, url.host) || !read_port(view, url)) { return Errc::url_malformed; }
    const std::string_view path = view.encoded_path();
    // Boost 1.81 takes the x of "http://h:x" for a path.
    if (!path.empty() && !path.starts_with('/')) { return Errc::url_malformed; }
    url.target = path.empty() ? "/" : std::string(path);
    if (view.has_query()) { url.target.append("?").append(std::string_view(view.encoded_query())); }
    return url;
}

Result<Url> otlp_endpoint(std::string_view base, Signal signal) {
    auto url = parse_url(base);
    if (!url) { return url; }
    const auto path_size = std::min(url->target.find('?'), url->target.size());
    std::string path = url->target.substr(0, path_size);
    if (!path.ends_with('/')) { path.push_back('/'); }
    path.append("v1/").append(name(signal));
    url->target.replace(0, path_size, path);
    return url;
}

Result<Url> otlp_signal_endpoint(std::string_view text) { return parse_url(text); }

std::string Url::host_header() const {
    const bool ipv6 = host.find(':') != std::string::npos;
    std::string text = ipv6 ? "[" + host + "]" : host;
    if (port != default_port(scheme)) { text.append(":").append(std::to_string(port)); }
    return text;
}

std::string Url::text_for_messages() const {
    std::string text = scheme == UrlScheme::https ? "https://" : "http://";
    return text.append(host_header()).append(target, 0, target.find('?'));
}

} // namespace weft
