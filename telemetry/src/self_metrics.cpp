#include "self_metrics.hpp"

#include <weft/exporters/drop_reason.hpp>
#include <weft/runtime/clock.hpp>
#include <weft/signals/detail/meter_provider.hpp>
#include <weft/signals/histogram.hpp>
#include <weft/signals/observable.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace weft::detail {
namespace {

constexpr Meter self_meter("weft.telemetry", "", "https://opentelemetry.io/schemas/1.44.0");
constexpr auto signal_count = all_signals.size();

using Sum = ObservableCounter<std::int64_t>;
using Current = ObservableUpDownCounter<std::int64_t>;
using Attributes = std::initializer_list<Attribute>;

std::int64_t integer(std::uint64_t count) noexcept { return static_cast<std::int64_t>(count); }

std::size_t index_of(Signal signal) noexcept { return static_cast<std::size_t>(signal); }

// The conventions' words for what is counted.
constexpr std::array<std::string_view, signal_count> units{
    "{span}", "{data_point}", "{log_record}"};
constexpr std::array<std::string_view, signal_count> processor_types{
    "batching_span_processor", "", "batching_log_processor"};
constexpr std::array<std::string_view, signal_count> processor_names{
    "batching_span_processor/0", "", "batching_log_processor/0"};
constexpr std::array<std::string_view, signal_count> exporter_types{
    "otlp_http_span_exporter", "otlp_http_metric_exporter", "otlp_http_log_exporter"};
constexpr std::array<std::string_view, signal_count> exporter_names{
    "otlp_http_span_exporter/0", "otlp_http_metric_exporter/0", "otlp_http_log_exporter/0"};
constexpr std::string_view own_sink_type =
    "weft::Sink"; // For what the conventions have no word for.
constexpr std::array<std::string_view, signal_count> own_sink_names{
    "weft::Sink/traces", "weft::Sink/metrics", "weft::Sink/logs"};

// Metrics have no processor: a reader collects them.
constexpr std::array<std::string_view, signal_count> queue_size_names{
    "otel.sdk.processor.span.queue.size", "", "otel.sdk.processor.log.queue.size"};
constexpr std::array<std::string_view, signal_count> queue_capacity_names{
    "otel.sdk.processor.span.queue.capacity", "", "otel.sdk.processor.log.queue.capacity"};
constexpr std::array<std::string_view, signal_count> processed_names{
    "otel.sdk.processor.span.processed", "", "otel.sdk.processor.log.processed"};
constexpr std::array<std::string_view, signal_count> inflight_names{
    "otel.sdk.exporter.span.inflight", "otel.sdk.exporter.metric_data_point.inflight",
    "otel.sdk.exporter.log.inflight"};
constexpr std::array<std::string_view, signal_count> exported_names{
    "otel.sdk.exporter.span.exported", "otel.sdk.exporter.metric_data_point.exported",
    "otel.sdk.exporter.log.exported"};

// By SamplingDecision, by ParentOrigin.
constexpr std::array<std::string_view, sampling_decisions> decision_names{
    "DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE"};
constexpr std::array<std::string_view, parent_origins> origin_names{"none", "local", "remote"};

/// Where a record was when it was dropped, in the conventions' picture of an SDK.
enum class Place : std::uint8_t { processor, exporter, sampler };
Place place_of(DropReason reason) noexcept {
    switch (reason) {
    case DropReason::retry_exhausted:
    case DropReason::rejected_by_status:
    case DropReason::request_too_large:
    case DropReason::response_too_large:
    case DropReason::internal_error:
        return Place::exporter;
    case DropReason::tail_sampled_out:
    case DropReason::filtered:
        return Place::sampler;
    default:
        return Place::processor;
    }
}
std::string_view processor_error(DropReason reason) noexcept {
    return reason == DropReason::shutdown ? "already_shutdown" : name(reason);
}

/// Instruments of one signal; those without a name are not made.
struct SignalInstruments {
    SignalInstruments(const Meter& meter, std::size_t i)
        : inflight(
              meter, inflight_names[i],
              {.unit = units[i], .description = "Passed to the exporter, not yet exported."}),
          exported(
              meter, exported_names[i],
              {.unit = units[i], .description = "For which the export has finished, or failed."}),
          queue_size(
              meter, queue_size_names[i],
              {.unit = units[i], .description = "In the queue of the processor."}),
          queue_capacity(
              meter, queue_capacity_names[i],
              {.unit = units[i],
               .description = "That the queue of the processor has room for, at the size of "
                              "those in it."}),
          processed(
              meter, processed_names[i],
              {.unit = units[i],
               .description = "For which the processing has finished, or failed."}),
          has_processor(!processed_names[i].empty()) {}

    Current inflight;
    Sum exported;
    Current queue_size;
    Current queue_capacity;
    Sum processed;
    bool has_processor;
};

} // namespace

struct SelfMetrics::State {
    explicit State(SelfMetricsOptions given)
        : options(std::move(given)), meter(self_meter.bound_to(options.provider)),
          of_signal{
              SignalInstruments(meter, 0), SignalInstruments(meter, 1),
              SignalInstruments(meter, 2)},
          spans_started(
              meter, "otel.sdk.span.started",
              {.unit = "{span}", .description = "The number of created spans."}),
          spans_live(
              meter, "otel.sdk.span.live",
              {.unit = "{span}",
               .description = "The number of recording spans that have not ended."}),
          created(
              meter, "weft.ledger.created",
              {.unit = "{record}", .description = "Records that ended, or were collected."}),
          exported(
              meter, "weft.ledger.exported",
              {.unit = "{record}", .description = "Records that the receiver accepted."}),
          rejected(
              meter, "weft.ledger.rejected",
              {.unit = "{record}",
               .description = "Records that the receiver refused in an accepted request."}),
          dropped(
              meter, "weft.ledger.dropped",
              {.unit = "{record}", .description = "Records that were lost, by the reason."}),
          queued(
              meter, "weft.ledger.queued",
              {.unit = "{record}", .description = "Records that wait to be sent."}),
          in_flight(
              meter, "weft.ledger.in_flight",
              {.unit = "{record}", .description = "Records in a request, retries included."}),
          spooled(
              meter, "weft.ledger.spooled",
              {.unit = "{record}", .description = "Records that wait on disk."}),
          exporter_state(
              meter, "weft.exporter.state",
              {.unit = "1", .description = "1 for the state that the exporter is in."}),
          queue_used(
              meter, "weft.queue.usage",
              {.unit = "By", .description = "Bytes of the queue that are taken."}),
          queue_limit(
              meter, "weft.queue.limit",
              {.unit = "By", .description = "Bytes that the queue has room for."}),
          refused_values(
              meter, "weft.metrics.refused",
              {.unit = "{measurement}",
               .description = "Measurements of values that their instrument does not "
                              "take."}),
          lost(
              meter, "weft.metrics.lost",
              {.unit = "{measurement}", .description = "Measurements lost for want of memory."}),
          collection(
              meter, "otel.sdk.metric_reader.collection.duration",
              {.unit = "s", .description = "The duration of the collect operation."}),
          operation(
              meter, "otel.sdk.exporter.operation.duration",
              {.unit = "s", .description = "The duration of exporting a batch."}) {}

    void observe(Observations& to);
    void observe_signal(Observations& to, std::size_t i, const Ledger& ledger) const;
    void observe_ledger(Observations& to, std::string_view signal, const Ledger& ledger) const;
    void observe_state(
        Observations& to, Signal signal, SinkState current, std::string_view destination) const;
    void observe_queue(Observations& to, std::size_t i, const SelfMetricsSource::Queue& queue);
    void observe_spans(Observations& to, const SpanTotals& spans) const;
    void observe_other(
        Observations& to, std::size_t i, const SelfMetricsSource::Destination& other) const;
    void record_export(
        Signal signal, const ExporterName& exporter, std::int64_t elapsed_ns,
        const SendOutcome& outcome) const noexcept;

    // What the first destination of a signal is called.
    [[nodiscard]] std::string_view first_type(std::size_t i) const noexcept {
        return options.exporters[i].is_own_sink ? own_sink_type : exporter_types[i];
    }
    [[nodiscard]] std::string_view first_name(std::size_t i) const noexcept {
        return options.exporters[i].is_own_sink ? own_sink_names[i] : exporter_names[i];
    }

    const SelfMetricsOptions options;
    Sources sources; // Set before the callback is registered, then read by it.
    const Meter meter;
    std::array<SignalInstruments, signal_count> of_signal;
    // Bytes of a record, by signal, when last there were any in the queue; 0: not yet. The callback's.
    std::array<double, signal_count> record_bytes{};
    Sum spans_started;
    Current spans_live;
    Sum created;
    Sum exported;
    Sum rejected;
    Sum dropped;
    Current queued;
    Current in_flight;
    Current spooled;
    Current exporter_state;
    Current queue_used;
    Current queue_limit;
    Sum refused_values;
    Sum lost;
    const Histogram<double> collection;
    const Histogram<double> operation;
    ObservableCallback callback; // Last: it goes first.
};

void SelfMetrics::State::observe_ledger(
    Observations& to, std::string_view signal, const Ledger& ledger) const {
    const Attribute which{"weft.signal", signal};
    to.observe(created, integer(ledger.created), {which});
    to.observe(exported, integer(ledger.exported), {which});
    to.observe(rejected, integer(ledger.rejected), {which});
    for (std::size_t i = 1; i < ledger.dropped.size(); ++i) { // From 1: 0 is DropReason::none.
        if (ledger.dropped[i] == 0) { continue; }
        to.observe(
            dropped, integer(ledger.dropped[i]),
            {which, {"weft.drop.reason", name(static_cast<DropReason>(i))}});
    }
    to.observe(queued, integer(ledger.queued), {which});
    to.observe(in_flight, integer(ledger.in_flight), {which});
    to.observe(spooled, integer(ledger.spooled), {which});
}

void SelfMetrics::State::observe_signal(
    Observations& to, std::size_t i, const Ledger& ledger) const {
    const auto& instruments = of_signal[i];
    const auto& exporter = options.exporters[i];
    const bool has_server = !exporter.server_address.empty();
    // One list for both: an attribute more or less makes another initializer list.
    const auto tell = [&](const InstrumentBase& instrument, std::uint64_t value,
                          std::string_view type, std::string_view component, std::string_view error,
                          bool is_exporter) {
        const Attribute a{"otel.component.type", type};
        const Attribute b{"otel.component.name", component};
        const Attribute c{"server.address", exporter.server_address};
        const Attribute d{"server.port", exporter.server_port};
        const Attribute e{"error.type", error};
        const auto count = integer(value);
        if (is_exporter && has_server) {
            error.empty() ? to.observe(instrument, count, {a, b, c, d})
                          : to.observe(instrument, count, {a, b, c, d, e});
        } else {
            error.empty() ? to.observe(instrument, count, {a, b})
                          : to.observe(instrument, count, {a, b, e});
        }
    };
    const auto& named = sources[i].exporter;
    const bool is_named = !named.destination.empty();
    const auto of_exporter = [&](const InstrumentBase& instrument, std::uint64_t value,
                                 std::string_view error = {}) {
        tell(
            instrument, value, is_named ? std::string_view(named.type) : first_type(i),
            is_named ? std::string_view(named.component) : first_name(i), error, !is_named);
    };
    const auto of_processor = [&](const InstrumentBase& instrument, std::uint64_t value,
                                  std::string_view error = {}) {
        tell(instrument, value, processor_types[i], processor_names[i], error, false);
    };

    of_exporter(instruments.inflight, ledger.in_flight);
    of_exporter(instruments.exported, ledger.exported);
    if (ledger.rejected != 0) { of_exporter(instruments.exported, ledger.rejected, "rejected"); }
    std::uint64_t lost_in_exporter = 0;
    for (std::size_t r = 1; r < ledger.dropped.size(); ++r) {
        const auto reason = static_cast<DropReason>(r);
        const auto count = ledger.dropped[r];
        if (count == 0) { continue; }
        if (place_of(reason) == Place::exporter) {
            lost_in_exporter += count;
            of_exporter(instruments.exported, count, name(reason));
        } else if (place_of(reason) == Place::processor && instruments.has_processor) {
            of_processor(instruments.processed, count, processor_error(reason));
        }
    }
    if (!instruments.has_processor) { return; }
    of_processor(instruments.queue_size, ledger.queued);
    // Those in flight are not in it: one that a shutdown cuts off becomes a drop, and a counter must not go back.
    of_processor(instruments.processed, ledger.exported + ledger.rejected + lost_in_exporter);
}

// What the processor does is told once, with the first destination.
void SelfMetrics::State::observe_other(
    Observations& to, std::size_t i, const SelfMetricsSource::Destination& other) const {
    const Ledger ledger = other.ledger();
    const Attribute which{"weft.signal", name(all_signals[i])};
    const Attribute where{"weft.destination", other.exporter.destination};
    const auto count = [&](const InstrumentBase& instrument, std::uint64_t value) {
        to.observe(instrument, integer(value), {which, where});
    };
    count(created, ledger.created);
    count(exported, ledger.exported);
    count(rejected, ledger.rejected);
    count(queued, ledger.queued);
    count(in_flight, ledger.in_flight);
    count(spooled, ledger.spooled);
    const auto& instruments = of_signal[i];
    const Attribute type{"otel.component.type", other.exporter.type};
    const Attribute component{"otel.component.name", other.exporter.component};
    to.observe(instruments.inflight, integer(ledger.in_flight), {type, component});
    to.observe(instruments.exported, integer(ledger.exported), {type, component});
    if (ledger.rejected != 0) {
        to.observe(
            instruments.exported, integer(ledger.rejected),
            {type, component, {"error.type", "rejected"}});
    }
    for (std::size_t r = 1; r < ledger.dropped.size(); ++r) { // From 1: 0 is DropReason::none.
        const auto reason = static_cast<DropReason>(r);
        if (ledger.dropped[r] == 0) { continue; }
        to.observe(
            dropped, integer(ledger.dropped[r]),
            {which, where, {"weft.drop.reason", name(reason)}});
        if (place_of(reason) == Place::exporter) {
            to.observe(
                instruments.exported, integer(ledger.dropped[r]),
                {type, component, {"error.type", name(reason)}});
        }
    }
}

// All of them, so that a series that was 1 becomes 0 again.
void SelfMetrics::State::observe_state(
    Observations& to, Signal signal, SinkState current, std::string_view destination) const {
    const Attribute which{"weft.signal", name(signal)};
    const Attribute where{"weft.destination", destination};
    for (const auto state : {SinkState::working, SinkState::parked, SinkState::circuit_open}) {
        const Attribute named{"weft.exporter.state", name(state)};
        const std::int64_t value = state == current ? 1 : 0;
        destination.empty() ? to.observe(exporter_state, value, {which, named})
                            : to.observe(exporter_state, value, {which, where, named});
    }
}

// The queue is bounded in bytes: how many records that is depends on what they are like.
void SelfMetrics::State::observe_queue(
    Observations& to, std::size_t i, const SelfMetricsSource::Queue& queue) {
    const Attribute which{"weft.signal", name(all_signals[i])};
    to.observe(queue_used, integer(queue.used_bytes), {which});
    to.observe(queue_limit, integer(queue.capacity_bytes), {which});
    if (queue.records != 0 && queue.used_bytes != 0) {
        record_bytes[i] =
            static_cast<double>(queue.used_bytes) / static_cast<double>(queue.records);
    }
    if (record_bytes[i] == 0 || !of_signal[i].has_processor) { return; }
    to.observe(
        of_signal[i].queue_capacity,
        static_cast<std::int64_t>(static_cast<double>(queue.capacity_bytes) / record_bytes[i]),
        {{"otel.component.type", processor_types[i]}, {"otel.component.name", processor_names[i]}});
}

void SelfMetrics::State::observe_spans(Observations& to, const SpanTotals& spans) const {
    for (std::size_t i = 0; i < sampling_decisions; ++i) {
        const Attribute decision{"otel.span.sampling_result", decision_names[i]};
        for (std::size_t j = 0; j < parent_origins; ++j) {
            if (spans.started[i][j] == 0) { continue; } // What a program never does says nothing.
            to.observe(
                spans_started, integer(spans.started[i][j]),
                {decision, {"otel.span.parent.origin", origin_names[j]}});
        }
    }
    for (const auto decision :
         {SamplingDecision::record_only, SamplingDecision::record_and_sample}) {
        const auto i = static_cast<std::size_t>(decision);
        to.observe(
            spans_live, integer(spans.live[i]), {{"otel.span.sampling_result", decision_names[i]}});
    }
}

void SelfMetrics::State::observe(Observations& to) {
    for (const auto signal : all_signals) {
        const auto i = index_of(signal);
        const auto& source = sources[i];
        if (source.ledger) {
            const Ledger ledger = source.ledger();
            observe_ledger(to, name(signal), ledger);
            observe_signal(to, i, ledger);
        }
        if (source.state) { observe_state(to, signal, source.state(), {}); }
        for (const auto& other : source.others) {
            observe_other(to, i, other);
            if (other.state) {
                observe_state(to, signal, other.state(), other.exporter.destination);
            }
        }
        if (source.queue) { observe_queue(to, i, source.queue()); }
        if (source.spans) { observe_spans(to, source.spans()); }
    }
    if (options.provider != nullptr) {
        const auto counted = counts(*options.provider);
        to.observe(refused_values, integer(counted.refused_values));
        to.observe(lost, integer(counted.lost));
    }
}

SelfMetrics::SelfMetrics(SelfMetricsOptions options)
    : state_(std::make_shared<State>(std::move(options))) {}

void SelfMetrics::watch(Sources sources) {
    State& state = *state_;
    state.sources = std::move(sources);
    auto& spans = state.of_signal[0];
    auto& points = state.of_signal[1];
    auto& logs = state.of_signal[2];
    state.callback = ObservableCallback(
        {state.spans_started,  state.spans_live,     state.created,    state.exported,
         state.rejected,       state.dropped,        state.queued,     state.in_flight,
         state.spooled,        state.exporter_state, state.queue_used, state.queue_limit,
         state.refused_values, state.lost,           spans.inflight,   spans.exported,
         spans.queue_size,     spans.queue_capacity, spans.processed,  points.inflight,
         points.exported,      logs.inflight,        logs.exported,    logs.queue_size,
         logs.queue_capacity,  logs.processed},
        ObservableCallback::Plain([&state](Observations& to) { state.observe(to); }));
}

SelfMetrics::~SelfMetrics() { state_->callback = {}; } // Waits for who is asking.

void SelfMetrics::abandon_in_child() noexcept { state_->callback.disable(); }

SelfMetrics::Collect SelfMetrics::measured(Collect collect) const {
    return [state = state_,
            collect = std::move(collect)](MetricVisitor& visitor) -> asio::awaitable<void> {
        // The function may go while its coroutine runs.
        return [](std::shared_ptr<State> kept, Collect inner,
                  MetricVisitor& to) -> asio::awaitable<void> {
            const auto begin = steady_now_ns();
            std::exception_ptr thrown;
            try {
                co_await inner(to);
            } catch (...) { thrown = std::current_exception(); }
            const double elapsed_s = static_cast<double>(steady_now_ns() - begin) / 1e9;
            const Attribute type{"otel.component.type", "periodic_metric_reader"};
            const Attribute component{"otel.component.name", "periodic_metric_reader/0"};
            if (thrown != nullptr) {
                kept->collection.record(elapsed_s, {type, component, {"error.type", "_OTHER"}});
                std::rethrow_exception(thrown);
            }
            kept->collection.record(elapsed_s, {type, component});
        }(state, collect, visitor);
    };
}

Drain::Settled SelfMetrics::settled(Signal signal, const ExporterName& exporter) const {
    ExporterName who = exporter;
    if (who.destination.empty()) {
        who.type = state_->first_type(index_of(signal));
        who.component = state_->first_name(index_of(signal));
    }
    return [state = state_, signal, who](std::int64_t elapsed_ns, const SendOutcome& outcome) {
        state->record_export(signal, who, elapsed_ns, outcome);
    };
}

void SelfMetrics::State::record_export(
    Signal signal, const ExporterName& exporter, std::int64_t elapsed_ns,
    const SendOutcome& outcome) const noexcept {
    std::array<Attribute, 6> attributes;
    std::size_t count = 0;
    const auto add = [&](std::string_view key, const AttributeValue& value) {
        attributes[count++] = {key, value};
    };
    add("otel.component.type", exporter.type);
    add("otel.component.name", exporter.component);
    const auto& first = options.exporters[index_of(signal)];
    if (exporter.destination.empty() && !first.server_address.empty()) {
        add("server.address", first.server_address);
        add("server.port", first.server_port);
    }
    if (outcome.status != 0) { add("http.response.status_code", outcome.status); }
    if (outcome.dropped != 0) {
        add("error.type", name(outcome.reason));
    } else if (outcome.rejected != 0) {
        add("error.type", "rejected");
    }
    operation.record(
        static_cast<double>(elapsed_ns) / 1e9,
        std::span<const Attribute>(attributes.data(), count));
}

} // namespace weft::detail
