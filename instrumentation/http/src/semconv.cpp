#include "semconv.hpp"

#include "text.hpp"

#include <weft/runtime/error.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>

namespace weft::http::detail {
namespace {

// Parameters whose values give access. Case-sensitive.
constexpr std::array<std::string_view, 7> secret_keys{
    "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token",
    "AWSAccessKeyId",  "Signature",        "sig",
    "X-Goog-Signature"};

bool is_secret(std::string_view key) noexcept {
    return std::find(secret_keys.begin(), secret_keys.end(), key) != secret_keys.end();
}

bool has_secret(std::string_view query) noexcept {
    while (!query.empty()) {
        auto pair = take_until(query, '&');
        const auto key = take_until(pair, '=');
        if (is_secret(key)) { return true; }
    }
    return false;
}

std::string_view unquoted(std::string_view text) noexcept {
    text = trim(text);
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
    }
    return text;
}

// The first element of a comma-separated list. Quoted commas do not occur in what these headers may hold.
std::string_view first_element(std::string_view list) noexcept {
    return trim(list.substr(0, list.find(',')));
}

// "192.0.2.1:4711", "[2001:db8::1]:4711", "2001:db8::1", "unknown", "_hidden"
std::string_view node_address(std::string_view node) noexcept {
    node = unquoted(node);
    if (same_name(node, "unknown")) { return {}; }
    return parse_authority(node).host;
}

void read_forwarded(std::string_view element, Forwarded& result) noexcept {
    while (!element.empty()) {
        auto value = take_until(element, ';');
        const auto key = trim(take_until(value, '='));
        if (same_name(key, "for")) { result.client = node_address(value); }
        if (same_name(key, "proto")) { result.scheme = unquoted(value); }
        if (same_name(key, "host")) { result.host = unquoted(value); }
    }
}

} // namespace

Authority parse_authority(std::string_view text) noexcept {
    Authority result;
    auto after = std::string_view::npos;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) { return {text, std::nullopt}; }
        result.host = text.substr(1, close - 1);
        if (close + 1 < text.size() && text[close + 1] == ':') { after = close + 2; }
    } else {
        const auto colon = text.find(':');
        // More than one colon without brackets: a bare IPv6 address.
        if (colon == std::string_view::npos ||
            text.find(':', colon + 1) != std::string_view::npos) {
            return {text, std::nullopt};
        }
        result.host = text.substr(0, colon);
        after = colon + 1;
    }
    if (after != std::string_view::npos) {
        result.port = parse_number<std::uint16_t>(text.substr(after));
    }
    return result;
}

Forwarded parse_forwarded(const Headers& headers) noexcept {
    Forwarded result;
    std::string_view client;
    std::string_view scheme;
    std::string_view host;
    bool forwarded = false;
    for (const auto& [name, value] : headers) {
        // Lengths first: nearly no request has any of these.
        if (name.size() == 9 && !forwarded && same_name(name, "forwarded")) {
            forwarded = true;
            read_forwarded(first_element(value), result);
        } else if (name.size() == 15 && client.empty() && same_name(name, "x-forwarded-for")) {
            client = node_address(first_element(value));
        } else if (name.size() == 17 && scheme.empty() && same_name(name, "x-forwarded-proto")) {
            scheme = first_element(value);
        } else if (name.size() == 16 && host.empty() && same_name(name, "x-forwarded-host")) {
            host = first_element(value);
        }
    }
    if (result.client.empty()) { result.client = client; }
    if (result.scheme.empty()) { result.scheme = scheme; }
    if (result.host.empty()) { result.host = host; }
    return result;
}

std::string_view redact_query(std::string_view query, std::string& scratch) {
    if (!has_secret(query)) { return query; }
    scratch.clear();
    for (auto left = query; !left.empty();) {
        auto value = take_until(left, '&');
        const bool assigned = value.find('=') != std::string_view::npos;
        const auto key = take_until(value, '=');
        scratch += key;
        if (assigned) {
            scratch += '=';
            scratch += is_secret(key) ? std::string_view("REDACTED") : value;
        }
        if (!left.empty()) { scratch += '&'; }
    }
    return scratch;
}

std::string_view error_name(const boost::system::error_code& error) noexcept {
    namespace net = boost::asio::error;
    if (error == net::connection_refused) { return "connection_refused"; }
    if (error == net::connection_reset || error == net::broken_pipe) { return "connection_reset"; }
    if (error == net::eof || error == Errc::connection_closed) { return "connection_closed"; }
    if (error == net::timed_out || error == Errc::timed_out) { return "timeout"; }
    if (error == net::host_not_found || error == net::host_not_found_try_again) {
        return "host_not_found";
    }
    if (error == net::host_unreachable || error == net::network_unreachable) {
        return "host_unreachable";
    }
    if (error == Errc::response_too_large) { return "response_too_large"; }
    if (error == Errc::response_malformed) { return "response_malformed"; }
    return "_OTHER";
}

} // namespace weft::http::detail
