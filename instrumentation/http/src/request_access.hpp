#pragma once
#include "router.hpp"

#include <weft/http/request.hpp>

#include <string>
#include <string_view>

namespace weft::http::detail {

/// What the connection may do with a Request and a handler may not.
class RequestAccess {
public:
    static void clear(Request& request) noexcept;
    /// Takes the method and the target; false if the target is none of the forms that HTTP has.
    [[nodiscard]] static bool set_start_line(
        Request& request, std::string_view method, std::string_view target, int version);
    static void set_peer(Request& request, std::string address, std::uint16_t port) {
        request.peer_address_ = std::move(address);
        request.peer_port_ = port;
    }
    static void set_phase(Request& request, const std::atomic<std::uint64_t>& phase) noexcept {
        request.phase_ = &phase;
    }
    /// Takes over what a router found. Lifetime: the route must outlive the request's use.
    static void set_route(Request& request, const Route& route, const PathParams& params);

    static std::string& body(Request& request) noexcept { return request.body_; }
    static std::string_view authority(const Request& request) noexcept {
        return request.authority_;
    }
};

} // namespace weft::http::detail
