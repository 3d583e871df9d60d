#pragma once
#include <weft/http/headers.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::http {

namespace detail {
class RequestAccess;
struct Route;
inline constexpr std::size_t path_params_max = 16;
} // namespace detail

/// What a client asked, as a handler sees it. It belongs to the connection: refer to it until the handler is done,
/// not longer.
/// Threads: the handler's coroutine.
class Request {
public:
    Request() = default;
    /// For tests of handlers: a request that no client sent. `target` is a path with an optional query.
    Request(std::string_view method, std::string_view target, std::string body = {});
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

    /// As sent, case included: "GET".
    [[nodiscard]] std::string_view method() const noexcept { return method_; }
    /// As sent: "/orders/7?full=1".
    [[nodiscard]] std::string_view target() const noexcept { return target_; }
    /// Without query, not decoded: "/orders/7".
    [[nodiscard]] std::string_view path() const noexcept { return path_; }
    /// Without the question mark, not decoded: "full=1".
    [[nodiscard]] std::string_view query() const noexcept { return query_; }
    /// The first value of this name in the query, decoded.
    [[nodiscard]] std::optional<std::string> query_value(std::string_view name) const;
    /// The value of `{name}` of the route, decoded; empty if the route has no such parameter.
    [[nodiscard]] std::string_view param(std::string_view name) const noexcept;
    /// The pattern that matched: "/orders/{id}". Empty if none did.
    [[nodiscard]] std::string_view route() const noexcept;

    /// The first value of this header; empty if there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
        return headers_.get(name);
    }
    [[nodiscard]] const Headers& headers() const noexcept { return headers_; }
    [[nodiscard]] Headers& headers() noexcept { return headers_; }
    [[nodiscard]] const std::string& body() const noexcept { return body_; }
    /// Moves the body out, to keep it without a copy.
    [[nodiscard]] std::string take_body() noexcept { return std::move(body_); }

    /// 10 for HTTP/1.0, 11 for HTTP/1.1.
    [[nodiscard]] int version() const noexcept { return version_; }
    /// The other end of the socket, not what a proxy claims.
    [[nodiscard]] std::string_view peer_address() const noexcept { return peer_address_; }
    [[nodiscard]] std::uint16_t peer_port() const noexcept { return peer_port_; }

    /// True once the server has answered without the handler (503, timeout) or has been stopped: whatever the handler
    /// returns will not be sent. Long handlers should look now and then and give up.
    [[nodiscard]] bool is_abandoned() const noexcept;

private:
    friend class detail::RequestAccess;

    std::string method_;
    std::string target_;
    std::string_view path_;      // Into target_.
    std::string_view query_;     // Into target_.
    std::string_view authority_; // Into target_, of the absolute form.
    Headers headers_;
    std::string body_;
    int version_ = 11;
    const detail::Route* route_ = nullptr;
    std::array<std::string_view, detail::path_params_max> params_; // Into target_ or decoded_.
    std::string decoded_;
    std::string peer_address_;
    std::uint16_t peer_port_ = 0;
    // Written by the connection's watchdog, read by the handler.
    const std::atomic<std::uint64_t>* phase_ = nullptr;
};

} // namespace weft::http
