// Input: one byte that says what follows and in which pieces it comes, then the text.
//   bit 0: a response (else a request)   bit 1: a URL for the client   bits 2 to 7: bytes in a piece, 0 for all at once
// Claims: nothing crashes; a message gives the same whether it comes whole or in pieces; what is kept of it has no line
// ends in its fields; a URL's text for telemetry has no credentials.
#include "client_url.hpp"
#include "parser.hpp"
#include "router.hpp"
#include "semconv.hpp"
#include "serialise.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace weft;
using namespace weft::http;
using namespace weft::http::detail;

void require(bool claim) {
    if (!claim) { std::abort(); }
}

Task<Response> nothing(Request&) { co_return Response(); }

const Router& router() {
    static const Router routes{{
        Router::make_route("GET", "/", nothing),
        Router::make_route("GET", "/a/{b}/c", nothing),
        Router::make_route("GET", "/a/b/{c...}", nothing),
        Router::make_route("POST", "/{x}/{y}", nothing),
    }};
    return routes;
}

template <class Parser>
bool parse(Parser& parser, std::string_view text, std::size_t piece) {
    parser.header_limit(4096);
    parser.body_limit(4096);
    parser.eager(true);
    InputBuffer input(16 * 1024);
    while (!parser.is_done()) {
        error_code error;
        if (!input.empty()) {
            const auto data = input.data();
            const auto taken = parser.put(boost::asio::buffer(data.data(), data.size()), error);
            require(taken <= data.size());
            input.consume(taken);
            if (error && error != beast::http::error::need_more) { return false; }
            if (parser.is_done()) { break; }
            if (!error && taken > 0 && !input.empty()) { continue; }
        }
        if (text.empty() || input.full()) { return false; }
        const auto room = input.prepare(0);
        const auto count = std::min({piece == 0 ? text.size() : piece, text.size(), room.size()});
        std::copy_n(text.data(), count, static_cast<char*>(room.data()));
        input.commit(count);
        text.remove_prefix(count);
    }
    return true;
}

std::string text_of(const Headers& headers) {
    std::string all;
    for (const auto& [name, value] : headers) {
        require(name.find_first_of("\r\n") == std::string_view::npos);
        require(value.find_first_of("\r\n") == std::string_view::npos);
        all += std::string(name) + ":" + std::string(value) + "\n";
    }
    return all;
}

void use(Request& request) {
    (void)parse_forwarded(request.headers());
    (void)parse_authority(request.header("host"));
    (void)request.query_value("a");
    std::string scratch;
    (void)redact_query(request.query(), scratch);
    const auto match = router().find(request.method(), request.path());
    if (match.route == nullptr) { return; }
    RequestAccess::set_route(request, *match.route, match.params);
    for (const auto& name : match.route->params) {
        require(request.param(name).size() <= request.path().size());
    }
}

void check_request(std::string_view text, std::size_t piece) {
    Request whole;
    Request pieces;
    RequestParser first(whole);
    RequestParser second(pieces);
    const bool good = parse(first, text, 0);
    require(parse(second, text, piece) == good);
    if (!good) { return; }
    require(whole.method() == pieces.method() && whole.target() == pieces.target());
    require(text_of(whole.headers()) == text_of(pieces.headers()) && whole.body() == pieces.body());
    use(whole);
}

void check_response(std::string_view text, std::size_t piece) {
    Response whole;
    Response pieces;
    ResponseParser first(whole);
    ResponseParser second(pieces);
    const bool good = parse(first, text, 0);
    require(parse(second, text, piece) == good);
    if (!good) { return; }
    require(whole.status() == pieces.status() && whole.body() == pieces.body());
    require(text_of(whole.headers()) == text_of(pieces.headers()));
    std::string head;
    write_head(head, whole, {});
    require(head.ends_with("\r\n\r\n") && head.find("\r\n\r\n") == head.size() - 4);
}

void check_url(std::string_view text) {
    const auto url = parse_client_url(text);
    if (!url) { return; }
    require(!url->host.empty() && url->port != 0 && url->target.starts_with('/'));
    for (const auto* part : {&url->target, &url->authority, &url->safe}) {
        require(part->find_first_of(" \r\n") == std::string::npos);
    }
    const auto at = url->safe.find('@');
    require(
        at == std::string::npos || url->credentials.empty() ||
        url->safe.starts_with("http://REDACTED:REDACTED@"));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) { return 0; }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if ((data[0] & 2) != 0) {
        check_url(text);
    } else if ((data[0] & 1) != 0) {
        check_response(text, data[0] >> 2);
    } else {
        check_request(text, data[0] >> 2);
    }
    return 0;
}
