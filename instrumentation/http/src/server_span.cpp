#include "server_span.hpp"

#include "attribute_list.hpp"
#include "request_access.hpp"
#include "server_core.hpp"
#include "text.hpp"

#include <weft/propagation/composite.hpp>

#include <array>
#include <utility>

namespace weft::http::detail {
namespace {

std::string_view protocol_version(int version) noexcept { return version == 10 ? "1.0" : "1.1"; }

// "GET /orders/{id}"; long enough for any sensible route, cut otherwise.
class SpanName {
public:
    SpanName(std::string_view method, std::string_view route) noexcept {
        append(method);
        if (!route.empty()) {
            append(" ");
            append(route);
        }
    }
    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), chars_}; }

private:
    void append(std::string_view part) noexcept {
        part = part.substr(0, text_.size() - chars_);
        std::copy(part.begin(), part.end(), text_.begin() + static_cast<std::ptrdiff_t>(chars_));
        chars_ += part.size();
    }
    std::array<char, 256> text_;
    std::size_t chars_ = 0;
};

// Makes the scope where it is to stay: it cannot be moved.
struct CarriedBaggage {
    Baggage baggage;
    operator ContextScope() && noexcept { return with(std::move(baggage)); }
};

} // namespace

void ServerSpan::start(
    const ServerCore& core, const Request& request, std::string_view route,
    std::source_location where) {
    const auto& options = core.options();
    PropagatedContext came;
    if (options.traced) {
        came = extract(core.propagators(), request.headers());
        if (!came.baggage.empty()) { baggage_.emplace(CarriedBaggage{std::move(came.baggage)}); }
    }
    const bool records = options.traced && core.tracer().is_enabled();
    const bool measures = core.measured().anything() && ServerMeasurement::is_wanted();
    // Without a runtime the context is only carried on, for clients further down; nobody would read attributes.
    if (!records && came.trace.is_valid()) {
        span_ = Span(core.tracer(), "", {}, {.parent = came.trace});
    }
    if (!records && !measures) { return; }
    const bool known = core.known_methods().contains(request.method());
    const auto method = known ? request.method() : std::string_view("_OTHER");
    const auto forwarded =
        options.trust_forwarded ? parse_forwarded(request.headers()) : Forwarded{};
    protocol_version_ = protocol_version(request.version());
    if (measures) {
        measurement_.start(core.measured(), method, metric_scheme(forwarded.scheme), route);
    }
    if (!records) { return; }
    const SpanName name(known ? method : "HTTP", route);
    auto authority_text = forwarded.host;
    if (authority_text.empty()) { authority_text = RequestAccess::authority(request); }
    if (authority_text.empty()) { authority_text = request.header("host"); }
    const auto authority = parse_authority(authority_text);
    const auto user_agent = request.header("user-agent");
    std::string scratch;

    AttributeList<16> attributes;
    attributes.add("http.request.method", method);
    if (!known) { attributes.add("http.request.method_original", request.method()); }
    attributes.add("url.path", request.path());
    if (!request.query().empty()) {
        attributes.add("url.query", redact_query(request.query(), scratch));
    }
    attributes.add("url.scheme", forwarded.scheme.empty() ? "http" : forwarded.scheme);
    if (!route.empty()) { attributes.add("http.route", route); }
    if (!authority.host.empty()) { attributes.add("server.address", authority.host); }
    if (authority.port) { attributes.add("server.port", *authority.port); }
    attributes.add(
        "client.address", forwarded.client.empty() ? request.peer_address() : forwarded.client);
    attributes.add("network.peer.address", request.peer_address());
    attributes.add("network.peer.port", request.peer_port());
    attributes.add("network.protocol.version", protocol_version_);
    if (!user_agent.empty()) { attributes.add("user_agent.original", user_agent); }
    span_ = Span(
        core.tracer(), name.view(), attributes.view(),
        {.kind = SpanKind::server, .parent = came.trace}, where);
}

void ServerSpan::finish(int status) noexcept {
    span_.set_attribute("http.response.status_code", status);
    const StatusText text(status);
    end(status, status >= 500 ? text.view() : std::string_view());
}

void ServerSpan::abort(std::string_view error_type) noexcept { end(0, error_type); }

void ServerSpan::end(int status, std::string_view error_type) noexcept {
    if (!error_type.empty()) { span_.set_error(error_type); }
    if (!measurement_.is_under_way()) { return; }
    const auto times = span_.times();
    measurement_.finish(
        {.elapsed_ns =
             span_.is_recording() ? times.elapsed_ns() : steady_now_ns() - measurement_.start_ns(),
         .status = status,
         .error_type = error_type,
         .protocol_version = protocol_version_});
    span_.end(times.now); // After the measurement: an exemplar names the span that is current.
}

} // namespace weft::http::detail
