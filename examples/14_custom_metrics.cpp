// Business metrics in a group with labels that stay few, and metrics that scripts post. The token comes from the environment
// variable SHOP_METRICS_TOKEN. Expect: a line with the address; post to it with curl as below (one line), Ctrl-C ends it.
//
//   curl http://127.0.0.1:PORT/metrics/custom -H "Authorization: Bearer $SHOP_METRICS_TOKEN"
//     -H 'Content-Type: application/json' -d '{"name": "backup.bytes", "type": "counter", "value": 1048576}'
#include <weft/custom_metrics/handler.hpp>
#include <weft/http/server.hpp>
#include <weft/signals/label.hpp>
#include <weft/signals/metric_group.hpp>
#include <weft/weft.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

// [readme:group]
const weft::MetricGroup orders("shop.orders", {{"region", "eu"}, {"shop", "tea"}});
const auto placed = orders.counter("placed", {.unit = "{order}"}); // shop.orders.placed
const auto value = orders.histogram("value", {.unit = "EUR"});
const auto web_orders = placed.bind({{"channel", "web"}}); // region, shop, channel: settled.
// [/readme:group]

weft::Task<weft::http::Response> place_order(weft::http::Request& request) {
    web_orders.add(1);
    // [readme:labels]
    weft::PathBuffer path;
    value.record(
        12.5, {{"customer", weft::hashed_label(request.header("X-Customer"))},   // 16 hex digits.
               {"cohort", weft::label_bucket(request.header("X-Customer"), 10)}, // "0" to "9".
               {"path", weft::route_label(request.route(), request.target(), path)}});
    // [/readme:labels]
    co_return weft::http::Response::text(200, "thank you\n");
}

int main() {
    const char* const token = std::getenv("SHOP_METRICS_TOKEN");
    if (token == nullptr || *token == '\0') {
        std::fprintf(
            stderr, "set SHOP_METRICS_TOKEN, for instance to what openssl rand -hex 16 prints\n");
        return 1;
    }
    weft::Runtime runtime(weft::options_from_env());
    weft::http::Server server(runtime, {.port = 0}); // 0: any free port.
    server.post("/orders/{id}", place_order);
    // [readme:custom]
    weft::CustomMetricsOptions options;
    options.authorization.bearer_tokens = {token};
    options.prefix = "scripts.";
    weft::CustomMetricsHandler custom(options);
    server.post(
        "/metrics/custom",
        [&custom](weft::http::Request& request) -> weft::Task<weft::http::Response> {
            co_return weft::as_response<weft::http::Response>(
                custom.handle(weft::custom_metrics_request(request)));
        });
    // [/readme:custom]
    std::fprintf(stderr, "http://127.0.0.1:%u/metrics/custom\n", server.port());
    return runtime.run();
}
