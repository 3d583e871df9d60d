#pragma once
// Name look-up with a time limit, which nobody has to wait for. getaddrinfo cannot be interrupted, and ~io_context joins
// the thread on which Asio's own resolver runs it: with a name server that does not answer, a program could not end for
// half a minute. So look-ups run one after the other on a detached thread. Whoever is first, the look-up, the timer or
// a cancellation, takes the completion handler on the io_context; the others find it gone.

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
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

/// One look-up, seen from the thread that does it.
class Lookup {
public:
    Lookup(std::string host, std::uint16_t port)
        : host_(std::move(host)), service_(std::to_string(port)) {}
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;
    virtual ~Lookup() = default;

    [[nodiscard]] const std::string& host() const noexcept { return host_; }
    [[nodiscard]] const std::string& service() const noexcept { return service_; }

    /// Threads: the io_context's.
    virtual void finish(boost::system::error_code error, Endpoints endpoints) = 0;
    /// Destroys what belongs to the io_context, which is going. Threads: the one that destroys it.
    virtual void abandon() noexcept = 0;
    /// False when nobody waits any more. Threads: any.
    [[nodiscard]] virtual bool is_wanted() noexcept = 0;

private:
    const std::string host_;
    const std::string service_;
};

/// The look-ups of an io_context and their thread, which runs while there are any and may outlive both.
/// Asio shuts a service down before what was made earlier, the timers and the scheduler: until then, and under the
/// mutex, the thread may post.
class Lookups final : public asio::execution_context::service {
public:
    using key_type = Lookups;
    static inline asio::execution_context::id id;

    explicit Lookups(asio::io_context& context);
    /// Errors: no thread, or too many look-ups that wait; then nobody finishes it. Threads: any.
    [[nodiscard]] boost::system::error_code add(std::shared_ptr<Lookup> lookup);

private:
    struct State;
    static void run(const std::shared_ptr<State>& state) noexcept;
    void shutdown() override;

    const std::shared_ptr<State> state_;
};

template <class Handler>
class Resolution final : public Lookup, public std::enable_shared_from_this<Resolution<Handler>> {
public:
    Resolution(asio::io_context& context, Handler handler, std::string host, std::uint16_t port)
        : Lookup(std::move(host), port), pending_(std::in_place, context, std::move(handler)) {}

    void start(asio::io_context& context, std::chrono::milliseconds limit) {
        // First, for the handler is this thread's own only until somebody may finish.
        const auto slot = asio::get_associated_cancellation_slot(pending_->handler);
        if (slot.is_connected()) { cancel_by(slot, context); }
        // Only now, after the timer was made; see Lookups.
        auto& lookups = asio::use_service<Lookups>(context);
        if (const auto error = lookups.add(this->shared_from_this())) {
            asio::post(
                context, [self = this->shared_from_this(), error] { self->finish(error, {}); });
            return;
        }
        if (limit.count() <= 0) { return; }
        const std::lock_guard lock(mutex_);
        if (!pending_) { return; } // It has ended on another thread.
        pending_->timer.expires_after(limit);
        pending_->timer.async_wait(
            [self = this->shared_from_this()](const boost::system::error_code& error) {
                if (!error) { self->finish(asio::error::timed_out, {}); }
            });
    }

    void finish(boost::system::error_code error, Endpoints endpoints) override {
        auto pending = take();
        if (!pending) { return; }
        pending->timer.cancel();
        pending->work.reset();
        asio::dispatch(
            pending->executor, [handler = std::move(pending->handler), error,
                                endpoints = std::move(endpoints)]() mutable {
                auto slot = asio::get_associated_cancellation_slot(handler);
                if (slot.is_connected()) { slot.clear(); }
                std::move(handler)(error, std::move(endpoints));
            });
    }
    void abandon() noexcept override { take(); }
    bool is_wanted() noexcept override {
        const std::lock_guard lock(mutex_);
        return pending_.has_value();
    }

private:
    using IoExecutor = asio::io_context::executor_type;
    // Tracked: the handler's own loop must not end before it, and a chain gives its context up here (I6).
    using HandlerExecutor = std::decay_t<decltype(asio::prefer(
        std::declval<asio::associated_executor_t<Handler, IoExecutor>>(),
        asio::execution::outstanding_work.tracked))>;
    struct Pending {
        Pending(asio::io_context& context, Handler given)
            : timer(context), handler(std::move(given)),
              executor(asio::prefer(
                  asio::get_associated_executor(handler, context.get_executor()),
                  asio::execution::outstanding_work.tracked)),
              work(context.get_executor()) {}

        asio::steady_timer timer;
        Handler handler;
        HandlerExecutor executor;
        asio::executor_work_guard<IoExecutor> work;
    };

    // The handler must not run inside of whoever cancels it, hence the post.
    template <class Slot>
    void cancel_by(Slot slot, asio::io_context& context) {
        slot.assign([weak = this->weak_from_this(), &context](asio::cancellation_type type) {
            const auto self = weak.lock();
            if (!self || type == asio::cancellation_type::none) { return; }
            const std::lock_guard lock(self->mutex_);
            if (!self->pending_) { return; } // Over, and perhaps the io_context too.
            asio::post(context, [self] { self->finish(asio::error::operation_aborted, {}); });
        });
    }

    std::optional<Pending> take() noexcept {
        const std::lock_guard lock(mutex_);
        return std::exchange(pending_, std::nullopt);
    }

    std::mutex mutex_; // Guards pending_.
    std::optional<Pending> pending_;
};

/// Addresses of a name. Completion: void(error_code, Endpoints); asio::error::timed_out when the limit is over,
/// operation_aborted when cancelled, by any type of cancellation.
template <class Token>
auto async_resolve(
    asio::io_context& context, std::string host, std::uint16_t port,
    std::chrono::milliseconds limit, Token&& token) {
    return asio::async_initiate<Token, void(boost::system::error_code, Endpoints)>(
        [&context](
            auto handler, std::string name, std::uint16_t number, std::chrono::milliseconds time) {
            std::make_shared<Resolution<decltype(handler)>>(
                context, std::move(handler), std::move(name), number)
                ->start(context, time);
        },
        token, std::move(host), port, limit);
}

} // namespace weft::http::detail
