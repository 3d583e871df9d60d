#include "client_core.hpp"

#include "resolve.hpp"
#include "text.hpp"

#include <weft/propagation/composite.hpp>
#include <weft/runtime/with.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <stdexcept>

namespace weft::http::detail {
namespace {

using boost::system::error_code;
using std::chrono::milliseconds;

constexpr std::size_t joined_body_bytes_max = 16 * 1024;
constexpr std::size_t body_read_bytes = 64 * 1024;
constexpr std::size_t kept_output_bytes_max = 64 * 1024;
constexpr std::size_t endpoints_max = 8;         // Addresses of one name that are tried.
constexpr milliseconds connect_share_min{2'000}; // TCP sends a lost SYN again after one second.
constexpr int interim_responses_max = 16;        // 100, 103 before the answer.
constexpr std::size_t hosts_max = 1024; // Pools; beyond that connections are closed after use.

// A call may ask for a timeout that is shorter than the client's.
constexpr milliseconds tick_max{50};

void count(std::atomic<std::uint64_t>& counter) noexcept {
    counter.fetch_add(1, std::memory_order_relaxed); // A statistic; nothing depends on its order.
}

ClientOptions validated(ClientOptions options) {
    if (options.header_bytes_max < 256 || options.header_bytes_max > 1024 * 1024) {
        throw std::invalid_argument(
            "weft::http::ClientOptions: header_bytes_max must be 256 to 1048576");
    }
    for (const auto time : {options.connect_timeout, options.timeout, options.idle_timeout}) {
        if (time.count() < 0) {
            throw std::invalid_argument("weft::http::ClientOptions: a time must not be negative");
        }
    }
    return options;
}

milliseconds shorter(milliseconds a, milliseconds b) noexcept {
    if (a.count() <= 0) { return b; }
    return b.count() <= 0 ? a : std::min(a, b);
}

using TimePoint = std::chrono::steady_clock::time_point;

TimePoint end_after(milliseconds limit) noexcept {
    const auto now = std::chrono::steady_clock::now();
    const bool is_limited =
        limit.count() > 0 && limit < std::chrono::floor<milliseconds>(TimePoint::max() - now);
    return is_limited ? now + limit : TimePoint::max();
}

/// Zero is no limit, so what is over has a millisecond left.
milliseconds left_until(TimePoint end) noexcept {
    if (end == TimePoint::max()) { return milliseconds(0); }
    const auto left = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
    return std::max(left, milliseconds(1));
}

// RFC 9110, "Idempotent Methods".
bool may_be_repeated(std::string_view method) noexcept {
    for (const std::string_view known : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
        if (known == method) { return true; }
    }
    return false;
}

// What the client writes itself.
bool is_framing(std::string_view name) noexcept {
    switch (name.size()) {
    case 10:
        return same_name(name, "connection") || same_name(name, "keep-alive");
    case 14:
        return same_name(name, "content-length");
    case 17:
        return same_name(name, "transfer-encoding");
    default:
        return false;
    }
}

bool is_peer_gone(const error_code& error) noexcept {
    return error == asio::error::eof || error == asio::error::connection_reset ||
           error == asio::error::broken_pipe || error == Errc::connection_closed;
}

/// What a transport error means for the caller.
error_code cause(const error_code& error, const ClientConnection& connection) noexcept {
    if (connection.has_expired()) { return Errc::timed_out; }
    if (error == asio::error::operation_aborted) { return Errc::cancelled; }
    if (error == asio::error::eof) { return Errc::connection_closed; }
    return error;
}

} // namespace

ClientCore::ClientCore(asio::io_context& context, ClientOptions options)
    : context_(context), options_(validated(std::move(options))),
      user_agent_(options_.user_agent.empty() ? "weft/" WEFT_VERSION : options_.user_agent),
      known_methods_(options_.known_methods),
      tracer_("weft.http.client", WEFT_VERSION, "https://opentelemetry.io/schemas/1.44.0"),
      watchdog_(std::make_shared<Watchdog>(
          context, shorter(options_.connect_timeout, options_.timeout), tick_max)) {}

Task<Result<Response>> ClientCore::call(std::shared_ptr<ClientCore> core, ClientRequest request) {
    const auto url = parse_client_url(request.url());
    if (!url) { co_return url.error(); }
    if (!is_token(request.method())) { co_return Errc::option_out_of_range; }
    auto timeout = request.timeout().count() > 0 ? request.timeout() : core->options_.timeout;
    if (const auto deadline = current_deadline(); deadline.is_set()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline.at - std::chrono::steady_clock::now());
        if (left.count() <= 0) { co_return Errc::timed_out; }
        timeout = shorter(timeout, left);
    }
    Attempt attempt{.request = request, .url = *url, .end = end_after(timeout), .resend_count = 0};
    try {
        auto result = co_await core->attempt(attempt);
        if (!result && attempt.stale && may_be_repeated(request.method())) {
            count(core->repeated_);
            attempt.resend_count = 1; // And with it, a new connection: there is no third attempt.
            result = co_await core->attempt(attempt);
        }
        co_return result;
    } catch (const boost::system::system_error& failure) {
        // The chain was cancelled while no operation was there to end with it: its next await throws.
        if (failure.code() != asio::error::operation_aborted) { throw; }
    }
    co_return Errc::cancelled;
}

Task<Result<Response>> ClientCore::attempt(Attempt& attempt) {
    count(attempts_);
    ClientSpan span;
    const ClientSpan::Wanted wanted{
        .traced = options_.traced,
        .measured = {
            options_.measured, options_.measure_active_requests, options_.measure_body_sizes}};
    span.start(
        tracer_, known_methods_, attempt.request.method(), attempt.url, attempt.resend_count,
        wanted, attempt.request.where());
    span.request_body(attempt.request.body().size());
    ConnectionPtr connection;
    if (attempt.resend_count == 0) { connection = take(attempt.url.authority); }
    const bool reused = connection != nullptr;
    if (!reused) {
        auto connected = co_await connect(attempt);
        if (!connected) {
            span.fail(connected.error());
            co_return connected.error();
        }
        connection = std::move(*connected);
    }
    span.connected(connection->socket);

    error_code failure;
    bool got_bytes = false;
    std::optional<Answer> answer;
    {
        const WatchScope watched(*watchdog_, *connection);
        // Only now: ticks may have stood still during a look-up (W3).
        connection->enter(Phase::exchange, watchdog_->expiry(left_until(attempt.end)));
        connection->output.clear();
        write_head(connection->output, attempt, span);
        failure = co_await send(*connection, attempt.request);
        // A server that refuses a body answers before it has read all of it, and closes.
        if (!failure || is_peer_gone(failure)) {
            auto received =
                co_await receive(*connection, attempt.request.method() == "HEAD", got_bytes);
            if (received) {
                answer = std::move(*received);
            } else if (!failure || got_bytes) {
                failure = received.error();
            }
        }
        if (answer && !connection->enter(Phase::resting)) { answer->keep_alive = false; }
    }
    if (!answer) {
        attempt.stale = reused && !got_bytes && is_peer_gone(failure);
        failure = cause(failure, *connection);
        span.fail(failure);
        co_return failure;
    }
    span.response_body(answer->response.body().size());
    span.finish(answer->response.status(), answer->version);
    if (answer->keep_alive && !failure) { give_back(attempt.url.authority, std::move(connection)); }
    co_return std::move(answer->response);
}

// Tries each address in turn. Each gets an equal share of the time left, so that one black hole does not use it all up;
// but enough of it to connect over a slow link, though none may be left for the others then.
Task<Result<ClientCore::ConnectionPtr>> ClientCore::connect(const Attempt& attempt) {
    const auto end = std::min(attempt.end, end_after(options_.connect_timeout));
    Endpoints endpoints;
    error_code error;
    const auto literal = asio::ip::make_address(attempt.url.host, error);
    if (!error) {
        endpoints.emplace_back(literal, attempt.url.port);
    } else {
        auto [failure, found] = co_await async_resolve(
            context_, attempt.url.host, attempt.url.port, left_until(end),
            asio::as_tuple(asio::deferred));
        if (failure == asio::error::timed_out) { co_return Errc::timed_out; }
        if (failure == asio::error::operation_aborted) { co_return Errc::cancelled; }
        if (failure) { co_return failure; }
        endpoints = std::move(found);
    }
    error = asio::error::host_not_found;
    const auto expiry = watchdog_->expiry(left_until(end));
    if (endpoints.size() > endpoints_max) { endpoints.resize(endpoints_max); }
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        const auto& endpoint = endpoints[i];
        TcpSocket socket(context_.get_executor());
        if (socket.open(endpoint.protocol(), error)) { continue; }
        auto connection = std::make_unique<ClientConnection>(
            std::move(socket),
            std::max<std::size_t>(2 * options_.header_bytes_max, body_read_bytes));
        bool in_time = false;
        {
            const WatchScope watched(*watchdog_, *connection);
            connection->enter(
                Phase::connect, watchdog_->share(expiry, endpoints.size() - i, connect_share_min));
            const auto [failure] =
                co_await connection->socket.async_connect(endpoint, asio::as_tuple(asio::deferred));
            error = failure;
            in_time = connection->enter(Phase::resting);
        }
        if (!in_time) {
            error = Errc::timed_out;
            if (watchdog_->is_over(expiry)) { break; }
            continue;
        }
        if (error == asio::error::operation_aborted) { co_return Errc::cancelled; }
        if (error) { continue; }
        count(opened_);
        connection->socket.set_option(asio::ip::tcp::no_delay(true), error);
        connection->socket.non_blocking(true, error);
        co_return connection;
    }
    co_return error;
}

void ClientCore::write_head(
    std::string& out, const Attempt& attempt, const ClientSpan& span) const {
    const auto& request = attempt.request;
    const auto field = [&out](std::string_view name, std::string_view value) {
        out += name;
        out += ": ";
        out += value;
        out += "\r\n";
    };
    out += request.method();
    out += ' ';
    out += attempt.url.target;
    out += " HTTP/1.1\r\n";
    if (!request.headers().contains("host")) { field("Host", attempt.url.authority); }
    if (!request.headers().contains("user-agent")) { field("User-Agent", user_agent_); }
    if (!attempt.url.credentials.empty() && !request.headers().contains("authorization")) {
        field("Authorization", "Basic " + base64(attempt.url.credentials));
    }
    // Asked per request: a Runtime may set the process's after the client has been made.
    const auto propagators = options_.propagators ? *options_.propagators : default_propagators();
    const auto context = options_.traced ? PropagatedContext{span.context(), current_baggage()}
                                         : PropagatedContext{};
    for (const auto& [name, value] : request.headers()) {
        if (is_framing(name)) { continue; }
        // A copied header would name another parent beside ours, and the receiver would believe neither.
        if (replaces(propagators, context, name)) { continue; }
        field(name, value);
    }
    inject(propagators, context, field);
    const auto& method = request.method();
    if (!request.body().empty() || method == "POST" || method == "PUT" || method == "PATCH") {
        out += "Content-Length: ";
        append_number(out, request.body().size());
        out += "\r\n";
    }
    out += "\r\n";
}

Task<error_code> ClientCore::send(ClientConnection& connection, const ClientRequest& request) {
    std::string_view body = request.body();
    if (body.size() <= joined_body_bytes_max) {
        connection.output += body;
        body = {};
    }
    std::array<asio::const_buffer, 2> left{
        asio::buffer(connection.output), asio::buffer(body.data(), body.size())};
    // Bound: the call's timeout.
    while (left[0].size() + left[1].size() > 0) {
        error_code error;
        auto sent = connection.socket.write_some(left, error);
        if (error == asio::error::would_block) {
            const auto [waited, written] =
                co_await connection.socket.async_write_some(left, asio::as_tuple(asio::deferred));
            error = waited;
            sent = written;
        }
        if (error) { co_return error; }
        const auto from_first = std::min(sent, left[0].size());
        left[0] += from_first;
        left[1] += sent - from_first;
    }
    if (connection.output.capacity() > kept_output_bytes_max) { connection.output = {}; }
    co_return error_code{};
}

Task<Result<ClientCore::Answer>> ClientCore::receive(
    ClientConnection& connection, bool head_only, bool& got_bytes) {
    using Parse = beast::http::error;
    auto& input = connection.input;
    // Bound: interim responses; within each, header and body limits and the call's timeout.
    for (int responses = 0; responses <= interim_responses_max; ++responses) {
        Answer answer;
        ResponseParser parser(answer.response);
        parser.header_limit(static_cast<std::uint32_t>(options_.header_bytes_max));
        parser.body_limit(options_.body_bytes_max);
        parser.skip(head_only);
        parser.eager(true);
        while (!parser.is_done()) {
            error_code error;
            if (!input.empty()) {
                const auto data = input.data();
                const auto taken = parser.put(asio::buffer(data.data(), data.size()), error);
                input.consume(taken);
                if (error == Parse::header_limit || error == Parse::body_limit) {
                    co_return Errc::response_too_large;
                }
                if (error && error != Parse::need_more) { co_return Errc::response_malformed; }
                if (parser.is_done()) { break; }
                if (input.full()) { co_return Errc::response_malformed; }
                if (!error && taken > 0 && !input.empty()) { continue; }
            }
            const auto [failure, received] = co_await connection.socket.async_read_some(
                input.prepare(parser.is_header_done() ? body_read_bytes : 0),
                asio::as_tuple(asio::deferred));
            if (failure == asio::error::eof && parser.is_header_done()) {
                parser.put_eof(error); // The end of a body whose length nobody said.
                if (error || connection.has_expired()) { co_return Errc::connection_closed; }
                break;
            }
            if (failure) { co_return failure; }
            got_bytes = true;
            input.commit(received);
        }
        const auto status = answer.response.status();
        if (status >= 100 && status < 200 && status != 101) { continue; }
        answer.version = parser.version();
        // Bytes behind the answer belong to no request of ours: such a connection is not used again.
        answer.keep_alive = parser.keep_alive() && input.empty() && status != 101;
        co_return answer;
    }
    co_return Errc::response_malformed;
}

ClientCore::ConnectionPtr ClientCore::take(const std::string& key) {
    const auto now = std::chrono::steady_clock::now();
    while (true) { // Bound: each turn removes a connection from the pool.
        ConnectionPtr connection;
        {
            const std::lock_guard lock(mutex_);
            const auto pool = idle_.find(key);
            if (pool == idle_.end()) { return nullptr; }
            connection = std::move(pool->second.back());
            pool->second.pop_back();
            if (pool->second.empty()) { idle_.erase(pool); }
        }
        const bool fresh = options_.idle_timeout.count() == 0 ||
                           now - connection->idle_since < options_.idle_timeout;
        if (fresh && connection->is_usable()) {
            count(reused_);
            return connection;
        }
    }
}

void ClientCore::give_back(const std::string& key, ConnectionPtr connection) {
    connection->idle_since = std::chrono::steady_clock::now();
    ConnectionPtr oldest; // Closed after the lock.
    const std::lock_guard lock(mutex_);
    if (options_.idle_connections_max == 0) { return; }
    if (idle_.size() >= hosts_max && !idle_.contains(key)) { return; }
    auto& pool = idle_[key];
    if (pool.size() >= options_.idle_connections_max) {
        oldest = std::move(pool.front());
        pool.erase(pool.begin());
    }
    pool.push_back(std::move(connection));
}

void ClientCore::close_idle() {
    std::map<std::string, std::vector<ConnectionPtr>> closing;
    const std::lock_guard lock(mutex_);
    closing.swap(idle_);
}

ClientStats ClientCore::stats() const {
    // relaxed: statistics, each for itself.
    constexpr auto relaxed = std::memory_order_relaxed;
    ClientStats stats{
        .connections_opened = opened_.load(relaxed),
        .connections_reused = reused_.load(relaxed),
        .attempts = attempts_.load(relaxed),
        .attempts_repeated = repeated_.load(relaxed),
    };
    const std::lock_guard lock(mutex_);
    for (const auto& [key, pool] : idle_) { stats.connections_idle += pool.size(); }
    return stats;
}

} // namespace weft::http::detail
