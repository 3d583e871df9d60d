#include "server_core.hpp"

#include "connection.hpp"

#include <weft/runtime/spawn.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace weft::http::detail {
namespace {

using boost::system::error_code;
using std::chrono::milliseconds;

// After accept fails for want of descriptors or memory: long enough for others to give some back.
constexpr milliseconds accept_pause{50};

// Each tick looks at every connection, and there may be many.
constexpr milliseconds tick_max{250};

void check(bool in_range, const char* text) {
    if (!in_range) {
        throw std::invalid_argument(std::string("weft::http::ServerOptions: ") + text);
    }
}

void validate(const ServerOptions& options) {
    check(
        options.header_bytes_max >= 256 && options.header_bytes_max <= 1024 * 1024,
        "header_bytes_max must be 256 to 1048576");
    check(options.connections_max >= 1, "connections_max must be at least 1");
    for (const auto time :
         {options.header_timeout, options.body_timeout, options.handler_timeout,
          options.write_timeout, options.idle_timeout, options.stop_grace}) {
        check(time.count() >= 0, "a time must not be negative");
    }
}

milliseconds shortest_time(const ServerOptions& options) {
    milliseconds shortest{60'000};
    for (const auto time :
         {options.header_timeout, options.body_timeout, options.handler_timeout,
          options.write_timeout, options.idle_timeout}) {
        if (time.count() > 0) { shortest = std::min(shortest, time); }
    }
    return shortest;
}

std::string endpoint_text(const ServerOptions& options) {
    const bool v6 = options.address.find(':') != std::string::npos;
    return (v6 ? "[" + options.address + "]" : options.address) + ":" +
           std::to_string(options.port);
}

} // namespace

ServerCore::ServerCore(asio::io_context& context, ServerOptions options)
    : context_(context), options_((validate(options), std::move(options))),
      measured_{options_.measured, options_.measure_active_requests, options_.measure_body_sizes},
      known_methods_(options_.known_methods),
      tracer_("weft.http.server", WEFT_VERSION, "https://opentelemetry.io/schemas/1.44.0"),
      watchdog_(std::make_shared<Watchdog>(context, shortest_time(options_), tick_max)),
      strand_(context.get_executor()), acceptor_(context.get_executor()),
      router_(std::make_shared<const Router>()) {
    listen();
}

void ServerCore::listen() {
    const auto fail = [this](const error_code& error) {
        // Without the place in Asio's sources that it was seen at: what() would show it.
        const error_code plain(error.value(), error.category());
        throw boost::system::system_error(plain, "cannot listen on " + endpoint_text(options_));
    };
    error_code error;
    const auto address = asio::ip::make_address(options_.address, error);
    if (error) { fail(error); }
    const asio::ip::tcp::endpoint endpoint(address, options_.port);
    if (acceptor_.open(endpoint.protocol(), error)) { fail(error); }
    if (acceptor_.set_option(asio::socket_base::reuse_address(true), error)) { fail(error); }
    if (acceptor_.bind(endpoint, error)) { fail(error); }
    if (acceptor_.listen(asio::socket_base::max_listen_connections, error)) { fail(error); }
    port_ = acceptor_.local_endpoint(error).port();
    if (error) { fail(error); }
    listen_descriptor_ = acceptor_.native_handle();
}

void ServerCore::start() {
    // The handler keeps the core, and there is nothing to do with an exception but to end the loop.
    asio::co_spawn(
        strand_, accept_loop(shared_from_this()),
        [core = shared_from_this()](const std::exception_ptr&) {});
}

void ServerCore::add_route(std::shared_ptr<const Route> route) {
    const std::lock_guard lock(router_mutex_);
    auto routes = router_->routes();
    routes.push_back(std::move(route));
    router_ = std::make_shared<const Router>(std::move(routes));
    // release: pairs with newer_router's acquire; the pointer itself is read under the mutex.
    router_version_.fetch_add(1, std::memory_order_release);
}

std::shared_ptr<const Router> ServerCore::newer_router(std::uint64_t& seen) const {
    // acquire: pairs with add_route's release.
    if (router_version_.load(std::memory_order_acquire) == seen) { return nullptr; }
    const std::lock_guard lock(router_mutex_);
    seen = router_version_.load(std::memory_order_relaxed); // Only written under the mutex.
    return router_;
}

asio::awaitable<void, Strand> ServerCore::accept_loop(std::shared_ptr<ServerCore> core) {
    asio::steady_timer pause(core->context_);
    while (!core->is_stopping()) {
        auto [error, socket] =
            co_await core->acceptor_.async_accept(asio::as_tuple(asio::deferred));
        if (core->is_stopping()) { break; }
        if (!error) {
            core->accepted(std::move(socket));
        } else if (
            error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
            break;
        } else if (error != asio::error::connection_aborted) {
            pause.expires_after(accept_pause);
            co_await pause.async_wait(asio::as_tuple(asio::deferred));
        }
    }
    core->close_acceptor();
}

void ServerCore::close_acceptor() noexcept {
    const std::lock_guard lock(listen_mutex_);
    listen_descriptor_ = -1;
    error_code ignored;
    acceptor_.close(ignored);
}

void ServerCore::accepted(TcpSocket socket) {
    // relaxed: a statistic; and only this loop adds to the number of open connections, so it cannot pass the limit.
    connections_accepted_.fetch_add(1, std::memory_order_relaxed);
    if (connections_open_.load(std::memory_order_relaxed) >= options_.connections_max) {
        connections_refused_.fetch_add(1, std::memory_order_relaxed); // A statistic.
        Connection::refuse(socket.native_handle());
        return;
    }
    // seq_cst: see connection_closed.
    connections_open_.fetch_add(1, std::memory_order_seq_cst);
    auto connection = std::make_shared<Connection>(shared_from_this(), std::move(socket));
    watchdog_->add(*connection);
    // What could still be thrown is want of memory; the connection's destructor tidies up.
    weft::co_spawn(
        context_.get_executor(), Connection::run(std::move(connection)),
        [](const std::exception_ptr&) {});
}

void ServerCore::connection_closed() noexcept {
    // seq_cst, both: either drain() sees the smaller number, or this sees that it is waiting.
    const auto left = connections_open_.fetch_sub(1, std::memory_order_seq_cst) - 1;
    if (left != 0 || !is_stopping()) { return; }
    asio::post(strand_, [core = weak_from_this()] {
        const auto self = core.lock();
        if (self == nullptr) { return; }
        for (auto* timer : self->drain_waiters_) { timer->cancel(); }
    });
}

void ServerCore::begin_stop() {
    // seq_cst: see Watched::enter.
    stopping_.store(true, std::memory_order_seq_cst);
    {
        // The acceptor is the strand's, but its descriptor may be shut down from here: no new connection from now
        // on, and the accept loop wakes and closes it.
        const std::lock_guard lock(listen_mutex_);
        if (listen_descriptor_ >= 0) { ::shutdown(listen_descriptor_, SHUT_RDWR); }
    }
    watchdog_->expire_if([](Phase phase) { return phase == Phase::idle; });
}

void ServerCore::cut_off() {
    cut_off_.store(true, std::memory_order_relaxed); // Read under the mutex that expire_if takes.
    watchdog_->expire_if([](Phase) { return true; });
}

asio::awaitable<void, Strand> ServerCore::drain(
    std::shared_ptr<ServerCore> core, milliseconds grace) {
    core->begin_stop();
    asio::steady_timer timer(core->context_, grace);
    core->drain_waiters_.push_back(&timer);
    // seq_cst: see connection_closed.
    while (core->connections_open_.load(std::memory_order_seq_cst) != 0) {
        const auto [error] = co_await timer.async_wait(asio::as_tuple(asio::deferred));
        if (!error) { break; }
    }
    std::erase(core->drain_waiters_, &timer);
    core->cut_off();
}

ServerStats ServerCore::stats() const noexcept {
    // relaxed: statistics, each for itself.
    constexpr auto relaxed = std::memory_order_relaxed;
    return {
        .connections_accepted = connections_accepted_.load(relaxed),
        .connections_refused = connections_refused_.load(relaxed),
        .connections_open = connections_open_.load(relaxed),
        .requests = requests.load(relaxed),
        .requests_refused = requests_refused.load(relaxed),
        .handler_timeouts = handler_timeouts.load(relaxed),
        .handler_exceptions = handler_exceptions.load(relaxed),
    };
}

} // namespace weft::http::detail
