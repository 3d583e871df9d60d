#include <weft/http/response.hpp>

namespace weft::http {

Response Response::with_body(int status, std::string_view content_type, std::string body) {
    Response response(status);
    response.headers_.add("Content-Type", content_type);
    response.body_ = std::move(body);
    return response;
}

Response Response::text(int status, std::string body) {
    return with_body(status, "text/plain; charset=utf-8", std::move(body));
}

Response Response::json(int status, std::string body) {
    return with_body(status, "application/json", std::move(body));
}

} // namespace weft::http
