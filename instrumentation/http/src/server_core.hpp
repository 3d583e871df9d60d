#pragma once
// What a server's connections share. Lives until the last of them is gone, which may be after the Server.
//
// Threads: the accept loop and the waiting of stop() run on one strand; connections anywhere.

#include "known_methods.hpp"
#include "request_metrics.hpp"
#include "router.hpp"
#include "watchdog.hpp"

#include <weft/http/server.hpp>
#include <weft/signals/span.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace weft::http::detail {

using IoExecutor = asio::io_context::executor_type;
using Strand = asio::strand<IoExecutor>;
using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, IoExecutor>;
using TcpAcceptor = asio::basic_socket_acceptor<asio::ip::tcp, IoExecutor>;

class ServerCore : public std::enable_shared_from_this<ServerCore> {
public:
    /// Binds and listens. Errors: boost::system::system_error, std::invalid_argument; see Server.
    ServerCore(asio::io_context& context, ServerOptions options);

    void start();
    void add_route(std::shared_ptr<const Route> route);

    /// Stops accepting and closes idle connections, without waiting. Threads: any.
    void begin_stop();
    /// Closes whatever is open. Threads: any.
    void cut_off();
    /// Waits until no connection is left, at most `grace`.
    static asio::awaitable<void, Strand> drain(
        std::shared_ptr<ServerCore> core, std::chrono::milliseconds grace);

    [[nodiscard]] bool is_stopping() const noexcept {
        // seq_cst: see Watched::enter.
        return stopping_.load(std::memory_order_seq_cst);
    }
    [[nodiscard]] bool is_cut_off() const noexcept {
        // relaxed: set before, and read under, the watchdog's mutex.
        return cut_off_.load(std::memory_order_relaxed);
    }

    /// The routes now; `seen` is the version the caller holds already, and null comes back if it is still the newest.
    [[nodiscard]] std::shared_ptr<const Router> newer_router(std::uint64_t& seen) const;

    void connection_closed() noexcept;

    [[nodiscard]] const ServerOptions& options() const noexcept { return options_; }
    [[nodiscard]] const Measured& measured() const noexcept { return measured_; }
    [[nodiscard]] const KnownMethods& known_methods() const noexcept { return known_methods_; }
    /// Asked per request: a Runtime may set the process's after the server has been made.
    [[nodiscard]] Propagators propagators() const noexcept {
        return options_.propagators ? *options_.propagators : default_propagators();
    }
    [[nodiscard]] Watchdog& watchdog() noexcept { return *watchdog_; }
    [[nodiscard]] const Tracer& tracer() const noexcept { return tracer_; }
    [[nodiscard]] const Strand& strand() const noexcept { return strand_; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] ServerStats stats() const noexcept;

    // Statistics: written by any connection, read by stats(). Order does not matter between them.
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> requests_refused{0};
    std::atomic<std::uint64_t> handler_timeouts{0};
    std::atomic<std::uint64_t> handler_exceptions{0};

    static void count(std::atomic<std::uint64_t>& counter) noexcept {
        counter.fetch_add(
            1, std::memory_order_relaxed); // A statistic; nothing depends on its order.
    }

private:
    void listen();
    static asio::awaitable<void, Strand> accept_loop(std::shared_ptr<ServerCore> core);
    void accepted(TcpSocket socket);
    void close_acceptor() noexcept;

    asio::io_context& context_;
    const ServerOptions options_;
    const Measured measured_;
    const KnownMethods known_methods_;
    const Tracer tracer_;
    const std::shared_ptr<Watchdog> watchdog_;
    const Strand strand_;
    TcpAcceptor acceptor_; // Strand only, once start() has been called.
    std::uint16_t port_ = 0;

    std::mutex listen_mutex_; // Guards listen_descriptor_, and that it is open while it is not -1.
    int listen_descriptor_ = -1;

    mutable std::mutex router_mutex_; // Guards router_.
    std::shared_ptr<const Router> router_;
    std::atomic<std::uint64_t> router_version_{
        1}; // Written under router_mutex_, read by every connection.

    std::atomic<bool> stopping_{false}; // Written by begin_stop, read by connections.
    std::atomic<bool> cut_off_{false};  // Written by cut_off, read by the watchdog's callbacks.
    std::atomic<std::size_t> connections_open_{
        0}; // Written by the accept loop and by ending connections.
    std::atomic<std::uint64_t> connections_accepted_{0}; // Accept loop; read by stats().
    std::atomic<std::uint64_t> connections_refused_{0};  // As above.
    std::vector<asio::steady_timer*> drain_waiters_;     // Strand only.
};

} // namespace weft::http::detail
