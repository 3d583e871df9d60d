#include "server_core.hpp"

#include <weft/http/server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weft::http {
namespace {

// Awaits on the server's own strand, and comes back to the caller's chain.
Task<void> drain(std::shared_ptr<detail::ServerCore> core, std::chrono::milliseconds grace) {
    co_await asio::co_spawn(
        core->strand(), detail::ServerCore::drain(core, grace), asio::use_awaitable_t<Executor>{});
}

Task<void> stop_for_host(std::weak_ptr<detail::ServerCore> weak) {
    if (auto core = weak.lock()) {
        const auto grace = core->options().stop_grace;
        co_await drain(std::move(core), grace);
    }
}

} // namespace

Server::Server(asio::io_context& context, ServerOptions options)
    : core_(std::make_shared<detail::ServerCore>(context, std::move(options))) {
    core_->start();
}

Server::Server(Host& host, ServerOptions options) : Server(host.io_context(), std::move(options)) {
    hook_ = host.on_stop([weak = std::weak_ptr(core_)] { return stop_for_host(weak); });
}

Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&& other) noexcept {
    if (this != &other) {
        Server old(std::move(*this));
        core_ = std::move(other.core_);
        hook_ = std::move(other.hook_);
    }
    return *this;
}

Server::~Server() {
    if (core_ == nullptr) { return; }
    core_->begin_stop();
    core_->cut_off();
}

Server& Server::route(
    std::string_view method, std::string_view pattern, Handler handler,
    std::source_location where) {
    core_->add_route(detail::Router::make_route(method, pattern, std::move(handler), where));
    return *this;
}

std::uint16_t Server::port() const noexcept { return core_->port(); }
const std::string& Server::address() const noexcept { return core_->options().address; }
ServerStats Server::stats() const noexcept { return core_->stats(); }

Task<void> Server::stop(std::chrono::milliseconds grace) { return drain(core_, grace); }

} // namespace weft::http
