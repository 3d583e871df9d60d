#include "client_core.hpp"

#include <weft/http/client.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

namespace weft::http {
namespace {

asio::io_context& context_of(const Executor& executor) {
    return static_cast<asio::io_context&>(
        asio::query(executor.inner_executor(), asio::execution::context));
}

ClientRequest with_body(
    std::string_view method, std::string_view url, std::string body, std::string_view type,
    std::source_location where) {
    return ClientRequest(method, url, where)
        .set_header("Content-Type", type)
        .set_body(std::move(body));
}

} // namespace

Client::Client(asio::io_context& context, ClientOptions options)
    : core_(std::make_shared<detail::ClientCore>(context, std::move(options))) {}
Client::Client(Host& host, ClientOptions options) : Client(host.io_context(), std::move(options)) {}
Client::Client(const Executor& executor) : Client(executor, ClientOptions{}) {}
Client::Client(const Executor& executor, ClientOptions options)
    : Client(context_of(executor), std::move(options)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Task<Result<Response>> Client::request(ClientRequest request) const {
    return detail::ClientCore::call(core_, std::move(request));
}
Task<Result<Response>> Client::get(std::string_view url, std::source_location where) const {
    return request(ClientRequest("GET", url, where));
}
Task<Result<Response>> Client::del(std::string_view url, std::source_location where) const {
    return request(ClientRequest("DELETE", url, where));
}
Task<Result<Response>> Client::post(
    std::string_view url, std::string body, std::string_view content_type,
    std::source_location where) const {
    return request(with_body("POST", url, std::move(body), content_type, where));
}
Task<Result<Response>> Client::put(
    std::string_view url, std::string body, std::string_view content_type,
    std::source_location where) const {
    return request(with_body("PUT", url, std::move(body), content_type, where));
}

ClientStats Client::stats() const { return core_->stats(); }
void Client::close_idle() const { core_->close_idle(); }

} // namespace weft::http
