// The shop's orders service: GET /orders/{id}. Some orders do not exist (404), some are slow, and some break the
// service (500), so that there is something to look for in the traces.
#include "arguments.hpp"

#include <weft/http/server.hpp>
#include <weft/weft.hpp>

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

// Stands for a query: a span of its own, and a wait during which other requests go on.
weft::Task<void> query(std::string what, std::chrono::microseconds takes) {
    weft::Span span(what, {{"shop.simulated", true}}, {.kind = weft::SpanKind::client});
    asio::steady_timer timer(co_await asio::this_coro::executor, takes);
    co_await timer.async_wait(asio::use_awaitable_t<weft::Executor>{});
}

weft::Task<std::string> load_customer(std::int64_t order) {
    weft::Span span("load customer", {{"order.id", order}});
    co_await query("SELECT customers", 300us);
    co_return "customer-" + std::to_string(order % 17);
}

weft::Task<int> load_items(std::int64_t order) {
    weft::Span span("load items", {{"order.id", order}});
    const bool is_slow = order % 211 == 5;
    span.set_attribute("shop.archive", is_slow);
    co_await query("SELECT items", is_slow ? 120ms : 400us);
    if (order % 97 == 7) {
        throw std::runtime_error("order " + std::to_string(order) + " has items without a price");
    }
    co_return static_cast<int>(order % 5) + 1;
}

weft::Task<weft::http::Response> handle_order(weft::http::Request& request) {
    const std::string text(request.param("id"));
    if (text.empty() || text.size() > 12 ||
        text.find_first_not_of("0123456789") != std::string::npos) {
        co_return weft::http::Response::json(400, R"({"error": "an order id is a number"})");
    }
    const std::int64_t id = std::stoll(text);
    weft::current_span().set_attribute("order.id", id);
    if (id % 50 == 13) {
        co_return weft::http::Response::json(404, R"({"error": "no such order"})");
    }
    // Both at once, each branch with a context of its own.
    auto [customer, items] = co_await (load_customer(id) && load_items(id));
    co_return weft::http::Response::json(
        200, R"({"id": )" + text + R"(, "customer": ")" + customer + R"(", "items": )" +
                 std::to_string(items) + "}");
}

} // namespace

int main(int argc, char** argv) {
    shop::Arguments arguments(
        "the shop's orders service, GET /orders/{id}",
        {{"--port", "8081", "port to listen on, 0 for a free one"}}, argc, argv);
    try {
        auto options = weft::options_from_env();
        if (options.service_name.empty() && !options.resource.contains("service.name")) {
            options.service_name = "orders";
        }
        weft::Runtime runtime(std::move(options));
        weft::http::Server server(runtime, {.port = arguments.port()});
        server.get("/orders/{id}", handle_order);
        std::fprintf(stderr, "listening on http://127.0.0.1:%u\n", server.port());
        return runtime.run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
