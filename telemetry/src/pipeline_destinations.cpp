#include "pipeline_destinations.hpp"

#include "signal_sink.hpp"
#include "spool_folder.hpp"

#include <weft/exporters/console.hpp>
#include <weft/exporters/otlp_file.hpp>
#include <weft/exporters/otlp_http.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace weft::detail {
namespace {

std::shared_ptr<Sink> make_otlp_sink(
    const PipelineSetup& setup, const OtlpOptions& otlp, bool has_spool, Signal signal,
    std::string_view field) {
    auto made = signal_sink(otlp, signal, field);
    made.options.piece_bytes = setup.piece_bytes();
    made.options.unsent = has_spool                             ? Unsent::kept
                          : setup.options.durable_rings.enabled ? Unsent::kept_at_stop
                                                                : Unsent::lost;
    auto sink = OtlpHttpSink::create(setup.executor, std::move(made.options), diagnostics());
    if (!sink) {
        throw std::invalid_argument(
            fmt::format("{}.endpoint is \"{}\": {}", field, otlp.endpoint, sink.error().message()));
    }
    return std::shared_ptr<Sink>(std::move(*sink));
}

std::shared_ptr<Sink> make_sink(
    const PipelineSetup& setup, const DestinationOptions& to, Signal signal) {
    if (const auto* otlp = std::get_if<OtlpOptions>(&to.to)) {
        return make_otlp_sink(
            setup, *otlp, to.spool.has_value(), signal,
            fmt::format("Options::destinations \"{}\"", to.name));
    }
    if (const auto* file = std::get_if<OtlpFileOptions>(&to.to)) {
        auto sink = make_otlp_file_sink(setup.executor, *file, signal, diagnostics());
        if (!sink) { throw std::invalid_argument(problem_in(*file)); }
        return std::move(*sink);
    }
    if (const auto* console = std::get_if<ConsoleOptions>(&to.to)) {
        return make_console_sink(setup.executor, *console, diagnostics());
    }
    return std::get<std::shared_ptr<Sink>>(to.to);
}

DestinationSetup make_first(const PipelineSetup& setup, Signal signal) {
    const auto& options = setup.options;
    DestinationSetup made;
    made.waiting_bytes_max = options.batch.waiting_bytes_max;
    if (auto own = own_sink(options, signal)) {
        made.name = "sink";
        made.sink = std::move(own);
        return made;
    }
    made.name = "otlp";
    made.sink = make_otlp_sink(
        setup, options.otlp, options.otlp.spool.has_value(), signal, "Options::otlp");
    if (options.otlp.spool) {
        made.spool = open_spool(*options.otlp.spool, made.name, signal, diagnostics());
    }
    return made;
}

DestinationSetup make_other(
    const PipelineSetup& setup, const DestinationOptions& to, Signal signal) {
    DestinationSetup made;
    made.name = to.name;
    made.sink = make_sink(setup, to, signal);
    made.waiting_bytes_max = to.waiting_bytes_max;
    made.when_full = to.when_full;
    made.filter = to.filter;
    if (to.spool) { made.spool = open_spool(*to.spool, to.name, signal, diagnostics()); }
    return made;
}

} // namespace

ExporterName exporter_name(const Options& options, std::string_view destination, Signal signal) {
    const auto found = std::find_if(
        options.destinations.begin(), options.destinations.end(),
        [&](const DestinationOptions& one) { return one.name == destination; });
    if (found == options.destinations.end()) { return {}; }
    constexpr std::array<std::string_view, 4> kinds{"otlp_http", "otlp_file", "console", "sink"};
    constexpr std::array<std::string_view, 3> words{"span", "metric", "log"};
    ExporterName name;
    name.destination = destination;
    name.type = fmt::format(
        "{}_{}_exporter", kinds[found->to.index()], words[static_cast<std::size_t>(signal)]);
    name.component = fmt::format("{}/{}", name.type, destination);
    return name;
}

std::vector<DestinationSetup> make_destinations(const PipelineSetup& setup, Signal signal) {
    std::vector<DestinationSetup> all;
    if (exports_first(setup.options, signal)) { all.push_back(make_first(setup, signal)); }
    for (const auto& to : setup.options.destinations) {
        if (takes(to, signal)) { all.push_back(make_other(setup, to, signal)); }
    }
    for (auto& one : all) {
        if (setup.settled) {
            one.settled = setup.settled(exporter_name(setup.options, one.name, signal));
        }
    }
    return all;
}

} // namespace weft::detail
