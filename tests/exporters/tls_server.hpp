#pragma once
// A receiver over TLS on 127.0.0.1 and a free port, and a proxy that makes tunnels, for tests of clients.
// Threads: the executor must not run two handlers at once; members are for its thread, or while it does not run.

#include "certificates.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weft::testing {

/// Answers each request with 200, or with what `answer_with` says, and keeps the connection.
class TlsServer {
    using tcp = boost::asio::ip::tcp;

public:
    using Context = boost::asio::ssl::context;

    struct Handshake {
        std::string server_name; ///< What the client asked for (SNI).
        std::string protocol;    ///< Agreed by ALPN; empty: the client asked for none.
        std::string version;
        std::string subject; ///< CN of the client's certificate; empty: none.
    };

    /// `adjust` may change the context before the first connection.
    TlsServer(
        boost::asio::any_io_executor executor, const Certificate& own,
        const std::function<void(Context&)>& adjust = [](Context&) {})
        : impl_(std::make_shared<Impl>(std::move(executor))) {
        auto& context = impl_->context;
        context.use_certificate_chain_file(own.certificate_file());
        context.use_private_key_file(own.key_file(), Context::pem);
        SSL_CTX_set_alpn_select_cb(context.native_handle(), &TlsServer::choose, nullptr);
        adjust(context);
        impl_->acceptor.open(tcp::v4());
        impl_->acceptor.bind({boost::asio::ip::address_v4::loopback(), 0});
        impl_->acceptor.listen();
        boost::asio::co_spawn(impl_->executor, accept(impl_), &TlsServer::finished);
    }
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;
    ~TlsServer() {
        boost::asio::post(impl_->executor, [impl = impl_] { impl->close(); });
    }

    /// Asks clients for a certificate of this CA.
    static std::function<void(Context&)> asking_for(const Certificate& ca) {
        return [&ca](Context& context) {
            context.load_verify_file(ca.certificate_file());
            context.set_verify_mode(
                boost::asio::ssl::verify_peer | boost::asio::ssl::verify_fail_if_no_peer_cert);
        };
    }

    [[nodiscard]] std::uint16_t port() const { return impl_->acceptor.local_endpoint().port(); }
    [[nodiscard]] const std::vector<Handshake>& handshakes() const { return impl_->handshakes; }
    [[nodiscard]] const std::vector<std::string>& bodies() const { return impl_->bodies; }
    /// Bytes sent for each request. With `then_close`, the connection ends behind them, without TLS's own goodbye.
    void answer_with(std::string bytes, bool then_close = false) {
        impl_->answer = std::move(bytes);
        impl_->then_close = then_close;
    }

private:
    using Stream = boost::beast::ssl_stream<tcp::socket>;

    struct Impl {
        explicit Impl(boost::asio::any_io_executor on)
            : executor(std::move(on)), acceptor(executor), context(Context::tls_server) {}
        void close() {
            boost::system::error_code ignored;
            acceptor.close(ignored);
            for (auto* socket : sockets) { socket->close(ignored); }
        }

        const boost::asio::any_io_executor executor;
        tcp::acceptor acceptor;
        Context context;
        std::vector<tcp::socket*> sockets;
        std::vector<Handshake> handshakes;
        std::vector<std::string> bodies;
        std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        bool then_close = false;
    };
    using ImplPtr = std::shared_ptr<Impl>;

    static auto tuple() { return boost::asio::as_tuple(boost::asio::use_awaitable); }
    static void finished(const std::exception_ptr& error) {
        if (error) { std::rethrow_exception(error); }
    }

    static int choose(
        SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
        unsigned int offered_size, void*) {
        static constexpr unsigned char wanted[] = "\x02h2\x08http/1.1";
        unsigned char* chosen = nullptr;
        const int found =
            SSL_select_next_proto(&chosen, size, wanted, sizeof(wanted) - 1, offered, offered_size);
        *out = chosen;
        return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
    }

    static boost::asio::awaitable<void> accept(ImplPtr impl) {
        while (impl->acceptor.is_open()) {
            tcp::socket socket(impl->executor);
            const auto [error] = co_await impl->acceptor.async_accept(socket, tuple());
            if (error) { continue; }
            auto stream = std::make_shared<Stream>(std::move(socket), impl->context);
            impl->sockets.push_back(&stream->next_layer());
            boost::asio::co_spawn(impl->executor, serve(impl, stream), &TlsServer::finished);
        }
    }

    static void note(Impl& impl, SSL* connection) {
        Handshake done;
        const char* const name = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name);
        done.server_name = name != nullptr ? name : "";
        const unsigned char* protocol = nullptr;
        unsigned int size = 0;
        SSL_get0_alpn_selected(connection, &protocol, &size);
        done.protocol.assign(reinterpret_cast<const char*>(protocol), size);
        done.version = SSL_get_version(connection);
        if (X509* const peer = SSL_get0_peer_certificate(connection)) {
            char text[128] = "";
            X509_NAME_get_text_by_NID(
                X509_get_subject_name(peer), NID_commonName, text, sizeof(text));
            done.subject = text;
        }
        impl.handshakes.push_back(std::move(done));
    }

    static boost::asio::awaitable<void> serve(ImplPtr impl, std::shared_ptr<Stream> stream) {
        namespace http = boost::beast::http;
        const auto [error] =
            co_await stream->async_handshake(boost::asio::ssl::stream_base::server, tuple());
        bool go_on = !error;
        if (go_on) { note(*impl, stream->native_handle()); }
        boost::beast::flat_buffer buffer;
        while (go_on) {
            http::request_parser<http::string_body> parser;
            parser.body_limit(std::uint64_t{1} << 30);
            const auto [read_error, read] =
                co_await http::async_read(*stream, buffer, parser, tuple());
            if (read_error) { break; }
            impl->bodies.push_back(parser.get().body());
            const std::string answer = impl->answer;
            const auto [write_error, written] =
                co_await boost::asio::async_write(*stream, boost::asio::buffer(answer), tuple());
            go_on = !write_error && !impl->then_close;
        }
        std::erase(impl->sockets, &stream->next_layer());
        boost::system::error_code ignored;
        stream->next_layer().shutdown(tcp::socket::shutdown_send, ignored);
        stream->next_layer().close(ignored);
    }

    const ImplPtr impl_;
};

/// Makes tunnels, all of them to one port of this machine whatever is asked for, or answers as it is told.
class TunnelProxy {
    using tcp = boost::asio::ip::tcp;

public:
    explicit TunnelProxy(boost::asio::any_io_executor executor, std::uint16_t to_port)
        : impl_(std::make_shared<Impl>(std::move(executor), to_port)) {
        impl_->acceptor.open(tcp::v4());
        impl_->acceptor.bind({boost::asio::ip::address_v4::loopback(), 0});
        impl_->acceptor.listen();
        boost::asio::co_spawn(impl_->executor, accept(impl_), &TunnelProxy::finished);
    }
    TunnelProxy(const TunnelProxy&) = delete;
    TunnelProxy& operator=(const TunnelProxy&) = delete;
    ~TunnelProxy() {
        boost::asio::post(impl_->executor, [impl = impl_] {
            boost::system::error_code ignored;
            impl->acceptor.close(ignored);
            for (const auto& socket : impl->sockets) { socket->close(ignored); }
        });
    }

    struct Asked {
        std::string method;
        std::string target;
        std::string host;
        std::string authorization;
    };
    [[nodiscard]] std::uint16_t port() const { return impl_->acceptor.local_endpoint().port(); }
    [[nodiscard]] const std::vector<Asked>& asked() const { return impl_->asked; }
    /// Instead of making a tunnel; then hangs up.
    void answer_with(std::string bytes) { impl_->refusal = std::move(bytes); }
    /// As above, but stays and listens to what comes: see heard().
    void answer_and_listen(std::string bytes) {
        answer_with(std::move(bytes));
        impl_->listens = true;
    }
    /// All that came after such answers.
    [[nodiscard]] const std::string& heard() const { return impl_->heard; }

private:
    using Socket = std::shared_ptr<tcp::socket>;
    struct Impl {
        Impl(boost::asio::any_io_executor on, std::uint16_t port)
            : executor(std::move(on)), acceptor(executor), to_port(port) {}
        const boost::asio::any_io_executor executor;
        tcp::acceptor acceptor;
        const std::uint16_t to_port;
        std::string refusal;
        bool listens = false;
        std::string heard;
        std::vector<Socket> sockets;
        std::vector<Asked> asked;
    };
    using ImplPtr = std::shared_ptr<Impl>;

    static auto tuple() { return boost::asio::as_tuple(boost::asio::use_awaitable); }
    static void finished(const std::exception_ptr& error) {
        if (error) { std::rethrow_exception(error); }
    }

    static boost::asio::awaitable<void> accept(ImplPtr impl) {
        while (impl->acceptor.is_open()) {
            auto socket = std::make_shared<tcp::socket>(impl->executor);
            const auto [error] = co_await impl->acceptor.async_accept(*socket, tuple());
            if (error) { continue; }
            impl->sockets.push_back(socket);
            boost::asio::co_spawn(impl->executor, serve(impl, socket), &TunnelProxy::finished);
        }
    }

    static boost::asio::awaitable<void> serve(ImplPtr impl, Socket client) {
        namespace http = boost::beast::http;
        boost::beast::flat_buffer buffer;
        http::request_parser<http::empty_body> parser;
        const auto [error, size] =
            co_await http::async_read_header(*client, buffer, parser, tuple());
        boost::system::error_code ignored;
        if (!error) {
            const auto& request = parser.get();
            impl->asked.push_back(
                {std::string(request.method_string()), std::string(request.target()),
                 std::string(request[http::field::host]),
                 std::string(request[http::field::proxy_authorization])});
        }
        if (error || !impl->refusal.empty()) {
            const std::string answer = impl->refusal;
            co_await boost::asio::async_write(*client, boost::asio::buffer(answer), tuple());
            if (impl->listens) { co_await listen(impl, *client); }
            client->shutdown(tcp::socket::shutdown_both, ignored);
            client->close(ignored);
            co_return;
        }
        auto server = std::make_shared<tcp::socket>(impl->executor);
        impl->sockets.push_back(server);
        server->connect({boost::asio::ip::address_v4::loopback(), impl->to_port}, ignored);
        const std::string done = "HTTP/1.1 200 Connection established\r\n\r\n";
        co_await boost::asio::async_write(*client, boost::asio::buffer(done), tuple());
        boost::asio::co_spawn(impl->executor, pump(client, server), &TunnelProxy::finished);
        co_await pump(server, client);
    }

    // Lifetime: the caller awaits at once.
    static boost::asio::awaitable<void> listen(ImplPtr impl, tcp::socket& client) {
        std::array<char, 16384> bytes;
        for (;;) { // Until the client hangs up.
            const auto [error, size] =
                co_await client.async_read_some(boost::asio::buffer(bytes), tuple());
            if (error) { co_return; }
            impl->heard.append(bytes.data(), size);
        }
    }

    static boost::asio::awaitable<void> pump(Socket from, Socket to) {
        std::array<char, 16384> bytes;
        for (;;) {
            const auto [error, size] =
                co_await from->async_read_some(boost::asio::buffer(bytes), tuple());
            if (error) { break; }
            const auto [write_error, written] = co_await boost::asio::async_write(
                *to, boost::asio::buffer(bytes.data(), size), tuple());
            if (write_error) { break; }
        }
        boost::system::error_code ignored;
        to->shutdown(tcp::socket::shutdown_send, ignored);
    }

    const ImplPtr impl_;
};

} // namespace weft::testing
