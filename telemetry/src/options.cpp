#include "destination_options.hpp"
#include "destination_variables.hpp"
#include "environment.hpp"
#include "metric_variables.hpp"
#include "otlp_variables.hpp"
#include "sampler_variables.hpp"
#include "signal_sink.hpp"

#include <weft/telemetry/options.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace weft {
namespace {

using detail::day_ms;
using detail::EnvironmentReader;
using detail::percent_decode;
using detail::trim;
using Milliseconds = std::chrono::milliseconds;

constexpr std::int64_t int_max = std::numeric_limits<std::int32_t>::max();
// The specification bounds the queue in records, ours is bounded in bytes: docs/decisions/0005.
constexpr std::int64_t queue_bytes_per_record = 1024;
// The ranges of BatchOptions.
constexpr std::int64_t queue_bytes_min = 64 << 10;
constexpr std::int64_t queue_bytes_max = 256 << 20;
constexpr std::int64_t records_max = 1 << 20;

// Source: Resource SDK, "Specifying resource information via an environment variable": any error discards all of it.
void read_resource(EnvironmentReader& env, Options& options) {
    if (const auto list = env.text("OTEL_RESOURCE_ATTRIBUTES")) {
        Resource resource;
        bool good = true;
        std::string_view rest = *list;
        while (!rest.empty() && good) { // Bound: each turn takes one pair off.
            const auto comma = rest.find(',');
            const auto pair = trim(rest.substr(0, comma));
            rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
            if (pair.empty()) { continue; }
            const auto equals = pair.find('=');
            const auto key = percent_decode(trim(pair.substr(0, equals)));
            const auto value = equals == std::string_view::npos
                                   ? std::optional<std::string>()
                                   : percent_decode(trim(pair.substr(equals + 1)));
            good = key && value && !key->empty();
            if (good) { resource.set(*key, *value); }
        }
        if (good) {
            options.resource.merge(resource);
        } else {
            env.report(
                "OTEL_RESOURCE_ATTRIBUTES", *list,
                "allowed is key1=value1,key2=value2 with ',', '=' and '%' percent-encoded; all of "
                "it is ignored");
        }
    }
    if (const auto name = env.text("OTEL_SERVICE_NAME")) { options.service_name = *name; }
}

// Source: environment variable specification, "General SDK Configuration". A name that is not known is left out alone, for
// the others still do what was meant.
void read_propagators(EnvironmentReader& env, Options& options) {
    constexpr const char* variable = "OTEL_PROPAGATORS";
    const auto list = env.text(variable);
    if (!list) { return; }
    auto wanted = Propagators::none();
    bool none = false;
    std::string_view rest = *list;
    while (!rest.empty()) { // Bound: each turn takes one name off.
        const auto comma = std::min(rest.find(','), rest.size());
        const auto text = detail::lowercase(trim(rest.substr(0, comma)));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        if (text.empty()) { continue; }
        if (text == "none") {
            none = true;
        } else if (const auto propagator = parse_propagator(text)) {
            wanted.add(*propagator);
        } else {
            env.report(
                variable, text,
                "allowed is a list of tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace, "
                "or none; this name is ignored");
        }
    }
    if (none && !wanted.empty()) {
        env.report(variable, *list, "none stands alone; the others are used");
    }
    if (none || !wanted.empty()) { options.propagators = wanted; }
}

void read_limit(EnvironmentReader& env, const char* name, std::uint32_t& limit) {
    if (const auto value = env.integer(name, 0, int_max, "")) {
        limit = static_cast<std::uint32_t>(*value);
    }
}

// The general limits first: the span's own override them.
void read_limits(EnvironmentReader& env, SpanLimits& limits) {
    read_limit(env, "OTEL_ATTRIBUTE_COUNT_LIMIT", limits.attribute_count);
    limits.event_attribute_count = limits.attribute_count;
    limits.link_attribute_count = limits.attribute_count;
    read_limit(env, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", limits.attribute_value_length);
    read_limit(env, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", limits.attribute_count);
    read_limit(env, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", limits.attribute_value_length);
    read_limit(env, "OTEL_SPAN_EVENT_COUNT_LIMIT", limits.event_count);
    read_limit(env, "OTEL_SPAN_LINK_COUNT_LIMIT", limits.link_count);
    read_limit(env, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", limits.event_attribute_count);
    read_limit(env, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", limits.link_attribute_count);
}

void read_batch(EnvironmentReader& env, Options& options) {
    auto& batch = options.batch;
    if (const auto delay = env.milliseconds_up_to("OTEL_BSP_SCHEDULE_DELAY", 0, day_ms)) {
        batch.delay = *delay;
    }
    const auto queue = env.integer_up_to(
        "OTEL_BSP_MAX_QUEUE_SIZE", 1, queue_bytes_max / queue_bytes_per_record, " spans");
    if (queue) {
        batch.queue_bytes =
            static_cast<std::size_t>(std::max(*queue * queue_bytes_per_record, queue_bytes_min));
    }
    const auto batch_max = std::min(queue.value_or(records_max), records_max);
    if (const auto size =
            env.integer_up_to("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, batch_max, " spans")) {
        batch.records_max = static_cast<std::size_t>(*size);
    } else if (queue) {
        batch.records_max =
            static_cast<std::size_t>(std::min<std::int64_t>(*queue, BatchOptions().records_max));
    }
    if (const auto timeout = env.milliseconds_up_to("OTEL_BSP_EXPORT_TIMEOUT", 0, 7 * day_ms)) {
        options.otlp.retry.max_elapsed =
            *timeout == Milliseconds(0) ? Milliseconds(7 * day_ms) : *timeout; // 0: no limit.
    }
}

// Ours: on, off or a folder.
void read_durable_rings(EnvironmentReader& env, DurableRings& rings) {
    constexpr const char* variable = "WEFT_DURABLE_RINGS";
    const auto value = env.text(variable);
    if (!value) { return; }
    const auto lower = detail::lowercase(*value);
    const bool is_folder = value->front() == '/';
    if (!is_folder && lower != "on" && lower != "off") {
        env.report(
            variable, *value,
            "allowed is on, off or the absolute path of a folder; it counts as off");
        return;
    }
    rings.enabled = lower != "off";
    if (is_folder) { rings.directory = *value; }
}

} // namespace

Options detail::read_options(
    const Environment& environment, std::vector<EnvironmentReader::Problem>& problems) {
    EnvironmentReader env(environment, problems);
    Options options;
    options.disabled = env.boolean("OTEL_SDK_DISABLED");
    read_resource(env, options);
    options.sampler = detail::read_sampler(env);
    read_propagators(env, options);
    read_limits(env, options.span_limits);
    read_batch(env, options);
    read_durable_rings(env, options.durable_rings);
    detail::read_metrics(env, options);
    detail::read_exporters(env, options);
    detail::read_otlp(env, options);
    detail::read_spool(env, options);
    if (const auto level = env.text("OTEL_LOG_LEVEL"); level && !parse_diagnostic_level(*level)) {
        env.report(
            "OTEL_LOG_LEVEL", *level, "allowed is none, error, warn, info, debug; info is used");
    }
    return options;
}

Options options_from_env(const Environment& environment, std::vector<std::string>& problems) {
    std::vector<EnvironmentReader::Problem> found;
    auto options = detail::read_options(environment, found);
    for (auto& problem : found) { problems.push_back(std::move(problem.line)); }
    return options;
}

Options options_from_env() {
    const Environment environment = [](const char* name) { return std::getenv(name); };
    std::vector<EnvironmentReader::Problem> problems;
    auto options = detail::read_options(environment, problems);
    std::vector<EnvironmentReader::Problem> reported_already;
    if (const auto level =
            EnvironmentReader(environment, reported_already).text("OTEL_LOG_LEVEL")) {
        diagnostics().set_level(parse_diagnostic_level(*level).value_or(DiagnosticLevel::info));
    }
    for (const auto& problem : problems) {
        diagnostics().report(
            problem.level, problem.line, problem.line); // Keyed by itself: each is shown.
    }
    return options;
}

std::string problem_in(const Options& options) {
    if (options.threads < 1 || options.threads > 256) {
        return fmt::format("Options::threads is {}: allowed is 1 to 256", options.threads);
    }
    if (options.shutdown_timeout.count() < 0 || options.shutdown_timeout.count() > day_ms) {
        return fmt::format(
            "Options::shutdown_timeout is {} ms: allowed is 0 to {} ms",
            options.shutdown_timeout.count(), day_ms);
    }
    if (options.stop_grace.count() < 0 || options.stop_grace.count() > day_ms) {
        return fmt::format(
            "Options::stop_grace is {} ms: allowed is 0 to {} ms", options.stop_grace.count(),
            day_ms);
    }
    if (options.export_slice.count() < 10 || options.export_slice.count() > 1'000'000) {
        return fmt::format(
            "Options::export_slice is {} us: allowed is 10 to 1000000 us",
            options.export_slice.count());
    }
    if (options.span_limits.attribute_value_depth < 1 ||
        options.span_limits.attribute_value_depth > 64) {
        return fmt::format(
            "Options::span_limits.attribute_value_depth is {}: allowed is 1 to 64",
            options.span_limits.attribute_value_depth);
    }
    for (std::size_t i = 0; i < options.span_processors.size(); ++i) {
        if (options.span_processors[i] == nullptr) {
            return fmt::format(
                "Options::span_processors[{}] is null: a processor is wanted, or leave it out", i);
        }
    }
    if (auto problem = problem_in(options.batch); !problem.empty()) { return problem; }
    if (auto problem = problem_in(options.durable_rings); !problem.empty()) { return problem; }
    if (auto problem = problem_in(options.tail_sampling); !problem.empty()) { return problem; }
    if (auto problem = problem_in(options.metrics); !problem.empty()) { return problem; }
    if (auto problem = problem_in(options.metric_reader); !problem.empty()) { return problem; }
    if (options.prometheus) {
        if (auto problem = problem_in(*options.prometheus); !problem.empty()) { return problem; }
    }
    if (auto problem = detail::problem_in_destinations(options); !problem.empty()) {
        return problem;
    }
    for (const auto signal : all_signals) {
        if (const auto own = detail::own_sink(options, signal)) {
            if (own->connections() != 0) { continue; }
            return fmt::format(
                "Options::{} says connections() is 0: allowed is 1 or more",
                signal == Signal::traces ? "sink" : "metrics_sink");
        }
        if (!detail::exports_first(options, signal)) { continue; }
        auto problem = detail::signal_sink(options.otlp, signal).problem;
        if (!problem.empty()) { return problem; }
    }
    if (options.otlp.spool) {
        if (auto problem = problem_in(*options.otlp.spool); !problem.empty()) {
            return "Options::otlp.spool: " + problem;
        }
    }
    return {};
}

} // namespace weft
