// One strand runs everything: accepting, every connection, stopping. What is not const in State is that strand's.

#include <weft/exporters/prometheus_server.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <sys/socket.h>

#include <list>
#include <optional>
#include <stdexcept>

namespace weft {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);
constexpr milliseconds accept_pause{50}; // After accept fails for want of descriptors or memory.
constexpr milliseconds linger_time{1000};
constexpr std::size_t linger_bytes_max = 256 * 1024;
constexpr std::string_view busy_text = "HTTP/1.1 503 Service Unavailable\r\nConnection: "
                                       "close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

struct FreeCertificate {
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
struct FreeBio {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};

std::string subject_of(SSL* connection, bool& is_verified) {
    const std::unique_ptr<X509, FreeCertificate> certificate(SSL_get1_peer_certificate(connection));
    is_verified = certificate != nullptr && SSL_get_verify_result(connection) == X509_V_OK;
    if (!is_verified) { return {}; }
    const std::unique_ptr<BIO, FreeBio> text(BIO_new(BIO_s_mem()));
    if (text == nullptr) { return {}; }
    X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate.get()), 0, XN_FLAG_RFC2253);
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

[[noreturn]] void fail(std::string_view field, const std::string& path, std::string_view what) {
    throw std::invalid_argument(
        "PrometheusServerOptions: tls." + std::string(field) + " is " + printable(path, 256) +
        ": " + std::string(what));
}

std::unique_ptr<ssl::context> make_context(const PrometheusTlsOptions& options) {
    auto context = std::make_unique<ssl::context>(ssl::context::tls_server);
    SSL_CTX* const raw = context->native_handle();
    SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
    SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    // Without it OpenSSL would ask for the password of a key on the terminal.
    context->set_password_callback(
        [](std::size_t, ssl::context::password_purpose) { return std::string(); });
    error_code error;
    if (context->use_certificate_chain_file(options.certificate_file, error)) {
        fail("certificate_file", options.certificate_file, error.message());
    }
    if (context->use_private_key_file(options.key_file, ssl::context::pem, error)) {
        fail("key_file", options.key_file, error.message());
    }
    if (SSL_CTX_check_private_key(raw) != 1) {
        fail("key_file", options.key_file, "not the key of the certificate");
    }
    if (options.client_ca_file.empty()) { return context; }
    if (context->load_verify_file(options.client_ca_file, error)) {
        fail("client_ca_file", options.client_ca_file, error.message());
    }
    // Told to clients, which choose a certificate by it.
    SSL_CTX_set_client_CA_list(raw, SSL_load_client_CA_file(options.client_ca_file.c_str()));
    context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
    return context;
}

asio::ip::address address_of(const std::string& host, const asio::any_io_executor& executor) {
    // Whatever the hosts file says, this name never means another machine.
    if (host == "localhost") { return asio::ip::address_v4::loopback(); }
    error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (!error) { return address; }
    tcp::resolver resolver(executor);
    const auto found = resolver.resolve(host, "", tcp::resolver::passive, error);
    if (error || found.empty()) {
        const error_code plain(error.value(), error.category());
        throw boost::system::system_error(
            plain, "PrometheusServerOptions: host is " + printable(host, 256));
    }
    return found.begin()->endpoint().address();
}

using Plain = beast::tcp_stream;
using Tls = beast::ssl_stream<beast::tcp_stream>;

} // namespace

struct PrometheusServer::State {
    struct Connection {
        beast::tcp_stream* stream = nullptr;
        bool is_idle = true;
    };
    using Connections = std::list<Connection>;

    State(
        const asio::any_io_executor& executor, PrometheusSource source, std::string resource,
        PrometheusServerOptions options_given, Diagnostics& log_given)
        : options(std::move(options_given)), log(log_given), strand(asio::make_strand(executor)),
          acceptor(strand), drained(strand),
          handler(std::move(source), std::move(resource), options.handler, log) {
        options.handler.auth = {}; // The handler has it, as digests.
    }

    void listen(bool has_auth);
    static asio::awaitable<void> accept_loop(std::shared_ptr<State> self);
    void accepted(const std::shared_ptr<State>& self, tcp::socket socket);
    [[nodiscard]] bool make_place();
    template <class Stream>
    static asio::awaitable<void> serve(std::shared_ptr<State> self, Stream stream);
    template <class Stream>
    static asio::awaitable<void> talk(State& self, Stream& stream, Connections::iterator at);
    template <class Stream>
    static asio::awaitable<bool> answer(
        State& self, Stream& stream, const http::request<http::empty_body>& request,
        PrometheusRequest wanted);
    template <class Stream>
    static asio::awaitable<void> send(
        State& self, Stream& stream, http::response<http::string_body> response);
    static asio::awaitable<void> linger(beast::tcp_stream& stream);
    static asio::awaitable<void> drain(std::shared_ptr<State> self, TimePoint deadline);
    void begin_stop();
    void cut_off();

    PrometheusServerOptions options;
    Diagnostics& log;
    const asio::any_io_executor strand;
    tcp::acceptor acceptor;
    asio::steady_timer drained;
    std::unique_ptr<ssl::context> tls;
    PrometheusHandler handler;
    std::string address;
    std::uint16_t port = 0;
    Connections connections; // Those that went idle first come first.
    bool is_stopping = false;
};

void PrometheusServer::State::listen(bool has_auth) {
    const auto ip = address_of(options.host, strand);
    if (!ip.is_loopback()) {
        if (!has_auth && !options.allow_unauthenticated) {
            throw std::invalid_argument(
                "PrometheusServerOptions: host is " + printable(options.host, 256) +
                ", which other machines can reach: set handler.auth, tls.client_ca_file or "
                "allow_unauthenticated, or listen on localhost");
        }
        if (has_auth && !options.tls.is_set()) {
            log.report(
                DiagnosticLevel::warning, "prometheus.clear_text",
                "passwords and tokens for scrapes cross the network in clear text: set tls");
        }
    }
    const tcp::endpoint endpoint(ip, options.port);
    const auto check = [&](const error_code& error) {
        if (!error) { return; }
        // Without the place in Asio's sources that it was seen at: what() would show it.
        const error_code plain(error.value(), error.category());
        const auto text = ip.is_v6() ? "[" + ip.to_string() + "]" : ip.to_string();
        throw boost::system::system_error(
            plain, "cannot listen on " + text + ":" + std::to_string(options.port));
    };
    error_code error;
    check(acceptor.open(endpoint.protocol(), error));
    check(acceptor.set_option(asio::socket_base::reuse_address(true), error));
    check(acceptor.bind(endpoint, error));
    check(acceptor.listen(asio::socket_base::max_listen_connections, error));
    port = acceptor.local_endpoint(error).port();
    check(error);
    address = ip.to_string();
}

asio::awaitable<void> PrometheusServer::State::accept_loop(std::shared_ptr<State> self) {
    asio::steady_timer pause(self->strand);
    while (!self->is_stopping) {
        auto [error, socket] = co_await self->acceptor.async_accept(as_tuple);
        if (self->is_stopping || error == asio::error::operation_aborted) { break; }
        if (!error) {
            self->accepted(self, std::move(socket));
        } else if (error != asio::error::connection_aborted) {
            pause.expires_after(accept_pause);
            co_await pause.async_wait(as_tuple);
        }
    }
}

void PrometheusServer::State::accepted(const std::shared_ptr<State>& self, tcp::socket socket) {
    if (!make_place()) {
        if (!tls) {
            // Whether it was taken does not matter: the connection ends either way.
            (void)::send(
                socket.native_handle(), busy_text.data(), busy_text.size(),
                MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        return;
    }
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    // What ends a connection by an exception is want of memory; its guards have tidied up.
    const auto finished = [](const std::exception_ptr&) {};
    if (tls) {
        asio::co_spawn(
            strand, serve(self, Tls(beast::tcp_stream(std::move(socket)), *tls)), finished);
    } else {
        asio::co_spawn(strand, serve(self, Plain(std::move(socket))), finished);
    }
}

// True if there is room for one more, if need be that of an idle connection.
bool PrometheusServer::State::make_place() {
    if (connections.size() < options.connections_max) { return true; }
    for (auto& connection : connections) {
        if (!connection.is_idle) { continue; }
        connection.is_idle = false; // It is taken off the list when its coroutine has seen it.
        connection.stream->close();
        return true;
    }
    return false;
}

template <class Stream>
asio::awaitable<void> PrometheusServer::State::serve(std::shared_ptr<State> self, Stream stream) {
    struct Entry { // Off the list, however the connection ends.
        State& state;
        Connections::iterator at;
        ~Entry() {
            state.connections.erase(at);
            if (state.connections.empty()) { state.drained.cancel(); }
        }
    };
    self->connections.emplace_back();
    const Entry entry{*self, std::prev(self->connections.end())};
    auto& lowest = beast::get_lowest_layer(stream);
    entry.at->stream = &lowest;
    if constexpr (std::is_same_v<Stream, Tls>) {
        entry.at->is_idle = false;
        lowest.expires_after(self->options.header_timeout);
        const auto [error] = co_await stream.async_handshake(ssl::stream_base::server, as_tuple);
        if (error) { co_return; }
        co_await talk(*self, stream, entry.at);
        lowest.expires_after(linger_time);
        co_await stream.async_shutdown(as_tuple);
    } else {
        co_await talk(*self, stream, entry.at);
    }
}

// Request after request. Bound: every wait has a limit, and a stop ends it.
template <class Stream>
asio::awaitable<void> PrometheusServer::State::talk(
    State& self, Stream& stream, Connections::iterator at) {
    auto& lowest = beast::get_lowest_layer(stream);
    const auto& options = self.options;
    PrometheusRequest who{};
    std::string subject;
    if constexpr (std::is_same_v<Stream, Tls>) {
        subject = subject_of(stream.native_handle(), who.has_client_certificate);
        who.client_subject = subject;
    }
    beast::flat_buffer buffer(options.header_bytes_max + 4096);
    while (!self.is_stopping) {
        if (buffer.size() == 0) {
            at->is_idle = true;
            self.connections.splice(self.connections.end(), self.connections, at);
            lowest.expires_after(options.idle_timeout);
            const auto [error, count] =
                co_await stream.async_read_some(buffer.prepare(4096), as_tuple);
            if (error || self.is_stopping) { co_return; }
            buffer.commit(count);
            at->is_idle = false;
        }
        http::request_parser<http::empty_body> parser;
        parser.header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
        lowest.expires_after(options.header_timeout);
        const auto [error, count] =
            co_await http::async_read_header(stream, buffer, parser, as_tuple);
        static_cast<void>(count);
        const bool too_large =
            error == http::error::header_limit || error == http::error::buffer_overflow;
        const bool malformed =
            error &&
            error.category() == http::make_error_code(http::error::bad_method).category() &&
            error != http::error::end_of_stream && error != http::error::partial_message;
        if (error && !malformed) { co_return; }
        if (error || !parser.is_done()) { // Nothing is served for a request with a body.
            http::response<http::string_body> response;
            response.version(11);
            response.result(too_large ? 431u : error ? 400u : 413u);
            response.keep_alive(false);
            response.content_length(0);
            co_await send(self, stream, std::move(response));
            co_await linger(lowest);
            co_return;
        }
        auto wanted = prometheus_request(parser.get());
        wanted.has_client_certificate = who.has_client_certificate;
        wanted.client_subject = who.client_subject;
        const bool go_on = co_await answer(self, stream, parser.get(), wanted);
        if (!go_on) { co_return; }
    }
}

template <class Stream>
asio::awaitable<bool> PrometheusServer::State::answer(
    State& self, Stream& stream, const http::request<http::empty_body>& request,
    PrometheusRequest wanted) {
    auto& lowest = beast::get_lowest_layer(stream);
    lowest.expires_never(); // The handler has its own limit.
    auto made = co_await self.handler.handle(wanted);
    http::response<http::string_body> response;
    response.version(request.version());
    fill(response, std::move(made));
    const bool keep = request.keep_alive() && !self.is_stopping;
    response.keep_alive(keep);
    co_await send(self, stream, std::move(response));
    co_return keep&& lowest.socket().is_open();
}

template <class Stream>
asio::awaitable<void> PrometheusServer::State::send(
    State& self, Stream& stream, http::response<http::string_body> response) {
    auto& lowest = beast::get_lowest_layer(stream);
    lowest.expires_after(self.options.write_timeout);
    const auto [error, count] = co_await http::async_write(stream, response, as_tuple);
    static_cast<void>(count);
    if (error) { lowest.close(); }
}

// Closing with bytes unread would reset the connection, and the answer with it.
asio::awaitable<void> PrometheusServer::State::linger(beast::tcp_stream& stream) {
    error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream.expires_after(linger_time);
    std::array<char, 4096> bytes;
    for (std::size_t taken = 0; taken < linger_bytes_max;) {
        const auto [error, count] = co_await stream.async_read_some(asio::buffer(bytes), as_tuple);
        if (error) { break; }
        taken += count;
    }
    stream.close();
}

void PrometheusServer::State::begin_stop() {
    is_stopping = true;
    error_code ignored;
    acceptor.close(ignored);
    for (auto& connection : connections) {
        if (connection.is_idle) { connection.stream->close(); }
    }
}

void PrometheusServer::State::cut_off() {
    for (auto& connection : connections) { connection.stream->close(); }
}

asio::awaitable<void> PrometheusServer::State::drain(
    std::shared_ptr<State> self, TimePoint deadline) {
    self->begin_stop();
    if (!self->connections.empty()) {
        self->drained.expires_at(deadline);
        co_await self->drained.async_wait(as_tuple);
    }
    self->cut_off();
}

PrometheusServer::PrometheusServer(
    asio::any_io_executor executor, PrometheusSource source, std::string resource,
    PrometheusServerOptions options, Diagnostics& log) {
    if (auto problem = problem_in(options); !problem.empty()) {
        throw std::invalid_argument("PrometheusServerOptions: " + problem);
    }
    const bool has_auth = options.handler.auth.is_set() || !options.tls.client_ca_file.empty();
    auto state = std::make_shared<State>(
        executor, std::move(source), std::move(resource), std::move(options), log);
    if (state->options.tls.is_set()) { state->tls = make_context(state->options.tls); }
    state->listen(has_auth);
    state_ = std::move(state);
    asio::co_spawn(
        state_->strand, State::accept_loop(state_), [log = &log](const std::exception_ptr& error) {
            if (error) {
                log->report(
                    DiagnosticLevel::error, "prometheus.accept",
                    "the Prometheus server takes no more connections: out of memory");
            }
        });
}

PrometheusServer::~PrometheusServer() {
    try {
        asio::dispatch(state_->strand, [state = state_] {
            state->begin_stop();
            state->cut_off();
        });
    } catch (...) {} // No memory: the limits of its connections end them.
}

std::uint16_t PrometheusServer::port() const noexcept { return state_->port; }
const std::string& PrometheusServer::address() const noexcept { return state_->address; }
PrometheusStats PrometheusServer::stats() const noexcept { return state_->handler.stats(); }

asio::awaitable<void> PrometheusServer::stop(TimePoint deadline) {
    const auto state = state_;
    co_await asio::co_spawn(state->strand, State::drain(state, deadline), asio::use_awaitable);
}

} // namespace weft
