// What a first program does: a runtime, a coroutine with a span in it, and an orderly end.
#include <weft/weft.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <cstdio>
#include <exception>

weft::Task<> work() {
    weft::Span span("work", {{"answer", 42}});
    co_await boost::asio::post(boost::asio::deferred);
    span.set_attribute("resumed", true);
}

int main() {
    weft::Options options;
    options.service_name = "consumer";
    options.otlp.endpoint = "http://127.0.0.1:9"; // Nobody is there; that must not matter.
    options.shutdown_timeout = std::chrono::milliseconds(100);
    weft::Runtime runtime(options);

    bool failed = false;
    weft::co_spawn(
        runtime, work(), [&failed](std::exception_ptr thrown) { failed = thrown != nullptr; });
    const int status = runtime.run();

    const weft::Ledger ledger = runtime.ledger();
    std::printf("%s\n", ledger.to_json().c_str());
    return !failed && ledger.created == 1 && ledger.is_balanced() ? status : 1;
}
