#include "branches.hpp"

// Asio's parallel groups, with each completion policy and ranged.

#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/ip/udp.hpp>

#include <array>
#include <chrono>
#include <utility>
#include <vector>

namespace matrix {
namespace {

using namespace std::chrono_literals;
using asio::experimental::make_parallel_group;
using boost::system::error_code;

enum class Policy { all, one, one_error, one_success };

// Asio's own completion conditions, chosen at run time: each condition is a parallel_group of its own to the compiler.
struct Condition {
    Policy policy;
    template <class... Results>
    asio::cancellation_type_t operator()(const Results&... results) const {
        switch (policy) {
        case Policy::one:
            return asio::experimental::wait_for_one()(results...);
        case Policy::one_error:
            return asio::experimental::wait_for_one_error()(results...);
        case Policy::one_success:
            return asio::experimental::wait_for_one_success()(results...);
        default:
            return asio::experimental::wait_for_all()(results...);
        }
    }
    [[nodiscard]] asio::steady_timer::duration limit() const {
        return policy == Policy::all ? asio::steady_timer::duration(1ms) : 1h;
    }
    [[nodiscard]] error_code timer_result() const {
        return policy == Policy::all ? error_code() : asio::error::operation_aborted;
    }
};

template <class Way>
Awaitable<Way> await_group(const Here& here, Condition condition) {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, condition.limit());
    const auto [order, failure, nothing, error, steps, waited] =
        co_await make_parallel_group(
            weft::co_spawn(executor, failing<Way>(here.origin(), 2), asio::deferred),
            weft::co_spawn(executor, branch<Way>(here.origin(), 2), asio::deferred),
            timer.async_wait(asio::deferred))
            .async_wait(condition, Way::token);
    EXPECT_EQ(order.size(), 3U);
    EXPECT_TRUE(failure);
    EXPECT_EQ(waited, condition.timer_result());
    here.check();
}

void call_group(Callbacks& c, Condition condition) {
    auto& closed = c.keep<asio::ip::udp::socket>(c.stage().io); // Fails at once.
    auto& quick = c.keep<asio::steady_timer>(c.stage().io, 50us);
    auto& timer = c.keep<asio::steady_timer>(c.stage().io, condition.limit());
    auto callback = [&c, condition](
                        std::array<std::size_t, 3> order, error_code failure, error_code,
                        error_code waited) {
        EXPECT_EQ(order[0], 0U);
        EXPECT_EQ(failure, asio::error::bad_descriptor);
        EXPECT_EQ(waited, condition.timer_result());
        c.check();
        c.done();
    };
    make_parallel_group(
        closed.async_wait(asio::ip::udp::socket::wait_read, asio::deferred),
        quick.async_wait(asio::deferred), timer.async_wait(asio::deferred))
        .async_wait(condition, c.bound(std::move(callback)));
}

// One member succeeds, one fails, one is a timer that is cancelled unless the condition waits for it.
template <Policy policy>
struct GroupRow {
    static constexpr bool needs_strand = true;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        return await_group<Way>(here, Condition{policy});
    }
    static void call(Callbacks& c) { call_group(c, Condition{policy}); }
};
struct GroupWaitForAll : GroupRow<Policy::all> {
    static constexpr const char* name = "GroupWaitForAll";
};
struct GroupWaitForOne : GroupRow<Policy::one> {
    static constexpr const char* name = "GroupWaitForOne";
};
struct GroupWaitForOneError : GroupRow<Policy::one_error> {
    static constexpr const char* name = "GroupWaitForOneError";
};
struct GroupWaitForOneSuccess : GroupRow<Policy::one_success> {
    static constexpr const char* name = "GroupWaitForOneSuccess";
};

struct RangedGroup {
    static constexpr const char* name = "RangedGroup";
    static constexpr bool needs_strand = true;

    template <class Way>
    static Awaitable<Way> await(const Here& here) {
        const auto executor = co_await asio::this_coro::executor;
        std::vector<decltype(weft::co_spawn(
            executor, branch<Way>(here.origin(), 0), asio::deferred))>
            members;
        for (int i = 0; i < 5; ++i) {
            members.push_back(
                weft::co_spawn(executor, branch<Way>(here.origin(), i), asio::deferred));
        }
        const auto [order, errors, steps] =
            co_await make_parallel_group(std::move(members))
                .async_wait(asio::experimental::wait_for_all(), Way::token);
        EXPECT_EQ(steps, (std::vector<int>{0, 1, 2, 3, 4}));
        here.check();
    }
    static void call(Callbacks& c) {
        std::vector<decltype(std::declval<asio::steady_timer&>().async_wait(asio::deferred))>
            members;
        for (int i = 0; i < 5; ++i) {
            auto& timer =
                c.keep<asio::steady_timer>(c.stage().io, std::chrono::microseconds(20 * i));
            members.push_back(timer.async_wait(asio::deferred));
        }
        make_parallel_group(std::move(members))
            .async_wait(
                asio::experimental::wait_for_all(),
                c.bound(
                    [&c](const std::vector<std::size_t>& order, const std::vector<error_code>&) {
                        EXPECT_EQ(order.size(), 5U);
                        c.check();
                        c.done();
                    }));
    }
};

[[maybe_unused]] const bool groups_added =
    (add_row<GroupWaitForAll>(), add_row<GroupWaitForOne>(), add_row<GroupWaitForOneError>(),
     add_row<GroupWaitForOneSuccess>(), add_row<RangedGroup>());

} // namespace
} // namespace matrix
