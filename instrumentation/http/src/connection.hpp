#pragma once
// One connection of the server: a coroutine chain that reads a request, lets its handler answer, writes the answer,
// and starts again.
//
//   idle ──first byte──▶ header ──▶ body ──▶ handler ──▶ write ──▶ idle, or close
//
// The chain alone touches the socket, except that the watchdog may shut its descriptor down, and may answer 503 in
// the handler phase, in which the chain promises not to use the socket (watchdog.hpp). The request, its strings and
// the buffers belong to the connection and are used again and again.

#include "parser.hpp"
#include "server_core.hpp"
#include "server_span.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>

#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <string>

namespace weft::http::detail {

class Connection final : public Watched {
public:
    Connection(std::shared_ptr<ServerCore> core, TcpSocket socket);
    ~Connection() override;

    /// Serves requests until one side has had enough.
    static Task<void> run(std::shared_ptr<Connection> self);
    /// Answers 503 on a socket that gets no connection, without waiting.
    static void refuse(int descriptor) noexcept;

private:
    enum class Progress { done, need_more, failed };

    void on_expired(Phase phase) noexcept override;

    bool begin_request();
    Progress parse_header();
    Progress parse_body();
    void check_header();
    [[nodiscard]] bool wants_continue() const noexcept;

    Task<bool> serve();
    /// Reads the body. False: the client has gone, or was too slow or too much; then status_ says what to answer.
    Task<bool> read_body();
    Response generated_answer(const RouteMatch& match) const;
    Response refusal(int status) const;
    Response answer_of_exception(const std::exception_ptr& thrown, ServerSpan& span) const;
    std::size_t prepare_output(Response& response, bool keep_alive);
    void output_sent(std::size_t count) noexcept;
    bool write_some(boost::system::error_code& error);
    Task<void> write_failure(int status);
    Task<void> linger();

    [[nodiscard]] auto receive(std::size_t wanted) {
        return socket_.async_read_some(input_.prepare(wanted), asio::as_tuple(asio::deferred));
    }
    void refused_request() noexcept { ServerCore::count(core_->requests_refused); }

    const std::shared_ptr<ServerCore> core_;
    TcpSocket socket_;
    const int descriptor_;
    std::shared_ptr<const Router> router_;
    std::uint64_t router_version_ = 0;

    Request request_;
    std::optional<RequestParser> parser_;
    InputBuffer input_;
    std::string output_;
    std::array<asio::const_buffer, 2> output_left_; // Into output_, and into the response's body.
    bool header_begun_ = false;
    bool serving_ = false; // The header was good enough to route the request.
    int status_ = 0;       // What to answer without a handler; 0 if nothing is wrong.
    bool must_linger_ = false;
};

} // namespace weft::http::detail
