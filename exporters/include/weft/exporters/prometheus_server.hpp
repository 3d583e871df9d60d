#pragma once
#include <weft/exporters/prometheus_handler.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace weft {

/// Serves scrapes on a port of its own. It has no thread: it runs on the executor it is given, inside a strand.
///
/// Every wait of a connection has its limit. When there are `connections_max`, a new one takes the place of the one
/// that has been idle for longest, and is turned away with 503 if none is.
///
/// Threads: any. Lifetime: the executor's context must outlive the server; connections keep what they need.
class PrometheusServer {
public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// Listens at once. Errors: std::invalid_argument: see problem_in(), a host that other machines can reach without
    /// authentication, files that cannot be used; boost::system::system_error: the host is unknown, the port is taken.
    /// Lifetime: `log` must outlive the server and its connections.
    PrometheusServer(
        asio::any_io_executor executor, PrometheusSource source, std::string resource,
        PrometheusServerOptions options = {}, Diagnostics& log = diagnostics());
    /// Closes every connection soon, and waits for nothing; await stop() first to be sure that nothing is left running.
    ~PrometheusServer();
    PrometheusServer(const PrometheusServer&) = delete;
    PrometheusServer& operator=(const PrometheusServer&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept;
    [[nodiscard]] const std::string& address() const noexcept; ///< Numeric.
    [[nodiscard]] PrometheusStats stats() const noexcept;

    /// Takes no more connections, closes idle ones, and lets answers under way be finished until `deadline`; then it
    /// closes those too.
    [[nodiscard]] asio::awaitable<void> stop(TimePoint deadline);

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace weft
