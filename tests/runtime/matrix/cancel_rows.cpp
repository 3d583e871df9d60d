#include "cells.hpp"

// Cancellation of one operation, through its object and through a slot, and of a whole chain, by type.

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>

namespace matrix {
namespace {

using boost::system::error_code;
constexpr auto never = asio::steady_timer::time_point::max();

struct CancelObject {
    static constexpr const char* name = "CancelObject";
    static constexpr bool needs_strand = true;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        asio::steady_timer timer(co_await asio::this_coro::executor, never);
        here.origin().outside([&timer] { timer.cancel(); });
        error_code error;
        co_await timer.async_wait(asio::redirect_error(Way::token, error));
        EXPECT_EQ(error, asio::error::operation_aborted);
        here.check();
    }
    static void call(Callbacks& c) {
        auto& timer = c.keep<asio::steady_timer>(c.stage().io, never);
        c.here().origin().outside([&timer] { timer.cancel(); });
        timer.async_wait(c.bound([&c](error_code error) {
            EXPECT_EQ(error, asio::error::operation_aborted);
            c.check();
            c.done();
        }));
    }
};

// First one operation by its slot, then a chain that lets every type through.
template <asio::cancellation_type type>
struct CancelBySlot {
    static constexpr bool needs_strand = true;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto executor = co_await asio::this_coro::executor;
        asio::cancellation_signal signal;
        asio::steady_timer timer(executor, never);
        here.origin().outside([&signal] { signal.emit(type); });
        error_code error;
        co_await timer.async_wait(
            asio::bind_cancellation_slot(signal.slot(), asio::redirect_error(Way::token, error)));
        EXPECT_EQ(error, asio::error::operation_aborted);
        here.check();

        bool cancelled = false;
        try {
            co_await weft::co_spawn(
                executor, cancel_itself<Way>(here.origin(), signal),
                asio::bind_cancellation_slot(signal.slot(), Way::token));
        } catch (const boost::system::system_error&) { cancelled = true; }
        EXPECT_TRUE(cancelled);
        here.check();
    }
    static void call(Callbacks& c) {
        auto& signal = c.keep<asio::cancellation_signal>();
        auto& timer = c.keep<asio::steady_timer>(c.stage().io, never);
        c.here().origin().outside([&signal] { signal.emit(type); });
        timer.async_wait(
            asio::bind_cancellation_slot(signal.slot(), c.bound([&c](error_code error) {
                EXPECT_EQ(error, asio::error::operation_aborted);
                c.check();
                c.done();
            })));
    }

private:
    template <class Way>
    static Awaitable<Way> cancel_itself(Origin origin, asio::cancellation_signal& signal) {
        const Here here(origin);
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        asio::steady_timer timer(co_await asio::this_coro::executor, never);
        origin.outside([&signal] { signal.emit(type); });
        error_code error;
        co_await timer.async_wait(asio::redirect_error(Way::token, error));
        EXPECT_EQ(error, asio::error::operation_aborted);
        here.check();
        const auto state = co_await asio::this_coro::cancellation_state;
        EXPECT_EQ(state.cancelled(), type);
        here.check();
        co_await asio::post(Way::token); // Throws: the chain is cancelled.
        ADD_FAILURE() << "not reached";
    }
};
struct CancelTotal : CancelBySlot<asio::cancellation_type::total> {
    static constexpr const char* name = "CancelTotal";
};
struct CancelPartial : CancelBySlot<asio::cancellation_type::partial> {
    static constexpr const char* name = "CancelPartial";
};
struct CancelTerminal : CancelBySlot<asio::cancellation_type::terminal> {
    static constexpr const char* name = "CancelTerminal";
};

[[maybe_unused]] const bool cancel_added =
    (add_row<CancelObject>(), add_row<CancelTotal>(), add_row<CancelPartial>(),
     add_row<CancelTerminal>());

} // namespace
} // namespace matrix
