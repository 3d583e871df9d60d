#include "phase.hpp"
#include "request_access.hpp"
#include "text.hpp"

#include <weft/http/request.hpp>

namespace weft::http {
namespace detail {
namespace {

// One huge request must not hold its memory for as long as the connection lives.
constexpr std::size_t kept_bytes_max = 64 * 1024;

} // namespace

void RequestAccess::clear(Request& request) noexcept {
    request.headers_.clear();
    if (request.body_.capacity() > kept_bytes_max) {
        request.body_ = {};
    } else {
        request.body_.clear();
    }
    request.decoded_.clear();
    request.route_ = nullptr;
    request.path_ = request.query_ = request.authority_ = {};
}

bool RequestAccess::set_start_line(
    Request& request, std::string_view method, std::string_view target, int version) {
    request.method_ = method;
    request.target_ = target;
    request.version_ = version;

    // RFC 9112, "Request Target": origin form, absolute form, asterisk; CONNECT's authority form is refused later
    // by the router.
    std::string_view rest = request.target_;
    if (const auto scheme_end = rest.find("://");
        !rest.starts_with('/') && scheme_end != std::string_view::npos) {
        rest.remove_prefix(scheme_end + 3);
        const auto end = rest.find_first_of("/?#");
        request.authority_ = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view("/") : rest.substr(end);
        if (request.authority_.empty()) { return false; }
    } else if (rest.empty() || (rest.front() != '/' && rest != "*" && method != "CONNECT")) {
        return false;
    }
    rest = rest.substr(0, rest.find('#'));
    request.path_ = take_until(rest, '?');
    request.query_ = rest;
    if (request.path_.empty()) { request.path_ = "/"; }
    return true;
}

void RequestAccess::set_route(Request& request, const Route& route, const PathParams& params) {
    request.route_ = &route;
    // Decoded text is never longer than what it was made from, so the views stay good while more is appended.
    request.decoded_.reserve(request.path_.size());
    for (std::size_t i = 0; i < params.count; ++i) {
        const auto raw = params.values[i];
        if (raw.find('%') == std::string_view::npos) {
            request.params_[i] = raw;
            continue;
        }
        const auto at = request.decoded_.size();
        append_decoded(request.decoded_, raw, false);
        request.params_[i] = std::string_view(request.decoded_).substr(at);
    }
}

} // namespace detail

Request::Request(std::string_view method, std::string_view target, std::string body)
    : body_(std::move(body)) {
    (void)detail::RequestAccess::set_start_line(*this, method, target, 11);
}

std::optional<std::string> Request::query_value(std::string_view name) const {
    std::string decoded;
    for (auto left = query_; !left.empty();) {
        auto value = detail::take_until(left, '&');
        const auto key = detail::take_until(value, '=');
        decoded.clear();
        detail::append_decoded(decoded, key, true);
        if (decoded != name) { continue; }
        decoded.clear();
        detail::append_decoded(decoded, value, true);
        return decoded;
    }
    return std::nullopt;
}

std::string_view Request::param(std::string_view name) const noexcept {
    if (route_ == nullptr) { return {}; }
    for (std::size_t i = 0; i < route_->params.size(); ++i) {
        if (route_->params[i] == name) { return params_[i]; }
    }
    return {};
}

std::string_view Request::route() const noexcept {
    return route_ == nullptr ? std::string_view{} : std::string_view(route_->pattern);
}

bool Request::is_abandoned() const noexcept {
    // relaxed: a hint that may come late.
    return phase_ != nullptr &&
           detail::phase_of(phase_->load(std::memory_order_relaxed)) == detail::Phase::expired;
}

} // namespace weft::http
