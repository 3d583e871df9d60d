#include "connection.hpp"

#include "serialise.hpp"

#include <boost/asio/buffer.hpp>
#include <sys/socket.h>

#include <array>
#include <exception>
#include <utility>

namespace weft::http::detail {
namespace {

using boost::system::error_code;

// Sent by whoever finds that there is no time or place left, so it is fixed text.
constexpr std::string_view unavailable =
    "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";

constexpr std::size_t joined_body_bytes_max =
    16 * 1024; // A copy is cheaper than a second buffer up to here.
constexpr std::size_t kept_output_bytes_max = 64 * 1024;
constexpr std::size_t body_read_bytes = 64 * 1024;
constexpr std::size_t linger_bytes_max = 256 * 1024;
constexpr std::chrono::milliseconds linger_time{1000};

void send_now(int descriptor, std::string_view text) noexcept {
    // Whether it was taken does not matter: the connection ends either way.
    (void)::send(descriptor, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

int status_of(const error_code& error) noexcept {
    using Parse = beast::http::error;
    if (error == Parse::header_limit) { return 431; }
    if (error == Parse::body_limit) { return 413; }
    if (error == Parse::bad_version) { return 505; }
    return 400;
}

} // namespace

Connection::Connection(std::shared_ptr<ServerCore> core, TcpSocket socket)
    : core_(std::move(core)), socket_(std::move(socket)), descriptor_(socket_.native_handle()),
      input_(std::max<std::size_t>(2 * core_->options().header_bytes_max, body_read_bytes)) {
    error_code error;
    const auto peer = socket_.remote_endpoint(error);
    if (!error) { RequestAccess::set_peer(request_, peer.address().to_string(), peer.port()); }
    RequestAccess::set_phase(request_, word());
    socket_.set_option(asio::ip::tcp::no_delay(true), error);
    socket_.non_blocking(true, error);
}

Connection::~Connection() {
    core_->watchdog().remove(*this);
    error_code ignored;
    socket_.close(ignored);
    core_->connection_closed();
}

void Connection::refuse(int descriptor) noexcept {
    send_now(descriptor, unavailable);
    ::shutdown(descriptor, SHUT_WR);
}

void Connection::on_expired(Phase phase) noexcept {
    if (core_->is_cut_off()) {
        ::shutdown(descriptor_, SHUT_RDWR);
        return;
    }
    switch (phase) {
    case Phase::header:
    case Phase::body:
        // The chain's read ends, and it can still write its 408.
        ::shutdown(descriptor_, SHUT_RD);
        break;
    case Phase::handler:
        ServerCore::count(core_->handler_timeouts);
        send_now(descriptor_, unavailable);
        ::shutdown(descriptor_, SHUT_RDWR);
        break;
    default:
        ::shutdown(descriptor_, SHUT_RDWR);
        break;
    }
}

// Bound: a client that is too slow for its phase, or a stop, ends it.
Task<void> Connection::run(std::shared_ptr<Connection> self) {
    Connection& c = *self;
    while (c.begin_request()) {
        auto progress = c.parse_header();
        while (progress == Progress::need_more) {
            const auto [error, count] = co_await c.receive(0);
            if (error) {
                if (c.header_begun_ && c.has_expired() && !c.core_->is_cut_off()) {
                    c.status_ = 408;
                }
                progress = Progress::failed;
                break;
            }
            c.input_.commit(count);
            progress = c.parse_header();
        }
        if (progress == Progress::failed && !c.serving_) {
            if (c.status_ != 0) { co_await c.write_failure(c.status_); }
            break;
        }
        if (!co_await c.serve()) { break; }
    }
    if (c.must_linger_) { co_await c.linger(); }
}

/// Makes ready for the next request. False: stop here.
bool Connection::begin_request() {
    RequestAccess::clear(request_);
    if (output_.capacity() > kept_output_bytes_max) { output_ = {}; }
    parser_.emplace(request_);
    parser_->header_limit(static_cast<std::uint32_t>(core_->options().header_bytes_max));
    parser_->body_limit(core_->options().body_bytes_max);
    header_begun_ = serving_ = false;
    status_ = 0;
    if (!input_.empty()) { return true; }
    if (!enter(Phase::idle, core_->watchdog().expiry(core_->options().idle_timeout))) {
        return false;
    }
    return !core_->is_stopping();
}

Connection::Progress Connection::parse_header() {
    if (!header_begun_) {
        // RFC 9112, "Message Parsing": empty lines before a request are forgiven.
        while (input_.data().starts_with("\r\n")) { input_.consume(2); }
        if (input_.empty() || input_.data() == "\r") { return Progress::need_more; }
        header_begun_ = true;
        const auto& options = core_->options();
        if (!enter(Phase::header, core_->watchdog().expiry(options.header_timeout))) {
            return Progress::failed;
        }
    }
    // Bound: each turn takes bytes from the buffer, or leaves.
    while (true) {
        error_code error;
        const auto data = input_.data();
        input_.consume(parser_->put(asio::buffer(data.data(), data.size()), error));
        if (error == beast::http::error::need_more) {
            if (!input_.full()) { return Progress::need_more; }
            error = beast::http::error::header_limit;
        }
        if (error) {
            status_ = status_of(error);
            must_linger_ = true;
            // Everything was read but the body is too long: the request can be routed and gets its span.
            serving_ = status_ == 413;
            return Progress::failed;
        }
        if (parser_->is_header_done()) { break; }
    }
    parser_->eager(true);
    serving_ = true;
    check_header();
    return Progress::done;
}

/// What a parser lets pass and a server must not.
void Connection::check_header() {
    std::size_t hosts = 0;
    std::size_t encodings = 0;
    std::string_view encoding;
    std::string_view expectation;
    for (const auto& [name, value] : request_.headers()) {
        if (name.size() == 4 && same_name(name, "host")) { ++hosts; }
        if (name.size() == 6 && same_name(name, "expect")) { expectation = value; }
        if (name.size() == 17 && same_name(name, "transfer-encoding")) {
            ++encodings;
            encoding = value;
        }
    }
    if (hosts > 1 || (hosts == 0 && request_.version() >= 11)) { status_ = 400; }
    // Any other coding would hide where the body ends, or be handed on undecoded.
    if (encodings > 1 || (encodings == 1 && !same_name(encoding, "chunked"))) { status_ = 501; }
    if (!expectation.empty() && !same_name(expectation, "100-continue")) { status_ = 417; }
    if (status_ != 0) { must_linger_ = true; }
}

bool Connection::wants_continue() const noexcept {
    return request_.version() >= 11 && input_.empty() &&
           same_name(request_.header("expect"), "100-continue");
}

Connection::Progress Connection::parse_body() {
    // Bound: each turn takes bytes from the buffer, or leaves.
    while (!parser_->is_done()) {
        if (input_.empty()) { return Progress::need_more; }
        error_code error;
        const auto data = input_.data();
        const auto taken = parser_->put(asio::buffer(data.data(), data.size()), error);
        input_.consume(taken);
        if (error && error != beast::http::error::need_more) {
            status_ = status_of(error);
            return Progress::failed;
        }
        if (error || taken == 0) {
            // A chunk's line or a trailer that never ends must not fill the memory.
            if (!input_.full() && input_.data().size() < core_->options().header_bytes_max) {
                return Progress::need_more;
            }
            status_ = 400;
            return Progress::failed;
        }
    }
    return Progress::done;
}

Task<bool> Connection::read_body() {
    if (!enter(Phase::body, core_->watchdog().expiry(core_->options().body_timeout))) {
        status_ = 408;
        co_return false;
    }
    if (wants_continue()) { send_now(descriptor_, go_on); }
    auto progress = parse_body();
    // Bound: body_bytes_max and body_timeout.
    while (progress == Progress::need_more) {
        const auto [error, count] = co_await receive(body_read_bytes);
        if (error) {
            status_ = has_expired() && !core_->is_cut_off() ? 408 : 0;
            co_return false;
        }
        input_.commit(count);
        progress = parse_body();
    }
    co_return progress == Progress::done;
}

/// One request from its header on. True: the connection may be used again.
Task<bool> Connection::serve() {
    ServerCore::count(core_->requests);
    if (auto newer = core_->newer_router(router_version_)) { router_ = std::move(newer); }
    const auto match = router_->find(request_.method(), request_.path());
    if (match.route != nullptr) { RequestAccess::set_route(request_, *match.route, match.params); }
    ServerSpan span;
    span.start(
        *core_, request_, match.pattern,
        match.route != nullptr ? match.route->where : std::source_location{});

    if (status_ == 0 && !parser_->is_done() && !co_await read_body()) {
        must_linger_ = true;
        if (status_ == 0) {
            refused_request();
            span.request_body(request_.body().size());
            span.abort("connection_closed");
            co_return false;
        }
    }
    span.request_body(request_.body().size()); // Before a handler takes it.
    const auto& options = core_->options();
    if (status_ == 0 && !enter(Phase::handler, core_->watchdog().expiry(options.handler_timeout))) {
        status_ = 408; // The body was whole just as its time ran out.
    }
    Response response;
    if (status_ != 0) {
        refused_request();
        response = refusal(status_);
    } else if (match.route == nullptr) {
        response = generated_answer(match);
    } else {
        // Awaited here and not in a function of its own: one coroutine frame less per request.
        std::exception_ptr thrown;
        try {
            response = co_await match.route->handler(request_);
        } catch (...) { thrown = std::current_exception(); }
        if (thrown != nullptr) { response = answer_of_exception(thrown, span); }
    }

    const bool in_time = enter(Phase::write, core_->watchdog().expiry(options.write_timeout));
    if (!in_time && status_ == 0) { // The watchdog has answered, or closed.
        core_->is_cut_off() ? span.abort("server_stopped") : span.finish(503);
        co_return false;
    }
    const bool keep_alive = status_ == 0 && parser_->keep_alive() && !core_->is_stopping();
    span.response_body(prepare_output(response, keep_alive));
    error_code error;
    // Bound: write_timeout. A response nearly always fits into the socket's buffer and needs no turn of the loop.
    while (!write_some(error) && !error) {
        const auto [failure, sent] =
            co_await socket_.async_write_some(output_left_, asio::as_tuple(asio::deferred));
        error = failure;
        output_sent(sent);
    }
    if (error) {
        span.abort(has_expired() ? "timeout" : error_name(error));
        co_return false;
    }
    span.finish(response.status());
    co_return keep_alive;
}

Response Connection::answer_of_exception(const std::exception_ptr& thrown, ServerSpan& span) const {
    ServerCore::count(core_->handler_exceptions);
    span.record_exception(thrown);
    return status_response(500);
}

Response Connection::generated_answer(const RouteMatch& match) const {
    if (request_.method() == "OPTIONS" && (!match.pattern.empty() || request_.path() == "*")) {
        return Response(204).set_header(
            "Allow",
            match.pattern.empty() ? "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" : match.allow);
    }
    if (match.pattern.empty()) { return refusal(404); }
    auto response = refusal(405);
    if (!response.headers().contains("allow")) { response.set_header("Allow", match.allow); }
    return response;
}

Response Connection::refusal(int status) const {
    if (const auto& make = core_->options().refusal) {
        try {
            return make(request_, status);
        } catch (...) {} // The request is refused either way.
    }
    return status_response(status);
}

/// `response` must stay as it is until all is sent. Returns the bytes of its body.
std::size_t Connection::prepare_output(Response& response, bool keep_alive) {
    if (response.status() < 200 || response.status() > 999) { response.set_status(500); }
    output_.clear();
    write_head(output_, response, {.version = request_.version(), .keep_alive = keep_alive});
    std::string_view body;
    if (request_.method() != "HEAD" && !has_no_body(response.status())) { body = response.body(); }
    const auto bytes = body.size();
    if (bytes <= joined_body_bytes_max) {
        output_ += body;
        body = {};
    }
    output_left_ = {asio::buffer(output_), asio::buffer(body.data(), body.size())};
    return bytes;
}

void Connection::output_sent(std::size_t count) noexcept {
    const auto from_first = std::min(count, output_left_[0].size());
    output_left_[0] += from_first;
    output_left_[1] += count - from_first;
}

/// Sends what the socket takes now. True: all is sent.
bool Connection::write_some(error_code& error) {
    while (output_left_[0].size() + output_left_[1].size() > 0) {
        output_sent(socket_.write_some(output_left_, error));
        if (error == asio::error::would_block &&
            !has_expired()) { // Else nothing watches, so nothing may wait.
            error = {};
            return false;
        }
        if (error) { return false; }
    }
    return true;
}

Task<void> Connection::write_failure(int status) {
    refused_request();
    // After a time-out the word is final and nothing watches any more, but so short a text does not block.
    const auto response = status_response(status);
    output_.clear();
    write_head(output_, response, {.version = 11, .keep_alive = false});
    output_ += response.body();
    send_now(descriptor_, output_);
    must_linger_ = true;
    co_return;
}

// Closing while bytes are unread makes the kernel send a reset, which may overtake the answer on its way. So: say
// that there is no more, and read what comes for a while.
Task<void> Connection::linger() {
    ::shutdown(descriptor_, SHUT_WR);
    if (!enter(Phase::linger, core_->watchdog().expiry(linger_time))) { co_return; }
    input_.clear();
    std::size_t total = 0;
    while (total < linger_bytes_max) {
        const auto [error, count] = co_await receive(body_read_bytes);
        if (error) { co_return; }
        total += count;
    }
}

} // namespace weft::http::detail
