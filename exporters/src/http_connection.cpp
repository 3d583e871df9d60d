#include "http_connection.hpp"

#include "tls_client.hpp"

#include <weft/runtime/fork.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <optional>
#include <utility>

// One request at a time runs through these states. A watchdog timer can end each of them by closing
// the socket:
//
//   idle ── post ──▶ [look up] ─▶ [connect] ─▶ [tunnel] ─▶ [handshake] ─▶ [write] ─▶ [read] ─▶ idle or closed
//                      └───── skipped if the connection is still good ─────┘
//
// [tunnel] is for TLS through a proxy, [handshake] for TLS.
//
// I1  While a request runs, the watchdog is armed, at the latest for its deadline; `watch` tells a
//     late expiry from a current one.
// I2  `expired` and `aborted` say why the socket was closed under a running operation; they are
//     looked at before any other error.
// I3  The request's coroutine holds the Impl, so destroying the HttpConnection closes the socket
//     but frees nothing in use.
// I4  `tls` is made by connect() and replaced by the next one, when no operation on it is left; closing leaves it.

namespace weft::detail {
namespace {

// Beast makes its table of field names at the first use, under a guard that a forked child inherits as it is: a child of a
// program that was amid its first request would wait for ever. So the first use is before any thread.
[[maybe_unused]] const auto field_names =
    boost::beast::http::to_string(boost::beast::http::field::host);

namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using TimePoint = HttpConnection::TimePoint;
using Request = http::request<http::span_body<const char>>;
using Parser = http::response_parser<http::string_body>;

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t header_bytes_max = 16 * 1024;
// More than the header cap; it also bounds one chunk header.
constexpr std::size_t buffer_bytes_max = 64 * 1024;
constexpr std::size_t addresses_max = 8;
constexpr int interim_responses_max = 8;

// A name lookup that can be abandoned: getaddrinfo cannot be interrupted, so whoever waits does so
// on a timer.
struct Lookup {
    explicit Lookup(const asio::any_io_executor& executor)
        : resolver(executor), done(executor, TimePoint::max()) {
        endpoints.reserve(addresses_max);
    }

    tcp::resolver resolver;
    // Never expires: it is cancelled when the lookup ends or nobody wants it any more.
    asio::steady_timer done;
    bool finished = false;
    error_code error;
    std::vector<tcp::endpoint> endpoints;
};

bool is_peer_gone(error_code ec) noexcept {
    return ec == asio::error::eof || ec == asio::error::connection_reset ||
           ec == asio::error::broken_pipe || ec == asio::error::connection_aborted ||
           ec == asio::ssl::error::stream_truncated || ec == http::error::end_of_stream ||
           ec == http::error::partial_message;
}

error_code as_weft_error(error_code ec) noexcept {
    if (ec == asio::error::operation_aborted) { return Errc::cancelled; }
    if (ec == asio::error::eof || ec == http::error::end_of_stream ||
        ec == http::error::partial_message || ec == asio::ssl::error::stream_truncated) {
        return Errc::connection_closed;
    }
    if (ec.category() == asio::error::get_ssl_category()) { return Errc::tls_failed; }
    if (ec == http::error::header_limit || ec == http::error::body_limit ||
        ec == http::error::buffer_overflow) {
        return Errc::response_too_large;
    }
    if (ec.category() == http::make_error_code(http::error::bad_version).category()) {
        return Errc::response_malformed;
    }
    return ec;
}

// True if an idle connection cannot carry another request: closed by the peer, or holding bytes
// nobody asked for.
bool is_stale(tcp::socket& socket) noexcept {
    char byte = 0;
    const auto received = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return received >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

Request make_request(const HttpPeer& peer, HttpBody body) {
    Request request(http::verb::post, peer.target, 11);
    request.set(http::field::host, peer.host_header);
    for (const auto& field : peer.headers) { request.set(field.name, field.value); }
    if (!body.content_encoding.empty()) {
        request.set(http::field::content_encoding, body.content_encoding);
    }
    request.content_length(body.bytes.size());
    // A view: the bytes go from the batch to the socket.
    request.body() = {body.bytes.data(), body.bytes.size()};
    return request;
}

} // namespace

struct HttpConnection::Impl : std::enable_shared_from_this<Impl> {
    using Self = std::shared_ptr<Impl>;
    class Running;

    Impl(const asio::any_io_executor& executor, std::shared_ptr<const HttpPeer> to)
        : peer(std::move(to)), socket(executor), watchdog(executor), buffer(buffer_bytes_max) {}

    ~Impl() { close_socket(); }

    const std::shared_ptr<const HttpPeer> peer;
    tcp::socket socket;
    OwnDescriptor own;  // The socket's.
    TlsContext context; // Of `tls`.
    std::optional<TlsStream> tls;
    std::string words;
    asio::steady_timer watchdog;
    beast::flat_buffer buffer;
    std::shared_ptr<Lookup> lookup; // Only while one is waited for.
    std::uint64_t watch = 0;
    TimePoint deadline = TimePoint::max();
    bool running = false;
    bool finished = false; // The request came to its end, good or bad.
    bool expired = false;
    bool aborted = false;
    bool answer_begun = false; // A byte of the current answer has arrived.

    static asio::awaitable<Result<HttpResponse>> run(Self self, HttpBody body, TimePoint until);
    static asio::awaitable<Result<HttpResponse>> post(Self self, HttpBody body);
    static asio::awaitable<error_code> connect(Self self);
    static asio::awaitable<error_code> reach(Self self);
    static asio::awaitable<error_code> tunnel(Self self);
    static asio::awaitable<error_code> handshake(Self self);
    static asio::awaitable<Result<std::vector<tcp::endpoint>>> look_up(Self self);
    template <class Stream>
    static asio::awaitable<Result<HttpResponse>> exchange(Self self, Stream& stream, HttpBody body);
    template <class Stream>
    static asio::awaitable<Result<HttpResponse>> read_answer(Self self, Stream& stream);

    [[nodiscard]] const std::string& first_host() const noexcept {
        return peer->proxy ? peer->proxy->host : peer->host;
    }
    [[nodiscard]] std::uint16_t first_port() const noexcept {
        return peer->proxy ? peer->proxy->port : peer->port;
    }
    // Whether the connection there is can carry another request.
    [[nodiscard]] bool is_good() {
        if (!socket.is_open() || is_stale(socket)) { return false; }
        if (!peer->tls) { return true; }
        if (!tls) { return false; } // A connection that was given up before its handshake.
        const auto wanted = peer->tls->context(std::chrono::steady_clock::now());
        return wanted == context;
    }

    void arm(TimePoint when) {
        watchdog.expires_at(when);
        watchdog.async_wait([weak = weak_from_this(), id = ++watch](error_code ec) {
            const auto self = weak.lock();
            if (ec || !self || self->watch != id) { return; }
            self->expired = true;
            self->interrupt();
        });
    }

    void interrupt() noexcept {
        close_socket();
        if (lookup) { lookup->done.cancel(); }
    }

    void abort() noexcept {
        aborted = true;
        interrupt();
    }

    // Before a connect, which would open it by itself: a forked or executed child must not get it.
    error_code open_socket(const tcp& protocol) {
        error_code ec;
        own.open([&] {
            socket.open(protocol, ec);
            if (ec) { return -1; }
            fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
            return socket.native_handle();
        });
        return ec;
    }

    void close_socket() noexcept {
        error_code ignored;
        own.close([&] { socket.close(ignored); }, [&] { socket.release(ignored); });
    }

    // Why an operation failed: our own doing first (I2), then what the system said.
    [[nodiscard]] error_code reason(error_code ec) {
        if (aborted) { return Errc::cancelled; }
        if (expired) { return Errc::timed_out; }
        if (words.empty()) { words = tls_words(ec); }
        return as_weft_error(ec);
    }
};

// The span of one request: watchdog armed, cancellation heard. Left early, by an exception or a
// destroyed coroutine, it closes the connection, which may be in the middle of a message.
class HttpConnection::Impl::Running {
public:
    Running(Self self, asio::cancellation_slot slot, TimePoint until) : self_(std::move(self)) {
        self_->running = true;
        self_->finished = self_->expired = self_->aborted = false;
        self_->words.clear();
        self_->deadline = until;
        self_->arm(until);
        if (slot.is_connected()) {
            // Left to the await that follows to clear: at the end of a context the slot may be gone
            // before this object.
            slot.assign([weak = self_->weak_from_this()](asio::cancellation_type) {
                if (const auto impl = weak.lock()) { impl->abort(); }
            });
        }
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        self_->running = false;
        ++self_->watch;
        self_->watchdog.cancel();
        if (!self_->finished) { self_->close_socket(); }
    }

private:
    const Self self_;
};

asio::awaitable<Result<std::vector<tcp::endpoint>>> HttpConnection::Impl::look_up(Self self) {
    error_code not_numeric;
    const auto address = asio::ip::make_address(self->first_host(), not_numeric);
    if (!not_numeric) {
        co_return std::vector<tcp::endpoint>(1, tcp::endpoint(address, self->first_port()));
    }
    // RFC 6761, 6.3: a name that is always the loopback needs no look-up, nor the thread that makes it.
    if (self->first_host() == "localhost") {
        std::vector<tcp::endpoint> both;
        both.emplace_back(asio::ip::address_v4::loopback(), self->first_port());
        both.emplace_back(asio::ip::address_v6::loopback(), self->first_port());
        co_return both;
    }

    const auto lookup = std::make_shared<Lookup>(self->socket.get_executor());
    self->lookup = lookup;
    lookup->resolver.async_resolve(
        self->first_host(), std::to_string(self->first_port()),
        [lookup](error_code ec, const tcp::resolver::results_type& results) {
            lookup->finished = true;
            lookup->error = ec;
            for (const auto& entry : results) {
                if (lookup->endpoints.size() == addresses_max) { break; }
                lookup->endpoints.push_back(entry.endpoint());
            }
            lookup->done.cancel();
        });
    co_await lookup->done.async_wait(use_tuple);
    self->lookup.reset();
    if (!lookup->finished) {
        lookup->resolver.cancel();
        co_return self->reason(asio::error::operation_aborted);
    }
    if (lookup->error) { co_return self->reason(lookup->error); }
    co_return std::move(lookup->endpoints);
}

// Tries each address in turn. Each gets an equal share of the time left, so that one black hole
// does not use it all up.
asio::awaitable<error_code> HttpConnection::Impl::reach(Self self) {
    const auto endpoints = co_await look_up(self);
    if (!endpoints) { co_return endpoints.error(); }
    error_code last = asio::error::host_not_found;
    for (std::size_t i = 0; i < endpoints->size(); ++i) {
        self->expired = false; // Perhaps only this address's share was over.
        const auto now = std::chrono::steady_clock::now();
        const auto left = self->deadline - now;
        if (left <= left.zero()) { self->expired = true; }
        if (self->aborted || self->expired) { break; }
        self->arm(now + left / static_cast<std::int64_t>(endpoints->size() - i));
        last = self->open_socket((*endpoints)[i].protocol());
        if (last) { continue; }
        const auto [ec] = co_await self->socket.async_connect((*endpoints)[i], use_tuple);
        if (!ec && self->socket.is_open()) {
            self->arm(self->deadline);
            self->buffer.clear();
            error_code ignored;
            self->socket.set_option(tcp::no_delay(true), ignored);
            co_return error_code();
        }
        last = ec ? ec : asio::error::operation_aborted;
        self->close_socket();
    }
    co_return self->reason(last);
}

asio::awaitable<error_code> HttpConnection::Impl::connect(Self self) {
    self->close_socket();
    self->tls.reset();
    self->words.clear();
    const auto& peer = *self->peer;
    if (peer.tls) {
        self->context = peer.tls->context(std::chrono::steady_clock::now());
        if (!self->context) {
            self->words = peer.tls->problem();
            co_return Errc::tls_files_unusable;
        }
    }
    if (const auto ec = co_await reach(self); ec) {
        const bool is_ours = self->aborted || self->expired;
        if (peer.proxy && !is_ours) {
            self->words = "proxy " + peer.proxy->text_for_messages() + ": " + ec.message();
        }
        co_return ec;
    }
    if (!peer.tls) { co_return error_code(); }
    if (peer.proxy) {
        if (const auto ec = co_await tunnel(self); ec) { co_return ec; }
    }
    co_return co_await handshake(self);
}

// Asks the proxy for a connection to the peer. Source: RFC 9110, "CONNECT".
asio::awaitable<error_code> HttpConnection::Impl::tunnel(Self self) {
    const auto& proxy = *self->peer->proxy;
    const bool is_ipv6 = self->peer->host.find(':') != std::string::npos;
    const auto host = is_ipv6 ? "[" + self->peer->host + "]" : self->peer->host;
    const auto authority = host + ":" + std::to_string(self->peer->port);
    http::request<http::empty_body> request(http::verb::connect, authority, 11);
    request.set(http::field::host, authority);
    if (!proxy.authorization.empty()) {
        request.set(http::field::proxy_authorization, proxy.authorization);
    }
    const auto [write_error, written] =
        co_await http::async_write(self->socket, request, use_tuple);
    if (write_error) { co_return self->reason(write_error); }
    int status = 0;
    for (int i = 0; i < interim_responses_max && status < 200; ++i) {
        http::response_parser<http::empty_body> parser;
        parser.header_limit(header_bytes_max);
        parser.skip(
            true); // What follows a success is the tunnel, what follows a refusal is not read.
        const auto [ec, size] =
            co_await http::async_read_header(self->socket, self->buffer, parser, use_tuple);
        if (ec) {
            if (!self->aborted && !self->expired) {
                self->words = "proxy " + proxy.text_for_messages() + ": " +
                              as_weft_error(ec).message() + ", asked to connect to " + authority;
            }
            co_return self->reason(ec);
        }
        status = static_cast<int>(parser.get().result_int());
    }
    if (status < 200 || status > 299) {
        self->words = proxy_words(proxy, status);
        self->close_socket();
        co_return Errc::proxy_refused;
    }
    // A server says nothing before it is spoken to.
    if (self->buffer.size() != 0) { co_return Errc::response_malformed; }
    co_return error_code();
}

asio::awaitable<error_code> HttpConnection::Impl::handshake(Self self) {
    self->tls.emplace(self->socket, *self->context);
    if (const auto ec = prepare(*self->tls, self->peer->host, &self->words); ec) {
        co_return self->reason(ec);
    }
    const auto [ec] =
        co_await self->tls->async_handshake(asio::ssl::stream_base::client, use_tuple);
    if (!ec && self->socket.is_open()) { co_return error_code(); }
    const bool is_refused = !self->words.empty();
    auto reason = self->reason(ec ? ec : asio::error::operation_aborted);
    self->close_socket();
    if (reason == Errc::timed_out) {
        self->words = "timed out in the TLS handshake";
    } else if (reason == Errc::tls_failed && is_refused) {
        reason = Errc::certificate_refused;
    } else if (is_peer_gone(ec)) {
        self->words = "the server hung up in the TLS handshake; is it an http endpoint?";
    }
    co_return reason;
}

template <class Stream>
asio::awaitable<Result<HttpResponse>> HttpConnection::Impl::read_answer(Self self, Stream& stream) {
    std::optional<Parser> parser;
    for (int i = 0; i < interim_responses_max; ++i) {
        parser.emplace();
        parser->header_limit(header_bytes_max);
        parser->body_limit(self->peer->response_bytes_max);
        const auto [ec, size] = co_await http::async_read(stream, self->buffer, *parser, use_tuple);
        self->answer_begun = self->answer_begun || parser->got_some() || self->buffer.size() != 0;
        if (ec) { co_return self->reason(ec); }
        if (parser->get().result_int() >= 200) { break; }
    }
    auto& message = parser->get();
    if (message.result_int() < 200) { co_return Errc::response_malformed; }
    HttpResponse response;
    response.status = static_cast<int>(message.result_int());
    response.content_type = message[http::field::content_type];
    response.retry_after = message[http::field::retry_after];
    response.body = std::move(message.body());
    // Bytes beyond the answer belong to nothing we asked for.
    if (!message.keep_alive() || message.need_eof() || self->buffer.size() != 0) {
        self->close_socket();
    }
    co_return response;
}

// Lifetime: the stream is the Impl's.
template <class Stream>
asio::awaitable<Result<HttpResponse>> HttpConnection::Impl::exchange(
    Self self, Stream& stream, HttpBody body) {
    self->answer_begun = false;
    Request request = make_request(*self->peer, body);
    http::request_serializer<http::span_body<const char>> serializer(request);
    if (self->peer->write_bytes_max != 0) { serializer.limit(self->peer->write_bytes_max); }
    const auto [write_error, written] = co_await http::async_write(stream, serializer, use_tuple);
    // A receiver may answer (413, 429) and hang up before it has read the whole body: the answer is
    // still there to read.
    if (write_error && !is_peer_gone(write_error)) { co_return self->reason(write_error); }
    auto answer = co_await read_answer(self, stream);
    if (!write_error) { co_return answer; }
    self->close_socket();
    // With TLS 1.3 a server refuses our certificate only now, and its reason is worth more than the broken pipe.
    if (!answer && answer.error() != Errc::tls_failed) { co_return self->reason(write_error); }
    co_return answer;
}

asio::awaitable<Result<HttpResponse>> HttpConnection::Impl::post(Self self, HttpBody body) {
    bool reused = self->is_good();
    for (;;) { // Two rounds at most: the second is on a connection just made.
        if (!reused) {
            if (const auto ec = co_await connect(self); ec) {
                self->close_socket(); // Half made: nobody may use it.
                co_return ec;
            }
        }
        Result<HttpResponse> answer = Errc::cancelled;
        if (self->peer->tls) { // Never in the clear what was meant for TLS.
            answer = co_await exchange(self, *self->tls, body);
        } else {
            answer = co_await exchange(self, self->socket, body);
        }
        if (answer) { co_return answer; }
        self->close_socket();
        const bool hung_up =
            answer.error() == Errc::connection_closed || is_peer_gone(answer.error());
        if (!reused || !hung_up || self->answer_begun) { co_return answer; }
        reused = false;
    }
}

asio::awaitable<Result<HttpResponse>> HttpConnection::Impl::run(
    Self self, HttpBody body, TimePoint until) {
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != asio::cancellation_type::none) { co_return Errc::cancelled; }
    const Running running_request(self, cancellation.slot(), until);
    // A chain of its own, deaf to the caller's slot. Otherwise the signal would go to whatever
    // operation is pending, and an operation that has completed but not yet resumed its coroutine
    // would miss it. Running hears it and closes (I2).
    auto [error, answer] = co_await asio::co_spawn(
        self->socket.get_executor(), post(self, body),
        asio::bind_cancellation_slot(asio::cancellation_slot(), use_tuple));
    if (error) { std::rethrow_exception(error); } // No memory.
    self->finished = true;
    co_return std::move(answer);
}

std::string proxy_words(const Proxy& proxy, int status) {
    std::string text =
        "the proxy " + proxy.text_for_messages() + " refuses with http_" + std::to_string(status);
    if (status != 407) { return text; }
    return text + (proxy.authorization.empty()
                       ? ": it wants a user and a password, which its URL can hold"
                       : ": the user or the password in its URL is not right");
}

HttpConnection::HttpConnection(asio::any_io_executor executor, std::shared_ptr<const HttpPeer> peer)
    : impl_(std::make_shared<Impl>(executor, std::move(peer))) {}

HttpConnection::~HttpConnection() { close(); }

asio::awaitable<Result<HttpResponse>> HttpConnection::post(HttpBody body, TimePoint deadline) {
    return Impl::run(impl_, body, deadline); // The coroutine holds the Impl, not this object (I3).
}

void HttpConnection::limit_deadline(TimePoint deadline) {
    if (!impl_->running || deadline >= impl_->deadline) { return; }
    impl_->deadline = deadline;
    if (deadline < impl_->watchdog.expiry()) { impl_->arm(deadline); }
}

const std::string& HttpConnection::words() const noexcept { return impl_->words; }

void HttpConnection::close() noexcept { impl_->abort(); }

bool HttpConnection::is_open() const noexcept { return impl_->socket.is_open(); }

} // namespace weft::detail
