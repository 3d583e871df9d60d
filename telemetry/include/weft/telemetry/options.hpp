#pragma once
#include <weft/exporters/batch_options.hpp>
#include <weft/exporters/compression.hpp>
#include <weft/exporters/console.hpp>
#include <weft/exporters/destination.hpp>
#include <weft/exporters/durable_rings.hpp>
#include <weft/exporters/header_list.hpp>
#include <weft/exporters/otlp_encoding.hpp>
#include <weft/exporters/otlp_file.hpp>
#include <weft/exporters/periodic_reader_options.hpp>
#include <weft/exporters/prometheus_options.hpp>
#include <weft/exporters/proxy.hpp>
#include <weft/exporters/retry.hpp>
#include <weft/exporters/sink.hpp>
#include <weft/exporters/tail_sampling.hpp>
#include <weft/exporters/tls_options.hpp>
#include <weft/propagation/propagators.hpp>
#include <weft/runtime/diagnostics.hpp>
#include <weft/runtime/signal.hpp>
#include <weft/signals/id_generator.hpp>
#include <weft/signals/limits.hpp>
#include <weft/signals/metric_view.hpp>
#include <weft/signals/resource.hpp>
#include <weft/signals/sampler.hpp>
#include <weft/signals/span_processor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace weft {

/// Where exports run. See docs/tuning.md, "Two ways to run".
enum class ExportOn : std::uint8_t {
    own_thread,   ///< One thread of the Runtime's own, "weft-export".
    user_executor ///< The program's io_context, in slices; no thread of ours.
};

enum class ExporterKind : std::uint8_t { otlp, none };

/// What one signal has for itself instead of what OtlpOptions says for all.
struct OtlpSignalOptions {
    std::optional<std::vector<HeaderField>> headers; ///< These only.
    std::optional<Compression> compression;          ///< At its fast level if it is another one.
    std::optional<std::chrono::milliseconds> timeout;
    std::optional<OtlpEncoding> encoding;
    TlsOptions tls; ///< Each field that is not empty stands instead of the general one.
};

/// Where and how OTLP requests are sent. Source: OTLP exporter specification, "Configuration Options".
struct OtlpOptions {
    std::string endpoint =
        "http://localhost:4318";  ///< Base URL: `v1/traces` or `v1/metrics` is appended.
    std::string traces_endpoint;  ///< Used exactly as given, instead of `endpoint`. Empty: not set.
    std::string metrics_endpoint; ///< As above.
    std::vector<HeaderField> headers; ///< Sent with each request.
    Compression compression = Compression::none;
    std::optional<int> compression_level;     ///< Unset: the compression's fast level.
    std::chrono::milliseconds timeout{10000}; ///< Of one attempt.
    std::size_t connections = 2;              ///< Most requests in flight. 1 to 64.
    RetryPolicy retry;
    OtlpSignalOptions traces;
    OtlpSignalOptions metrics;
    OtlpEncoding encoding = OtlpEncoding::protobuf;
    TlsOptions tls; ///< For https endpoints.
    ProxyOptions proxy;
    /// As OtlpHttpOptions has them.
    std::size_t request_bytes_max = 64u << 20;
    std::size_t response_bytes_max = 4u << 20;
    std::size_t breaker_failures = 5;
    /// Batches are written to disk before they are sent, and survive an outage, a crash and a restart: docs/spool.md.
    /// `directory` is the root: each signal has a folder of its own in it, and each process one of its own in that. Unset:
    /// batches wait in memory. Of a DestinationOptions it is the same field there that counts. Ours.
    std::optional<SpoolOptions> spool;
};

/// One more place where telemetry goes, with a queue, sends and a ledger of its own: docs/destinations.md. Ours.
struct DestinationOptions {
    /// In ledgers, messages and the spool's folders: 1 to 64 letters, digits, `_` and `-`; unique, and neither otlp nor
    /// sink, which are the first destination's.
    std::string name;
    /// What is there. A sink of the program's own is shared by all signals.
    std::variant<OtlpOptions, OtlpFileOptions, ConsoleOptions, std::shared_ptr<Sink>> to =
        OtlpOptions();
    std::vector<Signal> signals; ///< That go there. Empty: all.
    /// Which batches of them, see DestinationSetup::filter. Empty: all.
    std::function<bool(const Batch&)> filter;
    /// What gives way when it has no room while another destination of the signal has.
    WhenFull when_full = WhenFull::drop_newest;
    /// Batches that may wait for it in memory; the last may exceed it. 1 KiB to 1 GiB.
    std::size_t waiting_bytes_max = 4u << 20;
    std::optional<SpoolOptions> spool; ///< As OtlpOptions::spool, in a folder of its name.
};

/// Everything a Runtime can be told. Defaults are the OpenTelemetry specification's unless a comment says "ours".
struct Options {
    bool disabled =
        false; ///< No telemetry at all: every call is one branch. Propagation still passes through.
    std::string service_name; ///< Empty: from `resource`, else unknown_service:<executable>.
    Resource resource;        ///< Laid over what is detected.
    Sampler sampler = Sampler::parent_based(Sampler::always_on());
    SpanLimits span_limits;
    /// Your own code at the start and end of each recorded span, called in this order, also when nothing is exported.
    std::vector<std::shared_ptr<SpanProcessor>> span_processors;
    std::shared_ptr<IdGenerator> id_generator; ///< Null: random ids.
    Propagators
        propagators; ///< Formats of the context in headers, for instrumentation that names none.
    ExporterKind traces_exporter = ExporterKind::otlp;
    ExporterKind metrics_exporter = ExporterKind::otlp;
    OtlpOptions otlp;
    /// A destination of the program's own for spans, instead of `traces_exporter` and `otlp`: for tests,
    /// weft::testing::InMemorySink. Metrics go nowhere then but to `metrics_sink` and `prometheus`. Null: none. Lifetime:
    /// shared; it may serve several runtimes. Ours.
    std::shared_ptr<Sink> sink;
    /// As `sink`, for metrics, instead of `metrics_exporter` and `otlp`. It may be the same one: Batch::signal tells
    /// them apart. Null: none. Ours.
    std::shared_ptr<Sink> metrics_sink;
    /// Beside the first destination, which the fields above describe. At most 16.
    std::vector<DestinationOptions> destinations;
    BatchOptions batch; ///< Of spans; of metrics their number and delay are `metric_reader`'s.
    MetricOptions metrics;
    /// A port of our own where Prometheus scrapes metrics, beside `metrics_exporter`. Unset: none.
    std::optional<PrometheusServerOptions> prometheus;
    PeriodicReaderOptions metric_reader;
    TailSampling tail_sampling; ///< A second decision, on whole traces. Off by default. Ours.
    /// That Runtime::run() runs the io_context on. 1 to 256. Ours. With more than one, chains that cancel each other need
    /// a strand: docs/context.md, "Several threads and cancellation".
    unsigned threads = 1;
    /// On the io_context, exports get on while it runs, or while a thread waits in a blocking flush or shutdown. Ours.
    ExportOn export_on = ExportOn::own_thread;
    /// With ExportOn::user_executor: longest that exports keep the io_context from other handlers, but for one step of
    /// theirs that takes longer. 10 us to 1 s. Ours.
    std::chrono::microseconds export_slice{200};
    bool make_default =
        true; ///< Spans that name no runtime go here and `propagators` are the process's, unless
              ///< another runtime was first. Ours.
    std::chrono::milliseconds shutdown_timeout{
        5000}; ///< For the destructor and the end of run(). Ours.
    /// From a stop signal until run() gives up the event loop, with whatever still waits in it; spans open then are
    /// not exported. Bounds the whole stop, so that a longer ServerOptions::stop_grace is cut short. Ours.
    std::chrono::milliseconds stop_grace{5000};
    DurableRings
        durable_rings; ///< What ended survives a kill of the process. Off by default. Ours.
};

/// What is wrong with the options, naming the field and what is allowed; empty if nothing is.
[[nodiscard]] std::string problem_in(const Options& options);

/// Looks up an environment variable: null when absent.
using Environment = std::function<const char*(const char* name)>;

/// The options that the OTEL_* variables ask for. A bad value is reported as one line that names the variable, the value
/// (never a header's) and what is allowed, and counts as unset; a number up to 2147483647 that is more than we can use counts
/// as the most we can where the line says so; unknown variables are left alone. A line is a warning in the library's own log (`diagnostics()`), whose level
/// OTEL_LOG_LEVEL sets. HTTP_PROXY, HTTPS_PROXY and NO_PROXY are read too.
/// Threads: any, while nobody changes the environment. Source: OpenTelemetry environment variable specification.
[[nodiscard]] Options options_from_env();
/// As above, from any source and with the lines as values. Changes nothing else.
[[nodiscard]] Options options_from_env(
    const Environment& environment, std::vector<std::string>& problems);

} // namespace weft
