#include "destination_variables.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace weft::detail {
namespace {

class Names {
public:
    explicit Names(const std::vector<std::string>& names) : names_(names) {}
    [[nodiscard]] bool have(std::string_view one) const {
        return std::find(names_.begin(), names_.end(), one) != names_.end();
    }

private:
    const std::vector<std::string>& names_;
};

// The destination of this name, made where it is not there yet.
DestinationOptions& console(Options& options, std::string_view name, ConsoleFormat format) {
    auto& all = options.destinations;
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const DestinationOptions& one) { return one.name == name; });
    if (found != all.end()) { return *found; }
    auto& made = all.emplace_back();
    made.name = name;
    made.to = ConsoleOptions{.format = format, .stream = ConsoleStream::standard_output};
    return made;
}

// Source: OTLP file exporter specification, "otlp/stdout".
void read_consoles(const Names& names, Options& options, Signal signal) {
    if (names.have("console")) {
        console(options, "console", ConsoleFormat::text).signals.push_back(signal);
    }
    if (names.have("otlp/stdout")) {
        console(options, "stdout", ConsoleFormat::json).signals.push_back(signal);
    }
}

} // namespace

void read_exporters(EnvironmentReader& env, Options& options) {
    if (const auto list = env.choices("OTEL_TRACES_EXPORTER", {"otlp", "console", "otlp/stdout"})) {
        const Names names(*list);
        options.traces_exporter = names.have("otlp") ? ExporterKind::otlp : ExporterKind::none;
        read_consoles(names, options, Signal::traces);
    }
    if (const auto list = env.choices(
            "OTEL_METRICS_EXPORTER", {"otlp", "prometheus", "console", "otlp/stdout"})) {
        const Names names(*list);
        options.metrics_exporter = names.have("otlp") ? ExporterKind::otlp : ExporterKind::none;
        read_consoles(names, options, Signal::metrics);
        if (names.have("prometheus")) {
            auto& server = options.prometheus.emplace();
            auto problem = read_prometheus_variables(
                env.text("OTEL_EXPORTER_PROMETHEUS_HOST").value_or(""),
                env.text("OTEL_EXPORTER_PROMETHEUS_PORT").value_or(""), server);
            if (!problem.empty()) { env.report_line(std::move(problem)); }
        }
        // Source: Metrics SDK, "Standard output": whoever looks at a console does not wait for a minute.
        const bool console_alone = names.have("console") && !names.have("otlp");
        if (console_alone && !env.text("OTEL_METRIC_EXPORT_INTERVAL")) {
            options.metric_reader.interval = std::chrono::milliseconds(10'000);
        }
    }
}

void read_spool(EnvironmentReader& env, Options& options) {
    const auto directory = env.text("WEFT_SPOOL_DIR");
    const auto bytes =
        env.integer("WEFT_SPOOL_BYTES", std::int64_t{1} << 20, std::int64_t{1} << 40, " bytes");
    if (!directory) {
        if (bytes) {
            env.report(
                "WEFT_SPOOL_BYTES", std::to_string(*bytes),
                "it counts only with WEFT_SPOOL_DIR, which is not set");
        }
        return;
    }
    auto& spool = options.otlp.spool.emplace();
    spool.directory = *directory;
    if (bytes) { spool.bytes_max = static_cast<std::size_t>(*bytes); }
}

} // namespace weft::detail
