// Drives requests through the gateway at a steady pace and counts the answers. Untraced: the gateway starts the traces.
#include "arguments.hpp"

#include <weft/http/client.hpp>
#include <weft/weft.hpp>

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <csignal>
#include <exception>

namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0; // No answer, or 5xx.
};

struct Plan {
    std::string url;
    std::int64_t per_second = 0;
    std::int64_t workers = 0;
    Clock::time_point end;
};

volatile std::sig_atomic_t interrupted = 0;

// Worker w of n sends requests w, w + n, w + 2n ... each at its own moment.
weft::Task<void> work(
    weft::http::Client& client, const Plan& plan, std::int64_t worker, Counts& counts) {
    const auto start = Clock::now();
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (std::int64_t i = worker;; i += plan.workers) { // Bound: plan.end.
        timer.expires_at(start + std::chrono::nanoseconds(1'000'000'000 / plan.per_second * i));
        if (timer.expiry() >= plan.end || interrupted != 0) { co_return; }
        co_await timer.async_wait(asio::use_awaitable_t<weft::Executor>{});
        const auto answer = co_await client.get(plan.url + "/shop/orders/" + std::to_string(i));
        ++counts.requests;
        if (!answer || answer->status() >= 500) { ++counts.errors; }
    }
}

} // namespace

int main(int argc, char** argv) {
    shop::Arguments arguments(
        "drives requests through the gateway; prints {\"requests\": n, \"errors\": n}",
        {{"--url", "http://127.0.0.1:8080", "URL of the gateway"},
         {"--seconds", "4", "for how long, 1 to 3600"},
         {"--rate", "1000", "requests a second, 1 to 100000"}},
        argc, argv);
    std::signal(SIGINT, [](int) { interrupted = 1; });
    std::signal(SIGTERM, [](int) { interrupted = 1; });
    const Plan plan{
        arguments.text("--url"), arguments.number("--rate", 1, 100'000), 16,
        Clock::now() + std::chrono::seconds(arguments.number("--seconds", 1, 3600))};
    asio::io_context context(1);
    weft::http::Client client(context, {.traced = false});
    Counts counts;
    bool failed = false;
    for (std::int64_t worker = 0; worker < plan.workers; ++worker) {
        weft::co_spawn(
            context, work(client, plan, worker, counts), [&](const std::exception_ptr& error) {
                if (error) { failed = true; }
            });
    }
    context.run();
    std::printf(
        "{\"requests\": %llu, \"errors\": %llu}\n",
        static_cast<unsigned long long>(counts.requests),
        static_cast<unsigned long long>(counts.errors));
    return failed || counts.requests == 0 ? 1 : 0;
}
