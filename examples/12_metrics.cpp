// Metrics: a counter, a histogram with a timer, an observable gauge, and a port where Prometheus scrapes them.
// Expect: what Prometheus would see of them, `tea_cups_total{tea_kind="oolong"...} 2` among it.
#include <weft/http/client.hpp>
#include <weft/weft.hpp>

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

namespace asio = boost::asio;

// [readme:instruments]
const weft::Counter<> cups("tea.cups", {.unit = "{cup}", .description = "Cups poured."});
constexpr double seconds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5};
const weft::Histogram<> brewing(
    "tea.brewing.duration",
    {.unit = "s", .description = "How long tea brews.", .boundaries = seconds});
const auto oolong_cups = cups.bind({{"tea.kind", "oolong"}}); // The cheapest way.
const weft::ObservableGauge<> water(
    "tea.water.temperature", {.unit = "Cel", .description = "Of the water."},
    [](weft::Observations& observations) { observations.observe(92.5); });

weft::Task<void> brew(std::string kind) {
    auto timer = brewing.timer(); // Measures across awaits.
    asio::steady_timer leaves(co_await asio::this_coro::executor, std::chrono::milliseconds(5));
    co_await leaves.async_wait(asio::use_awaitable_t<weft::Executor>{});
    timer.stop({{"tea.kind", kind}});
    cups.add(1, {{"tea.kind", kind}});
}
// [/readme:instruments]

weft::Task<void> make_tea_and_scrape(weft::Runtime& runtime) {
    co_await brew("oolong");
    co_await brew("green");
    oolong_cups.add(1); // The same series as cups.add(1, {{"tea.kind", "oolong"}}).
    const weft::http::Client client(co_await asio::this_coro::executor);
    const auto answer = co_await client.get(
        "http://127.0.0.1:" + std::to_string(runtime.prometheus_port()) + "/metrics");
    std::string_view lines = answer ? std::string_view(answer->body()) : "no answer\n";
    while (!lines.empty()) { // Bound: the answer's length.
        const auto end = std::min(lines.find('\n'), lines.size() - 1);
        const auto line = lines.substr(0, end + 1);
        if (line.find("tea_") != std::string_view::npos) {
            std::fputs(std::string(line).c_str(), stdout);
        }
        lines.remove_prefix(end + 1);
    }
    runtime.stop();
}

int main() {
    // [readme:prometheus]
    auto options = weft::options_from_env();
    options.prometheus.emplace().port = 0; // Any free port. 9464 unless told; only this machine.
    // [/readme:prometheus]
    options.metrics_exporter = options.traces_exporter = weft::ExporterKind::none;
    weft::Runtime runtime(std::move(options));
    weft::co_spawn(runtime, make_tea_and_scrape(runtime), [](const std::exception_ptr&) {});
    return runtime.run();
}
