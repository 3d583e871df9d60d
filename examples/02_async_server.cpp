// A traced HTTP server in a page. Each request gets a server span that continues the caller's trace; what the handler
// does becomes its children. Expect: a line with the address; `curl` it, then stop it with Ctrl-C.

// [readme:server]
#include <weft/http/server.hpp>
#include <weft/weft.hpp>

#include <boost/asio/steady_timer.hpp>

#include <cstdio>

namespace asio = boost::asio;

weft::Task<std::string> brew(std::string kind) {
    weft::Span span(
        "brew",
        {{"tea.kind", kind}}); // A child of the request's span, whoever else is being served.
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(20));
    co_await timer.async_wait(asio::use_awaitable_t<weft::Executor>{});
    co_return "a cup of " + kind + "\n";
} // Ends here, also on exception or cancellation.

weft::Task<weft::http::Response> handle_tea(weft::http::Request& request) {
    co_return weft::http::Response::text(200, co_await brew(std::string(request.param("kind"))));
}

int main() {
    weft::Runtime runtime(weft::options_from_env());
    weft::http::Server server(runtime, {.port = 0}); // 0: any free port.
    server.get("/tea/{kind}", handle_tea);
    std::fprintf(stderr, "try: curl http://127.0.0.1:%u/tea/oolong\n", server.port());
    return runtime.run(); // SIGINT, SIGTERM: finish what runs, export what is left, exit.
}
// [/readme:server]
