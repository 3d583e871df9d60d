#pragma once
// One connection of the client. A call owns it, or the pool does; the watchdog may shut its descriptor down.

#include "parser.hpp"
#include "watchdog.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <utility>

namespace weft::http::detail {

using IoExecutor = asio::io_context::executor_type;
using TcpSocket = asio::basic_stream_socket<asio::ip::tcp, IoExecutor>;

class ClientConnection final : public Watched {
public:
    ClientConnection(TcpSocket opened, std::size_t input_cap)
        : socket(std::move(opened)), input(input_cap), descriptor_(socket.native_handle()) {}

    /// True if the server has neither closed nor sent anything. Not a promise: it may close at any time.
    [[nodiscard]] bool is_usable() const noexcept {
        char byte;
        const auto count = ::recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }

    TcpSocket socket;
    InputBuffer input;
    std::string output;
    std::chrono::steady_clock::time_point idle_since;

private:
    void on_expired(Phase) noexcept override { ::shutdown(descriptor_, SHUT_RDWR); }
    const int descriptor_;
};

/// Watches a connection while it lives. Ends before the connection does.
class WatchScope {
public:
    WatchScope(Watchdog& watchdog, Watched& watched) : watchdog_(watchdog), watched_(watched) {
        watchdog_.add(watched_);
    }
    WatchScope(const WatchScope&) = delete;
    WatchScope& operator=(const WatchScope&) = delete;
    ~WatchScope() { watchdog_.remove(watched_); }

private:
    Watchdog& watchdog_;
    Watched& watched_;
};

} // namespace weft::http::detail
