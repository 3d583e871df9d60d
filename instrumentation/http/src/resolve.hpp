#pragma once
// Name look-up with a time limit. getaddrinfo cannot be interrupted: Asio runs it on a thread of its own, and who
// gives up first, the look-up or the timer, takes the completion handler; the other finds it gone.

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weft::http::detail {

namespace asio = boost::asio;

using Endpoints = std::vector<asio::ip::tcp::endpoint>;

template <class Handler>
class Resolution : public std::enable_shared_from_this<Resolution<Handler>> {
public:
    Resolution(asio::io_context& context, Handler handler)
        : resolver_(context), timer_(context), handler_(std::move(handler)),
          executor_(asio::get_associated_executor(*handler_, context.get_executor())),
          work_(context.get_executor()) {}

    void start(const std::string& host, std::uint16_t port, std::chrono::milliseconds limit) {
        // The timer first: the look-up's completion cancels it from another thread.
        if (limit.count() > 0) {
            timer_.expires_after(limit);
            timer_.async_wait(
                [self = this->shared_from_this()](const boost::system::error_code& error) {
                    if (!error) { self->finish(asio::error::timed_out, {}); }
                });
        }
        resolver_.async_resolve(
            host, std::to_string(port), asio::ip::resolver_base::numeric_service,
            [self = this->shared_from_this()](
                const boost::system::error_code& error,
                const asio::ip::tcp::resolver::results_type& found) {
                Endpoints endpoints;
                for (const auto& entry : found) { endpoints.push_back(entry.endpoint()); }
                self->finish(error, std::move(endpoints));
            });
    }

private:
    void finish(boost::system::error_code error, Endpoints endpoints) {
        std::optional<Handler> handler;
        {
            const std::lock_guard lock(mutex_);
            if (handler_) { handler.emplace(std::move(*handler_)); }
            handler_.reset();
        }
        if (!handler) { return; }
        timer_.cancel();
        work_.reset();
        asio::dispatch(
            executor_,
            [handler = std::move(*handler), error, endpoints = std::move(endpoints)]() mutable {
                std::move(handler)(error, std::move(endpoints));
            });
    }

    asio::ip::tcp::resolver resolver_;
    asio::steady_timer timer_;
    std::mutex mutex_; // Guards handler_.
    std::optional<Handler> handler_;
    asio::associated_executor_t<Handler, asio::io_context::executor_type> executor_;
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
};

/// Addresses of a name. Completion: void(error_code, Endpoints); asio::error::timed_out when the limit is over.
template <class Token>
auto async_resolve(
    asio::io_context& context, std::string host, std::uint16_t port,
    std::chrono::milliseconds limit, Token&& token) {
    return asio::async_initiate<Token, void(boost::system::error_code, Endpoints)>(
        [&context](
            auto handler, const std::string& name, std::uint16_t number,
            std::chrono::milliseconds time) {
            std::make_shared<Resolution<decltype(handler)>>(context, std::move(handler))
                ->start(name, number, time);
        },
        token, std::move(host), port, limit);
}

} // namespace weft::http::detail
