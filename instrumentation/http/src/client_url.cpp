#include "client_url.hpp"

#include "semconv.hpp"
#include "text.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace weft::http::detail {
namespace {

template <class View>
std::string_view text_of(const View& view) noexcept {
    return {view.data(), view.size()};
}

} // namespace

std::string base64(std::string_view bytes) {
    static constexpr char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            group = (group << 8) |
                    (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        }
        for (std::size_t j = 0; j < 4; ++j) {
            const bool padding = i + j > bytes.size();
            out += padding ? '=' : alphabet[(group >> (18 - 6 * j)) & 63];
        }
    }
    return out;
}

Result<ClientUrl> parse_client_url(std::string_view text) {
    const auto parsed = boost::urls::parse_uri(text);
    if (!parsed) { return Errc::url_malformed; }
    const auto scheme = parsed->scheme_id();
    if (scheme == boost::urls::scheme::https) { return Errc::unsupported_scheme; }
    if (scheme != boost::urls::scheme::http || !parsed->has_authority()) {
        return Errc::url_malformed;
    }

    ClientUrl url;
    const auto host = text_of(parsed->encoded_host_address());
    if (host.empty()) { return Errc::url_malformed; }
    append_decoded(url.host, host, false);
    // What the name resolver would take for the end of the name, or would not be sent back as it was.
    if (url.host.find_first_of(std::string_view("\0\r\n /", 5)) != std::string::npos) {
        return Errc::url_malformed;
    }
    if (const auto port_text = text_of(parsed->port()); !port_text.empty()) {
        const auto port = parse_number<std::uint16_t>(port_text);
        if (!port || *port == 0) { return Errc::url_malformed; }
        url.port = *port;
    }
    url.authority = text_of(parsed->encoded_host());
    if (url.port != 80) {
        url.authority += ':';
        append_number(url.authority, url.port);
    }
    const auto path = text_of(parsed->encoded_path());
    // Boost 1.81 takes the x of "http://[::1]:80x" for a path.
    if (!path.empty() && !path.starts_with('/')) { return Errc::url_malformed; }
    url.target = path.empty() ? "/" : path;
    const auto query = text_of(parsed->encoded_query());
    if (parsed->has_query()) {
        url.target += '?';
        url.target += query;
    }
    if (parsed->has_userinfo()) {
        append_decoded(url.credentials, text_of(parsed->encoded_userinfo()), false);
        if (!parsed->has_password()) { url.credentials += ':'; }
    }

    url.safe = "http://";
    if (parsed->has_userinfo()) { url.safe += "REDACTED:REDACTED@"; }
    url.safe += url.authority;
    url.safe += path.empty() ? "/" : path;
    if (parsed->has_query()) {
        std::string scratch;
        url.safe += '?';
        url.safe += redact_query(query, scratch);
    }
    return url;
}

} // namespace weft::http::detail
