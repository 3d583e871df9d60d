// What the test harness of the W3C Trace Context group asks of a service: for each element of the JSON array it posts,
// [{"url": "http://...", "arguments": [...]}, ...], post the arguments to the URL, in order, and answer when all is done.
// The trace context of the request goes along by itself: the server reads it, the client writes it.
#pragma once
#include <weft/http/client.hpp>
#include <weft/http/server.hpp>
#include <weft/weft.hpp>

#include <simdjson.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace w3c_example {

struct Call {
    std::string url;
    std::string arguments; // JSON text.
};

inline constexpr std::size_t calls_max = 1000;

// nullopt for anything but such an array.
inline std::optional<std::vector<Call>> parse_calls(const std::string& body) {
    simdjson::dom::parser parser;
    simdjson::dom::array elements;
    if (parser.parse(body).get(elements) != simdjson::SUCCESS || elements.size() > calls_max) {
        return std::nullopt;
    }
    std::vector<Call> calls;
    for (const simdjson::dom::element element : elements) {
        std::string_view url;
        simdjson::dom::element arguments;
        if (element["url"].get(url) != simdjson::SUCCESS ||
            element["arguments"].get(arguments) != simdjson::SUCCESS) {
            return std::nullopt;
        }
        calls.push_back({std::string(url), simdjson::minify(arguments)});
    }
    return calls;
}

class Service {
public:
    explicit Service(weft::Host& host)
        : client_(host, {.timeout = std::chrono::seconds(4)}) {} // The harness waits for five.

    // Lifetime: the server keeps the request until the coroutine is done; main keeps the service longer than the server.
    weft::Task<weft::http::Response> handle(weft::http::Request& request) const {
        const auto calls = parse_calls(request.body());
        if (!calls) {
            co_return weft::http::Response::json(
                400, R"({"error": "the body is no array of {\"url\", \"arguments\"}"})");
        }
        std::string statuses = "[";
        for (const auto& call : *calls) { // Bound: calls_max.
            const auto answer = co_await client_.post(call.url, call.arguments);
            if (statuses.size() > 1) { statuses += ", "; }
            statuses += answer ? std::to_string(answer->status()) : "null";
        }
        co_return weft::http::Response::json(200, statuses + "]");
    }

private:
    weft::http::Client client_;
};

} // namespace w3c_example
