#include "client_span.hpp"

#include "attribute_list.hpp"
#include "semconv.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <string>

namespace weft::http::detail {

void ClientSpan::start(
    const Tracer& tracer, const KnownMethods& known, std::string_view method, const ClientUrl& url,
    int resend_count, std::source_location where) noexcept {
    const bool is_known = known.contains(method);
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
    if (!span_.is_recording()) { return; }
    span_.set_attribute("http.response.status_code", status);
    span_.set_attribute("network.protocol.version", version == 10 ? "1.0" : "1.1");
    if (status < 400) { return; }
    std::array<char, 12> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), status).ptr;
    span_.set_error({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

void ClientSpan::fail(const boost::system::error_code& error) noexcept {
    if (error == Errc::cancelled) { return; }
    span_.set_error(error_name(error));
}

} // namespace weft::http::detail
