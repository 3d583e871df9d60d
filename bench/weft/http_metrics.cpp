// Question: what do the metrics of the HTTP conventions add to a request? Goal: nanoseconds of one measurement, begun and
// finished, beside its "off" case. Non-goal: what a request costs.
#include "cases.hpp"
#include "request_metrics.hpp"

#include <weft/runtime/context.hpp>
#include <weft/signals/detail/meter_provider.hpp>

#include <array>

namespace weft::bench {
namespace {

using http::detail::Measured;
using http::detail::ServerMeasurement;

void measure(std::uint64_t iterations, const Measured& measured) {
    // A few series, as a server has them.
    constexpr std::array<std::string_view, 4> routes{"/", "/orders", "/orders/{id}", "/users/{id}"};
    for (std::uint64_t i = 0; i < iterations; ++i) {
        if (!ServerMeasurement::is_wanted()) { continue; }
        ServerMeasurement measurement;
        measurement.start(measured, "GET", "http", routes[i % routes.size()]);
        measurement.finish(
            {.elapsed_ns = static_cast<std::int64_t>(i % 4096) * 100'000,
             .status = 200,
             .protocol_version = "1.1"});
    }
}

} // namespace

void add_http_metrics_cases(Suite& suite) {
    auto& provider = weft::detail::make_meter_provider({});
    const CaseOptions on{
        .batch = 4096,
        .before = [&provider] { weft::detail::claim_default(provider); },
        .after =
            [] {
                // release: as the provider was put there.
                weft::detail::default_meter_provider.store(nullptr, std::memory_order_release);
            }};
    suite.add("http_request_metrics_off", "ns", [](std::uint64_t iterations) {
        measure(iterations, {.duration = true});
    });
    suite.add(
        "http_request_metrics", "ns",
        [](std::uint64_t iterations) { measure(iterations, {.duration = true}); }, on);
    suite.add(
        "http_request_metrics_all", "ns",
        [](std::uint64_t iterations) {
            measure(iterations, {.duration = true, .active = true, .body_sizes = true});
        },
        on);
    // What counting slices adds to each slice of a chain, beside the rest of installing one.
    suite.add("slice_installed", "ns", [](std::uint64_t iterations) {
        for (std::uint64_t i = 0; i < iterations; ++i) {
            const weft::detail::InstalledSlot installed(weft::detail::SlotHandle{});
            clobber();
        }
    });
}

} // namespace weft::bench
