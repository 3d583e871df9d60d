#include "client_span.hpp"

#include "attribute_list.hpp"
#include "semconv.hpp"

#include <arpa/inet.h>

#include <array>
#include <string>

namespace weft::http::detail {

void ClientSpan::start(
    const Tracer& tracer, const KnownMethods& known, std::string_view method, const ClientUrl& url,
    int resend_count, const Wanted& wanted, std::source_location where) noexcept {
    const bool measures = wanted.measured.anything() && ClientMeasurement::is_wanted();
    if (!wanted.traced && !measures) { return; }
    const bool is_known = known.contains(method);
    if (measures) {
        measurement_.start(wanted.measured, is_known ? method : "_OTHER", url.host, url.port);
    }
    if (!wanted.traced) { return; }
    AttributeList<8> attributes;
    attributes.add("http.request.method", is_known ? method : "_OTHER");
    if (!is_known) { attributes.add("http.request.method_original", method); }
    attributes.add("server.address", url.host);
    attributes.add("server.port", url.port);
    attributes.add("url.full", url.safe);
    if (resend_count > 0) { attributes.add("http.request.resend_count", resend_count); }
    span_ = Span(
        tracer, is_known ? method : "HTTP", attributes.view(), {.kind = SpanKind::client}, where);
}

TraceContext ClientSpan::context() const noexcept {
    auto context = span_.trace_context();
    return context.is_valid() ? context : current_trace_context();
}

void ClientSpan::connected(const TcpSocket& socket) noexcept {
    if (!span_.is_recording()) { return; }
    boost::system::error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) { return; }
    // Not the address's own to_string, which allocates and may throw.
    std::array<char, INET6_ADDRSTRLEN> text{};
    const auto address = peer.address();
    if (address.is_v4()) {
        const auto bytes = address.to_v4().to_bytes();
        inet_ntop(AF_INET, bytes.data(), text.data(), text.size());
    } else {
        const auto bytes = address.to_v6().to_bytes();
        inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
    }
    span_.set_attribute("network.peer.address", text.data());
    span_.set_attribute("network.peer.port", peer.port());
}

void ClientSpan::finish(int status, int version) noexcept {
    protocol_version_ = version == 10 ? "1.0" : "1.1";
    if (span_.is_recording()) {
        span_.set_attribute("http.response.status_code", status);
        span_.set_attribute("network.protocol.version", protocol_version_);
    }
    const StatusText text(status);
    end(status, status >= 400 ? text.view() : std::string_view());
}

void ClientSpan::fail(const boost::system::error_code& error) noexcept {
    end(0, error == Errc::cancelled ? std::string_view() : error_name(error));
}

void ClientSpan::end(int status, std::string_view error_type) noexcept {
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
