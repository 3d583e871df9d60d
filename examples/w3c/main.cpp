// The service that the test harness of W3C Trace Context drives; POST /test, see service.hpp.
#include "../shop/arguments.hpp"
#include "service.hpp"

#include <boost/asio/post.hpp>

#include <exception>

int main(int argc, char** argv) {
    shop::Arguments arguments(
        "the service for the W3C Trace Context test harness, POST /test",
        {{"--port", "5000", "port to listen on, 0 for a free one"}}, argc, argv);
    try {
        auto options = weft::options_from_env();
        if (options.service_name.empty() && !options.resource.contains("service.name")) {
            options.service_name = "w3c-service";
        }
        weft::Runtime runtime(std::move(options));
        const w3c_example::Service service(runtime);
        weft::http::Server server(runtime, {.port = arguments.port()});
        server.post(
            "/test", [&service](weft::http::Request& request) { return service.handle(request); });
        // From within run(), so that whoever reads it may already send a stop signal.
        boost::asio::post(runtime.io_context(), [&server] {
            std::fprintf(stderr, "listening on http://127.0.0.1:%u\n", server.port());
        });
        return runtime.run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
