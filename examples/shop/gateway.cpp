// The shop's gateway: GET /shop/orders/{id} checks the caller, asks the orders service, and decorates the answer.
#include "arguments.hpp"

#include <weft/http/client.hpp>
#include <weft/http/server.hpp>
#include <weft/weft.hpp>

#include <boost/asio/post.hpp>

#include <exception>
#include <string>

namespace {

namespace asio = boost::asio;

weft::Task<bool> authorize(std::string user) {
    weft::Span span("authorize", {{"enduser.known", !user.empty()}});
    co_await asio::post(asio::use_awaitable_t<weft::Executor>{}); // Stands for a look-up elsewhere.
    co_return true;
}

class Gateway {
public:
    Gateway(weft::Host& host, std::string orders_url)
        : client_(host), orders_url_(std::move(orders_url)) {}

    // Lifetime: the server keeps the request until the coroutine is done; main keeps the gateway longer than the server.
    weft::Task<weft::http::Response> handle(weft::http::Request& request) {
        if (!co_await authorize(std::string(request.header("x-user")))) {
            co_return weft::http::Response(403);
        }
        const auto url = orders_url_ + "/orders/" + std::string(request.param("id"));
        auto answer = co_await client_.get(url);
        if (!answer) {
            weft::current_span().add_event(
                "orders unreachable", {{"error.message", answer.error().message()}});
            co_return weft::http::Response::json(503, R"({"error": "orders is not reachable"})");
        }
        if (answer->status() >= 500) {
            co_return weft::http::Response::json(502, R"({"error": "orders failed"})");
        }
        weft::Span span("render", {{"bytes", answer->body().size()}});
        co_return weft::http::Response::json(
            answer->status(), R"({"order": )" + answer->body() + "}");
    }

private:
    weft::http::Client client_;
    std::string orders_url_;
};

} // namespace

int main(int argc, char** argv) {
    shop::Arguments arguments(
        "the shop's gateway, GET /shop/orders/{id}",
        {{"--port", "8080", "port to listen on, 0 for a free one"},
         {"--orders", "http://127.0.0.1:8081", "URL of the orders service"}},
        argc, argv);
    try {
        auto options = weft::options_from_env();
        if (options.service_name.empty() && !options.resource.contains("service.name")) {
            options.service_name = "gateway";
        }
        weft::Runtime runtime(std::move(options));
        Gateway gateway(runtime, arguments.text("--orders"));
        weft::http::Server server(runtime, {.port = arguments.port()});
        server.get("/shop/orders/{id}", [&gateway](weft::http::Request& request) {
            return gateway.handle(request);
        });
        std::fprintf(stderr, "listening on http://127.0.0.1:%u\n", server.port());
        return runtime.run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
