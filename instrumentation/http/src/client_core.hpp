#pragma once
// The client's pool and the life of a call: a connection from the pool or a new one, write, read, back into the pool.
//
// Threads: the pool has a mutex; a connection belongs to one call at a time.

#include "client_connection.hpp"
#include "client_span.hpp"
#include "client_url.hpp"
#include "known_methods.hpp"
#include "watchdog.hpp"

#include <weft/http/client.hpp>
#include <weft/signals/span.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace weft::http::detail {

class ClientCore {
public:
    /// Errors: std::invalid_argument for an option out of its range.
    ClientCore(asio::io_context& context, ClientOptions options);

    static Task<Result<Response>> call(std::shared_ptr<ClientCore> core, ClientRequest request);

    [[nodiscard]] ClientStats stats() const;
    void close_idle();

private:
    using ConnectionPtr = std::unique_ptr<ClientConnection>;

    /// One attempt of a call. Lifetime: refers to what the call's coroutine owns.
    struct Attempt {
        const ClientRequest& request;
        const ClientUrl& url;
        std::chrono::steady_clock::time_point end; // max: no limit.
        int resend_count;
        bool stale = false; // Out: a pooled connection was closed before any byte of an answer.
    };
    struct Answer {
        Response response;
        int version = 11;
        bool keep_alive = false;
    };

    Task<Result<Response>> attempt(Attempt& attempt);
    Task<Result<ConnectionPtr>> connect(const Attempt& attempt);
    Task<boost::system::error_code> send(
        ClientConnection& connection, const ClientRequest& request);
    Task<Result<Answer>> receive(ClientConnection& connection, bool head_only, bool& got_bytes);
    void write_head(std::string& out, const Attempt& attempt, const ClientSpan& span) const;

    [[nodiscard]] ConnectionPtr take(const std::string& key);
    void give_back(const std::string& key, ConnectionPtr connection);

    asio::io_context& context_;
    const ClientOptions options_;
    const std::string user_agent_;
    const KnownMethods known_methods_;
    const Tracer tracer_;
    const std::shared_ptr<Watchdog> watchdog_;

    mutable std::mutex mutex_;                               // Guards idle_.
    std::map<std::string, std::vector<ConnectionPtr>> idle_; // By host and port; oldest first.

    // Statistics: written by calls, read by stats().
    std::atomic<std::uint64_t> opened_{0};
    std::atomic<std::uint64_t> reused_{0};
    std::atomic<std::uint64_t> attempts_{0};
    std::atomic<std::uint64_t> repeated_{0};
};

} // namespace weft::http::detail
