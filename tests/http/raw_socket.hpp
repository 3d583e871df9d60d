#pragma once
// Blocking sockets for tests: bytes exactly as the test wants them, and answers taken apart.
#include <weft/http/headers.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace weft::http::testing {

struct RawResponse {
    int status = 0; // 0: the connection ended before a whole response.
    Headers headers;
    std::string body;
};

/// One side of a TCP connection. Every wait is bounded by `patience`.
class RawSocket {
public:
    explicit RawSocket(int descriptor);
    /// Connects to 127.0.0.1. `receive_buffer_bytes` above 0 sets the socket's size first.
    [[nodiscard]] static RawSocket connect(std::uint16_t port, int receive_buffer_bytes = 0);
    RawSocket(RawSocket&& other) noexcept;
    RawSocket& operator=(RawSocket&& other) noexcept;
    ~RawSocket();

    /// False: the other side has closed.
    bool send(std::string_view text);
    /// One response; `head_only` for an answer to HEAD.
    [[nodiscard]] RawResponse receive(bool head_only = false);
    /// Whatever comes until the other side closes.
    [[nodiscard]] std::string receive_all();
    /// Up to the end of a request's header, and a body of the length it names.
    std::string receive_request();
    /// True if the other side closes before anything else comes.
    [[nodiscard]] bool is_closed_by_peer();
    void shut_down_writing();
    /// Closes with a reset instead of a proper end.
    void reset();
    void close();
    [[nodiscard]] bool was_reset() const noexcept { return was_reset_; }

private:
    bool fill();

    int descriptor_;
    std::string buffer_;
    bool was_reset_ = false;
    bool is_late_ = false;
};

/// A listening socket on a free port whose connections the test handles one after the other, on a thread.
class RawServer {
public:
    using Script = std::function<void(RawServer&)>;
    explicit RawServer(Script script);
    RawServer(const RawServer&) = delete;
    RawServer& operator=(const RawServer&) = delete;
    ~RawServer();

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string url(std::string_view target = "/") const;
    /// For the script: the next connection.
    [[nodiscard]] RawSocket accept();

private:
    std::uint16_t port_ = 0; // Before the listener, whose creation sets it.
    int listener_ = -1;
    std::thread thread_;
};

/// A port on 127.0.0.1 on which nobody listens.
[[nodiscard]] std::uint16_t unused_port();

} // namespace weft::http::testing
