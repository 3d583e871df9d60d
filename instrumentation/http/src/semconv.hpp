#pragma once
// The text rules of the HTTP semantic conventions. Pure.
// Source: OpenTelemetry semantic conventions 1.44, "HTTP" and "URL".

#include <weft/http/headers.hpp>

#include <boost/system/error_code.hpp>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::http::detail {

/// `host[:port]`, with or without brackets around an IPv6 address.
struct Authority {
    std::string_view host;
    std::optional<std::uint16_t> port;
};
[[nodiscard]] Authority parse_authority(std::string_view text) noexcept;

/// What proxies say about the client and about what it asked for. Empty: they say nothing.
struct Forwarded {
    std::string_view client; // Address, without port and brackets.
    std::string_view scheme;
    std::string_view host; // host[:port]
};
/// Forwarded first (RFC 7239), then X-Forwarded-For, -Proto and -Host; the first entry is the one nearest the client.
/// Lifetime: views into `headers`.
[[nodiscard]] Forwarded parse_forwarded(const Headers& headers) noexcept;

/// `query` with the values of parameters that sign or identify replaced by REDACTED. Nearly always `query` itself;
/// else the text is put into `scratch`.
[[nodiscard]] std::string_view redact_query(std::string_view query, std::string& scratch);

/// A status code as the text of an `error.type`.
class StatusText {
public:
    explicit StatusText(int status) noexcept
        : chars_(static_cast<std::size_t>(
              std::to_chars(text_.data(), text_.data() + text_.size(), status).ptr -
              text_.data())) {}
    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), chars_}; }

private:
    std::array<char, 12> text_;
    std::size_t chars_;
};

/// A low-cardinality word for a transport failure: "connection_reset", "timeout".
[[nodiscard]] std::string_view error_name(const boost::system::error_code& error) noexcept;

} // namespace weft::http::detail
