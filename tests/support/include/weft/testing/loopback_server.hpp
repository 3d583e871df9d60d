#pragma once
// A scriptable HTTP/1.1 server on 127.0.0.1 and a free port, for tests of clients.
//
// Each request takes the next Reply of the script; when the script is empty, the default answer,
// 200 without a body. A Reply says what is read, which bytes are written, and what becomes of the
// connection, so that any misbehaviour of a peer can be had exactly when it is wanted:
//
//   LoopbackServer server(io.get_executor());
//   server.script({answer(503, {{"Retry-After", "1"}}), answer(200).cut_to(10).then_reset(),
//   silence()});
//
// Threads: the executor must not run two handlers at once; all members may be called from any
// thread.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace weft::testing {

/// One request as it arrived.
struct RecordedRequest {
    std::size_t connection = 0; ///< Number of the connection, from 0.
    std::string method;
    std::string target;
    std::map<std::string, std::string> headers; ///< Names in lower case.
    std::string body;

    [[nodiscard]] std::string header(const std::string& lower_name) const {
        const auto found = headers.find(lower_name);
        return found == headers.end() ? std::string() : found->second;
    }
};

/// What the server does with one request.
struct Reply {
    enum class Read : std::uint8_t { all, header_only, nothing };
    enum class After : std::uint8_t { keep, close, reset, silence };

    Read read = Read::all;
    std::string bytes;
    bool held = false;                          ///< Written only after LoopbackServer::release().
    std::chrono::milliseconds byte_interval{0}; ///< More than 0: one byte at a time.
    After after = After::keep;

    [[nodiscard]] Reply cut_to(std::size_t count) && {
        bytes.resize(std::min(count, bytes.size()));
        return std::move(*this);
    }
    [[nodiscard]] Reply hold() && {
        held = true;
        return std::move(*this);
    }
    [[nodiscard]] Reply slowly(std::chrono::milliseconds interval) && {
        byte_interval = interval;
        return std::move(*this);
    }
    [[nodiscard]] Reply without_reading_the_body() && {
        read = Read::header_only;
        return std::move(*this);
    }
    [[nodiscard]] Reply then_close() && {
        after = After::close;
        return std::move(*this);
    }
    [[nodiscard]] Reply then_reset() && {
        after = After::reset;
        return std::move(*this);
    }
    [[nodiscard]] Reply then_silence() && {
        after = After::silence;
        return std::move(*this);
    }
};

using ReplyHeaders = std::vector<std::pair<std::string, std::string>>;

/// Bytes as they are, then the connection is closed.
inline Reply raw(std::string bytes) {
    return {.bytes = std::move(bytes), .after = Reply::After::close};
}

/// A well-formed answer with a Content-Length.
inline Reply answer(int status, const ReplyHeaders& headers = {}, const std::string& body = {}) {
    std::string text = "HTTP/1.1 " + std::to_string(status) + " Test\r\n";
    for (const auto& [name, value] : headers) { text += name + ": " + value + "\r\n"; }
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    return {.bytes = std::move(text)};
}

/// The same in chunks of at most `chunk_bytes`.
inline Reply answer_chunked(
    int status, const ReplyHeaders& headers, const std::string& body, std::size_t chunk_bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text =
        "HTTP/1.1 " + std::to_string(status) + " Test\r\nTransfer-Encoding: chunked\r\n";
    for (const auto& [name, value] : headers) { text += name + ": " + value + "\r\n"; }
    text += "\r\n";
    for (std::size_t at = 0; at < body.size(); at += chunk_bytes) {
        const auto chunk = body.substr(at, chunk_bytes);
        std::string size;
        for (std::size_t left = chunk.size(); left != 0; left /= 16) {
            size.insert(size.begin(), digits[left % 16]);
        }
        text += size + "\r\n" + chunk + "\r\n";
    }
    return {.bytes = text + "0\r\n\r\n"};
}

/// Reads the request and never answers.
inline Reply silence() { return {.bytes = {}, .after = Reply::After::silence}; }
/// Reads the request, then closes or resets without an answer.
inline Reply hang_up() { return {.bytes = {}, .after = Reply::After::close}; }
inline Reply reset() { return {.bytes = {}, .after = Reply::After::reset}; }
/// Closes or resets a new connection without reading anything, or leaves it unread for ever. For a
/// connection's first request.
inline Reply close_unread() {
    return {.read = Reply::Read::nothing, .bytes = {}, .after = Reply::After::close};
}
inline Reply reset_unread() {
    return {.read = Reply::Read::nothing, .bytes = {}, .after = Reply::After::reset};
}
inline Reply never_read() {
    return {.read = Reply::Read::nothing, .bytes = {}, .after = Reply::After::silence};
}

class LoopbackServer {
    using tcp = boost::asio::ip::tcp;

public:
    enum class Start : std::uint8_t { listening, refusing };

    /// `refusing`: the port is taken but connections are refused until listen().
    explicit LoopbackServer(boost::asio::any_io_executor executor, Start start = Start::listening)
        : impl_(std::make_shared<Impl>(std::move(executor))) {
        impl_->acceptor.open(tcp::v4());
        impl_->acceptor.bind({boost::asio::ip::address_v4::loopback(), 0});
        impl_->port = impl_->acceptor.local_endpoint().port();
        if (start == Start::listening) { listen(); }
    }
    LoopbackServer(const LoopbackServer&) = delete;
    LoopbackServer& operator=(const LoopbackServer&) = delete;
    /// Closes everything. The executor's context must still exist, but need not run.
    ~LoopbackServer() {
        boost::asio::post(impl_->executor, [impl = impl_] { impl->close(); });
    }

    void listen() {
        impl_->acceptor.listen();
        boost::asio::co_spawn(impl_->executor, accept(impl_), &LoopbackServer::finished);
    }

    [[nodiscard]] std::uint16_t port() const noexcept { return impl_->port; }
    [[nodiscard]] std::string url(const std::string& target) const {
        return "http://127.0.0.1:" + std::to_string(port()) + target;
    }

    /// Appends to the script.
    void script(std::initializer_list<Reply> replies) {
        const std::lock_guard lock(impl_->mutex);
        impl_->replies.insert(impl_->replies.end(), replies.begin(), replies.end());
    }

    /// What is answered when the script is empty.
    void set_default(Reply reply) {
        const std::lock_guard lock(impl_->mutex);
        impl_->default_reply = std::move(reply);
    }

    /// Lets every held reply go, now and from now on.
    void release() {
        boost::asio::post(impl_->executor, [impl = impl_] {
            impl->released = true;
            impl->gate.cancel();
        });
    }

    /// Closes every open connection from the server's side.
    void close_connections() {
        boost::asio::post(impl_->executor, [impl = impl_] { impl->close_sockets(); });
    }

    [[nodiscard]] std::vector<RecordedRequest> requests() const {
        const std::lock_guard lock(impl_->mutex);
        return impl_->requests;
    }
    [[nodiscard]] std::size_t request_count() const {
        const std::lock_guard lock(impl_->mutex);
        return impl_->requests.size();
    }
    /// Connections accepted so far, and the most that were open at one time.
    [[nodiscard]] std::size_t connections() const {
        const std::lock_guard lock(impl_->mutex);
        return impl_->accepted;
    }
    [[nodiscard]] std::size_t open_connections_max() const {
        const std::lock_guard lock(impl_->mutex);
        return impl_->open_max;
    }

private:
    using Socket = std::shared_ptr<tcp::socket>;

    struct Impl {
        explicit Impl(boost::asio::any_io_executor on)
            : executor(std::move(on)), acceptor(executor),
              gate(executor, std::chrono::steady_clock::time_point::max()) {}

        void close() {
            boost::system::error_code ignored;
            acceptor.close(ignored);
            gate.cancel();
            closed = true;
            close_sockets();
        }
        void close_sockets() {
            for (const auto& socket : sockets) {
                boost::system::error_code ignored;
                socket->close(ignored);
            }
        }

        const boost::asio::any_io_executor executor;
        tcp::acceptor acceptor;
        boost::asio::steady_timer gate; // Never expires; cancelled by release().
        std::uint16_t port = 0;
        bool released = false;
        bool closed = false;
        std::vector<Socket> sockets; // Open ones. The executor's alone, like everything above.

        mutable std::mutex mutex; // Guards what follows.
        std::deque<Reply> replies;
        Reply default_reply = answer(200);
        std::vector<RecordedRequest> requests;
        std::size_t accepted = 0;
        std::size_t open_max = 0;
    };
    using ImplPtr = std::shared_ptr<Impl>;

    static auto tuple() { return boost::asio::as_tuple(boost::asio::use_awaitable); }

    static void finished(const std::exception_ptr& error) {
        if (error) {
            std::rethrow_exception(error);
        } // A fault of the server itself: let run() throw it at the test.
    }

    static boost::asio::awaitable<void> accept(ImplPtr impl) {
        while (impl->acceptor.is_open()) {
            auto socket = std::make_shared<tcp::socket>(impl->executor);
            const auto [ec] = co_await impl->acceptor.async_accept(*socket, tuple());
            if (ec) { continue; } // Aborted, or the client was gone before it was accepted.
            impl->sockets.push_back(socket);
            std::size_t number = 0;
            {
                const std::lock_guard lock(impl->mutex);
                number = impl->accepted++;
                impl->open_max = std::max(impl->open_max, impl->sockets.size());
            }
            boost::asio::co_spawn(
                impl->executor, serve(impl, socket, number), &LoopbackServer::finished);
        }
    }

    // Takes the next reply; `unread`: only if it wants nothing read.
    static bool take_reply(Impl& impl, bool unread, Reply& reply) {
        const std::lock_guard lock(impl.mutex);
        if (unread && (impl.replies.empty() || impl.replies.front().read != Reply::Read::nothing)) {
            return false;
        }
        if (impl.replies.empty()) {
            reply = impl.default_reply;
        } else {
            reply = std::move(impl.replies.front());
            impl.replies.pop_front();
        }
        return true;
    }

    static boost::asio::awaitable<void> serve(ImplPtr impl, Socket socket, std::size_t number) {
        Reply reply;
        bool open = true;
        if (take_reply(*impl, true, reply)) { open = co_await act(impl, socket, reply); }
        boost::beast::flat_buffer buffer;
        while (open) { open = co_await serve_one(impl, socket, number, &buffer); }
        boost::system::error_code ignored;
        socket->close(ignored);
        std::erase(impl->sockets, socket);
    }

    // One request. False when the connection is done with. Lifetime: the caller awaits at once.
    static boost::asio::awaitable<bool> serve_one(
        ImplPtr impl, Socket socket, std::size_t number, boost::beast::flat_buffer* buffer) {
        namespace http = boost::beast::http;
        http::request_parser<http::string_body> parser;
        parser.body_limit(std::uint64_t{1} << 30);
        const auto [header_error, header_size] =
            co_await http::async_read_header(*socket, *buffer, parser, tuple());
        if (header_error) { co_return false; }
        Reply reply;
        take_reply(*impl, false, reply);
        if (reply.read == Reply::Read::all) {
            const auto [body_error, body_size] =
                co_await http::async_read(*socket, *buffer, parser, tuple());
            if (body_error) { co_return false; }
        }
        // A kept connection may get a reply that was meant for a new one: then no request has arrived.
        if (reply.read != Reply::Read::nothing) { record(*impl, number, parser.get()); }
        co_return co_await act(impl, socket, reply);
    }

    template <class Message>
    static void record(Impl& impl, std::size_t number, const Message& message) {
        RecordedRequest request;
        request.connection = number;
        request.method = message.method_string();
        request.target = message.target();
        request.body = message.body();
        for (const auto& field : message) {
            std::string name(field.name_string());
            std::transform(name.begin(), name.end(), name.begin(), [](char c) {
                return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            });
            request.headers[name] = std::string(field.value());
        }
        const std::lock_guard lock(impl.mutex);
        impl.requests.push_back(std::move(request));
    }

    // Writes and ends as the reply says. False when the connection is done with.
    static boost::asio::awaitable<bool> act(ImplPtr impl, Socket socket, Reply reply) {
        while (reply.held && !impl->released && !impl->closed) {
            co_await impl->gate.async_wait(tuple());
        }
        const std::size_t step = reply.byte_interval.count() > 0 ? 1 : reply.bytes.size();
        for (std::size_t at = 0; at < reply.bytes.size(); at += step) {
            const auto [ec, size] = co_await boost::asio::async_write(
                *socket, boost::asio::buffer(reply.bytes.data() + at, step), tuple());
            if (ec) { co_return false; }
            if (step == 1) {
                boost::asio::steady_timer pause(impl->executor, reply.byte_interval);
                co_await pause.async_wait(tuple());
            }
        }
        switch (reply.after) {
        case Reply::After::keep:
            co_return true;
        case Reply::After::close:
            co_return false;
        case Reply::After::reset: {
            boost::system::error_code ignored;
            socket->set_option(boost::asio::socket_base::linger(true, 0), ignored);
            co_return false;
        }
        case Reply::After::silence:
            co_await hear_the_end(socket, reply.read == Reply::Read::nothing);
            co_return false;
        }
        co_return false;
    }

    // Waits until the client hangs up or the server closes, without reading what a client may still
    // be sending.
    static boost::asio::awaitable<void> hear_the_end(Socket socket, bool unread) {
        if (!unread) {
            char byte = 0;
            co_await socket->async_read_some(boost::asio::buffer(&byte, 1), tuple());
            co_return;
        }
        co_await socket->async_wait(tcp::socket::wait_error, tuple());
    }

    const ImplPtr impl_;
};

} // namespace weft::testing
